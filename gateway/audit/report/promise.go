package report

import (
	"slices"
	"strings"

	"jiragate/gateway/audit"
	"jiragate/policy"
)

// promise is the tables of the policies that were in force.
type promise struct {
	policies map[string]*table // by hash
	reported map[string]bool   // the codes that a rule in mode report leaves in a record
}

type table struct {
	missing    bool
	operations map[operationKey]*policy.Operation
	allowed    uint64
}

type operationKey struct{ id, edition string }

func newPromise(policies []PolicyInForce) *promise {
	p := &promise{policies: map[string]*table{}, reported: map[string]bool{}}
	for _, in := range policies {
		t := &table{missing: in.Missing, operations: map[operationKey]*policy.Operation{}}
		for i := range in.Operations {
			o := &in.Operations[i]
			t.operations[operationKey{o.ID, string(o.Edition)}] = o
		}
		p.policies[in.SHA256] = t
	}
	for _, c := range policy.Codes() {
		p.reported[string(c.Code)] = true
	}
	return p
}

// broken says in which way an allowed call is not what was promised, as the code of
// a finding; empty if it is.
func (p *promise) broken(r *audit.Record) string {
	t := p.policies[r.PolicySHA256]
	switch {
	case t == nil:
		return FindingNoPolicy
	case t.missing:
		return FindingPolicyMissing
	}
	o := t.operations[operationKey{r.Operation, r.Edition}]
	switch {
	case o == nil:
		return FindingNotDocumented
	case !o.Enabled:
		return FindingSwitchedOff
	case r.Method != o.Method || !fits(o.Path, r.Path) || !namesFit(o, r.QueryNames):
		return FindingElsewhere
	}
	return ""
}

// fits tells whether a path is one of the template. What stands in the place of an
// identifier may be anything that is no further segment: identifiers may be kept in
// the log under pseudonyms.
func fits(template, path string) bool {
	for {
		t, restT, moreT := strings.Cut(template, "/")
		p, restP, moreP := strings.Cut(path, "/")
		variable := strings.HasPrefix(t, "{") && strings.HasSuffix(t, "}")
		if moreT != moreP || variable && (p == "" || strings.ContainsAny(p, "?#")) || !variable && t != p {
			return false
		}
		if !moreT {
			return true
		}
		template, path = restT, restP
	}
}

func namesFit(o *policy.Operation, names []string) bool {
	return !slices.ContainsFunc(names, func(name string) bool {
		return !slices.ContainsFunc(o.Query, func(q policy.QueryParameter) bool { return q.Name == name })
	})
}
