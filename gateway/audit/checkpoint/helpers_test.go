package checkpoint

import (
	"bytes"
	"crypto/ed25519"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"testing"

	"golang.org/x/mod/sumdb/note"
)

const name = "jiragate/us"

// The keys of the first two test vectors of RFC 8032, section 7.1, and the succession
// from one to the other, signed with OpenSSL and with the cryptography package of
// Python, from the specifications alone.
const (
	firstVerifier  = "jiragate/us+dd9ee1c0+AddamAGCsQq31Uv+08lkBzoO4XLz2qYjJa8CGmj3B1Ea"
	secondVerifier = "jiragate/us+7b528cc8+AT1AF8PoQ4lakrcKp00bfrycmCzPLsSWjMDNVfEq9GYM"

	goldenSuccession = `jiragate audit key succession
jiragate/us+dd9ee1c0+AddamAGCsQq31Uv+08lkBzoO4XLz2qYjJa8CGmj3B1Ea
jiragate/us+7b528cc8+AT1AF8PoQ4lakrcKp00bfrycmCzPLsSWjMDNVfEq9GYM

— jiragate/us 3Z7hwHzSVwmaDwEnYdbdBq3+IGyqk1OXQrRHd76nL0oNnLtZKPRgffNPF01ZHxbB2KPESEIKRZhjJvfR46S+lxEBnAI=
— jiragate/us e1KMyIUtTXseAjmPJuIaWh5y4y+cdbJKXP/Z6HqsP93+FH+pk90Fg8QtduUP8mEXGD01TscX2oyyRARJk1zF2+yirgY=
`
)

// A signer of the tests, for one of the known keys or for others made from a seed.
type signer struct {
	name string
	key  ed25519.PrivateKey
}

func newSigner(name string, seed byte) signer {
	return signer{name, ed25519.NewKeyFromSeed(bytes.Repeat([]byte{seed}, ed25519.SeedSize))}
}

func knownSigners() (first, second signer) {
	seed := func(s string) []byte {
		b, err := hex.DecodeString(s)
		if err != nil {
			panic(err)
		}
		return b
	}
	return signer{name, ed25519.NewKeyFromSeed(seed("9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60"))},
		signer{name, ed25519.NewKeyFromSeed(seed("4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb"))}
}

func (s signer) verifier() string {
	v, err := note.NewEd25519VerifierKey(s.name, s.key.Public().(ed25519.PublicKey))
	if err != nil {
		panic(err)
	}
	return v
}

func (s signer) Name() string { return s.name }

func (s signer) KeyHash() uint32 {
	v, err := note.NewVerifier(s.verifier())
	if err != nil {
		panic(err)
	}
	return v.KeyHash()
}

func (s signer) Sign(text []byte) ([]byte, error) { return ed25519.Sign(s.key, text), nil }

// private is the key as note.GenerateKey writes it.
func (s signer) private() string {
	return fmt.Sprintf("PRIVATE+KEY+%s+%08x+%s", s.name, s.KeyHash(), base64.StdEncoding.EncodeToString(append([]byte{1}, s.key.Seed()...)))
}

func signed(text string, by ...note.Signer) []byte {
	b, err := note.Sign(&note.Note{Text: text}, by...)
	if err != nil {
		panic(err)
	}
	return b
}

func successionOf(older, newer signer, by ...note.Signer) []byte {
	return signed("jiragate audit key succession\n"+older.verifier()+"\n"+newer.verifier()+"\n", by...)
}

func mustTrust(t testing.TB, verifiers ...string) *Trust {
	t.Helper()
	trust, err := NewTrust(verifiers...)
	if err != nil {
		t.Fatal(err)
	}
	return trust
}

// others are bytes to put in the place of b: each of its bits changed, and those
// that mean something in notes and in base64.
func others(b byte) []byte {
	var all []byte
	for bit := range 8 {
		all = append(all, b^1<<bit)
	}
	for _, c := range []byte("\n =") {
		if c != b {
			all = append(all, c)
		}
	}
	return all
}

// lines are n different lines of a log.
func lines(n int) [][]byte {
	all := make([][]byte, n)
	for i := range all {
		all[i] = fmt.Appendf(nil, `{"seq":%d}`, i+1)
	}
	return all
}

// proofOf makes a proof and its checkpoint with the code of independent_test.go.
func proofOf(log [][]byte, index int, by ...note.Signer) Proof {
	c := Checkpoint{by[0].Name(), uint64(len(log)), treeHash(log)}
	return Proof{uint64(index), log[index], auditPath(index, log), signed(string(c.Text()), by...)}
}
