package echo

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"
)

// ErrDiffers is what [Report.Err] and [Monitor.Ready] match.
var ErrDiffers = errors.New("calls leave from another address than the published one")

// Verdict is what is known of one egress address. Its text is stable: listings,
// logs and metrics share the word.
type Verdict string

// The verdicts.
const (
	VerdictVerified Verdict = "verified" // at least one service answered, and all that did saw the published address
	VerdictDiffers  Verdict = "differs"  // at least one service saw another address
	VerdictUnknown  Verdict = "unknown"  // no service answered
)

// Outcome is what came of asking one service. Its text is stable.
type Outcome string

// The outcomes.
const (
	OutcomeOK       Outcome = "ok"       // it saw the published address
	OutcomeMismatch Outcome = "mismatch" // it saw another one
	OutcomeFailed   Outcome = "failed"   // it gave no answer that could be read
)

// Report is the result of one round.
type Report struct {
	Started   time.Time
	Finished  time.Time
	Addresses []AddressReport // in the order of Options.Addresses
}

// AddressReport is about one egress address.
type AddressReport struct {
	Public  netip.Addr // as published
	Verdict Verdict
	Answers []Answer // in the order of Options.Services
}

// Answer is what came of asking one service through one egress address.
type Answer struct {
	Service  string // its URL without the query, where a key of the service may be
	Outcome  Outcome
	Seen     netip.Addr    // where the service saw the request come from; the zero Addr if it failed
	Err      error         // of [Ask]; nil unless it failed
	Duration time.Duration // of the question, whatever came of it
}

// judge makes a verdict of the answers.
func judge(answers []Answer) Verdict {
	verdict := VerdictUnknown
	for _, a := range answers {
		switch a.Outcome {
		case OutcomeMismatch:
			return VerdictDiffers
		case OutcomeOK:
			verdict = VerdictVerified
		}
	}
	return verdict
}

// Err returns an error, matching [ErrDiffers], if any address differs. It names
// the published address and what was seen instead, of the first addresses if
// there are many. An address of which nothing is known is no error.
func (r *Report) Err() error {
	var named []string
	more := 0
	for _, a := range r.Addresses {
		switch {
		case a.Verdict != VerdictDiffers:
		case len(named) == maxNamed:
			more++
		default:
			named = append(named, a.difference())
		}
	}
	if len(named) == 0 {
		return nil
	}
	if more > 0 {
		named = append(named, fmt.Sprintf("and %d more", more))
	}
	return fmt.Errorf("%w: %s; correct the published address or the address translation (NAT) behind it, or remove a service that tells untruths",
		ErrDiffers, strings.Join(named, "; "))
}

// difference says who saw what instead of the published address.
func (a *AddressReport) difference() string {
	var seen []string
	for _, answer := range a.Answers {
		if answer.Outcome == OutcomeMismatch {
			seen = append(seen, fmt.Sprintf("%s saw %s", answer.Service, answer.Seen))
		}
	}
	return fmt.Sprintf("published %s, but %s", a.Public, strings.Join(seen, " and "))
}

// others returns the addresses seen instead of the published one, each once, in
// order.
func (a *AddressReport) others() []netip.Addr {
	var others []netip.Addr
	for _, answer := range a.Answers {
		if answer.Outcome == OutcomeMismatch {
			others = append(others, answer.Seen)
		}
	}
	slices.SortFunc(others, netip.Addr.Compare)
	return slices.Compact(others)
}

// problems joins what went wrong with the services that failed.
func (a *AddressReport) problems() string {
	var texts []string
	for _, answer := range a.Answers {
		if answer.Err != nil {
			texts = append(texts, answer.Err.Error())
		}
	}
	return strings.Join(texts, "; ")
}

// of is what a report says of an address; nil if it doesn't, or is nil itself.
func (r *Report) of(public netip.Addr) *AddressReport {
	if r == nil {
		return nil
	}
	for i := range r.Addresses {
		if r.Addresses[i].Public == public {
			return &r.Addresses[i]
		}
	}
	return nil
}
