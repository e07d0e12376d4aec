package admin

import (
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"jiragate/gateway/audit"
)

// maxParam is how long the value of a query parameter can be, in bytes.
const maxParam = 256

// params are the query parameters of a request, taken one by one. The first error
// stays. Errors don't quote values.
type params struct {
	values url.Values
	err    error
}

// paramsOf reads the query of a request, which may have these names, each once. A form
// sends the fields that were left empty, too: they are as if they weren't there.
func paramsOf(r *http.Request, names ...string) *params {
	values, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return &params{err: invalid("the query of the URL is malformed: an escape is wrong, or it has a semicolon")}
	}
	p := &params{values: values}
	for name, list := range values {
		switch {
		case !slices.Contains(names, name):
			p.fail("there is no query parameter %s; use %s", shortQuoted(name), listed(names))
		case len(list) > 1:
			p.fail("the query parameter %s is there %d times; give it once", name, len(list))
		case len(list[0]) > maxParam || !utf8.ValidString(list[0]):
			p.fail("%s: use up to %d bytes of UTF-8", name, maxParam)
		case list[0] == "":
			delete(values, name)
		}
	}
	return p
}

func shortQuoted(s string) string {
	if len(s) > 40 {
		s = s[:40] + "…"
	}
	return strconv.QuoteToASCII(s)
}

// listed is a list in a sentence: a, b or c.
func listed(names []string) string {
	switch last := len(names) - 1; last {
	case -1:
		return "none"
	case 0:
		return names[0]
	default:
		return strings.Join(names[:last], ", ") + " or " + names[last]
	}
}

func (p *params) fail(format string, args ...any) {
	if p.err == nil {
		p.err = invalid(format, args...)
	}
}

// text is empty where it isn't given.
func (p *params) text(name string) string { return p.values.Get(name) }

// oneOf is one of allowed, or empty where it isn't given.
func oneOf[T ~string](p *params, name string, allowed ...T) T {
	v := T(p.text(name))
	if v != "" && !slices.Contains(allowed, v) {
		var names []string
		for _, a := range allowed {
			names = append(names, string(a))
		}
		p.fail("%s: use %s", name, listed(names))
	}
	return v
}

// number is from low to high, or missing where it isn't given.
func (p *params) number(name string, low, high, missing uint64) uint64 {
	s := p.text(name)
	if s == "" {
		return missing
	}
	n, err := strconv.ParseUint(s, 10, 64)
	if err != nil || n < low || n > high {
		p.fail("%s: use a number from %d to %d", name, low, high)
		return missing
	}
	return n
}

// time is as [audit.ParseTime] reads it, in UTC, or missing where it isn't given.
func (p *params) time(name string, now, missing time.Time) time.Time {
	s := p.text(name)
	if s == "" {
		return missing
	}
	t, err := audit.ParseTime(s, now)
	if err != nil {
		p.fail("%s: %v", name, err)
	}
	return t.UTC()
}
