package jirasim_test

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/dghubble/oauth1"

	"jiragate/internal/jirasim"
)

// testKey is made once, for it takes long.
var testKey = sync.OnceValue(func() *rsa.PrivateKey {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		panic(err)
	}
	return key
})

func publicPEM(t *testing.T, key *rsa.PrivateKey) string {
	t.Helper()
	der, err := x509.MarshalPKIXPublicKey(&key.PublicKey)
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}))
}

// consumer is a registered consumer that signs with a library nobody here wrote.
type consumer struct {
	*oauth1.Config
	sim    *jirasim.Sim
	client *http.Client
}

func newConsumer(t *testing.T, o jirasim.Options) consumer {
	t.Helper()
	sim, client := start(t, o)
	if err := sim.RegisterConsumer("gateway", publicPEM(t, testKey())); err != nil {
		t.Fatal(err)
	}
	return consumer{&oauth1.Config{
		ConsumerKey: "gateway", CallbackURL: "https://gateway.example/callback?x=1", Signer: &oauth1.RSASigner{PrivateKey: testKey()},
		HTTPClient: client,
		Endpoint: oauth1.Endpoint{
			RequestTokenURL: sim.DataCenterURL() + "/plugins/servlet/oauth/request-token",
			AuthorizeURL:    sim.DataCenterURL() + "/plugins/servlet/oauth/authorize",
			AccessTokenURL:  sim.DataCenterURL() + "/plugins/servlet/oauth/access-token",
		},
	}, sim, client}
}

// signed returns the Authorization field for a call.
func (c consumer) signed(t *testing.T, method, target, token string) edit {
	t.Helper()
	var kept edit
	record := roundTripper(func(r *http.Request) (*http.Response, error) {
		kept = header("Authorization", r.Header.Get("Authorization"))
		return nil, http.ErrAbortHandler
	})
	r, err := http.NewRequestWithContext(t.Context(), method, target, nil)
	if err != nil {
		t.Fatal(err)
	}
	transport := c.Config.Client(oauth1.NoContext, oauth1.NewToken(token, "")).Transport.(*oauth1.Transport)
	transport.Base = record
	if _, err := transport.RoundTrip(r); kept == nil {
		t.Fatal(err)
	}
	return kept
}

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// back returns the query with which the browser comes back.
func (c consumer) back(t *testing.T, a answer) url.Values {
	t.Helper()
	wantStatus(t, a, 302)
	u, err := url.Parse(a.header.Get("Location"))
	if err != nil || u.Host != "gateway.example" || u.Query().Get("x") != "1" {
		t.Fatalf("Location %q, %v", a.header.Get("Location"), err)
	}
	return u.Query()
}

func (c consumer) requestToken(t *testing.T) (token, page string) {
	t.Helper()
	token, _, err := c.RequestToken()
	if err != nil {
		t.Fatal(err)
	}
	u, err := c.AuthorizationURL(token)
	if err != nil {
		t.Fatal(err)
	}
	return token, u.String()
}

// wantProblem checks a refusal of Atlassian's.
func wantProblem(t *testing.T, a answer, problem string) {
	t.Helper()
	challenges := strings.Join(a.header.Values("WWW-Authenticate"), "\n")
	if a.status != 401 || !strings.Contains(challenges, `oauth_problem="`+problem+`"`) || !strings.Contains(challenges, `OAuth realm="https%3A%2F%2F`) {
		t.Errorf("answer %d %s, want 401 with %s", a.status, challenges, problem)
	}
}

func TestApplicationLinkDance(t *testing.T) {
	c := newConsumer(t, jirasim.Options{})
	token, page := c.requestToken(t)
	shown := call(t, c.client, "GET", page, "")
	wantStatus(t, shown, 200)
	if !strings.Contains(shown.body, `action="/jira/plugins/servlet/oauth/authorize"`) || !strings.Contains(shown.body, "gateway") {
		t.Errorf("page:\n%s", shown.body)
	}
	// Not before it is approved.
	if _, _, err := c.AccessToken(token, "", "guess"); err == nil || !strings.Contains(err.Error(), "permission_unknown") {
		t.Errorf("before approval: %v", err)
	}
	form := url.Values{"oauth_token": {token}, "approve": {"Allow"}}
	back := c.back(t, call(t, c.client, "POST", c.Endpoint.AuthorizeURL, form.Encode(), header("Content-Type", "application/x-www-form-urlencoded")))
	if back.Get("oauth_token") != token || len(back.Get("oauth_verifier")) != 6 {
		t.Errorf("callback %v", back)
	}
	if _, _, err := c.AccessToken(token, "", "guess"); err == nil || !strings.Contains(err.Error(), "token_rejected") {
		t.Errorf("wrong verifier: %v", err)
	}
	access, _, err := c.AccessToken(token, "", back.Get("oauth_verifier"))
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := c.AccessToken(token, "", back.Get("oauth_verifier")); err == nil || !strings.Contains(err.Error(), "token_rejected") {
		t.Errorf("second use: %v", err)
	}
	wantStatus(t, call(t, c.client, "GET", page, ""), 400)

	for _, target := range []string{"/rest/api/2/myself", "/rest/api/2/user/picker?query=m%20i&showAvatar=true", "/rest/api/latest/priority?x=%2B%C3%BC"} {
		target = c.sim.DataCenterURL() + target
		a := call(t, c.client, "GET", target, "", c.signed(t, "GET", target, access))
		wantStatus(t, a, 200)
		if a.header.Get("X-Ausername") != jirasim.DefaultUsername || a.header.Get("X-Seraph-Loginreason") != "OK" {
			t.Errorf("headers %v", a.header)
		}
	}
	requests := c.sim.Requests()
	if !requests[len(requests)-1].CredentialAccepted {
		t.Error("the record says that the signature was not accepted")
	}
	const body = `{"fields":{"project":{"key":"ACME"},"issuetype":{"id":"10002"},"summary":"x"}}`
	target := c.sim.DataCenterURL() + "/rest/api/2/issue"
	wantStatus(t, call(t, c.client, "POST", target, body, c.signed(t, "POST", target, access)), 201)
}

func TestApplicationLinkAnswers(t *testing.T) {
	c := newConsumer(t, jirasim.Options{AutoApprove: true})
	token, page := c.requestToken(t)
	verifier := c.back(t, call(t, c.client, "GET", page, "")).Get("oauth_verifier")
	var body string
	inner := c.client.Transport
	c.HTTPClient = &http.Client{Transport: roundTripper(func(r *http.Request) (*http.Response, error) {
		a := call(t, &http.Client{Transport: inner}, r.Method, r.URL.String(), "", header("Authorization", r.Header.Get("Authorization")))
		body = a.body
		return nil, http.ErrAbortHandler
	})}
	_, _, _ = c.AccessToken(token, "", verifier)
	q, err := url.ParseQuery(body)
	if err != nil || q.Get("oauth_token") == "" || q.Get("oauth_token_secret") == "" || q.Get("oauth_session_handle") == "" ||
		q.Get("oauth_expires_in") != "157680000" || q.Get("oauth_authorization_expires_in") != "160272000" {
		t.Errorf("answer %q, %v", body, err)
	}
}

func TestApplicationLinkDenied(t *testing.T) {
	c := newConsumer(t, jirasim.Options{})
	c.sim.SetConsent(jirasim.ConsentDeny)
	token, page := c.requestToken(t)
	if back := c.back(t, call(t, c.client, "GET", page, "")); back.Get("oauth_verifier") != "denied" || back.Get("oauth_token") != token {
		t.Errorf("callback %v", back)
	}
	if _, _, err := c.AccessToken(token, "", "denied"); err == nil || !strings.Contains(err.Error(), "permission_denied") {
		t.Errorf("access: %v", err)
	}
}

func TestRequestTokensExpireAndBelongToAConsumer(t *testing.T) {
	clock := newClock()
	clock.now = time.Now() // the library signs with the time that it is
	c := newConsumer(t, jirasim.Options{Now: clock.Now, AutoApprove: true})
	if err := c.sim.RegisterConsumer("other", publicPEM(t, testKey())); err != nil {
		t.Fatal(err)
	}
	token, page := c.requestToken(t)
	verifier := c.back(t, call(t, c.client, "GET", page, "")).Get("oauth_verifier")
	c.ConsumerKey = "other"
	if _, _, err := c.AccessToken(token, "", verifier); err == nil || !strings.Contains(err.Error(), "token_rejected") {
		t.Errorf("another's: %v", err)
	}
	c.ConsumerKey = "gateway"
	_, late := c.requestToken(t)
	clock.advance(10*time.Minute + time.Second)
	wantStatus(t, call(t, c.client, "GET", late, ""), 400)
}

func TestSignedCallsRefused(t *testing.T) {
	clock := newClock()
	clock.now = time.Now()
	c := newConsumer(t, jirasim.Options{Now: clock.Now})
	token, err := c.sim.IssueLinkToken("gateway")
	if err != nil {
		t.Fatal(err)
	}
	target := c.sim.DataCenterURL() + "/rest/api/2/user/picker?query=a"
	get := func(e edit) answer { return call(t, c.client, "GET", target, "", e) }
	altered := func(old, new string) edit {
		signed := c.signed(t, "GET", target, token)
		return func(r *http.Request) {
			signed(r)
			r.Header.Set("Authorization", strings.Replace(r.Header.Get("Authorization"), old, new, 1))
		}
	}

	once := c.signed(t, "GET", target, token)
	wantStatus(t, get(once), 200)
	wantProblem(t, get(once), "nonce_used")
	wantProblem(t, get(c.signed(t, "GET", target, "nonsense")), "token_rejected")
	wantProblem(t, get(c.signed(t, "POST", target, token)), "signature_invalid")
	wantProblem(t, get(c.signed(t, "GET", target+"b", token)), "signature_invalid")
	wantProblem(t, get(c.signed(t, "GET", strings.Replace(target, "/jira/", "/", 1), token)), "signature_invalid")
	wantProblem(t, get(altered(`oauth_version="1.0"`, `oauth_version="2.0"`)), "version_rejected")
	wantProblem(t, get(altered(`RSA-SHA1`, `PLAINTEXT`)), "signature_method_rejected")
	wantProblem(t, get(altered(`oauth_nonce`, `oauth_once`)), "parameter_absent")
	wantProblem(t, get(header("Authorization", "OAuth nonsense")), "parameter_rejected")

	for _, off := range []time.Duration{-5*time.Minute - 2*time.Second, 5*time.Minute + 2*time.Second} {
		clock.advance(off)
		a := get(c.signed(t, "GET", target, token))
		wantProblem(t, a, "timestamp_refused")
		if !strings.Contains(strings.Join(a.header.Values("WWW-Authenticate"), " "), "oauth_acceptable_timestamps=") {
			t.Errorf("headers %v", a.header)
		}
		clock.advance(-off)
	}

	other, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	if err := c.sim.RegisterConsumer("gateway", publicPEM(t, other)); err != nil {
		t.Fatal(err)
	}
	wantProblem(t, get(c.signed(t, "GET", target, token)), "signature_invalid")
	if !c.sim.RemoveConsumer("gateway") || c.sim.RemoveConsumer("gateway") {
		t.Error("RemoveConsumer does not tell what it found")
	}
	wantProblem(t, get(c.signed(t, "GET", target, token)), "consumer_key_unknown")
	if _, err := c.sim.IssueLinkToken("gateway"); err == nil {
		t.Error("a token was issued to nobody")
	}
	if err := c.sim.RegisterConsumer("gateway", publicPEM(t, testKey())); err != nil {
		t.Fatal(err)
	}
	wantStatus(t, get(c.signed(t, "GET", target, token)), 200)
	if !c.sim.RevokeLinkToken(token) || c.sim.RevokeLinkToken(token) {
		t.Error("RevokeLinkToken does not tell what it found")
	}
	wantProblem(t, get(c.signed(t, "GET", target, token)), "token_rejected")
}

func TestConsumersNeedARSAKey(t *testing.T) {
	sim, _ := start(t, jirasim.Options{})
	for name, key := range map[string]string{
		"nothing":   "",
		"no PEM":    "MIIB",
		"a private": string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: []byte("x")})),
		"rubbish":   string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: []byte("x")})),
	} {
		if err := sim.RegisterConsumer("k", key); err == nil {
			t.Errorf("%s was registered", name)
		}
	}
}
