package tokenstore_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"jiragate/tokenstore"
)

func TestClients(t *testing.T) {
	sum := tokenstore.TokenSHA256("a token")
	tests := []struct {
		name string
		c    tokenstore.Client
		want string // in the error; empty: valid
	}{
		{"with a token", tokenstore.Client{Name: "reports", TokenSHA256: sum}, ""},
		{"by certificate only", tokenstore.Client{Name: "reports"}, ""},
		{"all kinds of characters", tokenstore.Client{Name: "7.reports_eu-west"}, ""},
		{"grants in order", tokenstore.Client{Name: "reports", Connections: []string{"a", "a-1", "b"}}, ""},
		{"certificate names", tokenstore.Client{Name: "reports", CertificateSANs: []string{
			"dns:reports.internal.example", "uri:spiffe://acme.example/ns/reports", "uri:urn:acme:reports",
		}}, ""},

		{"no name", tokenstore.Client{}, "use 1 to 63"},
		{"plus in the name", tokenstore.Client{Name: "reports+acme"}, "use 1 to 63"},
		{"colon in the name", tokenstore.Client{Name: "reports:a"}, "use 1 to 63"},
		{"upper case", tokenstore.Client{Name: "Reports"}, "use 1 to 63"},
		{"begins with a dot", tokenstore.Client{Name: ".reports"}, "use 1 to 63"},
		{"name too long", tokenstore.Client{Name: strings.Repeat("a", 64)}, "use 1 to 63"},
		{"name of the gateway itself", tokenstore.Client{Name: tokenstore.OperatorName}, "use another"},
		{"the empty token", tokenstore.Client{Name: "reports", TokenSHA256: tokenstore.TokenSHA256("")}, "32 characters"},
		{"grants not in order", tokenstore.Client{Name: "reports", Connections: []string{"b", "a"}}, "not sorted"},
		{"grant twice", tokenstore.Client{Name: "reports", Connections: []string{"a", "a"}}, "twice"},
		{"grant of all", tokenstore.Client{Name: "reports", Connections: []string{"*"}}, "use 1 to 63"},
		{"certificate name without its kind", tokenstore.Client{Name: "reports", CertificateSANs: []string{"reports.example"}}, "dns:NAME"},
		{"wildcard", tokenstore.Client{Name: "reports", CertificateSANs: []string{"dns:*.example"}}, "a-z, 0-9"},
		{"certificate name in capitals", tokenstore.Client{Name: "reports", CertificateSANs: []string{"dns:Reports.example"}}, "a-z, 0-9"},
		{"common name", tokenstore.Client{Name: "reports", CertificateSANs: []string{"cn:reports"}}, "dns:NAME"},
		{"relative URI", tokenstore.Client{Name: "reports", CertificateSANs: []string{"uri:/reports"}}, "absolute URI"},
		{"URI with a password", tokenstore.Client{Name: "reports", CertificateSANs: []string{"uri:https://a:b@c"}}, "absolute URI"},
		{"certificate name twice", tokenstore.Client{Name: "reports", CertificateSANs: []string{"dns:a", "dns:a"}}, "twice"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			err := test.c.Validate()
			if test.want == "" {
				if err != nil {
					t.Fatal(err)
				}
				return
			}
			if !errors.Is(err, tokenstore.ErrInvalid) || !strings.Contains(err.Error(), test.want) {
				t.Errorf("error %v, want ErrInvalid that says %q", err, test.want)
			}
		})
	}
}

func TestNewTokens(t *testing.T) {
	seen := map[string]bool{}
	for range 1000 {
		token, sum := tokenstore.NewToken()
		s := token.Reveal()
		if seen[s] {
			t.Fatal("the same token twice")
		}
		seen[s] = true
		// 43 characters of base64url are 256 bits.
		if !strings.HasPrefix(s, "jgc_") || len(s) != len("jgc_")+43 {
			t.Fatalf("a token of %d characters", len(s))
		}
		if strings.ContainsFunc(s[4:], func(r rune) bool {
			return !strings.ContainsRune("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_", r)
		}) {
			t.Fatal("a token that needs escaping in a URL or a shell")
		}
		if !tokenstore.Made(s) {
			t.Fatal("it doesn't look like one")
		}
		if sum != tokenstore.TokenSHA256(s) {
			t.Fatal("the digest is not that of the token")
		}
	}
}

func TestPublishedIssues(t *testing.T) {
	valid := tokenstore.PublishedIssue{Connection: "acme", ID: "10042", Key: "ACME-17", Client: "reports", Record: "01J8", CreatedAt: time.Now()}
	tests := []struct {
		name string
		edit func(*tokenstore.PublishedIssue)
		ok   bool
	}{
		{"as Jira answers", func(*tokenstore.PublishedIssue) {}, true},
		{"project key with digits and underscores", func(i *tokenstore.PublishedIssue) { i.Key = "A_1-1" }, true},
		{"imported by its key", func(i *tokenstore.PublishedIssue) { i.ID, i.Client, i.Record = "", "", "" }, true},
		{"imported by its id", func(i *tokenstore.PublishedIssue) { i.Key, i.Client, i.Record = "", "", "" }, true},
		{"neither id nor key", func(i *tokenstore.PublishedIssue) { i.ID, i.Key = "", "" }, false},
		{"id with a zero before", func(i *tokenstore.PublishedIssue) { i.ID = "010042" }, false},
		{"id with a path", func(i *tokenstore.PublishedIssue) { i.ID = "1/2" }, false},
		{"key as id", func(i *tokenstore.PublishedIssue) { i.ID = "ACME-17" }, false},
		{"id as key", func(i *tokenstore.PublishedIssue) { i.Key = "10042" }, false},
		{"key in lower case", func(i *tokenstore.PublishedIssue) { i.Key = "acme-17" }, false},
		{"key without a project", func(i *tokenstore.PublishedIssue) { i.Key = "-17" }, false},
		{"key without a number", func(i *tokenstore.PublishedIssue) { i.Key = "ACME-" }, false},
		{"key with issue zero", func(i *tokenstore.PublishedIssue) { i.Key = "ACME-0" }, false},
		{"key with a slash", func(i *tokenstore.PublishedIssue) { i.Key = "AC/ME-17" }, false},
		{"endless key", func(i *tokenstore.PublishedIssue) { i.Key = strings.Repeat("A", 255) + "-1" }, false},
		{"no connection", func(i *tokenstore.PublishedIssue) { i.Connection = "" }, false},
		{"client with a colon", func(i *tokenstore.PublishedIssue) { i.Client = "a:b" }, false},
		{"record with a line break", func(i *tokenstore.PublishedIssue) { i.Record = "a\nb" }, false},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			i := valid
			test.edit(&i)
			if err := i.Validate(); test.ok != (err == nil) || err != nil && !errors.Is(err, tokenstore.ErrInvalid) {
				t.Errorf("error %v, valid should be %v", err, test.ok)
			}
		})
	}
}

// What somebody brings may be guessed.
func TestTokensThatAreNotMade(t *testing.T) {
	made, _ := tokenstore.NewToken()
	s := made.Reveal()
	for _, token := range []string{"", "jgc_", "a long enough token of one's own", s[4:], s[:40], s + "A", "jga_" + s[4:], s[:len(s)-1] + "*", "jgc_" + strings.Repeat("A", 42) + "B"} {
		if tokenstore.Made(token) {
			t.Errorf("%q counts as made", token)
		}
	}
}
