package checkpoint

import (
	"bytes"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// What an auditor can write without this package, with the standard library alone
// and by the letter of the specifications. The tests hold the package against it.

// treeHash is MTH of RFC 6962, section 2.1.
func treeHash(d [][]byte) [32]byte {
	switch n := len(d); n {
	case 0:
		return sha256.Sum256(nil)
	case 1:
		return sha256.Sum256(append([]byte{0}, d[0]...))
	default:
		k := split(n)
		return nodeHash(treeHash(d[:k]), treeHash(d[k:]))
	}
}

func nodeHash(left, right [32]byte) [32]byte {
	return sha256.Sum256(append(append([]byte{1}, left[:]...), right[:]...))
}

// split is the largest power of two smaller than n.
func split(n int) int {
	k := 1
	for k*2 < n {
		k *= 2
	}
	return k
}

// auditPath is PATH of RFC 6962, section 2.1.1.
func auditPath(m int, d [][]byte) [][32]byte {
	if len(d) <= 1 {
		return nil
	}
	if k := split(len(d)); m < k {
		return append(auditPath(m, d[:k]), treeHash(d[k:]))
	} else {
		return append(auditPath(m-k, d[k:]), treeHash(d[:k]))
	}
}

// rootOf follows a path back: the recursion of PATH, with the tree not at hand.
func rootOf(m, n uint64, leaf [32]byte, path [][32]byte) ([32]byte, error) {
	if n == 1 {
		if len(path) > 0 {
			return leaf, errors.New("hashes are left over")
		}
		return leaf, nil
	}
	if len(path) == 0 {
		return leaf, errors.New("hashes are missing")
	}
	last, rest := path[len(path)-1], path[:len(path)-1]
	k := uint64(1)
	for k < n-k { // that is, 2k < n without an overflow
		k *= 2
	}
	if m < k {
		left, err := rootOf(m, k, leaf, rest)
		return nodeHash(left, last), err
	}
	right, err := rootOf(m-k, n-k, leaf, rest)
	return nodeHash(last, right), err
}

// openText is "Verifying" of C2SP signed-note for one Ed25519 key.
func openText(signed, verifier string) (string, error) {
	parts := strings.SplitN(verifier, "+", 3)
	key, err := base64.StdEncoding.DecodeString(parts[2])
	if err != nil || len(key) != 33 || key[0] != 1 {
		return "", errors.New("not a verifier")
	}
	hash := sha256.Sum256(append([]byte(parts[0]+"\n"), key...))
	at := strings.LastIndex(signed, "\n\n")
	if at < 0 {
		return "", errors.New("no empty line")
	}
	text := signed[:at+1]
	for line := range strings.Lines(signed[at+2:]) {
		encoded, mine := strings.CutPrefix(line, "— "+parts[0]+" ")
		raw, err := base64.StdEncoding.DecodeString(strings.TrimSuffix(encoded, "\n"))
		if !mine || err != nil || !bytes.HasPrefix(raw, hash[:4]) {
			continue
		}
		if !ed25519.Verify(key[1:], []byte(text), raw[4:]) {
			return "", errors.New("a false signature")
		}
		return text, nil
	}
	return "", errors.New("no signature")
}

// openCheckpoint is C2SP tlog-checkpoint.
func openCheckpoint(signed, verifier string) (c Checkpoint, err error) {
	text, err := openText(signed, verifier)
	if err != nil {
		return c, err
	}
	lines := strings.Split(text, "\n")
	if len(lines) != 4 {
		return c, errors.New("not three lines")
	}
	root, err := base64.StdEncoding.DecodeString(lines[2])
	if err != nil || len(root) != 32 {
		return c, errors.New("not a root")
	}
	size, err := strconv.ParseUint(lines[1], 10, 64)
	return Checkpoint{lines[0], size, [32]byte(root)}, err
}

// verifyProof is C2SP tlog-proof.
func verifyProof(b, verifier string) (line []byte, c Checkpoint, err error) {
	head, signed, _ := strings.Cut(b, "\n\n")
	lines := strings.Split(head, "\n")
	if len(lines) < 3 || lines[0] != "c2sp.org/tlog-proof@v1" {
		return nil, c, errors.New("not a proof")
	}
	if line, err = base64.StdEncoding.DecodeString(strings.TrimPrefix(lines[1], "extra ")); err != nil {
		return nil, c, err
	}
	index, err := strconv.ParseUint(strings.TrimPrefix(lines[2], "index "), 10, 64)
	if err != nil {
		return nil, c, err
	}
	var path [][32]byte
	for _, l := range lines[3:] {
		h, err := base64.StdEncoding.DecodeString(l)
		if err != nil || len(h) != 32 {
			return nil, c, errors.New("not a hash")
		}
		path = append(path, [32]byte(h))
	}
	if c, err = openCheckpoint(signed, verifier); err != nil {
		return nil, c, err
	}
	if index >= c.Size {
		return nil, c, errors.New("beyond the log")
	}
	root, err := rootOf(index, c.Size, sha256.Sum256(append([]byte{0}, line...)), path)
	if err == nil && root != c.Root {
		err = fmt.Errorf("root %x, want %x", root, c.Root)
	}
	return line, c, err
}

// Over trees of all sizes, whatever the one takes the other does, and both agree
// on what is proven; of a proof in which something was changed, too.
func TestAgreesWithIndependentVerifier(t *testing.T) {
	first, _ := knownSigners()
	trust := mustTrust(t, firstVerifier)
	rapid.Check(t, func(t *rapid.T) {
		log := lines(rapid.IntRange(1, 70).Draw(t, "size"))
		p := proofOf(log, rapid.IntRange(0, len(log)-1).Draw(t, "index"), first)
		b := p.Marshal()
		again, err := ParseProof(b)
		if err != nil {
			t.Fatal(err)
		}
		c, err := again.Verify(trust)
		if err != nil || c.Root != treeHash(log) || c.Size != uint64(len(log)) || c.Origin != name {
			t.Fatalf("%+v, %v", c, err)
		}
		line, theirs, err := verifyProof(string(b), firstVerifier)
		if err != nil || theirs != c || !bytes.Equal(line, p.Line) {
			t.Fatalf("independently: %q, %+v, %v", line, theirs, err)
		}

		spoilt := p
		spoilt.Hashes = append([][32]byte(nil), p.Hashes...)
		switch rapid.IntRange(0, 5).Draw(t, "spoil") {
		case 0:
			spoilt.Index = rapid.Uint64().Draw(t, "another index")
		case 1:
			spoilt.Line = rapid.SliceOfN(rapid.ByteRange(' ', '~'), 1, 80).Draw(t, "another line")
		case 2:
			spoilt.Hashes = append(spoilt.Hashes, [32]byte{})
		case 3:
			spoilt.Hashes = spoilt.Hashes[:len(spoilt.Hashes)/2]
		case 4:
			if len(spoilt.Hashes) > 0 {
				spoilt.Hashes[rapid.IntRange(0, len(spoilt.Hashes)-1).Draw(t, "hash")][0] ^= 1
			}
		case 5:
			other := Checkpoint{name, rapid.Uint64().Draw(t, "another size"), treeHash(log)}
			spoilt.Checkpoint = signed(string(other.Text()), first)
		}
		_, err = spoilt.Verify(trust)
		_, _, theirErr := verifyProof(string(spoilt.Marshal()), firstVerifier)
		if (err == nil) != (theirErr == nil) {
			t.Fatalf("%+v: %v, independently: %v", spoilt, err, theirErr)
		}
		// A path can fit several sizes of a tree; index and line are what counts.
		if err == nil && (spoilt.Index != p.Index || !bytes.Equal(spoilt.Line, p.Line)) {
			t.Fatalf("%+v is proven", spoilt)
		}
	})
}
