package admin_test

import (
	"net/http"
	"net/http/httptest"
	"testing"

	"jiragate/gateway/admin"
	"jiragate/tokenstore/secret"
)

// One of the gateway's own making can't be guessed, and nobody locks its owner out.
func TestMadeTokenIsTakenInThePause(t *testing.T) {
	store, _ := openStore(t)
	token, scraper := admin.NewToken(), admin.NewToken()
	h := network(t, options(t, store), admin.Guard{Token: token, MetricsToken: scraper})
	ask := func(path, token string) int {
		r := httptest.NewRequest("GET", "http://127.0.0.1:8081"+path, nil)
		r.Header.Set("Authorization", "Bearer "+token)
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		return w.Code
	}
	for range 20 {
		ask("/v1/clients", admin.NewToken().Reveal())
	}
	if wrong, right := ask("/v1/clients", admin.NewToken().Reveal()), ask("/v1/clients", token.Reveal()); wrong != 429 || right != 200 {
		t.Errorf("in the pause a wrong token got %d, the right one %d", wrong, right)
	}
	if wrong, right := ask("/metrics", admin.NewToken().Reveal()), ask("/metrics", scraper.Reveal()); wrong != 429 || right != 200 {
		t.Errorf("for metrics in the pause a wrong token got %d, the right one %d", wrong, right)
	}
}

// Who guesses an admin token that somebody brought has to wait, even with the right one, or the guessing
// could go on; from elsewhere it is taken, and what needs no token is answered.
func TestWrongTokensPause(t *testing.T) {
	store, _ := openStore(t)
	h := network(t, options(t, store), admin.Guard{Token: secret.New(adminToken)})
	ask := func(from, path, authorization string) *http.Response {
		r := httptest.NewRequest("GET", "http://127.0.0.1:8081"+path, nil)
		r.RemoteAddr = from
		if authorization != "" {
			r.Header.Set("Authorization", authorization)
		}
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		return w.Result()
	}
	const right, wrong = "Bearer " + adminToken, "Bearer wrong"
	for range 20 {
		if r := ask("192.0.2.1:1000", "/v1/clients", wrong); r.StatusCode != 401 {
			t.Fatalf("a wrong token: %d", r.StatusCode)
		}
	}
	for _, tt := range []struct {
		name, from, path, authorization string
		status                          int
	}{
		{"one more", "192.0.2.1:1001", "/v1/clients", wrong, 429},
		{"the right one", "192.0.2.1:1001", "/v1/clients", right, 429},
		{"none", "192.0.2.1:1001", "/v1/clients", "", 401},
		{"health", "192.0.2.1:1001", "/healthz", wrong, 200},
		{"from elsewhere", "192.0.2.2:1000", "/v1/clients", right, 200},
		{"not over a network", "@", "/v1/clients", right, 200},
	} {
		r := ask(tt.from, tt.path, tt.authorization)
		if r.StatusCode != tt.status || r.StatusCode == 429 && r.Header.Get("Retry-After") == "" {
			t.Errorf("%s: %d, Retry-After %q", tt.name, r.StatusCode, r.Header.Get("Retry-After"))
		}
	}
}
