package bolt_test

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tink-crypto/tink-go/v2/tink"
	"go.etcd.io/bbolt"

	"jiragate/tokenstore"
	"jiragate/tokenstore/bolt"
	"jiragate/tokenstore/storetest"
)

// base64Inner is the part of the base64 of s that does not depend on what stands
// around it, if s begins at a multiple of three.
func base64Inner(s string) string {
	return base64.StdEncoding.EncodeToString([]byte(s[:len(s)/3*3]))
}

// large fills a store so that it has branch pages, overflow pages and free pages.
func large(t testing.TB) bolt.Options {
	t.Helper()
	o := options(t)
	s := mustOpen(t, o)
	fill(t, s)
	for i := range 12 {
		id := fmt.Sprintf("customer-%02d", i)
		must(t, s.AddConnection(t.Context(), storetest.CloudConnection(id), storetest.OAuth2(fmt.Sprintf("%d-%04000d", i, 7))))
	}
	for i := range 80 {
		must(t, s.RecordIssue(t.Context(), storetest.Issue(s, "acme", fmt.Sprint(20000+i), fmt.Sprint("ACME-", 100+i))))
	}
	for i := range 3 {
		must(t, storetest.Remove(t.Context(), s, fmt.Sprintf("customer-%02d", 4*i)))
	}
	must(t, s.Check(t.Context()))
	mustClose(t, s)
	return o
}

// survive opens and uses a damaged store. It may be refused, or may have been
// damaged where it does no harm; but the program survives, the error is one of
// the store's own, and a credential is right or not there.
func survive(t testing.TB, path string, a tink.AEAD, want map[string]string) {
	t.Helper()
	o := bolt.Options{Path: path, AEAD: a, Now: clock()}
	known := func(err error) bool {
		for _, kind := range []error{tokenstore.ErrCorrupt, tokenstore.ErrWrongKey, tokenstore.ErrSchemaTooNew} {
			if errors.Is(err, kind) {
				return true
			}
		}
		return false
	}
	s, err := bolt.Open(t.Context(), o)
	if err != nil {
		if !known(err) {
			t.Errorf("Open: error %v is none of the store's own", err)
		}
		// A lock that was kept would make this ErrLocked.
		if _, err := bolt.Open(t.Context(), o); errors.Is(err, tokenstore.ErrLocked) {
			t.Error("the file is still locked")
		}
		return
	}
	for _, c := range s.Directory().Connections() {
		cred, err := s.Credential(t.Context(), c.ID)
		if err != nil {
			if !known(err) {
				t.Errorf("Credential: error %v is none of the store's own", err)
			}
			continue
		}
		place := c.SiteURL + c.CloudID + c.BaseURL
		if got := reveal(cred) + place; got != want[c.ID] {
			t.Errorf("connection %s has another credential, or leads elsewhere", c.ID)
		}
	}
	if err := s.Check(t.Context()); err != nil && !known(err) {
		t.Errorf("Check: error %v is none of the store's own", err)
	}
	if err := s.RecordIssue(t.Context(), storetest.Issue(s, "acme", "1", "A-1")); err != nil && !known(err) && !errors.Is(err, tokenstore.ErrNotFound) {
		t.Errorf("RecordIssue: error %v is none of the store's own", err)
	}
	if err := s.Close(); err != nil {
		t.Errorf("Close: %v", err)
	}
}

func reveal(c tokenstore.Credential) string {
	return fmt.Sprint(c.Kind, c.Username, c.Password.Reveal(), c.Token.Reveal(), c.AccessToken.Reveal(), c.RefreshToken.Reveal())
}

// truth maps the connections of a store to their credentials, and where they lead.
// Where a damaged meta page makes bbolt fall back on the one before, that is the
// truth too, so nothing here may be changed by the last commit.
func truth(t testing.TB, o bolt.Options) map[string]string {
	t.Helper()
	s := mustOpen(t, o)
	defer mustClose(t, s)
	m := map[string]string{}
	for _, c := range s.Directory().Connections() {
		cred, err := s.Credential(t.Context(), c.ID)
		must(t, err)
		m[c.ID] = reveal(cred) + c.SiteURL + c.CloudID + c.BaseURL
	}
	// One more commit, after which the meta page before it tells the same.
	must(t, s.RecordIssue(t.Context(), storetest.Issue(s, "acme", "2", "B-2")))
	return m
}

func TestFlippedBits(t *testing.T) {
	o := large(t)
	want := truth(t, o)
	good := readFile(t, o.Path)
	path := filepath.Join(t.TempDir(), "damaged.db")
	try := func(offset int, mask byte) {
		b := bytes.Clone(good)
		b[offset] ^= mask
		writeFile(t, path, b)
		survive(t, path, o.AEAD, want)
		if t.Failed() {
			t.Fatalf("offset %#x, mask %#02x", offset, mask)
		}
	}
	page := os.Getpagesize()
	used := pagesInUse(t, good, page)
	r := rand.New(rand.NewPCG(1, 2))
	for _, p := range used {
		if got := binary.NativeEndian.Uint64(good[p*page:]); got != uint64(p) {
			try(p*page+r.IntN(page), byte(1+r.IntN(255))) // inside a long record
			continue
		}
		for i := range 4 { // the header of each page, field by field
			try(p*page+[]int{0, 8, 10, 12}[i]+r.IntN(2), 1<<r.IntN(8))
		}
		for range 4 { // its elements, and what they hold
			try(p*page+16+r.IntN(200), 1<<r.IntN(8))
		}
		for range 2 {
			try(p*page+r.IntN(page), byte(1+r.IntN(255)))
		}
	}
	if len(used) < 10 {
		t.Errorf("only %d pages: the test tests little", len(used))
	}
}

// pagesInUse returns the numbers of the pages of a file that are not all zeros.
func pagesInUse(t testing.TB, b []byte, page int) []int {
	t.Helper()
	var used []int
	for p := 0; p*page < len(b); p++ {
		if len(bytes.Trim(b[p*page:min((p+1)*page, len(b))], "\x00")) > 0 {
			used = append(used, p)
		}
	}
	return used
}

func TestTruncatedFiles(t *testing.T) {
	o := large(t)
	want := truth(t, o)
	good := readFile(t, o.Path)
	page := os.Getpagesize()
	last := pagesInUse(t, good, page)
	path := filepath.Join(t.TempDir(), "damaged.db")
	lengths := []int{1, 16, 100, page - 1, page, page + 80, 2 * page, 3 * page}
	for p := range last[len(last)-1] + 1 {
		lengths = append(lengths, p*page, p*page+page/2)
	}
	for _, n := range lengths {
		writeFile(t, path, good[:n])
		survive(t, path, o.AEAD, want)
		if s, err := bolt.Open(t.Context(), bolt.Options{Path: path, AEAD: o.AEAD}); err == nil {
			t.Errorf("cut to %d bytes it opens", n)
			mustClose(t, s)
		} else if !errors.Is(err, tokenstore.ErrCorrupt) {
			t.Errorf("cut to %d bytes: error %v, want ErrCorrupt", n, err)
		}
		if err := bolt.Verify(t.Context(), path, o.AEAD); !errors.Is(err, tokenstore.ErrCorrupt) {
			t.Errorf("cut to %d bytes, Verify: error %v, want ErrCorrupt", n, err)
		}
	}
}

func TestWhatIsNoStore(t *testing.T) {
	o := options(t)
	for name, content := range map[string][]byte{
		"empty":      {},
		"text":       []byte("hello"),
		"zeros":      make([]byte, 64<<10),
		"long text":  bytes.Repeat([]byte("hello "), 10_000),
		"other data": other(t),
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "store.db")
			writeFile(t, path, content)
			o.Path = path
			if _, err := bolt.Open(t.Context(), o); !errors.Is(err, tokenstore.ErrCorrupt) {
				t.Errorf("error %v, want ErrCorrupt", err)
			}
			if !bytes.Equal(readFile(t, path), content) {
				t.Error("it was written to")
			}
		})
	}
}

// other is a bbolt file of another program.
func other(t testing.TB) []byte {
	t.Helper()
	path := filepath.Join(t.TempDir(), "other.db")
	edit(t, path, func(tx *bbolt.Tx) error {
		_, err := tx.CreateBucket([]byte("something"))
		return err
	})
	return readFile(t, path)
}

// A file that is damaged while it is in use: the gateway survives, and the store
// stays refused, also to be closed and opened again.
func TestDamageWhileInUse(t *testing.T) {
	o := large(t)
	s := mustOpen(t, o)
	must(t, os.Truncate(o.Path, int64(2*os.Getpagesize())))
	if _, err := s.Credential(t.Context(), "customer-05"); !errors.Is(err, tokenstore.ErrCorrupt) {
		t.Errorf("Credential: error %v, want ErrCorrupt", err)
	}
	if err := s.SetState(t.Context(), "acme", tokenstore.StateDisabled, ""); !errors.Is(err, tokenstore.ErrCorrupt) {
		t.Errorf("SetState: error %v, want ErrCorrupt", err)
	}
	if err := s.Check(t.Context()); !errors.Is(err, tokenstore.ErrCorrupt) {
		t.Errorf("Check: error %v, want ErrCorrupt", err)
	}
	if _, err := s.Backup(t.Context(), nil); !errors.Is(err, tokenstore.ErrCorrupt) {
		t.Errorf("Backup: error %v, want ErrCorrupt", err)
	}
	if c, _ := s.Directory().Connection("acme"); c.State != tokenstore.StateActive {
		t.Error("a change that failed is in the directory")
	}
	mustClose(t, s)
	if _, err := bolt.Open(t.Context(), o); !errors.Is(err, tokenstore.ErrCorrupt) {
		t.Errorf("Open: error %v, want ErrCorrupt", err)
	}
}

// Records that don't fit together are named by Check, each.
func TestCheckNamesTheRecords(t *testing.T) {
	bucket := func(tx *bbolt.Tx, name string) *bbolt.Bucket { return tx.Bucket([]byte(name)) }
	put := func(name, key, value string) func(tx *bbolt.Tx) error {
		return func(tx *bbolt.Tx) error { return bucket(tx, name).Put([]byte(key), []byte(value)) }
	}
	tests := []struct {
		name   string
		damage func(tx *bbolt.Tx) error
		want   string
	}{
		{"credential of no connection", func(tx *bbolt.Tx) error {
			return putCredential(tx, "nobody", credentialOf(tx, "acme"))
		}, `credential of connection "nobody"`},
		{"data key of no connection", func(tx *bbolt.Tx) error {
			return putDataKey(tx, "nobody", dataKeyOf(tx, "acme"))
		}, `data key of connection "nobody"`},
		{"rotation of no connection", put("rotations", "nobody", `{"connection":"nobody","generation":1,"since":"2026-01-01T00:00:00Z"}`), `rotation of connection "nobody"`},
		{"rotation of an old generation", put("rotations", "acme", `{"connection":"acme","generation":4294967297,"since":"2026-01-01T00:00:00Z"}`), `rotation of connection "acme"`},
		{"rotation of another connection", put("rotations", "acme", `{"connection":"tyrell","generation":4294967298,"since":"2026-01-01T00:00:00Z"}`), `rotation of connection "acme"`},
		{"rotation that is no record", put("rotations", "acme", "hunter2"), `rotation of connection "acme"`},
		{"invitation of no connection", put("invitations", "nobody", `{"connection":"nobody","token_sha256":"`+strings.Repeat("07", 32)+`","created_at":"2026-01-01T00:00:00Z","expires_at":"2026-01-01T00:00:00Z"}`), `invitation of connection "nobody"`},
		{"invitation of another connection", put("invitations", "acme", `{"connection":"tyrell"}`), `invitation of connection "acme"`},
		{"invitation with half a digest", put("invitations", "acme", `{"connection":"acme","token_sha256":"00"}`), `invitation of connection "acme"`},
		{"invitation that is no record", put("invitations", "acme", "hunter2"), `invitation of connection "acme"`},
		{"announcement of no connection", put("announcements", "nobody", `{"connection":"nobody","state":"active"}`), `announcement of connection "nobody"`},
		{"announcement of another connection", put("announcements", "acme", `{"connection":"tyrell","state":"active"}`), `announcement of connection "acme"`},
		{"announcement that is no record", put("announcements", "acme", "hunter2"), `announcement of connection "acme"`},
		{"announcement of no state", put("announcements", "acme", `{"connection":"acme","state":"hunter2"}`), "announcement of connection acme"},
		{"calls for which nobody consented", func(tx *bbolt.Tx) error {
			return editConnection(tx, "waiting", "state", "active")
		}, `credential of connection "waiting"`},
		{"connection of an incarnation to come", func(tx *bbolt.Tx) error {
			return bucket(tx, "connections").SetSequence(3)
		}, `connection "tyrell"`},
		{"connection of no incarnation", func(tx *bbolt.Tx) error {
			return editConnection(tx, "acme", "generation", 2)
		}, `connection "acme": it is of incarnation 0`},
		{"token of no client", func(tx *bbolt.Tx) error {
			return bucket(tx, "client_tokens").Put(bytes.Repeat([]byte{7}, 32), []byte("nobody"))
		}, `client "nobody"`},
		{"token of another client", func(tx *bbolt.Tx) error {
			sum := storetest.Token("t1")
			return bucket(tx, "client_tokens").Put(sum[:], []byte("billing"))
		}, `client "reports"`},
		{"token missing", func(tx *bbolt.Tx) error {
			sum := storetest.Token("t1")
			return bucket(tx, "client_tokens").Delete(sum[:])
		}, `client "reports"`},
		{"issue of no connection", func(tx *bbolt.Tx) error {
			v := bytes.Replace(bucket(tx, "issues").Get([]byte("acme/10042")), []byte("acme"), []byte("nobody"), 1)
			return bucket(tx, "issues").Put([]byte("nobody/10042"), v)
		}, `issue "nobody/10042"`},
		{"issue without its key", func(tx *bbolt.Tx) error {
			return bucket(tx, "issue_keys").Delete([]byte("acme/ACME-17"))
		}, `issue "acme/10042"`},
		{"key of no issue", func(tx *bbolt.Tx) error {
			return bucket(tx, "issues").Delete([]byte("acme/10042"))
		}, `issue key "acme/ACME-17"`},
		{"key of another issue", func(tx *bbolt.Tx) error {
			return bucket(tx, "issue_keys").Put([]byte("acme/ACME-18"), []byte("10042"))
		}, `issue key "acme/ACME-18"`},
		{"issue under another name", func(tx *bbolt.Tx) error {
			return bucket(tx, "issues").Put([]byte("acme/1"), bytes.Clone(bucket(tx, "issues").Get([]byte("acme/10042"))))
		}, `issue "acme/1"`},
		{"issue that is no record", func(tx *bbolt.Tx) error {
			return bucket(tx, "issues").Put([]byte("acme/10042"), []byte(`{"surprise":"hunter2"}`))
		}, `issue "acme/10042"`},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			o := filled(t)
			edit(t, o.Path, test.damage)
			s := mustOpen(t, o)
			err := s.Check(t.Context())
			if !errors.Is(err, tokenstore.ErrCorrupt) || !bytes.Contains([]byte(err.Error()), []byte(test.want)) {
				t.Errorf("error %v, want ErrCorrupt that names %s", err, test.want)
			}
			if err != nil && bytes.Contains([]byte(err.Error()), []byte("hunter2")) {
				t.Errorf("error %v quotes a record", err)
			}
		})
	}
}

// Connections and clients are read when the store is opened, so a damaged one
// shows at once.
func TestOpenNamesTheRecords(t *testing.T) {
	put := func(bucket, key, value string) func(tx *bbolt.Tx) error {
		return func(tx *bbolt.Tx) error { return tx.Bucket([]byte(bucket)).Put([]byte(key), []byte(value)) }
	}
	tests := []struct {
		name   string
		damage func(tx *bbolt.Tx) error
		want   string
	}{
		{"connection that is no record", put("connections", "acme", "hunter2"), `connection "acme"`},
		{"connection with an unknown field", put("connections", "acme", `{"id":"acme","x":1}`), `connection "acme"`},
		{"connection with something after it", put("connections", "acme", `{"id":"acme"}{}`), `connection "acme"`},
		{"connection of another name", put("connections", "acme", `{"id":"umbrella"}`), `connection "acme"`},
		{"connection in plaintext", func(tx *bbolt.Tx) error {
			return editConnection(tx, "umbrella", "base_url", "http://jira.umbrella.example")
		}, "connection umbrella"},
		{"connection in an unknown state", func(tx *bbolt.Tx) error {
			return editConnection(tx, "umbrella", "state", "actjve")
		}, "connection umbrella"},
		{"client that is no record", put("clients", "reports", "hunter2"), `client "reports"`},
		{"client of another name", put("clients", "reports", `{"name":"billing"}`), `client "reports"`},
		{"client with half a digest", put("clients", "reports", `{"name":"reports","token_sha256":"00"}`), `client "reports"`},
		{"client with a grant to nothing", put("clients", "reports", `{"name":"reports","connections":["nobody"]}`), "client reports"},
		{"bucket of data keys missing", func(tx *bbolt.Tx) error { return tx.DeleteBucket([]byte("data_keys")) }, "data_keys"},
		{"bucket missing", func(tx *bbolt.Tx) error { return tx.DeleteBucket([]byte("issue_keys")) }, "issue_keys"},
		{"schema missing", func(tx *bbolt.Tx) error { return tx.Bucket([]byte("meta")).Delete([]byte("schema")) }, "schema"},
		{"canary missing", func(tx *bbolt.Tx) error { return tx.Bucket([]byte("meta")).Delete([]byte("canary")) }, "keyset"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			o := filled(t)
			edit(t, o.Path, test.damage)
			_, err := bolt.Open(t.Context(), o)
			if !errors.Is(err, tokenstore.ErrCorrupt) || !bytes.Contains([]byte(err.Error()), []byte(test.want)) {
				t.Errorf("error %v, want ErrCorrupt that names %s", err, test.want)
			}
			if err != nil && bytes.Contains([]byte(err.Error()), []byte("hunter2")) {
				t.Errorf("error %v quotes a record", err)
			}
		})
	}
}

// Whatever bytes of the file are overwritten, the program survives, and no
// credential changes.
func FuzzDamage(f *testing.F) {
	o := large(f)
	want := truth(f, o)
	good := readFile(f, o.Path)
	page := uint32(os.Getpagesize())
	for p := range uint32(8) {
		f.Add(binary.LittleEndian.AppendUint64(binary.LittleEndian.AppendUint32(nil, p*page+16), 3))
		f.Add(binary.LittleEndian.AppendUint64(binary.LittleEndian.AppendUint32(nil, p*page+8), 1<<40|2))
	}
	f.Fuzz(func(t *testing.T, edits []byte) {
		b := bytes.Clone(good)
		for ; len(edits) >= 12; edits = edits[12:] { // where, and eight bytes
			at := int(binary.LittleEndian.Uint32(edits)) % (len(b) - 8)
			copy(b[at:], edits[4:12])
		}
		path := filepath.Join(t.TempDir(), "damaged.db")
		writeFile(t, path, b)
		survive(t, path, o.AEAD, want)
	})
}
