package demo

import (
	"bytes"
	"strings"
	"testing"

	"jiragate/gateway/audit"
)

func TestOnce(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
	var out bytes.Buffer
	if err := run(t.Context(), &out, true); err != nil {
		t.Fatalf("%v\n%s", err, out.String())
	}
	if got, want := strings.Count(out.String(), "\nok "), len(documented)+len(refused); got != want {
		t.Errorf("%d calls did what they should, want %d\n%s", got, want, out.String())
	}
	for _, want := range []string{"52.54.159.237", "52.73.143.252", "curl --proxy http://demo:", "audit query", "traces.jsonl",
		"/console/\n", "jga_", "admin-token", "/public/\n", "are made up for the demo"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("the output does not show %q:\n%s", want, out.String())
		}
	}
}

// The catalogue has 22 documented operations, and the demo makes each.
func TestEveryDocumentedOperationIsShown(t *testing.T) {
	seen := map[string]bool{}
	for _, st := range documented {
		seen[st.edition+" "+st.operation] = true
	}
	if len(seen) != 22 {
		t.Errorf("the demo shows %d operations", len(seen))
	}
}

// A call that does not do what it should is noticed.
func TestProblem(t *testing.T) {
	allowed := step{operation: "myself.get", status: 200}
	denied := step{operation: "read an issue", status: 403, code: "method_not_documented"}
	good := outcome{status: 200, reached: true, record: audit.Record{Decision: "allow", Operation: "myself.get"}}
	refused := outcome{status: 403, record: audit.Record{Decision: "deny", Code: "method_not_documented"}}
	if allowed.problem(good) != "" || denied.problem(refused) != "" {
		t.Error("what is as it should be is a problem")
	}
	for name, change := range map[string]func(st *step, o *outcome){
		"another status":    func(_ *step, o *outcome) { o.status = 500 },
		"denied":            func(_ *step, o *outcome) { o.record.Decision = "deny" },
		"a code":            func(_ *step, o *outcome) { o.record.Code = "x" },
		"another operation": func(_ *step, o *outcome) { o.record.Operation = "project.get" },
		"did not reach":     func(_ *step, o *outcome) { o.reached = false },
	} {
		st, o := allowed, good
		if change(&st, &o); st.problem(o) == "" {
			t.Errorf("%s: not noticed", name)
		}
	}
	if refused.reached = true; denied.problem(refused) == "" {
		t.Error("a refused call that reached Jira is not noticed")
	}
}
