package policy

import (
	"net/url"
	"slices"
	"strings"
)

// Request is what is decided about: a call as the client sent it, with the
// connection that it was resolved to.
type Request struct {
	Edition    Edition
	Method     string
	Path       string // escaped path below the connection's base path, e.g. "/rest/api/3/project/ACME"
	RawQuery   string // without "?"
	Client     string // name; for the operator's rules
	Connection string // id; for the operator's rules
}

// Decision says whether a call is allowed, as what, and what to send. It is a
// value: copy it freely, do not change what its fields point to. The zero
// Decision allows nothing.
type Decision struct {
	// Operation is what the call is taken for. It is nil where path and method
	// fit none; on other denials it is the operation that was refused.
	Operation *Operation
	// Code is the reason of a denial, or "".
	Code Code
	// Detail says for people what is wrong and what to do. What it repeats of the
	// request is quoted, ASCII, and short. Empty if the call is allowed.
	Detail string
	// Rule names the operator's rule that refused the call, if one did.
	Rule string
	// Allow lists the methods documented for the path, for the header field of
	// that name; set with CodeMethodNotDocumented.
	Allow []string
	// Reported holds what rules in mode report would have refused the call for,
	// each code once. It does not affect Allowed.
	Reported []Code

	asked      string     // the path of the request
	op         *operation // the operation whose path matched, perhaps not its method
	parameters [maxParameters]string
	query      []pair // nil until the query has been accepted
}

// Allowed reports whether the call may be made. For an operation with a body,
// [Policy.DecideBody] has the last word.
func (d *Decision) Allowed() bool { return d.Operation != nil && d.Code == "" }

// Path returns the path to send: rebuilt from the operation's template and the
// decoded, validated identifiers, below the connection's base path. It needs no
// escaping. On a denial it is the canonical path if one matched, otherwise "".
func (d *Decision) Path() string {
	if d.op == nil {
		return ""
	}
	if d.canonical() {
		return d.asked
	}
	var b strings.Builder
	b.Grow(len(d.op.Path) + len(d.parameters[0]) + len(d.parameters[1]))
	n := 0
	for _, s := range d.op.segments {
		b.WriteByte('/')
		if s.parameter == "" {
			b.WriteString(s.literal)
			continue
		}
		b.WriteString(d.parameters[n])
		n++
	}
	return b.String()
}

// canonical reports whether the path that was asked for is, byte for byte, the one to
// send, as it nearly always is: then nobody has to build that.
func (d *Decision) canonical() bool {
	rest, n := d.asked, 0
	for i := range d.op.segments {
		want := d.op.segments[i].literal
		if d.op.segments[i].parameter != "" {
			want = d.parameters[n]
			n++
		}
		if rest == "" || rest[0] != '/' || !strings.HasPrefix(rest[1:], want) {
			return false
		}
		rest = rest[1+len(want):]
	}
	return rest == ""
}

// RawQuery returns the query to send, without "?": the parameters in the
// client's order, escaped anew. It is "" if there are none, or if they were
// refused.
func (d *Decision) RawQuery() string {
	if len(d.query) == 0 {
		return ""
	}
	var b strings.Builder
	for i, p := range d.query {
		if i > 0 {
			b.WriteByte('&')
		}
		b.WriteString(url.QueryEscape(p.name))
		b.WriteByte('=')
		b.WriteString(url.QueryEscape(p.value))
	}
	return b.String()
}

// QueryNames returns the names of the accepted query parameters in the client's
// order, each once.
func (d *Decision) QueryNames() []string {
	var names []string
	for _, p := range d.query {
		if !slices.Contains(names, p.name) {
			names = append(names, p.name)
		}
	}
	return names
}

// Param returns the decoded path parameter of that name, such as
// "issueIdOrKey"; "" if the path has none or did not match.
func (d *Decision) Param(name string) string {
	if d.op == nil {
		return ""
	}
	n := 0
	for _, s := range d.op.segments {
		if s.parameter == "" {
			continue
		}
		if string(s.parameter) == name {
			return d.parameters[n]
		}
		n++
	}
	return ""
}

// deny makes d a denial, unless it is one already.
func (d *Decision) deny(code Code, detail string) {
	if d.Code == "" {
		d.Code, d.Detail = code, detail
	}
}
