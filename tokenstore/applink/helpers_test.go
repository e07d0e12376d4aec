package applink_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"jiragate/internal/jirasim"
	"jiragate/tokenstore/applink"
	"jiragate/tokenstore/secret"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const callback = "https://gateway.example/oauth/callback?state=a%2Bb"

// newKey is one key for all tests: making one takes long.
var newKey = sync.OnceValue(func() secret.Secret {
	key, err := applink.NewKey()
	if err != nil {
		panic(err)
	}
	return key
})

func consumer() applink.Consumer {
	return applink.Consumer{Key: "jiragate & co", PrivateKey: newKey()}
}

// world is a simulated Jira that has the consumer's link.
type world struct {
	sim       *jirasim.Sim
	transport *http.Transport
}

func newWorld(t *testing.T, o jirasim.Options) *world {
	t.Helper()
	sim, err := jirasim.Start(o)
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(sim.CAPEM())
	w := &world{sim, &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots}, ForceAttemptHTTP2: true}}
	t.Cleanup(func() {
		w.transport.CloseIdleConnections()
		if err := sim.Close(); err != nil {
			t.Error(err)
		}
	})
	public, err := applink.PublicKey(newKey())
	if err != nil {
		t.Fatal(err)
	}
	if err := sim.RegisterConsumer(consumer().Key, public); err != nil {
		t.Fatal(err)
	}
	return w
}

func (w *world) request(ctx context.Context) (applink.Request, error) {
	return applink.RequestToken(ctx, w.transport, w.sim.DataCenterURL(), consumer(), callback)
}

func (w *world) access(ctx context.Context, r applink.Request, verifier string) (applink.Access, error) {
	return applink.AccessToken(ctx, w.transport, w.sim.DataCenterURL(), consumer(), r, verifier)
}

// browse opens the page as a browser would and returns the query of the callback.
func (w *world) browse(t *testing.T, page string) url.Values {
	t.Helper()
	client := &http.Client{Transport: w.transport, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	res, err := client.Get(page)
	if err != nil {
		t.Fatal(err)
	}
	res.Body.Close()
	back, err := res.Location()
	if err != nil || !strings.HasPrefix(back.String(), "https://gateway.example/oauth/callback?") {
		t.Fatalf("callback %v, %v, status %d", back, err, res.StatusCode)
	}
	return back.Query()
}

// call makes a signed call.
func (w *world) call(t *testing.T, method, target, body string, token secret.Secret) *http.Response {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, target, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	if body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	value, err := applink.Sign(r, consumer(), token)
	if err != nil {
		t.Fatal(err)
	}
	if r.Header.Get("Authorization") != "" {
		t.Error("Sign changed the request")
	}
	r.Header.Set("Authorization", value)
	res, err := w.transport.RoundTrip(r)
	if err != nil {
		t.Fatal(err)
	}
	res.Body.Close()
	return res
}

// soon is a context that ends before a test gets boring.
func soon(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	t.Cleanup(cancel)
	return ctx
}

// wantNoSecret looks for secrets, however an error is printed.
func wantNoSecret(t *testing.T, err error, secrets ...string) {
	t.Helper()
	text := fmt.Sprintf("%v %+v %#v %q", err, err, err, err)
	for _, s := range secrets {
		if s != "" && strings.Contains(text, s) {
			t.Errorf("the error holds a secret: %v", err)
		}
	}
}
