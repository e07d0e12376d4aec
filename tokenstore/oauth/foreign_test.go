package oauth

import (
	"bufio"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"jiragate/policy"
	"jiragate/tokenstore"
	"jiragate/tokenstore/secret"
	"jiragate/tokenstore/storetest"
)

// foreign is an authorization server that nobody here wrote: see its command.
type foreign struct {
	URL          string `json:"url"`
	CA           string `json:"ca"`
	ClientID     string `json:"client_id"`
	ClientSecret string `json:"client_secret"`
	RedirectURL  string `json:"redirect_url"`
	transport    *http.Transport
}

// startForeign builds the server, which is a module of its own, and runs it.
func startForeign(t *testing.T) *foreign {
	t.Helper()
	program := filepath.Join(t.TempDir(), "foreignserver")
	build := exec.CommandContext(t.Context(), "go", "build", "-o", program, ".")
	build.Dir = filepath.Join("testdata", "foreignserver")
	build.Env = append(os.Environ(), "GOWORK=off")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
	server := exec.Command(program)
	server.Stderr = os.Stderr
	stdin, err := server.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout, err := server.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := server.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := errors.Join(stdin.Close(), server.Wait()); err != nil {
			t.Errorf("the server ended with %v", err)
		}
	})
	var f foreign
	line, err := bufio.NewReader(stdout).ReadBytes('\n')
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(line, &f); err != nil {
		t.Fatal(err)
	}
	f.transport = trusting(t, []byte(f.CA))
	return &f
}

// TestForeignServer takes both kinds of connection through their lives at a
// server that detects the reuse of refresh tokens, and knows no leeway.
func TestForeignServer(t *testing.T) {
	f := startForeign(t)
	for _, test := range []struct {
		edition policy.Edition
		revoke  string // where a grant is revoked
	}{{policy.Cloud, "/revoke"}, {policy.DataCenter, "/jira/rest/oauth2/latest/revoke"}} {
		t.Run(string(test.edition), func(t *testing.T) {
			s := newStore(t, time.Hour)
			err := storetest.Remove(t.Context(), s, "acme")
			c := tokenstore.Connection{ID: "acme", Edition: test.edition, Region: tokenstore.RegionUS, CredentialKind: tokenstore.KindOAuth2}
			cred := tokenstore.Credential{Kind: tokenstore.KindOAuth2}
			if test.edition == policy.DataCenter {
				c.BaseURL = f.URL + "/jira"
				cred.ClientID, cred.ClientSecret, cred.RedirectURL = f.ClientID, secret.New(f.ClientSecret), f.RedirectURL
			}
			if err := errors.Join(err, s.AddConnection(t.Context(), c, cred)); err != nil {
				t.Fatal(err)
			}
			m := managerOn(t, s, f.URL, f.transport, func(o *Options) {
				o.ClientID, o.ClientSecret = f.ClientID, secret.New(f.ClientSecret)
			})

			f.consent(t, m)
			first := s.credential(t)
			tokens := map[string]bool{first.AccessToken.Reveal(): true, first.RefreshToken.Reveal(): true}
			for range 5 {
				if err := forceRefresh(t.Context(), m, "acme"); err != nil {
					t.Fatal(err)
				}
				now := s.credential(t)
				if tokens[now.AccessToken.Reveal()] || tokens[now.RefreshToken.Reveal()] {
					t.Error("a token came twice")
				}
				tokens[now.AccessToken.Reveal()], tokens[now.RefreshToken.Reveal()] = true, true
			}

			// Somebody uses a token that was replaced: the grant ends for all.
			stolen := s.credential(t)
			stolen.RefreshToken = first.RefreshToken
			if err := s.Store.ReplaceCredential(t.Context(), "acme", stolen.Generation, stolen); err != nil {
				t.Fatal(err)
			}
			f.wantDead(t, s, m)

			// A new consent mends it, and its grant is revoked in turn.
			f.consent(t, m)
			if err := forceRefresh(t.Context(), m, "acme"); err != nil {
				t.Fatal(err)
			}
			if test.edition == policy.DataCenter {
				if r, err := m.Revoke(t.Context(), "acme"); r != RevocationDone || err != nil {
					t.Errorf("Revoke: %s, %v", r, err)
				}
			} else {
				f.revoke(t, test.revoke, s.credential(t).RefreshToken)
			}
			f.wantDead(t, s, m)
		})
	}
}

func (f *foreign) consent(t *testing.T, m *Manager) {
	t.Helper()
	c, err := m.BeginConsent(t.Context(), "acme")
	if err != nil {
		t.Fatal(err)
	}
	g, err := m.FinishConsent(t.Context(), c, browse(t, f.transport, c))
	if err != nil {
		t.Fatal(err)
	}
	connection, _ := m.store.Directory().Connection("acme")
	site, err := g.Site(connection)
	if err != nil {
		t.Fatal(err)
	}
	if err := m.Connect(t.Context(), g, site); err != nil {
		t.Fatal(err)
	}
	connection, _ = m.store.Directory().Connection("acme")
	if connection.State != tokenstore.StateActive || !connection.Located() {
		t.Fatalf("after the consent: %+v", connection)
	}
}

// wantDead finds that the grant is gone.
func (f *foreign) wantDead(t *testing.T, s *watchedStore, m *Manager) {
	t.Helper()
	if err := forceRefresh(t.Context(), m, "acme"); !errors.Is(err, ErrNeedsReauthorisation) {
		t.Errorf("a refresh with a dead grant: %v", err)
	}
	if c := s.connection(t); c.State != tokenstore.StateNeedsReauthorisation || !strings.Contains(c.StateReason, "invalid_grant") || len(s.standing(t)) != 0 {
		t.Errorf("state %s (%s)", c.State, c.StateReason)
	}
}

// revoke withdraws a grant as the person does who gave it.
func (f *foreign) revoke(t *testing.T, path string, token secret.Secret) {
	t.Helper()
	res, err := (&http.Client{Transport: f.transport}).PostForm(f.URL+path, url.Values{
		"token": {token.Reveal()}, "client_id": {f.ClientID}, "client_secret": {f.ClientSecret},
	})
	if err != nil {
		t.Fatal(err)
	}
	res.Body.Close()
	if res.StatusCode != http.StatusOK {
		t.Fatalf("the revocation was answered with %d", res.StatusCode)
	}
}
