package register

import (
	"net/netip"
	"time"
)

// State says where in its life a published address is. Its text is stable:
// documents, listings and metrics share the word.
type State string

// The states of an address.
const (
	StateAnnounced State = "announced" // calls will come from it, none does yet
	StateInUse     State = "in_use"    // calls may come from it
	StateRetired   State = "retired"   // calls no longer come from it
)

// Entry is one egress address as customers are told of it.
type Entry struct {
	Address netip.Addr // what Jira sees
	From    time.Time  // calls may come from it from then on; UTC, whole seconds
	Until   time.Time  // and until then; the zero time where no end is known
}

// State returns the state of e at now.
func (e Entry) State(now time.Time) State {
	switch {
	case now.Before(e.From):
		return StateAnnounced
	case !e.Until.IsZero() && !now.Before(e.Until):
		return StateRetired
	}
	return StateInUse
}

// Action is what a change does. Its text is stable.
type Action string

// The actions.
const (
	ActionUse    Action = "use"    // calls come from the address from Effective on
	ActionRetire Action = "retire" // calls come from the address until Effective
)

// Change is one line of the history: on Announced it was said that Action
// happens to Address at Effective. Changes are only ever appended; a later one
// about the same address takes the place of what an earlier one said of the
// future.
type Change struct {
	Announced time.Time  `json:"announced"` // UTC, whole seconds
	Address   netip.Addr `json:"address"`
	Action    Action     `json:"action"`
	Effective time.Time  `json:"effective"` // UTC, whole seconds
}
