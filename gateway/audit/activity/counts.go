package activity

import "jiragate/gateway/audit"

// Counts are numbers of records. Acts of administration are in Acts alone.
type Counts struct {
	Calls       uint64 `json:"calls"`        // allowed
	Refused     uint64 `json:"refused"`      // denied
	Failed      uint64 `json:"failed"`       // of calls: something went wrong on the way, or Jira answered with 5xx
	RateLimited uint64 `json:"rate_limited"` // of calls: Jira answered with 429; not in failed
	Paced       uint64 `json:"paced"`        // the gateway itself answered with 429; nearly all are in refused, a read that was to be repeated is in failed
	// BudgetPoints are Atlassian's points for all allowed Cloud calls, as far as it is
	// known what an operation costs.
	BudgetPoints uint64 `json:"budget_points"`
	Acts         uint64 `json:"acts"` // acts of administration, allowed or not
}

func (c *Counts) add(o *Counts) {
	c.Calls += o.Calls
	c.Refused += o.Refused
	c.Failed += o.Failed
	c.RateLimited += o.RateLimited
	c.Paced += o.Paced
	c.BudgetPoints += o.BudgetPoints
	c.Acts += o.Acts
}

// countsOf are those of one record.
func countsOf(r *audit.Record, weight func(operation string) int) Counts {
	if r.IsAct() {
		return Counts{Acts: 1}
	}
	paced := r.Status == 429 && isPace(r.Code)
	c := Counts{Paced: one(paced)}
	if r.Decision != audit.DecisionAllow {
		c.Refused = 1
		return c
	}
	c.Calls = 1
	limited := r.Status == 429 && !paced
	c.RateLimited = one(limited)
	c.Failed = one(!limited && (r.Status >= 500 || r.Code != "" && !isReported(r.Code)))
	if weight != nil && r.Edition == "cloud" {
		c.BudgetPoints = uint64(max(weight(r.Operation), 0))
	}
	return c
}

func one(b bool) uint64 {
	if b {
		return 1
	}
	return 0
}

// isPace tells the codes of what the gateway answers with 429, before Jira does
// (gateway/pace).
func isPace(code string) bool {
	switch code {
	case "jira_asked_to_wait", "app_paused", "app_share_exhausted", "connection_budget_exhausted":
		return true
	}
	return false
}

// isReported tells the codes that an allowed call has because a rule in report mode
// would have refused it (package policy); nothing went wrong with it.
func isReported(code string) bool {
	return code == "operation_switched_off" || code == "project_not_allowed"
}
