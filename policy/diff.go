package policy

import (
	"fmt"
	"slices"
)

// Effect says what a change does to the calls that are allowed, for at least
// one client and connection.
type Effect string

// The effects. A change may be said to have one although another rule hides it
// from every call; the reverse does not happen.
const (
	EffectNone   Effect = "none"                   // the same calls are allowed
	EffectLess   Effect = "allows less"            // none is allowed that was not
	EffectMore   Effect = "allows more"            // none is refused that was not
	EffectUnsure Effect = "may allow more or less" // both, or it cannot be told
)

// and joins the effects of two changes.
func (e Effect) and(other Effect) Effect {
	switch {
	case e == EffectNone || e == other:
		return other
	case other == EffectNone:
		return e
	}
	return EffectUnsure
}

// Change is one thing that differs between two policies.
type Change struct {
	Kind    string `json:"kind"`    // one of the Kind constants
	Subject string `json:"subject"` // "issue.delete (cloud)", or the name of a rule
	Effect  Effect `json:"effect"`
	// Text is a sentence without a full stop. It may hold text of the catalogue or
	// of the rules as it stands there: escape it where it is shown.
	Text string `json:"text"`
}

// The kinds of changes.
const (
	KindVersion   = "version"   // of the catalogue; the subject is "catalogue"
	KindOperation = "operation" // what an operation is, or whether it is on
	KindRule      = "rule"      // what an operator's rule is about
	KindOrder     = "order"     // of the rules; the subject is "rules"
)

// Diff says what is different in to, compared with from: in what it means, not
// in how it is written. Policies that mean the same give no changes, though
// comments or the order of names give them different hashes. The changes come
// in the order of the catalogue, then in the order of the rules.
//
// Each policy is taken as today's program compiles it; what another program
// would make of the same texts, and what its code decided otherwise, does not
// show.
func Diff(from, to *Policy) []Change {
	d := &differ{from: from, to: to}
	if from.version != to.version {
		d.add(KindVersion, "catalogue", EffectNone, "the catalogue has version %q; before, it had %q", to.version, from.version)
	}
	d.pairOperations()
	for _, pair := range d.pairs {
		d.operation(pair)
	}
	d.operationOrder()
	d.rules()
	return d.changes
}

// TotalEffect joins the effects of changes: what all of them together do to the
// calls that are allowed.
func TotalEffect(changes []Change) Effect {
	total := EffectNone
	for _, c := range changes {
		total = total.and(c.Effect)
	}
	return total
}

// differ collects the changes between two policies.
type differ struct {
	from, to *Policy
	pairs    []*operationPair
	changes  []Change
}

func (d *differ) add(kind, subject string, effect Effect, format string, args ...any) {
	d.changes = append(d.changes, Change{Kind: kind, Subject: subject, Effect: effect, Text: fmt.Sprintf(format, args...)})
}

// operationPair is an operation as both policies have it; nil where one has
// none of that id in that edition.
type operationPair struct {
	from, to *operation
	// alone: in neither policy does a call that could be taken for it fit another
	// operation. Only then do its changes concern no calls but its own.
	alone bool
}

// pairOperations puts together what is the same operation: in the order of to,
// followed by what only from has.
func (d *differ) pairOperations() {
	type key struct {
		id      string
		edition Edition
	}
	before := make(map[key]*operation)
	for _, o := range d.from.operations {
		before[key{o.ID, o.Edition}] = o
	}
	for _, o := range d.to.operations {
		k := key{o.ID, o.Edition}
		d.pairs = append(d.pairs, &operationPair{from: before[k], to: o})
		delete(before, k)
	}
	for _, o := range d.from.operations {
		if before[key{o.ID, o.Edition}] != nil {
			d.pairs = append(d.pairs, &operationPair{from: o})
		}
	}
	for _, pair := range d.pairs {
		pair.alone = !slices.ContainsFunc(d.pairs, func(other *operationPair) bool { return other != pair && pair.overlaps(other) })
	}
}

// is returns the operation, as it is if it still is.
func (pair *operationPair) is() *operation {
	if pair.to != nil {
		return pair.to
	}
	return pair.from
}

// subject is the operation in the subject of a change.
func (pair *operationPair) subject() string {
	return fmt.Sprintf("%s (%s)", pair.is().ID, pair.is().Edition)
}

// wasOn and isOn report whether any call of the operation was or is allowed.
func (pair *operationPair) wasOn() bool { return pair.from != nil && pair.from.Enabled }
func (pair *operationPair) isOn() bool  { return pair.to != nil && pair.to.Enabled }

// overlaps reports whether some call may be taken for both operations, as one
// policy or the other has them.
func (pair *operationPair) overlaps(other *operationPair) bool {
	for _, a := range []*operation{pair.from, pair.to} {
		for _, b := range []*operation{other.from, other.to} {
			if a != nil && b != nil && a.overlaps(b) {
				return true
			}
		}
	}
	return false
}

// overlaps takes it that parameters of any two grammars have values in common.
func (o *operation) overlaps(other *operation) bool {
	return o.Edition == other.Edition && o.Method == other.Method &&
		slices.EqualFunc(o.segments, other.segments, func(a, b segment) bool { return a.literal == b.literal })
}

// DiffFor is [Diff] as one connection sees it: rules about other connections are
// left out, and none but this one is named.
func DiffFor(connection string, from, to *Policy) []Change {
	return Diff(from.only(connection), to.only(connection))
}

func (p *Policy) only(connection string) *Policy {
	q := *p
	q.rules = nil
	for _, ru := range p.rules {
		if ru.connections != nil && !slices.Contains(ru.connections, connection) {
			continue
		}
		if ru.connections != nil {
			ru.connections = []string{connection}
		}
		q.rules = append(q.rules, ru)
	}
	return &q
}
