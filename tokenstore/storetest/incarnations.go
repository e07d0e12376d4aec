package storetest

import (
	"crypto/ed25519"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"math/big"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"jiragate/tokenstore"
)

func incarnationTests() map[string]func(*testing.T, tokenstore.Store) {
	return map[string]func(*testing.T, tokenstore.Store){
		"a connection added again is a new incarnation": func(t *testing.T, s tokenstore.Store) {
			last := uint64(0) // generation
			for round := range 3 {
				mustDo(t, s.AddConnection(t.Context(), CloudConnection("acme"), OAuth2("first")))
				first, err := s.Credential(t.Context(), "acme")
				mustDo(t, err)
				if first.Generation <= last || first.Incarnation() == tokenstore.Incarnation(last) || first.Incarnation() != incarnation(s, "acme") {
					t.Errorf("round %d: generation %#x of incarnation %d, after generation %#x", round, first.Generation, incarnation(s, "acme"), last)
				}
				// What was meant for the one before does not hit this one.
				unchanged(t, s, tokenstore.ErrConflict, "replacing the credential of the one before", func() error {
					return s.ReplaceCredential(t.Context(), "acme", last, OAuth2("stray"))
				})
				unchanged(t, s, tokenstore.ErrConflict, "condemning the credential of the one before", func() error {
					return s.RequireReauthorisation(t.Context(), "acme", last, "invalid_grant")
				})
				for range round {
					mustDo(t, s.ReplaceCredential(t.Context(), "acme", first.Generation, OAuth2("next")))
					first.Generation++
				}
				last = first.Generation
				mustDo(t, Remove(t.Context(), s, "acme"))
			}
		},
		"update that leads elsewhere is a new incarnation": func(t *testing.T, s tokenstore.Store) {
			mustDo(t,
				s.AddConnection(t.Context(), CloudConnection("acme"), OAuth2("1")),
				s.AddConnection(t.Context(), DataCenterConnection("umbrella"), Basic("hunter2")),
				s.ReplaceCredential(t.Context(), "umbrella", FirstGeneration(s, "umbrella"), Basic("hunter3")),
				s.AddClient(t.Context(), tokenstore.Client{Name: "reports", Connections: []string{"acme", "umbrella"}}))
			ca := certificate(t)
			for _, test := range []struct {
				name, id string
				edit     func(*tokenstore.Connection)
				new      bool
			}{
				{"nothing", "umbrella", func(*tokenstore.Connection) {}, false},
				{"region", "umbrella", func(c *tokenstore.Connection) { c.Region = tokenstore.RegionUS }, false},
				{"scopes", "acme", func(c *tokenstore.Connection) { c.Scopes = nil }, false},
				{"base URL", "umbrella", func(c *tokenstore.Connection) { c.BaseURL = "https://jira2.umbrella.example" }, true},
				{"base URL, back again", "umbrella", func(c *tokenstore.Connection) { c.BaseURL = DataCenterConnection("umbrella").BaseURL }, true},
				{"upstream CA", "umbrella", func(c *tokenstore.Connection) { c.UpstreamCA = ca }, true},
				{"site URL", "acme", func(c *tokenstore.Connection) { c.SiteURL = "https://acme-2.atlassian.net" }, true},
				{"cloud id", "acme", func(c *tokenstore.Connection) { c.CloudID = "99223344-5566-7788-99aa-bbccddeeff00" }, true},
			} {
				other := map[string]string{"acme": "umbrella", "umbrella": "acme"}[test.id]
				mustDo(t,
					s.RecordIssue(t.Context(), Issue(s, test.id, "1", "A-1")),
					s.RecordIssue(t.Context(), Issue(s, other, "1", "A-1")))
				old, oldOther := incarnation(s, test.id), incarnation(s, other)
				before, err := s.Credential(t.Context(), test.id)
				mustDo(t, err, s.UpdateConnection(t.Context(), test.id, func(c *tokenstore.Connection) error { test.edit(c); return nil }))

				want := before
				if test.new {
					want.Generation = FirstGeneration(s, test.id)
				}
				after, err := s.Credential(t.Context(), test.id)
				if d := cmp.Diff(want, after); d != "" || err != nil {
					t.Errorf("%s: its credential, %v: %s", test.name, err, d)
				}
				switch now := incarnation(s, test.id); {
				case now != after.Incarnation():
					t.Errorf("%s: incarnation %d, its credential is of %d", test.name, now, after.Incarnation())
				case test.new && now <= max(old, oldOther), !test.new && now != old:
					t.Errorf("%s: incarnation %d, after %d", test.name, now, old)
				}
				wantPublished(t, s, test.id, "1", !test.new)
				wantPublished(t, s, test.id, "A-1", !test.new)
				wantPublished(t, s, other, "A-1", true)
				wantGrants(t, s, "reports", "acme", "umbrella")
			}
		},
		"only the incarnation that is meant is removed": func(t *testing.T, s tokenstore.Store) {
			mustDo(t, s.AddConnection(t.Context(), CloudConnection("acme"), OAuth2("1")))
			first := incarnation(s, "acme")
			mustDo(t,
				s.RemoveConnection(t.Context(), "acme", first),
				s.AddConnection(t.Context(), CloudConnection("acme"), OAuth2("2")),
				s.AddClient(t.Context(), tokenstore.Client{Name: "reports", Connections: []string{"acme"}}),
				s.RecordIssue(t.Context(), Issue(s, "acme", "1", "A-1")))
			second := incarnation(s, "acme")
			for _, wrong := range []uint64{0, first, second + 1} {
				unchanged(t, s, tokenstore.ErrConflict, fmt.Sprint("removing incarnation ", wrong), func() error {
					return s.RemoveConnection(t.Context(), "acme", wrong)
				})
			}
			wantPublished(t, s, "acme", "1", true)
			mustDo(t, s.UpdateConnection(t.Context(), "acme", func(c *tokenstore.Connection) error {
				c.SiteURL = "https://acme-2.atlassian.net"
				return nil
			}))
			unchanged(t, s, tokenstore.ErrConflict, "removing what it was before it led elsewhere", func() error {
				return s.RemoveConnection(t.Context(), "acme", second)
			})
			mustDo(t, s.RemoveConnection(t.Context(), "acme", incarnation(s, "acme")))
			wantErr(t, s.RemoveConnection(t.Context(), "acme", incarnation(s, "acme")), tokenstore.ErrNotFound, "removing it again")
		},
		"an issue belongs to one incarnation": func(t *testing.T, s tokenstore.Store) {
			mustDo(t,
				s.AddConnection(t.Context(), CloudConnection("acme"), OAuth2("1")),
				s.AddConnection(t.Context(), CloudConnection("acme-1"), OAuth2("1")))
			old := Issue(s, "acme", "10042", "ACME-17")
			mustDo(t,
				Remove(t.Context(), s, "acme"),
				s.AddConnection(t.Context(), CloudConnection("acme"), OAuth2("1")))
			for what, wrong := range map[string]uint64{
				"of the connection before": old.Incarnation,
				"of another connection":    incarnation(s, "acme-1"),
				"to come":                  incarnation(s, "acme-1") + 2,
				"of none":                  0,
			} {
				i := old
				i.Incarnation = wrong
				wantErr(t, s.RecordIssue(t.Context(), i), tokenstore.ErrNotFound, "an incarnation "+what)
				wantPublished(t, s, "acme", "10042", false)
				wantPublished(t, s, "acme", "ACME-17", false)
			}
			mustDo(t, s.RecordIssue(t.Context(), Issue(s, "acme", "10042", "ACME-17")))
			wantPublished(t, s, "acme", "10042", true)
		},
	}
}

// certificate returns a self-signed certificate, as PEM.
func certificate(t *testing.T) string {
	t.Helper()
	public, private, err := ed25519.GenerateKey(rand.Reader)
	mustDo(t, err)
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, public, private)
	mustDo(t, err)
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
}
