package storetest

import (
	"testing"
	"time"

	"jiragate/policy"
	"jiragate/tokenstore"
	"jiragate/tokenstore/secret"
)

// unconsented are connections of which only is known what is needed to ask for
// consent, and the credential that consent brings.
func unconsented() []struct {
	c           tokenstore.Connection
	cred, given tokenstore.Credential
} {
	cloud := CloudConnection("cloud")
	cloud.Scopes = nil
	dc := DataCenterConnection("dc")
	dc.CredentialKind = tokenstore.KindOAuth2
	link := DataCenterConnection("link")
	link.CredentialKind = tokenstore.KindOAuth1
	client := tokenstore.Credential{
		Kind: tokenstore.KindOAuth2, ClientID: "client", ClientSecret: secret.New("hunter2"), RedirectURL: "https://gateway.example/oauth/callback",
	}
	granted := OAuth2("1")
	granted.ClientID, granted.ClientSecret, granted.RedirectURL = client.ClientID, client.ClientSecret, client.RedirectURL
	return []struct {
		c           tokenstore.Connection
		cred, given tokenstore.Credential
	}{
		{cloud, tokenstore.Credential{Kind: tokenstore.KindOAuth2}, OAuth2("1")},
		{dc, client, granted},
		{link, OAuth1(""), OAuth1("1")},
	}
}

func consentTests() map[string]func(*testing.T, tokenstore.Store) {
	return map[string]func(*testing.T, tokenstore.Store){
		"a connection waits for consent, and is active with it": func(t *testing.T, s tokenstore.Store) {
			for _, test := range unconsented() {
				id := test.c.ID
				mustDo(t, s.AddConnection(t.Context(), test.c, test.cred))
				wantState(t, s, id, tokenstore.StateNeedsReauthorisation, tokenstore.ReasonAwaitsConsent)
				for _, state := range []tokenstore.State{tokenstore.StateActive, tokenstore.StateExpiring} {
					unchanged(t, s, tokenstore.ErrInvalid, "making it "+string(state), func() error {
						return s.SetState(t.Context(), id, state, "")
					})
				}
				unchanged(t, s, nil, "announcing the end of what has not begun", func() error {
					return s.AnnounceEnd(t.Context(), id, FirstGeneration(s, id), "soon")
				})
				unchanged(t, s, tokenstore.ErrInvalid, "another that nobody has consented to", func() error {
					return s.ReplaceCredential(t.Context(), id, FirstGeneration(s, id), test.cred)
				})
				mustDo(t, s.ReplaceCredential(t.Context(), id, FirstGeneration(s, id), test.given))
				wantState(t, s, id, tokenstore.StateActive, "")
			}
		},
		"no other state lets calls of it be made": func(t *testing.T, s tokenstore.Store) {
			for _, test := range unconsented() {
				for _, state := range []tokenstore.State{tokenstore.StateActive, tokenstore.StateExpiring} {
					c := test.c
					c.State = state
					unchanged(t, s, tokenstore.ErrInvalid, "adding it "+string(state), func() error {
						return s.AddConnection(t.Context(), c, test.cred)
					})
				}
				c, id := test.c, test.c.ID
				c.State, c.StateReason = tokenstore.StateDisabled, "not yet"
				mustDo(t, s.AddConnection(t.Context(), c, test.cred))
				wantState(t, s, id, tokenstore.StateDisabled, "not yet")
				unchanged(t, s, tokenstore.ErrInvalid, "switching it on", func() error {
					return s.SetState(t.Context(), id, tokenstore.StateActive, "")
				})
				mustDo(t, s.ReplaceCredential(t.Context(), id, FirstGeneration(s, id), test.given))
				wantState(t, s, id, tokenstore.StateDisabled, "not yet")
				mustDo(t, s.SetState(t.Context(), id, tokenstore.StateActive, ""))
				wantState(t, s, id, tokenstore.StateActive, "")
			}
		},
		"consent does not lead calls to nowhere": func(t *testing.T, s tokenstore.Store) {
			c := tokenstore.Connection{ID: "acme", Edition: policy.Cloud, Region: tokenstore.RegionUS, CredentialKind: tokenstore.KindOAuth2}
			mustDo(t, s.AddConnection(t.Context(), c, tokenstore.Credential{Kind: tokenstore.KindOAuth2}))
			wantState(t, s, "acme", tokenstore.StateNeedsReauthorisation, tokenstore.ReasonAwaitsConsent)
			unchanged(t, s, tokenstore.ErrInvalid, "consent for a site that isn't known", func() error {
				return s.ReplaceCredential(t.Context(), "acme", FirstGeneration(s, "acme"), OAuth2("1"))
			})
			first := FirstGeneration(s, "acme")
			mustDo(t, s.UpdateConnection(t.Context(), "acme", func(c *tokenstore.Connection) error {
				c.SiteURL, c.CloudID = CloudConnection("acme").SiteURL, CloudConnection("acme").CloudID
				return nil
			}))
			unchanged(t, s, tokenstore.ErrConflict, "consent for what led nowhere", func() error {
				return s.ReplaceCredential(t.Context(), "acme", first, OAuth2("1"))
			})
			mustDo(t, s.ReplaceCredential(t.Context(), "acme", FirstGeneration(s, "acme"), OAuth2("1")))
			wantState(t, s, "acme", tokenstore.StateActive, "")
		},
		"consent that was given can't be taken away by a replacement": func(t *testing.T, s tokenstore.Store) {
			mustDo(t, s.AddConnection(t.Context(), CloudConnection("acme"), OAuth2("1")))
			for _, state := range []tokenstore.State{tokenstore.StateActive, tokenstore.StateDisabled, tokenstore.StateNeedsReauthorisation} {
				mustDo(t, s.SetState(t.Context(), "acme", state, ""))
				unchanged(t, s, tokenstore.ErrInvalid, "a replacement without tokens", func() error {
					return s.ReplaceCredential(t.Context(), "acme", FirstGeneration(s, "acme"), tokenstore.Credential{Kind: tokenstore.KindOAuth2})
				})
			}
		},
	}
}

// endingTests are about grants that end soon. Long ago and far ahead are so by any
// store's clock.
func endingTests() map[string]func(*testing.T, tokenstore.Store) {
	ending, lapsing, lasting := OAuth2("2"), OAuth2("3"), OAuth2("4")
	ending.EndsAt = time.Date(2001, 1, 1, 0, 0, 0, 0, time.UTC)
	lapsing.LapsesAt = ending.EndsAt
	lasting.EndsAt = time.Date(2201, 1, 1, 0, 0, 0, 0, time.UTC)
	lasting.LapsesAt = lasting.EndsAt
	return map[string]func(*testing.T, tokenstore.Store){
		"the end of a grant is announced, by its generation": func(t *testing.T, s tokenstore.Store) {
			mustDo(t, s.AddConnection(t.Context(), CloudConnection("acme"), OAuth2("1")))
			first := FirstGeneration(s, "acme")
			announce := func(generation uint64, reason string) func() error {
				return func() error { return s.AnnounceEnd(t.Context(), "acme", generation, reason) }
			}
			for _, g := range []uint64{0, first - 1, first + 1, tokenstore.FirstGeneration(tokenstore.Incarnation(first) + 1)} {
				unchanged(t, s, tokenstore.ErrConflict, "for another generation", announce(g, "soon"))
			}
			unchanged(t, s, tokenstore.ErrInvalid, "for a reason of two lines", announce(first, "a\nb"))
			wantErr(t, s.AnnounceEnd(t.Context(), "nobody", first, "soon"), tokenstore.ErrNotFound, "an unknown connection")

			before, _ := s.Directory().Connection("acme")
			mustDo(t, announce(first, "in a month")())
			wantState(t, s, "acme", tokenstore.StateExpiring, "in a month")
			since, _ := s.Directory().Connection("acme")
			if !since.StateSince.After(before.StateSince) {
				t.Errorf("it is so since %v", since.StateSince)
			}
			unchanged(t, s, nil, "again", announce(first, "in a month"))
			mustDo(t, announce(first, "in a day")())
			wantState(t, s, "acme", tokenstore.StateExpiring, "in a day")
			if now, _ := s.Directory().Connection("acme"); !now.StateSince.Equal(since.StateSince) {
				t.Error("the state did not change, but since when")
			}
			for _, state := range []tokenstore.State{tokenstore.StateNeedsReauthorisation, tokenstore.StateDisabled} {
				mustDo(t, s.SetState(t.Context(), "acme", state, "by hand"))
				unchanged(t, s, nil, "while it is "+string(state), announce(first, "soon"))
			}
		},
		"a grant that is expiring is refused": func(t *testing.T, s tokenstore.Store) {
			mustDo(t, s.AddConnection(t.Context(), CloudConnection("acme"), OAuth2("1")))
			first := FirstGeneration(s, "acme")
			mustDo(t,
				s.AnnounceEnd(t.Context(), "acme", first, "soon"),
				s.RequireReauthorisation(t.Context(), "acme", first, "invalid_grant"))
			wantState(t, s, "acme", tokenstore.StateNeedsReauthorisation, "invalid_grant")
		},
		"a replacement that lasts ends the announcement": func(t *testing.T, s tokenstore.Store) {
			mustDo(t, s.AddConnection(t.Context(), CloudConnection("acme"), OAuth2("1")))
			g := FirstGeneration(s, "acme")
			mustDo(t, s.AnnounceEnd(t.Context(), "acme", g, "soon"))
			since, _ := s.Directory().Connection("acme")
			for _, c := range []tokenstore.Credential{ending, lapsing} {
				mustDo(t, s.ReplaceCredential(t.Context(), "acme", g, c))
				g++
				wantState(t, s, "acme", tokenstore.StateExpiring, "soon")
			}
			if now, _ := s.Directory().Connection("acme"); !now.StateSince.Equal(since.StateSince) {
				t.Error("the state did not change, but since when")
			}
			mustDo(t, s.ReplaceCredential(t.Context(), "acme", g, lasting))
			wantState(t, s, "acme", tokenstore.StateActive, "")
		},
		"a replacement that ends soon announces nothing by itself": func(t *testing.T, s tokenstore.Store) {
			mustDo(t, s.AddConnection(t.Context(), CloudConnection("acme"), OAuth2("1")))
			g := FirstGeneration(s, "acme")
			mustDo(t, s.ReplaceCredential(t.Context(), "acme", g, ending))
			wantState(t, s, "acme", tokenstore.StateActive, "")
			mustDo(t,
				s.RequireReauthorisation(t.Context(), "acme", g+1, "invalid_grant"),
				s.ReplaceCredential(t.Context(), "acme", g+1, ending))
			wantState(t, s, "acme", tokenstore.StateActive, "")
			mustDo(t,
				s.SetState(t.Context(), "acme", tokenstore.StateDisabled, "by hand"),
				s.ReplaceCredential(t.Context(), "acme", g+2, lasting))
			wantState(t, s, "acme", tokenstore.StateDisabled, "by hand")
		},
	}
}

func wantState(t *testing.T, s tokenstore.Store, connection string, state tokenstore.State, reason string) {
	t.Helper()
	c, ok := s.Directory().Connection(connection)
	if !ok {
		t.Fatalf("there is no connection %s", connection)
	}
	if c.State != state || c.StateReason != reason {
		t.Errorf("connection %s is %s, %q, want %s, %q", connection, c.State, c.StateReason, state, reason)
	}
}
