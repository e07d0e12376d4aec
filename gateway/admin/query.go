package admin

import (
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// Bounds of the query of a list.
const (
	// MaxPage is how many rows a page can have.
	MaxPage = 200
	// maxQueryValue is how long a value of the query can be, in bytes.
	maxQueryValue = 256
)

// queryOf reads the query of a request, which may have these names, each once. A
// form sends the fields that were left empty, too: they are as if they weren't there.
func queryOf(r *http.Request, names ...string) (url.Values, error) {
	query, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return nil, invalid("the query of the URL can't be read: escapes are wrong, or it has a semicolon")
	}
	for name, values := range query {
		switch {
		case !slices.Contains(names, name):
			return nil, invalid("the query has an unknown parameter %.40q: use %s", name, strings.Join(names, ", "))
		case len(values) > 1:
			return nil, invalid("the query has %s more than once", name)
		case len(values[0]) > maxQueryValue || !utf8.ValidString(values[0]):
			return nil, invalid("%s in the query is not text of at most %d bytes", name, maxQueryValue)
		case values[0] == "":
			delete(query, name)
		}
	}
	return query, nil
}

// oneOf returns the value of a name in a query, which is one of allowed, or empty.
func oneOf[T ~string](query url.Values, name string, allowed ...T) (T, error) {
	v := T(query.Get(name))
	if v == "" || slices.Contains(allowed, v) {
		return v, nil
	}
	return "", invalid("%s in the query is %.40q: use one of %q", name, v, allowed)
}

// limitOf is how many rows a page is to have; 0 means that none is asked for.
func limitOf(query url.Values) (int, error) {
	s := query.Get("limit")
	if s == "" {
		return 0, nil
	}
	n, err := strconv.Atoi(s)
	if err != nil || n < 1 || n > MaxPage {
		return 0, invalid("limit in the query is how many rows to answer with: use 1 to %d", MaxPage)
	}
	return n, nil
}

// page is a part of a sorted list.
type page[T any] struct {
	rows  []T
	total int  // matching, on whatever page
	more  bool // others follow
}

// paged picks from a list, sorted by key, what matches and comes behind after; no more
// than limit, unless that is 0.
func paged[T any](list []T, key func(T) string, matches func(T) bool, after string, limit int) page[T] {
	var p page[T]
	for _, row := range list {
		if !matches(row) {
			continue
		}
		p.total++
		switch {
		case key(row) <= after:
		case limit > 0 && len(p.rows) == limit:
			p.more = true
		default:
			p.rows = append(p.rows, row)
		}
	}
	return p
}

// announce tells in the header of how many rows a page is one, and where the next is
// (RFC 8288).
func (p page[T]) announce(w http.ResponseWriter, r *http.Request, query url.Values, key func(T) string) {
	w.Header().Set("Total-Count", strconv.Itoa(p.total))
	if !p.more {
		return
	}
	query.Set("after", key(p.rows[len(p.rows)-1]))
	w.Header().Set("Link", "<"+r.URL.EscapedPath()+"?"+query.Encode()+`>; rel="next"`)
}

// containsFold returns a function that reports whether text is somewhere in s, in
// whatever case.
func containsFold(text string) func(s string) bool {
	if text == "" {
		return func(string) bool { return true }
	}
	text = strings.ToLower(text)
	return func(s string) bool { return strings.Contains(strings.ToLower(s), text) }
}
