package signin_test

import (
	"net/http"
	"net/url"
	"path"
	"strings"
	"testing"

	"jiragate/gateway/admin/signin"
)

var destinations = map[string]bool{
	"/console/":                                        true,
	"/console/calls?decision=deny&code=x":              true,
	"/console/calls/0193-ab?from=2026-01-01T00:00:00Z": true,
	"/console/connections/acme%20eu":                   true,
	"/console/calls?q=a/../b//c%5c":                    true, // a query is no path
	"/console/signing":                                 true,
	"":                                                 false,
	"/":                                                false,
	"/console":                                         false,
	"/consoles/x":                                      false,
	"/v1/connections":                                  false,
	"console/":                                         false,
	"//evil.example":                                   false,
	"//evil.example/console/":                          false,
	"///evil.example":                                  false,
	`/\evil.example`:                                   false,
	`\\evil.example`:                                   false,
	"https://evil.example/console/":                    false,
	"https:/console/":                                  false,
	"javascript:alert(1)":                              false,
	"%2f%2fevil.example":                               false,
	"/%2fevil.example":                                 false,
	"/console/..//evil.example":                        false,
	"/console/../v1":                                   false,
	"/console/%2e%2e/v1":                               false,
	"/console/%2E./v1":                                 false,
	"/console/./x":                                     false,
	"/console//evil.example":                           false,
	"/console/%2f%2fevil.example":                      false,
	"/console/..%2f..%2fevil":                          false,
	`/console/\evil`:                                   false,
	`/console/x?y=\z`:                                  false,
	"/console/%5cevil":                                 false,
	"/console/x\r\nSet-Cookie: a=b":                    false,
	"/console/%0d%0aSet-Cookie:x":                      false,
	"/console/\t/evil":                                 false,
	"/console/x y":                                     false,
	"/console/ü":                                       false,
	"/console/%zz":                                     false,
	"/console/x#y":                                     false,
	"/console/signin":                                  false,
	"/console/signin/oidc":                             false,
	"/console/signin%2foidc":                           false,
	"/console/signout":                                 false,
	"/console/" + strings.Repeat("x", 2048):            false,
}

// Wherever a browser is sent to after a sign-in, it stays in the console.
func TestDestinations(t *testing.T) {
	h := newHouse(t, nil)
	for to, ok := range destinations {
		b := h.browser()
		p := b.get(signin.Path + "?to=" + url.QueryEscape(to)).page
		want := "/console/"
		if ok {
			want = to
		}
		if p.To != want {
			t.Errorf("to %q: the page has %q", to, p.To)
		}
		// The page holds the path, but the form may bring another.
		if a := b.post(signin.Path, signin.FieldForm, p.Form, signin.FieldToken, adminToken, signin.FieldTo, to); a.StatusCode != http.StatusSeeOther || a.Header.Get("Location") != want {
			t.Errorf("to %q: %s to %q", to, a.Status, a.Header.Get("Location"))
		}
	}
}

func FuzzDestination(f *testing.F) {
	for to := range destinations {
		f.Add(to)
	}
	origin := &url.URL{Scheme: "https", Host: "console.example"}
	f.Fuzz(func(t *testing.T, to string) {
		got := signin.Destination(to)
		if got != to && got != "/console/" {
			t.Fatalf("%q became %q", to, got)
		}
		u, err := origin.Parse(got)
		if err != nil || u.Host != origin.Host || u.Scheme != "https" || u.User != nil {
			t.Fatalf("%q leads to %v, %v", to, u, err)
		}
		for _, p := range []string{u.Path, u.EscapedPath(), strings.ReplaceAll(u.Path, `\`, "/")} {
			clean := path.Clean(p)
			if clean != "/console" && !strings.HasPrefix(clean, "/console/") || strings.Contains(p, "//") {
				t.Fatalf("%q leads to %s", to, p)
			}
		}
		for _, c := range []byte(got) {
			if c <= ' ' || c > '~' || c == '\\' {
				t.Fatalf("%q has the byte %#x", got, c)
			}
		}
		if again := signin.Destination(got); again != got {
			t.Fatalf("%q, once more, is %q", got, again)
		}
	})
}

func TestPathFor(t *testing.T) {
	for to, want := range map[string]string{
		"/console/":                    signin.Path,
		"/console/calls?decision=deny": signin.Path + "?to=%2Fconsole%2Fcalls%3Fdecision%3Ddeny",
		"/console/signout":             signin.Path,
	} {
		u, err := url.Parse(to)
		if err != nil {
			t.Fatal(err)
		}
		if got := signin.PathFor(http.MethodGet, u); got != want {
			t.Errorf("PathFor(GET, %q) = %q", to, got)
		}
		if got := signin.PathFor(http.MethodPost, u); got != signin.Path {
			t.Errorf("PathFor(POST, %q) = %q", to, got)
		}
	}
}
