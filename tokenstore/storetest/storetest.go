package storetest

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"jiragate/policy"
	"jiragate/tokenstore"
	"jiragate/tokenstore/secret"
)

// Run runs the suite. Each call of open returns a new, empty store; the suite
// checks and closes it at the end of each test. The clock of the store must move
// on between changes.
func Run(t *testing.T, open func(t *testing.T) tokenstore.Store) {
	for _, theme := range []struct {
		name  string
		tests map[string]func(*testing.T, tokenstore.Store)
	}{
		{"Connections", connectionTests()},
		{"Incarnations", incarnationTests()},
		{"Credentials", credentialTests()},
		{"Consent", consentTests()},
		{"Ending", endingTests()},
		{"Rotations", rotationTests()},
		{"Invitations", invitationTests()},
		{"Announcements", announcementTests()},
		{"Machine", machineTests()},
		{"Clients", clientTests()},
		{"Issues", issueTests()},
		{"Imports", importTests()},
		{"Directory", directoryTests()},
		{"Whole", wholeTests()},
	} {
		t.Run(theme.name, func(t *testing.T) {
			for name, test := range theme.tests {
				t.Run(name, func(t *testing.T) {
					s := open(t)
					defer finish(t, s)
					test(t, s)
				})
			}
		})
	}
}

// finish checks the store that a test leaves behind: no test may damage it.
func finish(t *testing.T, s tokenstore.Store) {
	t.Helper()
	if err := s.Check(t.Context()); err != nil {
		t.Errorf("the test leaves a damaged store: %v", err)
	}
	for range 2 {
		if err := s.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
	}
}

// CloudConnection returns a connection that can be added, of kind oauth2.
func CloudConnection(id string) tokenstore.Connection {
	return tokenstore.Connection{
		ID:             id,
		Edition:        policy.Cloud,
		SiteURL:        "https://" + id + ".atlassian.net",
		CloudID:        "11223344-5566-7788-99aa-bbccddeeff00",
		Region:         tokenstore.RegionUS,
		CredentialKind: tokenstore.KindOAuth2,
		Scopes:         []string{"read:jira-work", "write:jira-work"},
	}
}

// DataCenterConnection returns a connection that can be added, of kind basic.
func DataCenterConnection(id string) tokenstore.Connection {
	return tokenstore.Connection{
		ID:             id,
		Edition:        policy.DataCenter,
		BaseURL:        "https://jira." + id + ".example/jira",
		Region:         tokenstore.RegionEU,
		CredentialKind: tokenstore.KindBasic,
	}
}

// OAuth2 returns a credential whose tokens end in suffix.
func OAuth2(suffix string) tokenstore.Credential {
	return tokenstore.Credential{
		Kind:         tokenstore.KindOAuth2,
		AccessToken:  secret.New("access-" + suffix),
		RefreshToken: secret.New("refresh-" + suffix),
		Expiry:       time.Date(2026, 3, 4, 5, 6, 7, 800, time.UTC),
		Scopes:       []string{"read:jira-work", "offline_access"},
	}
}

// Basic returns a credential with that password.
func Basic(password string) tokenstore.Credential {
	return tokenstore.Credential{Kind: tokenstore.KindBasic, Username: "svc-jiragate", Password: secret.New(password)}
}

// OAuth1 returns the credential of an application link, to which nobody has
// consented if token is empty.
func OAuth1(token string) tokenstore.Credential {
	return tokenstore.Credential{
		Kind: tokenstore.KindOAuth1, ConsumerKey: "jiragate", PrivateKey: secret.New("-----BEGIN hunter2-----\n"), Token: secret.New(token),
	}
}

// Token returns the digest of a token for tests.
func Token(token string) [sha256.Size]byte { return tokenstore.TokenSHA256(token) }

// Issue returns an issue that can be recorded now: that of the connection's
// present incarnation.
func Issue(s tokenstore.Store, connection, id, key string) tokenstore.PublishedIssue {
	return tokenstore.PublishedIssue{
		Connection: connection, Incarnation: incarnation(s, connection),
		ID: id, Key: key, Client: "reports", Record: "record-" + id,
	}
}

// FirstGeneration returns the generation with which the credential of a
// connection began, in its present incarnation.
func FirstGeneration(s tokenstore.Store, connection string) uint64 {
	return tokenstore.FirstGeneration(incarnation(s, connection))
}

// Remove removes a connection in its present incarnation.
func Remove(ctx context.Context, s tokenstore.Store, id string) error {
	return s.RemoveConnection(ctx, id, incarnation(s, id))
}

// incarnation returns 0 for an unknown connection.
func incarnation(s tokenstore.Store, connection string) uint64 {
	c, ok := s.Directory().Connection(connection)
	if !ok {
		return 0
	}
	return c.Incarnation
}

// mustDo fails the test at the first error.
func mustDo(t *testing.T, errs ...error) {
	t.Helper()
	for i, err := range errs {
		if err != nil {
			t.Fatalf("step %d: %v", i+1, err)
		}
	}
}

// wantErr checks that err is of that kind, and says what it was about.
func wantErr(t *testing.T, err, kind error, what string) {
	t.Helper()
	if !errors.Is(err, kind) {
		t.Errorf("%s: error %v, want %v", what, err, kind)
	}
}

// picture is all that can be read from a store, to see that something had no
// effect.
func picture(t *testing.T, s tokenstore.Store) string {
	t.Helper()
	var p string
	for _, c := range s.Directory().Connections() {
		cred, err := s.Credential(t.Context(), c.ID)
		p += fmt.Sprintf("%+v %s %s %s %+v %v\n", *c, cred.AccessToken.Reveal(), cred.RefreshToken.Reveal(), cred.Password.Reveal(), cred, err)
		invitation, err := s.Invitation(t.Context(), c.ID)
		p += fmt.Sprintf("%+v %v\n", invitation, err)
	}
	rotations, err := s.Rotations(t.Context())
	p += fmt.Sprintf("%+v %v\n", rotations, err)
	announced, err := s.Announced(t.Context())
	p += fmt.Sprintf("%+v %v\n", announced, err)
	for _, c := range s.Directory().Clients() {
		p += fmt.Sprintf("%+v\n", *c)
	}
	return p
}

// unchanged runs a change that must fail, and checks that it had no effect.
func unchanged(t *testing.T, s tokenstore.Store, kind error, what string, do func() error) {
	t.Helper()
	before := picture(t, s)
	wantErr(t, do(), kind, what)
	if d := cmp.Diff(before, picture(t, s)); d != "" {
		t.Errorf("%s failed, but changed the store:\n%s", what, d)
	}
}

func connectionIDs(s tokenstore.Store) []string {
	var ids []string
	for _, c := range s.Directory().Connections() {
		ids = append(ids, c.ID)
	}
	return ids
}

func wantGrants(t *testing.T, s tokenstore.Store, client string, want ...string) {
	t.Helper()
	c, ok := s.Directory().Client(client)
	if !ok {
		t.Fatalf("there is no client %s", client)
	}
	if !slices.Equal(c.Connections, want) {
		t.Errorf("client %s is granted %q, want %q", client, c.Connections, want)
	}
}
