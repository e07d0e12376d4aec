package policy

import (
	"slices"

	"github.com/goccy/go-yaml/ast"
)

// Mode says what a rule does to the calls that it refuses.
type Mode string

const (
	// ModeEnforce refuses them.
	ModeEnforce Mode = "enforce"
	// ModeReport lets them pass and says so in [Decision.Reported].
	ModeReport Mode = "report"
)

// rule is one rule of the operator. It can only refuse.
type rule struct {
	name        string
	connections []string // nil: every connection
	clients     []string // nil: every client
	deny        []string // ids of operations, in the order of the file
	denied      []bool   // the same by place of the id in the catalogue
	projects    []string // keys and ids; nil: no limit
	mode        Mode
}

// applies reports whether the rule is about the client and connection of r.
func (ru *rule) applies(r *Request) bool {
	return (ru.connections == nil || slices.Contains(ru.connections, r.Connection)) &&
		(ru.clients == nil || slices.Contains(ru.clients, r.Client))
}

// addRules reads the operator's rules into p.
func (p *Policy) addRules(text []byte) error {
	r := &reader{document: "policy rules"}
	root := r.open(text, "version", "successors", "rules")
	if n := r.need(root, "the document", "version"); r.err == nil {
		if v, ok := n.(*ast.IntegerNode); !ok || v.GetToken().Value != "1" {
			r.fail(n, "the version must be 1; this program knows no other")
		}
	}
	if n, ok := root.node["successors"]; ok {
		p.switchOn(r, n)
	}
	if n, ok := root.node["rules"]; ok {
		for _, n := range r.sequence(n, "rules") {
			p.rules = append(p.rules, p.readRule(r, n))
		}
	}
	return r.err
}

// switchOn turns on the successors that n lists.
func (p *Policy) switchOn(r *reader, n ast.Node) {
	var successors []string
	for _, o := range p.operations {
		if o.SuccessorOf != "" {
			successors = append(successors, o.ID)
		}
	}
	for _, t := range r.texts(n, "successors") {
		id := r.oneOf(t.at, "a successor", successors...)
		for _, o := range p.operations {
			if o.ID == id {
				o.on = true
			}
		}
	}
}

// readRule reads one rule.
func (p *Policy) readRule(r *reader, n ast.Node) rule {
	m := r.mapping(n, "a rule", "name", "connections", "clients", "deny", "projects", "mode")
	ru := rule{name: r.name(r.need(m, "a rule", "name"), "the name of a rule"), mode: ModeEnforce}
	for _, other := range p.rules {
		if r.err == nil && other.name == ru.name {
			r.fail(m.node["name"], "two rules are named %q; a refusal names the rule it comes from, so give each its own", ru.name)
		}
	}
	if n, ok := m.node["connections"]; ok {
		ru.connections = r.names(n, "connections")
	}
	if n, ok := m.node["clients"]; ok {
		ru.clients = r.names(n, "clients")
	}
	if n, ok := m.node["deny"]; ok {
		ru.denied = make([]bool, len(p.ids))
		for _, t := range r.texts(n, "deny") {
			id := r.oneOf(t.at, "an operation", p.ids...)
			ru.deny = append(ru.deny, id)
			if i := slices.Index(p.ids, id); i >= 0 {
				ru.denied[i] = true
			}
		}
	}
	if n, ok := m.node["projects"]; ok {
		for _, t := range r.texts(n, "projects") {
			if r.err == nil && !isProjectKey(t.text) && !isID(t.text) {
				r.fail(t.at, "%s is not a project; write %s", quote(t.text), projectIDOrKey.grammar())
			}
			ru.projects = append(ru.projects, t.text)
		}
	}
	if n, ok := m.node["mode"]; ok {
		ru.mode = Mode(r.oneOf(n, "mode", string(ModeEnforce), string(ModeReport)))
	}
	if r.err == nil && ru.deny == nil && ru.projects == nil {
		r.fail(n, "the rule %q refuses nothing; add deny or projects", ru.name)
	}
	return ru
}

// names reads n as a list of names.
func (r *reader) names(n ast.Node, what string) []string {
	var names []string
	for _, t := range r.texts(n, what) {
		names = append(names, r.name(t.at, "an entry of "+what))
	}
	return names
}

// name reads n as the name of a rule, a client or a connection, which all obey
// [a-z0-9][a-z0-9._-]{0,62}. A name outside it could never match.
func (r *reader) name(n ast.Node, what string) string {
	s := r.text(n, what)
	if r.err == nil && !isName(s) {
		r.fail(n, "%s cannot be %s; names are up to 63 lower case letters, digits, dots, hyphens and underscores, and begin with a letter or digit", what, quote(s))
	}
	return s
}

func isName(s string) bool {
	if s == "" || len(s) > 63 {
		return false
	}
	for i := range len(s) {
		c := s[i]
		letter := 'a' <= c && c <= 'z' || '0' <= c && c <= '9'
		if !letter && (i == 0 || c != '.' && c != '_' && c != '-') {
			return false
		}
	}
	return true
}
