package policy

import (
	"fmt"
	"strings"
)

// Explain decides about r and says in plain lines what was decided and why: the
// text of `policy explain`. The body is not looked at; the text tells its rule.
// Text from the request is shown as [Decision.Detail] shows it, or in the form in
// which it would be sent.
func (p *Policy) Explain(r Request) string {
	d := p.Decide(r)
	var b strings.Builder
	line := func(label, format string, args ...any) {
		fmt.Fprintf(&b, "%-11s%s\n", label, fmt.Sprintf(format, args...))
	}
	if d.Allowed() {
		line("decision", "allow")
	} else {
		line("decision", "deny: %s", d.Code)
		line("because", "%s", d.Detail)
	}
	if o := d.Operation; o != nil {
		line("operation", "%s: %s (%s)", o.ID, o.Purpose, o.Edition.title())
		line("template", "%s %s", o.Method, o.Path)
		line("query", "%s", describeQuery(o))
		line("body", "%s", o.Body.describe())
		if o.Scope != "" {
			line("scope", "%s", o.Scope)
		}
	}
	if d.Allowed() {
		sent := d.Path()
		if q := d.RawQuery(); q != "" {
			sent += "?" + q
		}
		line("sends", "%s %s", d.Operation.Method, sent)
	}
	if len(d.Allow) > 0 {
		line("methods", "%s", strings.Join(d.Allow, ", "))
	}
	for i := range p.rules {
		ru := &p.rules[i]
		if !ru.applies(&r) {
			continue
		}
		effect := ""
		if d.Rule == ru.name {
			effect = ": refuses this call"
		}
		line("rule", "%s (%s)%s", ru.name, ru.mode, effect)
	}
	for _, code := range d.Reported {
		line("reported", "%s: a rule in mode report would refuse this call", code)
	}
	line("policy", "version %s, SHA-256 %s", p.version, p.sha256)
	return b.String()
}

// describeQuery lists the query parameters of an operation with what they take.
func describeQuery(o *Operation) string {
	if len(o.Query) == 0 {
		return "none documented"
	}
	parts := make([]string, len(o.Query))
	for i := range o.Query {
		q := &o.Query[i]
		parts[i] = q.Name
		if q.Type != TypeText {
			parts[i] += " (" + q.grammar() + ")"
		}
	}
	return strings.Join(parts, "; ")
}

// describe says in words what becomes of a body.
func (b BodyRule) describe() string {
	if b == BodyIssue {
		return `required: a JSON object with "fields", at most 1 MiB`
	}
	return "none is forwarded"
}
