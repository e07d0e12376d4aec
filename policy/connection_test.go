package policy

import (
	"slices"
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
