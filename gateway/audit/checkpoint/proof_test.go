package checkpoint

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"reflect"
	"strings"
	"testing"

	tlogproof "github.com/transparency-dev/formats/proof"
	"pgregory.net/rapid"
)

// The proof of the second of three records, made with Python from the
// specifications alone.
const goldenProof = `c2sp.org/tlog-proof@v1
extra eyJzZXEiOjJ9
index 1
sRmnekhkMIxIHvuUf/cj1r1Ooef6uQLrjKmL11nkau4=
28xC11lrPWKfGGHR4gl7l7VGLsyueJ38+Zf+qbBpCJk=

` + goldenCheckpoint

func TestGoldenProof(t *testing.T) {
	p, err := ParseProof([]byte(goldenProof))
	if err != nil {
		t.Fatal(err)
	}
	if p.Index != 1 || string(p.Line) != `{"seq":2}` || len(p.Hashes) != 2 || string(p.Checkpoint) != goldenCheckpoint {
		t.Errorf("%+v", p)
	}
	if string(p.Marshal()) != goldenProof {
		t.Errorf("it is written as %s", p.Marshal())
	}
	if c, err := p.Verify(mustTrust(t, secondVerifier, firstVerifier)); err != nil || c.Size != 3 {
		t.Errorf("%+v, %v", c, err)
	}
	first, _ := knownSigners()
	if again := proofOf(lines(3), 1, first); !reflect.DeepEqual(again, p) {
		t.Errorf("made here it is %+v", again)
	}
}

// Every record of every small log has a proof, and other programs can read it.
func TestProofsOfSmallLogs(t *testing.T) {
	first, _ := knownSigners()
	trust := mustTrust(t, firstVerifier)
	for size := 1; size <= 33; size++ {
		log := lines(size)
		for index := range log {
			b := proofOf(log, index, first).Marshal()
			p, err := ParseProof(b)
			if err != nil {
				t.Fatalf("%d of %d: %v", index, size, err)
			}
			if _, err := p.Verify(trust); err != nil {
				t.Errorf("%d of %d: %v", index, size, err)
			}
			var l tlogproof.TLogProof
			if err := l.Unmarshal(b); err != nil || l.Index != uint64(index) || !bytes.Equal(l.ExtraData, log[index]) || !bytes.Equal(l.Checkpoint, p.Checkpoint) {
				t.Errorf("%d of %d: the library reads %+v, %v", index, size, l, err)
			}
		}
	}
}

func TestVerifyNamesWhatFails(t *testing.T) {
	first, second := knownSigners()
	log := lines(6)
	for _, test := range []struct {
		name     string
		spoil    func(p *Proof)
		unsigned bool
		says     string
	}{
		{"another record", func(p *Proof) { p.Line = log[3] }, false, "do not lead to the root"},
		{"a changed record", func(p *Proof) { p.Line = append(bytes.Clone(p.Line), ' ') }, false, "do not lead to the root"},
		{"the index of another", func(p *Proof) { p.Index = 3 }, false, "do not lead to the root"},
		{"the index of one with a shorter path", func(p *Proof) { p.Index = 4 }, false, "not those for record 4 of 6"},
		{"an index beyond the log", func(p *Proof) { p.Index = 6 }, false, "its index, 6, is beyond the 6 records"},
		{"the highest index", func(p *Proof) { p.Index = math.MaxUint64 }, false, "is beyond the 6 records"},
		{"a changed hash", func(p *Proof) { p.Hashes[1][31] ^= 1 }, false, "do not lead to the root"},
		{"hashes in another order", func(p *Proof) { p.Hashes[0], p.Hashes[1] = p.Hashes[1], p.Hashes[0] }, false, "do not lead to the root"},
		{"a hash less", func(p *Proof) { p.Hashes = p.Hashes[:2] }, false, "not those for record 2 of 6"},
		{"a hash more", func(p *Proof) { p.Hashes = append(p.Hashes, [32]byte{}) }, false, "not those for record 2 of 6"},
		{"no hashes", func(p *Proof) { p.Hashes = nil }, false, "not those for record 2 of 6"},
		{"the checkpoint of another time", func(p *Proof) { p.Checkpoint = proofOf(lines(7), 2, first).Checkpoint }, false, "do not lead to the root"},
		{"an empty log", func(p *Proof) { p.Checkpoint = signed(string(Checkpoint{name, 0, treeHash(nil)}.Text()), first) }, false, "beyond the 0 records"},
		{"a checkpoint of another key", func(p *Proof) { p.Checkpoint = proofOf(log, 2, second).Checkpoint }, true, "the signed checkpoint in it: it is not signed"},
		{"a changed checkpoint", func(p *Proof) { p.Checkpoint[15] ^= 1 }, false, "the signed checkpoint in it: it was changed"},
		{"no checkpoint", func(p *Proof) { p.Checkpoint = nil }, false, "no checkpoint"},
		{"no record", func(p *Proof) { p.Line = nil }, false, "the record in it is empty"},
		{"two records", func(p *Proof) { p.Line = []byte("a\nb") }, false, "more than one line"},
	} {
		p := proofOf(log, 2, first)
		test.spoil(&p)
		c, err := p.Verify(mustTrust(t, firstVerifier))
		if err == nil || c != (Checkpoint{}) || errors.Is(err, ErrUnsigned) != test.unsigned || !strings.Contains(err.Error(), test.says) {
			t.Errorf("%s: %+v, error %v does not say %q", test.name, c, err, test.says)
		}
	}
}

// An inner node must not pass for a record: that is what the 0x00 and 0x01 are for.
func TestANodeIsNoRecord(t *testing.T) {
	first, _ := knownSigners()
	log := lines(4)
	p := proofOf(log, 0, first)
	left, right := Leaf(log[0]), Leaf(log[1])
	p.Line, p.Hashes = append(left[:], right[:]...), p.Hashes[1:]
	p.Checkpoint = signed(string(Checkpoint{name, 2, treeHash(log)}.Text()), first)
	if _, err := p.Verify(mustTrust(t, firstVerifier)); err == nil {
		t.Error("a node of the tree is proven to be a record")
	}
}

// Whatever byte of a proof is changed, or wherever it is cut, it
// proves nothing.
func TestEachByteOfAProofCounts(t *testing.T) {
	trust := mustTrust(t, firstVerifier)
	proves := func(b []byte) bool {
		p, err := ParseProof(b)
		if err == nil {
			_, err = p.Verify(trust)
		}
		return err == nil
	}
	if !proves([]byte(goldenProof)) {
		t.Fatal("it proves nothing as it is")
	}
	for i := range len(goldenProof) {
		if proves([]byte(goldenProof[:i])) {
			t.Errorf("cut after %d bytes, it proves something", i)
		}
		for _, other := range others(goldenProof[i]) {
			spoilt := []byte(goldenProof)
			spoilt[i] = other
			if proves(spoilt) {
				t.Errorf("with byte %d changed, it proves something: %q", i, spoilt)
			}
		}
	}
}

func TestParseProofRefuses(t *testing.T) {
	const hash = "sRmnekhkMIxIHvuUf/cj1r1Ooef6uQLrjKmL11nkau4=\n"
	for _, test := range []struct{ name, old, new, says string }{
		{"nothing", goldenProof, "", "no empty line"},
		{"another version", "@v1", "@v2", "first line"},
		{"no record", "extra eyJzZXEiOjJ9\n", "", "second line"},
		{"an empty record", "eyJzZXEiOjJ9", "", "record in it is empty"},
		{"two lines as a record", "eyJzZXEiOjJ9", "YQpi", "more than one line"},
		{"a record not in base64", "eyJz", "!!!!", "second line"},
		{"a record before which there is more space", "extra e", "extra  e", "second line"},
		{"no index", "index 1\n", "", "third line"},
		{"no index and no hashes", goldenProof[strings.Index(goldenProof, "index"):strings.Index(goldenProof, "\n\n")], "", "lacks the line"},
		{"nothing but a header", goldenProof[strings.Index(goldenProof, "\nextra"):strings.Index(goldenProof, "\n\n")], "", "lacks the line"},
		{"a negative index", "index 1", "index -1", "third line"},
		{"a leading zero", "index 1", "index 01", "another spelling"},
		{"an index beyond 64 bits", "index 1", "index 18446744073709551616", "third line"},
		{"a short hash", hash, "AAAA\n", "hash 1 is not"},
		{"a hash not in base64", "28xC", "!!!!", "hash 2 is not"},
		{"bits at the end of base64", "au4=", "au5=", "another spelling"},
		{"a carriage return", "au4=\n", "au4=\r\n", "another spelling"},
		{"too many hashes", hash, strings.Repeat(hash, maxHashes), "65 hashes, more than the 64"},
		{"no checkpoint", goldenCheckpoint, "", "no checkpoint"},
		{"a huge checkpoint", goldenCheckpoint, strings.Repeat("x", maxSigned+1), "65537 bytes long"},
		{"a huge proof", "eyJzZXEiOjJ9", strings.Repeat("AAAA", 65<<10), "bytes long, more than"},
	} {
		content := strings.Replace(goldenProof, test.old, test.new, 1)
		if content == goldenProof {
			t.Fatalf("%s: nothing was spoilt", test.name)
		}
		if p, err := ParseProof([]byte(content)); err == nil || !reflect.DeepEqual(p, Proof{}) || !strings.Contains(err.Error(), test.says) {
			t.Errorf("%s: error %v does not say %q", test.name, err, test.says)
		}
	}
}

// The longest line of a log, the largest checkpoint and all hashes fit.
func TestBoundsOfProof(t *testing.T) {
	p := Proof{math.MaxUint64, bytes.Repeat([]byte{'x'}, 128<<10), make([][32]byte, maxHashes), bytes.Repeat([]byte{'x'}, maxSigned)}
	if got, err := ParseProof(p.Marshal()); err != nil || !reflect.DeepEqual(got, p) {
		t.Errorf("it is read otherwise (%v)", err)
	}
}

func TestProofIsReadAgain(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p := Proof{
			Index:      rapid.Uint64().Draw(t, "index"),
			Line:       rapid.SliceOfN(rapid.Byte().Filter(func(b byte) bool { return b != '\n' }), 1, 300).Draw(t, "line"),
			Checkpoint: rapid.SliceOfN(rapid.Byte(), 1, 300).Draw(t, "checkpoint"),
		}
		for range rapid.IntRange(0, maxHashes).Draw(t, "hashes") {
			p.Hashes = append(p.Hashes, [32]byte(rapid.SliceOfN(rapid.Byte(), 32, 32).Draw(t, "hash")))
		}
		got, err := ParseProof(p.Marshal())
		if err != nil || !reflect.DeepEqual(got, p) {
			t.Fatalf("%+v is read as %+v, %v", p, got, err)
		}
	})
}

// FuzzParseProof: what is read is written as the same bytes; and what is proven is
// proven independently, of the one log that the key has signed.
func FuzzParseProof(f *testing.F) {
	trust := mustTrust(f, firstVerifier)
	log := lines(3)
	f.Add([]byte(goldenProof))
	f.Add([]byte(strings.Replace(goldenProof, "index 1", "index 0", 1)))
	f.Add([]byte("c2sp.org/tlog-proof@v1\nextra AA==\nindex 0\n\nx"))
	f.Fuzz(func(t *testing.T, b []byte) {
		p, err := ParseProof(b)
		if err != nil {
			return
		}
		if !bytes.Equal(p.Marshal(), b) {
			t.Errorf("%q is written as %q", b, p.Marshal())
		}
		c, err := p.Verify(trust)
		_, theirs, theirErr := verifyProof(string(b), firstVerifier)
		if err != nil {
			return
		}
		if theirErr != nil || theirs != c || !bytes.Equal(p.Line, log[p.Index]) {
			t.Errorf("%q is proven as %+v, independently %+v, %v", b, c, theirs, theirErr)
		}
	})
}

func ExampleProof_Verify() {
	// From a place that one trusts, such as the contract.
	trust, err := NewTrust("jiragate/us+dd9ee1c0+AddamAGCsQq31Uv+08lkBzoO4XLz2qYjJa8CGmj3B1Ea")
	if err != nil {
		fmt.Println(err)
		return
	}
	// From wherever.
	p, err := ParseProof([]byte(goldenProof))
	if err != nil {
		fmt.Println(err)
		return
	}
	c, err := p.Verify(trust)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Printf("%q is record %d of %d in the log of %s\n", p.Line, p.Index+1, c.Size, c.Origin)
	// Output: "{\"seq\":2}" is record 2 of 3 in the log of jiragate/us
}
