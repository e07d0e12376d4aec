package reporting

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"strings"
	"time"

	"jiragate/gateway/audit"
	"jiragate/gateway/audit/report"
	"jiragate/policy"
	"jiragate/policy/history"
)

// survey is what the records tell of the connection.
type survey struct {
	edition, region string   // of the last record that has them
	editions        []string // all of them
	policies        []policyUse
}

// policyUse is when a policy decided.
type policyUse struct {
	sha256      string
	from, until time.Time
}

// maxPolicies bounds the policies of one month; further ones are not known to the
// report, which says so of each of their calls.
const maxPolicies = 1000

func surveyRecords(records iter.Seq2[audit.Entry, error]) (survey, error) {
	var s survey
	at := map[string]int{}
	for e, err := range records {
		if _, ok := errors.AsType[*audit.DefectError](err); ok {
			continue // counted later
		}
		if err != nil {
			return s, err
		}
		if e.Edition != "" {
			s.edition, s.region = e.Edition, e.Region
			if !slices.Contains(s.editions, e.Edition) {
				s.editions = append(s.editions, e.Edition)
			}
		}
		// Acts of administration carry the policy in force, and are not decided by it.
		if e.PolicySHA256 == "" || e.IsAct() {
			continue
		}
		i, ok := at[e.PolicySHA256]
		if !ok && len(s.policies) < maxPolicies {
			i = len(s.policies)
			at[e.PolicySHA256] = i
			s.policies = append(s.policies, policyUse{e.PolicySHA256, e.Time, e.Time})
		} else if !ok {
			continue
		}
		p := &s.policies[i]
		if e.Time.Before(p.from) {
			p.from = e.Time
		}
		if e.Time.After(p.until) {
			p.until = e.Time
		}
	}
	return s, nil
}

// policyLoad is a policy that came into force.
type policyLoad struct {
	at     time.Time
	sha256 string
}

// policyLoads reads which policies came into force in the month, in order.
func (s *Source) policyLoads(ctx context.Context, in report.Input) ([]policyLoad, error) {
	var loads []policyLoad
	for e, err := range s.query(ctx, in, audit.Filter{Operation: OperationLoadPolicy, Decision: audit.DecisionAllow}) {
		if _, ok := errors.AsType[*audit.DefectError](err); ok {
			continue // counted elsewhere
		}
		if err != nil {
			return nil, err
		}
		if e.IsAct() && e.PolicySHA256 != "" && len(loads) < maxPolicies {
			loads = append(loads, policyLoad{e.Time, e.PolicySHA256})
		}
	}
	return loads, nil
}

// policyLookup finds the policy with a hash, as [history.History.Get] does.
type policyLookup func(hash string) (*policy.Policy, error)

// policiesInForce resolves the policies that decided calls of the connection or came
// into force, each once, and says what changed from one to the next.
func policiesInForce(connection, edition string, s survey, loads []policyLoad, lookup policyLookup) ([]report.PolicyInForce, error) {
	if len(s.editions) == 0 {
		s.editions = []string{edition}
	}
	var editions []policy.Edition
	for _, name := range s.editions {
		e, err := policy.ParseEdition(name)
		if err != nil {
			return nil, fmt.Errorf("the records of the connection %s: %w", connection, err)
		}
		editions = append(editions, e)
	}
	uses := slices.Clone(s.policies)
	for _, l := range loads {
		if !slices.ContainsFunc(uses, func(u policyUse) bool { return u.sha256 == l.sha256 }) {
			uses = append(uses, policyUse{l.sha256, l.at, l.at})
		}
	}
	slices.SortStableFunc(uses, func(a, b policyUse) int { return a.from.Compare(b.from) })
	found := map[string]*policy.Policy{}
	var list []report.PolicyInForce
	for _, use := range uses {
		in := report.PolicyInForce{SHA256: use.sha256, From: use.from, Until: use.until}
		p, err := lookup(use.sha256)
		switch {
		case errors.Is(err, history.ErrAltered):
			in.Missing, in.Altered = true, true
		case errors.Is(err, history.ErrNotKept), errors.Is(err, policy.ErrArchive): // or made for another program
			in.Missing = true
		case err != nil:
			return nil, fmt.Errorf("the policy %s: %w", use.sha256, err)
		default:
			found[use.sha256] = p
			in.Version = p.Version()
			for _, e := range editions {
				in.Operations = append(in.Operations, p.OperationsFor(connection, e)...)
			}
		}
		list = append(list, in)
	}
	addChanges(list, connection, s, loads, found)
	return list, nil
}

// addChanges says of each policy what changed whenever it came into force.
func addChanges(list []report.PolicyInForce, connection string, s survey, loads []policyLoad, found map[string]*policy.Policy) {
	before := ""
	if len(s.policies) > 0 && (len(loads) == 0 || s.policies[0].from.Before(loads[0].at)) {
		before = s.policies[0].sha256
	}
	for _, l := range loads {
		i := slices.IndexFunc(list, func(p report.PolicyInForce) bool { return p.SHA256 == l.sha256 })
		if before != "" && before != l.sha256 {
			text := fmt.Sprintf("From %s, in place of %.8s: ", l.at.UTC().Format("2 January 15:04:05 UTC"), before)
			list[i].Changes = append(list[i].Changes, text+changesFor(connection, found[before], found[l.sha256]))
		}
		before = l.sha256
	}
}

func changesFor(connection string, from, to *policy.Policy) string {
	if from == nil || to == nil {
		return "what changed is not known, since one of the two is not kept."
	}
	var texts []string
	for _, c := range policy.DiffFor(connection, from, to) {
		texts = append(texts, c.Text)
	}
	if len(texts) == 0 {
		return "nothing changed for this connection."
	}
	return strings.Join(texts, "; ") + "."
}
