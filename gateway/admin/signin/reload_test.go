package signin

import (
	"net/http"
	"testing"

	"jiragate/gateway/admin"
	"jiragate/gateway/admin/act"
	"jiragate/tokenstore/secret"
)

// Another admin token signs out who came in by the one before, and nobody else.
func TestSetToken(t *testing.T) {
	s, err := New(Options{Token: secret.New("the old admin token, long enough"), Acts: &act.Journal{}, Show: func(http.ResponseWriter, *http.Request, Page) {}})
	if err != nil {
		t.Fatal(err)
	}
	byToken := s.sessions.begin(identity{actor: admin.AdminTokenActor})
	person := s.sessions.begin(identity{actor: "oidc:kim"})
	before := *s.want.Load()
	s.SetToken(secret.New("the new admin token, long enough"))
	if *s.want.Load() == before {
		t.Error("the old token signs in")
	}
	if _, ok := s.sessions.find(byToken, false); ok {
		t.Error("the session of the old token goes on")
	}
	if _, ok := s.sessions.find(person, false); !ok {
		t.Error("the session of a person has ended")
	}
}
