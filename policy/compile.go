package policy

import (
	"slices"
	"strings"
)

// maxParameters is how many parameters a path template may have.
const maxParameters = 2

// operation is an Operation as deciding needs it.
type operation struct {
	Operation
	id       int // place among the ids of the catalogue; the same in both editions
	when     condition
	on       bool // in the documented table, or a successor that was switched on
	segments []segment
}

// segment is a part of a path template: a literal or a parameter.
type segment struct {
	literal   string
	parameter identifier // "" for a literal
}

// route is a method and a path template with the operations found there, those
// with a condition first. The last has none.
type route struct {
	method     string
	segments   []segment
	operations []*operation
}

// table holds the routes of one edition.
type table struct {
	edition Edition
	prefix  string // "/rest/api/3"
	routes  []*route
}

// compile turns a catalogue into operations, in its order, and a table for each
// edition. The entries have been checked one by one; what is checked here is how
// they go together. Errors are [*DocumentError].
func compile(c *catalogue) (operations []*operation, cloud, dataCenter *table, err error) {
	r := &reader{document: "policy catalogue"}
	cloud, dataCenter = &table{edition: Cloud}, &table{edition: DataCenter}
	for i := range c.entries {
		e := &c.entries[i]
		o := &operation{Operation: e.Operation, id: e.id, when: e.when, on: e.SuccessorOf == ""}
		o.segments = compilePath(r, e)
		t := cloud
		if o.Edition == DataCenter {
			t = dataCenter
		}
		checkEntry(r, c, e, o)
		t.add(r, e, o)
		operations = append(operations, o)
	}
	for _, t := range []*table{cloud, dataCenter} {
		for _, route := range t.routes {
			if route.operations[len(route.operations)-1].when != (condition{}) {
				r.fail(nil, "%s %s has only conditional operations", route.method, route.operations[0].Path)
			}
		}
	}
	return operations, cloud, dataCenter, r.err
}

// compilePath cuts a path template. After /rest/api/N its literals must be lower
// case letters, so that no identifier can be taken for one.
func compilePath(r *reader, e *entry) []segment {
	rest, ok := strings.CutPrefix(e.Path, "/rest/api/")
	if !ok {
		r.fail(e.at, "%s: the path must begin with /rest/api/", e.ID)
		return nil
	}
	segments := []segment{{literal: "rest"}, {literal: "api"}}
	parameters := 0
	for i, s := range strings.Split(rest, "/") {
		if len(s) > 2 && s[0] == '{' && s[len(s)-1] == '}' {
			kind := identifier(s[1 : len(s)-1])
			if !kind.known() {
				r.fail(e.at, "%s: the path parameter %s has no grammar", e.ID, s)
			}
			parameters++
			segments = append(segments, segment{parameter: kind})
			continue
		}
		if i > 0 && (s == "" || strings.Trim(s, "abcdefghijklmnopqrstuvwxyz") != "") {
			r.fail(e.at, "%s: the path has the segment %q; literals are lower case letters", e.ID, s)
		}
		segments = append(segments, segment{literal: s})
	}
	if parameters > maxParameters || len(segments) > maxSegments {
		r.fail(e.at, "%s: the path is longer than %d segments or has more than %d parameters", e.ID, maxSegments, maxParameters)
	}
	return segments
}

// checkEntry checks what an entry says against the rest of it and of the file.
func checkEntry(r *reader, c *catalogue, e *entry, o *operation) {
	if len(o.Query) > 64 {
		r.fail(e.at, "%s has more than 64 query parameters", e.ID)
	}
	if (e.Body == BodyIssue) != (e.Method == "POST") {
		r.fail(e.at, "%s: a POST needs a body rule, and no other method has one", e.ID)
	}
	if e.SuccessorOf != "" && !slices.Contains(c.ids, e.SuccessorOf) {
		r.fail(e.at, "%s succeeds %q, which is no operation", e.ID, e.SuccessorOf)
	}
	if e.when != (condition{}) {
		q := e.parameter(e.when.parameter)
		if q == nil || q.Type != TypeList || !q.knows(e.when.contains) {
			r.fail(e.at, "%s: its condition %s is not about a documented value of a list parameter", e.ID, e.When)
		}
	}
	named := false
	switch e.Projects {
	case ProjectsPath:
		named = slices.ContainsFunc(o.segments, func(s segment) bool { return s.parameter.names() != referenceNone })
	case ProjectsQuery:
		named = slices.ContainsFunc(o.Query, func(q QueryParameter) bool { return q.names != referenceNone })
	case ProjectsBody:
		named = e.Body == BodyIssue
	case ProjectsNone, ProjectsAll:
		named = true
	}
	if !named {
		r.fail(e.at, "%s: nothing in its %s names a project", e.ID, e.Projects)
	}
}

// add puts o at the end of its route: operations with a condition must come
// after the one without in the file, and are tried before it.
func (t *table) add(r *reader, e *entry, o *operation) {
	if len(o.segments) < 3 {
		return
	}
	prefix := "/rest/api/" + o.segments[2].literal
	if t.prefix == "" {
		t.prefix = prefix
	}
	if prefix != t.prefix {
		r.fail(e.at, "%s: the other operations of this edition are below %s", e.ID, t.prefix)
	}
	i := slices.IndexFunc(t.routes, func(x *route) bool {
		return x.method == o.Method && slices.Equal(x.segments, o.segments)
	})
	if i < 0 {
		t.routes = append(t.routes, &route{o.Method, o.segments, []*operation{o}})
		return
	}
	if o.when == (condition{}) {
		r.fail(e.at, "%s: %s %s is there already; give the later one a condition", e.ID, o.Method, o.Path)
	}
	t.routes[i].operations = slices.Insert(t.routes[i].operations, 0, o)
}
