package storetest

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"jiragate/tokenstore"
)

func announcementTests() map[string]func(*testing.T, tokenstore.Store) {
	since := time.Date(2026, 3, 4, 5, 6, 7, 800, time.UTC)
	announcement := func(s tokenstore.Store, connection string, state tokenstore.State) tokenstore.Announcement {
		return tokenstore.Announcement{Connection: connection, Incarnation: incarnation(s, connection), State: state, Since: since}
	}
	return map[string]func(*testing.T, tokenstore.Store){
		"the last announcement of each connection is kept": func(t *testing.T, s tokenstore.Store) {
			mustDo(t,
				s.AddConnection(t.Context(), CloudConnection("zeta"), OAuth2("1")),
				s.AddConnection(t.Context(), CloudConnection("acme"), OAuth2("1")))
			wantAnnounced(t, s)
			zeta, acme := announcement(s, "zeta", tokenstore.StateActive), announcement(s, "acme", tokenstore.StateExpiring)
			mustDo(t, s.SetAnnounced(t.Context(), zeta), s.SetAnnounced(t.Context(), acme))
			wantAnnounced(t, s, acme, zeta)
			for _, state := range []tokenstore.State{tokenstore.StateNeedsReauthorisation, tokenstore.StateDisabled} {
				acme = announcement(s, "acme", state)
				acme.Since = since.Add(time.Hour)
				mustDo(t, s.SetAnnounced(t.Context(), acme))
				wantAnnounced(t, s, acme, zeta)
			}
		},
		"what is no announcement": func(t *testing.T, s tokenstore.Store) {
			mustDo(t, s.AddConnection(t.Context(), CloudConnection("acme"), OAuth2("1")))
			for name, a := range map[string]tokenstore.Announcement{
				"of no connection":    announcement(s, "", tokenstore.StateActive),
				"of what is no id":    announcement(s, "ACME", tokenstore.StateActive),
				"of no state":         announcement(s, "acme", ""),
				"of an unknown state": announcement(s, "acme", "asleep"),
			} {
				unchanged(t, s, tokenstore.ErrInvalid, name, func() error { return s.SetAnnounced(t.Context(), a) })
			}
			unchanged(t, s, nil, "of a connection that is no more", func() error {
				return s.SetAnnounced(t.Context(), announcement(s, "nobody", tokenstore.StateActive))
			})
		},
		"an announcement goes with its connection": func(t *testing.T, s tokenstore.Store) {
			mustDo(t, s.AddConnection(t.Context(), CloudConnection("acme"), OAuth2("1")))
			a := announcement(s, "acme", tokenstore.StateActive)
			mustDo(t,
				s.SetAnnounced(t.Context(), a),
				s.UpdateConnection(t.Context(), "acme", func(c *tokenstore.Connection) error {
					c.SiteURL = "https://acme-2.atlassian.net"
					return nil
				}))
			wantAnnounced(t, s, a)
			mustDo(t, Remove(t.Context(), s, "acme"))
			wantAnnounced(t, s)
			mustDo(t, s.AddConnection(t.Context(), CloudConnection("acme"), OAuth2("1")))
			wantAnnounced(t, s)
		},
	}
}

func wantAnnounced(t *testing.T, s tokenstore.Store, want ...tokenstore.Announcement) {
	t.Helper()
	got, err := s.Announced(t.Context())
	mustDo(t, err)
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("what was announced: %s", d)
	}
}
