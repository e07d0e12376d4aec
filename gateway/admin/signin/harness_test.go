package signin_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"

	"jiragate/gateway/admin"
	"jiragate/gateway/admin/act"
	"jiragate/gateway/admin/signin"
	"jiragate/gateway/audit"
	"jiragate/tokenstore/secret"
)

// Secrets, of which none may show anywhere. So may nothing that holds canary.
const (
	canary       = "canary"
	adminToken   = "jga_canary-admin-token-0123456789abcdef"
	clientID     = "jiragate console"
	clientSecret = "canary client secret: with /odd+letters"
	accessToken  = "canary-access-token"
	code         = "canary-code-"
)

// house is a console with a sign-in, and its log and records.
type house struct {
	t       *testing.T
	signin  *signin.Signin
	server  *httptest.Server
	dir     string
	audit   *audit.Log
	said    *safeBuffer // the log
	clock   *clock
	mu      sync.Mutex
	session *signin.Session // what the console's page was shown with last
}

type clock struct {
	mu    sync.Mutex
	ahead time.Duration
}

func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return time.Now().Add(c.ahead)
}

func (c *clock) advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.ahead += d
}

type safeBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *safeBuffer) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

func (s *safeBuffer) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}

// show writes the page as JSON.
func show(w http.ResponseWriter, _ *http.Request, p signin.Page) {
	w.WriteHeader(p.Status)
	_ = json.NewEncoder(w).Encode(p)
}

// newHouse is one over TLS, with p if that isn't nil.
func newHouse(t *testing.T, p *provider, change ...func(*signin.Options)) *house {
	t.Helper()
	h := &house{t: t, dir: filepath.Join(t.TempDir(), "audit"), said: &safeBuffer{}, clock: &clock{}}
	h.server = httptest.NewTLSServer(http.HandlerFunc(h.serve))
	t.Cleanup(h.server.Close)
	logger := slog.New(slog.NewTextHandler(h.said, nil))
	var err error
	if h.audit, err = audit.Open(audit.Options{Dir: h.dir, Sync: audit.SyncWrites, Logger: logger}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = h.audit.Close() }) // h.records has done so
	o := signin.Options{
		Token:  secret.New(adminToken),
		Secure: true,
		Acts: &act.Journal{
			Open:         func() (act.Recorder, error) { return h.audit, nil },
			PolicySHA256: func() string { return "" },
			Now:          h.clock.now,
			Logger:       logger,
		},
		Show:   show,
		Now:    h.clock.now,
		Logger: logger,
	}
	if p != nil {
		p.back = h.server.URL + signin.CallbackPath
		o.Provider = p.options()
	}
	for _, f := range change {
		f(&o)
	}
	if h.signin, err = signin.New(o); err != nil {
		t.Fatal(err)
	}
	return h
}

// serve is the console: a sign-in, and one page that says who is there.
func (h *house) serve(w http.ResponseWriter, r *http.Request) {
	if h.signin.Serves(r.URL.Path) {
		h.signin.ServeHTTP(w, r)
		return
	}
	s, ok := h.signin.Session(r)
	if !ok {
		http.Redirect(w, r, signin.PathFor(r.Method, r.URL), http.StatusSeeOther)
		return
	}
	h.mu.Lock()
	h.session = s
	h.mu.Unlock()
	_, _ = io.WriteString(w, "the console")
}

func (h *house) shown() *signin.Session {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.session
}

// records closes the log and returns what stands in it.
func (h *house) records() []audit.Record {
	h.t.Helper()
	if err := h.audit.Close(); err != nil {
		h.t.Fatal(err)
	}
	var all []audit.Record
	for entry, err := range audit.Query(h.dir, audit.Filter{}) {
		if err != nil {
			h.t.Fatal(err)
		}
		all = append(all, entry.Record)
	}
	return all
}

// browser keeps cookies, and follows a redirect only when it is told to.
type browser struct {
	t *testing.T
	h *house
	c *http.Client
}

func (h *house) browser(roots ...*x509.Certificate) *browser {
	h.t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		h.t.Fatal(err)
	}
	pool := x509.NewCertPool()
	for _, c := range append(roots, h.server.Certificate()) {
		pool.AddCert(c)
	}
	way := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool}}
	h.t.Cleanup(way.CloseIdleConnections)
	return &browser{h.t, h, &http.Client{Jar: jar, Transport: way, Timeout: 20 * time.Second, CheckRedirect: func(*http.Request, []*http.Request) error {
		return http.ErrUseLastResponse
	}}}
}

// answer is what a browser got.
type answer struct {
	*http.Response
	body string
	page signin.Page // if it is one
}

func (b *browser) do(req *http.Request) answer {
	b.t.Helper()
	res, err := b.c.Do(req)
	if err != nil {
		b.t.Fatal(err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		b.t.Fatal(err)
	}
	a := answer{Response: res, body: string(body)}
	_ = json.Unmarshal(body, &a.page) // not all are pages
	return a
}

func (b *browser) get(to string) answer {
	b.t.Helper()
	req, err := http.NewRequest(http.MethodGet, b.at(to), nil)
	if err != nil {
		b.t.Fatal(err)
	}
	return b.do(req)
}

func (b *browser) at(to string) string {
	if strings.HasPrefix(to, "/") {
		return b.h.server.URL + to
	}
	return to
}

func (b *browser) post(to string, fields ...string) answer {
	b.t.Helper()
	form := url.Values{}
	for i := 0; i < len(fields); i += 2 {
		form.Add(fields[i], fields[i+1])
	}
	req, err := http.NewRequest(http.MethodPost, b.at(to), strings.NewReader(form.Encode()))
	if err != nil {
		b.t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	return b.do(req)
}

// token signs in with a token.
func (b *browser) token(token string) answer {
	b.t.Helper()
	p := b.get(signin.Path).page
	return b.post(signin.Path, signin.FieldForm, p.Form, signin.FieldToken, token, signin.FieldTo, p.To)
}

// cookie is the value of one that the browser would send to the console.
func (b *browser) cookie(name string) string {
	b.t.Helper()
	u, err := url.Parse(b.h.server.URL + "/console/")
	if err != nil {
		b.t.Fatal(err)
	}
	for _, c := range b.c.Jar.Cookies(u) {
		if c.Name == name {
			return c.Value
		}
	}
	return ""
}

func (b *browser) signedIn() bool {
	b.t.Helper()
	return b.get("/console/").StatusCode == http.StatusOK
}

// provider is an OpenID provider. Its fields make it misbehave; they are set between
// requests only.
type provider struct {
	t      *testing.T
	server *httptest.Server
	key    *ecdsa.PrivateKey
	kid    string
	back   string // the redirect URL that is registered
	public bool   // the client has no secret

	claims   map[string]any // of the person
	userInfo map[string]any // nil: there is no such endpoint
	document map[string]any // overrides of the discovery document
	sign     func(claims map[string]any) string
	answers  map[string]http.HandlerFunc // by path, instead of its own
	callback func(url.Values)            // changes what goes to the callback

	mu    sync.Mutex
	codes map[string]url.Values // the requests that they are for
	asked map[string]int        // requests, by path
}

func newProvider(t *testing.T) *provider {
	t.Helper()
	p := &provider{t: t, codes: map[string]url.Values{}, asked: map[string]int{}, answers: map[string]http.HandlerFunc{}, kid: "first", claims: map[string]any{
		"sub": "248289761001", "name": "Ada Lovelace", "email": "ada@example.com", "email_verified": true,
		"roles": []string{"staff", "jira-admins"},
	}}
	p.key = newKey(t)
	p.server = httptest.NewTLSServer(http.HandlerFunc(p.serve))
	t.Cleanup(p.server.Close)
	return p
}

func newKey(t *testing.T) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func (p *provider) options() *signin.Provider {
	roots := x509.NewCertPool()
	roots.AddCert(p.server.Certificate())
	o := &signin.Provider{
		Issuer: p.server.URL, ClientID: clientID, RedirectURL: p.back, Roots: roots,
		Roles: map[string]admin.Role{"jira-admins": admin.RoleAdmin, "auditors": admin.RoleCompliance, "staff": admin.RoleViewer},
	}
	if !p.public {
		o.ClientSecret = secret.New(clientSecret)
	}
	return o
}

func (p *provider) serve(w http.ResponseWriter, r *http.Request) {
	p.mu.Lock()
	p.asked[r.URL.Path]++
	p.mu.Unlock()
	if h := p.answers[r.URL.Path]; h != nil {
		h(w, r)
		return
	}
	switch r.URL.Path {
	case "/.well-known/openid-configuration":
		d := map[string]any{
			"issuer": p.server.URL, "authorization_endpoint": p.server.URL + "/authorize?tenant=1", "token_endpoint": p.server.URL + "/token",
			"jwks_uri": p.server.URL + "/keys", "id_token_signing_alg_values_supported": []string{"ES256", "HS256", "none"},
		}
		if p.userInfo != nil {
			d["userinfo_endpoint"] = p.server.URL + "/userinfo"
		}
		maps.Copy(d, p.document)
		reply(w, d)
	case "/keys":
		reply(w, jose.JSONWebKeySet{Keys: []jose.JSONWebKey{{Key: p.key.Public(), KeyID: p.kid, Algorithm: "ES256", Use: "sig"}}})
	case "/authorize":
		p.authorize(w, r)
	case "/token":
		p.token(w, r)
	case "/userinfo":
		if r.Header.Get("Authorization") != "Bearer "+accessToken {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		reply(w, p.userInfo)
	default:
		http.NotFound(w, r)
	}
}

func reply(w http.ResponseWriter, v any) {
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(v)
}

// authorize is the page where somebody says yes, which they do at once.
func (p *provider) authorize(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	if q.Get("tenant") != "1" || q.Get("response_type") != "code" || q.Get("client_id") != clientID || q.Get("redirect_uri") != p.back ||
		!strings.Contains(q.Get("scope"), "openid") || q.Get("code_challenge_method") != "S256" || len(q.Get("code_challenge")) != 43 ||
		len(q.Get("state")) < 43 || len(q.Get("nonce")) < 43 {
		http.Error(w, "no good request: "+r.URL.RawQuery, http.StatusBadRequest)
		return
	}
	c := code + rand.Text()
	p.mu.Lock()
	p.codes[c] = q
	p.mu.Unlock()
	back := url.Values{"code": {c}, "state": {q.Get("state")}, "iss": {p.server.URL}}
	if p.callback != nil {
		p.callback(back)
	}
	http.Redirect(w, r, p.back+"?"+back.Encode(), http.StatusSeeOther)
}

func (p *provider) token(w http.ResponseWriter, r *http.Request) {
	id, password, basic := r.BasicAuth()
	id, _ = url.QueryUnescape(id) // RFC 6749 section 2.3.1
	password, _ = url.QueryUnescape(password)
	if !basic {
		id, password = r.FormValue("client_id"), r.FormValue("client_secret")
	}
	want := clientSecret
	if p.public {
		want = ""
	}
	c := r.FormValue("code")
	p.mu.Lock()
	q, ok := p.codes[c]
	delete(p.codes, c)
	p.mu.Unlock()
	verifier := sha256.Sum256([]byte(r.FormValue("code_verifier")))
	fits := base64.RawURLEncoding.EncodeToString(verifier[:]) == q.Get("code_challenge")
	switch {
	case id != clientID || password != want:
		refuse(w, "invalid_client")
	case !ok || !fits || r.FormValue("redirect_uri") != p.back || r.FormValue("grant_type") != "authorization_code":
		refuse(w, "invalid_grant")
	default:
		claims := map[string]any{
			"iss": p.server.URL, "aud": clientID, "nonce": q.Get("nonce"),
			"iat": time.Now().Unix(), "exp": time.Now().Add(5 * time.Minute).Unix(),
		}
		maps.Copy(claims, p.claims)
		sign := p.sign
		if sign == nil {
			sign = func(claims map[string]any) string { return p.signed(jose.ES256, p.key, p.kid, claims) }
		}
		reply(w, map[string]any{"access_token": accessToken, "token_type": "Bearer", "refresh_token": "canary-refresh", "id_token": sign(claims)})
	}
}

// refuse has a body that no log may hold.
func refuse(w http.ResponseWriter, code string) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(http.StatusBadRequest)
	_ = json.NewEncoder(w).Encode(map[string]any{"error": code, "error_description": "canary description", "id_token": "canary"})
}

func (p *provider) signed(alg jose.SignatureAlgorithm, key any, kid string, claims any) string {
	p.t.Helper()
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: alg, Key: key}, (&jose.SignerOptions{}).WithType("JWT").WithHeader("kid", kid))
	if err != nil {
		p.t.Error(err)
		return ""
	}
	token, err := jwt.Signed(signer).Claims(claims).Serialize()
	if err != nil {
		p.t.Error(err)
	}
	return token
}

func (p *provider) requests(path string) int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.asked[path]
}

// leave goes to the provider and says yes: what it returns is the way back, which
// the browser hasn't gone yet.
func (b *browser) leave(to string) (callback string) {
	b.t.Helper()
	there := b.get(to)
	if there.StatusCode != http.StatusSeeOther {
		b.t.Fatalf("on the way to the provider: %s %s", there.Status, there.body)
	}
	back := b.get(there.Header.Get("Location"))
	if back.StatusCode != http.StatusSeeOther {
		b.t.Fatalf("at the provider: %s %s", back.Status, back.body)
	}
	return back.Header.Get("Location")
}
