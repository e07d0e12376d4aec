package main

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"time"

	"jiragate/policy"
	"jiragate/tokenstore"
	"jiragate/tokenstore/bolt"
	"jiragate/tokenstore/keyset"
	"jiragate/tokenstore/records"
	"jiragate/tokenstore/secret"
)

// gateway is jiragate with identity, policy, credential, pinned egress, records, metrics
// and traces of one call in a hundred. Log records are not shipped: that is no part of
// the goals.
type gateway struct {
	stage   *stage
	name    string
	dir     string
	proxy   string
	admin   string
	environ []string
	process *process
}

// newGateway prepares one, which is neither filled nor started. Further variables come
// after the usual ones.
func (s *stage) newGateway(name string, extra ...string) *gateway {
	collector := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { _, _ = io.Copy(io.Discard, r.Body) }))
	s.closers = append(s.closers, collector.Close)
	dir := filepath.Join(s.dir, "of-"+name)
	g := &gateway{stage: s, name: name, dir: dir, proxy: freeAddress(), admin: freeAddress()}
	g.environ = append([]string{
		"HOME=" + dir, "PATH=" + os.Getenv("PATH"), "TMPDIR=" + dir,
		"JIRAGATE_DATA_DIR=" + g.data(),
		"JIRAGATE_PROXY_LISTEN=" + g.proxy, "JIRAGATE_ADMIN_LISTEN=" + g.admin, "JIRAGATE_LOG_LEVEL=warn",
		"JIRAGATE_EGRESS=52.54.159.237=127.0.0.2", "JIRAGATE_EGRESS_ALLOW_PRIVATE=127.0.0.0/8",
		"JIRAGATE_UPSTREAM_CA_FILE=" + filepath.Join(s.dir, "root.pem"),
		"JIRAGATE_AUDIT_SYNC=batch",
		"OTEL_TRACES_EXPORTER=otlp", "OTEL_METRICS_EXPORTER=prometheus", "OTEL_LOGS_EXPORTER=none",
		"OTEL_EXPORTER_OTLP_PROTOCOL=http/protobuf", "OTEL_EXPORTER_OTLP_ENDPOINT=" + collector.URL,
		"OTEL_TRACES_SAMPLER=parentbased_traceidratio", "OTEL_TRACES_SAMPLER_ARG=0.01",
	}, extra...)
	return g
}

func (g *gateway) data() string { return filepath.Join(g.dir, "data") }

// tenant is a connection of the store, and the client that may use it.
type tenant struct {
	host   string // host:port of its Jira
	base   string // context path
	client string
	token  string
}

// fill makes the store of a gateway that has not been started, since adding very many
// connections by commands would take hours. It returns the tenants with their tokens.
func (g *gateway) fill(ctx context.Context, tenants []tenant) ([]tenant, error) {
	if err := os.MkdirAll(g.data(), 0o700); err != nil {
		return nil, err
	}
	keys, err := keyset.Open(ctx, "file:"+filepath.Join(g.data(), "keyset.json"), keyset.Options{Create: true})
	if err != nil {
		return nil, err
	}
	store, err := bolt.Open(ctx, bolt.Options{Path: filepath.Join(g.data(), "store.db"), AEAD: keys})
	if err != nil {
		return nil, err
	}
	filled := make([]tenant, len(tenants))
	entries := make([]records.Entry, len(tenants))
	clients := []tokenstore.Client{}
	at := make(map[string]int) // of a client in clients
	tokens := make(map[string]string)
	for i, t := range tenants {
		id := fmt.Sprintf("customer-%06d", i)
		entries[i] = records.Entry{
			Connection: tokenstore.Connection{ID: id, Edition: policy.DataCenter, BaseURL: "https://" + t.host + t.base,
				Region: tokenstore.RegionUS, CredentialKind: tokenstore.KindBasic},
			Credential: tokenstore.Credential{Kind: tokenstore.KindBasic, Username: "bench", Password: secret.New("a long enough password")},
		}
		if _, ok := at[t.client]; !ok {
			token, sum := tokenstore.NewToken()
			at[t.client], tokens[t.client] = len(clients), token.Reveal()
			clients = append(clients, tokenstore.Client{Name: t.client, TokenSHA256: sum})
		}
		c := &clients[at[t.client]]
		c.Connections = append(c.Connections, id)
		filled[i] = t
		filled[i].token = tokens[t.client]
	}
	return filled, errors.Join(store.AddAll(ctx, entries, clients), store.Close())
}

// start runs the gateway until it is ready.
func (g *gateway) start(ctx context.Context) error {
	p, err := g.stage.start(ctx, g.name, g.dir, g.environ, g.stage.gateway, "serve")
	if err != nil {
		return err
	}
	g.process = p
	return ready(ctx, p, "http://"+g.admin+"/readyz")
}

// ways lead through the gateway to the upstreams of these tenants.
func (g *gateway) ways(tenants []tenant) ([]*way, error) {
	roots, err := poolOf(filepath.Join(g.data(), "ca.pem"))
	if err != nil {
		return nil, err
	}
	ways := make([]*way, len(tenants))
	for i, t := range tenants {
		w := newWay(jiragate, g.proxy, t.host, roots)
		w.proxy, w.base, w.process = true, t.base, g.process
		w.auth = "Basic " + base64.StdEncoding.EncodeToString([]byte(t.client+":"+t.token))
		ways[i] = w
	}
	return ways, nil
}

// ready waits until a program answers with 200.
func ready(ctx context.Context, p *process, url string) error {
	client := &http.Client{Timeout: patience, Transport: &http.Transport{DisableKeepAlives: true}}
	for end := time.Now().Add(patience); ; {
		response, err := client.Get(url)
		if err == nil {
			response.Body.Close()
			if response.StatusCode == http.StatusOK {
				return nil
			}
			err = errors.New(response.Status)
		}
		select {
		case <-p.exited:
			return fmt.Errorf("%s has ended: %s", p.name, p.lastWords())
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(5 * time.Millisecond):
		}
		if time.Now().After(end) {
			return fmt.Errorf("%s is not ready: %w", p.name, err)
		}
	}
}
