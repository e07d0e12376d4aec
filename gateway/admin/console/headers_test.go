package console_test

import (
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"

	"golang.org/x/net/html"

	"jiragate/gateway/admin/signin"
)

// guarded checks the header fields that keep a browser from being used against its user.
func guarded(t *testing.T, what string, a answer, secure bool) {
	t.Helper()
	h := a.Header
	policy := h.Get("Content-Security-Policy")
	if !strings.Contains(policy, "default-src 'none'") || !strings.Contains(policy, "frame-ancestors 'none'") || strings.Contains(policy, "unsafe") ||
		strings.Contains(policy, "*") || strings.Contains(policy, "http") || strings.Contains(policy, "data:") || len(h.Values("Content-Security-Policy")) != 1 {
		t.Errorf("%s: Content-Security-Policy %q", what, h.Values("Content-Security-Policy"))
	}
	for name, want := range map[string]string{
		"X-Content-Type-Options": "nosniff", "X-Frame-Options": "DENY", "Cross-Origin-Opener-Policy": "same-origin", "Cross-Origin-Resource-Policy": "same-origin",
	} {
		if got := h.Values(name); len(got) != 1 || got[0] != want {
			t.Errorf("%s: %s %q, want %s", what, name, got, want)
		}
	}
	if p := h.Get("Referrer-Policy"); p != "same-origin" && p != "no-referrer" {
		t.Errorf("%s: Referrer-Policy %q", what, p)
	}
	asset := strings.Contains(what, "/assets/") && strings.Contains(what, "?v=")
	if c := h.Get("Cache-Control"); c != "no-store" && !(asset && c == "public, max-age=31536000, immutable") {
		t.Errorf("%s: Cache-Control %q", what, c)
	}
	if s := h.Get("Strict-Transport-Security"); (s != "") != secure {
		t.Errorf("%s: Strict-Transport-Security %q", what, s)
	}
	if h.Get("Access-Control-Allow-Origin") != "" || h.Get("Server") != "" {
		t.Errorf("%s: it says too much: %v", what, h)
	}
	if a.body != "" && h.Get("Content-Type") == "" {
		t.Errorf("%s: no Content-Type", what)
	}
	if to := h.Get("Location"); to != "" && !strings.HasPrefix(to, "/") && !strings.Contains(what, "/signin/oidc") || strings.HasPrefix(to, "//") {
		t.Errorf("%s: it leads to %q", what, to)
	}
	for _, c := range a.Cookies() {
		if !c.HttpOnly || c.SameSite != http.SameSiteLaxMode || c.Secure != secure || strings.HasPrefix(c.Name, "__Host-") != secure || c.Path != "/" || c.Domain != "" {
			t.Errorf("%s: the cookie %s is %+v", what, c.Name, c)
		}
	}
}

// Every answer has them: pages, redirects, assets, downloads, errors; over https, too,
// where a proxy in front ends TLS.
func TestHeaderFields(t *testing.T) {
	for _, secure := range []bool{false, true} {
		h := newHouse(t, setting{secure: secure}).furnish()
		b := h.as(t, "admin")
		assets := map[string]bool{"/console/assets/style.css": true, "/console/assets/none.css": true, "/console/assets/": true, "/console/assets/page.js?v=old": true}
		check := func(what string, a answer) { t.Helper(); guarded(t, what, a, secure) }
		for _, page := range append([]string{"/", "/console", "/favicon.ico", "/console//connections", "/console/../console/calls", "/console/nothing", "/console/calls/0", "/console/calls/x", "/console/calls/1/proof", "/console/calls?limit=0&status=x",
			"/console/connections/none", "/console/clients/none", "/console/policy/history/none", "/console/signin", "/console/signin?to=/console/calls", "/console/signout", "/console/signin/oidc", "/console/signin/callback?state=x&code=y", "/console/signin/none",
			"/console/calls/live?kind=nothing", "/console/calls?text=&client=billing"}, pages...) {
			a := b.get(page)
			check("GET "+page, a)
			if strings.HasPrefix(a.Header.Get("Content-Type"), "text/html") && a.StatusCode < 300 {
				selfContained(t, page, a)
			}
			a.elements(func(n *html.Node) {
				for _, name := range []string{"src", "href"} {
					if v := attribute(n, name); strings.Contains(v, "/assets/") {
						assets[v] = true
					}
				}
			})
			check("HEAD "+page, b.do(b.request(http.MethodHead, page, "")))
		}
		for path := range assets {
			a := b.get(path)
			check("GET "+path, a)
			if strings.Contains(path, "?v=") && !strings.Contains(path, "old") && a.Header.Get("Cache-Control") == "no-store" {
				t.Errorf("%s is loaded again each time", path)
			}
			r := b.request(http.MethodGet, path, "")
			r.Header.Set("Range", "bytes=1000000000-")
			check("a bad range of "+path, b.do(r))
			check("POST "+path, b.post(path))
		}
		for _, f := range deeds {
			check("no token: POST "+f.path, b.send(f.path, f.fields...))
			check("POST "+f.path, b.post(f.path, f.fields...))
			check("GET "+f.path, b.get(f.path))
		}
		check("sign-in", b.send(signin.Path, "token", "wrong"))
		check("sign-out", b.post(signin.SignOutPath))
		for _, page := range pages {
			check("signed out: GET "+page, b.get(page))
		}
	}
}

// selfContained checks that a page asks nobody else for anything, and has no code of
// its own.
func selfContained(t *testing.T, page string, a answer) {
	t.Helper()
	a.elements(func(n *html.Node) {
		for _, at := range n.Attr {
			if strings.HasPrefix(at.Key, "on") || at.Key == "style" {
				t.Errorf("%s: <%s %s> is inline", page, n.Data, at.Key)
			}
			if at.Key == "src" || at.Key == "href" || at.Key == "action" || at.Key == "formaction" {
				if u, err := url.Parse(at.Val); err != nil || u.Scheme != "" || u.Host != "" {
					t.Errorf("%s: <%s %s=%q> leads elsewhere", page, n.Data, at.Key, at.Val)
				}
			}
		}
		if n.Data == "script" && attribute(n, "src") == "" || n.Data == "style" || n.Data == "iframe" || n.Data == "base" {
			t.Errorf("%s has a <%s> of its own", page, n.Data)
		}
	})
}

// A download can neither be named by whoever made the link, nor run in this origin.
func TestDownloads(t *testing.T) {
	h := newHouse(t, setting{}).furnish()
	b := h.as(t, "admin")
	plain := regexp.MustCompile(`^attachment; filename="?[A-Za-z0-9._-]+"?$`)
	proof := b.get("/console/calls/1/proof")
	id := b.get("/console/calls/" + h.records()[2].ID + "/proof")
	page := b.post("/console/reports", "connection", "acme", "month", "2026-01", "format", "html")
	for what, a := range map[string]answer{"a proof": proof, "a proof by id": id, "a report": page} {
		if d := a.Header.Get("Content-Disposition"); a.StatusCode != http.StatusOK || !plain.MatchString(d) {
			t.Errorf("%s: %s, Content-Disposition %q", what, a.Status, d)
		}
		if p := a.Header.Get("Content-Security-Policy"); !strings.Contains(p, "sandbox") || strings.Contains(p, "script-src") {
			t.Errorf("%s: Content-Security-Policy %q", what, p)
		}
	}
	evil := "x\"\r\nSet-Cookie: a=b"
	for _, field := range []string{"connection", "month", "format"} {
		form := map[string]string{"connection": "acme", "month": "2026-01", "format": "csv"}
		form[field] += evil
		a := b.post("/console/reports", "connection", form["connection"], "month", form["month"], "format", form["format"])
		if a.StatusCode != http.StatusBadRequest || a.Header.Get("Content-Disposition") != "" || len(a.Cookies()) > 0 {
			t.Errorf("%s: %s %v", field, a.Status, a.Header)
		}
	}
	for _, ref := range []string{"1%0d%0aSet-Cookie:%20a=b", `1";x="`, "1%00", "%ff", strings.Repeat("1", 4000), "..%2f1", "-1", "1.0", "0x1"} {
		for _, path := range []string{"/console/calls/" + ref, "/console/calls/" + ref + "/proof"} {
			a := b.get(strings.ReplaceAll(path, `"`, "%22"))
			if a.StatusCode != http.StatusBadRequest && a.StatusCode != http.StatusNotFound || len(a.Cookies()) > 0 {
				t.Errorf("%s: %s %v", path, a.Status, a.Header)
			}
		}
	}
}

// A name that isn't the listener's is a sign of DNS rebinding, on every path.
func TestForeignHosts(t *testing.T) {
	h := newHouse(t, setting{hosts: []string{"console.example.com"}}).furnish()
	b := h.as(t, "admin")
	clients, connections := h.contents()
	before := len(h.records())
	for _, host := range []string{"evil.example", "evil.example:8081", "localhost.evil.example", "192.0.2.1", "console.example.com.", "127.0.0.1.evil.example", "[::2]"} {
		for _, path := range append([]string{"/", "/favicon.ico", "/console", "/console/assets/style.css", "/console/signin", "/console/signin/oidc", "/console/signin/callback?state=x", "/console/signout", "/console/calls/live", "/console/calls/1/proof", "/console/nothing", "/healthz", "/v1/overview", "/oauth/callback", "/nothing"}, pages...) {
			for _, method := range []string{"GET", "POST", "OPTIONS"} {
				r := b.request(method, path, "")
				r.Host = host
				if a := b.do(r); a.StatusCode != http.StatusMisdirectedRequest || len(a.Cookies()) > 0 || a.Header.Get("Location") != "" {
					t.Errorf("%s %s of %s: %s", method, path, host, a.Status)
				}
			}
		}
		for _, f := range deeds {
			r := b.form(f.path, append(f.fields, "csrf", b.csrf)...)
			r.Host = host
			if a := b.do(r); a.StatusCode != http.StatusMisdirectedRequest {
				t.Errorf("POST %s of %s: %s", f.path, host, a.Status)
			}
		}
	}
	for _, r := range h.records()[before:] {
		if r.Operation != "admin.refused" { // of the API, once a minute
			t.Errorf("a record was added: %+v", r)
		}
	}
	if c, k := h.contents(); c != clients || k != connections {
		t.Error("the store has changed")
	}
	for _, host := range []string{"console.example.com", "CONSOLE.example.com:8443", "localhost:1", "127.0.0.1", "[::1]:8081"} {
		r := b.request(http.MethodGet, "/console/signin", "")
		r.Host = host
		if a := b.do(r); a.StatusCode == http.StatusMisdirectedRequest {
			t.Errorf("%s: %s", host, a.Status)
		}
	}
}
