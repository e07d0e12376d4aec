package storetest

import (
	"context"
	"fmt"
	"testing"

	"jiragate/tokenstore"
)

func importTests() map[string]func(*testing.T, tokenstore.Store) {
	issue := func(id, key string) tokenstore.PublishedIssue {
		return tokenstore.PublishedIssue{Connection: "acme", ID: id, Key: key}
	}
	two := func(t *testing.T, s tokenstore.Store) {
		t.Helper()
		mustDo(t,
			s.AddConnection(t.Context(), CloudConnection("acme"), OAuth2("1")),
			s.AddConnection(t.Context(), CloudConnection("acme-1"), OAuth2("1")))
	}
	imported := func(t *testing.T, s tokenstore.Store, want int, issues ...tokenstore.PublishedIssue) {
		t.Helper()
		n, err := s.ImportIssues(t.Context(), "acme", issues)
		mustDo(t, err)
		if n != want {
			t.Errorf("%d issues are new, want %d", n, want)
		}
	}
	published := func(t *testing.T, s tokenstore.Store, want bool, idsOrKeys ...string) {
		t.Helper()
		for _, i := range idsOrKeys {
			wantPublished(t, s, "acme", i, want)
			wantPublished(t, s, "acme-1", i, false)
		}
	}
	return map[string]func(*testing.T, tokenstore.Store){
		"imported issues are known by what is known of them": func(t *testing.T, s tokenstore.Store) {
			two(t, s)
			list := []tokenstore.PublishedIssue{issue("1", "A-1"), issue("2", ""), issue("", "A-3")}
			list[0].Incarnation = 99 // not looked at
			imported(t, s, 3, list...)
			published(t, s, true, "1", "A-1", "2", "A-3")
			published(t, s, false, "", "3", "A-2", "A-")
			imported(t, s, 0, list...)
			imported(t, s, 1, append(list, issue("4", "A-4"))...)
			imported(t, s, 0)
			published(t, s, true, "1", "A-1", "2", "A-3", "4", "A-4")
			for _, by := range []string{"A-1", "2", "A-3", "4"} {
				mustDo(t, s.ForgetIssue(t.Context(), "acme", by))
			}
			published(t, s, false, "1", "A-1", "2", "A-3", "4", "A-4")
		},
		"of one list an issue is new once": func(t *testing.T, s tokenstore.Store) {
			two(t, s)
			imported(t, s, 2, issue("1", "A-1"), issue("1", "A-1"), issue("", "A-1"), issue("1", ""), issue("2", ""))
			published(t, s, true, "1", "A-1", "2")
		},
		"what is known stays as it is": func(t *testing.T, s tokenstore.Store) {
			two(t, s)
			mustDo(t, s.RecordIssue(t.Context(), Issue(s, "acme", "1", "A-1")))
			imported(t, s, 0, issue("1", "A-1"), issue("1", ""), issue("", "A-1"), issue("1", "A-9"), issue("9", "A-1"))
			published(t, s, true, "1", "A-1")
			published(t, s, false, "9", "A-9")
		},
		"an issue of which half was known is completed": func(t *testing.T, s tokenstore.Store) {
			two(t, s)
			imported(t, s, 4, issue("1", ""), issue("", "A-2"), issue("3", ""), issue("", "A-3"))
			imported(t, s, 0, issue("1", "A-1"), issue("2", "A-2"), issue("3", "A-3"))
			published(t, s, true, "1", "A-1", "2", "A-2", "3", "A-3")
			for _, by := range []string{"1", "A-2", "A-3"} {
				mustDo(t, s.ForgetIssue(t.Context(), "acme", by))
			}
			published(t, s, false, "1", "A-1", "2", "A-2", "3", "A-3")
			// Half of one and the whole of another: they can't both be right.
			imported(t, s, 2, issue("1", ""), issue("2", "A-2"))
			imported(t, s, 0, issue("1", "A-2"))
			published(t, s, true, "1", "2", "A-2")
		},
		"a recorded issue takes the place of what was imported": func(t *testing.T, s tokenstore.Store) {
			two(t, s)
			imported(t, s, 2, issue("1", ""), issue("", "A-1"))
			mustDo(t, s.RecordIssue(t.Context(), Issue(s, "acme", "1", "A-1")))
			published(t, s, true, "1", "A-1")
			mustDo(t, s.ForgetIssue(t.Context(), "acme", "1"))
			published(t, s, false, "1", "A-1")
		},
		"all issues of a list are imported, or none": func(t *testing.T, s tokenstore.Store) {
			two(t, s)
			other := issue("2", "A-2")
			other.Connection = "acme-1"
			for what, bad := range map[string]tokenstore.PublishedIssue{
				"one that is none":               issue("", ""),
				"one with an id that is no id":   issue("A-2", ""),
				"one of another connection":      other,
				"one of no connection":           {ID: "2"},
				"one of a client that can't be":  {Connection: "acme", ID: "2", Client: "A CLIENT"},
				"one whose key isn't Jira's own": issue("2", "a-2"),
			} {
				_, err := s.ImportIssues(t.Context(), "acme", []tokenstore.PublishedIssue{issue("1", "A-1"), bad})
				wantErr(t, err, tokenstore.ErrInvalid, what)
				published(t, s, false, "1", "A-1", "2")
			}
			_, err := s.ImportIssues(t.Context(), "nobody", nil)
			wantErr(t, err, tokenstore.ErrNotFound, "an unknown connection")
			ctx, cancel := context.WithCancel(t.Context())
			cancel()
			_, err = s.ImportIssues(ctx, "acme", []tokenstore.PublishedIssue{issue("1", "A-1")})
			wantErr(t, err, context.Canceled, "a context that has ended")
			published(t, s, false, "1", "A-1")
		},
		"a list has its limit": func(t *testing.T, s tokenstore.Store) {
			two(t, s)
			var list []tokenstore.PublishedIssue
			for i := range tokenstore.MaxImport + 1 {
				list = append(list, issue(fmt.Sprint(i+1), fmt.Sprint("A-", i+1)))
			}
			_, err := s.ImportIssues(t.Context(), "acme", list)
			wantErr(t, err, tokenstore.ErrInvalid, "one too many")
			published(t, s, false, "1", "A-1")
			imported(t, s, tokenstore.MaxImport, list[1:]...)
			published(t, s, true, "2", fmt.Sprint("A-", tokenstore.MaxImport+1))
		},
		"imported issues belong to one incarnation": func(t *testing.T, s tokenstore.Store) {
			two(t, s)
			imported(t, s, 3, issue("1", ""), issue("", "A-2"), issue("3", "A-3"))
			mustDo(t, s.UpdateConnection(t.Context(), "acme", func(c *tokenstore.Connection) error {
				c.SiteURL = "https://acme-2.atlassian.net"
				return nil
			}))
			published(t, s, false, "1", "A-2", "3", "A-3")
			imported(t, s, 3, issue("1", ""), issue("", "A-2"), issue("3", "A-3"))
			mustDo(t,
				Remove(t.Context(), s, "acme"),
				s.AddConnection(t.Context(), CloudConnection("acme"), OAuth2("1")))
			published(t, s, false, "1", "A-2", "3", "A-3")
		},
	}
}
