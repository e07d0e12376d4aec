package admin_test

import (
	"context"
	"iter"
	"net/http"
	"regexp"
	"slices"
	"testing"

	"jiragate/gateway/admin"
	"jiragate/gateway/audit"
	"jiragate/gateway/audit/activity"
)

// whoIs makes requests those of somebody with a role.
func whoIs(role admin.Role) func(*http.Request) {
	return func(r *http.Request) {
		caller := admin.Caller{Actor: admin.Actor{Name: "user:" + string(role), Addr: "192.0.2.7:1234"}, Role: role}
		*r = *r.WithContext(admin.WithCaller(r.Context(), caller))
	}
}

// parameters stand for everything that a path has; nothing of these names exists.
var parametersOfPath = regexp.MustCompile(`\{\w+\}`)

// Every route refuses those who may not use it, and nobody else. What it would have
// changed is on record as refused then, in the name of who asked.
func TestRoles(t *testing.T) {
	ranks := []admin.Role{admin.RoleNone, admin.RoleViewer, admin.RoleCompliance, admin.RoleAdmin}
	lab := newAuditLab(t)
	lab.options.Log.Watch = func(context.Context) (iter.Seq2[audit.Record, uint64], error) {
		return func(func(audit.Record, uint64) bool) {}, nil // a stream that ends
	}
	lab.options.Log.Activity = func(context.Context, admin.ActivityRequest) (admin.Activity, error) {
		return admin.Activity{Series: &activity.Series{Points: []activity.Point{}}}, nil
	}
	tr := trail{dir: lab.dir}
	api := newAPI(t, lab.options)
	h := described(t, api.InProcess())
	for _, route := range api.Routes() {
		path := parametersOfPath.ReplaceAllString(route.Path, "nothing")
		for rank, role := range ranks {
			t.Run(route.Method+" "+route.Path+" "+string(role), func(t *testing.T) {
				before := len(tr.records(t))
				status, body := call(t, h, route.Method, path, "", whoIs(role))
				refused := rank < slices.Index(ranks, route.Role)
				if (status == http.StatusForbidden) != refused {
					t.Fatalf("%d %.200s", status, body)
				}
				after := tr.records(t)
				if !refused {
					return
				}
				wantCode(t, body, admin.CodeForbidden)
				switch {
				case !route.Recorded:
					if len(after) != before {
						t.Errorf("what changes nothing left the record %+v", after[len(after)-1])
					}
				case len(after) != before+1:
					t.Errorf("%d records", len(after)-before)
				default:
					r := after[before]
					if r.Client != "user:"+string(role) && role != admin.RoleNone || r.ClientAddr != "192.0.2.7:1234" ||
						r.Decision != audit.DecisionDeny || r.Code != admin.CodeForbidden || r.Status != http.StatusForbidden || r.Method != route.Method || r.Path != path {
						t.Errorf("record %+v", r)
					}
				}
			})
		}
	}
}

// Whatever isn't asked for with GET is on record, but for these, which change nothing
// or are calls and on record as such.
func TestChangesAreRecorded(t *testing.T) {
	changeNothing := []string{
		"POST /v1/connections/{id}/test", "POST /v1/audit/pseudonym", "POST /v1/policy/explain", "POST /v1/store/check",
	}
	for _, route := range newAPI(t, options(t, nil)).Routes() {
		name := route.Method + " " + route.Path
		if route.Method != "GET" && route.Recorded == slices.Contains(changeNothing, name) {
			t.Errorf("%s is recorded: %v", name, route.Recorded)
		}
		if route.Recorded && route.Role == admin.RoleViewer {
			t.Errorf("a viewer may use %s", name)
		}
	}
}

// A request that nobody vouches for is that of somebody without a role.
func TestNobodyHasNoRole(t *testing.T) {
	store, _ := openStore(t)
	h := described(t, newAPI(t, options(t, store)).InProcess())
	if status, body := call(t, h, "GET", "/v1/connections", ""); status != http.StatusForbidden {
		t.Errorf("%d %s", status, body)
	}
	if status, _ := call(t, h, "GET", "/healthz", ""); status != http.StatusOK {
		t.Errorf("%d", status)
	}
}
