package gateway

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"jiragate/policy"
	"jiragate/tokenstore"
	"jiragate/tokenstore/secret"
)

// What the stations of a call cost in a region of 100,000 connections, half of either
// edition, and 1,000 clients with a hundred grants each.
const (
	manyConnections = 100_000
	manyClients     = 1_000
)

func manyDirectory() *tokenstore.Directory {
	connections := make([]tokenstore.Connection, manyConnections)
	for i := range connections {
		c := tokenstore.Connection{ID: connectionID(i), Region: tokenstore.RegionEU, State: tokenstore.StateActive, Incarnation: uint64(i + 1)}
		if i%2 == 0 {
			c.Edition, c.CredentialKind = policy.Cloud, tokenstore.KindOAuth2
			c.SiteURL, c.CloudID = fmt.Sprintf("https://customer-%d.atlassian.net", i), fmt.Sprintf("11111111-2222-3333-4444-%012d", i)
		} else {
			c.Edition, c.CredentialKind = policy.DataCenter, tokenstore.KindBasic
			c.BaseURL = fmt.Sprintf("https://jira.customer-%d.example/jira", i)
		}
		connections[i] = c
	}
	clients := make([]tokenstore.Client, manyClients)
	for i := range clients {
		c := tokenstore.Client{Name: fmt.Sprintf("client-%d", i), TokenSHA256: sha256.Sum256([]byte(fmt.Sprintf("token-%d", i)))}
		for k := range manyConnections / manyClients {
			c.Connections = append(c.Connections, connectionID(i*(manyConnections/manyClients)+k))
		}
		clients[i] = c
	}
	return tokenstore.NewDirectory(connections, clients)
}

func connectionID(i int) string { return fmt.Sprintf("customer-%06d", i) }

func BenchmarkStations(b *testing.B) {
	dir := manyDirectory()
	api, _ := url.Parse("https://api.atlassian.com")
	s, err := newResolver(dir, tokenstore.RegionEU, api)
	if err != nil {
		b.Fatal(err)
	}
	client, _ := dir.Client("client-500")
	site := target{authority: "customer-50042.atlassian.net:443", path: "/rest/api/3/myself"}
	r := httptest.NewRequest(http.MethodGet, "https://customer-50042.atlassian.net/rest/api/3/myself", nil)
	r.Header.Set("Accept", "application/json")
	r.Header.Set("User-Agent", "bench")
	basic := r.Clone(b.Context())
	basic.Header.Set("Proxy-Authorization", "Basic "+base64.StdEncoding.EncodeToString([]byte("client-500:token-500")))
	call := policy.Request{Edition: policy.Cloud, Method: http.MethodGet, Path: site.path}
	rules := policy.Default()
	decided := rules.Decide(call)
	answer := &http.Response{Header: http.Header{
		"Content-Type": {"application/json;charset=UTF-8"}, "Date": {"Fri, 27 Nov 2026 21:00:00 GMT"}, "Cache-Control": {"no-cache, no-store"},
		"X-Arequestid": {"1234x567x1"}, "X-Ratelimit-Remaining": {"99"}, "Vary": {"Accept-Encoding"}, "Set-Cookie": {"a=b"},
	}}
	body := []byte(strings.Repeat(`{"self":"https://jira.example/rest/api/2/user?username=jira-bot","name":"jira-bot"},`, 12))
	password := tokenstore.Credential{Kind: tokenstore.KindBasic, Username: "jira-bot", Password: secret.New("correct&horse/battery staple")}
	token := secret.New("eyJhbGciOiJSUzI1NiJ9." + strings.Repeat("Zm9vYmFy", 200) + "." + strings.Repeat("c2lnbmF0", 40))
	var out fields
	var p proofs
	for i := range manyConnections {
		t, _ := p.take(b.Context(), connectionID(i), 1)
		t.done(true)
	}
	for name, station := range map[string]func(){
		"identify by token": func() { _, _ = identify(dir, basic, nil) },
		"renew identity":    func() { _, _ = identity{client: client, byToken: true}.renew(dir, nil) },
		"resolve site":      func() { _, _, _ = s.resolve(client, "", site) },
		"resolve base URL":  func() { _, _, _, _ = s.resolveBase(client, "", "/c/customer-050042/rest/api/3/myself") },
		"resolve API": func() {
			_, _, _ = s.resolve(client, "", target{authority: atlassianAPI, path: "/ex/jira/11111111-2222-3333-4444-000000050042/rest/api/3/myself"})
		},
		"tunnel target":  func() { _, _ = tunnelTarget(r, site.authority) },
		"decide":         func() { decided = rules.Decide(call) },
		"canonical path": func() { _ = decided.Path() },
		"request header": func() { out.clear(); requestHeader(&out, r, http.MethodGet, "jiragate/1") },
		"proof": func() {
			t, _ := p.take(context.Background(), "customer-050043", 1)
			t.done(true)
		},
		"basic: header and answer of 1 KB": func() {
			var c secrets
			_, _ = authorization(r, &password, &c)
			if !responseHeader(http.Header{}, answer, nil, c) || c.in(body) {
				b.Fatal("found")
			}
		},
		"bearer: header and answer of 1 KB": func() {
			var c secrets
			_ = bearer(token, &c)
			if !responseHeader(http.Header{}, answer, nil, c) || c.in(body) {
				b.Fatal("found")
			}
		},
		"patience": func() {
			ctx := new(patience)
			ctx.begin(context.Background(), credentialTimeout)
			_ = ctx.Err()
			ctx.finish()
		},
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				station()
			}
		})
	}
}

// BenchmarkNewResolver is what a change of connections or clients costs the first call
// after it.
func BenchmarkNewResolver(b *testing.B) {
	dir := manyDirectory()
	api, _ := url.Parse("https://api.atlassian.com")
	b.ReportAllocs()
	for b.Loop() {
		s, err := newResolver(dir, tokenstore.RegionEU, api)
		if err != nil || !s.Has("jira.customer-99999.example") {
			b.Fatal("not all hosts")
		}
	}
}
