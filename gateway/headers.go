package gateway

import (
	"net/http"
	"net/url"
	"strings"
)

// forwardedFields are the request header fields that reach Jira, all others
// don't (G4; threats P7, P8). None of them identifies, routes or overrides.
var forwardedFields = []string{
	"Accept",
	"Accept-Language",
	"If-Modified-Since",
	"If-None-Match",
}

// fields are a header with one array for all of its values. The zero value has none.
type fields struct {
	header http.Header
	values []string
}

func (f *fields) set(name, value string) {
	if f.header == nil {
		const usual = 8 // in one small table; more than there are but in some writes
		f.header, f.values = make(http.Header, usual), make([]string, 0, usual)
	}
	f.values = append(f.values, value)
	n := len(f.values)
	f.header[name] = f.values[n-1 : n : n]
}

// clear takes all fields away, and keeps their memory.
func (f *fields) clear() {
	clear(f.header)
	clear(f.values)
	f.values = f.values[:0]
}

// requestHeader sets the header of the request to Jira.
func requestHeader(out *fields, in *http.Request, method, userAgent string) {
	for _, name := range forwardedFields {
		if v := strings.Join(in.Header[name], ", "); v != "" && visible(v) {
			out.set(name, v)
		}
	}
	out.set("User-Agent", userAgent)
	out.set("Via", via(in.ProtoMajor))
	// Answers are asked for as they are, so that a reflected credential can
	// be found in them.
	out.set("Accept-Encoding", "identity")
	if method != http.MethodGet {
		// Jira answers 403 "XSRF check failed" to some writes without it
		// (Atlassian, "Form token handling").
		out.set("X-Atlassian-Token", "no-check")
	}
}

// visible reports whether a field value is printable ASCII (RFC 9110 section
// 5.5); what isn't may be read differently elsewhere, and stays here.
func visible(v string) bool {
	for i := range len(v) {
		if v[i] < ' ' || v[i] > '~' {
			return false
		}
	}
	return true
}

// via is the Via value for a message received with r's protocol (RFC 9110
// section 7.6.3). The pseudonym says nothing of hosts.
func via(major int) string {
	if major >= 2 {
		return "2 " + proxyName
	}
	return "1.1 " + proxyName
}

// returnedFields are the response header fields that reach the client, beside
// those that begin with a prefix of returnedPrefixes. Session cookies and
// challenges are not among them (threats H6, H12).
var returnedFields = map[string]bool{
	"Age":                  true,
	"Allow":                true,
	"Atl-Request-Id":       true,
	"Atl-Traceid":          true,
	"Cache-Control":        true,
	"Content-Disposition":  true,
	"Content-Language":     true,
	"Content-Type":         true,
	"Date":                 true,
	"Deprecation":          true,
	"Etag":                 true,
	"Expires":              true,
	"Last-Modified":        true,
	"Ratelimit":            true,
	"Ratelimit-Policy":     true,
	"Ratelimit-Reason":     true,
	"Retry-After":          true,
	"Sunset":               true,
	"Vary":                 true,
	"Warning":              true,
	"X-Arequestid":         true,
	"X-Seraph-Loginreason": true,

	"X-Authentication-Denied-Reason": true,
}

// returnedPrefixes cover Jira's rate limits, whose names vary and change
// (X-RateLimit-Remaining, X-Beta-RateLimit-…, Beta-RateLimit-Policy).
var returnedPrefixes = []string{"X-Ratelimit-", "X-Beta-Ratelimit-", "Beta-Ratelimit"}

func returned(name string) bool {
	if returnedFields[name] {
		return true
	}
	for _, p := range returnedPrefixes {
		if strings.HasPrefix(name, p) {
			return len(name) <= maxFieldName
		}
	}
	return false
}

// maxFieldName bounds the names that returnedPrefixes let through, so that no
// secret of a useful length fits into one.
const maxFieldName = 40

// responseHeader copies the allowlisted fields of Jira's answer to h, and says
// whether one of them holds a secret.
func responseHeader(h http.Header, answer *http.Response, location func(string) bool, s secrets) (clean bool) {
	for name, values := range answer.Header {
		keep := returned(name) || name == "Location" && len(values) == 1 && location(values[0])
		if !keep {
			continue
		}
		for _, v := range values {
			if s.inText(v) {
				return false
			}
		}
		h[name] = values
	}
	return true
}

// inside reports whether a Location leads to the connection itself, by any of
// the names that clients may use for it.
func (c *Call) inside(location string) bool {
	if strings.Contains(location, "..") {
		return false
	}
	if strings.HasPrefix(location, "/") && !strings.HasPrefix(location, "//") {
		_, _, base := c.resolver.upstream(c.connection)
		path, _ := splitTarget(location)
		return below(path, base)
	}
	if u, err := url.Parse(location); err != nil || u.Scheme != "https" || u.User != nil {
		return false
	}
	t, refused := splitAbsolute(location)
	if refused != nil {
		return false
	}
	found := false
	c.resolver.candidates(t, func(p place) { found = found || p.connection.ID == c.connection.ID })
	return found
}
