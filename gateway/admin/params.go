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

// maxParam is more than any text of a record but its path has, in bytes.
const maxParam = 256

// params are the query parameters of a request, taken one by one. The first error
// stays. Errors don't quote values.
type params struct {
	values url.Values
	err    error
}

// paramsOf refuses parameters that are not among names, are repeated, or have no value.
func paramsOf(r *http.Request, names ...string) *params {
	values, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return &params{err: invalid("the query of the URL is malformed")}
	}
	for name, list := range values {
		switch {
		case !slices.Contains(names, name):
			return &params{err: invalid("there is no query parameter %s; use %s", shortQuoted(name), strings.Join(names, ", "))}
		case len(list) > 1:
			return &params{err: invalid("the query parameter %s is there %d times; give it once", name, len(list))}
		case list[0] == "":
			return &params{err: invalid("the query parameter %s has no value; leave it out", name)}
		}
	}
	return &params{values: values}
}

func shortQuoted(s string) string {
	if len(s) > 40 {
		s = s[:40] + "…"
	}
	return strconv.QuoteToASCII(s)
}

func (p *params) fail(format string, args ...any) {
	if p.err == nil {
		p.err = invalid(format, args...)
	}
}

// text is empty where it isn't given.
func (p *params) text(name string) string {
	s := p.values.Get(name)
	if len(s) > maxParam || !utf8.ValidString(s) {
		p.fail("%s: use up to %d bytes of UTF-8", name, maxParam)
	}
	return s
}

func (p *params) oneOf(name string, allowed ...string) string {
	s := p.values.Get(name)
	if s != "" && !slices.Contains(allowed, s) {
		p.fail("%s: use %s", name, strings.Join(allowed, " or "))
	}
	return s
}

// number is from low to high, or missing where it isn't given.
func (p *params) number(name string, low, high, missing uint64) uint64 {
	s := p.values.Get(name)
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
	s := p.values.Get(name)
	if s == "" {
		return missing
	}
	t, err := audit.ParseTime(s, now)
	if err != nil {
		p.fail("%s: %v", name, err)
	}
	return t.UTC()
}
