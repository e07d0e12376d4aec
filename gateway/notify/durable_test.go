package notify

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"net/http"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"jiragate/policy"
	"jiragate/tokenstore"
	"jiragate/tokenstore/bolt"
	"jiragate/tokenstore/keyset"
	"jiragate/tokenstore/secret"
	"jiragate/tokenstore/storetest"
)

// onDisk is a store that can be closed and opened again.
type onDisk struct {
	*bolt.Store
	path string
	keys *keyset.Keyset
}

func newOnDisk(t *testing.T) *onDisk {
	t.Helper()
	keys, err := keyset.New()
	if err != nil {
		t.Fatal(err)
	}
	s := &onDisk{path: filepath.Join(t.TempDir(), "store.db"), keys: keys}
	s.open(t)
	t.Cleanup(func() {
		if err := errors.Join(s.Check(context.Background()), s.Close()); err != nil {
			t.Error(err)
		}
	})
	return s
}

func (s *onDisk) open(t *testing.T) {
	t.Helper()
	store, err := bolt.Open(t.Context(), bolt.Options{Path: s.path, AEAD: s.keys})
	if err != nil {
		t.Fatal(err)
	}
	s.Store = store
}

func (s *onDisk) reopen(t *testing.T) {
	t.Helper()
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s.open(t)
}

func (s *onDisk) add(t *testing.T, id string) {
	t.Helper()
	err := s.AddConnection(t.Context(), tokenstore.Connection{ID: id, Edition: policy.DataCenter,
		BaseURL: "https://jira.example/" + id, Region: tokenstore.RegionEU, CredentialKind: tokenstore.KindPAT},
		tokenstore.Credential{Kind: tokenstore.KindPAT, Token: secret.New(mark)})
	if err != nil {
		t.Fatal(err)
	}
}

func (s *onDisk) set(t *testing.T, id string, state tokenstore.State) {
	t.Helper()
	if err := s.SetState(t.Context(), id, state, "because of a test"); err != nil {
		t.Fatal(err)
	}
}

// await waits until the receiver has these, and no others beside them.
func await(t *testing.T, p *receiver, n *Notifier, want ...string) []attempt {
	t.Helper()
	var got []attempt
	for deadline := time.Now().Add(20 * time.Second); time.Now().Before(deadline); time.Sleep(10 * time.Millisecond) {
		n.Wake()
		got = append(got, p.take()...)
		if len(got) >= len(want) {
			break
		}
	}
	var states []string
	for _, a := range got {
		if bytes.Contains(a.raw, []byte(mark)) {
			t.Errorf("there is a secret in %s", a.raw)
		}
		states = append(states, a.state())
	}
	slices.Sort(states)
	if !slices.Equal(states, want) {
		t.Fatalf("got %q, want %q", states, want)
	}
	return got
}

// settled waits until everything is acknowledged.
func settled(t *testing.T, n *Notifier) {
	t.Helper()
	atMost(t, n, 0)
}

// atMost waits until no more messages than that are not acknowledged.
func atMost(t *testing.T, n *Notifier, most int) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); n.Backlog().Pending > most; time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("backlog: %+v", n.Backlog())
		}
	}
}

// TestRestart, with a store on disk and a receiver behind TLS: what wasn't
// acknowledged comes again, and nothing else.
func TestRestart(t *testing.T) {
	s, p := newOnDisk(t), newReceiver(t)
	url, way := serveTLS(t, p)
	var logged bytes.Buffer
	again := func() (*Notifier, func()) {
		s.reopen(t)
		n, err := New(Options{Store: s, URL: url, Secret: p.secret, Transport: way, Version: "1.2.3",
			Logger: slog.New(slog.NewTextHandler(&logged, nil))})
		if err != nil {
			t.Fatal(err)
		}
		return n, start(t, n)
	}
	s.add(t, "acme")
	s.add(t, "globex")

	// Both are new; one of them is not taken.
	p.set(func(w http.ResponseWriter, _ *http.Request, a attempt) {
		if a.msg.Data.Connection == "globex" {
			w.WriteHeader(http.StatusInternalServerError)
		}
	})
	n, stop := again()
	first := await(t, p, n, "acme active", "globex active")
	atMost(t, n, 1) // what has arrived is acknowledged a moment later
	stop()

	p.set(nil)
	n, stop = again()
	second := await(t, p, n, "globex active")
	settled(t, n)
	stop()
	if i := slices.IndexFunc(first, func(a attempt) bool { return a.id == second[0].id }); i < 0 || !bytes.Equal(first[i].raw, second[0].raw) {
		t.Error("the second attempt is another message than the first")
	}

	// One changes while the gateway is down, the other is another one by now.
	s.set(t, "acme", tokenstore.StateDisabled)
	if err := storetest.Remove(t.Context(), s, "globex"); err != nil {
		t.Fatal(err)
	}
	s.add(t, "globex")
	n, stop = again()
	for _, a := range await(t, p, n, "acme disabled", "globex active") {
		want := map[string]tokenstore.State{"acme": tokenstore.StateActive, "globex": ""}[a.msg.Data.Connection]
		if got := a.msg.Data.PreviousState; got != want {
			t.Errorf("%s: previous state %q, want %q", a.state(), got, want)
		}
	}
	settled(t, n)

	// It leads elsewhere now.
	err := s.UpdateConnection(t.Context(), "globex", func(c *tokenstore.Connection) error {
		c.BaseURL = "https://jira.example/elsewhere"
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if a := await(t, p, n, "globex active")[0]; a.msg.Data.BaseURL != "https://jira.example/elsewhere" || a.msg.Data.PreviousState != "" {
		t.Errorf("got %s", a.raw)
	}
	settled(t, n)
	stop()

	n, stop = again()
	s.set(t, "acme", tokenstore.StateActive) // comes last, so that nothing else was to come
	await(t, p, n, "acme active")
	settled(t, n)
	stop()
	if bytes.Contains(logged.Bytes(), []byte(mark)) || !bytes.Contains(logged.Bytes(), []byte("webhook delivered")) {
		t.Errorf("the log says %s", logged.String())
	}
}

// TestConcurrentChanges: many change at the same time, and in the end the product
// knows all.
func TestConcurrentChanges(t *testing.T) {
	s, p := newOnDisk(t), newReceiver(t)
	url, way := serveTLS(t, p)
	ids := []string{"a", "b", "c", "d", "e", "f"}
	for _, id := range ids {
		s.add(t, id)
	}
	n, err := New(Options{Store: s, URL: url, Secret: p.secret, Transport: way, Version: "1.2.3"})
	if err != nil {
		t.Fatal(err)
	}
	stop := start(t, n)
	done := make(chan error)
	for _, id := range ids {
		go func() {
			var err error
			for i := range 20 {
				state := []tokenstore.State{tokenstore.StateDisabled, tokenstore.StateActive, tokenstore.StateNeedsReauthorisation}[i%3]
				err = errors.Join(err, s.SetState(t.Context(), id, state, ""))
				n.Wake()
				_ = n.Backlog()
			}
			done <- err
		}()
	}
	for range ids {
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
	for told := func() bool {
		announced, err := s.Announced(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		return len(announced) == len(ids) && !slices.ContainsFunc(announced, func(a tokenstore.Announcement) bool {
			c, ok := s.Directory().Connection(a.Connection)
			return !ok || !covers(a, c)
		})
	}; !told(); time.Sleep(10 * time.Millisecond) {
		n.Wake()
	}
	stop()
	last := map[string]Message{}
	for _, a := range p.take() {
		if a.msg.Timestamp.Before(last[a.msg.Data.Connection].Timestamp) {
			t.Errorf("%s came after a newer state", a.state())
		}
		last[a.msg.Data.Connection] = a.msg
	}
	for _, id := range ids {
		if c, _ := s.Directory().Connection(id); last[id].Data.State != c.State {
			t.Errorf("%s is %s, and the product knows %s", id, c.State, last[id].Data.State)
		}
	}
}
