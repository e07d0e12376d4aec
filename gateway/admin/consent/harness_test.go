package consent_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/net/html"

	"jiragate/gateway/admin/act"
	"jiragate/gateway/admin/consent"
	"jiragate/gateway/audit"
	"jiragate/policy"
	"jiragate/tokenstore"
	"jiragate/tokenstore/bolt"
	"jiragate/tokenstore/keyset"
	"jiragate/tokenstore/oauth"
	"jiragate/tokenstore/secret"
)

const (
	redirectURL = "https://gate.example/jira/oauth/callback"
	acmeSite    = "https://acme.atlassian.net"
	acmeID      = "11111111-2222-3333-4444-555555555555"
	otherID     = "99999999-2222-3333-4444-555555555555"
	// code is in each answer of the provider, and never anywhere else.
	code = "S3cretCode"
)

// provider stands for an oauth.Manager and what is behind it.
type provider struct {
	store tokenstore.Store

	mu        sync.Mutex
	serial    int
	states    []string // of all consents, none of which may show
	beginErr  error
	finishErr error
	sites     []oauth.Site
	connect   func(*oauth.Granted, oauth.Site) error // instead of storing
	answers   []url.Values
	finishing func() // is called at the beginning of FinishConsent
	connected int
}

func (p *provider) BeginConsent(_ context.Context, connection string) (*oauth.Consent, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.beginErr != nil {
		return nil, p.beginErr
	}
	c, ok := p.store.Directory().Connection(connection)
	if !ok {
		return nil, tokenstore.ErrNotFound
	}
	p.serial++
	state := fmt.Sprintf("S3cretState-%s-%d", connection, p.serial)
	p.states = append(p.states, state)
	return &oauth.Consent{
		Connection: connection, Incarnation: c.Incarnation, State: state,
		URL: "https://auth.example/authorize?state=" + state,
	}, nil
}

func (p *provider) FinishConsent(_ context.Context, c *oauth.Consent, answer url.Values) (*oauth.Granted, error) {
	if p.finishing != nil {
		p.finishing()
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.answers = append(p.answers, answer)
	switch {
	case p.finishErr != nil:
		return nil, p.finishErr
	case answer.Get("state") != c.State:
		return nil, oauth.ErrStateMismatch
	case answer.Get("error") == "access_denied":
		return nil, oauth.ErrConsentDenied
	case answer.Get("code") != code:
		return nil, oauth.ErrCodeRefused
	}
	return &oauth.Granted{Consent: c, Sites: p.sites, Credential: tokenstore.Credential{
		Kind: tokenstore.KindOAuth2, AccessToken: secret.New("S3cretAccess"), RefreshToken: secret.New("S3cretRefresh"),
	}}, nil
}

func (p *provider) Connect(ctx context.Context, g *oauth.Granted, site oauth.Site) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.connected++
	if p.connect != nil {
		if err := p.connect(g, site); err != nil {
			return err
		}
	}
	err := p.store.UpdateConnection(ctx, g.Connection, func(c *tokenstore.Connection) error {
		if c.Edition == policy.Cloud {
			c.SiteURL, c.CloudID = site.URL, site.ID
		}
		return nil
	})
	if err != nil {
		return err
	}
	old, err := p.store.Credential(ctx, g.Connection)
	if err != nil {
		return err
	}
	cred := g.Credential
	cred.ClientID, cred.ClientSecret, cred.RedirectURL = old.ClientID, old.ClientSecret, old.RedirectURL
	return p.store.ReplaceCredential(ctx, g.Connection, old.Generation, cred)
}

// harness is a Flow with everything real around it but the provider.
type harness struct {
	*provider
	flow     *consent.Flow
	auditDir string
	auditErr error

	mu     sync.Mutex
	now    time.Time
	tested consent.Tested
	log    bytes.Buffer
}

func newHarness(t *testing.T, changes ...func(*consent.Options)) *harness {
	t.Helper()
	keys, err := keyset.New()
	if err != nil {
		t.Fatal(err)
	}
	store, err := bolt.Open(t.Context(), bolt.Options{Path: filepath.Join(t.TempDir(), "store.db"), AEAD: keys})
	if err != nil {
		t.Fatal(err)
	}
	h := &harness{
		provider: &provider{store: store, sites: []oauth.Site{{ID: acmeID, URL: acmeSite, Name: "Acme"}}},
		auditDir: filepath.Join(t.TempDir(), "audit"),
		now:      time.Date(2026, 11, 24, 10, 0, 0, 0, time.UTC),
		tested:   consent.Tested{OK: true, Account: "Ada <b>Admin</b>"},
	}
	log, err := audit.Open(audit.Options{Dir: h.auditDir, Sync: audit.SyncBatch, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	logger := slog.New(slog.NewTextHandler(&lockedWriter{w: &h.log}, nil))
	o := consent.Options{
		Store: store, Consenter: h.provider, RedirectURL: redirectURL,
		Test: func(context.Context, string) (consent.Tested, error) { return h.tested, nil },
		Acts: &act.Journal{
			Open: func() (act.Recorder, error) {
				if h.auditErr != nil {
					return nil, h.auditErr
				}
				return log, nil
			},
			PolicySHA256: func() string { return "policy" },
			Now:          h.clock,
			Logger:       logger,
		},
		Now: h.clock, Logger: logger,
	}
	for _, change := range changes {
		change(&o)
	}
	if h.flow, err = consent.New(o); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		for _, r := range h.records(t) {
			h.wantNoSecret(t, "a record", fmt.Sprintf("%+v", r))
		}
		h.wantNoSecret(t, "the log", h.log.String())
		if err := errors.Join(store.Check(context.Background()), store.Close(), log.Close()); err != nil {
			t.Error(err)
		}
	})
	return h
}

type lockedWriter struct {
	mu sync.Mutex
	w  io.Writer
}

func (l *lockedWriter) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.w.Write(p)
}

func (h *harness) clock() time.Time {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.now
}

func (h *harness) advance(d time.Duration) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.now = h.now.Add(d)
}

// addCloud adds a connection that waits for consent. An empty site is one that the
// consent is to tell.
func (h *harness) addCloud(t *testing.T, id, site string) {
	t.Helper()
	c := tokenstore.Connection{ID: id, Edition: policy.Cloud, SiteURL: site, Region: tokenstore.RegionUS, CredentialKind: tokenstore.KindOAuth2}
	if err := h.store.AddConnection(t.Context(), c, tokenstore.Credential{Kind: tokenstore.KindOAuth2}); err != nil {
		t.Fatal(err)
	}
}

func (h *harness) addDataCenter(t *testing.T, id string) {
	t.Helper()
	c := tokenstore.Connection{ID: id, Edition: policy.DataCenter, BaseURL: "https://jira.globex.com/jira", Region: tokenstore.RegionUS, CredentialKind: tokenstore.KindOAuth2}
	err := h.store.AddConnection(t.Context(), c, tokenstore.Credential{
		Kind: tokenstore.KindOAuth2, ClientID: "client", ClientSecret: secret.New("S3cretClient"), RedirectURL: redirectURL,
	})
	if err != nil {
		t.Fatal(err)
	}
}

// invite returns the path and query of a link, as a browser asks for it behind the
// proxy that adds /jira.
func (h *harness) invite(t *testing.T, id string) string {
	t.Helper()
	i, link := consent.NewInvitation(redirectURL, id, h.clock().Add(7*24*time.Hour))
	if err := h.store.Invite(t.Context(), i); err != nil {
		t.Fatal(err)
	}
	path, ok := strings.CutPrefix(link.Reveal(), "https://gate.example/jira")
	if !ok || !strings.HasPrefix(path, "/oauth/start?invitation="+id+"~jgi_") {
		t.Fatal("the link is not beside the redirect URL")
	}
	return path
}

// records are those of the acts so far.
func (h *harness) records(t *testing.T) []audit.Record {
	t.Helper()
	var all []audit.Record
	for entry, err := range audit.Query(h.auditDir, audit.Filter{}) {
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, entry.Record)
	}
	return all
}

func (h *harness) wantNoSecret(t *testing.T, what, text string) {
	t.Helper()
	for _, s := range []string{"S3cret", "jgi_", "invitation="} {
		if strings.Contains(text, s) {
			t.Errorf("%s holds a secret (%s):\n%s", what, s, text)
		}
	}
}

// browser keeps cookies, and looks at each page as a critic.
type browser struct {
	h       *harness
	cookies map[string]string
}

func (h *harness) browser() *browser { return &browser{h: h, cookies: map[string]string{}} }

// view is what came back.
type view struct {
	status    int
	header    http.Header
	body      string
	text      string // of the page, without markup
	reference string
	inputs    map[string][]string
}

func (b *browser) do(t *testing.T, method, target string, form url.Values, edits ...func(*http.Request)) view {
	t.Helper()
	r := httptest.NewRequest(method, target, strings.NewReader(form.Encode()))
	if form != nil {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		r.Header.Set("Sec-Fetch-Site", "same-origin")
	}
	for name, value := range b.cookies {
		r.AddCookie(&http.Cookie{Name: name, Value: value})
	}
	for _, edit := range edits {
		edit(r)
	}
	w := httptest.NewRecorder()
	b.h.flow.ServeHTTP(w, r)
	for _, c := range w.Result().Cookies() {
		b.cookies[c.Name] = c.Value
	}
	v := view{status: w.Code, header: w.Result().Header, body: w.Body.String()}
	b.h.wantNoSecret(t, method+" "+r.URL.Path, v.body)
	for name, want := range map[string]string{
		"Cache-Control":           "no-store",
		"Referrer-Policy":         "no-referrer",
		"X-Content-Type-Options":  "nosniff",
		"Content-Security-Policy": "default-src 'none'; style-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
	} {
		if got := v.header.Get(name); got != want {
			t.Errorf("%s %s: %s is %q, want %q", method, r.URL.Path, name, got, want)
		}
	}
	if v.status != http.StatusSeeOther {
		v.read(t)
	} else if v.body != "" {
		t.Errorf("a redirect has a body: %s", v.body)
	}
	return v
}

func (b *browser) get(t *testing.T, target string) view {
	t.Helper()
	return b.do(t, http.MethodGet, target, nil)
}

// start opens a link and returns the state that the browser is sent on with.
func (b *browser) start(t *testing.T, link string) string {
	t.Helper()
	v := b.get(t, link)
	to, err := url.Parse(v.header.Get("Location"))
	if v.status != http.StatusSeeOther || err != nil || to.Host != "auth.example" {
		t.Fatalf("start: %d %s %s", v.status, v.header.Get("Location"), v.text)
	}
	return to.Query().Get("state")
}

func callback(state string) string {
	return "/oauth/callback?" + url.Values{"state": {state}, "code": {code}}.Encode()
}

// read takes the page apart, and checks what must hold for each: language, one
// heading, labels, nothing active, nothing inline, and a reference.
func (v *view) read(t *testing.T) {
	t.Helper()
	if got := v.header.Get("Content-Type"); got != "text/html; charset=utf-8" {
		t.Errorf("content type %q", got)
	}
	root, err := html.Parse(strings.NewReader(v.body))
	if err != nil {
		t.Fatal(err)
	}
	v.inputs = map[string][]string{}
	count := map[string]int{}
	labelled := map[string]bool{}
	var ids []string
	var text strings.Builder
	for n := range root.Descendants() {
		switch n.Type {
		case html.TextNode:
			text.WriteString(n.Data)
		case html.ElementNode:
			count[n.Data]++
			at := map[string]string{}
			for _, a := range n.Attr {
				at[a.Key] = a.Val
				if strings.HasPrefix(a.Key, "on") || a.Key == "style" {
					t.Errorf("<%s> has the attribute %s", n.Data, a.Key)
				}
			}
			switch n.Data {
			case "html":
				if at["lang"] != "en" {
					t.Error("the page says no language")
				}
			case "label":
				labelled[at["for"]] = true
			case "input":
				v.inputs[at["name"]] = append(v.inputs[at["name"]], at["value"])
				if at["type"] != "hidden" {
					ids = append(ids, at["id"])
				}
			case "code":
				v.reference = n.FirstChild.Data
			case "link":
				if at["href"] != "style.css" {
					t.Errorf("the page links to %s", at["href"])
				}
			}
		}
	}
	v.text = strings.Join(strings.Fields(text.String()), " ")
	for _, tag := range []string{"script", "style", "iframe", "img", "object", "b"} {
		if count[tag] > 0 {
			t.Errorf("the page has a <%s>", tag)
		}
	}
	if count["h1"] != 1 || count["main"] != 1 || count["title"] != 1 {
		t.Errorf("the page has %d h1, %d main, %d title", count["h1"], count["main"], count["title"])
	}
	for _, id := range ids {
		if !labelled[id] {
			t.Errorf("input %q has no label", id)
		}
	}
	if v.reference == "" || !strings.Contains(v.text, "jiragate gateway") {
		t.Error("the page says no reference, or not who it is")
	}
}

func wantText(t *testing.T, v view, status int, texts ...string) {
	t.Helper()
	if v.status != status {
		t.Errorf("status %d, want %d", v.status, status)
	}
	for _, want := range texts {
		if !strings.Contains(v.text, want) {
			t.Errorf("the page lacks %q:\n%s", want, v.text)
		}
	}
}

// wantRecord checks the record that the page refers to.
func (h *harness) wantRecord(t *testing.T, v view, decision, code string) {
	t.Helper()
	all := h.records(t)
	i := slices.IndexFunc(all, func(r audit.Record) bool { return r.ID == v.reference })
	if i < 0 {
		t.Errorf("there is no record %s", v.reference)
		return
	}
	r := all[i]
	if r.Decision != decision || r.Code != code || r.Status != v.status || r.Operation != consent.Operation ||
		r.Client != "customer:"+r.Connection || r.ClientAddr != "192.0.2.1:1234" || len(r.QueryNames) > 0 || strings.Contains(r.Path, "?") {
		t.Errorf("record %+v, want %s %q with status %d", r, decision, code, v.status)
	}
}
