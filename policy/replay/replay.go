package replay

import (
	"cmp"
	"maps"
	"slices"
	"strings"
	"time"

	"jiragate/policy"
)

// maxGroups bounds the groups of a report. A log has few: they are told apart by
// names of connections, clients, operations, codes and rules.
const maxGroups = 10_000

// maxKnown bounds the outcomes that are remembered, because calls repeat
// themselves.
const maxKnown = 4096

// Call is one record.
type Call struct {
	Seq  uint64 // its place in the log
	ID   string
	Time time.Time
	Act  bool // of administration: no policy decides it
	policy.Recorded
}

// Change says what becomes of the calls of a [Group].
type Change string

// The changes, in the order of a report. A call that is decided as before, for the
// same reason, is in no group.
const (
	Refused     Change = "refused"      // was allowed, would be refused
	Allowed     Change = "allowed"      // was refused, and could be allowed: what looks at calls after the policy has not looked at it
	Undecidable Change = "undecidable"  // depends on what is not recorded
	OtherReason Change = "other_reason" // refused as before, with another code
)

var order = []Change{Refused, Allowed, Undecidable, OtherReason}

// Kind is what the calls of a group have in common.
type Kind struct {
	Change     Change      `json:"change"`
	Connection string      `json:"connection"`
	Client     string      `json:"client"`
	Operation  string      `json:"operation"` // "" if the call was taken for none
	WasCode    policy.Code `json:"was_code"`  // why it was refused; "" if it was allowed
	Code       policy.Code `json:"code"`      // why it would be, or might be, refused; see policy.Outcome
	Rule       string      `json:"rule"`      // the rule that refuses it, or might
	Why        string      `json:"why"`       // what is not recorded; set with Undecidable
}

// Group is so many calls of one kind.
type Group struct {
	Kind
	Calls   uint64    `json:"calls"`
	First   time.Time `json:"first"`
	Last    time.Time `json:"last"`
	Example Example   `json:"example"` // the first of them
}

// Example names one record. Its path is as untrusted as the client that sent it.
type Example struct {
	Seq  uint64 `json:"seq"`
	ID   string `json:"id"`
	Path string `json:"path"`
}

// Report sums a replay up. Records is the sum of Same, Refused, Allowed,
// Undecidable, NotByPolicy and Acts.
type Report struct {
	PolicyVersion string    `json:"policy_version"`
	PolicySHA256  string    `json:"policy_sha256"`
	Records       uint64    `json:"records"`
	First         time.Time `json:"first,omitzero"` // of the records
	Last          time.Time `json:"last,omitzero"`
	Same          uint64    `json:"same"` // OtherReason included
	OtherReason   uint64    `json:"other_reason"`
	Refused       uint64    `json:"refused"`
	Allowed       uint64    `json:"allowed"`
	Undecidable   uint64    `json:"undecidable"`
	NotByPolicy   uint64    `json:"not_by_policy"` // refused before the policy was asked, or by something else
	Acts          uint64    `json:"acts"`          // of administration
	Groups        []Group   `json:"groups"`        // by change, those with the most calls first; not nil
	Ungrouped     uint64    `json:"ungrouped"`     // calls that would be in groups beyond the first 10,000
}

// Unchanged reports whether it is certain that each call would be decided as it
// was.
func (r *Report) Unchanged() bool { return r.Refused == 0 && r.Allowed == 0 && r.Undecidable == 0 }

// Replay decides calls again. It is for one goroutine at a time.
type Replay struct {
	policy *policy.Policy
	report Report
	groups map[Kind]*Group
	known  map[shape]policy.Outcome
}

// New returns a replay under p that has seen no calls.
func New(p *policy.Policy) *Replay {
	return &Replay{
		policy: p,
		report: Report{PolicyVersion: p.Version(), PolicySHA256: p.SHA256()},
		groups: make(map[Kind]*Group),
		known:  make(map[shape]policy.Outcome),
	}
}

// Add decides a call again. It keeps nothing of c but copies.
func (r *Replay) Add(c Call) {
	s := &r.report
	s.Records++
	if s.First.IsZero() || c.Time.Before(s.First) {
		s.First = c.Time
	}
	if c.Time.After(s.Last) {
		s.Last = c.Time
	}
	if c.Act {
		s.Acts++
		return
	}
	o := r.reconsider(&c)
	k := Kind{Connection: c.Connection, Client: c.Client, Operation: c.Operation, Code: o.Code, Rule: o.Rule, Why: o.Why}
	if !c.Allowed {
		k.WasCode = c.Code
	}
	switch o.Verdict {
	case policy.VerdictSame:
		s.Same++
		if o.Code == "" || o.Code == c.Code { // "" for an allowed call, too
			return
		}
		s.OtherReason++
		k.Change = OtherReason
	case policy.VerdictRefused:
		s.Refused++
		k.Change = Refused
	case policy.VerdictAllowed:
		s.Allowed++
		k.Change = Allowed
	case policy.VerdictUndecidable:
		s.Undecidable++
		k.Change = Undecidable
	default:
		s.NotByPolicy++
		return
	}
	r.group(k, &c)
}

// group counts a call. A new group's texts are copies: those of a record are
// parts of its line, which would be kept whole.
func (r *Replay) group(k Kind, c *Call) {
	g := r.groups[k]
	switch {
	case g == nil && len(r.groups) >= maxGroups:
		r.report.Ungrouped++
		return
	case g == nil:
		k.Connection, k.Client, k.Operation = strings.Clone(k.Connection), strings.Clone(k.Client), strings.Clone(k.Operation)
		k.WasCode = policy.Code(strings.Clone(string(k.WasCode)))
		k.Code = policy.Code(strings.Clone(string(k.Code)))
		g = &Group{Kind: k, First: c.Time, Last: c.Time, Example: Example{c.Seq, strings.Clone(c.ID), strings.Clone(c.Path)}}
		r.groups[k] = g
	}
	g.Calls++
	if c.Time.Before(g.First) {
		g.First = c.Time
	}
	if c.Time.After(g.Last) {
		g.Last = c.Time
	}
}

// shape is all of a call that Reconsider looks at, where it has a query or may
// have a body: those are the ones that take their time, and their paths repeat.
type shape struct {
	edition                                     policy.Edition
	method, operation, path, client, connection string
	policySHA256                                string
	allowed                                     bool
	code                                        policy.Code
	names                                       [maxNames]string
}

// maxNames is how many query names a shape holds.
const maxNames = 6

// reconsider decides a call, or remembers what was decided about one like it.
func (r *Replay) reconsider(c *Call) policy.Outcome {
	if len(c.QueryNames) > maxNames || len(c.QueryNames) == 0 && c.Method != "POST" {
		return r.policy.Reconsider(c.Recorded)
	}
	s := shapeOf(&c.Recorded)
	if o, ok := r.known[s]; ok {
		return o
	}
	o := r.policy.Reconsider(c.Recorded)
	o.Code = policy.Code(strings.Clone(string(o.Code))) // it may be the record's own
	if len(r.known) >= maxKnown {
		clear(r.known)
	}
	r.known[s.clone()] = o
	return o
}

func shapeOf(c *policy.Recorded) shape {
	s := shape{
		edition: c.Edition, method: c.Method, operation: c.Operation, path: c.Path, client: c.Client, connection: c.Connection,
		policySHA256: c.PolicySHA256, allowed: c.Allowed, code: c.Code,
	}
	copy(s.names[:], c.QueryNames)
	return s
}

// clone returns a shape that shares no text with the record.
func (s shape) clone() shape {
	s.edition, s.code = policy.Edition(strings.Clone(string(s.edition))), policy.Code(strings.Clone(string(s.code)))
	for _, text := range []*string{&s.method, &s.operation, &s.path, &s.client, &s.connection, &s.policySHA256} {
		*text = strings.Clone(*text)
	}
	for i := range s.names {
		s.names[i] = strings.Clone(s.names[i])
	}
	return s
}

// Report sums up what was added so far.
func (r *Replay) Report() Report {
	report := r.report
	report.Groups = make([]Group, 0, len(r.groups))
	for g := range maps.Values(r.groups) {
		report.Groups = append(report.Groups, *g)
	}
	slices.SortFunc(report.Groups, func(a, b Group) int {
		return cmp.Or(
			cmp.Compare(slices.Index(order, a.Change), slices.Index(order, b.Change)),
			cmp.Compare(b.Calls, a.Calls),
			cmp.Compare(a.Example.Seq, b.Example.Seq), // no two groups share a record
		)
	})
	return report
}
