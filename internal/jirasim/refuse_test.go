package jirasim_test

import (
	"context"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"testing"

	"jiragate/internal/jirasim"
)

// from has a client's connections come from a local address.
func from(client *http.Client, address string) {
	d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(address)}}
	client.Transport.(*http.Transport).DialContext = func(ctx context.Context, network, to string) (net.Conn, error) {
		return d.DialContext(ctx, network, to)
	}
}

func TestRefusals(t *testing.T) {
	const create = `{"fields":{"project":{"key":"ACME"},"issuetype":{"id":"10002"},"summary":"x"}}`
	for _, row := range []struct {
		kind                  jirasim.Kind
		cloud, dc             string // what GET …/priority is answered; "": as ever
		cloudStatus, dcStatus int
		cloudPost, dcPost     string // what POST …/issue is answered; "": as ever
	}{
		{jirasim.IPRefused, "not on the allowed list", "nginx", 403, 403, "not on the allowed list", "nginx"},
		{jirasim.AppRefused, `{"code":403,"message":"The app is not installed on this instance"}`, "", 403, 200, "not installed", ""},
		{jirasim.SiteUnavailable, `"errorCode":"OTHER"`, "", 404, 200, "Site temporarily unavailable", "evaluation period has expired"},
		{jirasim.BasicAuthDisabled, "", `{"message":"Basic Authentication has been disabled on this instance."}`, 200, 403, "", "has been disabled"},
		{jirasim.PermissionRefused, "permission to see", "permission to see", 403, 403, "permission to create issues", "permission to create issues"},
	} {
		t.Run(string(row.kind), func(t *testing.T) {
			sim, client := start(t, jirasim.Options{})
			site := sim.APIURL() + "/ex/jira/" + sim.CloudID() + "/rest/api/3"
			token := bearer(sim.IssueGrant().AccessToken)
			sim.Fault(jirasim.Fault{Kind: row.kind})

			a := call(t, client, "GET", site+"/priority", "", token)
			wantStatus(t, a, row.cloudStatus)
			if !strings.Contains(a.body, row.cloud) {
				t.Errorf("Cloud: %s", a.body)
			}
			a = call(t, client, "GET", priorities(sim), "", bot)
			wantStatus(t, a, row.dcStatus)
			if !strings.Contains(a.body, row.dc) {
				t.Errorf("Data Center: %s", a.body)
			}
			for _, post := range []struct {
				origin    jirasim.Origin
				url, says string
				login     edit
			}{
				{jirasim.CloudAPI, site + "/issue", row.cloudPost, token},
				{jirasim.DataCenter, sim.DataCenterURL() + "/rest/api/2/issue", row.dcPost, bot},
			} {
				before := len(sim.Issues(post.origin))
				a := call(t, client, "POST", post.url, create, post.login)
				if !strings.Contains(a.body, post.says) || (a.status == 201) != (post.says == "") {
					t.Errorf("%s: POST is answered %d %s", post.origin, a.status, a.body)
				}
				if made := len(sim.Issues(post.origin)) > before; made != (post.says == "") {
					t.Errorf("%s: an issue was made: %v", post.origin, made)
				}
			}
			// The authorization server is Atlassian's, and goes on.
			wantStatus(t, refresh(t, sim, client, sim.IssueGrant().RefreshToken), 200)
		})
	}
}

// Who refuses shows in the header: Jira is known by its own fields.
func TestRefusalsCarryTheHeaderOfWhoRefuses(t *testing.T) {
	sim, client := start(t, jirasim.Options{})
	for kind, want := range map[jirasim.Kind][2]string{
		jirasim.IPRefused:         {"Server", "nginx/1.28.0"},
		jirasim.BasicAuthDisabled: {"X-Anodeid", "node1"},
		jirasim.PermissionRefused: {"X-Seraph-Loginreason", "OK"},
	} {
		disarm := sim.Fault(jirasim.Fault{Kind: kind})
		a := call(t, client, "GET", priorities(sim), "", bot)
		disarm()
		if got := a.header.Get(want[0]); got != want[1] {
			t.Errorf("%s: %s is %q, want %q", kind, want[0], got, want[1])
		}
		if kind == jirasim.IPRefused && a.header.Get("X-Anodeid") != "" {
			t.Error("Jira answered behind the proxy that refuses")
		}
	}
}

func TestOtherCredentialsPassWhereBasicAuthIsDisabled(t *testing.T) {
	sim, client := start(t, jirasim.Options{})
	sim.Fault(jirasim.Fault{Kind: jirasim.BasicAuthDisabled})
	wantStatus(t, call(t, client, "GET", priorities(sim), "", basic(jirasim.DefaultUsername, "wrong")), 403)
	wantStatus(t, call(t, client, "GET", priorities(sim), "", bearer(jirasim.DefaultPAT)), 200)
}

func TestAllowFrom(t *testing.T) {
	one := netip.MustParsePrefix("127.0.0.1/32")
	two := netip.MustParsePrefix("127.0.0.2/32")
	sim, client := start(t, jirasim.Options{AllowFrom: []netip.Prefix{two}})
	grant := sim.IssueGrant()
	token := bearer(grant.AccessToken)
	myself := sim.APIURL() + "/ex/jira/" + sim.CloudID() + "/rest/api/3/myself"
	want := func(who string, client *http.Client, cloud, dc int) {
		t.Helper()
		// Saying where one comes from helps nobody.
		claim := header("X-Forwarded-For", "127.0.0.2")
		a := call(t, client, "GET", myself, "", token, claim)
		wantStatus(t, a, cloud)
		if refused := strings.Contains(a.body, "is not on the allowed list"); refused != (cloud == 403) {
			t.Errorf("%s, Cloud: %s", who, a.body)
		}
		a = call(t, client, "GET", priorities(sim), "", bot, claim)
		wantStatus(t, a, dc)
		if refused := strings.Contains(a.body, "<h1>403 Forbidden</h1>"); refused != (dc == 403) {
			t.Errorf("%s, Data Center: %s", who, a.body)
		}
	}
	want("another address", client, 403, 403)
	// Neither an allowlist nor a proxy of the customer's is in front of these.
	wantStatus(t, call(t, client, "GET", sim.APIURL()+"/oauth/token/accessible-resources", "", token), 200)
	wantStatus(t, refresh(t, sim, client, grant.RefreshToken), 200)
	// Whoever isn't let in can't find out anything about passwords.
	wantStatus(t, call(t, client, "GET", priorities(sim), "", basic(jirasim.DefaultUsername, "wrong")), 403)

	pinned := newClient(t, sim)
	defer pinned.CloseIdleConnections()
	from(pinned, "127.0.0.2")
	if _, err := send(t, pinned, "GET", myself, "", token); err != nil {
		t.Skipf("this system has no second loopback address: %v", err)
	}
	want("the pinned address", pinned, 200, 200)

	sim.AllowFrom(one, two)
	want("another address, listed", client, 200, 200)
	sim.AllowFrom(one)
	want("the pinned address, no longer listed", pinned, 403, 403)
	sim.AllowFrom()
	want("the pinned address, without a list", pinned, 200, 200)
}
