package signer

import (
	"slices"
	"strings"
	"testing"
)

// A key that was made without the name of a node is followed, once, by one that has it,
// and vouches for that.
func TestOpenGivesTheNameOfANode(t *testing.T) {
	o, _ := newOptions(t)
	first := mustOpen(t, o)
	before := mustSign(t, first, "before\n")
	unnamed := o
	o.Name += "/zone-a"
	k := mustOpen(t, o)
	if k.Name() != o.Name || len(k.Verifiers()) != 2 || k.Verifiers()[0] != first.Verifier() {
		t.Fatalf("%s signs, of %q", k.Verifier(), k.Verifiers())
	}
	if _, err := Verify(before, k.Verifiers()...); err != nil {
		t.Errorf("a note from before: %v", err)
	}
	if !strings.Contains(string(mustSign(t, k, "after\n")), "\n— "+o.Name+" ") {
		t.Error("the name of the node does not sign")
	}
	mustSucceed(t, k)
	if again := mustOpen(t, o); !slices.Equal(again.Verifiers(), k.Verifiers()) {
		t.Errorf("opened again, there are %q", again.Verifiers())
	}
	if _, err := k.Rotate(); err != nil || k.Name() != o.Name {
		t.Errorf("after a rotation %s signs: %v", k.Verifier(), err)
	}
	mustSucceed(t, k)

	other := unnamed
	other.Name += "/zone-b"
	deeper := o
	deeper.Name += "/x"
	for _, o := range []Options{unnamed, other, deeper} {
		if _, err := Open(o); err == nil || !strings.Contains(err.Error(), `holds the key of "`+k.Name()+`", and this gateway signs as "`+o.Name+`"`) {
			t.Errorf("it is opened as %s: %v", o.Name, err)
		}
	}
	alone(t, o.Path)
}

// In a file, a key gets a longer name by a succession alone.
func TestNameWithoutASuccession(t *testing.T) {
	o, _ := newOptions(t)
	first := entryOf(t, seeds[0], o.Name, o.Sealer)
	named := entryOf(t, seeds[1], o.Name+"/zone-a", o.Sealer)
	content, err := format([]entry{first, named})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := parse(content); err == nil || !strings.Contains(err.Error(), "has no succession") {
		t.Errorf("it is read: %v", err)
	}
}
