package policy

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

const (
	// MaxQuery bounds a raw query, in bytes.
	MaxQuery = 8 << 10
	// MaxQueryParameters bounds how many name=value pairs a query may have.
	MaxQueryParameters = 100
	// MaxQueryValue bounds each decoded name and value, in bytes.
	MaxQueryValue = 1024
)

// pair is one name=value of a query, decoded.
type pair struct{ name, value string }

// parseQuery decodes a raw query, strictly: unlike [net/url.ParseQuery] it
// refuses empty pairs and pairs without "=", so that no two spellings of a
// query differ in what they leave out. Raw bytes outside ASCII are refused as
// Tomcat does. The problem is safe to show; it is "" if the query is well
// formed. One slice is allocated, and a string for each part with escapes.
func parseQuery(raw string) (query []pair, problem string) {
	if raw == "" {
		return nil, ""
	}
	if len(raw) > MaxQuery {
		return nil, fmt.Sprintf("the query has %d bytes; at most %d are read", len(raw), MaxQuery)
	}
	n := strings.Count(raw, "&") + 1
	if n > MaxQueryParameters {
		return nil, fmt.Sprintf("the query has %d parameters; at most %d are read", n, MaxQueryParameters)
	}
	for i := range len(raw) {
		if c := raw[i]; c <= ' ' || c > '~' || c == ';' || c == '#' {
			return nil, fmt.Sprintf("the query has the byte 0x%02x unescaped; write it as %%%02X", c, c)
		}
	}
	query = make([]pair, 0, n)
	for rest, more := raw, true; more; {
		var part string
		part, rest, more = strings.Cut(rest, "&")
		name, value, ok := strings.Cut(part, "=")
		if !ok || name == "" {
			return nil, "the query has a part that is not name=value; leave it out"
		}
		p := pair{}
		if p.name, problem = decodeQuery(name); problem != "" {
			return nil, problem
		}
		if p.value, problem = decodeQuery(value); problem != "" {
			return nil, problem
		}
		query = append(query, p)
	}
	return query, ""
}

// decodeQuery undoes form encoding (+ and %XX), once, and checks what comes of
// it. It allocates only where something is encoded.
func decodeQuery(s string) (decoded, problem string) {
	decoded = s
	if strings.ContainsAny(s, "%+") {
		b := make([]byte, 0, len(s))
		for i := 0; i < len(s); i++ {
			switch c := s[i]; c {
			case '+':
				b = append(b, ' ')
			case '%':
				c, ok := unhex(s[i:])
				if !ok {
					return "", `the query has a "%" that is not followed by two hexadecimal digits`
				}
				b = append(b, c)
				i += 2
			default:
				b = append(b, c)
			}
		}
		decoded = string(b)
	}
	if len(decoded) > MaxQueryValue {
		return "", fmt.Sprintf("the query has a name or value of %d bytes; at most %d are read", len(decoded), MaxQueryValue)
	}
	if !utf8.ValidString(decoded) {
		return "", "the query has a name or value that is not UTF-8"
	}
	if strings.IndexFunc(decoded, unicode.IsControl) >= 0 {
		return "", "the query has a name or value with a control character"
	}
	return decoded, ""
}

// misfit says why a query does not fit an operation. The zero misfit says that
// it does.
type misfit struct {
	kind misfitKind
	at   pair
}

type misfitKind int

const (
	fits misfitKind = iota
	nameUnknown
	nameRepeated
	valueUnknown
)

// fit compares a query with what is documented for the operation. It does not
// allocate.
func (o *Operation) fit(query []pair) misfit {
	var seen uint64 // by index of the parameter; compile sees to it that 64 suffice
	for _, p := range query {
		i := o.parameterIndex(p.name)
		switch {
		case i < 0:
			return misfit{nameUnknown, p}
		case seen&(1<<i) != 0 && !o.Query[i].Repeatable:
			return misfit{nameRepeated, p}
		case !o.Query[i].accepts(p.value):
			return misfit{valueUnknown, p}
		}
		seen |= 1 << i
	}
	return misfit{}
}

// detail puts the misfit into words that are safe to show.
func (m misfit) detail(o *Operation) string {
	switch m.kind {
	case nameUnknown:
		if len(o.Query) == 0 {
			return fmt.Sprintf("the query parameter %s is not documented for %s, which takes none; leave the query out", quote(m.at.name), o.ID)
		}
		return fmt.Sprintf("the query parameter %s is not documented for %s; documented: %s", quote(m.at.name), o.ID, strings.Join(o.QueryNames(), ", "))
	case nameRepeated:
		return fmt.Sprintf("the query parameter %q of %s takes one value; send it once", m.at.name, o.ID)
	case valueUnknown:
		return fmt.Sprintf("the value %s of the query parameter %q is not documented for %s; write %s", quote(m.at.value), m.at.name, o.ID, o.parameter(m.at.name).grammar())
	}
	return ""
}

// accepts reports whether the decoded value is one that the parameter takes.
func (q *QueryParameter) accepts(value string) bool {
	switch q.Type {
	case TypeText:
		return true
	case TypeInteger:
		digits := strings.TrimPrefix(value, "-")
		if digits == "" || len(digits) > 18 {
			return false
		}
		for i := range len(digits) {
			if digits[i] < '0' || digits[i] > '9' {
				return false
			}
		}
		return true
	case TypeBoolean:
		// Jira reads them in any case, and client libraries in Python send True.
		return strings.EqualFold(value, "true") || strings.EqualFold(value, "false")
	case TypeChoice:
		return q.knows(value)
	case TypeList:
		for element := range strings.SplitSeq(value, ",") {
			if !q.knows(element) {
				return false
			}
		}
		return true
	}
	return false
}

func (q *QueryParameter) knows(value string) bool {
	for _, v := range q.Values {
		if v == value {
			return true
		}
	}
	return false
}

// grammar describes the values that the parameter takes.
func (q *QueryParameter) grammar() string {
	switch q.Type {
	case TypeInteger:
		return "a whole number"
	case TypeBoolean:
		return "true or false"
	case TypeChoice:
		return "one of " + strings.Join(q.Values, ", ")
	case TypeList:
		return "one or more of " + strings.Join(q.Values, ", ") + ", separated by commas"
	}
	return "text"
}
