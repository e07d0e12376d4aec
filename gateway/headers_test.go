package gateway_test

import (
	"net/http"
	"slices"
	"strings"
	"testing"

	"jiragate/gateway"
	"jiragate/gateway/audit"
	"jiragate/internal/jirasim"
	"jiragate/tokenstore"
	"jiragate/tokenstore/secret"
)

// What a client sends beside the call itself stays here (G4): Jira sees an
// allowlist and what the gateway adds.
func TestRequestHeaderIsAnAllowlist(t *testing.T) {
	w := newWorld(t, change{})
	for _, proto := range []string{"HTTP/1.1", "HTTP/2"} {
		w.sim.Reset()
		client := w.billing()
		if proto == "HTTP/1.1" {
			only := new(http.Protocols)
			only.SetHTTP1(true)
			client.Transport.(*http.Transport).Protocols = only
		}
		fields := []string{
			"Accept", "application/json", "Accept-Language", "de", "If-None-Match", `"x"`,
			"Authorization", "Bearer mine", "Cookie", "JSESSIONID=1", "Cookie2", "x", "Proxy-Authorization", "Basic eDp5", "Proxy-Foo", "x",
			"X-Forwarded-For", "1.2.3.4", "X-Forwarded-Host", "evil", "Forwarded", "for=1.2.3.4", "X-Real-Ip", "1.2.3.4", "X-Original-Url", "/x", "X-Rewrite-Url", "/x",
			"X-Http-Method-Override", "DELETE", "X-Http-Method", "DELETE", "X-Method-Override", "DELETE",
			"X-Atlassian-Token", "mine", "X-Atlassian-Webhook-Identifier", "x", "X-Ausername", "admin", "X-Acpt", "token", "X_authorization", "x",
			"Traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", "Tracestate", "a=b", "Baggage", "user=1", "B3", "x",
			"Origin", "https://evil.example", "Referer", "https://evil.example", "User-Agent", "Mozilla/5.0", "Range", "bytes=0-1",
			"Te", "trailers", "Keep-Alive", "timeout=5", "Jira-Connection", "acme", "Accept-Encoding", "gzip", "X-Anything", "x",
		}
		if proto == "HTTP/1.1" {
			fields = append(fields, "Connection", "Authorization, User-Agent, X-Anything")
		}
		if r := w.call(client, "GET", w.sim.SiteURL()+"/rest/api/3/myself", "", fields...); r.StatusCode != 200 {
			t.Fatalf("%s: %d %s", proto, r.StatusCode, r.body)
		}
		got := w.sim.Requests()[0]
		var names []string
		for name := range got.Header {
			names = append(names, name)
		}
		slices.Sort(names)
		want := []string{"Accept", "Accept-Encoding", "Accept-Language", "Authorization", "If-None-Match", "User-Agent", "Via"}
		if !slices.Equal(names, want) {
			t.Errorf("%s: Jira saw fields %v\nwant %v", proto, names, want)
		}
		if got.Header.Get("User-Agent") != "jiragate/test" || got.Header.Get("Accept-Encoding") != "identity" || !strings.HasSuffix(got.Header.Get("Via"), " jiragate") ||
			strings.Contains(got.Authorization(), "mine") || len(got.Header["Authorization"]) != 1 || !got.CredentialAccepted {
			t.Errorf("%s: Jira saw %v", proto, got.Header)
		}
	}
}

// Writes carry what Jira's XSRF check asks of programs.
func TestWritesPassTheXSRFCheck(t *testing.T) {
	w := newWorld(t, change{})
	r := w.call(w.billing(), "POST", w.sim.DataCenterURL()+"/rest/api/2/issue", documented[20].body, "Origin", "https://evil.example", "User-Agent", "Mozilla/5.0 Firefox/1")
	if r.StatusCode != 201 {
		t.Fatalf("%d %s", r.StatusCode, r.body)
	}
	if got := w.sim.Requests()[0].Header.Get("X-Atlassian-Token"); got != "no-check" {
		t.Errorf("X-Atlassian-Token: %q", got)
	}
}

// A session that Jira opens for the gateway stays with the gateway, and so do
// challenges, trailers and interim answers.
func TestResponseHeaderIsAnAllowlist(t *testing.T) {
	w := newWorld(t, change{})
	for _, kind := range []jirasim.Kind{jirasim.Challenge, jirasim.Trailers, jirasim.EarlyHints, jirasim.AddHeader} {
		f := jirasim.Fault{Kind: kind, Times: 1, Count: 3}
		if kind == jirasim.AddHeader {
			f.Name, f.Value = "X-Anything", "x"
		}
		w.sim.Fault(f)
		r := w.call(w.billing(), "GET", w.sim.DataCenterURL()+"/rest/api/2/myself", "")
		if r.StatusCode != 200 || !strings.Contains(r.body, "displayName") {
			t.Errorf("%s: %d %s", kind, r.StatusCode, r.body)
		}
		for _, name := range []string{"Set-Cookie", "Www-Authenticate", "Proxy-Authenticate", "X-Anything", "Trailer", "Link", "X-Asen", "X-Ausername"} {
			if v := r.Header.Values(name); len(v) > 0 {
				t.Errorf("%s: the client saw %s: %v", kind, name, v)
			}
		}
		if len(r.Trailer) > 0 {
			t.Errorf("%s: the client saw trailers %v", kind, r.Trailer)
		}
		if r.Header.Get("Via") == "" || r.Header.Get("Proxy-Status") != "jiragate; received-status=200" {
			t.Errorf("%s: %v", kind, r.Header)
		}
	}
}

// Rate limits are the client's business: they pass through as they are.
func TestRateLimitsPassThrough(t *testing.T) {
	w := newWorld(t, change{})
	w.sim.Fault(jirasim.Fault{Kind: jirasim.RateLimit, Times: 1})
	r := w.call(w.billing(), "GET", w.sim.SiteURL()+"/rest/api/3/myself", "")
	if r.StatusCode != 429 || r.Header.Get("Retry-After") != "5" || r.Header.Get("RateLimit-Reason") != "jira-burst-based" || r.Header.Get("X-RateLimit-Limit") == "" {
		t.Errorf("%d %v", r.StatusCode, r.Header)
	}
	if got := len(w.sim.Requests()); got != 1 {
		t.Errorf("%d requests; a refused call is not repeated", got)
	}
}

// Redirects are passed back, not followed, and do not lead elsewhere.
func TestRedirectsAreNotFollowed(t *testing.T) {
	w := newWorld(t, change{})
	inside := w.sim.DataCenterURL() + "/login.jsp"
	for location, want := range map[string]string{
		"https://evil.example/rest/api/3/myself": "",
		"http://evil.example/":                   "",
		"//evil.example/":                        "",
		"/evil":                                  "",
		"/jira/login.jsp":                        "/jira/login.jsp",
		inside:                                   inside,
	} {
		w.sim.Reset()
		w.sim.Fault(jirasim.Fault{Kind: jirasim.Redirect, Times: 1, Location: location})
		r := w.call(w.billing(), "GET", w.sim.DataCenterURL()+"/rest/api/2/myself", "")
		if r.StatusCode != 302 || r.Header.Get("Location") != want {
			t.Errorf("%s: %d, Location %q, want %q", location, r.StatusCode, r.Header.Get("Location"), want)
		}
		if got := len(w.sim.Requests()); got != 1 {
			t.Errorf("%s: %d requests", location, got)
		}
	}
}

// An answer that holds the injected credential is withheld, whatever its form,
// in the body, late in the body, or in a header field that would pass.
func TestReflectedCredentialIsWithheld(t *testing.T) {
	w := newWorld(t, change{})
	for _, kind := range []jirasim.Kind{jirasim.ReflectBody, jirasim.ReflectHeader, jirasim.ReflectLate} {
		for _, form := range []jirasim.Form{jirasim.FormVerbatim, jirasim.FormBare, jirasim.FormDecoded, jirasim.FormBase64, jirasim.FormURL} {
			for _, u := range []string{w.sim.SiteURL() + "/rest/api/3/myself", w.sim.DataCenterURL() + "/rest/api/2/myself"} {
				w.sim.Fault(jirasim.Fault{Kind: kind, Form: form, Times: 1})
				r, err := w.try(w.billing(), "GET", u, "")
				name := string(kind) + " " + string(form) + " " + u
				if kind == jirasim.ReflectLate {
					if err == nil {
						t.Errorf("%s: the answer ended as if it were whole: %d", name, r.StatusCode)
					}
				} else if r.StatusCode != 502 || r.problem.Code != "response_withheld" {
					t.Errorf("%s: %d %s", name, r.StatusCode, r.body)
				}
				for _, secret := range w.secrets[:3] {
					if strings.Contains(r.body, secret) || strings.Contains(r.body, strings.TrimPrefix(basic(jirasim.DefaultUsername, secret), "Basic ")) {
						t.Errorf("%s: the client saw the credential", name)
					}
				}
			}
		}
	}
	w.record(func(r audit.Record) bool { return r.Code == "response_withheld" && r.Decision == "allow" })
}

// An answer with an encoding that was not asked for can't be looked into.
func TestUnaskedEncodingIsRefused(t *testing.T) {
	w := newWorld(t, change{})
	w.sim.Fault(jirasim.Fault{Kind: jirasim.Gzip, Times: 1})
	r := w.call(w.billing(), "GET", w.sim.SiteURL()+"/rest/api/3/myself", "", "Accept-Encoding", "gzip")
	if r.StatusCode != 502 || r.problem.Code != "upstream_response_invalid" {
		t.Errorf("%d %s", r.StatusCode, r.body)
	}
}

func TestDeleteRule(t *testing.T) {
	for rule, want := range map[gateway.DeleteRule]string{gateway.DeleteNone: "delete_switched_off", gateway.DeletePublished: "issue_not_published", gateway.DeleteAny: ""} {
		w := newWorld(t, change{gateway: func(_ *world, o *gateway.Options) { o.Delete = rule }})
		if r := w.call(w.billing(), "DELETE", w.sim.SiteURL()+"/rest/api/3/issue/ACME-1", ""); r.problem.Code != want {
			t.Errorf("%s: %d %s", rule, r.StatusCode, r.body)
		}
	}
}

// A long user name is no secret: answers name the account that calls.
func TestUserNameIsNoSecret(t *testing.T) {
	for _, password := range []string{"pw", "Tr0ub4dor&3!x", "a-long-plain-password-of-letters"} {
		const user = "svc-jira-integration"
		w := newWorld(t, change{sim: func(o *jirasim.Options) { o.Username, o.Password = user, password }})
		stored := must(w.store.Credential(t.Context(), "dc"))(t)
		replacement := tokenstore.Credential{Kind: tokenstore.KindBasic, Username: user, Password: secret.New(password)}
		if err := w.store.ReplaceCredential(t.Context(), "dc", stored.Generation, replacement); err != nil {
			t.Fatal(err)
		}
		r := w.call(w.billing(), "GET", w.sim.DataCenterURL()+"/rest/api/2/myself", "")
		if r.StatusCode != 200 || !strings.Contains(r.body, user) {
			t.Errorf("password %q: %d %s", password, r.StatusCode, r.body)
		}
	}
}
