package cli

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"io"
	"maps"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"jiragate/gateway/admin"
)

// service is an internal service on the gateway's machine: an ordinary HTTP client
// that has been given the proxy and its root.
type service struct {
	t    *testing.T
	http *http.Client
}

// service adds a client that may use connections, and is it.
func (g *labGateway) service(name string, connections ...string) *service {
	g.t.Helper()
	args := []string{"client", "add", name, "--output", "json"}
	for _, c := range connections {
		args = append(args, "--connection", c)
	}
	var issued admin.IssuedToken
	if err := json.Unmarshal([]byte(g.mustRun(args...)), &issued); err != nil {
		g.t.Fatal(err)
	}
	root, err := os.ReadFile(g.path("data/ca.pem"))
	if err != nil {
		g.t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(root)
	transport := &http.Transport{
		Proxy:               http.ProxyURL(&url.URL{Scheme: "http", Host: proxyAddress, User: url.UserPassword(issued.Name, issued.Token)}),
		DialContext:         g.machine.DialContext,
		TLSClientConfig:     &tls.Config{RootCAs: roots},
		MaxIdleConnsPerHost: maxTraffic,
	}
	g.t.Cleanup(transport.CloseIdleConnections)
	return &service{g.t, &http.Client{Transport: transport, Timeout: time.Minute}}
}

// outcome is what came of a call: Jira's status, or the gateway's with its code.
type outcome struct {
	status int
	code   string
}

func (s *service) try(ctx context.Context, target string) (outcome, error) {
	return s.send(ctx, http.MethodGet, target, "")
}

// send makes one call, with a body of JSON where there is one.
func (s *service) send(ctx context.Context, method, target, body string) (outcome, error) {
	r, err := http.NewRequestWithContext(ctx, method, target, strings.NewReader(body))
	if err != nil {
		return outcome{}, err
	}
	if body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	resp, err := s.http.Do(r)
	if err != nil {
		return outcome{}, err
	}
	defer resp.Body.Close() // read to its end
	answer, err := io.ReadAll(resp.Body)
	if err != nil {
		return outcome{}, err
	}
	var problem struct{ Code string }
	if strings.HasPrefix(resp.Header.Get("Content-Type"), "application/problem+json") {
		err = json.Unmarshal(answer, &problem)
	}
	return outcome{resp.StatusCode, problem.Code}, err
}

// call makes one call and fails the test unless that comes of it.
func (s *service) call(target string, want outcome) {
	s.t.Helper()
	got, err := s.try(s.t.Context(), target)
	if err != nil || got != want {
		s.t.Errorf("%s: %+v, %v; want %+v", target, got, err, want)
	}
}

const (
	maxTraffic   = 256                   // calls under way at a time
	trafficPause = 10 * time.Millisecond // between the beginnings of two calls
)

// traffic is calls without an end, each with a number that Jira gets to see.
type traffic struct {
	t       *testing.T
	cancel  context.CancelFunc
	running sync.WaitGroup

	mu      sync.Mutex
	begun   int
	answers map[int]outcome // of the calls that have ended
}

// calls begins traffic with the Data Center at dcURL.
func (s *service) calls() *traffic {
	ctx, cancel := context.WithCancel(s.t.Context())
	tr := &traffic{t: s.t, cancel: cancel, answers: map[int]outcome{}}
	slots := make(chan struct{}, maxTraffic)
	tr.running.Go(func() {
		for ctx.Err() == nil {
			slots <- struct{}{}
			tr.mu.Lock()
			n := tr.begun
			tr.begun++
			tr.mu.Unlock()
			tr.running.Go(func() {
				defer func() { <-slots }()
				tr.one(ctx, s, n)
			})
			time.Sleep(trafficPause)
		}
	})
	s.t.Cleanup(tr.stop)
	return tr
}

func (tr *traffic) one(ctx context.Context, s *service, n int) {
	got, err := s.try(ctx, dcURL+"/rest/api/2/user/picker?query="+strconv.Itoa(n))
	if errors.Is(err, context.Canceled) {
		return
	}
	if err != nil {
		tr.t.Errorf("call %d: %v", n, err)
	}
	tr.mu.Lock()
	defer tr.mu.Unlock()
	tr.answers[n] = got
}

// since waits until so many calls have ended that begin only now, and returns the
// number of the first of them.
func (tr *traffic) since(calls int) (mark int) {
	tr.t.Helper()
	tr.mu.Lock()
	mark = tr.begun
	tr.mu.Unlock()
	eventually(tr.t, "calls go on", func() bool { return len(tr.from(mark)) >= calls })
	return mark
}

// from are the answers to the calls from a number on.
func (tr *traffic) from(mark int) map[int]outcome {
	tr.mu.Lock()
	defer tr.mu.Unlock()
	late := maps.Clone(tr.answers)
	maps.DeleteFunc(late, func(n int, _ outcome) bool { return n < mark })
	return late
}

// all fails the test unless each call from a number on had this answer so far.
func (tr *traffic) all(mark int, want outcome) {
	tr.t.Helper()
	for n, got := range tr.from(mark) {
		if got != want {
			tr.t.Errorf("call %d, after %d: %+v, want %+v", n, mark, got, want)
		}
	}
}

// stop ends the traffic; calls that hang are given up.
func (tr *traffic) stop() {
	tr.cancel()
	tr.running.Wait()
}

// onlyOrigin is the address from which all calls of the traffic came so far.
func (s *stage) onlyOrigin() string {
	s.t.Helper()
	all := slices.Collect(maps.Values(s.origins()))
	slices.Sort(all)
	if all = slices.Compact(all); len(all) != 1 {
		s.t.Fatalf("calls of one connection came from %q, want one address", all)
	}
	return all[0]
}

// origins are the addresses from which Jira was called, by the number of the call.
func (s *stage) origins() map[int]string {
	from := map[int]string{}
	for source, requests := range s.arrived() {
		for _, r := range requests {
			if _, query, ok := strings.Cut(r.RequestURI, "?query="); ok {
				n, err := strconv.Atoi(query)
				if err != nil {
					s.t.Fatalf("Jira was asked for %s", r.RequestURI)
				}
				from[n] = source
			}
		}
	}
	return from
}
