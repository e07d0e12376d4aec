package policy

import (
	"strings"
	"testing"
)

func TestCheckWarns(t *testing.T) {
	// What a project limit cannot limit, and is warned of unless it is denied.
	const unlimited = "deny: [myself.get, user.picker, priority.list, project.list]"
	tests := []struct {
		name, rules string
		want        []string // a part of each warning
	}{
		{"nothing odd", "rules:\n  - {name: a, deny: [issue.delete]}\n", nil},
		{"successors alone", "successors: [createmeta.fields]\n", nil},
		{"nothing at all", "", []string{"changes nothing"}},
		{"successor that is off", "rules:\n  - {name: a, deny: [createmeta.fields, issue.delete]}\n", []string{`rule "a": createmeta.fields is off already`}},
		{"denied before", "rules:\n  - {name: a, deny: [issue.delete]}\n  - {name: b, clients: [x], deny: [issue.delete]}\n", []string{`rule "b": issue.delete is switched off for these calls already, by rule "a"`}},
		{"denied for others", "rules:\n  - {name: a, clients: [y], deny: [issue.delete]}\n  - {name: b, clients: [x], deny: [issue.delete]}\n", nil},
		{"denied for fewer", "rules:\n  - {name: a, clients: [y], deny: [issue.delete]}\n  - {name: b, deny: [issue.delete]}\n", nil},
		{"only reported before", "rules:\n  - {name: a, mode: report, deny: [issue.delete]}\n  - {name: b, deny: [issue.delete]}\n", nil},
		{"denied for more before", "rules:\n  - {name: a, clients: [x, y], deny: [issue.delete]}\n  - {name: b, clients: [x], deny: [issue.delete]}\n", []string{`rule "b": issue.delete is switched off for these calls already, by rule "a"`}},
		{"denied for some of them", "rules:\n  - {name: a, clients: [x], deny: [issue.delete]}\n  - {name: b, clients: [x, y], deny: [issue.delete]}\n", nil},
		{"something else denied before", "rules:\n  - {name: a, deny: [issue.create]}\n  - {name: b, deny: [issue.delete]}\n", nil},
		{"denied twice before", "rules:\n  - {name: a, deny: [issue.delete]}\n  - {name: b, deny: [issue.delete]}\n  - {name: c, deny: [issue.delete]}\n", []string{
			`rule "b": issue.delete is switched off for these calls already, by rule "a"`,
			`rule "c": issue.delete is switched off for these calls already, by rule "a"`}},
		{"limit and what it cannot limit", "rules:\n  - {name: a, projects: [ACME]}\n", []string{
			`rule "a": the project limit does not touch myself.get, user.picker, priority.list`,
			`rule "a": under the project limit project.list on Jira Data Center and Server is refused`}},
		{"limit with these denied", "rules:\n  - {name: a, projects: [ACME], " + unlimited + "}\n", nil},
		{"limit with all but one denied", "rules:\n  - {name: a, projects: [ACME], deny: [user.picker, priority.list, project.list]}\n", []string{
			`rule "a": the project limit does not touch myself.get, which`}},
		{"limits with nothing in common", "rules:\n" +
			"  - {name: a, projects: [ACME], " + unlimited + "}\n" +
			"  - {name: b, connections: [acme], projects: [OPS, \"1\"], " + unlimited + "}\n", []string{
			"myself.get is switched off", "user.picker is", "priority.list is", "project.list is",
			`rule "b": it and rule "a" share calls and no project`}},
		{"the first of them for one connection", "rules:\n" +
			"  - {name: a, connections: [acme], projects: [ACME], " + unlimited + "}\n" +
			"  - {name: b, projects: [OPS], " + unlimited + "}\n", []string{
			`rule "b": it and rule "a" share calls and no project`}},
		{"a rule without a limit before them", "rules:\n" +
			"  - {name: none, deny: [issue.delete]}\n" +
			"  - {name: a, connections: [acme], projects: [ACME], " + unlimited + "}\n" +
			"  - {name: b, projects: [OPS], " + unlimited + "}\n", []string{
			`rule "b": it and rule "a" share calls and no project`}},
		{"limits with something in common", "rules:\n" +
			"  - {name: a, connections: [acme], projects: [ACME, OPS], " + unlimited + "}\n" +
			"  - {name: b, projects: [\"1\", OPS], " + unlimited + "}\n", nil},
		{"limits of which one only reports", "rules:\n" +
			"  - {name: a, mode: report, projects: [ACME], " + unlimited + "}\n" +
			"  - {name: b, projects: [OPS], " + unlimited + "}\n", nil},
		{"limits of different connections", "rules:\n" +
			"  - {name: a, connections: [one], projects: [ACME], " + unlimited + "}\n" +
			"  - {name: b, connections: [two], projects: [OPS], " + unlimited + "}\n", nil},
		{"limits of different clients", "rules:\n" +
			"  - {name: a, clients: [one], projects: [ACME], " + unlimited + "}\n" +
			"  - {name: b, clients: [two], projects: [OPS], " + unlimited + "}\n", nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := Check([]byte("version: 1\n" + tt.rules))
			if err != nil {
				t.Fatal(err)
			}
			if len(got) != len(tt.want) {
				t.Fatalf("warnings %q, want %q", got, tt.want)
			}
			for i := range got {
				if !strings.Contains(got[i], tt.want[i]) {
					t.Errorf("warning %q, want one with %q", got[i], tt.want[i])
				}
			}
		})
	}
}
