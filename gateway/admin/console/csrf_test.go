package console_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"jiragate/gateway/admin/signin"
)

// A page of somebody else's can make a browser send forms, with the cookies that the
// browser has. None of them does anything.
func TestForgedForms(t *testing.T) {
	h := newHouse(t, setting{}).furnish()
	b := h.as(t, "admin")
	other := h.as(t, "admin") // the attacker has a session, too
	clients, connections := h.contents()
	before := len(h.records())
	for _, f := range append(deeds, deed{path: signin.SignOutPath}) {
		with := func(token string) []string { return append(append([]string{}, f.fields...), "csrf", token) }
		form := func(r *http.Request) string {
			b := new(strings.Builder)
			_ = r.Write(b)
			return b.String()[strings.Index(b.String(), "\r\n\r\n")+4:]
		}
		for what, r := range map[string]*http.Request{
			"no token":            b.form(f.path, f.fields...),
			"an empty token":      b.form(f.path, with("")...),
			"another's token":     b.form(f.path, with(other.csrf)...),
			"a token cut short":   b.form(f.path, with(b.csrf[:len(b.csrf)-1])...),
			"a token in the URL":  b.form(f.path+"?csrf="+url.QueryEscape(b.csrf), f.fields...),
			"the session's key":   b.form(f.path, with(b.cookie("jiragate-session"))...),
			"the token twice":     b.form(f.path, append([]string{"csrf", "x"}, with(b.csrf)...)...),
			"a form too large":    b.form(f.path, append(with(b.csrf), "padding", strings.Repeat("x", 300<<10))...),
			"malformed":           b.request(http.MethodPost, f.path, "csrf="+b.csrf+"&a=%zz;"),
			"as text":             typed(b.request(http.MethodPost, f.path, form(b.form(f.path, with(b.csrf)...))), "text/plain"),
			"as JSON":             typed(b.request(http.MethodPost, f.path, `{"csrf":"`+b.csrf+`"}`), "application/json"),
			"as multipart":        typed(b.request(http.MethodPost, f.path, "--x\r\nContent-Disposition: form-data; name=\"csrf\"\r\n\r\n"+b.csrf+"\r\n--x--\r\n"), "multipart/form-data; boundary=x"),
			"cross-site":          field(b.form(f.path, with(b.csrf)...), "Sec-Fetch-Site", "cross-site"),
			"of a sister domain":  field(b.form(f.path, with(b.csrf)...), "Sec-Fetch-Site", "same-site"),
			"of another origin":   field(b.form(f.path, with(b.csrf)...), "Origin", "https://evil.example"),
			"of another port":     field(b.form(f.path, with(b.csrf)...), "Origin", "http://127.0.0.1:1"),
			"of no origin (null)": field(b.form(f.path, with(b.csrf)...), "Origin", "null"),
		} {
			a := b.do(r)
			want := http.StatusForbidden
			if what == "a form too large" && f.path != signin.SignOutPath {
				want = http.StatusRequestEntityTooLarge
			}
			if a.StatusCode != want {
				t.Errorf("%s: POST %s: %s, want %d", what, f.path, a.Status, want)
			}
		}
	}
	if c, k := h.contents(); c != clients || k != connections {
		t.Error("the store has changed")
	}
	for _, r := range h.records()[before:] {
		if r.Operation != "admin.signout" || r.Decision != "deny" { // of which there is one a minute at most
			t.Errorf("a record was added: %+v", r)
		}
	}
	if a := b.get("/console/"); a.StatusCode != http.StatusOK {
		t.Errorf("the session is gone: %s", a.Status)
	}
	// What a browser says of its own forms is let through.
	r := field(b.form("/console/connections/basic/disable", "csrf", b.csrf), "Sec-Fetch-Site", "same-origin")
	r.Header.Set("Origin", h.server.URL)
	if a := b.do(r); a.StatusCode != http.StatusSeeOther {
		t.Errorf("a form of the console's own: %s", a.Status)
	}
}

func typed(r *http.Request, kind string) *http.Request { return field(r, "Content-Type", kind) }

func field(r *http.Request, name, value string) *http.Request {
	r.Header.Set(name, value)
	return r
}

// cookie is the value of one that the browser sends.
func (b *browser) cookie(name string) string {
	b.t.Helper()
	u, err := url.Parse(b.server.URL + "/console/")
	must(b.t, err)
	for _, c := range b.client.Jar.Cookies(u) {
		if c.Name == name || c.Name == "__Host-"+name {
			return c.Value
		}
	}
	return ""
}

// A foreign page could sign a browser in as somebody whom the attacker knows, and read
// what is entered then.
func TestLoginCSRF(t *testing.T) {
	h := newHouse(t, setting{}).furnish()
	b, attacker := h.stranger(t), h.stranger(t)
	form := attacker.get(signin.Path).value("form")
	b.get(signin.Path)
	for what, r := range map[string]*http.Request{
		"without a form":      b.form(signin.Path, "token", adminToken),
		"the attacker's form": b.form(signin.Path, "token", adminToken, "form", form),
		"cross-site":          field(b.form(signin.Path, "token", adminToken, "form", b.get(signin.Path).value("form")), "Sec-Fetch-Site", "cross-site"),
	} {
		a := b.do(r)
		if a.StatusCode < 400 || b.cookie("jiragate-session") != "" {
			t.Errorf("%s: %s", what, a.Status)
		}
	}
	// The attacker's way back from the provider, in the victim's browser.
	h.people.become(person{"Mallory", "mallory@example.com", "admin"})
	there := attacker.get(attacker.get(signin.OIDCPath).Header.Get("Location"))
	if a := b.get(there.Header.Get("Location")); a.StatusCode < 400 || b.cookie("jiragate-session") != "" {
		t.Errorf("the attacker's callback: %s", a.Status)
	}
	// And with the browser's own form it works.
	a := b.send(signin.Path, "token", adminToken, "form", b.get(signin.Path).value("form"), "to", "/console/calls?kind=act")
	if a.StatusCode != http.StatusSeeOther || a.Header.Get("Location") != "/console/calls?kind=act" {
		t.Errorf("signing in: %s to %s", a.Status, a.Header.Get("Location"))
	}
}

// Where somebody goes after the sign-in is this console, whatever a link says.
func TestOpenRedirects(t *testing.T) {
	h := newHouse(t, setting{})
	b := h.as(t, "viewer")
	for _, to := range []string{"https://evil.example/", "//evil.example/", `/\evil.example`, "/console/../../evil", "/console//evil.example", "/console/%2e%2e/", "/console/\r\nSet-Cookie:a=b", "javascript:alert(1)",
		"/console/signout", "/console/signin?to=/console/signin", "/public/", "/console/" + strings.Repeat("x", 5000)} {
		for _, path := range []string{signin.Path, signin.Path + "?to=" + url.QueryEscape(to)} {
			if a := b.get(path); a.Header.Get("Location") != "/console/" || len(a.Cookies()) > 0 {
				t.Errorf("%q: %s to %q", to, a.Status, a.Header.Get("Location"))
			}
		}
		s := h.stranger(t)
		if page := s.get(signin.Path + "?to=" + url.QueryEscape(to)); page.value("to") != "/console/" {
			t.Errorf("%q is in the form as %q", to, page.value("to"))
		}
	}
	for _, path := range []string{"/console/../..//evil.example", "/console/..%2f..%2f/evil.example", `/console/..\evil.example/..//x`, "/console///evil.example//"} {
		a := b.get(path)
		if to := a.Header.Get("Location"); to != "" && (!strings.HasPrefix(to, "/") || strings.HasPrefix(to, "//") || strings.HasPrefix(to, `/\`)) {
			t.Errorf("%s leads to %q", path, to)
		}
	}
}
