package policy

import "strings"

// Recorded is a call as a call record tells of it: what was decided, and less
// than what was asked. Values of the query, and the body, are not in it.
type Recorded struct {
	Edition      Edition
	Method       string
	Operation    string   // id of the operation that the call was taken for; "" if none
	Path         string   // canonical where the path was accepted, otherwise as sent
	QueryNames   []string // of the accepted query, each once; empty where it was refused or not looked at
	Client       string
	Connection   string
	PolicySHA256 string // of the policy that decided; "" if none was asked
	Allowed      bool
	Code         Code // why the call was refused; not looked at where it was allowed
}

// Verdict says what would become of a recorded call.
type Verdict string

// The verdicts.
const (
	// VerdictSame: allowed as before, or refused as before, perhaps for another
	// reason.
	VerdictSame Verdict = "same"
	// VerdictRefused: allowed before, and refused now.
	VerdictRefused Verdict = "refused"
	// VerdictAllowed: refused before by the policy, which would let it pass now.
	// Whatever else looks at calls has not looked at this one.
	VerdictAllowed Verdict = "allowed"
	// VerdictUndecidable: it depends on what is not recorded.
	VerdictUndecidable Verdict = "undecidable"
	// VerdictNotByPolicy: no policy refused the call, so none changes that.
	VerdictNotByPolicy Verdict = "not_by_policy"
)

// Outcome is what [Policy.Reconsider] finds.
type Outcome struct {
	Verdict Verdict
	// Code and Rule are why the call is refused, and the operator's rule that
	// refuses it. Each is "" where the call is allowed, where no rule has to do
	// with it, and where it depends on what is not recorded. With
	// VerdictUndecidable they are one reason why it might be refused.
	Code Code
	Rule string
	// Why names what is not recorded; set with VerdictUndecidable. It is made of
	// words of the catalogue alone.
	Why string
}

// Reconsider decides a recorded call again. It never guesses: the verdict holds
// for every call that the record can stand for, or is [VerdictUndecidable].
//
// What the record lacks is supposed to be in the call's favour, and then against
// it, one thing after the other, and each time [Policy.Decide] and
// [Policy.DecideBody] decide. Since rules only refuse, and each for itself, what is
// decided the same way in all these cases is decided so in every case.
//
// A segment of the path that begins with "~" or "{" in the place of an
// identifier stands for one that was kept out of the record. The catalogue is
// taken to be the one that decided the call; a record that shows that it was
// another is undecidable. Reconsider may be called from many goroutines.
func (p *Policy) Reconsider(r Recorded) Outcome {
	reached := r.reached()
	same := Outcome{Verdict: VerdictSame}
	if !r.Allowed {
		same.Code = r.Code
	}
	switch {
	case r.PolicySHA256 == "" || reached == stageElsewhere:
		return Outcome{Verdict: VerdictNotByPolicy}
	case r.PolicySHA256 == p.sha256 || reached == stageQuery:
		// No rule is asked about a query that isn't documented.
		return same
	case reached == stagePath && !r.wholePath():
		return same
	}
	found, op := p.recordedOperation(&r)
	if op == nil {
		return p.reconsiderPath(&r)
	}
	s := supposition{p: p, found: found, op: op, recorded: &r, reached: reached}
	return s.outcome()
}

// stage is how far the policy came with a call.
type stage int

const (
	stageElsewhere stage = iota // something else refused it
	stagePath                   // the path was refused: nothing is known of query and body
	stageQuery                  // the query was
	stageRules                  // a rule, or a switch, refused the call before its body was looked at
	stageBody                   // the body is at fault, under any rules
	stageLimit                  // the body was in order and named other projects than it may
	stageAllowed                // all is in order
)

// reached tells it from the decision and its code.
func (r *Recorded) reached() stage {
	if r.Allowed {
		return stageAllowed
	}
	switch r.Code {
	case CodePathMalformed, CodeOperationNotDocumented, CodeMethodNotDocumented, CodeParameterMalformed:
		return stagePath
	case CodeQueryMalformed, CodeQueryNotDocumented:
		return stageQuery
	case CodeOperationSwitchedOff:
		return stageRules
	case CodeProjectNotAllowed:
		return stageLimit // where the operation has a body, only the body names projects
	case CodeBodyRequired, CodeBodyTooLarge, CodeContentTypeNotAllowed, CodeBodyMalformed, CodeBodyNotAllowed:
		return stageBody
	}
	return stageElsewhere
}

// recordedOperation finds the operation that the call was taken for, and its
// route; nil if the catalogue has none of that name.
func (p *Policy) recordedOperation(r *Recorded) (*route, *operation) {
	t := p.table(r.Edition)
	if t == nil || r.Operation == "" {
		return nil, nil
	}
	for _, found := range t.routes {
		for _, o := range found.operations {
			if o.ID == r.Operation {
				return found, o
			}
		}
	}
	return nil, nil
}

const whyCatalogue = "the record does not fit this program's catalogue: another release decided the call"

// reconsiderPath decides about a path that was not documented, or was as an
// operation that is no more. Where the catalogue has it now, the query would count,
// which is not recorded.
func (p *Policy) reconsiderPath(r *Recorded) Outcome {
	if !r.wholePath() {
		return Outcome{Verdict: VerdictUndecidable, Why: whyCatalogue}
	}
	d := p.Decide(Request{Edition: r.Edition, Method: r.Method, Path: r.Path, Client: r.Client, Connection: r.Connection})
	switch {
	case d.Operation != nil || p.table(r.Edition) == nil:
		return Outcome{Verdict: VerdictUndecidable, Why: whyCatalogue}
	case r.Allowed:
		return Outcome{Verdict: VerdictRefused, Code: d.Code}
	}
	return Outcome{Verdict: VerdictSame, Code: d.Code}
}

// wholePath reports whether the path is as it was: neither cut, nor without
// identifiers.
func (r *Recorded) wholePath() bool {
	if strings.HasSuffix(r.Path, "…") {
		return false
	}
	for rest := r.Path; ; {
		i := strings.IndexByte(rest, '/')
		if i < 0 {
			return true
		}
		if rest = rest[i+1:]; missing(rest) {
			return false
		}
	}
}

// missing reports whether a segment stands for an identifier that was kept out of
// the record: by a pseudonym, or by the name of the parameter in braces.
func missing(segment string) bool {
	return strings.HasPrefix(segment, "~") || strings.HasPrefix(segment, "{")
}
