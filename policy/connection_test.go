package policy

import (
	"slices"
	"strings"
	"testing"
)

func TestOperationsForAConnection(t *testing.T) {
	p, err := New([]byte(`version: 1
rules:
  - {name: all, deny: [priority.list]}
  - {name: acme, connections: [acme], deny: [issue.delete]}
  - {name: client, connections: [acme], clients: [billing], deny: [issue.create]}
  - {name: report, connections: [acme], deny: [project.get], mode: report}
`))
	if err != nil {
		t.Fatal(err)
	}
	off := func(connection string) []string {
		var ids []string
		for _, o := range p.OperationsFor(connection, Cloud) {
			if o.Edition != Cloud {
				t.Errorf("%s is of %s", o.ID, o.Edition)
			}
			if !o.Enabled && o.SuccessorOf == "" {
				ids = append(ids, o.ID)
			}
		}
		return ids
	}
	if got := off("acme"); !slices.Equal(got, []string{"priority.list", "issue.delete"}) {
		t.Errorf("acme: %q", got)
	}
	if got := off("globex"); !slices.Equal(got, []string{"priority.list"}) {
		t.Errorf("globex: %q", got)
	}
}

// TestDiffForOneConnection: what rules do to others is not said.
func TestDiffForOneConnection(t *testing.T) {
	rules := func(text string) *Policy {
		t.Helper()
		p, err := New([]byte("version: 1\nrules:\n" + text))
		if err != nil {
			t.Fatal(err)
		}
		return p
	}
	secret := rules("  - name: merger\n    connections: [initech, acme]\n    deny: [issue.delete]\n  - name: other\n    connections: [initech]\n    projects: [LAYOFFS]\n")
	for connection, want := range map[string]int{"globex": 0, "acme": 1, "initech": 2} {
		changes := DiffFor(connection, Default(), secret)
		if len(changes) < want || want == 0 && len(changes) > 0 {
			t.Errorf("%s is told %+v", connection, changes)
		}
		for _, c := range changes {
			for _, other := range []string{"globex", "acme", "initech"} {
				if other != connection && strings.Contains(c.Text, other) || connection != "initech" && strings.Contains(c.Text, "LAYOFFS") {
					t.Errorf("%s is told: %s", connection, c.Text)
				}
			}
		}
	}
}

// TestDiffForOneConnectionTellsWhatHoldsForAll: a rule about every connection is
// this one's, too, wherever it stands, and is said to be about all.
func TestDiffForOneConnectionTellsWhatHoldsForAll(t *testing.T) {
	p := mustNew(t, ruleText(`  - {name: other, connections: [initech], projects: [LAYOFFS]}
  - {name: all, clients: [crm], projects: [ACME]}
  - {name: own, connections: [initech, acme], projects: [OPS]}
`))
	checkDiff(t, DiffFor("acme", Default(), p), []string{
		`allows less: rule "all" is new: for client crm it limits calls to project ACME`,
		`allows less: rule "own" is new: for connection acme it limits calls to project OPS`,
	})
}
