package console_test

import (
	"fmt"
	"net/http"
	"testing"
	"time"

	"jiragate/gateway/admin"
	"jiragate/gateway/audit"
	"jiragate/policy"
	"jiragate/tokenstore"
)

// crowd is a store with many connections and clients, of which nothing is on disk.
type crowd struct {
	tokenstore.Store
	directory *tokenstore.Directory
}

func (c crowd) Directory() *tokenstore.Directory { return c.directory }

const (
	manyConnections = 100_000
	manyClients     = 5_000
)

// newCrowd has a client "everything" with all connections, and one in ten others has
// a thousand.
func newCrowd(store tokenstore.Store) crowd {
	connections := make([]tokenstore.Connection, manyConnections)
	ids := make([]string, manyConnections)
	at := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	for i := range connections {
		ids[i] = fmt.Sprintf("customer-%06d", i)
		connections[i] = tokenstore.Connection{ID: ids[i], Edition: policy.DataCenter, BaseURL: fmt.Sprintf("https://jira.customer-%06d.example.com/jira", i),
			Region: tokenstore.RegionUS, CredentialKind: tokenstore.KindPAT, State: tokenstore.StateActive, StateSince: at, CreatedAt: at, UpdatedAt: at}
		if i%100 == 0 {
			connections[i].State, connections[i].StateReason = tokenstore.StateNeedsReauthorisation, "the token has expired"
		}
	}
	clients := make([]tokenstore.Client, manyClients)
	for i := range clients {
		_, sum := tokenstore.NewToken()
		from := i * 19
		clients[i] = tokenstore.Client{Name: fmt.Sprintf("service-%04d", i), TokenSHA256: sum, CreatedAt: at, TokenRotatedAt: at, Connections: ids[from : from+20]}
		switch {
		case i == 0:
			clients[i].Name, clients[i].Connections = "everything", ids
		case i%10 == 0:
			clients[i].Connections = ids[from : from+1000]
		}
	}
	return crowd{store, tokenstore.NewDirectory(connections, clients)}
}

// Pages must be fast with a hundred thousand connections and five thousand clients.
func BenchmarkPages(b *testing.B) {
	h := newHouse(b, setting{api: func(o *admin.Options) { o.Store = newCrowd(o.Store) }})
	for i := range 500 {
		h.write(audit.Record{Client: "everything", Connection: fmt.Sprintf("customer-%06d", i), Method: "GET", Path: "/rest/api/2/myself", Decision: audit.DecisionAllow, Status: 200})
	}
	who := h.as(b, "admin")
	for _, page := range []string{
		"/console/", "/console/connections", "/console/connections?after=customer-050000", "/console/connections?text=customer-099999", "/console/connections?text=nowhere", "/console/connections?state=needs_reauthorisation",
		"/console/connections?client=everything", "/console/connections/customer-050000", "/console/clients", "/console/clients?text=9", "/console/clients/everything", "/console/clients/service-0001", "/console/calls",
	} {
		b.Run(page[len("/console/"):], func(b *testing.B) {
			for b.Loop() {
				if a := who.get(page); a.StatusCode != http.StatusOK {
					b.Fatal(a.Status)
				}
			}
		})
	}
}
