package checkpoint

import (
	"slices"
	"strings"
	"testing"
)

func TestNameOfANode(t *testing.T) {
	for _, tt := range []struct{ region, node, want string }{
		{"us", "", "jiragate/us"},
		{"eu", "zone-a.1", "jiragate/eu/zone-a.1"},
	} {
		got := Name(tt.region, tt.node)
		if got != tt.want || Node(got) != tt.node {
			t.Errorf("Name(%q, %q) = %q, of the node %q, want %q", tt.region, tt.node, got, Node(got), tt.want)
		}
	}
}

// A log that gets the name of a node is verified by who knows its first key alone.
// From there on it is that node's.
func TestLogIsNamedOnce(t *testing.T) {
	first := newSigner("jiragate/us", 1)
	named, next := newSigner("jiragate/us/a", 2), newSigner("jiragate/us/a", 3)
	trust := mustTrust(t, first.verifier())
	for _, s := range [][]byte{successionOf(first, named, first, named), successionOf(named, next, named, next)} {
		if v, learned, err := trust.Learn(s); v == "" || !learned || err != nil {
			t.Fatalf("Learn = %q, %v, %v", v, learned, err)
		}
	}
	if trust.Name() != "jiragate/us/a" {
		t.Errorf("the log is named %s", trust.Name())
	}
	for _, s := range []signer{first, named, next} {
		c, err := trust.Open(signed(string(Checkpoint{s.name, 3, [32]byte{}}.Text()), s))
		if err != nil || c.Origin != s.name {
			t.Errorf("a checkpoint of %s: %+v, %v", s.verifier(), c, err)
		}
	}
	if _, err := NewTrust(trust.Verifiers()...); err != nil {
		t.Errorf("what was learned can't be given: %v", err)
	}
}

// Whatever is signed under one name is not believed of another.
func TestLogIsNotPassedForAnotherNodes(t *testing.T) {
	first := newSigner("jiragate/us", 1)
	a, b := newSigner("jiragate/us/a", 2), newSigner("jiragate/us/b", 3)
	renamed := signer{"jiragate/us/b", a.key}
	trust := mustTrust(t, first.verifier(), a.verifier())
	for name, tt := range map[string]struct {
		succession []byte
		says       string
	}{
		"from one node to another": {successionOf(a, b, a, b), "its keys are named jiragate/us/a and jiragate/us/b"},
		"back to none":             {successionOf(a, first, a, first), "its keys are named jiragate/us/a and jiragate/us"},
		"named a second time":      {successionOf(first, b, first, b), "unlike one before it, jiragate/us/a"},
		"the same key":             {successionOf(first, renamed, first, renamed), "unlike one before it, jiragate/us/a"},
	} {
		if v, _, err := trust.Learn(tt.succession); err == nil || !strings.Contains(err.Error(), tt.says) {
			t.Errorf("%s: %q, error %v does not say %q", name, v, err, tt.says)
		}
	}
	if !slices.Equal(trust.Verifiers(), []string{first.verifier(), a.verifier()}) {
		t.Errorf("%q are trusted", trust.Verifiers())
	}
	for origin, by := range map[string]signer{"jiragate/us/a": first, "jiragate/us": a, "jiragate/us/b": a} {
		text := Checkpoint{origin, 3, [32]byte{}}.Text()
		if _, err := trust.Open(signed(string(text), by)); err == nil || !strings.Contains(err.Error(), "it is of the log "+origin+", and signed by a key of "+by.name) {
			t.Errorf("of %s, signed by %s: %v", origin, by.name, err)
		}
	}
}
