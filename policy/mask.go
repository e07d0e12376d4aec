package policy

import (
	"slices"
	"strings"
)

// maxMapped is how many segments of a recorded path are looked at. No documented
// path has a sixth of it, and more would fill a record with what somebody made up.
const maxMapped = 64

// MapIdentifiers returns a path as call records have it with f's text in the place
// of each identifier: f is told the identifier's name in the operation's template,
// such as "issueIdOrKey", and its value. What f returns is put in as it is.
//
// operation is the id of the one that the call matched, in that edition. Without
// one, or where path is not of its form, path is whatever a client sent: a path, a
// whole URL, the host and port of a CONNECT, or none of them. Each segment is then
// an identifier without a name, unless it is a word of the catalogue (rest, api,
// issue) or a version directly below /rest/api: anything else may be somebody's
// issue. Scheme, host and port stay, since they are where the call was to go, which
// is what a refused call is asked about. User info, and what follows "?" or "#",
// never belonged into a record and is left out.
//
// A value is decoded where its escapes are valid, so that an identifier has one
// value however it was spelled. Of more than 64 segments the rest becomes "…".
func (p *Policy) MapIdentifiers(edition Edition, operation, path string, f func(name, value string) string) string {
	if i := strings.IndexAny(path, "?#"); i >= 0 {
		path = path[:i]
	}
	origin, path := cutOrigin(path)
	segments := strings.SplitN(path, "/", maxMapped+2) // the first is what precedes the first slash
	if origin == "" {
		if template := p.templateOf(edition, operation, segments); template != nil {
			return fill(template, segments[1:], f)
		}
	}
	if len(segments) > maxMapped+1 {
		segments[maxMapped+1] = "…"
	}
	for i, s := range segments {
		if s != "" && i <= maxMapped && !p.isLiteral(segments, i) {
			segments[i] = f("", recordedValue(s))
		}
	}
	return origin + strings.Join(segments, "/")
}

// templateOf returns the segments of the operation's template, if the path has its
// form; nil if not.
func (p *Policy) templateOf(edition Edition, operation string, path []string) []segment {
	if operation == "" || path[0] != "" {
		return nil
	}
	for _, o := range p.operations {
		if o.ID == operation && o.Edition == edition && hasForm(o.segments, path[1:]) {
			return o.segments
		}
	}
	return nil
}

func hasForm(template []segment, path []string) bool {
	return slices.EqualFunc(template, path, func(t segment, s string) bool {
		return t.parameter != "" && s != "" || t.parameter == "" && t.literal == s
	})
}

// fill is the path of a template with f's text for its parameters.
func fill(template []segment, path []string, f func(name, value string) string) string {
	var b strings.Builder
	for i, t := range template {
		b.WriteByte('/')
		if t.parameter == "" {
			b.WriteString(t.literal)
			continue
		}
		b.WriteString(f(string(t.parameter), recordedValue(path[i])))
	}
	return b.String()
}

// isLiteral reports whether segment i is one of some template of the catalogue. A
// version is one in its place alone: elsewhere it is a number, as an id is.
func (p *Policy) isLiteral(path []string, i int) bool {
	for _, o := range p.operations {
		for place, t := range o.segments {
			if t.parameter != "" || t.literal != path[i] {
				continue
			}
			if place != versionPlace || i >= 2 && path[i-2] == "rest" && path[i-1] == "api" {
				return true
			}
		}
	}
	return false
}

// versionPlace is where templates have the version of the API: /rest/api/N.
const versionPlace = 2

// cutOrigin cuts scheme, host and port off: of a URL, or those of a CONNECT. What
// doesn't look like a host is not cut off, and so is an identifier.
func cutOrigin(s string) (origin, path string) {
	if s == "*" {
		return s, "" // of OPTIONS *: it names nothing
	}
	scheme, rest, isURL := strings.Cut(s, "://")
	switch {
	case isURL && (strings.EqualFold(scheme, "http") || strings.EqualFold(scheme, "https")):
		authority, path := rest, ""
		if i := strings.IndexByte(rest, '/'); i >= 0 {
			authority, path = rest[:i], rest[i:]
		}
		host := authority[strings.LastIndexByte(authority, '@')+1:]
		if !hostBytes(host) {
			return scheme + "://", host + path
		}
		return scheme + "://" + host, path
	case strings.Contains(s, "/"):
		return "", s
	}
	host := s[strings.LastIndexByte(s, '@')+1:]
	colon := strings.LastIndexByte(host, ':')
	if colon > 0 && colon < len(host)-1 && strings.Trim(host[colon+1:], "0123456789") == "" && hostBytes(host) {
		return host, ""
	}
	return "", host
}

// hostBytes reports whether s has only bytes of a host and port, brackets of an IP
// literal among them.
func hostBytes(s string) bool {
	for i := range len(s) {
		c := s[i]
		if (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '0' || c > '9') && strings.IndexByte("-._:[]", c) < 0 {
			return false
		}
	}
	return true
}

// recordedValue is what a segment stands for: decoded once, if all its escapes are
// valid, and as it is otherwise.
func recordedValue(s string) string {
	for i := 0; i < len(s); i++ {
		if s[i] != '%' {
			continue
		}
		if _, ok := unhex(s[i:]); !ok {
			return s
		}
		i += 2
	}
	return decodeSegment(s)
}
