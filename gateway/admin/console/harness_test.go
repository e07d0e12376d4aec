package console_test

import (
	"bytes"
	"context"
	"errors"
	"iter"
	"log/slog"
	"net/http/httptest"
	"net/netip"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"jiragate/gateway"
	"jiragate/gateway/admin"
	"jiragate/gateway/admin/act"
	"jiragate/gateway/admin/console"
	"jiragate/gateway/admin/reporting"
	"jiragate/gateway/admin/signin"
	"jiragate/gateway/audit"
	"jiragate/gateway/audit/activity"
	"jiragate/gateway/audit/checkpoint"
	"jiragate/gateway/audit/report"
	"jiragate/gateway/audit/signer"
	"jiragate/gateway/egress"
	"jiragate/gateway/egress/echo"
	"jiragate/gateway/egress/register"
	"jiragate/policy"
	"jiragate/policy/history"
	"jiragate/tokenstore"
	"jiragate/tokenstore/bolt"
	"jiragate/tokenstore/keyset"
	"jiragate/tokenstore/oauth"
	"jiragate/tokenstore/secret"
)

// canary is part of each secret that goes in. Where it comes out, that is a leak.
const canary = "canary"

const adminToken = "jga_canary-admin-token-0123456789abcdef"

// house is a console as the program serves it: before the real API with a real store
// and a real log, behind the guard, for people of a provider.
type house struct {
	t      testing.TB
	server *httptest.Server
	store  *bolt.Store
	log    *audit.Log
	dir    string // of the log
	board  *activity.Board
	policy *policy.Policy
	people *provider
	clock  *clock
	said   *lines // the program's log
	key    *signer.Key
}

// clock goes ahead when it is told to.
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

// lines is what several goroutines write.
type lines struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// setting changes a house before it opens.
type setting struct {
	secure bool
	// proxied is the name of the console where a proxy ends TLS and passes the name on.
	proxied string
	api     func(*admin.Options)
	hosts   []string
}

func newHouse(t testing.TB, s setting) *house {
	t.Helper()
	h := &house{t: t, dir: filepath.Join(t.TempDir(), "audit"), policy: policy.Default(), people: newProvider(t), clock: &clock{}, said: &lines{}}
	h.server = httptest.NewUnstartedServer(nil)
	keys, err := keyset.New()
	must(t, err)
	h.store, err = bolt.Open(t.Context(), bolt.Options{Path: filepath.Join(t.TempDir(), "store.db"), AEAD: keys})
	must(t, err)
	t.Cleanup(func() { must(t, errors.Join(h.store.Check(context.Background()), h.store.Close())) })
	h.key, err = signer.Open(signer.Options{Path: filepath.Join(t.TempDir(), "key.json"), Sealer: keys, Name: "jiragate/us"})
	must(t, err)
	h.board = activity.New(activity.Options{Now: h.clock.now})
	h.openLog()
	t.Cleanup(func() { must(t, h.log.Close()) })

	scheme := "http://"
	if s.secure {
		scheme = "https://"
	}
	origin := scheme + h.server.Listener.Addr().String()
	if s.proxied != "" {
		origin, s.secure, s.hosts = "https://"+s.proxied, true, append(s.hosts, s.proxied)
	}
	h.people.back = origin + signin.CallbackPath
	logger := slog.New(slog.NewTextHandler(h.said, &slog.HandlerOptions{Level: slog.LevelDebug}))
	o := h.options(logger, origin)
	if s.api != nil {
		s.api(&o)
	}
	api, err := admin.New(o)
	must(t, err)
	t.Cleanup(func() { must(t, api.Wait(context.Background())) })
	pages, err := console.New(console.Options{
		API:     api.InProcess(),
		Signin:  signin.Options{Provider: h.people.options(), Token: secret.New(adminToken), Secure: s.secure, Acts: api.Acts(), Now: h.clock.now, Logger: logger},
		Reasons: map[string]string{"not_granted": "the client may not use this connection"}, PublicURL: "/public/",
		Secure: s.secure, Version: "test", Region: "us", Now: h.clock.now, Logger: logger,
	})
	must(t, err)
	network, err := api.Network(admin.Guard{Token: secret.New(adminToken), Hosts: s.hosts}, pages)
	must(t, err)
	h.server.Config = admin.NewServer(network, slog.NewLogLogger(logger.Handler(), slog.LevelWarn))
	if s.secure && s.proxied == "" {
		h.server.StartTLS()
	} else {
		h.server.Start()
	}
	t.Cleanup(h.server.Close)
	t.Cleanup(api.EndStreams)
	return h
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func (h *house) openLog() {
	h.t.Helper()
	log, err := audit.Open(audit.Options{Dir: h.dir, Sync: audit.SyncBatch, Logger: slog.New(slog.DiscardHandler), Signer: h.key,
		Observe: h.board.Observe})
	must(h.t, err)
	h.log = log
}

// options are those of the API, as the program has them.
func (h *house) options(logger *slog.Logger, origin string) admin.Options {
	h.t.Helper()
	kept := history.New(filepath.Join(h.dir, "policies"))
	must(h.t, kept.Put(h.policy))
	addresses, err := egress.ParseAddresses("52.54.159.237=10.0.1.10")
	must(h.t, err)
	published, err := register.Open(filepath.Join(h.t.TempDir(), "egress.json"), "us")
	must(h.t, err)
	_, err = published.Observe([]netip.Addr{addresses[0].Public}, time.Now())
	must(h.t, err)
	trust := func() (*checkpoint.Trust, error) { return checkpoint.NewTrust(h.key.Verifiers()...) }
	back := origin + "/oauth/callback"
	manager := oauth.New(oauth.Options{Store: h.store, AuthURL: "https://127.0.0.1:1", APIURL: "https://127.0.0.1:1",
		ClientID: "jiragate", ClientSecret: secret.New(canary + "-app-secret"), RedirectURL: back})
	h.t.Cleanup(func() { must(h.t, manager.Close(context.Background())) })
	last := func(of func(string) (activity.Recent, bool)) func(string) (admin.LastCall, bool) {
		return func(name string) (admin.LastCall, bool) {
			r, ok := of(name)
			return admin.LastCall(r.Last), ok
		}
	}
	return admin.Options{
		Store: h.store, Region: tokenstore.RegionUS, Policy: func() *policy.Policy { return h.policy }, Policies: kept,
		Audit: func() (act.Recorder, error) { return h.log, nil },
		Egress: admin.Egress{Addresses: addresses, Register: published, Verify: func(context.Context, []string) (*echo.Report, error) {
			return &echo.Report{Addresses: []echo.AddressReport{{Public: addresses[0].Public, Verdict: echo.VerdictVerified}}}, nil
		}},
		Log: admin.AuditLog{
			Query: func(_ context.Context, f audit.Filter) iter.Seq2[audit.Entry, error] { return audit.Query(h.dir, f) },
			Prove: func(seq uint64) (checkpoint.Proof, error) {
				t, err := trust()
				if err != nil {
					return checkpoint.Proof{}, err
				}
				return audit.Prove(h.dir, seq, t)
			},
			Newest: func() (audit.Signed, error) {
				t, err := trust()
				if err != nil {
					return audit.Signed{}, err
				}
				return audit.NewestCheckpoint(h.dir, t)
			},
			Length: func() (uint64, uint64) { return h.log.Checkpoint() },
			Report: &reporting.Source{Dir: h.dir, Trust: trust, Policy: kept.Get, Version: "test",
				Published: func() ([]report.PublishedAddress, error) { return nil, nil }},
			Watch: h.watch,
			Activity: func(_ context.Context, q admin.ActivityRequest) (admin.Activity, error) {
				s, err := h.board.Series(q.Since, q.Until, q.Step)
				if err != nil {
					return admin.Activity{}, err
				}
				return admin.Activity{Series: s, Refusals: h.board.Refusals(q.Since, q.Until)}, nil
			},
		},
		AuditKey: admin.SigningKey{Open: func() (admin.Signer, error) { return h.key, nil }},
		Explain: func(q admin.ExplainRequest) (admin.Explanation, error) {
			e, err := gateway.Explain(h.store.Directory(), h.policy, tokenstore.RegionUS, "https://api.atlassian.com",
				gateway.Question{Method: q.Method, URL: q.URL, Client: q.Client, Connection: q.Connection})
			return admin.Explanation{Decision: e.Decision, Code: string(e.Code), Operation: e.Operation, Connection: e.Connection, Edition: e.Edition,
				Detail: e.Detail, Sent: e.Sent, Reported: e.Reported, PolicySHA256: e.PolicySHA256}, err
		},
		Probe: func(context.Context, string) (admin.ProbeResult, error) {
			return admin.ProbeResult{OK: true, Status: 200, Account: "Integration <b>"}, nil
		},
		Consenter: manager, RedirectURL: back,
		LastCall: last(h.board.Connection), LastCallOf: last(h.board.Client),
		Version: "test", Now: h.clock.now, Logger: logger,
	}
}

func (h *house) watch(ctx context.Context) (iter.Seq2[audit.Record, uint64], error) {
	events, err := h.board.Watch(ctx)
	if err != nil {
		return nil, err
	}
	return func(yield func(audit.Record, uint64) bool) {
		for e := range events {
			if !yield(e.Record, e.Missed) {
				return
			}
		}
	}, nil
}

// furnish puts a connection of each kind, clients and calls into the house.
func (h *house) furnish() *house {
	h.t.Helper()
	ctx := h.t.Context()
	token := func(s string) secret.Secret { return secret.New(canary + "-" + s) }
	add := func(id string, edition policy.Edition, c tokenstore.Credential) {
		conn := tokenstore.Connection{ID: id, Edition: edition, Region: tokenstore.RegionUS, CredentialKind: c.Kind, Scopes: c.Scopes}
		if edition == policy.Cloud {
			conn.SiteURL, conn.CloudID = "https://"+id+".atlassian.net", "11111111-2222-3333-4444-555555555555"
		} else {
			conn.BaseURL = "https://jira." + id + ".com/jira"
		}
		must(h.t, h.store.AddConnection(ctx, conn, c))
	}
	add("acme", policy.Cloud, tokenstore.Credential{Kind: tokenstore.KindOAuth2, AccessToken: token("access"), RefreshToken: token("refresh"),
		Expiry: time.Now().Add(time.Hour), Scopes: []string{"read:jira-work"}, ConsentedAt: time.Now()})
	add("basic", policy.DataCenter, tokenstore.Credential{Kind: tokenstore.KindBasic, Username: "jiragate", Password: token("password")})
	add("pat", policy.DataCenter, tokenstore.Credential{Kind: tokenstore.KindPAT, Token: token("pat")})
	add("off", policy.DataCenter, tokenstore.Credential{Kind: tokenstore.KindPAT, Token: token("pat")})
	must(h.t, h.store.SetState(ctx, "off", tokenstore.StateDisabled, markup+" said Jira"))
	_, sum := tokenstore.NewToken()
	must(h.t, h.store.AddClient(ctx, tokenstore.Client{Name: "billing", TokenSHA256: sum, Connections: []string{"acme", "basic"}, CertificateSANs: []string{"uri:spiffe://example.com/billing"}}))
	_, sum = tokenstore.NewToken()
	must(h.t, h.store.AddClient(ctx, tokenstore.Client{Name: "reports", TokenSHA256: sum}))
	for n := range 60 {
		h.write(audit.Record{Client: "billing", Connection: "acme", Edition: "cloud", Region: "us", Method: "GET", Operation: "myself.get",
			Path: "/rest/api/3/myself", Decision: audit.DecisionAllow, Status: 200, PolicySHA256: h.policy.SHA256(), DurationMS: float64(n)})
	}
	h.write(audit.Record{Client: "nobody: " + markup, Method: markup, Path: "/" + markup, QueryNames: []string{markup}, Connection: markup, Code: markup,
		ClientAddr: markup, Decision: audit.DecisionDeny, Status: 403, Operation: markup, TraceID: markup, EgressIP: markup, UpstreamAddr: markup, Credential: markup, Edition: markup, Region: markup, PolicySHA256: markup})
	h.write(audit.Record{Client: "reports", Connection: "acme", Method: "DELETE", Path: "/rest/api/3/" + markup, Code: "not_granted", Decision: audit.DecisionDeny, Status: 403})
	h.sign()
	return h
}

// write puts a record into the log.
func (h *house) write(r audit.Record) audit.Record {
	h.t.Helper()
	r, err := h.log.Append(r)
	must(h.t, err)
	return r
}

// sign brings about a checkpoint of all that is there: one is made when a log is closed.
func (h *house) sign() {
	h.t.Helper()
	must(h.t, h.log.Close())
	h.openLog()
}

// records are what is in the log.
func (h *house) records() []audit.Record {
	h.t.Helper()
	var all []audit.Record
	for e, err := range audit.Query(h.dir, audit.Filter{}) {
		must(h.t, err)
		all = append(all, e.Record)
	}
	return all
}
