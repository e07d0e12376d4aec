package soak

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"jiragate/internal/etcdlab"
	"jiragate/internal/jirasim"
	"jiragate/policy"
	"jiragate/tokenstore"
	"jiragate/tokenstore/etcd"
	"jiragate/tokenstore/keyset"
	"jiragate/tokenstore/records"
	"jiragate/tokenstore/secret"
)

// fleetTokenLifetime is that of access tokens: each connection is refreshed several times.
const fleetTokenLifetime = 30 * time.Second

// fleet is some gateways, the cluster with their store, and their Jira.
type fleet struct {
	cluster     *etcdlab.Cluster
	sim         *jirasim.Sim
	store       *etcd.Store // the test's own view
	gateways    []*fleetGateway
	connections []string
	tokens      map[string]string // by client
	client      *http.Client
	etcd        outage // something is done to it
	nextRevoked int    // of connections

	mu         sync.Mutex
	calls      int
	excused    int
	violations []string
}

// fleetGateway is one of them.
type fleetGateway struct {
	*process
	name string
	link *etcdlab.Link
	away outage // it can't serve every call
}

// outage is a time in which calls may be refused, with a while after it.
type outage struct {
	mu    sync.Mutex
	on    bool
	ended time.Time
}

// aftermath is for how long after a outage what it has held up may come out.
const aftermath = 15 * time.Second

func (s *outage) begin() { s.mu.Lock(); s.on = true; s.mu.Unlock() }

func (s *outage) end() { s.mu.Lock(); s.on, s.ended = false, time.Now(); s.mu.Unlock() }

func (s *outage) now() bool { s.mu.Lock(); defer s.mu.Unlock(); return s.on }

// since reports whether there was one, or its aftermath, at any time since then.
func (s *outage) since(began time.Time) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.on || began.Before(s.ended.Add(aftermath))
}

// setFleet starts everything: etcd, a Jira, a store with connections, and gateways.
func setFleet(t *testing.T, program string) *fleet {
	t.Helper()
	f := &fleet{
		cluster: etcdlab.Start(t, etcdlab.Options{Auth: true, NoFsync: true}),
		sim:     startSim(t, jirasim.Options{TokenLifetime: fleetTokenLifetime, History: 64}),
		tokens:  map[string]string{},
		client:  &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 16}},
	}
	t.Cleanup(f.client.CloseIdleConnections)
	dir := t.TempDir()
	file := func(name, content string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	keysetFile := filepath.Join(dir, "keyset.json")
	f.fill(t, keysetFile)
	ca, secretFile, password := file("ca.pem", string(f.sim.CAPEM())), file("client-secret", jirasim.DefaultClientSecret), file("etcd-password", f.cluster.Password())
	for i := range 3 {
		g := &fleetGateway{name: fmt.Sprintf("zone-%c", 'a'+i), link: f.cluster.Link(t)}
		g.process = newProcess(t, program,
			"JIRAGATE_NODE="+g.name,
			"JIRAGATE_STORE=etcd://"+strings.Join(g.link.Endpoints(), ",")+strings.TrimSuffix(f.cluster.Prefix(), "/")+"/fleet",
			"JIRAGATE_STORE_CA_FILE="+f.cluster.CAFile(), "JIRAGATE_STORE_USER="+f.cluster.User(), "JIRAGATE_STORE_PASSWORD_FILE="+password,
			"JIRAGATE_STORE_STALENESS="+fleetStaleness.String(),
			"JIRAGATE_KEY_URI=file:"+keysetFile,
			"JIRAGATE_EGRESS=52.54.159.237=127.0.0.2", "JIRAGATE_EGRESS_ALLOW_PRIVATE=127.0.0.0/8",
			"JIRAGATE_ATLASSIAN_API_URL="+f.sim.APIURL(), "JIRAGATE_ATLASSIAN_AUTH_URL="+f.sim.AuthURL(),
			"JIRAGATE_OAUTH_CLIENT_ID="+jirasim.DefaultClientID, "JIRAGATE_OAUTH_CLIENT_SECRET_FILE="+secretFile,
			"JIRAGATE_UPSTREAM_CA_FILE="+ca, "JIRAGATE_AUDIT_SYNC=batch")
		g.log = filepath.Join(dir, g.name+".log")
		g.start(t)
		f.gateways = append(f.gateways, g)
	}
	return f
}

// fill makes the store: connections with grants of their own, and clients of all of them.
func (f *fleet) fill(t *testing.T, keysetFile string) {
	t.Helper()
	keys, err := keyset.Open(t.Context(), "file:"+keysetFile, keyset.Options{Create: true})
	if err != nil {
		t.Fatal(err)
	}
	f.store, err = etcd.Open(t.Context(), etcd.Options{
		Endpoints: f.cluster.Endpoints(), TLS: f.cluster.TLS(), Username: f.cluster.User(), Password: secret.New(f.cluster.Password()),
		Prefix: strings.TrimSuffix(f.cluster.Prefix(), "/") + "/fleet", AEAD: keys, Node: "test",
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := f.store.Close(); err != nil {
			t.Error(err)
		}
	})
	sites := make([]jirasim.Site, *soakFleet)
	for i := range sites {
		sites[i] = jirasim.Site{ID: fmt.Sprintf("8c6f5b1e-2c3d-4e5f-9a6b-%012d", i), URL: fmt.Sprintf("https://fleet-%d.atlassian.net", i)}
		f.connections = append(f.connections, fmt.Sprintf("fleet-%d", i))
	}
	f.sim.SetSites(sites...)
	var entries []records.Entry
	for i, site := range sites {
		grant := f.sim.IssueGrant(jirasim.DefaultScopes()...)
		entries = append(entries, records.Entry{
			Connection: tokenstore.Connection{
				ID: f.connections[i], Edition: policy.Cloud, SiteURL: site.URL, CloudID: site.ID, Region: tokenstore.RegionUS,
				CredentialKind: tokenstore.KindOAuth2, Scopes: jirasim.DefaultScopes(),
			},
			Credential: tokenstore.Credential{
				Kind: tokenstore.KindOAuth2, AccessToken: secret.New(grant.AccessToken), RefreshToken: secret.New(grant.RefreshToken),
				Expiry: grant.Expiry.UTC(), Scopes: jirasim.DefaultScopes(),
			},
		})
	}
	const atOnce = 15 // as many fit into one transaction of etcd
	for part := range slices.Chunk(entries, atOnce) {
		if err := f.store.AddAll(t.Context(), part, nil); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range []string{"fleet", "revoked"} {
		token, sum := tokenstore.NewToken()
		f.tokens[name] = token.Reveal()
		if err := f.store.AddClient(t.Context(), tokenstore.Client{Name: name, TokenSHA256: sum, Connections: f.connections}); err != nil {
			t.Fatal(err)
		}
	}
}

// ready waits until a gateway serves.
func (f *fleet) ready(t *testing.T, g *fleetGateway) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	for ; ; time.Sleep(50 * time.Millisecond) {
		page, err := g.get("/readyz")
		if err == nil && strings.Contains(string(page), `"store":"ok"`) {
			return
		}
		if ctx.Err() != nil || g.gone() {
			t.Fatalf("%s is not ready: %s, %v\n%s", g.name, page, err, g.logged())
		}
	}
}
