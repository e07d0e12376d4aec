package admin_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"jiragate/gateway/admin"
	"jiragate/gateway/admin/act"
	"jiragate/gateway/audit"
	"jiragate/policy"
	"jiragate/tokenstore"
	"jiragate/tokenstore/bolt"
	"jiragate/tokenstore/keyset"
	"jiragate/tokenstore/secret"
)

// These must never be in an answer, nor in the log.
const (
	password     = "S3cretPassword"
	accessToken  = "S3cretAccessToken"
	refreshToken = "S3cretRefreshToken"
	adminToken   = "S3cretAdminToken-0123456789-0123456789"
)

func openStore(t *testing.T) (*bolt.Store, *keyset.Keyset) {
	t.Helper()
	keys, err := keyset.New()
	if err != nil {
		t.Fatal(err)
	}
	store, err := bolt.Open(t.Context(), bolt.Options{Path: filepath.Join(t.TempDir(), "store.db"), AEAD: keys})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		// The last context is gone by now.
		if err := errors.Join(store.Check(context.Background()), store.Close()); err != nil {
			t.Error(err)
		}
	})
	return store, keys
}

// operator is who asks over the local face.
func operator(*http.Request) admin.Actor {
	return admin.Actor{Name: "operator:root", Addr: "unix:pid=123"}
}

func local(t *testing.T, o admin.Options) http.Handler {
	t.Helper()
	return described(t, newAPI(t, o).Local(operator))
}

// trail is an audit log that opens with the first act.
type trail struct {
	dir string
	log func() (act.Recorder, error)
}

func newTrail(t testing.TB) trail {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "audit")
	return trail{dir, sync.OnceValues(func() (act.Recorder, error) {
		log, err := audit.Open(audit.Options{Dir: dir, Sync: audit.SyncBatch, Logger: slog.New(slog.DiscardHandler)})
		if err != nil {
			return nil, err
		}
		t.Cleanup(func() {
			if err := log.Close(); err != nil {
				t.Error(err)
			}
		})
		return log, nil
	})}
}

// records are what is in the log.
func (tr trail) records(t *testing.T) []audit.Record {
	t.Helper()
	var all []audit.Record
	for entry, err := range audit.Query(tr.dir, audit.Filter{}) {
		if errors.Is(err, fs.ErrNotExist) {
			return nil // nothing was done yet
		}
		if err != nil {
			t.Fatal(err)
		}
		if bytes.Contains(entry.Raw, []byte("S3cret")) {
			t.Errorf("a record holds a secret: %s", entry.Raw)
		}
		all = append(all, entry.Record)
	}
	return all
}

// lockedLog is a log of several goroutines.
type lockedLog struct {
	mu   sync.Mutex
	text strings.Builder
}

func (l *lockedLog) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *lockedLog) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

func options(t *testing.T, store tokenstore.Store) admin.Options {
	t.Helper()
	var log lockedLog
	t.Cleanup(func() {
		for _, secret := range []string{"S3cret", "jgi_", "jgc_", "PRIVATE KEY"} {
			if text := log.String(); strings.Contains(text, secret) {
				t.Errorf("the log holds a secret (%s):\n%s", secret, text)
			}
		}
	})
	p := policy.Default()
	return admin.Options{
		Logger: textLogger(&log),
		Store:  store,
		Region: tokenstore.RegionUS,
		Audit:  newTrail(t).log,
		Policy: func() *policy.Policy { return p },
		Explain: func(q admin.ExplainRequest) (admin.Explanation, error) {
			return admin.Explanation{Decision: "deny", Detail: q.Method + " " + q.URL, PolicySHA256: p.SHA256()}, nil
		},
		Probe: func(context.Context, string) (admin.ProbeResult, error) {
			return admin.ProbeResult{OK: true, Status: 200, Account: "Integration"}, nil
		},
		Metrics: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "metrics") }),
		Version: "test",
	}
}

// network is the API behind a guard.
func network(t *testing.T, o admin.Options, g admin.Guard, pages ...admin.Pages) http.Handler {
	t.Helper()
	h, err := newAPI(t, o).Network(g, pages...)
	if err != nil {
		t.Fatal(err)
	}
	return described(t, h)
}

func newAPI(t *testing.T, o admin.Options) *admin.API {
	t.Helper()
	api, err := admin.New(o)
	if err != nil {
		t.Fatal(err)
	}
	return api
}

// call sends a request to h and returns status and body. No answer may hold a
// secret that was sent.
func call(t *testing.T, h http.Handler, method, path, body string, change ...func(*http.Request)) (int, string) {
	t.Helper()
	r := httptest.NewRequest(method, path, strings.NewReader(body))
	r.Host = "localhost:8081"
	if body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	for _, c := range change {
		c(r)
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	if strings.Contains(w.Body.String(), "S3cret") {
		t.Errorf("%s %s: the answer holds a secret:\n%s", method, path, w.Body)
	}
	return w.Code, w.Body.String()
}

func wantCode(t *testing.T, body, code string) {
	t.Helper()
	var p admin.Problem
	if err := json.Unmarshal([]byte(body), &p); err != nil || p.Code != code {
		t.Errorf("got %s, want a problem with code %q", body, code)
	}
}

func header(name, value string) func(*http.Request) {
	return func(r *http.Request) { r.Header.Add(name, value) }
}

func host(h string) func(*http.Request) { return func(r *http.Request) { r.Host = h } }

func bearer() func(*http.Request) { return header("Authorization", "Bearer "+adminToken) }

const basicConnection = `{"id": "globex", "edition": "datacenter", "base_url": "https://jira.globex.com/jira",
	"credential": {"kind": "basic", "username": "integration", "password": "` + password + `"}}`

const cloudConnection = `{"id": "acme", "edition": "cloud", "site_url": "https://acme.atlassian.net",
	"cloud_id": "11111111-2222-3333-4444-555555555555", "region": "eu",
	"credential": {"kind": "oauth2", "access_token": "` + accessToken + `", "refresh_token": "` + refreshToken + `",
		"expiry": "2030-01-01T00:00:00Z", "scopes": ["read:jira-work"]}}`

func TestConnectionLifecycle(t *testing.T) {
	store, _ := openStore(t)
	h := local(t, options(t, store))

	status, body := call(t, h, "POST", "/v1/connections", basicConnection)
	var c admin.Connection
	if err := json.Unmarshal([]byte(body), &c); err != nil || status != 201 {
		t.Fatalf("adding: %d %s", status, body)
	}
	if c.Region != "us" || c.State != "active" || c.Credential != "basic" {
		t.Errorf("added: %+v; want the gateway's region, active, basic", c)
	}
	cred, err := store.Credential(t.Context(), "globex")
	if err != nil || cred.Password.Reveal() != password || cred.Username != "integration" {
		t.Errorf("the stored credential is not the one that was sent (%v)", err)
	}

	status, body = call(t, h, "POST", "/v1/connections", basicConnection)
	if wantCode(t, body, admin.CodeExists); status != 409 {
		t.Errorf("adding again: %d", status)
	}
	if status, _ = call(t, h, "POST", "/v1/connections", cloudConnection); status != 201 {
		t.Errorf("adding another: %d", status)
	}
	var list []admin.Connection
	if _, body = call(t, h, "GET", "/v1/connections", ""); json.Unmarshal([]byte(body), &list) != nil || len(list) != 2 || list[0].Region != "eu" {
		t.Errorf("list: %s", body)
	}

	for _, step := range []struct{ action, state string }{{"disable", "disabled"}, {"enable", "active"}} {
		_, body := call(t, h, "POST", "/v1/connections/acme/"+step.action, "")
		if json.Unmarshal([]byte(body), &c) != nil || c.State != step.state {
			t.Errorf("%s: %s", step.action, body)
		}
	}
	if status, body = call(t, h, "POST", "/v1/connections/acme/test", ""); status != 200 || !strings.Contains(body, "Integration") {
		t.Errorf("test: %d %s", status, body)
	}
	if status, _ = call(t, h, "DELETE", "/v1/connections/acme", ""); status != 200 {
		t.Errorf("remove: %d", status)
	}
	for _, request := range []string{"GET /v1/connections/acme", "DELETE /v1/connections/acme", "POST /v1/connections/acme/disable", "POST /v1/connections/acme/test"} {
		method, path, _ := strings.Cut(request, " ")
		status, body := call(t, h, method, path, "")
		if wantCode(t, body, admin.CodeNotFound); status != 404 {
			t.Errorf("%s after removal: %d", request, status)
		}
	}
}

func TestReplacedCredentialEndsReauthorisation(t *testing.T) {
	store, _ := openStore(t)
	h := local(t, options(t, store))
	call(t, h, "POST", "/v1/connections", cloudConnection)
	if err := store.SetState(t.Context(), "acme", tokenstore.StateNeedsReauthorisation, "gone"); err != nil {
		t.Fatal(err)
	}

	body, err := admin.EncodeCredential(tokenstore.Credential{Kind: tokenstore.KindOAuth2, RefreshToken: secret.New("S3cretNewOne")})
	if err != nil {
		t.Fatal(err)
	}
	status, answer := call(t, h, "PUT", "/v1/connections/acme/credential", string(body))
	var c admin.Connection
	if json.Unmarshal([]byte(answer), &c) != nil || status != 200 || c.State != "active" {
		t.Errorf("replacing: %d %s", status, answer)
	}
	cred, err := store.Credential(t.Context(), "acme")
	if err != nil || cred.RefreshToken.Reveal() != "S3cretNewOne" {
		t.Errorf("the new credential is not stored (%v)", err)
	}

	status, answer = call(t, h, "PUT", "/v1/connections/acme/credential", `{"kind": "pat", "token": "S3cret"}`)
	if wantCode(t, answer, admin.CodeInvalid); status != 400 {
		t.Errorf("another kind: %d", status)
	}
}

func TestClientTokenIsShownOnce(t *testing.T) {
	store, _ := openStore(t)
	h := local(t, options(t, store))
	call(t, h, "POST", "/v1/connections", basicConnection)

	issue := func(path, body string) admin.IssuedToken {
		t.Helper()
		status, answer := call(t, h, "POST", path, body)
		var issued admin.IssuedToken
		if err := json.Unmarshal([]byte(answer), &issued); err != nil || status >= 300 {
			t.Fatalf("POST %s: %d %s", path, status, answer)
		}
		return issued
	}
	who := func(token string) string {
		c, ok := store.Directory().ClientByTokenSHA256(tokenstore.TokenSHA256(token))
		if !ok {
			return ""
		}
		return c.Name
	}

	first := issue("/v1/clients", `{"name": "billing", "connections": ["globex", "globex"]}`)
	if len(first.Token) < admin.MinToken || who(first.Token) != "billing" {
		t.Fatalf("the token that was shown does not identify the client")
	}
	for _, path := range []string{"/v1/clients", "/v1/connections", "/readyz", "/v1/policy"} {
		if _, body := call(t, h, "GET", path, ""); strings.Contains(body, first.Token) {
			t.Errorf("GET %s shows the token again", path)
		}
	}
	second := issue("/v1/clients/billing/token", `{}`)
	if who(first.Token) != "" || who(second.Token) != "billing" {
		t.Error("after rotation the old token must identify nobody, the new one the client")
	}
	own := "S3cretBroughtToken-0123456789-0123456789"
	if brought := issue("/v1/clients/billing/token", `{"token": "`+own+`"}`); brought.Token != "" || who(own) != "billing" {
		t.Error("a token that was brought must be stored and not be sent back")
	}

	status, body := call(t, h, "POST", "/v1/clients", `{"name": "second", "token": "S3cret-too-short"}`)
	if wantCode(t, body, admin.CodeInvalid); status != 400 {
		t.Errorf("short token: %d", status)
	}
	status, body = call(t, h, "POST", "/v1/clients", `{"name": "second", "token": "`+own+`"}`)
	if wantCode(t, body, admin.CodeExists); status != 409 {
		t.Errorf("the token of another: %d", status)
	}
	status, body = call(t, h, "POST", "/v1/clients", `{"name": "second", "connections": ["nowhere"]}`)
	if wantCode(t, body, admin.CodeNotFound); status != 404 {
		t.Errorf("granted a connection that there is not: %d", status)
	}
}

func TestGrants(t *testing.T) {
	store, _ := openStore(t)
	h := local(t, options(t, store))
	call(t, h, "POST", "/v1/connections", basicConnection)
	call(t, h, "POST", "/v1/clients", `{"name": "billing"}`)
	granted := func() bool {
		c, _ := store.Directory().Client("billing")
		return c.Granted("globex")
	}
	if granted() {
		t.Fatal("granted without being told")
	}
	if status, body := call(t, h, "PUT", "/v1/clients/billing/grants/globex", ""); status != 204 || !granted() {
		t.Errorf("grant: %d %s", status, body)
	}
	if status, body := call(t, h, "DELETE", "/v1/clients/billing/grants/globex", ""); status != 204 || granted() {
		t.Errorf("revoke: %d %s", status, body)
	}
	for _, path := range []string{"/v1/clients/nobody/grants/globex", "/v1/clients/billing/grants/nowhere"} {
		if status, _ := call(t, h, "PUT", path, ""); status != 404 {
			t.Errorf("PUT %s: %d, want 404", path, status)
		}
	}
	if status, _ := call(t, h, "DELETE", "/v1/clients/billing", ""); status != 204 {
		t.Errorf("remove: %d", status)
	}
}

func TestBodiesAreStrict(t *testing.T) {
	store, _ := openStore(t)
	h := local(t, options(t, store))
	for _, tt := range []struct {
		name, body, contentType string
		status                  int
		code                    string
	}{
		{"unknown member", `{"id": "a", "admin": true}`, "application/json", 400, admin.CodeInvalid},
		{"unknown member deep down", `{"credential": {"kind": "basic", "passwort": "S3cret"}}`, "application/json", 400, admin.CodeInvalid},
		{"second object", basicConnection + "{}", "application/json", 400, admin.CodeInvalid},
		{"wrong type", `{"credential": {"kind": "basic", "password": ["S3cret"]}}`, "application/json", 400, admin.CodeInvalid},
		{"number for a secret", `{"credential": {"kind": "pat", "token": 53}}`, "application/json", 400, admin.CodeInvalid},
		{"not JSON", `S3cret`, "application/json", 400, admin.CodeInvalid},
		{"cut off", `{"id": "S3cret`, "application/json", 400, admin.CodeInvalid},
		{"too large", `{"id": "` + strings.Repeat("S3cret", 100_000) + `"}`, "application/json", 413, admin.CodeTooLarge},
		{"too large behind the object", `{}` + strings.Repeat(" ", 600_000), "application/json", 413, admin.CodeTooLarge},
		{"form", `id=a`, "application/x-www-form-urlencoded", 415, admin.CodeMediaType},
		{"plain text, as a form of another site could send", basicConnection, "text/plain", 415, admin.CodeMediaType},
		{"no content type", basicConnection, "", 415, admin.CodeMediaType},
		{"line break in a password", `{"id": "a", "edition": "datacenter", "base_url": "https://a.example", "credential": {"kind": "basic", "username": "u", "password": "S3cret\n"}}`, "application/json", 400, admin.CodeInvalid},
		{"parts of two kinds", `{"id": "a", "credential": {"kind": "pat", "token": "S3cret", "password": "S3cret"}}`, "application/json", 400, admin.CodeInvalid},
		{"http site", strings.Replace(basicConnection, "https://", "http://", 1), "application/json", 400, admin.CodeInvalid},
		{"region", strings.Replace(cloudConnection, `"eu"`, `"mars"`, 1), "application/json", 400, admin.CodeInvalid},
	} {
		t.Run(tt.name, func(t *testing.T) {
			status, body := call(t, h, "POST", "/v1/connections", tt.body, func(r *http.Request) { r.Header.Set("Content-Type", tt.contentType) })
			if wantCode(t, body, tt.code); status != tt.status {
				t.Errorf("status %d, want %d", status, tt.status)
			}
		})
	}
	if n := len(store.Directory().Connections()); n != 0 {
		t.Errorf("%d connections were added", n)
	}
}

func TestGETChangesNothing(t *testing.T) {
	store, _ := openStore(t)
	h := local(t, options(t, store))
	call(t, h, "POST", "/v1/connections", basicConnection)
	call(t, h, "POST", "/v1/clients", `{"name": "billing", "connections": ["globex"]}`)
	before := store.Directory()
	for _, path := range []string{
		"/v1/connections/globex/disable", "/v1/connections/globex/enable", "/v1/connections/globex/test",
		"/v1/connections/globex/credential", "/v1/clients/billing/token", "/v1/clients/billing/grants/globex",
		"/v1/store/check",
	} {
		for _, method := range []string{"GET", "HEAD"} {
			if status, _ := call(t, h, method, path, ""); status != 404 {
				t.Errorf("%s %s: %d, want 404", method, path, status)
			}
		}
	}
	if store.Directory() != before {
		t.Error("the store has changed")
	}
}

func TestWithoutStore(t *testing.T) {
	o := options(t, nil)
	h := local(t, o)
	status, body := call(t, h, "GET", "/v1/connections", "")
	if wantCode(t, body, admin.CodeNoStore); status != 503 {
		t.Errorf("connections: %d", status)
	}
	status, body = call(t, h, "POST", "/v1/policy/explain", `{"method": "GET", "url": "https://acme.atlassian.net/"}`)
	if status != 200 || !strings.Contains(body, `"decision":"deny"`) {
		t.Errorf("explain needs no store: %d %s", status, body)
	}
}

func TestBackupThatFailsIsNotTakenForWhole(t *testing.T) {
	store, _ := openStore(t)
	server := httptest.NewServer(local(t, options(t, halfBackup{store})))
	defer server.Close()
	resp, err := http.Get(server.URL + "/v1/store/backup")
	if err != nil {
		return // cut before the header: just as well
	}
	defer resp.Body.Close() // read to its end
	if b, err := io.ReadAll(resp.Body); err == nil {
		t.Errorf("the reader got %d bytes and no error", len(b))
	}
}

// halfBackup fails in the middle.
type halfBackup struct{ tokenstore.Store }

func (halfBackup) Backup(_ context.Context, w io.Writer) (int64, error) {
	n, _ := w.Write(make([]byte, 100_000))
	return int64(n), errors.New("disk gone")
}

func TestPanicTellsNothing(t *testing.T) {
	var log strings.Builder
	o := options(t, nil)
	o.Logger = textLogger(&log)
	o.Explain = func(admin.ExplainRequest) (admin.Explanation, error) { panic("S3cret in a panic") }
	status, body := call(t, local(t, o), "POST", "/v1/policy/explain", `{}`)
	if wantCode(t, body, admin.CodeInternal); status != 500 {
		t.Errorf("status %d", status)
	}
	if strings.Contains(log.String(), "S3cret") || !strings.Contains(log.String(), "stack") {
		t.Errorf("log: %s", log.String())
	}
}
