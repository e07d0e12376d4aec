package storetest

import (
	"testing"

	"jiragate/tokenstore"
)

func wantPublished(t *testing.T, s tokenstore.Store, connection, idOrKey string, want bool) {
	t.Helper()
	got, err := s.IssuePublished(t.Context(), connection, idOrKey)
	if err != nil {
		t.Error(err)
	}
	if got != want {
		t.Errorf("issue %s of connection %s: published is %v, want %v", idOrKey, connection, got, want)
	}
}

func issueTests() map[string]func(*testing.T, tokenstore.Store) {
	two := func(t *testing.T, s tokenstore.Store) {
		t.Helper()
		mustDo(t,
			s.AddConnection(t.Context(), CloudConnection("acme"), OAuth2("1")),
			s.AddConnection(t.Context(), CloudConnection("acme-1"), OAuth2("1")))
	}
	return map[string]func(*testing.T, tokenstore.Store){
		"a recorded issue is known by id and by key, in its connection": func(t *testing.T, s tokenstore.Store) {
			two(t, s)
			mustDo(t, s.RecordIssue(t.Context(), Issue(s, "acme", "10042", "ACME-17")))
			wantPublished(t, s, "acme", "10042", true)
			wantPublished(t, s, "acme", "ACME-17", true)
			for _, other := range []string{"", "1004", "100420", "ACME-1", "ACME-177", "acme-17", "ACME", "/10042", "10042/", "ACME-17\x00"} {
				wantPublished(t, s, "acme", other, false)
			}
			for _, connection := range []string{"acme-1", "nobody", "", "ac"} {
				wantPublished(t, s, connection, "10042", false)
				wantPublished(t, s, connection, "ACME-17", false)
			}
		},
		"recording it again changes nothing": func(t *testing.T, s tokenstore.Store) {
			two(t, s)
			mustDo(t,
				s.RecordIssue(t.Context(), Issue(s, "acme", "10042", "ACME-17")),
				s.RecordIssue(t.Context(), Issue(s, "acme", "10042", "ACME-17")))
			wantPublished(t, s, "acme", "10042", true)
			mustDo(t, s.ForgetIssue(t.Context(), "acme", "10042"))
			wantPublished(t, s, "acme", "10042", false)
		},
		"the newest record of an id or a key counts": func(t *testing.T, s tokenstore.Store) {
			two(t, s)
			mustDo(t,
				s.RecordIssue(t.Context(), Issue(s, "acme", "1", "A-1")),
				s.RecordIssue(t.Context(), Issue(s, "acme", "1", "B-1")))
			wantPublished(t, s, "acme", "1", true)
			wantPublished(t, s, "acme", "B-1", true)
			wantPublished(t, s, "acme", "A-1", false)
			mustDo(t, s.RecordIssue(t.Context(), Issue(s, "acme", "2", "B-1")))
			wantPublished(t, s, "acme", "2", true)
			wantPublished(t, s, "acme", "B-1", true)
			wantPublished(t, s, "acme", "1", false)

			// Both at once: the id of one, the key of another.
			mustDo(t,
				s.RecordIssue(t.Context(), Issue(s, "acme", "3", "C-1")),
				s.RecordIssue(t.Context(), Issue(s, "acme", "3", "B-1")))
			for idOrKey, want := range map[string]bool{"3": true, "B-1": true, "2": false, "C-1": false} {
				wantPublished(t, s, "acme", idOrKey, want)
			}
		},
		"a forgotten issue is known by neither": func(t *testing.T, s tokenstore.Store) {
			two(t, s)
			for _, by := range []string{"10042", "ACME-17"} {
				mustDo(t,
					s.RecordIssue(t.Context(), Issue(s, "acme", "10042", "ACME-17")),
					s.RecordIssue(t.Context(), Issue(s, "acme-1", "10042", "ACME-17")),
					s.ForgetIssue(t.Context(), "acme", by))
				wantPublished(t, s, "acme", "10042", false)
				wantPublished(t, s, "acme", "ACME-17", false)
				wantPublished(t, s, "acme-1", "ACME-17", true)
			}
			mustDo(t,
				s.ForgetIssue(t.Context(), "acme", "10042"),
				s.ForgetIssue(t.Context(), "nobody", "10042"))
		},
		"what can't be recorded": func(t *testing.T, s tokenstore.Store) {
			two(t, s)
			wantErr(t, s.RecordIssue(t.Context(), Issue(s, "nobody", "1", "A-1")), tokenstore.ErrNotFound, "an unknown connection")
			wantErr(t, s.RecordIssue(t.Context(), Issue(s, "acme", "1/2", "A-1")), tokenstore.ErrInvalid, "an id with a slash")
			wantErr(t, s.RecordIssue(t.Context(), Issue(s, "acme", "A-1", "1")), tokenstore.ErrInvalid, "id and key exchanged")
			wantErr(t, s.RecordIssue(t.Context(), Issue(s, "acme", "", "")), tokenstore.ErrInvalid, "nothing")
			wantPublished(t, s, "acme", "1", false)
		},
	}
}
