package notify

import (
	"bytes"
	"cmp"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"jiragate/policy"
	"jiragate/tokenstore"
	"jiragate/tokenstore/secret"
)

// mark is in everything that must not come out.
const mark = "S3cret"

const endpointURL = "https://product.example/hooks/" + mark + "?token=" + mark

// memory is a store in memory, with the contract of tokenstore.Store.
type memory struct {
	mu          sync.Mutex
	directory   *tokenstore.Directory
	connections map[string]tokenstore.Connection
	announced   map[string]tokenstore.Announcement
	incarnation uint64
	fail        error // of Announced and SetAnnounced
	writes      int
}

func newMemory(ids ...string) *memory {
	s := &memory{connections: map[string]tokenstore.Connection{}, announced: map[string]tokenstore.Announcement{}}
	s.publish()
	for _, id := range ids {
		s.set(id, tokenstore.StateActive)
	}
	return s
}

func (s *memory) publish() {
	s.directory = tokenstore.NewDirectory(slices.Collect(maps.Values(s.connections)), nil)
}

// set changes the state of a connection, which it adds where there is none.
func (s *memory) set(id string, state tokenstore.State) {
	s.mu.Lock()
	defer s.mu.Unlock()
	c, ok := s.connections[id]
	if !ok {
		s.incarnation++
		c = tokenstore.Connection{ID: id, Edition: policy.Cloud, SiteURL: "https://" + id + ".atlassian.net",
			Region: tokenstore.RegionUS, Incarnation: s.incarnation}
	}
	c.State, c.StateSince, c.StateReason = state, time.Now(), "because of a test"
	s.connections[id] = c
	s.publish()
}

func (s *memory) remove(id string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.connections, id)
	delete(s.announced, id)
	s.publish()
}

func (s *memory) failWith(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.fail = err
}

func (s *memory) Directory() *tokenstore.Directory {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.directory
}

func (s *memory) Announced(ctx context.Context) ([]tokenstore.Announcement, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.SortedFunc(maps.Values(s.announced), func(a, b tokenstore.Announcement) int {
		return cmp.Compare(a.Connection, b.Connection)
	}), cmp.Or(ctx.Err(), s.fail)
}

func (s *memory) SetAnnounced(ctx context.Context, a tokenstore.Announcement) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := cmp.Or(ctx.Err(), s.fail); err != nil {
		return err
	}
	s.writes++
	if _, ok := s.connections[a.Connection]; ok {
		s.announced[a.Connection] = a
	}
	return nil
}

// attempt is a message as the receiver got it.
type attempt struct {
	at  time.Time
	id  string
	msg Message
	raw []byte
}

func (a attempt) state() string { return a.msg.Data.Connection + " " + string(a.msg.Data.State) }

// receiver is the product. It verifies what it gets, and notes it.
type receiver struct {
	t      *testing.T
	secret secret.Secret
	// answer answers an attempt; nil means 204.
	answer func(w http.ResponseWriter, r *http.Request, a attempt)

	mu  sync.Mutex
	got []attempt
}

func newReceiver(t *testing.T) *receiver { return &receiver{t: t, secret: NewSecret()} }

func status(code int) func(http.ResponseWriter, *http.Request, attempt) {
	return func(w http.ResponseWriter, _ *http.Request, _ attempt) { w.WriteHeader(code) }
}

func hang(_ http.ResponseWriter, r *http.Request, _ attempt) { <-r.Context().Done() }

func (p *receiver) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		p.t.Errorf("reading the message: %v", err)
	}
	p.verify(r, body)
	a := attempt{at: time.Now(), id: r.Header.Get("Webhook-Id"), raw: body}
	decoder := json.NewDecoder(bytes.NewReader(body))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&a.msg); err != nil {
		p.t.Errorf("the message %s: %v", body, err)
	}
	p.mu.Lock()
	p.got = append(p.got, a)
	answer := p.answer
	p.mu.Unlock()
	if answer == nil {
		answer = status(http.StatusNoContent)
	}
	answer(w, r, a)
}

// verify does it as the specification's library does, and by hand.
func (p *receiver) verify(r *http.Request, body []byte) {
	for _, one := range strings.Fields(p.secret.Reveal()) {
		library, err := standardwebhooks.NewWebhook(one)
		if err != nil {
			p.t.Fatal(err)
		}
		if err := library.Verify(body, r.Header); err != nil {
			p.t.Errorf("the library: %v", err)
		}
		key, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(one, "whsec_"))
		if err != nil {
			p.t.Fatal(err)
		}
		mac := hmac.New(sha256.New, key)
		_, _ = io.WriteString(mac, r.Header.Get("webhook-id")+"."+r.Header.Get("webhook-timestamp")+".")
		_, _ = mac.Write(body)
		want := "v1," + base64.StdEncoding.EncodeToString(mac.Sum(nil))
		if !slices.Contains(strings.Split(r.Header.Get("webhook-signature"), " "), want) {
			p.t.Errorf("no signature is %s", want)
		}
	}
	for name, want := range map[string]string{"Content-Type": "application/json", "User-Agent": "jiragate/1.2.3"} {
		if got := r.Header.Get(name); got != want {
			p.t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
	if r.Method != http.MethodPost {
		p.t.Errorf("it came by %s", r.Method)
	}
}

func (p *receiver) set(answer func(http.ResponseWriter, *http.Request, attempt)) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.answer = answer
}

// take returns what came since the last time.
func (p *receiver) take() []attempt {
	p.mu.Lock()
	defer p.mu.Unlock()
	got := p.got
	p.got = nil
	return got
}

// states returns what came since the last time, sorted.
func (p *receiver) states() []string {
	var states []string
	for _, a := range p.take() {
		states = append(states, a.state())
	}
	slices.Sort(states)
	return states
}

// wantStates compares what came since the last time.
func (p *receiver) wantStates(t *testing.T, want ...string) {
	t.Helper()
	if got := p.states(); !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

// inMemory carries requests to a handler without a network, for tests in a
// bubble of synctest.
type inMemory struct{ http.Handler }

func (m inMemory) RoundTrip(r *http.Request) (*http.Response, error) {
	w, done := httptest.NewRecorder(), make(chan struct{})
	go func() {
		defer close(done)
		m.ServeHTTP(w, r)
	}()
	<-done
	if err := r.Context().Err(); err != nil {
		return nil, err
	}
	return w.Result(), nil
}

var errRefusedConnection = errors.New("connect: connection refused")

// unreachable is an endpoint that there is no way to.
type unreachable struct{}

func (unreachable) RoundTrip(*http.Request) (*http.Response, error) {
	return nil, errRefusedConnection
}

func newNotifier(t *testing.T, s Store, p *receiver, change ...func(*Options)) *Notifier {
	t.Helper()
	o := Options{Store: s, URL: endpointURL, Secret: p.secret, Transport: inMemory{p}, Version: "1.2.3"}
	for _, c := range change {
		c(&o)
	}
	n, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// start runs n until the test ends or the function that it returns is called.
func start(t *testing.T, n *Notifier) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		n.Run(ctx)
	}()
	stop = func() {
		cancel()
		<-done
	}
	t.Cleanup(stop)
	return stop
}
