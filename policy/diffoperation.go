package policy

import (
	"fmt"
	"slices"
	"strings"
)

// operation says how one operation changed, apart from what rules do to it.
func (d *differ) operation(pair *operationPair) {
	from, to := pair.from, pair.to
	switch {
	case from == nil:
		status := ""
		if !to.on {
			status = ", and off unless it is switched on"
		}
		d.addOperation(pair, pair.switching(), "is new: %s %s%s", to.Method, to.call(), status)
		return
	case to == nil:
		d.addOperation(pair, pair.switching(), "is no longer documented: before, it was %s %s", from.Method, from.call())
		return
	}
	if from.SuccessorOf != to.SuccessorOf {
		d.addOperation(pair, EffectNone, "succeeds %s; before, it succeeded %s", succeeded(to), succeeded(from))
	}
	if from.on != to.on {
		on := "switched on"
		if !to.on {
			on = "no longer switched on"
		}
		d.addOperation(pair, pair.switching(), "is %s", on)
	}
	if from.Purpose != to.Purpose {
		d.addOperation(pair, EffectNone, "has the purpose %q; before, it was %q", to.Purpose, from.Purpose)
	}
	for _, c := range []struct{ what, from, to string }{
		{"the method", from.Method, to.Method},
		{"the path", from.Path, to.Path},
		{"the condition", orNone(from.When), orNone(to.When)},
	} {
		if c.from != c.to {
			d.addOperation(pair, pair.effect(EffectUnsure), "has %s %s; before, it was %s", c.what, c.to, c.from)
		}
	}
	if from.Body != to.Body {
		d.addOperation(pair, pair.effect(EffectUnsure), "has another rule for the body, which is %s; before, it was %s", to.Body, from.Body)
	}
	if from.Scope != to.Scope {
		// A connection whose grant lacks the scope cannot use the operation.
		d.addOperation(pair, pair.effect(EffectUnsure), "needs the scope %s; before, it was %s", orNone(to.Scope), orNone(from.Scope))
	}
	if from.Projects != to.Projects {
		d.addOperation(pair, pair.effect(d.ofLimits()), "names its project elsewhere for project limits (%s); before, it was %s", to.Projects, from.Projects)
	}
	d.query(pair)
}

// query says how the query parameters of an operation changed.
func (d *differ) query(pair *operationPair) {
	for i := range pair.to.Query {
		q := &pair.to.Query[i]
		was := pair.from.parameter(q.Name)
		if was == nil {
			d.addOperation(pair, pair.effect(EffectMore), "takes the query parameter %q, %s", q.Name, q.describe())
			continue
		}
		if narrower, wider := q.within(was), was.within(q); !narrower || !wider {
			effect := EffectUnsure
			if narrower {
				effect = EffectLess
			} else if wider {
				effect = EffectMore
			}
			d.addOperation(pair, pair.effect(effect), "takes in the query parameter %q %s; before, it was %s", q.Name, q.describe(), was.describe())
		}
		if q.names != was.names {
			d.addOperation(pair, pair.effect(d.ofLimits()), "has the query parameter %q name %s for project limits; before, it was %s", q.Name, orNone(string(q.names)), orNone(string(was.names)))
		}
	}
	for i := range pair.from.Query {
		if q := &pair.from.Query[i]; pair.to.parameter(q.Name) == nil {
			d.addOperation(pair, pair.effect(EffectLess), "no longer takes the query parameter %q", q.Name)
		}
	}
}

func (d *differ) addOperation(pair *operationPair, effect Effect, format string, args ...any) {
	d.add(KindOperation, pair.subject(), effect, "operation %s %s", pair.subject(), fmt.Sprintf(format, args...))
}

// switching is the effect of an operation that came, went, or was switched on or
// off, and so is on in one of the policies at most.
func (pair *operationPair) switching() Effect {
	switch {
	case !pair.alone:
		return EffectUnsure // its calls are those of another operation where it is not
	case pair.isOn():
		return EffectMore
	case pair.wasOn():
		return EffectLess
	}
	return EffectNone
}

// effect is that of a change which would have the given one if the operation was
// and is on, and if its calls could be no other operation's.
func (pair *operationPair) effect(e Effect) Effect {
	switch {
	case e != EffectNone && !pair.alone:
		return EffectUnsure
	case pair.wasOn() && pair.isOn():
		return e
	}
	return EffectNone // what switched it on or off has the effect
}

// ofLimits is the effect of a change of what project limits look at.
func (d *differ) ofLimits() Effect {
	if len(d.from.limiting()) == 0 && len(d.to.limiting()) == 0 {
		return EffectNone
	}
	return EffectUnsure
}

// operationOrder says which operations changed places where that matters: of
// those that a call fits, the place decides which one is tried first.
func (d *differ) operationOrder() {
	place := make(map[*operation]int)
	for i, o := range d.from.operations {
		place[o] = i
	}
	var kept []*operationPair
	for _, pair := range d.pairs {
		if pair.from != nil && pair.to != nil {
			kept = append(kept, pair)
		}
	}
	for i, first := range kept {
		for _, second := range kept[i+1:] {
			if first.overlaps(second) && place[first.from] > place[second.from] {
				d.addOperation(second, EffectUnsure, "comes after %s in the catalogue; before, it came first, which decides between the two where a call fits both", first.subject())
			}
		}
	}
}

// within reports whether every value that q takes, other takes too, as far as
// their types tell, and as often.
func (q *QueryParameter) within(other *QueryParameter) bool {
	if q.Repeatable && !other.Repeatable {
		return false
	}
	known := func() bool {
		return !slices.ContainsFunc(q.Values, func(v string) bool { return !other.knows(v) })
	}
	switch other.Type {
	case TypeText:
		return true
	case TypeInteger, TypeBoolean:
		return q.Type == other.Type
	case TypeChoice:
		return q.Type == TypeChoice && known()
	case TypeList:
		return (q.Type == TypeChoice || q.Type == TypeList) && known()
	}
	return false
}

// describe says which values the parameter takes, and how often.
func (q *QueryParameter) describe() string {
	values := q.grammar()
	if q.Type == TypeText {
		values = "any text"
	}
	if q.Repeatable {
		return values + ", any number of times"
	}
	return values + ", once"
}

func succeeded(o *operation) string {
	if o.SuccessorOf == "" {
		return "no other operation"
	}
	return o.SuccessorOf
}

func orNone(s string) string {
	if strings.TrimSpace(s) == "" {
		return "none"
	}
	return s
}
