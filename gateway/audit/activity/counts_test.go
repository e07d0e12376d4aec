package activity_test

import (
	"testing"

	"jiragate/gateway/audit"
	"jiragate/gateway/audit/activity"
	"jiragate/gateway/pace"
	"jiragate/policy"
)

// TestWhatARecordCountsAs has the outcomes that the gateway writes.
func TestWhatARecordCountsAs(t *testing.T) {
	type counts = activity.Counts
	for _, row := range []struct {
		name   string
		change func(*audit.Record)
		want   counts
	}{
		{"a call that went well", func(r *audit.Record) {}, counts{Calls: 1, BudgetPoints: 3}},
		{"one that Jira found nothing for", func(r *audit.Record) { r.Status = 404 }, counts{Calls: 1, BudgetPoints: 3}},
		{"a refusal", func(r *audit.Record) { r.Decision, r.Code, r.Status = "deny", "not_granted", 403 }, counts{Refused: 1}},
		{"Jira fails", func(r *audit.Record) { r.Status = 500 }, counts{Calls: 1, Failed: 1, BudgetPoints: 3}},
		{"Jira's answer explained", func(r *audit.Record) { r.Code, r.Status = "credential_refused", 401 }, counts{Calls: 1, Failed: 1, BudgetPoints: 3}},
		{"an answer that was cut", func(r *audit.Record) { r.Code = "upstream_response_incomplete" }, counts{Calls: 1, Failed: 1, BudgetPoints: 3}},
		{"an interrupted call", func(r *audit.Record) { r.Code, r.Status = audit.CodeInterrupted, 0 }, counts{Calls: 1, Failed: 1, BudgetPoints: 3}},
		{"a rule in report mode", func(r *audit.Record) { r.Code = string(policy.CodeProjectNotAllowed) }, counts{Calls: 1, BudgetPoints: 3}},
		{"another rule in report mode", func(r *audit.Record) { r.Code = string(policy.CodeOperationSwitchedOff) }, counts{Calls: 1, BudgetPoints: 3}},
		{"one of these that failed", func(r *audit.Record) { r.Code, r.Status = string(policy.CodeProjectNotAllowed), 502 }, counts{Calls: 1, Failed: 1, BudgetPoints: 3}},
		{"Jira asks to wait", func(r *audit.Record) { r.Code, r.Status = "upstream_rate_limited", 429 }, counts{Calls: 1, RateLimited: 1, BudgetPoints: 3}},
		{"Jira asks to wait, without a code", func(r *audit.Record) { r.Status = 429 }, counts{Calls: 1, RateLimited: 1, BudgetPoints: 3}},
		{"the gateway asks to wait", func(r *audit.Record) { r.Decision, r.Code, r.Status = "deny", string(pace.ReasonAsked), 429 }, counts{Refused: 1, Paced: 1}},
		{"the app is paused", func(r *audit.Record) { r.Decision, r.Code, r.Status = "deny", string(pace.ReasonAppPaused), 429 }, counts{Refused: 1, Paced: 1}},
		{"the share is used up", func(r *audit.Record) { r.Decision, r.Code, r.Status = "deny", string(pace.ReasonAppShare), 429 }, counts{Refused: 1, Paced: 1}},
		{"the budget is used up", func(r *audit.Record) { r.Decision, r.Code, r.Status = "deny", string(pace.ReasonBudget), 429 }, counts{Refused: 1, Paced: 1}},
		{"too busy is no 429", func(r *audit.Record) { r.Decision, r.Code, r.Status = "deny", string(pace.ReasonBusy), 503 }, counts{Refused: 1}},
		{"a read that was not repeated", func(r *audit.Record) { r.Code, r.Status = string(pace.ReasonAsked), 429 }, counts{Calls: 1, Failed: 1, Paced: 1, BudgetPoints: 3}},
		{"Data Center costs no points", func(r *audit.Record) { r.Edition = "datacenter" }, counts{Calls: 1}},
		{"an operation without weight", func(r *audit.Record) { r.Operation = "odd" }, counts{Calls: 1}},
		{"an act", func(r *audit.Record) { r.Operation = "admin.connection.add" }, counts{Acts: 1}},
		{"an act that was refused", func(r *audit.Record) { r.Operation, r.Decision, r.Code = "admin.key.rotate", "deny", "x" }, counts{Acts: 1}},
	} {
		b := activity.New(activity.Options{Now: at(noon), Weight: func(operation string) int {
			return map[string]int{"myself.get": 3, "odd": -1}[operation]
		}})
		r := allowed(1, noon)
		row.change(&r)
		b.Observe(r)
		if got := lastHour(t, b); got != row.want {
			t.Errorf("%s: %+v, want %+v", row.name, got, row.want)
		}
		if r.IsAct() {
			if _, ok := b.Connection("acme"); ok {
				t.Errorf("%s is the last call of its connection", row.name)
			}
			if len(b.Refusals(noon.Add(-1), noon)) > 0 {
				t.Errorf("%s is among the refused calls", row.name)
			}
		}
	}
	b := activity.New(activity.Options{Now: at(noon)})
	b.Observe(allowed(1, noon))
	if got := lastHour(t, b); got != (counts{Calls: 1}) {
		t.Errorf("without weights: %+v", got)
	}
}
