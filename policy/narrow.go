package policy

import (
	"fmt"
	"slices"
	"strings"
)

// narrow applies the operator's rules to a call that the catalogue allows, all
// of them, so that Reported is complete whatever the first refusal is.
func (p *Policy) narrow(d *Decision, found *route, r Request) {
	for i := range p.rules {
		ru := &p.rules[i]
		if !ru.applies(&r) {
			continue
		}
		if o := ru.deniedOperation(d, found); o != nil {
			ru.refuse(d, CodeOperationSwitchedOff, func() string {
				return fmt.Sprintf("the operator's rule %q switches %s off for this call", ru.name, o.ID)
			})
		}
		if ru.projects != nil {
			ru.limit(d)
		}
	}
}

// deniedOperation returns the operation of the call that the rule switches off,
// or nil. A call whose query meets the condition of another operation on the
// same path counts as that one too: GET project/ACME?expand=issueTypes stays
// off with issuetype.list even where more parameters make it a project.get.
func (ru *rule) deniedOperation(d *Decision, found *route) *operation {
	if ru.denied == nil {
		return nil
	}
	if ru.denied[d.op.id] {
		return d.op
	}
	for _, o := range found.operations {
		if o.when.parameter != "" && ru.denied[o.id] && o.when.met(d.query) {
			return o
		}
	}
	return nil
}

// refuse denies the call, or reports the code, as the rule's mode says.
func (ru *rule) refuse(d *Decision, code Code, detail func() string) {
	if ru.mode == ModeReport {
		if !slices.Contains(d.Reported, code) {
			d.Reported = append(slices.Clip(d.Reported), code)
		}
		return
	}
	if d.Code == "" {
		d.Code, d.Detail, d.Rule = code, detail(), ru.name
	}
}

// limit refuses a call about projects that the rule does not list. A body is
// looked at later, by limitBody.
func (ru *rule) limit(d *Decision) {
	o := d.op
	switch o.Projects {
	case ProjectsAll:
		ru.refuseProject(d, "%s lists every project and cannot be limited; use project.get for each", o.ID)
	case ProjectsPath:
		n := 0
		for _, s := range o.segments {
			if s.parameter == "" {
				continue
			}
			ru.limitTo(d, s.parameter.names(), d.parameters[n])
			n++
		}
	case ProjectsQuery:
		named := false
		for _, p := range d.query {
			q := o.parameter(p.name)
			if q.names == referenceNone {
				continue
			}
			named = true
			for value := range strings.SplitSeq(p.value, ",") {
				ru.limitTo(d, q.names, value)
			}
		}
		if !named {
			ru.refuseProject(d, "%s must say which project it is about; name one in %s", o.ID, strings.Join(o.projectParameters(), " or "))
		}
	}
}

// limitTo refuses the call if value names a project outside the rule's, or an
// issue of one.
func (ru *rule) limitTo(d *Decision, names reference, value string) {
	switch names {
	case referenceProject:
		if !slices.Contains(ru.projects, value) {
			ru.refuseProject(d, "the project %s is outside the limit", quote(value))
		}
	case referenceIssue:
		switch key := projectOfIssue(value); {
		case key == "":
			ru.refuseProject(d, "%s does not tell the issue's project; use the issue's key", quote(value))
		case !slices.Contains(ru.projects, key):
			ru.refuseProject(d, "the project %s is outside the limit", quote(key))
		}
	}
}

// limitBody refuses a body whose fields.project does not name a project of the
// rule. Named by key and id both, both must be the rule's.
func (ru *rule) limitBody(d *Decision, named []string) {
	if len(named) == 0 {
		ru.refuseProject(d, "%s must say which project it is about; name it by key or id in fields.project", d.op.ID)
	}
	for _, project := range named {
		ru.limitTo(d, referenceProject, project)
	}
}

func (ru *rule) refuseProject(d *Decision, format string, args ...any) {
	ru.refuse(d, CodeProjectNotAllowed, func() string {
		return fmt.Sprintf(format, args...) + fmt.Sprintf(" (the operator's rule %q allows: %s)", ru.name, list(ru.projects, 10))
	})
}

// projectParameters lists the query parameters that can name a project.
func (o *Operation) projectParameters() []string {
	var names []string
	for _, q := range o.Query {
		if q.names != referenceNone {
			names = append(names, q.Name)
		}
	}
	return names
}

// deniedToAll reports whether a rule switches o off for every call.
func (p *Policy) deniedToAll(o *operation) bool {
	return slices.ContainsFunc(p.rules, func(ru rule) bool {
		return ru.mode == ModeEnforce && ru.connections == nil && ru.clients == nil && ru.denied != nil && ru.denied[o.id]
	})
}

// list joins words for people, at most so many of them.
func list(words []string, most int) string {
	if len(words) <= most {
		return strings.Join(words, ", ")
	}
	return fmt.Sprintf("%s and %d more", strings.Join(words[:most], ", "), len(words)-most)
}
