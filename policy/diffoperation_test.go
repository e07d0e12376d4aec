package policy

import (
	"strings"
	"testing"
)

// A written policy is one that a test spells out: operations and rules, each on a
// line of its own as they stand in their files.
type written struct{ operations, rules string }

func (w written) build(t *testing.T) *Policy {
	t.Helper()
	p, err := build([]byte("version: \"1\"\noperations:\n"+w.operations), ruleText(w.rules))
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// inDataCenter is an operation of Data Center that has this entry.
func inDataCenter(id, entry string) string {
	return "  - {id: " + id + ", purpose: P, datacenter: {" + entry + "}}\n"
}

// Each case shows two catalogues with the rules of each, and every change in
// words. The way back has the opposite effect.
func TestDiffOfOperations(t *testing.T) {
	const (
		getA    = "method: GET, path: /rest/api/2/a, projects: none"
		getB    = "method: GET, path: /rest/api/2/b, projects: none"
		getC    = "method: GET, path: /rest/api/2/c, projects: none"
		denyB   = "  - {name: r, deny: [b]}\n"
		limited = "  - {name: r, projects: [ACME]}\n"
		// Calls with x=b fit both: operation b is tried before a.
		aOrB    = "method: GET, path: /rest/api/2/a, query: [{name: x, type: list, values: [b, c]}], projects: none"
		bWhenX  = aOrB + ", when: {parameter: x, contains: b}"
		cWhenX  = aOrB + ", when: {parameter: x, contains: c}"
		deleteA = "method: DELETE, path: /rest/api/2/a, projects: none"
	)
	a, b, c := inDataCenter("a", getA), inDataCenter("b", getB), inDataCenter("c", getC)
	successorOf := func(id string) string { return inDataCenter("b", getB+", successor_of: "+id) }
	overlapping := inDataCenter("a", aOrB)
	tests := []struct {
		name     string
		from, to written
		want     []string // "effect: text"
	}{
		{"a new successor", written{a, ""}, written{a + successorOf("a"), ""}, []string{
			`none: operation b (datacenter) is new: GET /rest/api/2/b, and off unless it is switched on`}},
		{"the successor of another operation", written{a + c + successorOf("a"), ""}, written{a + c + successorOf("c"), ""}, []string{
			`none: operation b (datacenter) succeeds c; before, it succeeded a`}},
		{"a successor no more", written{a + successorOf("a"), ""}, written{a + b, ""}, []string{
			`none: operation b (datacenter) succeeds no other operation; before, it succeeded a`,
			`allows more: operation b (datacenter) is switched on`}},
		{"a body", written{b, ""}, written{inDataCenter("b", "method: POST, path: /rest/api/2/b, body: issue, projects: body"), ""}, []string{
			`may allow more or less: operation b (datacenter) has the method POST; before, it was GET`,
			`may allow more or less: operation b (datacenter) has another rule for the body, which is issue; before, it was dropped`,
			`none: operation b (datacenter) names its project elsewhere for project limits (body); before, it was none`}},
		{"projects elsewhere, under a limit", written{b, limited}, written{inDataCenter("b", strings.Replace(getB, "none", "all", 1)), limited}, []string{
			`may allow more or less: operation b (datacenter) names its project elsewhere for project limits (all); before, it was none`}},
		{"projects elsewhere, and a limit at the same time", written{b, ""}, written{inDataCenter("b", strings.Replace(getB, "none", "all", 1)), limited}, []string{
			`may allow more or less: operation b (datacenter) names its project elsewhere for project limits (all); before, it was none`,
			`allows less: rule "r" is new: for every call it limits calls to project ACME`}},
		{"projects elsewhere, and a limit no more", written{b, limited}, written{inDataCenter("b", strings.Replace(getB, "none", "all", 1)), ""}, []string{
			`may allow more or less: operation b (datacenter) names its project elsewhere for project limits (all); before, it was none`,
			`allows more: rule "r" is gone: for every call it limited calls to project ACME`}},
		{"several parameters", written{inDataCenter("b", getB+", query: [{name: x}, {name: z}]"), ""}, written{inDataCenter("b", getB+", query: [{name: y}, {name: x, type: integer}]"), ""}, []string{
			`allows more: operation b (datacenter) takes the query parameter "y", any text, once`,
			`allows less: operation b (datacenter) takes in the query parameter "x" a whole number, once; before, it was any text, once`,
			`allows less: operation b (datacenter) no longer takes the query parameter "z"`}},
		{"a path, and switched off at the same time", written{b, ""}, written{strings.Replace(b, "2/b", "2/c", 1), denyB}, []string{
			`none: operation b (datacenter) has the path /rest/api/2/c; before, it was /rest/api/2/b`,
			`allows less: rule "r" is new: for every call it switches off b`,
			`allows less: operation b (datacenter) is switched off for every call by rule "r"`}},
		{"a path, and switched off no more", written{b, denyB}, written{strings.Replace(b, "2/b", "2/c", 1), ""}, []string{
			`none: operation b (datacenter) has the path /rest/api/2/c; before, it was /rest/api/2/b`,
			`allows more: rule "r" is gone: for every call it switched off b`,
			`allows more: operation b (datacenter) is no longer switched off for every call by rule "r"`}},

		// What is found at one template in one edition by one method depends on the
		// others there, and on no more than them.
		{"a parameter where calls fit two", written{inDataCenter("a", strings.Replace(aOrB, "query: [", "query: [{name: y}, ", 1)) + inDataCenter("b", bWhenX), ""}, written{overlapping + inDataCenter("b", bWhenX), ""}, []string{
			`may allow more or less: operation a (datacenter) no longer takes the query parameter "y"`}},
		{"projects elsewhere where calls fit two", written{overlapping + inDataCenter("b", bWhenX), ""}, written{overlapping + inDataCenter("b", strings.Replace(bWhenX, "none", "all", 1)), ""}, []string{
			`none: operation b (datacenter) names its project elsewhere for project limits (all); before, it was none`}},
		{"a parameter, and another method there", written{inDataCenter("a", getA+", query: [{name: x}]") + inDataCenter("b", deleteA), ""}, written{a + inDataCenter("b", deleteA), ""}, []string{
			`allows less: operation a (datacenter) no longer takes the query parameter "x"`}},
		{"a parameter, and the other edition there", written{"  - {id: a, purpose: P, datacenter: {" + getA + ", query: [{name: x}]}, cloud: {" + getA + ", scope: s}}\n", ""}, written{"  - {id: a, purpose: P, datacenter: {" + getA + "}, cloud: {" + getA + ", scope: s}}\n", ""}, []string{
			`allows less: operation a (datacenter) no longer takes the query parameter "x"`}},
		{"the order of what has nothing in common", written{a + b, ""}, written{b + a, ""}, nil},
		{"new, behind another for the same calls", written{overlapping + inDataCenter("c", cWhenX), ""}, written{overlapping + inDataCenter("c", cWhenX) + inDataCenter("b", bWhenX), ""}, []string{
			`may allow more or less: operation b (datacenter) is new: GET /rest/api/2/a?x=b`}},
		{"gone, before another for the same calls", written{overlapping + inDataCenter("b", bWhenX) + inDataCenter("c", cWhenX), ""}, written{overlapping + inDataCenter("c", cWhenX), ""}, []string{
			`may allow more or less: operation b (datacenter) is no longer documented: before, it was GET /rest/api/2/a?x=b`}},
		{"new and off, for calls that were another's", written{overlapping, ""}, written{overlapping + inDataCenter("b", bWhenX), denyB}, []string{
			`may allow more or less: operation b (datacenter) is new: GET /rest/api/2/a?x=b`,
			`allows less: rule "r" is new: for every call it switches off b`,
			`allows less: operation b (datacenter) is switched off for every call by rule "r"`}},
		{"gone and off, for calls that are another's now", written{overlapping + inDataCenter("b", bWhenX), denyB}, written{overlapping, ""}, []string{
			`may allow more or less: operation b (datacenter) is no longer documented: before, it was GET /rest/api/2/a?x=b`,
			`allows more: rule "r" is gone: for every call it switched off b`,
			`allows more: operation b (datacenter) is no longer switched off for every call by rule "r"`}},
		{"gone and off, for calls of its own", written{a + b, denyB}, written{a, ""}, []string{
			`none: operation b (datacenter) is no longer documented: before, it was GET /rest/api/2/b`,
			`none: rule "r" is gone: for every call it switched off b`,
			`none: operation b (datacenter) is no longer switched off for every call by rule "r", which allows no call that was refused before`}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			from, to := tt.from.build(t), tt.to.build(t)
			checkDiff(t, Diff(from, to), tt.want)
			checkOpposite(t, Diff(from, to), Diff(to, from))
		})
	}
}

// Fewer values, or once instead of any number of times, allow less. What the
// types do not tell is not guessed.
func TestDiffOfParameters(t *testing.T) {
	tests := []struct {
		name, from, to string
		want           Effect // EffectNone: no change is told
	}{
		{"text to integer", "{name: x}", "{name: x, type: integer}", EffectLess},
		{"text to choice", "{name: x}", "{name: x, type: choice, values: [b]}", EffectLess},
		{"text to list", "{name: x, repeat: true}", "{name: x, type: list, values: [b]}", EffectLess},
		{"text once to list", "{name: x}", "{name: x, type: list, values: [b]}", EffectUnsure},
		{"integer to boolean", "{name: x, type: integer}", "{name: x, type: boolean}", EffectUnsure},
		{"integer to a choice of numbers", "{name: x, type: integer}", `{name: x, type: choice, values: ["1"]}`, EffectUnsure},
		{"a choice in another order", "{name: x, type: choice, values: [b, c]}", "{name: x, type: choice, values: [c, b]}", EffectNone},
		{"fewer to choose from", "{name: x, type: choice, values: [b, c]}", "{name: x, type: choice, values: [b]}", EffectLess},
		{"others to choose from", "{name: x, type: choice, values: [b]}", "{name: x, type: choice, values: [c]}", EffectUnsure},
		{"list to choice", "{name: x, type: list, values: [b, c]}", "{name: x, type: choice, values: [b]}", EffectLess},
		{"list to repeated choice", "{name: x, type: list, values: [b, c]}", "{name: x, type: choice, values: [b, c], repeat: true}", EffectLess},
		{"list to a choice of others", "{name: x, type: list, values: [b]}", "{name: x, type: choice, values: [c]}", EffectUnsure},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			taking := func(parameter string) *Policy {
				return written{inDataCenter("a", "method: GET, path: /rest/api/2/a, projects: none, query: ["+parameter+"]"), ""}.build(t)
			}
			from, to := taking(tt.from), taking(tt.to)
			changes := Diff(from, to)
			if TotalEffect(changes) != tt.want || (len(changes) == 0) != (tt.want == EffectNone) {
				t.Errorf("changes %+v, want the effect %q", changes, tt.want)
			}
			checkOpposite(t, changes, Diff(to, from))
		})
	}
}
