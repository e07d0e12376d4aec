package policy

import "slices"

// What a rule refuses is looked at clause by clause: each operation that it
// switches off, and its project limit. A clause that only one of two policies
// has changes what is allowed, unless rules of the other refuse the same calls
// for the same reason. So a rule that is renamed, split in two, or repeated
// has no effect.

// denyTightens is the effect of the rule ru of the newer policy switching an
// operation off.
func (d *differ) denyTightens(ru *rule, pair *operationPair) Effect {
	if ru.mode != ModeEnforce || pair.alone && !pair.wasOn() || d.from.refuses(ru, pair.is().ID) {
		return EffectNone
	}
	return EffectLess
}

// denyLoosens is the effect of the rule ru of the older policy no longer
// switching an operation off.
func (d *differ) denyLoosens(ru *rule, pair *operationPair) Effect {
	if ru.mode != ModeEnforce || pair.alone && !pair.isOn() || d.to.refuses(ru, pair.is().ID) {
		return EffectNone
	}
	return EffectMore
}

// limitTightens is the effect of the project limit of the rule ru of the newer
// policy.
func (d *differ) limitTightens(ru *rule) Effect {
	if ru.mode != ModeEnforce || d.from.limitsAlike(ru) {
		return EffectNone
	}
	return EffectLess
}

// limitLoosens is the effect of the project limit of the rule ru of the older
// policy not being there.
func (d *differ) limitLoosens(ru *rule) Effect {
	if ru.mode != ModeEnforce || d.to.limitsAlike(ru) {
		return EffectNone
	}
	return EffectMore
}

// refuses reports whether rules of p switch the operation off for every call
// that ru is about.
func (p *Policy) refuses(ru *rule, id string) bool {
	var by []*rule
	for i := range p.rules {
		if other := &p.rules[i]; other.mode == ModeEnforce && slices.Contains(other.deny, id) {
			by = append(by, other)
		}
	}
	return ru.coveredBy(by, func(here []*rule) bool { return len(here) > 0 })
}

// limitsAlike reports whether rules of p refuse every call that the project limit of
// ru refuses. Several limits on a call leave what all of them list.
func (p *Policy) limitsAlike(ru *rule) bool {
	listed := make(map[string]bool, len(ru.projects))
	for _, project := range ru.projects {
		listed[project] = true
	}
	return ru.coveredBy(p.limiting(), func(here []*rule) bool {
		if len(here) == 0 {
			return false
		}
		return !slices.ContainsFunc(here[0].projects, func(project string) bool {
			return !listed[project] && !slices.ContainsFunc(here, func(other *rule) bool { return !slices.Contains(other.projects, project) })
		})
	})
}

// limiting lists the rules that limit projects and are enforced.
func (p *Policy) limiting() (rules []*rule) {
	for i := range p.rules {
		if ru := &p.rules[i]; ru.mode == ModeEnforce && ru.projects != nil {
			rules = append(rules, ru)
		}
	}
	return rules
}

// maxCombinations bounds the connections times clients that coveredBy looks at.
const maxCombinations = 1 << 14

// coveredBy reports whether for every call that ru is about, enough says yes to
// those of the rules that are about the call too; what is enough of them has to
// be enough with more. Where there are too many names to try, it asks about each
// rule that covers ru by itself.
func (ru *rule) coveredBy(rules []*rule, enough func(here []*rule) bool) bool {
	var meeting []*rule
	for _, other := range rules {
		if !other.meets(ru) {
			continue
		}
		if other.covers(ru) && enough([]*rule{other}) {
			return true
		}
		meeting = append(meeting, other)
	}
	if len(meeting) == 0 {
		return false
	}
	connections, clients := tried(ru.connections), tried(ru.clients)
	if len(connections)*len(clients) > maxCombinations/len(meeting) {
		return false
	}
	var here []*rule
	for _, connection := range connections {
		for _, client := range clients {
			here = here[:0]
			for _, other := range meeting {
				if other.applies(&Request{Connection: connection, Client: client}) {
					here = append(here, other)
				}
			}
			if !enough(here) {
				return false
			}
		}
	}
	return true
}

// tried lists the names to try of a rule about these: all of them, or if the rule
// is about all that there are, "", which stands for those that no rule names. The
// fewest rules are about such a one.
func tried(names []string) []string {
	if names == nil {
		return []string{""}
	}
	return names
}
