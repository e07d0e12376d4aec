package policy

import (
	_ "embed"
	"slices"
	"strings"

	"github.com/goccy/go-yaml/ast"
)

//go:embed jira.yaml
var embeddedCatalogue string

// catalogue is what a catalogue file says, each entry checked on its own.
type catalogue struct {
	version string
	ids     []string // in order
	entries []entry  // in order of the file; Data Center before Cloud within an id
}

// entry is an operation as the catalogue file has it.
type entry struct {
	Operation
	id   int // place in ids
	when condition
	at   ast.Node
}

// condition is met by a query whose list parameter contains the value. The zero
// condition is always met.
type condition struct{ parameter, contains string }

// readCatalogue reads a catalogue file. Errors are [*DocumentError].
func readCatalogue(text []byte) (*catalogue, error) {
	r := &reader{document: "policy catalogue"}
	root := r.open(text, "version", "operations")
	c := &catalogue{version: r.text(r.need(root, "the catalogue", "version"), "version")}
	for _, n := range r.sequence(r.need(root, "the catalogue", "operations"), "operations") {
		c.readPurpose(r, n)
	}
	if r.err != nil {
		return nil, r.err
	}
	return c, nil
}

// readPurpose reads one purpose with its entry for each edition.
func (c *catalogue) readPurpose(r *reader, n ast.Node) {
	m := r.mapping(n, "an operation", "id", "purpose", string(DataCenter), string(Cloud))
	id := r.text(r.need(m, "an operation", "id"), "id")
	purpose := r.text(r.need(m, id, "purpose"), "purpose")
	if r.err != nil {
		return
	}
	if slices.Contains(c.ids, id) {
		r.fail(m.node["id"], "the operation %q is there twice", id)
	}
	c.ids = append(c.ids, id)
	found := false
	for _, edition := range []Edition{DataCenter, Cloud} {
		if n, ok := m.node[string(edition)]; ok {
			found = true
			e := readEntry(r, n, id, edition)
			e.Purpose, e.id = purpose, len(c.ids)-1
			c.entries = append(c.entries, e)
		}
	}
	if !found {
		r.fail(n, "%s is in no edition; add %s or %s", id, DataCenter, Cloud)
	}
}

// readEntry reads what a purpose means in one edition.
func readEntry(r *reader, n ast.Node, id string, edition Edition) entry {
	m := r.mapping(n, id, "method", "path", "when", "query", "body", "projects", "scope", "successor_of")
	e := entry{at: n}
	e.ID, e.Edition = id, edition
	e.Method = r.oneOf(r.need(m, id, "method"), "method", "GET", "POST", "DELETE")
	e.Path = r.text(r.need(m, id, "path"), "path")
	e.Projects = ProjectSource(r.oneOf(r.need(m, id, "projects"), "projects", string(ProjectsNone),
		string(ProjectsPath), string(ProjectsQuery), string(ProjectsBody), string(ProjectsAll)))
	e.Body = BodyDropped
	if n, ok := m.node["body"]; ok {
		e.Body = BodyRule(r.oneOf(n, "body", string(BodyIssue)))
	}
	if n, ok := m.node["query"]; ok {
		for _, n := range r.sequence(n, "query") {
			q := readParameter(r, n)
			if e.parameter(q.Name) != nil {
				r.fail(n, "the query parameter %q is there twice", q.Name)
			}
			e.Query = append(e.Query, q)
		}
	}
	if n, ok := m.node["when"]; ok {
		w := r.mapping(n, "when", "parameter", "contains")
		e.when.parameter = r.text(r.need(w, "when", "parameter"), "parameter")
		e.when.contains = r.text(r.need(w, "when", "contains"), "contains")
		e.When = e.when.parameter + "=" + e.when.contains
	}
	if n, ok := m.node["scope"]; ok {
		e.Scope = r.text(n, "scope")
	}
	if n, ok := m.node["successor_of"]; ok {
		e.SuccessorOf = r.text(n, "successor_of")
	}
	if (e.Scope != "") != (edition == Cloud) {
		r.fail(n, "%s: every Cloud entry needs a scope, and no other has one", id)
	}
	return e
}

// readParameter reads one query parameter.
func readParameter(r *reader, n ast.Node) QueryParameter {
	m := r.mapping(n, "a query parameter", "name", "type", "values", "repeat", "names")
	q := QueryParameter{Name: r.text(r.need(m, "a query parameter", "name"), "name"), Type: TypeText}
	if n, ok := m.node["type"]; ok {
		q.Type = ParameterType(r.oneOf(n, "type", string(TypeText), string(TypeInteger),
			string(TypeBoolean), string(TypeChoice), string(TypeList)))
	}
	if n, ok := m.node["values"]; ok {
		for _, t := range r.texts(n, "values") {
			if strings.Contains(t.text, ",") {
				r.fail(t.at, "a value cannot contain a comma, which separates values")
			}
			q.Values = append(q.Values, t.text)
		}
	}
	if n, ok := m.node["repeat"]; ok {
		q.Repeatable = r.boolean(n, "repeat")
	}
	if n, ok := m.node["names"]; ok {
		q.names = reference(r.oneOf(n, "names", string(referenceProject), string(referenceIssue)))
	}
	if (len(q.Values) > 0) != (q.Type == TypeChoice || q.Type == TypeList) {
		r.fail(n, "the query parameter %q: a choice or a list needs values, and no other type has them", q.Name)
	}
	if q.Type == TypeList {
		q.Repeatable = true
	}
	return q
}
