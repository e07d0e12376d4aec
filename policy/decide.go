package policy

import (
	"fmt"
	"slices"
	"strings"
)

// Decide says whether a call may be made. It is total: every request gets a
// decision, and whatever does not match an operation of the catalogue, in
// method, path and query, is denied. It may be called from many goroutines, does
// no I/O, and allocates next to nothing for calls that it allows.
func (p *Policy) Decide(r Request) Decision {
	t := p.table(r.Edition)
	if t == nil {
		return Decision{Code: CodeOperationNotDocumented, Detail: fmt.Sprintf("the edition %s is unknown: use %q or %q", quote(string(r.Edition)), Cloud, DataCenter)}
	}
	var path target
	if problem := path.parse(r.Path); problem != "" {
		return Decision{Code: CodePathMalformed, Detail: problem}
	}
	var d Decision
	found := t.find(r.Method, &path, &d.parameters)
	if found == nil {
		return p.refusePath(t, r, &path)
	}
	d.asked = r.Path
	d.op = found.operations[len(found.operations)-1]
	d.Operation = &d.op.Operation

	query, problem := parseQuery(r.RawQuery)
	if problem != "" {
		d.deny(CodeQueryMalformed, problem)
		return d
	}
	// The most specific operation whose query fits is meant. Without one, what is
	// wrong is told of the most general.
	var bad misfit
	for _, o := range found.operations {
		if !o.when.met(query) {
			continue
		}
		if bad = o.fit(query); bad.kind == fits {
			d.op, d.Operation = o, &o.Operation
			break
		}
	}
	if bad.kind != fits {
		d.deny(CodeQueryNotDocumented, bad.detail(d.Operation))
		return d
	}
	d.query = query
	if !d.op.on {
		d.deny(CodeOperationSwitchedOff, fmt.Sprintf("%s succeeds %s and is off; an operator can switch it on with \"successors: [%s]\" in the policy file", d.op.ID, d.op.SuccessorOf, d.op.ID))
		return d
	}
	p.narrow(&d, found, r)
	return d
}

// find returns the route of a method and path, and fills in the decoded
// parameters of the path. It is nil if there is none.
func (t *table) find(method string, path *target, parameters *[maxParameters]string) *route {
	for _, route := range t.routes {
		if route.method == method && route.shaped(path) && route.identify(path, parameters) == nil {
			return route
		}
	}
	return nil
}

// shaped reports whether the path has the literals of the route, byte for byte
// as sent, at its places, and as many segments.
func (t *route) shaped(path *target) bool {
	if path.n != len(t.segments) {
		return false
	}
	for i := range t.segments {
		if s := &t.segments[i]; s.parameter == "" && s.literal != path.segments[i] {
			return false
		}
	}
	return true
}

// identify decodes the parameters of a path that has the route's shape. It
// returns the first segment of the route whose grammar is not met, or nil.
func (t *route) identify(path *target, parameters *[maxParameters]string) *segment {
	n := 0
	for i := range t.segments {
		s := &t.segments[i]
		if s.parameter == "" {
			continue
		}
		parameters[n] = decodeSegment(path.segments[i])
		if !s.parameter.matches(parameters[n]) {
			return s
		}
		n++
	}
	return nil
}

// met reports whether the query meets the condition.
func (c *condition) met(query []pair) bool {
	if c.parameter == "" {
		return true
	}
	for _, p := range query {
		if p.name != c.parameter {
			continue
		}
		for element := range strings.SplitSeq(p.value, ",") {
			if element == c.contains {
				return true
			}
		}
	}
	return false
}

// refusePath finds the reason why method and path are no documented operation.
func (p *Policy) refusePath(t *table, r Request, path *target) Decision {
	var (
		d         Decision
		malformed *segment
		value     string
	)
	for _, route := range t.routes {
		if !route.shaped(path) {
			continue
		}
		var parameters [maxParameters]string
		bad := route.identify(path, &parameters)
		switch {
		case bad == nil:
			// Here the method is what does not fit.
			d.op, d.parameters = route.operations[len(route.operations)-1], parameters
			d.Allow = append(d.Allow, route.method)
		case route.method == r.Method && malformed == nil:
			malformed = bad
			value = decodeSegment(path.segments[slices.IndexFunc(route.segments, func(s segment) bool { return s == *bad })])
		}
	}
	switch {
	case d.Allow != nil:
		slices.Sort(d.Allow)
		d.deny(CodeMethodNotDocumented, fmt.Sprintf("the method %s is not documented for %s; use %s", quote(r.Method), d.op.Path, strings.Join(d.Allow, " or ")))
	case malformed != nil:
		d.deny(CodeParameterMalformed, fmt.Sprintf("%s is not a valid %s; write %s", quote(value), malformed.parameter, malformed.parameter.grammar()))
	default:
		d.deny(CodeOperationNotDocumented, p.undocumented(t, r.Method, path))
	}
	return d
}

// undocumented says what to do about a path that no operation has.
func (p *Policy) undocumented(t *table, method string, path *target) string {
	version := "/rest/api/" + path.segments[2]
	if path.segments[0] == "rest" && path.segments[1] == "api" && path.n > 2 && version != t.prefix {
		return fmt.Sprintf("%s is documented below %s only, and the path is below %s", t.edition.title(), t.prefix, quote(version))
	}
	// The path may be how the other edition does the same thing.
	other := p.table(t.edition.other())
	same := *path
	same.segments[2] = strings.TrimPrefix(other.prefix, "/rest/api/")
	var parameters [maxParameters]string
	if route := other.find(method, &same, &parameters); route != nil {
		id := route.operations[len(route.operations)-1].ID
		for _, route := range t.routes {
			for _, o := range route.operations {
				if o.ID == id && o.on {
					return fmt.Sprintf("%s does not document this path; for the same purpose (%s) it has %s %s", t.edition.title(), o.Purpose, o.Method, o.Path)
				}
			}
		}
	}
	return fmt.Sprintf("no documented operation of %s has this path; \"jiragate policy list\" shows those that there are", t.edition.title())
}
