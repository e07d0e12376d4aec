package bolt_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/tink-crypto/tink-go/v2/tink"
	"go.etcd.io/bbolt"

	"jiragate/policy"
	"jiragate/tokenstore"
	"jiragate/tokenstore/bolt"
	"jiragate/tokenstore/secret"
	"jiragate/tokenstore/storetest"
)

// What stores of schema 1 looked like, frozen: this code changes no more.

// seal1 seals as schema 1 did, always under the keyset itself.
func seal1(t testing.TB, a tink.AEAD, plaintext string, facts ...string) []byte {
	t.Helper()
	ciphertext, err := a.Encrypt([]byte(plaintext), associated1(facts...))
	must(t, err)
	return append([]byte{1, 1}, ciphertext...)
}

func associated1(facts ...string) []byte {
	associated := []byte{1, 1}
	for _, f := range facts {
		associated = append(binary.AppendUvarint(associated, uint64(len(f))), f...)
	}
	return associated
}

const (
	acme1 = `{"id":"acme","edition":"cloud","site_url":"https://acme.atlassian.net",` +
		`"cloud_id":"11223344-5566-7788-99aa-bbccddeeff00","region":"us","credential_kind":"oauth2",` +
		`"scopes":["read:jira-work","offline_access"],"state":"active","state_since":"2026-01-01T00:00:01Z",` +
		`"created_at":"2026-01-01T00:00:01.5Z","updated_at":"2026-01-01T00:00:02Z","generation":4294967298}`
	umbrella1 = `{"id":"umbrella","edition":"datacenter","base_url":"https://jira.umbrella.example/jira",` +
		`"region":"eu","credential_kind":"basic","state":"needs_reauthorisation","state_reason":"password refused",` +
		`"state_since":"2026-01-01T00:00:03Z","created_at":"2026-01-01T00:00:03Z","updated_at":"2026-01-01T00:00:03Z",` +
		`"generation":12884901889}`
)

// schema1 makes a store of schema 1 and returns its sealed credentials.
func schema1(t testing.TB, o bolt.Options) (sealed map[string][]byte) {
	t.Helper()
	a := o.AEAD
	sealed = map[string][]byte{
		"acme": seal1(t, a, `{"access_token":"access-1","refresh_token":"refresh-1","expiry":"2026-03-04T05:06:07Z","scopes":["read:jira-work","offline_access"]}`,
			"credentials", "acme", "oauth2", "2026-01-01T00:00:01.5Z", "4294967298",
			"cloud", "https://acme.atlassian.net", "11223344-5566-7788-99aa-bbccddeeff00", "", ""),
		"umbrella": seal1(t, a, `{"username":"svc-jiragate","password":"hunter2"}`,
			"credentials", "umbrella", "basic", "2026-01-01T00:00:03Z", "12884901889",
			"datacenter", "", "", "https://jira.umbrella.example/jira", ""),
	}
	canary := seal1(t, a, "jiragate", "meta", "canary")
	canarySum, token := sha256.Sum256(canary), storetest.Token("t")
	edit(t, o.Path, func(tx *bbolt.Tx) error {
		put := func(bucket string, pairs ...[]byte) error {
			b, err := tx.CreateBucket([]byte(bucket))
			for ; len(pairs) > 0; pairs = pairs[2:] {
				err = errors.Join(err, b.Put(pairs[0], pairs[1]))
			}
			return err
		}
		text := func(s string) []byte { return []byte(s) }
		err := errors.Join(
			put("meta", text("schema"), text("1"), text("canary"), canary, text("canary_sha256"), canarySum[:]),
			put("connections", text("acme"), text(acme1), text("umbrella"), text(umbrella1)),
			put("credentials", text("acme"), sealed["acme"], text("umbrella"), sealed["umbrella"]),
			put("clients", text("reports"), fmt.Appendf(nil, `{"name":"reports","token_sha256":"%x","connections":["acme"],"created_at":"2026-01-01T00:00:04Z","token_rotated_at":"2026-01-01T00:00:04Z"}`, token)),
			put("client_tokens", token[:], text("reports")),
			put("issues", text("acme/10042"), text(`{"connection":"acme","id":"10042","key":"ACME-17","created_at":"2026-01-01T00:00:05Z","client":"reports","record":"r"}`)),
			put("issue_keys", text("acme/ACME-17"), text("10042")))
		if err != nil {
			return err
		}
		return errors.Join(tx.Bucket(text("connections")).SetSequence(3), tx.Bucket(text("meta")).SetSequence(7))
	})
	return sealed
}

// A store of schema 1 goes on: nothing is lost, its credentials are under data
// keys, and nothing is left of them under the keyset.
func TestFromSchema1(t *testing.T) {
	ctx := t.Context()
	o := options(t)
	sealed := schema1(t, o)
	if err := bolt.Verify(ctx, o.Path, o.AEAD); err == nil {
		t.Error("it is verified as it is")
	}
	s := mustOpen(t, o)
	must(t, s.Check(ctx))
	want := storetest.OAuth2("1")
	want.Expiry = time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC)
	want.Generation = tokenstore.FirstGeneration(1) + 1
	wantCredential(t, s, "acme", want)
	want = tokenstore.Credential{Kind: tokenstore.KindBasic, Username: "svc-jiragate", Password: secret.New("hunter2"), Generation: tokenstore.FirstGeneration(3)}
	wantCredential(t, s, "umbrella", want)
	c, _ := s.Directory().Connection("umbrella")
	if c.Edition != policy.DataCenter || c.State != tokenstore.StateNeedsReauthorisation || c.StateReason != "password refused" {
		t.Errorf("a connection is %+v", c)
	}
	if s.Revision() != 7 {
		t.Errorf("revision %d", s.Revision())
	}
	if ok, err := s.IssuePublished(ctx, "acme", "ACME-17"); !ok || err != nil {
		t.Errorf("the issue is published: %v, %v", ok, err)
	}
	if use, err := s.KeyUse(ctx); err != nil || len(use) != 1 {
		t.Errorf("keys in use: %v, %v", use, err)
	}
	must(t, s.AddConnection(ctx, storetest.CloudConnection("next"), storetest.OAuth2("1")))
	if c, _ := s.Directory().Connection("next"); c.Incarnation != 4 {
		t.Errorf("the next incarnation is %d", c.Incarnation)
	}
	file := readFile(t, o.Path)
	for id, old := range sealed {
		if bytes.Contains(file, old[2:]) {
			t.Errorf("the file still holds the credential of %s under the keyset", id)
		}
	}
	mustClose(t, s)
	must(t, bolt.Verify(ctx, o.Path, o.AEAD))
}

// A credential that does not open stops the migration, and leaves the file as it
// was.
func TestFromSchema1Damaged(t *testing.T) {
	o := options(t)
	sealed := schema1(t, o)
	edit(t, o.Path, func(tx *bbolt.Tx) error {
		return errors.Join(putCredential(tx, "acme", sealed["umbrella"]), putCredential(tx, "umbrella", sealed["acme"]))
	})
	before := readFile(t, o.Path)
	_, err := bolt.Open(t.Context(), o)
	if !errors.Is(err, tokenstore.ErrCorrupt) || !bytes.Contains([]byte(err.Error()), []byte(`"acme"`)) {
		t.Errorf("error %v, want ErrCorrupt that names the connection", err)
	}
	if !bytes.Equal(readFile(t, o.Path), before) {
		t.Error("the file was changed")
	}
}
