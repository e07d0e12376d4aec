package pace

import (
	"fmt"
	"time"
)

// Reason is why a call was refused: a stable code.
type Reason string

const (
	// ReasonBusy: as many calls of the connection as may be are at Jira, and the
	// queue was full or no slot came free in time.
	ReasonBusy Reason = "connection_busy"
	// ReasonBudget: the connection's own requests a second are used up.
	ReasonBudget Reason = "connection_budget_exhausted"
	// ReasonAsked: Jira has asked this connection to wait, in whole or with this
	// endpoint or resource.
	ReasonAsked Reason = "jira_asked_to_wait"
	// ReasonAppPaused: Atlassian has asked the app to wait, with all its customers,
	// or told of fewer points that are left than this call needs.
	ReasonAppPaused Reason = "app_paused"
	// ReasonAppShare: the connection's share of the app's points is used up, and
	// there is nothing free.
	ReasonAppShare Reason = "app_share_exhausted"
	// ReasonTooMany: no further connection can be kept track of.
	ReasonTooMany Reason = "too_many_connections"
)

// reasons are all of them.
var reasons = [...]Reason{ReasonBusy, ReasonBudget, ReasonAsked, ReasonAppPaused, ReasonAppShare, ReasonTooMany}

// Refusal is the error of a call that must not go out now. It has used up no
// budget.
type Refusal struct {
	Reason Reason
	// RetryAfter is when to try again: exact for ReasonBudget and pauses (of those
	// in force, the longest), an estimate otherwise; for ReasonAppShare at most a
	// minute, unless nothing can come before the hour's end. Always more than 0.
	// Whoever passes it on in seconds must round up.
	RetryAfter time.Duration
}

func (r *Refusal) Error() string {
	return fmt.Sprintf("call not let through to Jira (%s): try again in %s", r.Reason, r.RetryAfter)
}
