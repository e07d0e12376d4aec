package jirasim_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"jiragate/internal/jirasim"
)

var bot = basic(jirasim.DefaultUsername, jirasim.DefaultPassword)

func TestDataCenterDocumentedOperationsAnswer(t *testing.T) {
	sim, client := start(t, jirasim.Options{BaseURL: "https://jira.acme.example/jira"})
	for _, row := range []struct {
		target string
		path   []any
		want   any
	}{
		{"/rest/api/2/myself", []any{"name"}, "jira-bot"},
		{"/rest/api/2/myself", []any{"key"}, "JIRAUSER10100"},
		{"/rest/api/2/myself", []any{"accountId"}, nil},
		{"/rest/api/2/project", []any{1, "key"}, "OPS"},
		{"/rest/api/2/project?expand=lead&recent=1", []any{0, "lead", "name"}, "mia"},
		{"/rest/api/2/project?includeArchived=true", []any{5, "key"}, "OLD"},
		{"/rest/api/2/project/ACME", []any{"self"}, "https://jira.acme.example/jira/rest/api/2/project/10000"},
		{"/rest/api/2/issue/createmeta/ACME/issuetypes?maxResults=2", []any{"isLast"}, false},
		{"/rest/api/2/issue/createmeta/ACME/issuetypes/10004?startAt=1", []any{"values", 0, "fieldId"}, "issuetype"},
		{"/rest/api/2/project/ACME/components", []any{2, "name"}, "Docs & Help"},
		{"/rest/api/2/user/picker?query=emm&showAvatar=true", []any{"users", 0, "html"}, "<strong>Emm</strong>a Richards - <strong>emm</strong>a@acme.example (<strong>emm</strong>a)"},
		{"/rest/api/2/user/assignable/search?project=ACME&username=luk", []any{0, "key"}, "JIRAUSER10103"},
		{"/rest/api/2/user/assignable/search?issueKey=OPS-1&username=otto", nil, nil},
		{"/rest/api/2/priority", []any{0, "name"}, "Highest"},
	} {
		t.Run(row.target, func(t *testing.T) {
			a := call(t, client, "GET", sim.DataCenterURL()+row.target, "", bot)
			wantStatus(t, a, 200)
			if got := a.json(t, row.path...); row.path != nil && got != row.want {
				t.Errorf("%v = %v, want %v", row.path, got, row.want)
			}
			if row.path == nil && a.body != "[]" {
				t.Errorf("body %s, want an empty list", a.body)
			}
			if strings.Contains(a.body, "127.0.0.1") {
				t.Error("a link does not carry the configured base URL")
			}
		})
	}
}

func TestDataCenterServesWhatIsNotDocumented(t *testing.T) {
	sim, client := start(t, jirasim.Options{})
	for _, target := range []string{
		"GET /rest/api/2/search?jql=", "GET /rest/api/2/issue/ACME-1", "GET /rest/api/2/serverInfo", "GET /rest/api/2/user/search?username=.",
		"GET /rest/api/latest/myself", "GET /rest/api/2.0.alpha1/myself", "GET /rest/api/2/priority/page", "GET /rest/auth/1/session",
		"GET /rest/pat/latest/tokens", "GET /rest/api/2/myself;jsessionid=1", "GET /rest/api/2/project/%2e%2e/serverInfo", "GET /secure/Dashboard.jspa",
	} {
		method, path, _ := strings.Cut(target, " ")
		if a := call(t, client, method, sim.DataCenterURL()+path, "", bot); a.status != 200 || a.body == "" {
			t.Errorf("%s answers %d %q, want 200 with data", target, a.status, a.body)
		}
	}
	made := call(t, client, "POST", sim.DataCenterURL()+"/rest/pat/latest/tokens", `{"name":"mine"}`, bot)
	wantStatus(t, made, 201)
	wantStatus(t, call(t, client, "GET", sim.DataCenterURL()+"/rest/api/2/myself", "", bearer(made.json(t, "rawToken").(string))), 200)
}

func TestContextPath(t *testing.T) {
	for option, path := range map[string]string{"": "/jira", "/": "", "/a/b": "/a/b"} {
		sim, client := start(t, jirasim.Options{ContextPath: option})
		if !strings.HasSuffix(sim.DataCenterURL(), "127.0.0.1:"+port(sim.DataCenterURL())+path) {
			t.Errorf("context path %q: URL %s", option, sim.DataCenterURL())
		}
		a := call(t, client, "GET", sim.DataCenterURL()+"/rest/api/2/myself", "", bot)
		wantStatus(t, a, 200)
		if self := a.json(t, "self").(string); !strings.HasPrefix(self, sim.DataCenterURL()+"/rest/api/2/user?") {
			t.Errorf("context path %q: self %s", option, self)
		}
		if path != "" {
			outside := strings.TrimSuffix(sim.DataCenterURL(), path)
			wantStatus(t, call(t, client, "GET", outside+"/rest/api/2/myself", "", bot), 404)
			wantStatus(t, call(t, client, "GET", sim.DataCenterURL()+"x/rest/api/2/myself", "", bot), 404)
		}
	}
}

func port(url string) string {
	_, rest, _ := strings.Cut(url, "127.0.0.1:")
	p, _, _ := strings.Cut(rest, "/")
	return p
}

func TestDataCenterLogins(t *testing.T) {
	sim, client := start(t, jirasim.Options{})
	for _, row := range []struct {
		name   string
		edit   edit
		status int
		reason string // X-Seraph-LoginReason
		realm  bool
	}{
		{"password", bot, 200, "OK", false},
		{"personal access token", bearer(jirasim.DefaultPAT), 200, "OK", false},
		{"wrong password", basic(jirasim.DefaultUsername, "wrong"), 401, "AUTHENTICATED_FAILED", true},
		{"unknown user", basic("nobody", jirasim.DefaultPassword), 401, "AUTHENTICATED_FAILED", true},
		{"wrong token", bearer("wrong"), 401, "AUTHENTICATED_FAILED", true},
		{"other scheme", header("Authorization", "Negotiate abc"), 401, "AUTHENTICATED_FAILED", true},
		{"nothing", func(*http.Request) {}, 401, "", true},
	} {
		t.Run(row.name, func(t *testing.T) {
			a := call(t, client, "GET", sim.DataCenterURL()+"/rest/api/2/myself", "", row.edit)
			wantStatus(t, a, row.status)
			if got := a.header.Get("X-Seraph-LoginReason"); got != row.reason {
				t.Errorf("login reason %q, want %q", got, row.reason)
			}
			if got := strings.HasPrefix(a.header.Get("WWW-Authenticate"), "OAuth realm=\"https%3A%2F%2F127"); got != row.realm {
				t.Errorf("WWW-Authenticate %q", a.header.Get("WWW-Authenticate"))
			}
			if a.header.Get("X-Arequestid") == "" {
				t.Error("no X-AREQUESTID")
			}
			requests := sim.Requests()
			if got := requests[len(requests)-1].CredentialAccepted; got != (row.status == 200) {
				t.Errorf("credential accepted: %v", got)
			}
		})
	}
	if !sim.RevokePAT(jirasim.DefaultPAT) || sim.RevokePAT(jirasim.DefaultPAT) {
		t.Error("RevokePAT does not tell what it found")
	}
	wantStatus(t, call(t, client, "GET", sim.DataCenterURL()+"/rest/api/2/myself", "", bearer(jirasim.DefaultPAT)), 401)
}

func cookie(a answer, name string) string {
	for _, c := range (&http.Response{Header: a.header}).Cookies() {
		if c.Name == name {
			return c.Value
		}
	}
	return ""
}

func TestASessionIsAsGoodAsThePassword(t *testing.T) {
	sim, client := start(t, jirasim.Options{})
	url := sim.DataCenterURL() + "/rest/api/2/myself"
	byPassword := call(t, client, "GET", url, "", bot)
	if cookie(byPassword, "atlassian.xsrf.token") == "" {
		t.Error("no XSRF token")
	}
	session := func(a answer) edit { return header("Cookie", "JSESSIONID="+cookie(a, "JSESSIONID")) }
	wantStatus(t, call(t, client, "GET", url, "", session(byPassword)), 200)
	// A session started with a personal access token ends with the request.
	byToken := call(t, client, "GET", url, "", bearer(jirasim.DefaultPAT))
	wantStatus(t, call(t, client, "GET", url, "", session(byToken)), 401)
}

func TestCaptchaAfterBadPasswords(t *testing.T) {
	sim, client := start(t, jirasim.Options{})
	url := sim.DataCenterURL() + "/rest/api/2/myself"
	wrong := basic(jirasim.DefaultUsername, "wrong")
	for range 2 {
		wantStatus(t, call(t, client, "GET", url, "", wrong), 401)
	}
	wantStatus(t, call(t, client, "GET", url, "", bot), 200) // which forgives the two
	for range 3 {
		if sim.CaptchaLocked(jirasim.DefaultUsername) {
			t.Fatal("locked too early")
		}
		wantStatus(t, call(t, client, "GET", url, "", wrong), 401)
	}
	a := call(t, client, "GET", url, "", bot)
	wantStatus(t, a, 403)
	if !sim.CaptchaLocked(jirasim.DefaultUsername) {
		t.Error("CaptchaLocked is false")
	}
	for name, want := range map[string]string{
		"Content-Type":                   "text/html;charset=UTF-8",
		"X-Authentication-Denied-Reason": "CAPTCHA_CHALLENGE; login-url=" + sim.DataCenterURL() + "/login.jsp",
		"X-Seraph-LoginReason":           "AUTHENTICATION_DENIED",
	} {
		if got := a.header.Get(name); got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
	if cookie(a, "JSESSIONID") == "" || !strings.HasPrefix(a.header.Get("WWW-Authenticate"), "OAuth realm=") {
		t.Errorf("headers %v", a.header)
	}
	// A new password does not help: it is not looked at.
	sim.SetPassword(jirasim.DefaultUsername, "new")
	wantStatus(t, call(t, client, "GET", url, "", basic(jirasim.DefaultUsername, "new")), 403)
	// Others, and tokens, are not touched.
	wantStatus(t, call(t, client, "GET", url, "", bearer(jirasim.DefaultPAT)), 200)
	sim.UnlockCaptcha(jirasim.DefaultUsername)
	wantStatus(t, call(t, client, "GET", url, "", basic(jirasim.DefaultUsername, "new")), 200)
	wantStatus(t, call(t, client, "GET", url, "", bot), 401)
}

func TestCaptchaCanBeOff(t *testing.T) {
	sim, client := start(t, jirasim.Options{CaptchaAfter: -1})
	url := sim.DataCenterURL() + "/rest/api/2/myself"
	for range 5 {
		wantStatus(t, call(t, client, "GET", url, "", basic(jirasim.DefaultUsername, "wrong")), 401)
	}
	wantStatus(t, call(t, client, "GET", url, "", bot), 200)
}

func TestXSRFCheckIsForBrowsers(t *testing.T) {
	sim, client := start(t, jirasim.Options{})
	const body = `{"fields":{"project":{"key":"ACME"},"issuetype":{"id":"10002"},"summary":"x"}}`
	cloudToken := bearer(sim.IssueGrant().AccessToken)
	for name, row := range map[string]struct {
		edits  []edit
		status int
	}{
		"a program":                  {nil, 201},
		"a page":                     {[]edit{header("Origin", "https://evil.example")}, 403},
		"a browser's User-Agent":     {[]edit{header("User-Agent", "Mozilla/5.0 (X11; Linux x86_64)")}, 403},
		"a browser that says no":     {[]edit{header("Origin", "https://evil.example"), header("X-Atlassian-Token", "no-check")}, 201},
		"a browser that says no way": {[]edit{header("Referer", "https://evil.example/"), header("X-Atlassian-Token", "nocheck")}, 403},
	} {
		t.Run(name, func(t *testing.T) {
			a := call(t, client, "POST", sim.DataCenterURL()+"/rest/api/2/issue", body, append(row.edits, bot)...)
			wantStatus(t, a, row.status)
			if row.status == 403 && a.body != "XSRF check failed" {
				t.Errorf("body %q", a.body)
			}
			wantStatus(t, call(t, client, "POST", cloudURL(sim, "/rest/api/3/issue"), body, append(row.edits, cloudToken)...), row.status)
			wantStatus(t, call(t, client, "GET", sim.DataCenterURL()+"/rest/api/2/myself", "", append(row.edits, bot)...), 200)
		})
	}
}

func TestPagesLeadToTheLogin(t *testing.T) {
	sim, client := start(t, jirasim.Options{BaseURL: "https://jira.acme.example/jira"})
	a := call(t, client, "GET", sim.DataCenterURL()+"/secure/Dashboard.jspa", "")
	wantStatus(t, a, 302)
	if got := a.header.Get("Location"); got != "https://jira.acme.example/jira/login.jsp?permissionViolation=true&os_destination=%2Fsecure%2FDashboard.jspa" {
		t.Errorf("Location %q", got)
	}
	wantStatus(t, call(t, client, "GET", sim.DataCenterURL()+"/login.jsp", ""), 200)
	wantStatus(t, call(t, client, "GET", sim.DataCenterURL()+"/", "", bot), 302)
}

func TestDataCenterRateLimit(t *testing.T) {
	clock := newClock()
	sim, client := start(t, jirasim.Options{Now: clock.Now, Rate: jirasim.Rate{Limit: 2, Fill: 1, Interval: 10 * time.Second}})
	url := sim.DataCenterURL() + "/rest/api/2/priority"
	for i, want := range []struct {
		status                int
		remaining, retryAfter string
	}{{200, "1", "0"}, {200, "0", "10"}, {429, "0", "10"}} {
		a := call(t, client, "GET", url, "", bot)
		wantStatus(t, a, want.status)
		if a.header.Get("X-Ratelimit-Remaining") != want.remaining || a.header.Get("Retry-After") != want.retryAfter ||
			a.header.Get("X-Ratelimit-Limit") != "2" || a.header.Get("X-Ratelimit-Fillrate") != "1" || a.header.Get("X-Ratelimit-Interval-Seconds") != "10" {
			t.Errorf("call %d: headers %v", i+1, a.header)
		}
	}
	clock.advance(4 * time.Second)
	if a := call(t, client, "GET", url, "", bot); a.status != 429 || a.header.Get("Retry-After") != "6" {
		t.Errorf("%d, Retry-After %s; want 429 after 6", a.status, a.header.Get("Retry-After"))
	}
	clock.advance(6 * time.Second)
	wantStatus(t, call(t, client, "GET", url, "", bot), 200)
}

func TestUnlimitedDataCenterStillSendsTheHeaders(t *testing.T) {
	sim, client := start(t, jirasim.Options{})
	a := call(t, client, "GET", sim.DataCenterURL()+"/rest/api/2/priority", "", bot)
	if a.header.Get("Retry-After") != "0" || a.header.Get("X-Ratelimit-Remaining") != "1000" || a.header.Get("X-Ratelimit-Interval-Seconds") != "1" {
		t.Errorf("headers %v", a.header)
	}
	a = call(t, client, "GET", sim.DataCenterURL()+"/rest/api/2/priority", "")
	if a.header.Get("X-Ratelimit-Limit") != "" {
		t.Error("an answer to nobody carries rate limit headers")
	}
}
