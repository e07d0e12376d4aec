package admin_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"reflect"
	"testing"
	"time"

	"jiragate/gateway/admin"
	"jiragate/gateway/egress"
	"jiragate/policy"
	"jiragate/tokenstore"
)

func TestOverview(t *testing.T) {
	o := options(t, populated(t))
	one, two := netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("192.0.2.2")
	o.Egress.Addresses = []egress.Address{{Public: one, Local: one}, {Public: two, Local: two}}
	o.Egress.Health = func() []egress.Health { return []egress.Health{{Public: one, Up: true}, {Public: two}} }
	o.Checks = []admin.Check{
		{Name: "store", Run: func(context.Context) error { return nil }},
		{Name: "audit", Run: func(context.Context) error { return errors.New("no space left on device") }, Reason: "no records", Hint: "free the disk"},
	}
	started := time.Date(2026, 11, 2, 9, 0, 0, 0, time.UTC)
	o.Started = started
	unpinned := admin.Warning{Code: "egress_unpinned", Message: "calls leave from anywhere", Hint: "set JIRAGATE_EGRESS"}
	o.Warnings = func() []admin.Warning { return []admin.Warning{unpinned} }
	reload := &admin.LastReload{Time: started.Add(time.Hour), Error: "line 3"}
	o.LastReload = func() *admin.LastReload { return reload }
	upgrade := &admin.Upgrade{Time: started, PID: 4711, Version: "v2", PauseMS: 12.5, Connections: 3}
	o.Upgraded = func() *admin.Upgrade { return upgrade }
	var got admin.Overview
	get(t, local(t, o), "/v1/overview", &got)
	for i := range got.Checks {
		if got.Checks[i].Since.IsZero() {
			t.Errorf("since when is %q?", got.Checks[i].Name)
		}
		got.Checks[i].Since, got.Checks[i].DurationMS = time.Time{}, 0
	}
	p := policy.Default()
	want := admin.Overview{
		Version: "test", Region: "us",
		Connections: admin.ConnectionCounts{
			Total:     5,
			ByState:   map[string]int{"active": 4, "disabled": 1},
			ByEdition: map[string]int{"cloud": 2, "datacenter": 3},
		},
		Clients: 3,
		Policy:  admin.PolicyName{SHA256: p.SHA256(), Version: p.Version()},
		Egress:  admin.EgressCounts{Configured: 2, Up: 1},
		Checks: []admin.CheckResult{
			{Name: "store", Status: "ok"},
			{Name: "audit", Status: "failing", Reason: "no records", Error: "no space left on device", Hint: "free the disk"},
		},
		PID:     os.Getpid(),
		Started: &started, Upgrade: upgrade, Reload: reload, Warnings: []admin.Warning{unpinned},
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}

	// A gateway that is new has nothing, and says so.
	store, _ := openStore(t)
	var fresh admin.Overview
	get(t, local(t, options(t, store)), "/v1/overview", &fresh)
	if fresh.Connections.Total != 0 || fresh.Connections.ByState == nil || fresh.Checks == nil || fresh.Warnings == nil || fresh.Started != nil || fresh.Upgrade != nil || fresh.Reload != nil || fresh.Egress != (admin.EgressCounts{}) {
		t.Errorf("%+v", fresh)
	}
}

// crowd is a store of nothing but a directory.
type crowd struct {
	tokenstore.Store
	directory *tokenstore.Directory
}

func (c crowd) Directory() *tokenstore.Directory { return c.directory }

// BenchmarkCrowd is how long what the console asks for takes with 100,000 connections.
func BenchmarkCrowd(b *testing.B) {
	connections := make([]tokenstore.Connection, 100_000)
	for i := range connections {
		connections[i] = tokenstore.Connection{
			ID: fmt.Sprintf("customer-%06d", i), Edition: policy.DataCenter, Region: tokenstore.RegionUS, State: tokenstore.StateActive,
			CredentialKind: tokenstore.KindBasic, BaseURL: fmt.Sprintf("https://jira.customer-%06d.example/Jira", i),
		}
	}
	store := crowd{directory: tokenstore.NewDirectory(connections, []tokenstore.Client{{Name: "billing"}})}
	p := policy.Default()
	api, err := admin.New(admin.Options{
		Store: store, Region: tokenstore.RegionUS, Policy: func() *policy.Policy { return p }, Audit: newTrail(b).log,
		Explain: func(admin.ExplainRequest) (admin.Explanation, error) { return admin.Explanation{}, nil },
		Probe:   func(context.Context, string) (admin.ProbeResult, error) { return admin.ProbeResult{}, nil },
	})
	if err != nil {
		b.Fatal(err)
	}
	h := api.Local(operator)
	for _, path := range []string{
		"/v1/overview",
		"/v1/connections?limit=50",
		"/v1/connections?limit=50&after=customer-099000",
		"/v1/connections?limit=50&text=customer-0999",
		"/v1/connections?limit=50&text=jira&state=disabled&client=billing",
	} {
		b.Run(path, func(b *testing.B) {
			for b.Loop() {
				w := httptest.NewRecorder()
				h.ServeHTTP(w, httptest.NewRequest("GET", path, nil))
				if w.Code != http.StatusOK {
					b.Fatal(w.Body)
				}
			}
		})
	}
}
