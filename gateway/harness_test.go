package gateway_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"

	"jiragate/certs"
	"jiragate/gateway"
	"jiragate/gateway/audit"
	"jiragate/gateway/egress"
	"jiragate/internal/jirasim"
	"jiragate/policy"
	"jiragate/tokenstore"
	"jiragate/tokenstore/bolt"
	"jiragate/tokenstore/keyset"
	"jiragate/tokenstore/oauth"
	"jiragate/tokenstore/secret"
)

// world is a whole gateway, made of its real parts on a temporary directory,
// with the Jira simulator behind it and clients in front. It has a connection
// of each edition, "acme" (Cloud) and "dc" (Data Center), and the client
// "billing", to which both are granted.
type world struct {
	t           testing.TB
	dir         string
	sim         *jirasim.Sim
	keys        certs.Sealer
	store       *bolt.Store
	gateway     *gateway.Gateway
	options     gateway.Options // of gateway
	audit       *audit.Log
	auditClosed sync.Once
	proxy       string // host:port
	token       string // of billing
	rules       *policy.Policy
	spans       *tracetest.InMemoryExporter
	log         *syncBuffer
	roots       *x509.CertPool // of the gateway's CA
	secrets     []string       // every secret that entered, for the leak check
	repeated    int            // reads that the gateway may have sent a second time
}

// change adjusts a world before it starts.
type change struct {
	sim     func(*jirasim.Options)
	gateway func(*world, *gateway.Options)
	rules   string // narrowing policy
	oauth   func(*oauth.Options)
	wrap    func(net.Listener) net.Listener
	made    func(*gateway.Gateway) // before it serves
}

func newWorld(t testing.TB, c change) *world {
	t.Helper()
	w := &world{t: t, dir: t.TempDir(), spans: tracetest.NewInMemoryExporter(), log: &syncBuffer{}}
	simOptions := jirasim.Options{}
	if c.sim != nil {
		c.sim(&simOptions)
	}
	w.sim = must(jirasim.Start(simOptions))(t)
	t.Cleanup(func() { w.sim.Close() })
	logger := slog.New(slog.NewJSONHandler(w.log, &slog.HandlerOptions{Level: slog.LevelDebug}))

	keys := must(keyset.New())(t)
	w.keys = keys
	w.store = must(bolt.Open(t.Context(), bolt.Options{Path: filepath.Join(w.dir, "store.db"), AEAD: keys}))(t)
	authority := must(certs.Open(certs.Options{Dir: w.dir, Sealer: keys}))(t)
	w.roots = x509.NewCertPool()
	w.roots.AppendCertsFromPEM(authority.RootPEM())
	out := must(egress.New(egress.Options{AllowPrivate: []egress.PrivateNetwork{{Prefix: netip.MustParsePrefix("127.0.0.0/8")}}, Logger: logger}))(t)
	w.audit = must(audit.Open(audit.Options{Dir: filepath.Join(w.dir, "audit"), Sync: audit.SyncBatch, Logger: logger}))(t)

	simRoots := x509.NewCertPool()
	simRoots.AppendCertsFromPEM(w.sim.CAPEM())
	tracing := sdktrace.NewTracerProvider(sdktrace.WithSyncer(w.spans))
	oauthOptions := oauth.Options{
		Store: w.store, AuthURL: w.sim.AuthURL(), APIURL: w.sim.APIURL(),
		ClientID: jirasim.DefaultClientID, ClientSecret: secret.New(jirasim.DefaultClientSecret),
		Transport: func(c *tokenstore.Connection) http.RoundTripper {
			return must(gateway.NewTransport(out, c, simRoots))(t)
		},
		Logger: logger, Tracer: tracing.Tracer("test"),
	}
	if c.oauth != nil {
		c.oauth(&oauthOptions)
	}
	tokens := oauth.New(oauthOptions)
	w.rules = policy.Default()
	if c.rules != "" {
		w.rules = must(policy.New([]byte(c.rules)))(t)
	}
	options := gateway.Options{
		Region: tokenstore.RegionUS, Directory: w.store.Directory,
		Policy:      func() *policy.Policy { return w.rules },
		Credentials: w.store, Tokens: tokens, Issues: w.store, Delete: gateway.DeletePublished,
		Audit: w.audit, Authority: authority, Egress: out, APIURL: w.sim.APIURL(), UpstreamRoots: simRoots,
		TracerProvider: tracing, MeterProvider: sdkmetric.NewMeterProvider(), Logger: logger, Version: "test",
	}
	if c.gateway != nil {
		c.gateway(w, &options)
	}
	w.addConnections()
	w.token = w.addClient("billing", "acme", "dc")
	w.options = options
	w.gateway = must(gateway.New(options))(t)

	l := must(net.Listen("tcp", "127.0.0.1:0"))(t)
	w.proxy = l.Addr().String()
	if c.wrap != nil {
		l = c.wrap(l)
	}
	if c.made != nil {
		c.made(w.gateway)
	}
	served := make(chan error, 1)
	go func() { served <- w.gateway.Serve(l) }()
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		if err := w.gateway.Shutdown(ctx); err != nil {
			t.Errorf("shut down: %v", err)
		}
		if err := <-served; err != http.ErrServerClosed {
			t.Errorf("Serve returned %v", err)
		}
		if err := tokens.Close(ctx); err != nil {
			t.Errorf("close tokens: %v", err)
		}
		w.closeAudit()
		if err := w.store.Close(); err != nil {
			t.Errorf("close store: %v", err)
		}
		w.checkInvariants()
	})
	return w
}

// closeAudit closes the log once.
func (w *world) closeAudit() {
	w.auditClosed.Do(func() {
		if err := w.audit.Close(); err != nil {
			w.t.Errorf("close audit log: %v", err)
		}
	})
}

func (w *world) addConnections() {
	w.t.Helper()
	grant := w.sim.IssueGrant(jirasim.DefaultScopes()...)
	w.secrets = append(w.secrets, grant.AccessToken, grant.RefreshToken, jirasim.DefaultPassword, jirasim.DefaultClientSecret)
	w.addConnection(tokenstore.Connection{
		ID: "acme", Edition: policy.Cloud, SiteURL: w.sim.SiteURL(), CloudID: w.sim.CloudID(),
		Region: tokenstore.RegionUS, CredentialKind: tokenstore.KindOAuth2, Scopes: jirasim.DefaultScopes(),
	}, tokenstore.Credential{
		Kind: tokenstore.KindOAuth2, AccessToken: secret.New(grant.AccessToken), RefreshToken: secret.New(grant.RefreshToken),
		Expiry: time.Now().Add(time.Hour), Scopes: jirasim.DefaultScopes(),
	})
	w.addConnection(tokenstore.Connection{
		ID: "dc", Edition: policy.DataCenter, BaseURL: w.sim.DataCenterURL(),
		Region: tokenstore.RegionUS, CredentialKind: tokenstore.KindBasic, UpstreamCA: string(w.sim.CAPEM()),
	}, tokenstore.Credential{
		Kind: tokenstore.KindBasic, Username: jirasim.DefaultUsername, Password: secret.New(jirasim.DefaultPassword),
	})
}

func (w *world) addConnection(c tokenstore.Connection, credential tokenstore.Credential) {
	w.t.Helper()
	if err := w.store.AddConnection(w.t.Context(), c, credential); err != nil {
		w.t.Fatal(err)
	}
}

// addClient adds a client and returns its token.
func (w *world) addClient(name string, connections ...string) string {
	w.t.Helper()
	token, sum := tokenstore.NewToken()
	if err := w.store.AddClient(w.t.Context(), tokenstore.Client{Name: name, TokenSHA256: sum, Connections: connections}); err != nil {
		w.t.Fatal(err)
	}
	w.secrets = append(w.secrets, token.Reveal())
	return token.Reveal()
}

// client is an ordinary HTTPS client of the proxy, as user:token.
func (w *world) client(user, token string) *http.Client {
	proxy := &url.URL{Scheme: "http", User: url.UserPassword(user, token), Host: w.proxy}
	protocols := new(http.Protocols)
	protocols.SetHTTP1(true)
	protocols.SetHTTP2(true)
	t := &http.Transport{
		Proxy: http.ProxyURL(proxy), TLSClientConfig: &tls.Config{RootCAs: w.roots}, Protocols: protocols, DisableCompression: true,
	}
	w.t.Cleanup(t.CloseIdleConnections)
	return &http.Client{Transport: t, Timeout: 20 * time.Second, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
}

// direct is a way to Jira past the gateway.
func (w *world) direct() http.RoundTripper {
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(w.sim.CAPEM())
	t := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots}}
	w.t.Cleanup(t.CloseIdleConnections)
	return t
}

func (w *world) billing() *http.Client { return w.client("billing", w.token) }

// reply is an answer as its client saw it.
type reply struct {
	*http.Response
	body    string
	problem struct {
		Type, Title, Detail, Code, Operation, Connection, Record string
		Status                                                   int
		TraceID                                                  string `json:"trace_id"`
	}
}

// call makes one call and reads its answer whole.
func (w *world) call(c *http.Client, method, url, body string, fields ...string) reply {
	w.t.Helper()
	r, err := w.try(c, method, url, body, fields...)
	if err != nil {
		w.t.Fatalf("%s %s: %v", method, url, err)
	}
	return r
}

func (w *world) try(c *http.Client, method, url, body string, fields ...string) (reply, error) {
	w.t.Helper()
	request := must(http.NewRequestWithContext(w.t.Context(), method, url, strings.NewReader(body)))(w.t)
	if body != "" {
		request.Header.Set("Content-Type", "application/json")
	}
	for i := 0; i+1 < len(fields); i += 2 {
		if fields[i] == "Content-Type" {
			request.Header.Del(fields[i])
		}
		request.Header.Add(fields[i], fields[i+1])
	}
	response, err := c.Do(request)
	if err != nil {
		return reply{}, err
	}
	defer response.Body.Close()
	b, err := io.ReadAll(response.Body)
	r := reply{Response: response, body: string(b)}
	if response.Header.Get("Content-Type") == "application/problem+json" && method != http.MethodHead {
		if err := json.Unmarshal(b, &r.problem); err != nil {
			w.t.Fatalf("%s %s: problem document: %v\n%s", method, url, err, b)
		}
	}
	return r, err
}

// raw sends bytes over a plain connection to the proxy and returns what comes
// back until it is closed.
func (w *world) raw(message string) string {
	w.t.Helper()
	conn := must(net.Dial("tcp", w.proxy))(w.t)
	defer conn.Close()
	return exchange(w.t, conn, message)
}

func exchange(t testing.TB, conn net.Conn, message string) string {
	t.Helper()
	_ = conn.SetDeadline(time.Now().Add(10 * time.Second))
	// The gateway may answer and close before it has read everything.
	_, _ = io.WriteString(conn, message)
	b, err := io.ReadAll(conn)
	if err != nil && len(b) == 0 {
		t.Logf("read: %v", err)
	}
	return string(b)
}

// tunnel opens an intercepted tunnel by hand, to send through it what no HTTP
// library would.
func (w *world) tunnel(authority, serverName string, alpn ...string) *tls.Conn {
	w.t.Helper()
	return w.tunnelOn(must(net.Dial("tcp", w.proxy))(w.t), authority, serverName, alpn...)
}

// tunnelOn is tunnel on a connection of the caller's.
func (w *world) tunnelOn(conn net.Conn, authority, serverName string, alpn ...string) *tls.Conn {
	w.t.Helper()
	return tls.Client(w.connected(conn, authority), &tls.Config{RootCAs: w.roots, ServerName: serverName, NextProtos: alpn})
}

// connected is what is in the tunnel after a CONNECT.
func (w *world) connected(conn net.Conn, authority string) net.Conn {
	w.t.Helper()
	w.t.Cleanup(func() { conn.Close() })
	_ = conn.SetDeadline(time.Now().Add(10 * time.Second))
	io.WriteString(conn, "CONNECT "+authority+" HTTP/1.1\r\nHost: "+authority+"\r\nProxy-Authorization: "+basic("billing", w.token)+"\r\n\r\n")
	status := make([]byte, len("HTTP/1.1 200 Connection established\r\n\r\n"))
	if _, err := io.ReadFull(conn, status); err != nil || !bytes.HasPrefix(status, []byte("HTTP/1.1 200")) {
		w.t.Fatalf("CONNECT %s: %q, %v", authority, status, err)
	}
	return conn
}

func basic(user, password string) string {
	r := http.Request{Header: http.Header{}}
	r.SetBasicAuth(user, password)
	return r.Header.Get("Authorization")
}

// records are the call records so far. A line counts from its newline on: what comes
// before it can be read while it is being written.
func (w *world) records() []audit.Record {
	w.t.Helper()
	var all []audit.Record
	for _, path := range must(filepath.Glob(filepath.Join(w.dir, "audit", "*.jsonl")))(w.t) {
		for line := range bytes.Lines(must(os.ReadFile(path))(w.t)) {
			if !bytes.HasSuffix(line, []byte("\n")) {
				break
			}
			var r audit.Record
			if err := json.Unmarshal(line, &r); err != nil {
				w.t.Fatalf("%s: %v\n%s", path, err, line)
			}
			all = append(all, r)
		}
	}
	return all
}

// record waits for the record with this id, or the newest of that code.
func (w *world) record(match func(audit.Record) bool) audit.Record {
	w.t.Helper()
	for range 200 {
		for _, r := range w.records() {
			if match(r) {
				return r
			}
		}
		time.Sleep(10 * time.Millisecond)
	}
	w.t.Fatalf("no such record among %+v", w.records())
	return audit.Record{}
}

// checkInvariants holds at the end of every test: the log verifies, no call
// reached Jira without a record that allowed it, and no secret is in anything
// that was written.
func (w *world) checkInvariants() {
	w.t.Helper()
	if _, err := audit.Verify(filepath.Join(w.dir, "audit"), audit.VerifyOptions{}); err != nil {
		w.t.Errorf("the audit log does not verify: %v", err)
	}
	allowed := 0
	records := w.records()
	for _, r := range records {
		if r.Decision == "allow" {
			allowed++
		}
	}
	reached := 0
	for _, r := range w.sim.Requests() {
		if r.Origin != jirasim.AuthServer {
			reached++
		}
	}
	if reached > allowed+w.repeated {
		w.t.Errorf("%d calls reached Jira, %d records allow one, %d reads may have been repeated", reached, allowed, w.repeated)
	}
	outputs := map[string]string{"log": w.log.String()}
	outputs["spans"] = string(must(json.Marshal(w.spans.GetSpans()))(w.t))
	for _, path := range must(filepath.Glob(filepath.Join(w.dir, "*", "*")))(w.t) {
		outputs[path] = string(must(os.ReadFile(path))(w.t))
	}
	outputs["store"] = string(must(os.ReadFile(filepath.Join(w.dir, "store.db")))(w.t))
	for name, text := range outputs {
		for _, s := range w.secrets {
			if strings.Contains(text, s) || strings.Contains(text, strings.TrimPrefix(basic(jirasim.DefaultUsername, s), "Basic ")) {
				w.t.Errorf("%s holds a secret", name)
			}
		}
	}
}

// nothingSent asserts that no credential reached Jira.
func (w *world) nothingSent() {
	w.t.Helper()
	for _, r := range w.sim.Requests() {
		if r.Origin != jirasim.AuthServer {
			w.t.Errorf("reached Jira: %s %s, with Authorization: %v", r.Method, r.RequestURI, r.Authorization() != "")
		}
	}
}

type syncBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *syncBuffer) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

func (s *syncBuffer) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}

func must[T any](v T, err error) func(testing.TB) T {
	return func(t testing.TB) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

func itoa(n int) string { return strconv.Itoa(n) }

func hex(n int) string { return strconv.FormatInt(int64(n), 16) }

func tlsClient(c net.Conn, w *world, serverName string) *tls.Conn {
	return tls.Client(c, &tls.Config{RootCAs: w.roots, ServerName: serverName})
}
