package oauth

import (
	"encoding/json"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"net/url"
	"sync"
	"testing"
	"time"
)

// Everything that must not be printed has this in it.
const mark = "s3cr3t"

const (
	clientID     = "the-client-id"
	clientSecret = "client-secret-" + mark
	redirectURL  = "https://gateway.example/oauth/callback"
)

// atlassian is a token endpoint that rotates refresh tokens, forgives the reuse
// of one for ten minutes, and ends the grant when it comes later: atlassian.md,
// section 1. It answers with what is in faults first, one a request.
type atlassian struct {
	mu       sync.Mutex
	now      func() time.Time
	lifetime any // expires_in; nil leaves it out
	scope    string
	current  string
	replaced map[string]time.Time
	former   map[string]bool // of grants that a new consent has followed
	dead     bool
	issued   int
	requests []map[string]any // bodies, as they came
	headers  []http.Header
	faults   []http.HandlerFunc
}

func newAtlassian() *atlassian {
	return &atlassian{
		now: time.Now, lifetime: 3600, scope: "read:jira-work read:jira-user",
		current: refreshToken(0), replaced: make(map[string]time.Time),
	}
}

func accessToken(n int) string  { return fmt.Sprintf("access-%s-%d", mark, n) }
func refreshToken(n int) string { return fmt.Sprintf("refresh-%s-%d", mark, n) }

func (a *atlassian) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	var request map[string]any
	if r.Header.Get("Content-Type") == "application/json" {
		_ = json.Unmarshal(body, &request) // a nil map is refused below
	} else if form, err := url.ParseQuery(string(body)); err == nil { // as to Data Center
		request = make(map[string]any)
		for name := range form {
			request[name] = form.Get(name)
		}
	}

	a.mu.Lock()
	a.requests = append(a.requests, request)
	a.headers = append(a.headers, r.Header.Clone())
	var fault http.HandlerFunc
	if len(a.faults) > 0 {
		fault, a.faults = a.faults[0], a.faults[1:]
	}
	a.mu.Unlock()
	if fault != nil {
		fault(w, r)
		return
	}
	status, answer := a.exchange(request)
	answerJSON(status, answer)(w, r)
}

func (a *atlassian) exchange(request map[string]any) (int, map[string]any) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if request["client_id"] != clientID || request["client_secret"] != clientSecret {
		return http.StatusUnauthorized, map[string]any{"error": "invalid_client", "error_description": "Client authentication failed"}
	}
	if request["grant_type"] != "refresh_token" {
		return http.StatusBadRequest, map[string]any{"error": "unsupported_grant_type"}
	}
	sent, _ := request["refresh_token"].(string)
	if a.former[sent] {
		return http.StatusForbidden, map[string]any{"error": "invalid_grant"}
	}
	if replacedAt, ok := a.replaced[sent]; ok && a.now().Sub(replacedAt) >= 10*time.Minute {
		a.dead = true
	} else if !ok && sent != a.current {
		a.dead = true
	}
	if a.dead {
		return http.StatusForbidden, map[string]any{"error": "invalid_grant", "error_description": "Unknown or invalid refresh token."}
	}
	if _, ok := a.replaced[sent]; !ok {
		a.replaced[sent] = a.now()
	}
	a.replaced[a.current] = a.now()
	a.issued++
	a.current = refreshToken(a.issued)
	delete(a.replaced, a.current)
	answer := map[string]any{
		"access_token": accessToken(a.issued), "refresh_token": a.current,
		"token_type": "Bearer", "scope": a.scope,
	}
	if a.lifetime != nil {
		answer["expires_in"] = a.lifetime
	}
	return http.StatusOK, answer
}

// consent begins another grant, and returns the number of its first pair.
func (a *atlassian) consent() int {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.former == nil {
		a.former = make(map[string]bool)
	}
	a.former[a.current] = true
	for token := range a.replaced {
		a.former[token] = true
	}
	clear(a.replaced)
	a.issued++
	a.current, a.dead = refreshToken(a.issued), false
	return a.issued
}

func (a *atlassian) fail(faults ...http.HandlerFunc) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.faults = append(a.faults, faults...)
}

// times returns how many requests came.
func (a *atlassian) times() int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return len(a.requests)
}

// sent returns the refresh token of the n-th request.
func (a *atlassian) sent(n int) any {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.requests[n]["refresh_token"]
}

// lost does what was asked, but the answer never arrives.
func (a *atlassian) lost(w http.ResponseWriter, r *http.Request) {
	a.mu.Lock()
	last := a.requests[len(a.requests)-1]
	a.mu.Unlock()
	a.exchange(last)
	panic(http.ErrAbortHandler)
}

func answerJSON(status int, v any) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(status)
		_ = json.NewEncoder(w).Encode(v) // the client may be gone
	}
}

func answer(status int, contentType, body string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", contentType)
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body)
	}
}

func hang(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }

// overTLS serves h on the loopback and returns the way there.
func overTLS(t *testing.T, h http.Handler) (url string, transport http.RoundTripper) {
	t.Helper()
	server := httptest.NewUnstartedServer(h)
	server.Config.ErrorLog = log.New(io.Discard, "", 0)
	server.StartTLS()
	t.Cleanup(server.Close)
	return server.URL, server.Client().Transport
}

// inMemory calls a handler, for tests in which time is not real: real sockets
// would keep it from passing.
type inMemory struct{ http.Handler }

func (h inMemory) RoundTrip(r *http.Request) (res *http.Response, err error) {
	defer func() {
		if p := recover(); p != nil {
			res, err = nil, io.ErrUnexpectedEOF // as http.Server breaks the connection
		}
	}()
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	if err := r.Context().Err(); err != nil {
		return nil, err
	}
	return w.Result(), nil
}
