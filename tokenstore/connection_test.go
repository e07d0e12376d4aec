package tokenstore_test

import (
	"errors"
	"net"
	"net/url"
	"strings"
	"testing"

	"jiragate/policy"
	"jiragate/tokenstore"
)

func TestConnectionsInNormalFormAreValid(t *testing.T) {
	cert, _ := certificate(t)
	tests := map[string]func() tokenstore.Connection{
		"cloud":              cloud,
		"data center, basic": dataCenter,
		"data center, pat": func() tokenstore.Connection {
			c := dataCenter()
			c.CredentialKind = tokenstore.KindPAT
			return c
		},
		"private CA": func() tokenstore.Connection {
			c := dataCenter()
			c.UpstreamCA = cert + "\n\n" + cert + "\n"
			return c
		},
		"CA file with remarks": func() tokenstore.Connection {
			c := dataCenter()
			c.UpstreamCA = "# our root, 2026\n" + cert
			return c
		},
		"shortest id": func() tokenstore.Connection {
			c := cloud()
			c.ID = "7"
			return c
		},
		"longest id": func() tokenstore.Connection {
			c := cloud()
			c.ID = strings.Repeat("a", 63)
			return c
		},
		"disabled, with a reason": func() tokenstore.Connection {
			c := cloud()
			c.State, c.StateReason = tokenstore.StateDisabled, "on request of Frau Müller"
			return c
		},
	}
	for name, make := range tests {
		t.Run(name, func(t *testing.T) {
			c := make()
			if err := c.Validate(); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestConnectionsNotInNormalFormAreRefused(t *testing.T) {
	cert, key := certificate(t)
	tests := []struct {
		name string
		c    tokenstore.Connection
		edit func(c *tokenstore.Connection)
		want string // in the error: what to do about it
	}{
		{"no id", cloud(), func(c *tokenstore.Connection) { c.ID = "" }, "use 1 to 63"},
		{"upper-case id", cloud(), func(c *tokenstore.Connection) { c.ID = "Acme" }, "use 1 to 63"},
		{"id begins with a hyphen", cloud(), func(c *tokenstore.Connection) { c.ID = "-acme" }, "use 1 to 63"},
		{"id with a slash", cloud(), func(c *tokenstore.Connection) { c.ID = "acme/issues" }, "use 1 to 63"},
		{"id with a plus", cloud(), func(c *tokenstore.Connection) { c.ID = "ac+me" }, "use 1 to 63"},
		{"id too long", cloud(), func(c *tokenstore.Connection) { c.ID = strings.Repeat("a", 64) }, "use 1 to 63"},
		{"id with a look-alike letter", cloud(), func(c *tokenstore.Connection) { c.ID = "аcme" }, "use 1 to 63"},
		{"no edition", cloud(), func(c *tokenstore.Connection) { c.Edition = "" }, `use "cloud" or "datacenter"`},
		{"unknown edition", cloud(), func(c *tokenstore.Connection) { c.Edition = "server" }, `use "cloud" or "datacenter"`},
		{"no region", cloud(), func(c *tokenstore.Connection) { c.Region = "" }, `use "us" or "eu"`},
		{"unknown region", cloud(), func(c *tokenstore.Connection) { c.Region = "US" }, `use "us" or "eu"`},
		{"no state", cloud(), func(c *tokenstore.Connection) { c.State = "" }, `use "active"`},
		{"unknown state", cloud(), func(c *tokenstore.Connection) { c.State = "Active" }, `use "active"`},
		{"reason of two lines", cloud(), func(c *tokenstore.Connection) { c.StateReason = "a\nb" }, "one line"},
		{"reason with an escape sequence", cloud(), func(c *tokenstore.Connection) { c.StateReason = "\x1b[2J" }, "one line"},
		{"endless reason", cloud(), func(c *tokenstore.Connection) { c.StateReason = strings.Repeat("a", 501) }, "500 bytes"},

		{"cloud by basic", cloud(), func(c *tokenstore.Connection) { c.CredentialKind = tokenstore.KindBasic }, `by "oauth2"`},
		{"cloud with a base URL", cloud(), func(c *tokenstore.Connection) { c.BaseURL = "https://jira.acme.com" }, "no base URL"},
		{"cloud without an id", cloud(), func(c *tokenstore.Connection) { c.CloudID = "" }, "UUID"},
		{"active cloud without a site", cloud(), func(c *tokenstore.Connection) { c.SiteURL = "" }, "site URL"},
		{"expiring cloud without an id", cloud(), func(c *tokenstore.Connection) { c.State, c.CloudID = tokenstore.StateExpiring, "" }, "UUID"},
		{"cloud without an id yet, but a wrong site", cloud(), func(c *tokenstore.Connection) {
			c.State, c.CloudID, c.SiteURL = tokenstore.StateNeedsReauthorisation, "", "acme.atlassian.net"
		}, "site URL"},
		{"cloud id in upper case", cloud(), func(c *tokenstore.Connection) { c.CloudID = strings.ToUpper(c.CloudID) }, "lower case"},
		{"cloud id with a path", cloud(), func(c *tokenstore.Connection) { c.CloudID = c.CloudID[:30] + "/../.." }, "UUID"},
		{"cloud id in braces", cloud(), func(c *tokenstore.Connection) { c.CloudID = "{" + c.CloudID + "}" }, "UUID"},
		{"scope with a space", cloud(), func(c *tokenstore.Connection) { c.Scopes = []string{"a b"} }, "one scope an entry"},
		{"empty scope", cloud(), func(c *tokenstore.Connection) { c.Scopes = []string{""} }, "one scope an entry"},
		{"scope twice", cloud(), func(c *tokenstore.Connection) { c.Scopes = []string{"a", "a"} }, "twice"},

		{"data center without a kind", dataCenter(), func(c *tokenstore.Connection) { c.CredentialKind = "" }, `by "basic", "pat"`},
		{"data center with a site", dataCenter(), func(c *tokenstore.Connection) { c.SiteURL = "https://acme.atlassian.net" }, "no site URL"},
		{"data center with a cloud id", dataCenter(), func(c *tokenstore.Connection) { c.CloudID = cloud().CloudID }, "no cloud id"},
		{"data center with scopes", dataCenter(), func(c *tokenstore.Connection) { c.Scopes = []string{"READ"} }, "only oauth2"},

		{"CA is not PEM", dataCenter(), func(c *tokenstore.Connection) { c.UpstreamCA = "/etc/ssl/ca.pem" }, "use PEM"},
		{"CA with its key", dataCenter(), func(c *tokenstore.Connection) { c.UpstreamCA = cert + key }, "leave certificates only"},
		{"CA with something after it", dataCenter(), func(c *tokenstore.Connection) { c.UpstreamCA = cert + "x" }, "use PEM"},
		{"CA is no certificate", dataCenter(), func(c *tokenstore.Connection) {
			c.UpstreamCA = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"
		}, "certificate #1"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			test.edit(&test.c)
			err := test.c.Validate()
			if !errors.Is(err, tokenstore.ErrInvalid) {
				t.Fatalf("error %v, want ErrInvalid", err)
			}
			if !strings.Contains(err.Error(), test.want) {
				t.Errorf("error %q does not say %q", err, test.want)
			}
			if strings.Contains(err.Error(), "PRIVATE KEY---") {
				t.Error("the error quotes a private key")
			}
		})
	}
}

func TestURLsInNormalForm(t *testing.T) {
	tests := []struct {
		edition                  policy.Edition
		url                      string
		host, authority, context string
	}{
		{policy.Cloud, "https://acme.atlassian.net", "acme.atlassian.net", "acme.atlassian.net:443", ""},
		{policy.Cloud, "https://localhost:8443", "localhost", "localhost:8443", ""},
		{policy.Cloud, "https://127.0.0.1:8443", "127.0.0.1", "127.0.0.1:8443", ""},
		{policy.DataCenter, "https://jira.acme.com", "jira.acme.com", "jira.acme.com:443", ""},
		{policy.DataCenter, "https://jira.acme.com/jira", "jira.acme.com", "jira.acme.com:443", "/jira"},
		{policy.DataCenter, "https://jira.acme.com:8443/tools/jira-2", "jira.acme.com", "jira.acme.com:8443", "/tools/jira-2"},
		{policy.DataCenter, "https://jira.acme.com/~jira/.a/v1.2_x", "jira.acme.com", "jira.acme.com:443", "/~jira/.a/v1.2_x"},
		{policy.DataCenter, "https://10.0.0.7", "10.0.0.7", "10.0.0.7:443", ""},
		{policy.DataCenter, "https://[2001:db8::7]", "2001:db8::7", "[2001:db8::7]:443", ""},
		{policy.DataCenter, "https://[2001:db8::7]:8443/jira", "2001:db8::7", "[2001:db8::7]:8443", "/jira"},
		{policy.DataCenter, "https://jira", "jira", "jira:443", ""},
		{policy.DataCenter, "https://xn--mller-kva.example", "xn--mller-kva.example", "xn--mller-kva.example:443", ""},
		{policy.DataCenter, "https://3com.example", "3com.example", "3com.example:443", ""},
		{policy.DataCenter, "https://jira.0xyz", "jira.0xyz", "jira.0xyz:443", ""},
	}
	for _, test := range tests {
		t.Run(test.url, func(t *testing.T) {
			c := withURL(test.edition, test.url)
			if err := c.Validate(); err != nil {
				t.Fatal(err)
			}
			if got := c.Host(); got != test.host {
				t.Errorf("Host() = %q, want %q", got, test.host)
			}
			if got := c.Authority(); got != test.authority {
				t.Errorf("Authority() = %q, want %q", got, test.authority)
			}
			if got := c.ContextPath(); got != test.context {
				t.Errorf("ContextPath() = %q, want %q", got, test.context)
			}
		})
	}
}

func withURL(e policy.Edition, u string) tokenstore.Connection {
	if e == policy.Cloud {
		c := cloud()
		c.SiteURL = u
		return c
	}
	c := dataCenter()
	c.BaseURL = u
	return c
}

func TestURLsNotInNormalForm(t *testing.T) {
	const (
		site = "use https://HOST, for instance"
		base = "use https://HOST[:PORT][/CONTEXT], for instance"
	)
	tests := []struct {
		name    string
		edition policy.Edition
		url     string
		want    string // the form to use
	}{
		{"empty", policy.Cloud, "", site},
		{"host only", policy.Cloud, "acme.atlassian.net", "use https://acme.atlassian.net"},
		{"trailing slash", policy.Cloud, "https://acme.atlassian.net/", "use https://acme.atlassian.net"},
		{"path", policy.Cloud, "https://acme.atlassian.net/jira", site},
		{"query", policy.Cloud, "https://acme.atlassian.net?a=b", "use https://acme.atlassian.net"},
		{"fragment", policy.Cloud, "https://acme.atlassian.net#a", "use https://acme.atlassian.net"},
		{"upper case", policy.Cloud, "https://ACME.atlassian.net", "use https://acme.atlassian.net"},
		{"final dot", policy.Cloud, "https://acme.atlassian.net.", "use https://acme.atlassian.net"},
		{"IPv6", policy.Cloud, "https://[::1]:8443", site},
		{"user name", policy.Cloud, "https://admin@acme.atlassian.net", "use https://acme.atlassian.net"},
		{"default port", policy.Cloud, "https://acme.atlassian.net:443", "use https://acme.atlassian.net"},

		{"empty", policy.DataCenter, "", base},
		{"plaintext", policy.DataCenter, "http://jira.acme.com/jira", "in clear: use https://jira.acme.com/jira"},
		{"plaintext in capitals", policy.DataCenter, "HTTP://jira.acme.com", "in clear: use https://jira.acme.com"},
		{"plaintext with its port", policy.DataCenter, "http://jira.acme.com:80/", "use https://jira.acme.com"},
		{"other scheme", policy.DataCenter, "ftp://jira.acme.com", "use https://jira.acme.com"},
		{"scheme in capitals", policy.DataCenter, "HTTPS://jira.acme.com", "use https://jira.acme.com"},
		{"one slash", policy.DataCenter, "https:/jira.acme.com", base},
		{"white space around", policy.DataCenter, " https://jira.acme.com\n", "use https://jira.acme.com"},
		{"trailing slash", policy.DataCenter, "https://jira.acme.com/jira/", "use https://jira.acme.com/jira"},
		{"default port", policy.DataCenter, "https://jira.acme.com:443/jira", "use https://jira.acme.com/jira"},
		{"password", policy.DataCenter, "https://admin:hunter2@jira.acme.com/jira", "use https://jira.acme.com/jira"},
		{"password with an at sign", policy.DataCenter, "https://admin:hunter2@hunter2@jira.acme.com", "use https://jira.acme.com"},
		{"password with a slash", policy.DataCenter, "https://admin:12/hunter2@jira.acme.com", base},
		{"password with a question mark", policy.DataCenter, "https://admin:8443?hunter2@jira.acme.com", base},
		{"REST path", policy.DataCenter, "https://jira.acme.com/rest?os_password=hunter2", "use https://jira.acme.com/rest"},
		{"empty segment", policy.DataCenter, "https://jira.acme.com//jira", base},
		{"dot segment", policy.DataCenter, "https://jira.acme.com/./jira", base},
		{"double-dot segment", policy.DataCenter, "https://jira.acme.com/a/../jira", base},
		{"encoded segment", policy.DataCenter, "https://jira.acme.com/%6aira", base},
		{"path parameter", policy.DataCenter, "https://jira.acme.com/jira;a=b", base},
		{"backslash in the path", policy.DataCenter, `https://jira.acme.com/jira\x`, base},
		{"backslash after the host", policy.DataCenter, `https://jira.acme.com\@evil.example`, base},
		{"percent in the host", policy.DataCenter, "https://jira%2eacme.com", base},
		{"space in the host", policy.DataCenter, "https://jira acme.com", base},
		{"underscore in the host", policy.DataCenter, "https://my_jira.acme.com", base},
		{"international name", policy.DataCenter, "https://müller.example", base},
		{"no host", policy.DataCenter, "https:///jira", base},
		{"no host but a port", policy.DataCenter, "https://:8443", base},
		{"empty label", policy.DataCenter, "https://jira..acme.com", base},
		{"label begins with a hyphen", policy.DataCenter, "https://-jira.acme.com", base},
		{"label too long", policy.DataCenter, "https://" + strings.Repeat("a", 64) + ".com", base},
		{"name too long", policy.DataCenter, "https://" + strings.Repeat("a.", 127) + "com", base},
		{"URL too long", policy.DataCenter, "https://jira.acme.com/" + strings.Repeat("a", 500), base},
		{"empty port", policy.DataCenter, "https://jira.acme.com:", base},
		{"port zero", policy.DataCenter, "https://jira.acme.com:0", base},
		{"port with a zero before", policy.DataCenter, "https://jira.acme.com:08443", base},
		{"port with a sign", policy.DataCenter, "https://jira.acme.com:+8443", base},
		{"port too high", policy.DataCenter, "https://jira.acme.com:65536", base},
		{"two ports", policy.DataCenter, "https://jira.acme.com:1:2", base},
		{"IPv6 without brackets", policy.DataCenter, "https://2001:db8::7", base},
		{"IPv6 in the long form", policy.DataCenter, "https://[2001:db8:0:0:0:0:0:7]", base},
		{"IPv6 in capitals", policy.DataCenter, "https://[2001:DB8::7]", "use https://[2001:db8::7]"},
		{"IPv6 with a zone", policy.DataCenter, "https://[fe80::1%25eth0]", base},
		{"IPv4 in IPv6", policy.DataCenter, "https://[::ffff:10.0.0.7]", base},
		{"IPv4 in brackets", policy.DataCenter, "https://[10.0.0.7]", base},
		{"bracket not closed", policy.DataCenter, "https://[2001:db8::7", base},
		{"something after the bracket", policy.DataCenter, "https://[2001:db8::7]x", base},
		{"octal IPv4", policy.DataCenter, "https://010.0.0.7", base},
		{"short IPv4", policy.DataCenter, "https://127.1", base},
		{"decimal IPv4", policy.DataCenter, "https://2130706433", base},
		{"hexadecimal IPv4", policy.DataCenter, "https://0x7f000001", base},
		{"hexadecimal last part", policy.DataCenter, "https://127.0.0.0x1", base},
		{"bare hexadecimal mark", policy.DataCenter, "https://127.0.0.0x", base},
		{"control character", policy.DataCenter, "https://jira.acme.com/\x00", base},
	}
	for _, test := range tests {
		t.Run(string(test.edition)+", "+test.name, func(t *testing.T) {
			c := withURL(test.edition, test.url)
			err := c.Validate()
			if !errors.Is(err, tokenstore.ErrInvalid) {
				t.Fatalf("error %v, want ErrInvalid", err)
			}
			if !strings.Contains(err.Error(), test.want) {
				t.Errorf("error %q does not say %q", err, test.want)
			}
			if strings.Contains(err.Error(), "hunter2") || strings.Contains(err.Error(), "8443") {
				t.Errorf("error %q quotes the password", err)
			}
		})
	}
}

// Whatever is accepted means the same to net/url as to Host, Authority and
// ContextPath, and is the one spelling of it.
func FuzzBaseURL(f *testing.F) {
	seeds := []string{
		"https://jira.acme.com", "https://jira.acme.com:8443/jira", "https://[2001:db8::7]:8443/a/b",
		"https://10.0.0.7/x", "https://a.b:443", "https://u:p@h/", "https://h/%2e", "https://0x7f.1", "https://[::1]x",
	}
	for _, s := range seeds {
		f.Add(s, true)
		f.Add(s, false)
	}
	f.Fuzz(func(t *testing.T, s string, isCloud bool) {
		edition := policy.DataCenter
		if isCloud {
			edition = policy.Cloud
		}
		c := withURL(edition, s)
		if c.Validate() != nil {
			return
		}
		u, err := url.Parse(s)
		if err != nil {
			t.Fatalf("net/url does not parse it: %v", err)
		}
		if u.Scheme != "https" || u.User != nil || u.RawQuery != "" || u.Fragment != "" || u.Opaque != "" || u.ForceQuery {
			t.Fatalf("net/url sees more than host and path: %#v", u)
		}
		if u.String() != s || strings.ToLower(u.Host) != u.Host {
			t.Errorf("net/url writes it as %q", u)
		}
		if u.Hostname() != c.Host() {
			t.Errorf("Host() is %q, net/url says %q", c.Host(), u.Hostname())
		}
		port := u.Port()
		if port == "443" {
			t.Error("the default port is written")
		}
		if port == "" {
			port = "443"
		}
		if want := net.JoinHostPort(u.Hostname(), port); c.Authority() != want {
			t.Errorf("Authority() is %q, net/url says %q", c.Authority(), want)
		}
		if u.Path != c.ContextPath() || u.EscapedPath() != c.ContextPath() {
			t.Errorf("ContextPath() is %q, net/url says %q", c.ContextPath(), u.EscapedPath())
		}
		if isCloud && c.ContextPath() != "" {
			t.Error("a cloud site has a path")
		}
		if joined := u.JoinPath("rest"); joined.String() != s+"/rest" {
			t.Errorf("joined with a path it becomes %q", joined)
		}
	})
}

func TestConnectionsThatAwaitConsent(t *testing.T) {
	for _, state := range []tokenstore.State{tokenstore.StateNeedsReauthorisation, tokenstore.StateDisabled} {
		c := cloud()
		c.State, c.SiteURL, c.CloudID = state, "", ""
		if err := c.Validate(); err != nil {
			t.Errorf("%s: %v", state, err)
		}
		if c.Located() {
			t.Errorf("%s: nobody can know where it leads", state)
		}
	}
	for _, kind := range []tokenstore.CredentialKind{tokenstore.KindOAuth2, tokenstore.KindOAuth1} {
		c := dataCenter()
		c.CredentialKind = kind
		if err := c.Validate(); err != nil || !c.Located() {
			t.Errorf("data center by %s: %v, located %v", kind, err, c.Located())
		}
	}
}

func TestStatesInWhichCallsAreMade(t *testing.T) {
	for state, want := range map[tokenstore.State]bool{
		tokenstore.StateActive: true, tokenstore.StateExpiring: true,
		tokenstore.StateNeedsReauthorisation: false, tokenstore.StateDisabled: false,
	} {
		if state.Callable() != want {
			t.Errorf("%s: callable %v", state, state.Callable())
		}
	}
}
