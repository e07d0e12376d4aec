package policy

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// Each case shows the rules before and after, and every change in words.
func TestDiffOfRules(t *testing.T) {
	const acme = "  - {name: acme-only-reads, connections: [acme], deny: [issue.delete]}\n"
	tests := []struct {
		name, from, to string
		want           []string // "effect: text"
	}{
		{"a new rule", "", acme, []string{
			`allows less: rule "acme-only-reads" is new: for connection acme it switches off issue.delete`,
			`allows less: operation issue.delete (datacenter) is switched off for connection acme by rule "acme-only-reads"`,
			`allows less: operation issue.delete (cloud) is switched off for connection acme by rule "acme-only-reads"`}},
		{"a rule is gone", acme, "", []string{
			`allows more: rule "acme-only-reads" is gone: for connection acme it switched off issue.delete`,
			`allows more: operation issue.delete (datacenter) is no longer switched off for connection acme by rule "acme-only-reads"`,
			`allows more: operation issue.delete (cloud) is no longer switched off for connection acme by rule "acme-only-reads"`}},
		{"another name", acme, strings.Replace(acme, "acme-only-reads", "no-deletes", 1), []string{
			`none: rule "no-deletes" is new: for connection acme it switches off issue.delete`,
			`none: operation issue.delete (datacenter) is switched off for connection acme by rule "no-deletes", which refuses no call that was allowed before`,
			`none: operation issue.delete (cloud) is switched off for connection acme by rule "no-deletes", which refuses no call that was allowed before`,
			`none: rule "acme-only-reads" is gone: for connection acme it switched off issue.delete`,
			`none: operation issue.delete (datacenter) is no longer switched off for connection acme by rule "acme-only-reads", which allows no call that was refused before`,
			`none: operation issue.delete (cloud) is no longer switched off for connection acme by rule "acme-only-reads", which allows no call that was refused before`}},
		{"a new rule that only reports", "", "  - {name: trial, deny: [issue.delete], projects: [ACME], mode: report}\n", []string{
			`none: rule "trial" is new: for every call it switches off issue.delete, and limits calls to project ACME (in mode report, which refuses nothing)`,
			`none: operation issue.delete (datacenter) is reported, and not refused, for every call by rule "trial"`,
			`none: operation issue.delete (cloud) is reported, and not refused, for every call by rule "trial"`}},
		{"enforced", "  - {name: a, deny: [issue.delete, issue.create], mode: report}\n", "  - {name: a, connections: [acme], deny: [issue.delete]}\n", []string{
			`allows less: rule "a" is enforced now; before, it only reported`,
			`none: rule "a" is about connection acme alone; before, it was about every connection`,
			`none: operation issue.create (datacenter) is no longer reported for every call by rule "a"`,
			`none: operation issue.create (cloud) is no longer reported for every call by rule "a"`}},
		{"only reported", "  - {name: a, projects: [ACME]}\n", "  - {name: a, projects: [ACME], mode: report}\n", []string{
			`allows more: rule "a" only reports now, and refuses nothing; before, it was enforced`}},
		{"about more", acme, strings.Replace(acme, "[acme]", "[acme, globex, initech]", 1), []string{
			`allows less: rule "acme-only-reads" is also about connections globex, initech`}},
		{"about others", acme, strings.Replace(acme, "[acme]", "[globex]", 1), []string{
			`may allow more or less: rule "acme-only-reads" is also about connection globex, and no longer about connection acme`}},
		{"about all", acme, strings.Replace(acme, "connections: [acme], ", "", 1), []string{
			`allows less: rule "acme-only-reads" is about every connection; before, it was about connection acme`}},
		{"about one client", acme, strings.Replace(acme, "deny", "clients: [billing], deny", 1), []string{
			`allows more: rule "acme-only-reads" is about client billing alone; before, it was about every client`}},
		{"one more operation", acme, strings.Replace(acme, "issue.delete", "issue.delete, createmeta.fields, issue.create", 1), []string{
			`allows less: operation issue.create (datacenter) is switched off for connection acme by rule "acme-only-reads"`,
			`allows less: operation issue.create (cloud) is switched off for connection acme by rule "acme-only-reads"`,
			`none: operation createmeta.fields (cloud) is switched off for connection acme by rule "acme-only-reads", which refuses no call that was allowed before`}},
		{"an operation that is off for all", "  - {name: a, deny: [issue.delete]}\n", "  - {name: a, deny: [issue.delete]}\n" + acme, []string{
			`none: rule "acme-only-reads" is new: for connection acme it switches off issue.delete`,
			`none: operation issue.delete (datacenter) is switched off for connection acme by rule "acme-only-reads", which refuses no call that was allowed before`,
			`none: operation issue.delete (cloud) is switched off for connection acme by rule "acme-only-reads", which refuses no call that was allowed before`}},
		{"a project limit", acme, strings.Replace(acme, "deny", `projects: [ACME, "10000"], deny`, 1), []string{
			`allows less: rule "acme-only-reads" limits calls to projects ACME, 10000 for connection acme; before, it had no such limit`}},
		{"no project limit", strings.Replace(acme, "deny", `projects: [ACME, "10000"], deny`, 1), acme, []string{
			`allows more: rule "acme-only-reads" no longer limits calls to projects; before, it limited them to ACME, 10000 for connection acme`}},
		{"a wider project limit", "  - {name: a, projects: [ACME]}\n", "  - {name: a, projects: [OPS, ACME]}\n", []string{
			`allows more: rule "a" also lets calls name project OPS`}},
		{"a narrower project limit", "  - {name: a, projects: [ACME, OPS]}\n", "  - {name: a, projects: [ACME]}\n", []string{
			`allows less: rule "a" no longer lets calls name project OPS`}},
		{"another project limit", "  - {name: a, projects: [ACME]}\n", "  - {name: a, projects: [OPS]}\n", []string{
			`may allow more or less: rule "a" also lets calls name project OPS, and no longer lets calls name project ACME`}},
		{"a new project limit", "", "  - {name: a, projects: [ACME]}\n", []string{
			`allows less: rule "a" is new: for every call it limits calls to project ACME`}},
		{"a project limit is gone", "  - {name: a, clients: [crm, billing], projects: [ACME, OPS]}\n", "", []string{
			`allows more: rule "a" is gone: for clients crm, billing it limited calls to projects ACME, OPS`}},
		{"a project limit that only reported is gone", "  - {name: a, projects: [ACME], mode: report}\n", "", []string{
			`none: rule "a" is gone: for every call it limited calls to project ACME (in mode report, which refuses nothing)`}},
		{"about others with another project limit", "  - {name: a, connections: [acme], projects: [ACME]}\n", "  - {name: a, connections: [globex], projects: [OPS]}\n", []string{
			`none: rule "a" is also about connection globex, and no longer about connection acme`,
			`may allow more or less: rule "a" also lets calls name project OPS, and no longer lets calls name project ACME`}},
		{"about others with another operation", acme, "  - {name: acme-only-reads, connections: [globex], deny: [createmeta.fields]}\n", []string{
			`none: rule "acme-only-reads" is also about connection globex, and no longer about connection acme`,
			`allows more: operation issue.delete (datacenter) is no longer switched off for connection acme by rule "acme-only-reads"`,
			`allows more: operation issue.delete (cloud) is no longer switched off for connection acme by rule "acme-only-reads"`,
			`none: operation createmeta.fields (cloud) is switched off for connection globex by rule "acme-only-reads", which refuses no call that was allowed before`}},
		{"as many names as a sentence lists", "", "  - {name: a, projects: [A1, A2, A3, A4, A5, A6, A7, A8, A9, A10]}\n", []string{
			`allows less: rule "a" is new: for every call it limits calls to projects A1, A2, A3, A4, A5, A6, A7, A8, A9, A10`}},
		{"more names than a sentence lists", "", "  - {name: a, projects: [A1, A2, A3, A4, A5, A6, A7, A8, A9, A10, A11]}\n", []string{
			`allows less: rule "a" is new: for every call it limits calls to projects A1, A2, A3, A4, A5, A6, A7, A8, A9, A10 and 1 more`}},
		{"order", "  - {name: a, projects: [OPS]}\n" + acme, acme + "  - {name: a, projects: [OPS]}\n", []string{
			`none: the rules stand in another order: where several refuse a call, another one may be named as the reason`}},
		{"order of names, and comments", "  - {name: a, clients: [x, y], deny: [issue.delete, issue.create]}\n", "  # twice\n  - {clients: [y, x], deny: [issue.create, issue.delete], name: a}\n", nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			checkDiff(t, Diff(mustNew(t, ruleText(tt.from)), mustNew(t, ruleText(tt.to))), tt.want)
		})
	}
}

func TestDiffOfSuccessors(t *testing.T) {
	with, without := mustNew(t, []byte("version: 1\nsuccessors: [createmeta.fields]\n")), Default()
	checkDiff(t, Diff(without, with), []string{`allows more: operation createmeta.fields (cloud) is switched on`})
	checkDiff(t, Diff(with, without), []string{`allows less: operation createmeta.fields (cloud) is no longer switched on`})
	denied := mustNew(t, []byte("version: 1\nsuccessors: [createmeta.fields]\nrules:\n  - {name: a, deny: [createmeta.fields]}\n"))
	if changes := Diff(without, denied); TotalEffect(changes) != EffectNone {
		t.Errorf("switched on and denied to all: %v", changes)
	}
}

// Each case changes the catalogue by one replacement. The way back has the
// opposite effect.
func TestDiffOfCatalogues(t *testing.T) {
	tests := []struct {
		name, old, new string
		rules          string
		want           []string
	}{
		{"a comment", "# Every Jira operation", "# Each Jira operation", "", nil},
		{"version", `version: "1.0"`, `version: "1.1"`, "", []string{`none: the catalogue has version "1.1"; before, it had "1.0"`}},
		{"purpose", "purpose: List projects", "purpose: Show projects", "", []string{
			`none: operation project.list (datacenter) has the purpose "Show projects"; before, it was "List projects"`,
			`none: operation project.list (cloud) has the purpose "Show projects"; before, it was "List projects"`}},
		{"path", "path: /rest/api/3/priority", "path: /rest/api/3/priorities", "", []string{
			`may allow more or less: operation priority.list (cloud) has the path /rest/api/3/priorities; before, it was /rest/api/3/priority`}},
		{"path of an operation that is off", "path: /rest/api/3/priority", "path: /rest/api/3/priorities", "  - {name: a, deny: [priority.list]}\n", []string{
			`none: operation priority.list (cloud) has the path /rest/api/3/priorities; before, it was /rest/api/3/priority`}},
		{"scope", "scope: read:jira-user", "scope: read:user:jira", "", []string{
			`may allow more or less: operation myself.get (cloud) needs the scope read:user:jira; before, it was read:jira-user`}},
		{"parameter gone", "        - {name: includeArchived, type: boolean}\n", "", "", []string{
			`allows less: operation project.list (datacenter) no longer takes the query parameter "includeArchived"`}},
		{"parameter of another type", "{name: includeArchived, type: boolean}", "{name: includeArchived}", "", []string{
			`allows more: operation project.list (datacenter) takes in the query parameter "includeArchived" any text, once; before, it was true or false, once`}},
		{"fewer values", "values: [groups, applicationRoles]", "values: [groups]", "", []string{
			`allows less: operation myself.get (cloud) takes in the query parameter "expand" one or more of groups, separated by commas, any number of times; before, it was one or more of groups, applicationRoles, separated by commas, any number of times`}},
		{"values in another order", "values: [groups, applicationRoles]", "values: [applicationRoles, groups]", "", nil},
		{"other values", "values: [groups, applicationRoles]", "values: [groups, roles]", "", []string{
			`may allow more or less: operation myself.get (cloud) takes in the query parameter "expand" one or more of groups, roles, separated by commas, any number of times; before, it was one or more of groups, applicationRoles, separated by commas, any number of times`}},
		{"not repeated", "{name: keys, repeat: true, names: project}", "{name: keys, names: project}", "", []string{
			`allows less: operation project.list (cloud) takes in the query parameter "keys" any text, once; before, it was any text, any number of times`}},
		{"names no project, without a limit", "{name: keys, repeat: true, names: project}", "{name: keys, repeat: true}", "", []string{
			`none: operation project.list (cloud) has the query parameter "keys" name none for project limits; before, it was project`}},
		{"names no project, under a limit", "{name: keys, repeat: true, names: project}", "{name: keys, repeat: true}", "  - {name: a, projects: [ACME]}\n", []string{
			`may allow more or less: operation project.list (cloud) has the query parameter "keys" name none for project limits; before, it was project`}},
		{"a new operation", "  - id: priority.list", "  - id: status.list\n    purpose: Retrieve statuses\n    datacenter:\n      method: GET\n      path: /rest/api/2/status\n      projects: none\n  - id: priority.list", "", []string{
			`allows more: operation status.list (datacenter) is new: GET /rest/api/2/status`}},
		{"an operation under a condition", "contains: issueTypes", "contains: lead", "", []string{
			`may allow more or less: operation issuetype.list (cloud) has the condition expand=lead; before, it was expand=issueTypes`}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			text := strings.Replace(embeddedCatalogue, tt.old, tt.new, 1)
			if text == embeddedCatalogue {
				t.Fatalf("the catalogue has no %q to replace", tt.old)
			}
			from := mustNew(t, ruleText(tt.rules))
			to, err := build([]byte(text), ruleText(tt.rules))
			if err != nil {
				t.Fatal(err)
			}
			there, back := Diff(from, to), Diff(to, from)
			checkDiff(t, there, tt.want)
			checkOpposite(t, there, back)
		})
	}
}

// The place of an operation matters where calls fit two: the first is taken.
func TestDiffOfTheOrderOfOperations(t *testing.T) {
	operation := func(id, contains string) string {
		return fmt.Sprintf("  - {id: %s, purpose: p, datacenter: {method: GET, path: /rest/api/2/a, when: {parameter: x, contains: %s}, query: [{name: x, type: list, values: [b, c]}], projects: none}}\n", id, contains)
	}
	catalogue := func(operations ...string) *Policy {
		p, err := build([]byte("version: \"0\"\noperations:\n  - {id: a, purpose: p, datacenter: {method: GET, path: /rest/api/2/a, projects: none}}\n"+strings.Join(operations, "")), nil)
		if err != nil {
			t.Fatal(err)
		}
		return p
	}
	b, c := operation("b", "b"), operation("c", "c")
	checkDiff(t, Diff(catalogue(b, c), catalogue(c, b)), []string{
		`may allow more or less: operation b (datacenter) comes after c (datacenter) in the catalogue; before, it came first, which decides between the two where a call fits both`})
	if changes := Diff(catalogue(b, c), catalogue(b)); TotalEffect(changes) != EffectUnsure {
		t.Errorf("without c: %v", changes)
	}
}

func TestTotalEffect(t *testing.T) {
	for _, tt := range []struct {
		effects []Effect
		want    Effect
	}{
		{nil, EffectNone},
		{[]Effect{EffectNone, EffectNone}, EffectNone},
		{[]Effect{EffectNone, EffectLess, EffectLess}, EffectLess},
		{[]Effect{EffectMore, EffectNone}, EffectMore},
		{[]Effect{EffectMore, EffectLess}, EffectUnsure},
		{[]Effect{EffectUnsure, EffectLess}, EffectUnsure},
	} {
		var changes []Change
		for _, e := range tt.effects {
			changes = append(changes, Change{Effect: e})
		}
		if got := TotalEffect(changes); got != tt.want {
			t.Errorf("%v give %q, want %q", tt.effects, got, tt.want)
		}
	}
}

// ruleText is a file with these rules; nil if there are none.
func ruleText(rules string) []byte {
	if rules == "" {
		return nil
	}
	return []byte("version: 1\nrules:\n" + rules)
}

func checkDiff(t *testing.T, changes []Change, want []string) {
	t.Helper()
	var got []string
	for _, c := range changes {
		got = append(got, string(c.Effect)+": "+c.Text)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("changes (-want +got):\n%s", diff)
	}
	checkChanges(t, changes)
}

// checkOpposite checks the way back: as many changes, of the opposite effect.
func checkOpposite(t *testing.T, there, back []Change) {
	t.Helper()
	opposite := map[Effect]Effect{EffectNone: EffectNone, EffectUnsure: EffectUnsure, EffectLess: EffectMore, EffectMore: EffectLess}
	if len(back) != len(there) || TotalEffect(back) != opposite[TotalEffect(there)] {
		t.Errorf("the way back: %v", back)
	}
}

// checkChanges checks what holds of the changes between any two policies.
func checkChanges(t interface {
	Helper()
	Fatalf(string, ...any)
}, changes []Change) {
	t.Helper()
	for _, c := range changes {
		if !slices.Contains([]string{KindVersion, KindOperation, KindRule, KindOrder}, c.Kind) || c.Subject == "" || c.Text == "" ||
			!slices.Contains([]Effect{EffectNone, EffectLess, EffectMore, EffectUnsure}, c.Effect) {
			t.Fatalf("the change %+v lacks something", c)
		}
	}
}
