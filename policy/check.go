package policy

import (
	"fmt"
	"slices"
	"strings"
)

// Check reads an operator's rules as [New] does and says what is wrong with
// them. Where nothing is, warnings name what is allowed but may not do what it
// seems to, in the order of the file.
func Check(rules []byte) (warnings []string, err error) {
	if rules == nil {
		rules = []byte{} // nil would mean no rules; a file that is checked is one that is there
	}
	p, err := New(rules)
	if err != nil {
		return nil, err
	}
	if len(p.rules) == 0 && !slices.ContainsFunc(p.operations, func(o *operation) bool { return o.on && o.SuccessorOf != "" }) {
		warnings = append(warnings, "the file has no rules and no successors: it changes nothing")
	}
	for i := range p.rules {
		warnings = append(warnings, p.checkRule(i)...)
	}
	return warnings, nil
}

// checkRule finds what is odd about one rule.
func (p *Policy) checkRule(i int) (warnings []string) {
	ru := &p.rules[i]
	warn := func(format string, args ...any) {
		warnings = append(warnings, fmt.Sprintf("rule %q: ", ru.name)+fmt.Sprintf(format, args...))
	}
	for _, id := range ru.deny {
		if !slices.ContainsFunc(p.operations, func(o *operation) bool { return o.ID == id && o.on }) {
			warn("%s is off already, since \"successors\" does not list it", id)
		}
		for j := range p.rules[:i] {
			if other := &p.rules[j]; other.mode == ModeEnforce && other.covers(ru) && slices.Contains(other.deny, id) {
				warn("%s is switched off for these calls already, by rule %q", id, other.name)
				break
			}
		}
	}
	if ru.projects == nil {
		return warnings
	}
	if ids := p.unlimited(ru, ProjectsNone); len(ids) > 0 {
		warn("the project limit does not touch %s, which name no project; deny them too if they should be off", strings.Join(ids, ", "))
	}
	if ids := p.unlimited(ru, ProjectsAll); len(ids) > 0 {
		warn("under the project limit %s on %s is refused, since it lists every project", strings.Join(ids, ", "), DataCenter.title())
	}
	for j := range p.rules[:i] {
		other := &p.rules[j]
		if other.projects == nil || other.mode != ru.mode || !other.meets(ru) {
			continue
		}
		if !slices.ContainsFunc(ru.projects, func(s string) bool { return slices.Contains(other.projects, s) }) {
			warn("it and rule %q share calls and no project, so those calls can name none", other.name)
		}
	}
	return warnings
}

// unlimited lists the operations whose calls name projects as told, which are on
// and which the rule does not deny.
func (p *Policy) unlimited(ru *rule, source ProjectSource) (ids []string) {
	for _, o := range p.operations {
		if o.Projects == source && o.on && !slices.Contains(ru.deny, o.ID) && !slices.Contains(ids, o.ID) {
			ids = append(ids, o.ID)
		}
	}
	return ids
}

// covers reports whether every call that other is about, ru is about too.
func (ru *rule) covers(other *rule) bool {
	within := func(inner, outer []string) bool {
		return outer == nil || inner != nil && !slices.ContainsFunc(inner, func(s string) bool { return !slices.Contains(outer, s) })
	}
	return within(other.connections, ru.connections) && within(other.clients, ru.clients)
}

// meets reports whether some call is about both rules.
func (ru *rule) meets(other *rule) bool {
	overlap := func(a, b []string) bool {
		return a == nil || b == nil || slices.ContainsFunc(a, func(s string) bool { return slices.Contains(b, s) })
	}
	return overlap(ru.connections, other.connections) && overlap(ru.clients, other.clients)
}
