package cli

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"jiragate/gateway"
	"jiragate/gateway/admin"
	"jiragate/internal/etcdlab"
	"jiragate/internal/jirasim"
	"jiragate/tokenstore"
)

// gateways are those that share a store in etcd and call a simulated Jira.
type gateways struct {
	t       *testing.T
	sim     *jirasim.Sim
	cluster *etcdlab.Cluster
	shared  []string // settings that all have
	token   string   // of the client billing
}

func newGateways(t *testing.T) *gateways {
	t.Helper()
	sim, err := jirasim.Start(jirasim.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = sim.Close() }) // ends with the test
	cluster := etcdlab.Start(t, etcdlab.Options{Auth: true, NoFsync: true})
	dir := t.TempDir()
	ca, password := filepath.Join(dir, "ca.pem"), filepath.Join(dir, "password")
	place(t, ca, string(sim.CAPEM()))
	place(t, password, cluster.Password())
	var members []string
	for _, e := range cluster.Endpoints() {
		members = append(members, strings.TrimPrefix(e, "https://"))
	}
	return &gateways{t: t, sim: sim, cluster: cluster, shared: []string{
		"JIRAGATE_UPSTREAM_CA_FILE=" + ca, "JIRAGATE_EGRESS_ALLOW_PRIVATE=127.0.0.0/8", "JIRAGATE_EGRESS=198.51.100.7=127.0.0.1",
		"JIRAGATE_KEY_URI=file:" + filepath.Join(dir, "keyset.json"),
		"JIRAGATE_STORE=etcd://" + strings.Join(members, ",") + cluster.Prefix() + "fleet", "JIRAGATE_STORE_CA_FILE=" + cluster.CAFile(),
		"JIRAGATE_STORE_USER=" + cluster.User(), "JIRAGATE_STORE_PASSWORD_FILE=" + password,
	}}
}

// start starts a gateway of that name. The first one gets the connection globex and the client
// billing.
func (f *gateways) start(node string, more ...string) (*Server, *syncBuffer) {
	f.t.Helper()
	c, environ := testConfig(f.t, append(append(more, "JIRAGATE_NODE="+node), f.shared...)...)
	s, log := startServer(f.t, c)
	if f.token == "" {
		mustRun(f.t, environ, jirasim.DefaultPassword, "connection", "add", "globex", "--edition", "datacenter", "--base-url", f.sim.DataCenterURL(),
			"--auth", "basic", "--username", jirasim.DefaultUsername, "--secret-file", "-")
		var issued admin.IssuedToken
		if err := json.Unmarshal([]byte(mustRun(f.t, environ, "", "client", "add", "billing", "--connection", "globex", "--output", "json")), &issued); err != nil {
			f.t.Fatal(err)
		}
		f.token = issued.Token
	}
	return s, log
}

// client is billing, by way of one of the gateways.
func (f *gateways) client(s *Server) *http.Client {
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(s.RootPEM())
	transport := &http.Transport{
		Proxy:           http.ProxyURL(&url.URL{Scheme: "http", Host: s.ProxyAddr(), User: url.UserPassword("billing", f.token)}),
		TLSClientConfig: &tls.Config{RootCAs: roots},
	}
	f.t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport, Timeout: 20 * time.Second}
}

// call reads who the account is; code is that of a refusal.
func (f *gateways) call(client *http.Client) (status int, wait int, code string) {
	f.t.Helper()
	resp, err := client.Get(f.sim.DataCenterURL() + "/rest/api/2/myself")
	if err != nil {
		f.t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		f.t.Fatal(err)
	}
	var problem struct{ Code string }
	_ = json.Unmarshal(body, &problem) // Jira's answers are others
	wait, _ = strconv.Atoi(resp.Header.Get("Retry-After"))
	return resp.StatusCode, wait, problem.Code
}

// What Jira has asked one gateway to wait for another one doesn't ask.
func TestAPauseIsTheFleets(t *testing.T) {
	f := newGateways(t)
	a, _ := f.start("a")
	b, log := f.start("b")
	atA, atB := f.client(a), f.client(b)
	if status, _, code := f.call(atB); status != 200 {
		t.Fatalf("before: %d %s\n%s", status, code, log)
	}
	f.sim.Fault(jirasim.Fault{Kind: jirasim.RateLimit, Times: 1, Delay: 10 * time.Minute})
	if status, _, _ := f.call(atA); status != 429 {
		t.Fatalf("Jira's own answer: %d", status)
	}
	eventually(t, "b learns of it", func() bool {
		paused := scrape(t, b)["jiragate_pace_paused"]
		return paused != nil && paused.series["jiragate_pace_paused{}"] == 1
	})
	before := len(f.sim.Requests())
	status, wait, code := f.call(atB)
	if status != 429 || code != string(gateway.CodeJiraAskedToWait) || wait < 500 || wait > 600 {
		t.Errorf("%d %s, Retry-After %d", status, code, wait)
	}
	if after := len(f.sim.Requests()); after != before {
		t.Errorf("b has asked Jira %d times", after-before)
	}
	// One that starts later keeps it, too.
	c, _ := f.start("c")
	if status, _, code := f.call(f.client(c)); status != 429 || code != string(gateway.CodeJiraAskedToWait) {
		t.Errorf("one that starts later: %d %s", status, code)
	}
}

// Of all gateways one tells the product, and the next one when that has ended.
func TestTheProductIsToldOnce(t *testing.T) {
	f := newGateways(t)
	product := startProduct(t)
	secret := filepath.Join(t.TempDir(), "webhook-secret")
	place(t, secret, product.secret+"\n")
	f.shared = append(f.shared, "JIRAGATE_WEBHOOK_URL="+product.url, "JIRAGATE_WEBHOOK_SECRET_FILE="+secret)
	a, _ := f.start("a")
	product.knows(t, "globex", "active")
	b, log := f.start("b")
	times := func(state tokenstore.State) (n int) {
		product.mu.Lock()
		defer product.mu.Unlock()
		for _, m := range product.told {
			if m.Data.Connection == "globex" && m.Data.State == state {
				n++
			}
		}
		return n
	}
	set := func(s *Server, state tokenstore.State) {
		if err := s.foundation.store.SetState(t.Context(), "globex", state, "because of a test"); err != nil {
			t.Fatal(err)
		}
	}
	set(b, tokenstore.StateDisabled)
	product.knows(t, "globex", "disabled")
	eventually(t, "it is noted", func() bool {
		told, err := b.foundation.store.Announced(t.Context())
		return err == nil && len(told) == 1 && told[0].State == tokenstore.StateDisabled
	})
	if strings.Contains(log.String(), "webhook delivered") {
		t.Error("b tells, too")
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	if err := a.Close(ctx); err != nil {
		t.Fatal(err)
	}
	eventually(t, "b is on duty", b.foundation.store.onDutyFor(dutyWebhooks, b.config.Region))
	set(b, tokenstore.StateActive)
	eventually(t, "b tells", func() bool { return strings.Contains(log.String(), "webhook delivered") })
	if active, disabled := times(tokenstore.StateActive), times(tokenstore.StateDisabled); active != 2 || disabled != 1 {
		t.Errorf("told %d and %d times", active, disabled)
	}
}

// While etcd is away, the gateway is ready and says so in metrics; the age of what it knows tells
// this from a store that is there.
func TestAStoreThatIsAwayIsMeasured(t *testing.T) {
	f := newGateways(t)
	s, log := f.start("a")
	value := func(name, series string) float64 {
		m := scrape(t, s)[name]
		if m == nil {
			t.Fatalf("there is no %s", name)
		}
		return m.series[series]
	}
	age := func() float64 {
		return value("jiragate_store_confirmation_age_seconds", "jiragate_store_confirmation_age_seconds{}")
	}
	store := func() string {
		_, body := read(t, http.DefaultClient, "http://"+s.AdminAddr()+"/readyz")
		var said struct{ Checks map[string]string }
		if err := json.Unmarshal([]byte(body), &said); err != nil {
			t.Fatal(err)
		}
		return said.Checks["store"]
	}
	members := f.cluster.Members()
	for _, m := range members[:2] {
		m.Kill()
	}
	eventually(t, "the store is degraded", func() bool { return store() == "degraded" })
	if ready := value("jiragate_ready", `jiragate_ready{jiragate_check="store"}`); ready != 1 {
		t.Errorf("jiragate_ready is %v while calls go on\n%s", ready, log)
	}
	away := age()
	if away < 1 { // it counts as away after seconds only
		t.Errorf("what is known was confirmed %v s ago", away)
	}
	members[0].Restart()
	eventually(t, "it is confirmed again", func() bool { return store() == "ok" && age() < away })
}
