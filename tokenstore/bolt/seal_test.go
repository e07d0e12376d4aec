package bolt_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"

	"go.etcd.io/bbolt"

	"jiragate/tokenstore"
	"jiragate/tokenstore/bolt"
	"jiragate/tokenstore/storetest"
)

// credentialOf returns a copy of the sealed credential of a connection.
func credentialOf(tx *bbolt.Tx, id string) []byte {
	return bytes.Clone(tx.Bucket([]byte("credentials")).Get([]byte(id)))
}

func putCredential(tx *bbolt.Tx, id string, sealed []byte) error {
	return tx.Bucket([]byte("credentials")).Put([]byte(id), sealed)
}

func dataKeyOf(tx *bbolt.Tx, id string) []byte {
	return bytes.Clone(tx.Bucket([]byte("data_keys")).Get([]byte(id)))
}

func putDataKey(tx *bbolt.Tx, id string, wrapped []byte) error {
	return tx.Bucket([]byte("data_keys")).Put([]byte(id), wrapped)
}

// editConnection changes one field of the JSON record of a connection.
func editConnection(tx *bbolt.Tx, id, field string, value any) error {
	b := tx.Bucket([]byte("connections"))
	var r map[string]any
	if err := json.Unmarshal(b.Get([]byte(id)), &r); err != nil {
		return err
	}
	if r[field] == nil {
		return fmt.Errorf("connection %s has no %s", id, field)
	}
	r[field] = value
	v, err := json.Marshal(r)
	if err != nil {
		return err
	}
	return b.Put([]byte(id), v)
}

// A ciphertext opens in its own place only. Each row is what somebody could do
// who can write the file but doesn't have the keyset.
func TestSealedRecordsCannotBeMoved(t *testing.T) {
	tests := []struct {
		name    string
		damage  func(tx *bbolt.Tx) error
		victims []string // connections whose credential must not open any more
	}{
		{"swapped with another of the same kind", func(tx *bbolt.Tx) error {
			a, b := credentialOf(tx, "umbrella"), credentialOf(tx, "tyrell")
			return errors.Join(putCredential(tx, "umbrella", b), putCredential(tx, "tyrell", a))
		}, []string{"umbrella", "tyrell"}},
		{"swapped with another kind", func(tx *bbolt.Tx) error {
			return putCredential(tx, "umbrella", credentialOf(tx, "acme"))
		}, []string{"umbrella"}},
		{"the canary in its place", func(tx *bbolt.Tx) error {
			return putCredential(tx, "acme", bytes.Clone(tx.Bucket([]byte("meta")).Get([]byte("canary"))))
		}, []string{"acme"}},
		{"cut", func(tx *bbolt.Tx) error {
			c := credentialOf(tx, "acme")
			return putCredential(tx, "acme", c[:len(c)-1])
		}, []string{"acme"}},
		{"cut down to its header", func(tx *bbolt.Tx) error {
			return putCredential(tx, "acme", credentialOf(tx, "acme")[:2])
		}, []string{"acme"}},
		{"emptied", func(tx *bbolt.Tx) error { return putCredential(tx, "acme", nil) }, []string{"acme"}},
		{"lengthened", func(tx *bbolt.Tx) error {
			return putCredential(tx, "acme", append(credentialOf(tx, "acme"), 0))
		}, []string{"acme"}},
		{"removed", func(tx *bbolt.Tx) error {
			return tx.Bucket([]byte("credentials")).Delete([]byte("acme"))
		}, []string{"acme"}},
		{"of another format", func(tx *bbolt.Tx) error {
			c := credentialOf(tx, "acme")
			c[0]++
			return putCredential(tx, "acme", c)
		}, []string{"acme"}},
		{"of another schema", func(tx *bbolt.Tx) error {
			c := credentialOf(tx, "acme")
			c[1]++
			return putCredential(tx, "acme", c)
		}, []string{"acme"}},
		{"data keys swapped", func(tx *bbolt.Tx) error {
			a, b := dataKeyOf(tx, "umbrella"), dataKeyOf(tx, "tyrell")
			return errors.Join(putDataKey(tx, "umbrella", b), putDataKey(tx, "tyrell", a))
		}, []string{"umbrella", "tyrell"}},
		{"swapped with another, data key and all", func(tx *bbolt.Tx) error {
			return errors.Join(
				putCredential(tx, "umbrella", credentialOf(tx, "tyrell")),
				putDataKey(tx, "umbrella", dataKeyOf(tx, "tyrell")))
		}, []string{"umbrella"}},
		{"data key in its place", func(tx *bbolt.Tx) error {
			return putCredential(tx, "acme", dataKeyOf(tx, "acme"))
		}, []string{"acme"}},
		{"the canary in place of the data key", func(tx *bbolt.Tx) error {
			return putDataKey(tx, "acme", bytes.Clone(tx.Bucket([]byte("meta")).Get([]byte("canary"))))
		}, []string{"acme"}},
		{"data key removed", func(tx *bbolt.Tx) error {
			return tx.Bucket([]byte("data_keys")).Delete([]byte("acme"))
		}, []string{"acme"}},
		{"data key cut", func(tx *bbolt.Tx) error {
			k := dataKeyOf(tx, "acme")
			return putDataKey(tx, "acme", k[:len(k)-1])
		}, []string{"acme"}},
		{"data key cut down to its header", func(tx *bbolt.Tx) error {
			return putDataKey(tx, "acme", dataKeyOf(tx, "acme")[:6])
		}, []string{"acme"}},
		{"data key of another schema", func(tx *bbolt.Tx) error {
			k := dataKeyOf(tx, "acme")
			k[1]++
			return putDataKey(tx, "acme", k)
		}, []string{"acme"}},
		{"generation set back", func(tx *bbolt.Tx) error {
			return editConnection(tx, "acme", "generation", tokenstore.FirstGeneration(1))
		}, []string{"acme"}},
		{"generation set on", func(tx *bbolt.Tx) error {
			return editConnection(tx, "acme", "generation", tokenstore.FirstGeneration(1)+2)
		}, []string{"acme"}},
		{"incarnation set back", func(tx *bbolt.Tx) error {
			return editConnection(tx, "umbrella", "generation", tokenstore.FirstGeneration(2))
		}, []string{"umbrella"}},
		{"incarnation set on", func(tx *bbolt.Tx) error {
			return editConnection(tx, "umbrella", "generation", tokenstore.FirstGeneration(4))
		}, []string{"umbrella"}},
		{"connection made at another time", func(tx *bbolt.Tx) error {
			return editConnection(tx, "acme", "created_at", "2026-01-01T00:00:00Z")
		}, []string{"acme"}},
		{"kind changed", func(tx *bbolt.Tx) error {
			return editConnection(tx, "umbrella", "credential_kind", "pat")
		}, []string{"umbrella"}},
		{"connection turned to another host", func(tx *bbolt.Tx) error {
			return editConnection(tx, "umbrella", "base_url", "https://evil.example/jira")
		}, []string{"umbrella"}},
		{"connection turned to another port", func(tx *bbolt.Tx) error {
			return editConnection(tx, "umbrella", "base_url", "https://jira.umbrella.example:8443/jira")
		}, []string{"umbrella"}},
		{"connection turned to another site", func(tx *bbolt.Tx) error {
			return editConnection(tx, "acme", "cloud_id", "99999999-5566-7788-99aa-bbccddeeff00")
		}, []string{"acme"}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			o := filled(t)
			edit(t, o.Path, test.damage)
			s := mustOpen(t, o)
			checkErr := s.Check(t.Context())
			if !errors.Is(checkErr, tokenstore.ErrCorrupt) {
				t.Errorf("Check: error %v, want ErrCorrupt", checkErr)
			}
			for _, c := range s.Directory().Connections() {
				cred, err := s.Credential(t.Context(), c.ID)
				victim := false
				for _, v := range test.victims {
					victim = victim || v == c.ID
				}
				if !victim {
					must(t, err)
					continue
				}
				if !errors.Is(err, tokenstore.ErrCorrupt) || cred.Kind != "" {
					t.Errorf("connection %s: credential %+v, error %v, want ErrCorrupt", c.ID, cred, err)
				}
				if checkErr != nil && !strings.Contains(checkErr.Error(), `"`+c.ID+`"`) {
					t.Errorf("Check does not name connection %s: %v", c.ID, checkErr)
				}
			}
		})
	}
}

// A credential opens beside the wrapped data key that it was sealed beside: not even
// the same key, wrapped once more, will do.
func TestCredentialIsBoundToItsWrappedKey(t *testing.T) {
	o := filled(t)
	edit(t, o.Path, func(tx *bbolt.Tx) error {
		var r struct {
			CreatedAt string `json:"created_at"`
		}
		if err := json.Unmarshal(tx.Bucket([]byte("connections")).Get([]byte("acme")), &r); err != nil {
			return err
		}
		facts := []string{"data_keys", "acme", r.CreatedAt}
		key, err := o.AEAD.Decrypt(dataKeyOf(tx, "acme")[2:], associated1(facts...))
		if err != nil {
			return err
		}
		return putDataKey(tx, "acme", seal1(t, o.AEAD, string(key), facts...))
	})
	s := mustOpen(t, o)
	if _, err := s.Credential(t.Context(), "acme"); !errors.Is(err, tokenstore.ErrCorrupt) {
		t.Errorf("error %v, want ErrCorrupt", err)
	}
	if _, err := s.Credential(t.Context(), "umbrella"); err != nil {
		t.Error(err)
	}
}

// The credential of before a replacement, put back, does not open: neither that
// of an earlier generation nor that of an earlier connection of the same name.
func TestOldSealedRecordsDoNotOpen(t *testing.T) {
	ctx := t.Context()
	to := func(u string) func(c *tokenstore.Connection) error {
		return func(c *tokenstore.Connection) error { c.BaseURL = u; return nil }
	}
	for name, change := range map[string]func(*bolt.Store) error{
		"replaced": func(s *bolt.Store) error {
			return s.ReplaceCredential(ctx, "umbrella", storetest.FirstGeneration(s, "umbrella"), storetest.Basic("new"))
		},
		"removed and added": func(s *bolt.Store) error {
			return errors.Join(
				storetest.Remove(ctx, s, "umbrella"),
				s.AddConnection(ctx, storetest.DataCenterConnection("umbrella"), storetest.Basic("new")))
		},
		"moved to another host and back": func(s *bolt.Store) error {
			return errors.Join(
				s.UpdateConnection(ctx, "umbrella", to("https://new.umbrella.example")),
				s.UpdateConnection(ctx, "umbrella", to("https://jira.umbrella.example/jira")))
		},
		"moved to another host, replaced and moved back": func(s *bolt.Store) error {
			return errors.Join(
				s.UpdateConnection(ctx, "umbrella", to("https://new.umbrella.example")),
				s.ReplaceCredential(ctx, "umbrella", storetest.FirstGeneration(s, "umbrella"), storetest.Basic("new")),
				s.UpdateConnection(ctx, "umbrella", to("https://jira.umbrella.example/jira")))
		},
	} {
		t.Run(name, func(t *testing.T) {
			o := filled(t)
			var old []byte
			edit(t, o.Path, func(tx *bbolt.Tx) error {
				old = credentialOf(tx, "umbrella")
				return nil
			})
			s := mustOpen(t, o)
			must(t, change(s))
			mustClose(t, s)
			edit(t, o.Path, func(tx *bbolt.Tx) error { return putCredential(tx, "umbrella", old) })

			s = mustOpen(t, o)
			if c, err := s.Credential(ctx, "umbrella"); !errors.Is(err, tokenstore.ErrCorrupt) {
				t.Errorf("the old credential is %+v, error %v, want ErrCorrupt", c, err)
			}
		})
	}
}

// No secret is in the file in clear, in pages in use or free, in any spelling
// that the program could have given it.
func TestNoSecretInTheFile(t *testing.T) {
	ctx := t.Context()
	o := options(t)
	s := mustOpen(t, o)
	secrets := []string{"hunter2", "access-", "refresh-", "token-of-a-client"}
	token := "token-of-a-client-0123456789012345678901"
	must(t,
		s.AddConnection(ctx, storetest.CloudConnection("acme"), storetest.OAuth2("0")),
		s.AddConnection(ctx, storetest.DataCenterConnection("umbrella"), storetest.Basic("hunter2-0")),
		s.AddClient(ctx, tokenstore.Client{Name: "reports", TokenSHA256: tokenstore.TokenSHA256(token)}))
	first := storetest.FirstGeneration(s, "acme")
	for g := range uint64(20) {
		must(t,
			s.ReplaceCredential(ctx, "acme", first+g, storetest.OAuth2(fmt.Sprint(g))),
			s.ReplaceCredential(ctx, "umbrella", storetest.FirstGeneration(s, "umbrella"), storetest.Basic(fmt.Sprint("hunter2-", g))),
			s.UpdateConnection(ctx, "umbrella", func(c *tokenstore.Connection) error {
				c.BaseURL = fmt.Sprintf("https://jira%d.umbrella.example", g)
				return nil
			}))
	}
	var backup bytes.Buffer
	_, err := s.Backup(ctx, &backup)
	must(t, err, storetest.Remove(ctx, s, "acme"), s.Close())

	for name, content := range map[string][]byte{"the file": readFile(t, o.Path), "the backup": backup.Bytes()} {
		if !bytes.Contains(content, []byte("umbrella.example")) {
			t.Errorf("%s does not even hold the host: the test looks at the wrong bytes", name)
		}
		for _, secret := range secrets {
			for _, form := range []string{secret, fmt.Sprintf("%x", secret), fmt.Sprintf("%X", secret), base64Inner(secret)} {
				if bytes.Contains(content, []byte(form)) {
					t.Errorf("%s holds %q", name, form)
				}
			}
		}
	}
}
