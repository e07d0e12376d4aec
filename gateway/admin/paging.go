package admin

import (
	"net/http"
	"net/url"
	"strconv"
	"strings"
)

// MaxPage is how many rows a page of a list can have, and how many connections a client
// in it.
const MaxPage = 200

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
// (RFC 8288): what was asked for in query, from the last row of this one on.
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
