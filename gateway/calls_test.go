package gateway_test

import (
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"jiragate/gateway/audit"
	"jiragate/internal/jirasim"
)

// documented are the 22 operations that customers are told of, with realistic
// parameters. CLOUD and DC stand for the connections' site and base URL.
var documented = []struct{ id, method, url, body string }{
	{"myself.get", "GET", "CLOUD/rest/api/3/myself?expand=groups,applicationRoles", ""},
	{"project.list", "GET", "CLOUD/rest/api/3/project/search?startAt=0&maxResults=2&orderBy=name&query=a&action=create&status=live&keys=ACME&keys=OPS", ""},
	{"project.get", "GET", "CLOUD/rest/api/3/project/ACME?expand=description,lead&properties=x", ""},
	{"issuetype.list", "GET", "CLOUD/rest/api/3/project/ACME?expand=issueTypes", ""},
	{"field.list", "GET", "CLOUD/rest/api/3/issue/createmeta?projectKeys=ACME&issuetypeIds=10001&expand=projects.issuetypes.fields", ""},
	{"component.list", "GET", "CLOUD/rest/api/3/project/ACME/components?componentSource=auto", ""},
	{"user.picker", "GET", "CLOUD/rest/api/3/user/picker?query=an&maxResults=10&showAvatar=true&excludeAccountIds=x", ""},
	{"user.assignable", "GET", "CLOUD/rest/api/3/user/assignable/search?project=ACME&query=an%20a&recommend=false", ""},
	{"priority.list", "GET", "CLOUD/rest/api/3/priority", ""},
	{"issue.create", "POST", "CLOUD/rest/api/3/issue?updateHistory=true", `{"fields":{"project":{"key":"ACME"},"issuetype":{"id":"10001"},"summary":"Retro: <fix> the build & ship"}}`},
	{"issue.delete", "DELETE", "CLOUD/rest/api/3/issue/CREATED?deleteSubtasks=true", ""},

	{"myself.get", "GET", "DC/rest/api/2/myself", ""},
	{"project.list", "GET", "DC/rest/api/2/project?expand=description&recent=5", ""},
	{"project.get", "GET", "DC/rest/api/2/project/ACME?expand=lead", ""},
	{"issuetype.list", "GET", "DC/rest/api/2/issue/createmeta/ACME/issuetypes?startAt=0&maxResults=50", ""},
	{"field.list", "GET", "DC/rest/api/2/issue/createmeta/ACME/issuetypes/10001", ""},
	{"component.list", "GET", "DC/rest/api/2/project/ACME/components", ""},
	{"user.picker", "GET", "DC/rest/api/2/user/picker?query=an&maxResults=10", ""},
	{"user.assignable", "GET", "DC/rest/api/2/user/assignable/search?project=ACME&username=an&maxResults=50", ""},
	{"priority.list", "GET", "DC/rest/api/2/priority", ""},
	{"issue.create", "POST", "DC/rest/api/2/issue", `{"fields":{"project":{"key":"ACME"},"issuetype":{"id":"10001"},"summary":"Retro"},"update":{}}`},
	{"issue.delete", "DELETE", "DC/rest/api/2/issue/CREATED", ""},
}

func (w *world) url(template, created string) string {
	return strings.NewReplacer("CLOUD", w.sim.SiteURL(), "DC", w.sim.DataCenterURL(), "CREATED", created).Replace(template)
}

// Every documented operation works through every door and protocol, unchanged
// for the client, with the right credential, and leaves its record.
func TestDocumentedOperationsPass(t *testing.T) {
	for name, door := range map[string]func(w *world) (*http.Client, func(string) string, []string){
		"tunnel, HTTP/2": func(w *world) (*http.Client, func(string) string, []string) {
			return w.billing(), func(u string) string { return u }, nil
		},
		"tunnel, HTTP/1.1": func(w *world) (*http.Client, func(string) string, []string) {
			c := w.billing()
			only := new(http.Protocols)
			only.SetHTTP1(true)
			c.Transport.(*http.Transport).Protocols = only
			return c, func(u string) string { return u }, nil
		},
		"absolute form": func(w *world) (*http.Client, func(string) string, []string) {
			return w.billing(), func(u string) string { return strings.Replace(u, "https://", "http://", 1) }, nil
		},
		"base URL": func(w *world) (*http.Client, func(string) string, []string) {
			return &http.Client{}, func(u string) string {
				u = strings.Replace(u, w.sim.SiteURL(), "http://"+w.proxy+"/c/acme", 1)
				return strings.Replace(u, w.sim.DataCenterURL(), "http://"+w.proxy+"/c/dc", 1)
			}, []string{"Proxy-Authorization", basic("billing", w.token)}
		},
		"API host": func(w *world) (*http.Client, func(string) string, []string) {
			return w.billing(), func(u string) string {
				return strings.Replace(u, w.sim.SiteURL(), "https://api.atlassian.com/ex/jira/"+w.sim.CloudID(), 1)
			}, nil
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, change{})
			client, rewrite, fields := door(w)
			created := ""
			for _, op := range documented {
				w.sim.Reset()
				r := w.call(client, op.method, rewrite(w.url(op.url, created)), op.body, fields...)
				want := map[string]int{"POST": 201, "DELETE": 204}[op.method]
				if want == 0 {
					want = 200
				}
				if r.StatusCode != want {
					t.Fatalf("%s %s: %d\n%s", op.method, op.url, r.StatusCode, r.body)
				}
				if op.method == "POST" {
					var issue struct{ Key string }
					if err := json.Unmarshal([]byte(r.body), &issue); err != nil || issue.Key == "" {
						t.Fatalf("created: %v\n%s", err, r.body)
					}
					created = issue.Key
				}
				arrived := w.sim.Requests()
				if len(arrived) != 1 || !arrived[0].CredentialAccepted {
					t.Fatalf("%s: Jira saw %+v", op.url, arrived)
				}
				record := w.record(func(r audit.Record) bool {
					return r.Operation == op.id && strings.Contains(op.url, "/rest/api/"+r.Path[10:11])
				})
				if record.Decision != "allow" || record.Status != want || record.Client != "billing" || record.EgressIP != "unpinned" ||
					record.UpstreamAddr == "" || record.TraceID == "" || record.Code != "" {
					t.Errorf("%s: record %+v", op.url, record)
				}
			}
			if got := len(w.records()); got != len(documented) {
				t.Errorf("%d records of %d calls", got, len(documented))
			}
		})
	}
}

// What reaches Jira is what was meant, rebuilt: same values, canonical form.
func TestRequestIsRebuilt(t *testing.T) {
	w := newWorld(t, change{})
	w.call(w.billing(), "GET", w.sim.SiteURL()+"/rest/api/3/project/%41CME?expand=%6Cead&properties=a%2Fb+c", "")
	got := w.sim.Requests()[0]
	want := "/ex/jira/" + w.sim.CloudID() + "/rest/api/3/project/ACME?expand=lead&properties=a%2Fb+c"
	if got.RequestURI != want {
		t.Errorf("Jira saw %s\nwant     %s", got.RequestURI, want)
	}
	if u := must(url.Parse(w.sim.APIURL()))(t); got.Host != u.Host {
		t.Errorf("Host was %s, want %s", got.Host, u.Host)
	}
}

// Links in Jira's answers carry the site's host, and work when followed.
func TestLinksCanBeFollowed(t *testing.T) {
	w := newWorld(t, change{})
	var page struct {
		Self, NextPage string
		Values         []struct{ Self string }
	}
	first := w.call(w.billing(), "GET", w.sim.SiteURL()+"/rest/api/3/project/search?maxResults=1", "")
	if err := json.Unmarshal([]byte(first.body), &page); err != nil {
		t.Fatal(err)
	}
	if len(page.Values) == 0 || page.NextPage == "" {
		t.Fatalf("page: %s", first.body)
	}
	for _, link := range []string{page.Self, page.NextPage, page.Values[0].Self} {
		if r := w.call(w.billing(), "GET", link, ""); r.StatusCode != 200 {
			t.Errorf("%s: %d %s", link, r.StatusCode, r.body)
		}
	}
	var project struct{ Self string }
	dc := w.call(w.billing(), "GET", w.sim.DataCenterURL()+"/rest/api/2/project/ACME", "")
	if err := json.Unmarshal([]byte(dc.body), &project); err != nil {
		t.Fatal(err)
	}
	if r := w.call(w.billing(), "GET", project.Self, ""); r.StatusCode != 200 {
		t.Errorf("%s: %d %s", project.Self, r.StatusCode, r.body)
	}
}

// A body on GET or DELETE is dropped: client libraries send one (go-jira sends
// 39 bytes with every DELETE).
func TestBodyOfDeleteIsDropped(t *testing.T) {
	w := newWorld(t, change{})
	created := w.call(w.billing(), "POST", w.sim.SiteURL()+"/rest/api/3/issue", documented[9].body)
	var issue struct{ ID string }
	if err := json.Unmarshal([]byte(created.body), &issue); err != nil {
		t.Fatal(err)
	}
	w.sim.Reset()
	if r := w.call(w.billing(), "DELETE", w.sim.SiteURL()+"/rest/api/3/issue/"+issue.ID, `"eyJkZWxldGVTdWJ0YXNrcyI6InRydWUifQ=="`); r.StatusCode != 204 {
		t.Fatalf("%d %s", r.StatusCode, r.body)
	}
	if got := w.sim.Requests()[0]; len(got.Body) != 0 || got.Header.Get("Content-Type") != "" || got.Header.Get("Content-Length") != "" {
		t.Errorf("Jira saw a body: %q, %v", got.Body, got.Header)
	}
}

func TestProbe(t *testing.T) {
	w := newWorld(t, change{})
	for _, id := range []string{"acme", "dc"} {
		p, err := w.gateway.Probe(t.Context(), id)
		if err != nil || p.Status != 200 || p.Account == "" || p.Code != "" {
			t.Errorf("%s: %+v, %v", id, p, err)
		}
		if r := w.record(func(r audit.Record) bool { return r.ID == p.Record }); r.Client != "jiragate" || r.Operation != "myself.get" {
			t.Errorf("%s: record %+v", id, r)
		}
	}
	w.sim.Fault(jirasim.Fault{Kind: jirasim.ResetBeforeHeaders})
	if p, err := w.gateway.Probe(t.Context(), "dc"); err != nil || p.Status != 502 || p.Code != "upstream_unreachable" || p.Detail == "" {
		t.Errorf("with a fault: %+v, %v", p, err)
	}
}
