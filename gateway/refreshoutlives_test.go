package gateway_test

import (
	"net/http"
	"testing"
	"time"

	"jiragate/tokenstore"
	"jiragate/tokenstore/oauth"
)

// heldBack is a way to the token endpoint that is open once the test says so.
type heldBack struct {
	http.RoundTripper
	open, done chan struct{}
}

func (h heldBack) RoundTrip(r *http.Request) (*http.Response, error) {
	<-h.open
	defer close(h.done)
	return h.RoundTripper.RoundTrip(r)
}

// A token is renewed before its time, by a call that doesn't wait for it. What the
// refresh knows of that call stays as it was when the call is over and others have its
// memory.
func TestRefreshOutlivesItsCall(t *testing.T) {
	open, done := make(chan struct{}), make(chan struct{})
	w := newWorld(t, change{oauth: func(o *oauth.Options) {
		way := o.Transport
		o.Transport = func(c *tokenstore.Connection) http.RoundTripper { return heldBack{way(c), open, done} }
	}})
	c := must(w.store.Credential(t.Context(), "acme"))(t)
	c.Expiry = time.Now().Add(time.Minute)
	if err := w.store.ReplaceCredential(t.Context(), "acme", c.Generation, c); err != nil {
		t.Fatal(err)
	}
	client := w.billing() // one tunnel
	for range 5 {
		if r := w.call(client, "GET", w.sim.SiteURL()+"/rest/api/3/myself", ""); r.StatusCode != 200 {
			t.Fatalf("%d %s", r.StatusCode, r.body)
		}
	}
	close(open)
	<-done
	if n := w.sim.TokenStats().Requests; n != 1 {
		t.Errorf("%d token requests", n)
	}
	for must(w.store.Credential(t.Context(), "acme"))(t).AccessToken.Equal(c.AccessToken) { // until it is stored
		w.call(client, "GET", w.sim.SiteURL()+"/rest/api/3/myself", "")
	}
	w.noteTokens("acme")
}
