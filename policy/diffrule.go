package policy

import (
	"fmt"
	"slices"
	"strings"
)

// rules says how the operator's rules changed. Rules are the same rule if they
// have the same name.
func (d *differ) rules() {
	for i := range d.to.rules {
		if ru := &d.to.rules[i]; d.from.rule(ru.name) == nil {
			d.newRule(ru)
		} else {
			d.changedRule(d.from.rule(ru.name), ru)
		}
	}
	for i := range d.from.rules {
		if ru := &d.from.rules[i]; d.to.rule(ru.name) == nil {
			d.goneRule(ru)
		}
	}
	kept := func(p, other *Policy) (names []string) {
		for i := range p.rules {
			if name := p.rules[i].name; other.rule(name) != nil {
				names = append(names, name)
			}
		}
		return names
	}
	if !slices.Equal(kept(d.from, d.to), kept(d.to, d.from)) {
		d.add(KindOrder, "rules", EffectNone, "the rules stand in another order: where several refuse a call, another one may be named as the reason")
	}
}

func (d *differ) newRule(ru *rule) {
	effect := EffectNone
	if ru.projects != nil {
		effect = d.limitTightens(ru)
	}
	for _, pair := range d.denied(ru, nil) {
		effect = effect.and(d.denyTightens(ru, pair))
	}
	d.add(KindRule, ru.name, effect, "rule %q is new: %s it %s", ru.name, ru.about(), ru.does("switches off", "limits"))
	d.denials(nil, ru)
}

func (d *differ) goneRule(ru *rule) {
	effect := EffectNone
	if ru.projects != nil {
		effect = d.limitLoosens(ru)
	}
	for _, pair := range d.denied(ru, nil) {
		effect = effect.and(d.denyLoosens(ru, pair))
	}
	d.add(KindRule, ru.name, effect, "rule %q is gone: %s it %s", ru.name, ru.about(), ru.does("switched off", "limited"))
	d.denials(ru, nil)
}

func (d *differ) changedRule(from, to *rule) {
	// What holds of both, though for other calls or in another mode.
	common := EffectNone
	for _, pair := range d.denied(from, to) {
		common = common.and(d.denyTightens(to, pair)).and(d.denyLoosens(from, pair))
	}
	limit := EffectNone
	if to.projects != nil {
		limit = limit.and(d.limitTightens(to))
	}
	if from.projects != nil {
		limit = limit.and(d.limitLoosens(from))
	}
	sameLimit := sameNames(from.projects, to.projects)
	if sameLimit {
		common = common.and(limit)
	}
	switch {
	case from.mode == to.mode:
	case to.mode == ModeReport:
		d.add(KindRule, to.name, common, "rule %q only reports now, and refuses nothing; before, it was enforced", to.name)
	default:
		d.add(KindRule, to.name, common, "rule %q is enforced now; before, it only reported", to.name)
	}
	for _, c := range []struct {
		what     string
		from, to []string
	}{{"connection", from.connections, to.connections}, {"client", from.clients, to.clients}} {
		if sameNames(c.from, c.to) {
			continue
		}
		effect := common
		if from.mode != to.mode {
			effect = EffectNone // which the mode has
		}
		d.add(KindRule, to.name, effect, "rule %q is %s", to.name, namesChange(c.what, c.from, c.to))
	}
	if !sameLimit {
		d.add(KindRule, to.name, limit, "rule %q %s", to.name, limitChange(from, to))
	}
	d.denials(from, to)
}

// denials says of each operation whether a rule came to switch it off, or ceased
// to. One of from and to may be nil.
func (d *differ) denials(from, to *rule) {
	for _, pair := range d.pairs {
		was := from != nil && from.denies(pair)
		is := to != nil && to.denies(pair)
		switch {
		case is && !was:
			d.denial(pair, to, d.denyTightens(to, pair), "is switched off", "is reported, and not refused,", "which refuses no call that was allowed before")
		case was && !is:
			d.denial(pair, from, d.denyLoosens(from, pair), "is no longer switched off", "is no longer reported", "which allows no call that was refused before")
		}
	}
}

func (d *differ) denial(pair *operationPair, ru *rule, effect Effect, enforced, reported, idle string) {
	verb, end := enforced, ""
	if ru.mode == ModeReport {
		verb = reported
	} else if effect == EffectNone {
		end = ", " + idle
	}
	d.addOperation(pair, effect, "%s %s by rule %q%s", verb, ru.about(), ru.name, end)
}

// denied lists the operations that both rules switch off, or the one, if the
// other is nil.
func (d *differ) denied(ru, other *rule) (pairs []*operationPair) {
	for _, pair := range d.pairs {
		if ru.denies(pair) && (other == nil || other.denies(pair)) {
			pairs = append(pairs, pair)
		}
	}
	return pairs
}

func (ru *rule) denies(pair *operationPair) bool { return slices.Contains(ru.deny, pair.is().ID) }

func (p *Policy) rule(name string) *rule {
	for i := range p.rules {
		if p.rules[i].name == name {
			return &p.rules[i]
		}
	}
	return nil
}

// about says in words which calls the rule is about.
func (ru *rule) about() string {
	var parts []string
	for _, c := range []struct {
		what  string
		names []string
	}{{"connection", ru.connections}, {"client", ru.clients}} {
		if c.names != nil {
			parts = append(parts, plural(c.what, c.names)+" "+list(c.names, mostNames))
		}
	}
	if parts == nil {
		return "for every call"
	}
	return "for " + strings.Join(parts, " and ")
}

// does says in words what the rule refuses, with these verbs.
func (ru *rule) does(switchOff, limit string) string {
	var parts []string
	if ru.deny != nil {
		parts = append(parts, switchOff+" "+list(ru.deny, mostNames))
	}
	if ru.projects != nil {
		parts = append(parts, limit+" calls to "+plural("project", ru.projects)+" "+list(ru.projects, mostNames))
	}
	text := strings.Join(parts, ", and ")
	if ru.mode == ModeReport {
		text += " (in mode report, which refuses nothing)"
	}
	return text
}

// mostNames is how many names a sentence lists.
const mostNames = 10

// namesChange says in words how a list of names changed. Nil means all.
func namesChange(what string, from, to []string) string {
	switch {
	case to == nil:
		return fmt.Sprintf("about every %s; before, it was about %s %s", what, plural(what, from), list(from, mostNames))
	case from == nil:
		return fmt.Sprintf("about %s %s alone; before, it was about every %s", plural(what, to), list(to, mostNames), what)
	}
	return addedAndGone(what, from, to, "also about", "no longer about")
}

// limitChange says in words how the project limit of a rule changed.
func limitChange(from, to *rule) string {
	switch {
	case from.projects == nil:
		return fmt.Sprintf("limits calls to %s %s %s; before, it had no such limit", plural("project", to.projects), list(to.projects, mostNames), to.about())
	case to.projects == nil:
		return fmt.Sprintf("no longer limits calls to projects; before, it limited them to %s %s", list(from.projects, mostNames), from.about())
	}
	return addedAndGone("project", from.projects, to.projects, "also lets calls name", "no longer lets calls name")
}

func addedAndGone(what string, from, to []string, also, noLonger string) string {
	var parts []string
	if added := without(to, from); added != nil {
		parts = append(parts, also+" "+plural(what, added)+" "+list(added, mostNames))
	}
	if gone := without(from, to); gone != nil {
		parts = append(parts, noLonger+" "+plural(what, gone)+" "+list(gone, mostNames))
	}
	return strings.Join(parts, ", and ")
}

func plural(what string, names []string) string {
	if len(names) == 1 {
		return what
	}
	return what + "s"
}

// without lists the names that are not in other, in their order.
func without(names, other []string) (rest []string) {
	known := make(map[string]bool, len(other))
	for _, name := range other {
		known[name] = true
	}
	for _, name := range names {
		if !known[name] {
			rest = append(rest, name)
		}
	}
	return rest
}

// sameNames compares two lists whose order means nothing, and which hold no name
// twice. Nil, which means all, is no other list's equal: none is empty.
func sameNames(a, b []string) bool {
	return len(a) == len(b) && without(a, b) == nil
}
