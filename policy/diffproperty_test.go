package policy

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// drawnRule is a rule that a test can change before it is written down.
type drawnRule struct {
	name                               string
	connections, clients, deny, limits []string
	report                             bool
}

// drawnPolicy is a policy that a test can change before it is compiled.
type drawnPolicy struct {
	catalogue  string
	successors []string
	rules      []drawnRule
}

var (
	drawnConnections = []string{"acme", "globex"}
	drawnClients     = []string{"billing", "crm"}
	drawnLimits      = []string{"ACME", "OPS", "10000", "7"}
	drawnSuccessors  = []string{"createmeta.issuetypes", "createmeta.fields"}
)

// catalogueChanges are replacements in the catalogue that leave it in order.
var catalogueChanges = [][2]string{
	{`version: "1.0"`, `version: "1.1"`},
	{"purpose: List projects", "purpose: Show projects"},
	{"path: /rest/api/3/priority", "path: /rest/api/3/priorities"},
	{"        - {name: includeArchived, type: boolean}\n", ""},
	{"{name: includeArchived, type: boolean}", "{name: includeArchived}"},
	{"values: [groups, applicationRoles]", "values: [groups]"},
	{"{name: keys, repeat: true, names: project}", "{name: keys, repeat: true}"},
	{"{name: keys, repeat: true, names: project}", "{name: keys, names: project}"},
	{"contains: issueTypes", "contains: lead"},
	{"{name: properties, repeat: true}", "{name: properties}"},
	{"  - id: priority.list", "  - id: status.list\n    purpose: Retrieve statuses\n    datacenter: {method: GET, path: /rest/api/2/status, projects: none}\n  - id: priority.list"},
}

func drawNames(t *rapid.T, label string, from []string, least int) []string {
	return rapid.SliceOfNDistinct(rapid.SampledFrom(from), least, -1, rapid.ID[string]).Draw(t, label)
}

func drawRule(t *rapid.T, name string) drawnRule {
	ids := Default().ids
	ru := drawnRule{name: name, connections: drawNames(t, "connections", drawnConnections, 0), clients: drawNames(t, "clients", drawnClients, 0)}
	if ru.report = rapid.IntRange(0, 3).Draw(t, "report") == 0; rapid.Bool().Draw(t, "limit") {
		ru.limits = drawNames(t, "projects", drawnLimits, 1)
	}
	if ru.limits == nil || rapid.Bool().Draw(t, "denies") {
		ru.deny = rapid.SliceOfNDistinct(rapid.SampledFrom(ids), 1, 4, rapid.ID[string]).Draw(t, "deny")
	}
	return ru
}

func drawPolicy(t *rapid.T) drawnPolicy {
	d := drawnPolicy{catalogue: embeddedCatalogue, successors: drawNames(t, "successors", drawnSuccessors, 0)}
	for i := range rapid.IntRange(0, 4).Draw(t, "rules") {
		d.rules = append(d.rules, drawRule(t, fmt.Sprintf("rule-%d", i)))
	}
	return d
}

// fresh returns a name that no rule has.
func (d drawnPolicy) fresh(base string) string {
	for n := 0; ; n++ {
		name := fmt.Sprintf("%s-%d", base, n)
		if !slices.ContainsFunc(d.rules, func(ru drawnRule) bool { return ru.name == name }) {
			return name
		}
	}
}

// changed returns the policy with one thing changed.
func (d drawnPolicy) changed(t *rapid.T) drawnPolicy {
	d.rules = slices.Clone(d.rules)
	kinds := []string{"add", "successors", "catalogue"}
	if len(d.rules) > 0 {
		kinds = append(kinds, "remove", "rename", "reverse", "mode", "connections", "clients", "deny", "projects", "split")
	}
	i := 0
	if len(d.rules) > 0 {
		i = rapid.IntRange(0, len(d.rules)-1).Draw(t, "which")
	}
	switch kind := rapid.SampledFrom(kinds).Draw(t, "change"); kind {
	case "add":
		d.rules = append(d.rules, drawRule(t, d.fresh("new")))
	case "successors":
		d.successors = drawNames(t, "successors", drawnSuccessors, 0)
	case "catalogue":
		c := rapid.SampledFrom(catalogueChanges).Draw(t, "replacement")
		if !strings.Contains(d.catalogue, c[1]) {
			d.catalogue = strings.Replace(d.catalogue, c[0], c[1], 1)
		}
	case "remove":
		d.rules = slices.Delete(d.rules, i, i+1)
	case "rename":
		d.rules[i].name = d.fresh("renamed")
	case "reverse":
		slices.Reverse(d.rules)
	case "mode":
		d.rules[i].report = !d.rules[i].report
	case "connections":
		d.rules[i].connections = drawNames(t, kind, drawnConnections, 0)
	case "clients":
		d.rules[i].clients = drawNames(t, kind, drawnClients, 0)
	case "deny":
		d.rules[i].deny = rapid.SliceOfNDistinct(rapid.SampledFrom(Default().ids), 1, 4, rapid.ID[string]).Draw(t, kind)
	case "projects":
		d.rules[i].limits = drawNames(t, kind, drawnLimits, 1)
	case "split":
		piece := d.rules[i]
		piece.name = d.fresh("piece")
		d.rules[i].connections, piece.connections = []string{"acme"}, []string{"globex"}
		d.rules = append(d.rules, piece)
	}
	return d
}

func (d drawnPolicy) text() []byte {
	var b strings.Builder
	b.WriteString("version: 1\n")
	list := func(before, key string, names []string) {
		if len(names) > 0 {
			fmt.Fprintf(&b, "%s%s: [%q", before, key, names[0])
			for _, name := range names[1:] {
				fmt.Fprintf(&b, ", %q", name)
			}
			b.WriteString("]\n")
		}
	}
	list("", "successors", d.successors)
	if len(d.rules) > 0 {
		b.WriteString("rules:\n")
	}
	for _, ru := range d.rules {
		fmt.Fprintf(&b, "  - name: %s\n", ru.name)
		list("    ", "connections", ru.connections)
		list("    ", "clients", ru.clients)
		list("    ", "deny", ru.deny)
		list("    ", "projects", ru.limits)
		if ru.report {
			b.WriteString("    mode: report\n")
		}
	}
	return []byte(b.String())
}

func (d drawnPolicy) compile(t *rapid.T) *Policy {
	p, err := build([]byte(d.catalogue), d.text())
	if err != nil {
		t.Fatalf("%v in\n%s", err, d.text())
	}
	return p
}

// What Diff says of all changes together holds of every call: where nothing
// allows more, no call is allowed that was not, and the other way round.
func TestEffectsHoldOfCalls(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		before := drawPolicy(t)
		after := before
		for range rapid.IntRange(1, 3).Draw(t, "changes") {
			after = after.changed(t)
		}
		from, to := before.compile(t), after.compile(t)
		changes := Diff(from, to)
		checkChanges(t, changes)
		total := TotalEffect(changes)
		if back := TotalEffect(Diff(to, from)); (back == EffectNone) != (total == EffectNone) {
			t.Fatalf("the changes are %q, and undoing them %q", total, back)
		}
		for range 5 {
			c := drawCall(t, rapid.SampledFrom([]*Policy{from, to}).Draw(t, "policy"))
			r := c.request
			if c.operation.Projects == ProjectsPath {
				for _, as := range []string{"/ACME", "/OPS", "/10000"} {
					r.Path = strings.Replace(c.operation.Path, "/{projectIdOrKey}", as, 1)
					r.Path = strings.NewReplacer("{issueIdOrKey}", "OPS-1", "{issueTypeId}", "7").Replace(r.Path)
					for _, r.Connection = range append(drawnConnections, "other") {
						checkEffect(t, total, from, to, r)
					}
				}
			}
			r = c.request
			r.Connection = rapid.SampledFrom(append(drawnConnections, "other")).Draw(t, "connection")
			r.Client = rapid.SampledFrom(append(drawnClients, "other")).Draw(t, "client")
			checkEffect(t, total, from, to, r)
		}
	})
}

func checkEffect(t *rapid.T, total Effect, from, to *Policy, r Request) {
	t.Helper()
	if total == EffectNone || total == EffectLess {
		checkNarrower(t, to, from, r)
	}
	if total == EffectNone || total == EffectMore {
		checkNarrower(t, from, to, r)
	}
}

// A rule can only refuse, so a new one never allows more, and its going never
// less; and nothing is said of a policy and itself.
func TestDiffOfNewRules(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		before := drawPolicy(t)
		after := before
		for i := range rapid.IntRange(1, 3).Draw(t, "new rules") {
			after.rules = slices.Insert(slices.Clone(after.rules), 0, drawRule(t, fmt.Sprintf("new-%d", i)))
		}
		from, to := before.compile(t), after.compile(t)
		for _, c := range Diff(from, to) {
			if c.Effect != EffectNone && c.Effect != EffectLess {
				t.Fatalf("a new rule: %+v", c)
			}
		}
		for _, c := range Diff(to, from) {
			if c.Effect != EffectNone && c.Effect != EffectMore {
				t.Fatalf("a rule that is gone: %+v", c)
			}
		}
		if changes := Diff(from, from); changes != nil {
			t.Fatalf("the same policy: %v", changes)
		}
		if first, second := Diff(from, to), Diff(from, to); !slices.Equal(first, second) {
			t.Fatalf("twice the same gave %v and %v", first, second)
		}
	})
}
