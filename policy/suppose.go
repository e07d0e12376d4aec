package policy

import (
	"fmt"
	"slices"
	"strings"
)

// supposition fills the gaps of a record, so that the call can be decided by the
// code that decides calls.
type supposition struct {
	p        *Policy
	found    *route
	op       *operation
	recorded *Recorded
	reached  stage
}

// doubt is one thing that a record lacks. Whatever it is, it is supposed to be
// in the call's favour, unless the doubt is turned against it.
type doubt struct {
	about     subject
	condition *operation // with aboutCondition: the other operation that might be meant
}

type subject int

const (
	aboutNothing    subject = iota
	aboutIdentifier         // an identifier in the path
	aboutCondition          // whether the query meets the condition of another operation
	aboutValue              // what the query names
	aboutBody
)

// refusal is why a call would be refused.
type refusal struct {
	code Code
	rule string
}

// outcome weighs the doubts against each other.
func (s *supposition) outcome() Outcome {
	first, possible := s.decide(doubt{})
	if !possible {
		return s.p.reconsiderPath(s.recorded)
	}
	var (
		why     []string
		refused = first
	)
	for _, x := range s.doubts() {
		other, possible := s.decide(x)
		if !possible || other.code == "" {
			continue
		}
		if first.code == "" {
			why = append(why, s.why(x))
			if x.about == aboutBody && s.reached == stageRules {
				other.code = "" // it could be any fault that a body can have
			}
			if len(why) == 1 {
				refused = other
			}
			continue
		}
		refused = refused.or(other)
	}
	switch {
	case len(why) > 0:
		return Outcome{VerdictUndecidable, refused.code, refused.rule, strings.Join(why, "; ")}
	case s.recorded.Allowed && first.code != "":
		return Outcome{Verdict: VerdictRefused, Code: refused.code, Rule: refused.rule}
	case !s.recorded.Allowed && first.code == "":
		return Outcome{Verdict: VerdictAllowed}
	}
	return Outcome{Verdict: VerdictSame, Code: refused.code, Rule: refused.rule}
}

// or is what can be said of a refusal that is one or the other.
func (f refusal) or(other refusal) refusal {
	switch {
	case f.rule != other.rule:
		return refusal{}
	case f.code != other.code:
		return refusal{rule: f.rule}
	}
	return f
}

// doubts lists what the record lacks and a rule could look at.
func (s *supposition) doubts() []doubt {
	var list []doubt
	if !s.recorded.wholePath() {
		list = append(list, doubt{about: aboutIdentifier})
	}
	for _, name := range s.recorded.QueryNames {
		for _, o := range s.found.operations {
			if o != s.op && o.when.parameter == name {
				list = append(list, doubt{aboutCondition, o})
			}
		}
	}
	if len(s.naming()) > 0 {
		list = append(list, doubt{about: aboutValue})
	}
	if s.op.Body == BodyIssue {
		list = append(list, doubt{about: aboutBody})
	}
	return list
}

// naming lists the recorded parameters whose values name projects.
func (s *supposition) naming() []string {
	return slices.DeleteFunc(s.op.projectParameters(), func(name string) bool {
		return !slices.Contains(s.recorded.QueryNames, name)
	})
}

// decide decides the call with its gaps filled. It is not possible where the call
// would have been taken for something else than the record says.
func (s *supposition) decide(against doubt) (_ refusal, possible bool) {
	r := Request{
		Edition: s.recorded.Edition, Method: s.recorded.Method,
		Client: s.recorded.Client, Connection: s.recorded.Connection,
	}
	r.Path = s.path(&r, against)
	query, ok := s.query(&r, against)
	if !ok {
		return refusal{}, false
	}
	r.RawQuery = query
	d := s.p.Decide(r)
	if d.op != s.op || d.Code != "" && d.Code != CodeOperationSwitchedOff && d.Code != CodeProjectNotAllowed {
		return refusal{}, false
	}
	switch {
	case d.Code != "":
	case s.reached == stageBody:
		// The fault is the body's own, or its size, which the gateway looks at
		// whatever the operation is.
		return refusal{code: s.recorded.Code}, true
	default: // which changes nothing where the operation has no body
		_, d = s.p.DecideBody(d, r, "application/json", s.body(&r, against))
	}
	return refusal{d.Code, d.Rule}, true
}

// why says what the record lacks.
func (s *supposition) why(x doubt) string {
	switch x.about {
	case aboutIdentifier:
		return "a project limit looks at the identifiers of the path, which were kept out of the record"
	case aboutCondition:
		c := x.condition.when
		return fmt.Sprintf("%s is switched off, and whether the query had %s=%s is not recorded", x.condition.ID, c.parameter, c.contains)
	case aboutValue:
		return "a project limit looks at the value of " + strings.Join(s.naming(), " and ") + ", which is not recorded"
	}
	if s.reached == stageRules {
		return "the call was refused before its body was looked at, and bodies are not recorded"
	}
	return "a project limit looks at the body, which is not recorded"
}
