package gateway

import (
	"net/http"
	"strings"
	"testing"

	"jiragate/certs"
	"jiragate/tokenstore/keyset"
)

func TestParseAuthority(t *testing.T) {
	for _, tt := range []struct{ name, in, want string }{
		{"host and port", "acme.atlassian.net:443", "acme.atlassian.net:443"},
		{"port by default", "acme.atlassian.net", "acme.atlassian.net:443"},
		{"upper case is the same host", "ACME.Atlassian.NET:443", "acme.atlassian.net:443"},
		{"another port", "jira.acme.com:8443", "jira.acme.com:8443"},
		{"single label", "localhost:8080", "localhost:8080"},
		{"IPv4", "127.0.0.1:8443", "127.0.0.1:8443"},
		{"IPv6", "[::1]:8443", "[::1]:8443"},
		{"IPv6, port by default", "[2001:db8::1]", "[2001:db8::1]:443"},

		{"empty", "", ""},
		{"trailing dot", "acme.atlassian.net.:443", ""},
		{"empty label", "acme..net:443", ""},
		{"leading dot", ".acme.net", ""},
		{"leading hyphen", "-acme.net", ""},
		{"underscore", "acme_x.net", ""},
		{"user info", "user@acme.atlassian.net", ""},
		{"user info with password", "a:b@acme.atlassian.net:443", ""},
		{"percent", "acme%2eatlassian.net", ""},
		{"backslash", `acme.net\evil`, ""},
		{"slash", "acme.net/evil", ""},
		{"fragment", "acme.net#evil", ""},
		{"question mark", "acme.net?evil", ""},
		{"space", "acme.net evil", ""},
		{"non-ASCII dot", "acme。net", ""},
		{"full-width letters", "ａcme.net", ""},
		{"punycode is plain letters", "xn--acme-x.net", "xn--acme-x.net:443"},
		{"bracketed name", "[acme.net]:443", ""},
		{"IPv6 without brackets", "::1", ""},
		{"IPv6 with zone", "[fe80::1%25eth0]:443", ""},
		{"IPv6 not canonical", "[0:0::1]:443", ""},
		{"IPv6 in upper case", "[2001:DB8::1]:443", ""},
		{"IPv4-mapped with hex", "[::ffff:7f00:1]:443", ""},
		{"IPv4 in octal", "0177.0.0.1", ""},
		{"IPv4 in hex", "0x7f.0.0.1", ""},
		{"IPv4 last part in hex", "127.0.0.0x1", ""},
		{"IPv4 as one number", "2130706433", ""},
		{"IPv4 short", "127.1", ""},
		{"IPv4 with leading zeros", "127.0.0.01", ""},
		{"port zero", "acme.net:0", ""},
		{"port with leading zero", "acme.net:0443", ""},
		{"port too large", "acme.net:65536", ""},
		{"port not a number", "acme.net:https", ""},
		{"port with sign", "acme.net:+443", ""},
		{"empty port", "acme.net:", ""},
		{"two ports", "acme.net:443:443", ""},
		{"label too long", strings.Repeat("a", 64) + ".net", ""},
		{"name too long", strings.Repeat("a.", 127) + "net", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, err := parseAuthority(tt.in, "443")
			if string(got) != tt.want || (err == nil) != (tt.want != "") {
				t.Errorf("parseAuthority(%q) = %q, %v; want %q", tt.in, got, err, tt.want)
			}
		})
	}
}

// FuzzParseAuthority: what is accepted is in normal form, so reading it again
// changes nothing, and its host is one that certificates can be made for.
func FuzzParseAuthority(f *testing.F) {
	keys, err := keyset.New()
	if err != nil {
		f.Fatal(err)
	}
	ca, err := certs.Open(certs.Options{Dir: f.TempDir(), Sealer: keys})
	if err != nil {
		f.Fatal(err)
	}
	for _, s := range []string{"acme.atlassian.net:443", "[::1]:1", "127.0.0.1", "A.b:99", "a.:1"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		a, err := parseAuthority(s, "443")
		if err != nil {
			return
		}
		if again, err := parseAuthority(string(a), ""); err != nil || again != a {
			t.Fatalf("%q reads as %q, which reads as %q, %v", s, a, again, err)
		}
		if a.host() == "" || strings.ContainsAny(string(a), "/\\@?#% \t\r\n") {
			t.Fatalf("%q reads as %q", s, a)
		}
		if err := ca.SetHosts([]string{a.host()}); err != nil {
			t.Fatalf("no certificates for the host of %q: %v", a, err)
		}
	})
}

func TestSplitAbsolute(t *testing.T) {
	for _, tt := range []struct {
		name, in  string
		authority authority
		path      string
		query     string
	}{
		{"http becomes https", "http://acme.atlassian.net/rest?a=b", "acme.atlassian.net:443", "/rest", "a=b"},
		{"http with port 80 becomes 443", "http://acme.atlassian.net:80/rest", "acme.atlassian.net:443", "/rest", ""},
		{"http with another port keeps it", "http://127.0.0.1:8443/jira/rest", "127.0.0.1:8443", "/jira/rest", ""},
		{"https", "https://acme.atlassian.net/rest", "acme.atlassian.net:443", "/rest", ""},
		{"scheme in upper case", "HTTP://acme.net/x", "acme.net:443", "/x", ""},
		{"path is left as it is", "http://acme.net/a/../%2e//b?x=%zz", "acme.net:443", "/a/../%2e//b", "x=%zz"},
		{"no path", "http://acme.net", "acme.net:443", "", ""},
		{"query without path", "http://acme.net?x", "acme.net:443", "", "x"},

		{"other scheme", "ftp://acme.net/x", "", "", ""},
		{"user info", "http://a:b@acme.net/x", "", "", ""},
		{"backslash host", `http://acme.net\@evil/x`, "", "", ""},
		{"no authority", "http:///x", "", "", ""},
		{"no scheme", "acme.net/x", "", "", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, refused := splitAbsolute(tt.in)
			if (refused == nil) != (tt.authority != "") || got.authority != tt.authority {
				t.Fatalf("splitAbsolute(%q) = %+v, %v", tt.in, got, refused)
			}
			if refused == nil && (got.path != tt.path || got.rawQuery != tt.query) {
				t.Errorf("splitAbsolute(%q) = %+v", tt.in, got)
			}
		})
	}
}

// Everything that names a host inside a tunnel must name the tunnel's own.
func TestTunnelTarget(t *testing.T) {
	const tunnel authority = "acme.atlassian.net:443"
	for _, tt := range []struct {
		name, host, uri string
		field           string // a Host field beside :authority
		code            Code   // "" means accepted
	}{
		{"origin form", "acme.atlassian.net", "/rest/api/3/myself?expand=groups", "", ""},
		{"host with port", "acme.atlassian.net:443", "/rest", "", ""},
		{"host in upper case", "ACME.atlassian.net", "/rest", "", ""},
		{"absolute form", "acme.atlassian.net", "https://acme.atlassian.net/rest", "", ""},
		{"the same Host field twice over", "acme.atlassian.net", "/rest", "acme.atlassian.net", ""},

		{"another host", "other.atlassian.net", "/rest", "", CodeAuthorityMismatch},
		{"another port", "acme.atlassian.net:8443", "/rest", "", CodeAuthorityMismatch},
		{"absolute form elsewhere", "acme.atlassian.net", "https://other.atlassian.net/rest", "", CodeAuthorityMismatch},
		{"another Host field", "acme.atlassian.net", "/rest", "other.atlassian.net", CodeAuthorityMismatch},
		{"a Host field that cannot be read", "acme.atlassian.net", "/rest", "acme.atlassian.net.", CodeAuthorityMismatch},
		{"trailing dot", "acme.atlassian.net.", "/rest", "", CodeRequestMalformed},
		{"empty host", "", "/rest", "", CodeRequestMalformed},
		{"user info", "x@acme.atlassian.net", "/rest", "", CodeRequestMalformed},
		{"absolute form by ftp", "acme.atlassian.net", "ftp://acme.atlassian.net/rest", "", CodeRequestMalformed},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := &http.Request{Host: tt.host, RequestURI: tt.uri, Header: http.Header{}}
			if tt.field != "" {
				r.Header["Host"] = []string{tt.field}
			}
			got, refused := tunnelTarget(r, tunnel)
			switch {
			case tt.code == "" && (refused != nil || got.authority != tunnel):
				t.Errorf("got %+v, refused %v", got, refused)
			case tt.code != "" && (refused == nil || refused.code != tt.code):
				t.Errorf("got %+v, refused %v; want %s", got, refused, tt.code)
			}
		})
	}
}
