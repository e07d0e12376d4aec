package admin_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"jiragate/gateway/admin"
	"jiragate/policy"
	"jiragate/tokenstore"
	"jiragate/tokenstore/oauth"
	"jiragate/tokenstore/secret"
)

// populated is a store with five connections and three clients.
func populated(t *testing.T) tokenstore.Store {
	t.Helper()
	store, _ := openStore(t)
	for _, c := range []tokenstore.Connection{
		{ID: "acme", Edition: policy.Cloud, SiteURL: "https://acme.atlassian.net", CloudID: "11111111-2222-3333-4444-555555555555", Region: tokenstore.RegionEU},
		{ID: "bolt", Edition: policy.DataCenter, BaseURL: "https://jira.bolt.example/Acme", Region: tokenstore.RegionUS},
		{ID: "cog", Edition: policy.DataCenter, BaseURL: "https://jira.cog.example", Region: tokenstore.RegionUS},
		{ID: "dyne", Edition: policy.DataCenter, BaseURL: "https://jira.dyne.example", Region: tokenstore.RegionEU},
		{ID: "echo", Edition: policy.Cloud, SiteURL: "https://echo.atlassian.net", CloudID: "21111111-2222-3333-4444-555555555555", Region: tokenstore.RegionUS},
	} {
		cred := tokenstore.Credential{Kind: tokenstore.KindBasic, Username: "u", Password: secret.New(password)}
		if c.Edition == policy.Cloud {
			cred = tokenstore.Credential{Kind: tokenstore.KindOAuth2, AccessToken: secret.New(accessToken), RefreshToken: secret.New(refreshToken)}
		}
		c.CredentialKind = cred.Kind
		if err := store.AddConnection(t.Context(), c, cred); err != nil {
			t.Fatal(err)
		}
	}
	if err := store.SetState(t.Context(), "cog", tokenstore.StateDisabled, "for a while"); err != nil {
		t.Fatal(err)
	}
	for name, granted := range map[string][]string{"billing": {"acme", "cog", "echo"}, "reports": {"cog"}, "spare": nil} {
		_, sum := tokenstore.NewToken()
		if err := store.AddClient(t.Context(), tokenstore.Client{Name: name, TokenSHA256: sum, Connections: granted}); err != nil {
			t.Fatal(err)
		}
	}
	return store
}

// get asks for a path, and returns the answer with its header.
func get(t *testing.T, h http.Handler, path string, answer any) http.Header {
	t.Helper()
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequest("GET", path, nil))
	if err := json.Unmarshal(w.Body.Bytes(), answer); err != nil || w.Code != http.StatusOK {
		t.Fatalf("GET %s: %d %s", path, w.Code, w.Body)
	}
	return w.Header()
}

func TestListsAreFiltered(t *testing.T) {
	h := local(t, options(t, populated(t)))
	for _, tt := range []struct {
		path        string
		names       string
		total, next string // of the header
	}{
		{"/v1/connections", "acme bolt cog dyne echo", "", ""},
		{"/v1/connections?state=", "acme bolt cog dyne echo", "", ""},
		{"/v1/connections?state=disabled", "cog", "", ""},
		{"/v1/connections?state=expiring", "", "", ""},
		{"/v1/connections?edition=cloud", "acme echo", "", ""},
		{"/v1/connections?region=us", "bolt cog echo", "", ""},
		{"/v1/connections?client=billing", "acme cog echo", "", ""},
		{"/v1/connections?client=spare", "", "", ""},
		{"/v1/connections?text=ACME", "acme bolt", "", ""}, // its site; its base URL
		{"/v1/connections?text=atlassian.net", "acme echo", "", ""},
		{"/v1/connections?edition=cloud&region=us&client=billing&text=e", "echo", "", ""},
		{"/v1/connections?after=bolt", "cog dyne echo", "", ""},
		{"/v1/connections?after=bz", "cog dyne echo", "", ""}, // one that has gone meanwhile
		{"/v1/connections?limit=2", "acme bolt", "5", "/v1/connections?after=bolt&limit=2"},
		{"/v1/connections?limit=2&after=bolt", "cog dyne", "5", "/v1/connections?after=dyne&limit=2"},
		{"/v1/connections?limit=2&after=dyne", "echo", "5", ""},
		{"/v1/connections?limit=2&state=&text=", "acme bolt", "5", "/v1/connections?after=bolt&limit=2"}, // of a form
		{"/v1/connections?limit=5", "acme bolt cog dyne echo", "5", ""},
		{"/v1/connections?limit=1&region=us&state=active", "bolt", "2", "/v1/connections?after=bolt&limit=1&region=us&state=active"},
		{"/v1/connections?limit=1&text=no+such", "", "0", ""},

		{"/v1/clients", "billing reports spare", "", ""},
		{"/v1/clients?connection=cog", "billing reports", "", ""},
		{"/v1/clients?text=ILL", "billing", "", ""},
		{"/v1/clients?limit=1&connection=cog", "billing", "2", "/v1/clients?after=billing&connection=cog&limit=1"},
		{"/v1/clients?limit=1&connection=cog&after=billing", "reports", "2", ""},
	} {
		t.Run(tt.path, func(t *testing.T) {
			var rows []struct{ ID, Name string }
			header := get(t, h, tt.path, &rows)
			var names []string
			for _, r := range rows {
				names = append(names, r.ID+r.Name)
			}
			if got := strings.Join(names, " "); got != tt.names || rows == nil {
				t.Errorf("got %q, want %q", got, tt.names)
			}
			link := ""
			if tt.next != "" {
				link = "<" + tt.next + `>; rel="next"`
			}
			if header.Get("Link") != link || header.Get("Total-Count") != tt.total {
				t.Errorf("Link %q, Total-Count %q", header.Get("Link"), header.Get("Total-Count"))
			}
		})
	}
}

func TestListQueriesAreStrict(t *testing.T) {
	h := local(t, options(t, populated(t)))
	for _, tt := range []struct {
		path, code string
	}{
		{"/v1/connections?colour=red", admin.CodeInvalid},
		{"/v1/connections?connection=acme", admin.CodeInvalid}, // of the other list
		{"/v1/connections?state=active&state=disabled", admin.CodeInvalid},
		{"/v1/connections?state=asleep", admin.CodeInvalid},
		{"/v1/connections?edition=server", admin.CodeInvalid},
		{"/v1/connections?region=mars", admin.CodeInvalid},
		{"/v1/connections?client=nobody", admin.CodeNotFound},
		{"/v1/connections?limit=0", admin.CodeInvalid},
		{"/v1/connections?limit=201", admin.CodeInvalid},
		{"/v1/connections?limit=-1", admin.CodeInvalid},
		{"/v1/connections?limit=ten", admin.CodeInvalid},
		{"/v1/connections?text=%zz", admin.CodeInvalid},
		{"/v1/connections?text=%ff", admin.CodeInvalid},
		{"/v1/connections?text=a;b", admin.CodeInvalid},
		{"/v1/connections?text=" + strings.Repeat("x", 257), admin.CodeInvalid},
		{"/v1/clients?state=active", admin.CodeInvalid},
		{"/v1/clients?connection=nowhere", admin.CodeNotFound},
		{"/v1/clients?connection=%20", admin.CodeInvalid},
		{"/v1/clients?limit=1000", admin.CodeInvalid},
		{"/v1/clients/nobody", admin.CodeNotFound},
	} {
		status, body := call(t, h, "GET", tt.path, "")
		if wantCode(t, body, tt.code); status != map[string]int{admin.CodeInvalid: 400, admin.CodeNotFound: 404}[tt.code] || len(body) > 600 {
			t.Errorf("%s: %d %s", tt.path, status, body)
		}
	}
}

// unreadable is a Consenter that can't open the credential of one connection.
type unreadable struct{ admin.Consenter }

func (unreadable) Status(_ context.Context, connection string) (oauth.GrantStatus, error) {
	if connection == "echo" {
		return oauth.GrantStatus{}, fmt.Errorf("the credential of echo: %w", errors.New("record damaged"))
	}
	return oauth.GrantStatus{Consented: true, NextRefreshAt: time.Date(2026, 11, 27, 12, 0, 0, 0, time.UTC)}, nil
}

// A page tells each connection in full. One that can't be read says so, and doesn't
// hide the others.
func TestPagesTellInFull(t *testing.T) {
	o := options(t, populated(t))
	o.Consenter = unreadable{}
	at := time.Date(2026, 11, 27, 13, 0, 0, 0, time.FixedZone("CET", 3600))
	o.LastCall = func(connection string) (admin.LastCall, bool) {
		return admin.LastCall{Seq: 7, Time: at, Operation: "issue.create", Decision: "deny", Code: "issue_not_published", Status: 403}, connection == "acme"
	}
	o.LastCallOf = func(client string) (admin.LastCall, bool) {
		return admin.LastCall{Seq: 8, Time: at, Decision: "allow", Status: 200}, client == "billing"
	}
	h := local(t, o)

	var list []admin.Connection
	get(t, h, "/v1/connections?edition=cloud&limit=10", &list)
	if len(list) != 2 {
		t.Fatalf("%+v", list)
	}
	if c := list[0]; c.Grant == nil || c.Grant.NextRefreshAt.IsZero() || c.GrantProblem != "" ||
		c.LastCall == nil || c.LastCall.Seq != 7 || !c.LastCall.Time.Equal(at) || c.LastCall.Time.Location() != time.UTC {
		t.Errorf("acme: %+v, last call %+v", c, c.LastCall)
	}
	if c := list[1]; c.Grant != nil || !strings.Contains(c.GrantProblem, "damaged") || c.LastCall != nil || c.State != "active" {
		t.Errorf("echo: %+v", c)
	}
	if status, _ := call(t, h, "GET", "/v1/connections/echo", ""); status != 500 {
		t.Errorf("echo alone: %d", status)
	}
	var one admin.Connection
	if get(t, h, "/v1/connections/acme", &one); one.LastCall == nil {
		t.Errorf("acme alone: %+v", one)
	}
	var all []admin.Connection
	get(t, h, "/v1/connections", &all)
	if slices.ContainsFunc(all, func(c admin.Connection) bool { return c.Grant != nil || c.LastCall != nil || c.GrantProblem != "" }) {
		t.Error("a list that is no page takes looks into credentials")
	}

	var clients []admin.Client
	if get(t, h, "/v1/clients?limit=10", &clients); clients[0].LastCall == nil || clients[0].LastCall.Seq != 8 || clients[1].LastCall != nil {
		t.Errorf("%+v", clients)
	}
	var client admin.Client
	if get(t, h, "/v1/clients/billing", &client); client.Name != "billing" || len(client.Connections) != 3 || client.LastCall == nil {
		t.Errorf("%+v", client)
	}
}

// From page to page everything comes once.
func TestPagesAreTheWhole(t *testing.T) {
	store := populated(t)
	h := local(t, options(t, store))
	for limit := 1; limit <= 6; limit++ {
		var ids []string
		for path := fmt.Sprintf("/v1/connections?limit=%d", limit); path != ""; {
			var list []admin.Connection
			link := get(t, h, path, &list).Get("Link")
			for _, c := range list {
				ids = append(ids, c.ID)
			}
			path, _, _ = strings.Cut(strings.TrimPrefix(link, "<"), ">")
			if len(ids) > 5 {
				break
			}
		}
		if got := strings.Join(ids, " "); got != "acme bolt cog dyne echo" {
			t.Errorf("limit %d: %s", limit, got)
		}
	}
}
