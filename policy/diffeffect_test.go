package policy

import (
	"fmt"
	"strings"
	"testing"
)

// A rule that is cut in pieces refuses what it refused, and is said to.
func TestRulesThatAreCutInPiecesHaveNoEffect(t *testing.T) {
	const others = "  - {name: others, connections: [initech], deny: [issue.delete]}\n"
	tests := []struct{ name, whole, pieces string }{
		{"by connection", "  - {name: a, connections: [acme, globex], deny: [issue.delete]}\n",
			"  - {name: b, connections: [acme], deny: [issue.delete]}\n  - {name: c, connections: [globex], deny: [issue.delete]}\n"},
		{"by connection, behind a rule about others", others + "  - {name: a, connections: [acme, globex], deny: [issue.delete]}\n",
			others + "  - {name: b, connections: [acme], deny: [issue.delete]}\n  - {name: c, connections: [globex], deny: [issue.delete]}\n"},
		{"by operation", "  - {name: a, clients: [crm], deny: [issue.delete, issue.create]}\n",
			"  - {name: b, clients: [crm], deny: [issue.delete]}\n  - {name: c, clients: [crm], deny: [issue.create]}\n"},
		{"limits that intersect", "  - {name: a, projects: [ACME]}\n",
			"  - {name: b, projects: [ACME, OPS]}\n  - {name: c, projects: [ACME, \"10000\"]}\n"},
		{"of limits, by client", "  - {name: a, clients: [crm, billing], projects: [ACME]}\n",
			"  - {name: b, clients: [crm], projects: [ACME]}\n  - {name: c, clients: [billing], projects: [ACME]}\n"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) { checkReplaced(t, tt.whole, tt.pieces, EffectNone) })
	}
}

// Where the pieces leave something out, that is allowed.
func TestDiffOfPiecesThatLeaveSomethingOut(t *testing.T) {
	tests := []struct{ name, whole, pieces string }{
		{"a connection", "  - {name: a, connections: [acme, globex], deny: [issue.delete]}\n",
			"  - {name: b, connections: [acme], deny: [issue.delete]}\n"},
		{"all connections but those that are named", "  - {name: a, deny: [issue.delete]}\n",
			"  - {name: b, connections: [acme], deny: [issue.delete]}\n  - {name: c, connections: [globex], deny: [issue.delete]}\n"},
		{"a client of one connection", "  - {name: a, connections: [acme, globex], clients: [crm, billing], deny: [issue.delete]}\n",
			"  - {name: b, connections: [acme], clients: [crm, billing], deny: [issue.delete]}\n  - {name: c, connections: [globex], clients: [crm], deny: [issue.delete]}\n"},
		{"a connection of a limit", "  - {name: a, connections: [acme, globex], projects: [ACME]}\n",
			"  - {name: b, connections: [acme], projects: [ACME]}\n"},
		{"a project that two limits leave", "  - {name: a, projects: [ACME]}\n",
			"  - {name: b, projects: [ACME, OPS, \"10000\"]}\n  - {name: c, projects: [ACME, OPS]}\n"},
		{"what a piece only reports", "  - {name: a, connections: [acme, globex], deny: [issue.delete]}\n",
			"  - {name: b, connections: [acme], deny: [issue.delete]}\n  - {name: c, connections: [globex], deny: [issue.delete], mode: report}\n"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) { checkReplaced(t, tt.whole, tt.pieces, EffectMore) })
	}
}

// A rule's connections and clients are tried, each with each, against every rule
// that is about some of them: 16384 times at most. Beyond that a rule that is cut
// in pieces is said to have an effect which it does not have.
func TestDiffOfRulesWithManyNames(t *testing.T) {
	names := func(kind string, n int) string {
		var names []string
		for i := range n {
			names = append(names, fmt.Sprintf("%s%d", kind, i))
		}
		return strings.Join(names, ", ")
	}
	rule := func(name, connections, clients string) string {
		return fmt.Sprintf("  - {name: %s, connections: [%s], clients: [%s], deny: [issue.delete]}\n", name, connections, clients)
	}
	const others = "  - {name: others, connections: [elsewhere], deny: [issue.delete]}\n"
	tests := []struct {
		name                 string
		connections, clients int
		pieces               int // one for some of the connections each; the last for the rest
		others               string
		want                 Effect // of the pieces in the place of the whole
	}{
		{"as many as are tried", 64, 128, 2, "", EffectNone},
		{"as many as are tried, beside a rule about others", 64, 128, 2, others, EffectNone},
		{"one more", 29, 113, 5, "", EffectMore}, // 29*113*5 is 16385
		{"another name for more than are tried", 129, 128, 1, "", EffectNone},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			connections, clients := strings.Split(names("c", tt.connections), ", "), names("s", tt.clients)
			whole, pieces := rule("whole", strings.Join(connections, ", "), clients), ""
			for i := range tt.pieces {
				first, end := i, i+1
				if end == tt.pieces {
					end = tt.connections
				}
				pieces += rule(fmt.Sprintf("piece-%d", i), strings.Join(connections[first:end], ", "), clients)
			}
			checkReplaced(t, tt.others+whole, tt.others+pieces, tt.want)
		})
	}
}

// checkReplaced checks the effect of rules in the place of others. The way back
// has the opposite one.
func checkReplaced(t *testing.T, before, after string, want Effect) {
	t.Helper()
	from, to := mustNew(t, ruleText(before)), mustNew(t, ruleText(after))
	there, back := Diff(from, to), Diff(to, from)
	if len(there) == 0 || TotalEffect(there) != want {
		t.Errorf("there, want %q: %+v", want, there)
	}
	checkOpposite(t, there, back)
}
