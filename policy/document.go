package policy

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"
	"github.com/goccy/go-yaml/token"

	"jiragate/internal/nearest"
)

// maxDocument bounds a YAML document, in bytes, before it is parsed.
const maxDocument = 1 << 20

// A DocumentError says what is wrong with a YAML document, and where.
type DocumentError struct {
	Document string // "policy rules" or "policy catalogue"
	Line     int    // from 1; 0 where the document as a whole is meant
	Column   int    // from 1, in characters
	Problem  string // what is wrong and what to write instead
}

func (e *DocumentError) Error() string {
	if e.Line == 0 {
		return fmt.Sprintf("%s: %s", e.Document, e.Problem)
	}
	return fmt.Sprintf("%s, line %d, column %d: %s", e.Document, e.Line, e.Column, e.Problem)
}

// reader takes a YAML document apart, strictly: only mappings, sequences and
// plain scalars, each key known, nothing empty. It walks the syntax tree rather
// than filling structs because null and absent must stay two things: a rule
// whose "connections:" was left empty by mistake must not fit every connection.
//
// The first error sticks; what is read after it is zero.
type reader struct {
	document string
	err      error
}

// mapping is a YAML mapping and its place.
type mapping struct {
	at   ast.Node
	node map[string]ast.Node
}

// item is a scalar and its place.
type item struct {
	text string
	at   ast.Node
}

func (r *reader) fail(at ast.Node, format string, args ...any) {
	if r.err != nil {
		return
	}
	e := &DocumentError{Document: r.document, Problem: fmt.Sprintf(format, args...)}
	if m, ok := at.(*ast.MappingNode); ok && !m.IsFlowStyle && len(m.Values) > 0 {
		at = m.Values[0].Key // the token of a block mapping is its first colon
	}
	if at != nil {
		e.place(at.GetToken())
	}
	r.err = e
}

func (e *DocumentError) place(t *token.Token) {
	if t != nil && t.Position != nil {
		e.Line, e.Column = t.Position.Line, t.Position.Column
	}
}

// open parses text, which must be one document whose root is a mapping of the
// given keys.
func (r *reader) open(text []byte, keys ...string) mapping {
	switch {
	case len(text) > maxDocument:
		r.fail(nil, "it has %d bytes; at most %d are read", len(text), maxDocument)
		return mapping{}
	case !utf8.Valid(text):
		r.fail(nil, "it is not valid UTF-8; save it as UTF-8")
		return mapping{}
	}
	file, err := parser.ParseBytes(text, 0)
	if err != nil {
		e := &DocumentError{Document: r.document, Problem: err.Error()}
		if y, ok := errors.AsType[yaml.Error](err); ok {
			e.Problem = strings.NewReplacer("\t", `\t`, "\n", `\n`, "\r", `\r`).Replace(y.GetMessage())
			e.place(y.GetToken())
		}
		r.err = e
		return mapping{}
	}
	if len(file.Docs) == 0 || file.Docs[0].Body == nil {
		r.fail(nil, "it is empty; begin with a version")
		return mapping{}
	}
	if len(file.Docs) > 1 {
		r.fail(nil, "it holds %d documents; keep everything in one", len(file.Docs))
		return mapping{}
	}
	return r.mapping(file.Docs[0].Body, "the document", keys...)
}

// mapping reads n, called what in errors, as a mapping that has no other than
// the given keys. The parser has refused repeated keys already.
func (r *reader) mapping(n ast.Node, what string, keys ...string) mapping {
	m, ok := n.(*ast.MappingNode)
	if !ok {
		r.fail(n, "%s must be a mapping (key: value)", what)
		return mapping{}
	}
	read := mapping{at: n, node: make(map[string]ast.Node)}
	for _, v := range m.Values {
		key, ok := v.Key.(*ast.StringNode)
		if !ok {
			r.fail(v.Key, "%s has a key that is not plain text; known keys: %s", what, strings.Join(keys, ", "))
			return mapping{}
		}
		if !slices.Contains(keys, key.Value) {
			r.fail(v.Key, "%s has no key %s; did you mean %q? Known keys: %s", what, quote(key.Value), nearest.To(key.Value, keys), strings.Join(keys, ", "))
			return mapping{}
		}
		read.node[key.Value] = v.Value
	}
	return read
}

// need returns the node of a key that must be there.
func (r *reader) need(m mapping, what, key string) ast.Node {
	if r.err != nil {
		return nil
	}
	n, ok := m.node[key]
	if !ok {
		r.fail(m.at, "%s lacks the key %q", what, key)
	}
	return n
}

// text reads n as a scalar that is not empty. Numbers keep the digits that
// stand in the file.
func (r *reader) text(n ast.Node, what string) string {
	if r.err != nil {
		return ""
	}
	var s string
	switch n := n.(type) {
	case *ast.StringNode:
		s = n.Value
	case *ast.IntegerNode, *ast.FloatNode:
		s = n.GetToken().Value
	case *ast.NullNode: // empty, as "" is
	case *ast.BoolNode:
		r.fail(n, "%s must be text; put %q in quotes if it is a name", what, n.GetToken().Value)
	default:
		r.fail(n, "%s must be plain text", what)
	}
	if s == "" {
		r.fail(n, "%s is empty; give it a value or leave the key out", what)
	}
	return s
}

// boolean reads n as true or false.
func (r *reader) boolean(n ast.Node, what string) bool {
	b, ok := n.(*ast.BoolNode)
	if !ok {
		r.fail(n, "%s must be true or false", what)
		return false
	}
	return b.Value
}

// sequence reads n as a list with at least one entry.
func (r *reader) sequence(n ast.Node, what string) []ast.Node {
	if r.err != nil {
		return nil
	}
	switch n := n.(type) {
	case *ast.SequenceNode:
		if len(n.Values) == 0 {
			r.fail(n, "%s is an empty list; name something or leave the key out", what)
		}
		return n.Values
	case *ast.NullNode:
		r.fail(n, "%s is empty; name something or leave the key out", what)
	default:
		r.fail(n, "%s must be a list, like [one, two]", what)
	}
	return nil
}

// texts reads n as a list of different, non-empty scalars.
func (r *reader) texts(n ast.Node, what string) []item {
	var items []item
	seen := make(map[string]bool)
	for _, v := range r.sequence(n, what) {
		t := item{r.text(v, "an entry of "+what), v}
		if seen[t.text] {
			r.fail(v, "%s names %s twice", what, quote(t.text))
		}
		seen[t.text] = true
		items = append(items, t)
	}
	return items
}

// oneOf reads n as one of the given words.
func (r *reader) oneOf(n ast.Node, what string, words ...string) string {
	s := r.text(n, what)
	if r.err == nil && !slices.Contains(words, s) {
		r.fail(n, "%s cannot be %s; did you mean %q? Known: %s", what, quote(s), nearest.To(s, words), strings.Join(words, ", "))
	}
	return s
}
