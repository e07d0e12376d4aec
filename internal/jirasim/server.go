package jirasim

import (
	"errors"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
)

// maxBody bounds what is read, and kept, of a request body.
const maxBody = 2 << 20

// call is one request on its way to a handler.
type call struct {
	sim     *Sim
	origin  Origin
	sent    *http.Request // as it arrived, its body read; for signatures
	method  string        // after method override
	path    string        // as the servlet container reads it, below the base path
	version string        // of the REST API: "3", "2", "latest"
	header  http.Header
	query   url.Values
	body    []byte
	params  map[string]string
	view    view  // links and shapes of this edition, site and version
	user    *user // who is calling, once that is known

	accepted bool // the credential was good
}

// intParam returns a non-negative number of the query.
func (c *call) intParam(name string, otherwise int) (int, *reply) {
	return intParam(c.query, name, otherwise)
}

// ServeHTTP takes one request: read it whole, record it, carry it out unless a
// fault is in the way, and send the answer, unless a fault is in the way of that.
func (o *origin) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s := o.sim
	if !s.begin() {
		panic(http.ErrAbortHandler)
	}
	defer s.calls.Done()

	body, bodyErr := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	record := &Request{
		Origin: o.name, Time: s.o.Now(), Method: r.Method, RequestURI: r.RequestURI, Host: r.Host,
		Header: r.Header.Clone(), Trailer: r.Trailer.Clone(), Body: body, RemoteAddr: r.RemoteAddr, Proto: r.Proto,
	}
	if r.TLS != nil {
		record.ServerName = r.TLS.ServerName
	}
	c, bad := o.newCall(r, body)
	active := s.faults.take(o.name, r.Method, r.RequestURI, s.belowBase(o.name, c.path))
	for _, f := range active {
		record.Faults = append(record.Faults, f.Kind)
	}
	s.record.arrive(record)
	m := misbehaviour{sim: s, origin: o.name, faults: active, w: w, r: r, body: body}
	defer func() {
		s.record.update(record, func(q *Request) { q.Ended, q.Aborted = true, m.aborted })
	}()

	if _, tooLarge := errors.AsType[*http.MaxBytesError](bodyErr); tooLarge {
		bad = new(htmlReply(http.StatusRequestEntityTooLarge, "Request Entity Too Large", "<h1>413</h1>"))
	} else if bodyErr != nil {
		m.aborted = true
		return
	}
	if !m.wait() {
		return
	}
	answer := m.replacement(func() reply {
		if bad != nil {
			return *bad
		}
		return o.serve(c)
	})
	s.record.update(record, func(q *Request) {
		q.CredentialAccepted = c.accepted
		q.Status = answer.status
	})
	m.send(answer)
}

// newCall reads the request as Jira's servlet container would. The second
// result is the answer of a container that will not have it.
func (o *origin) newCall(r *http.Request, body []byte) (*call, *reply) {
	c := &call{sim: o.sim, origin: o.name, sent: r, method: r.Method, header: r.Header, body: body}
	// Values that do not parse are dropped, and so is ";" as a separator.
	c.query, _ = url.ParseQuery(r.URL.RawQuery)
	// Whether Jira honours these is not documented either way, so it does.
	for _, name := range []string{"X-Http-Method-Override", "X-Http-Method", "X-Method-Override"} {
		if m := r.Header.Get(name); m != "" && r.Method == http.MethodPost {
			c.method = strings.ToUpper(m)
		}
	}
	target := r.RequestURI
	if !strings.HasPrefix(target, "/") {
		target = r.URL.EscapedPath() // absolute form
	}
	path, ok := servletPath(target)
	if !ok {
		return c, new(htmlReply(http.StatusBadRequest, "HTTP Status 400 – Bad Request", "<h1>HTTP Status 400 – Bad Request</h1>"))
	}
	c.path = path
	return c, nil
}

// belowBase cuts the base path of an origin off a path, for matching faults.
func (s *Sim) belowBase(o Origin, path string) string {
	switch o {
	case CloudAPI:
		if rest, ok := strings.CutPrefix(path, "/ex/jira/"); ok {
			_, rest, _ = strings.Cut(rest, "/")
			return "/" + rest
		}
	case DataCenter:
		return strings.TrimPrefix(path, s.o.ContextPath)
	}
	return path
}

// below takes prefix off the path, by whole segments.
func (c *call) below(prefix string) bool {
	rest, ok := strings.CutPrefix(c.path, prefix)
	if !ok || rest != "" && rest[0] != '/' {
		return false
	}
	c.path = rest
	return true
}

// route is one operation. Segments of the path in braces are parameters.
type route struct {
	method string
	path   string
	scope  string // Cloud: the scope a token must have
	handle func(*call) reply
}

// find returns the route for a call and sets its parameters. Without one, allow
// holds the methods that the path does have. The first matching route wins, so
// literal paths stand before their siblings with parameters.
func find(routes []route, c *call) (found *route, allow []string) {
	segments := strings.Split(c.path, "/")
	method := c.method
	if method == http.MethodHead {
		method = http.MethodGet
	}
	for i := range routes {
		params, ok := match(strings.Split(routes[i].path, "/"), segments)
		switch {
		case !ok:
		case routes[i].method == method:
			c.params = params
			return &routes[i], nil
		case !slices.Contains(allow, routes[i].method):
			allow = append(allow, routes[i].method)
		}
	}
	return nil, allow
}

func match(pattern, segments []string) (map[string]string, bool) {
	if len(pattern) != len(segments) {
		return nil, false
	}
	params := make(map[string]string)
	for i, p := range pattern {
		if name, ok := strings.CutPrefix(p, "{"); ok {
			params[strings.TrimSuffix(name, "}")] = segments[i]
		} else if p != segments[i] {
			return nil, false
		}
	}
	return params, true
}

// restVersion replaces the version in a REST path by the documented one and
// keeps the one that was asked for, as Jira does with its aliases.
func (c *call) restVersion(documented string, aliases ...string) {
	c.version = documented
	for _, alias := range aliases {
		if rest, ok := strings.CutPrefix(c.path, "/rest/api/"+alias+"/"); ok {
			c.version = alias
			c.path = "/rest/api/" + documented + "/" + rest
		}
	}
}

// noRoute answers a path or method that Jira does not have.
func noRoute(allow []string) reply {
	if len(allow) == 0 {
		return reply{http.StatusNotFound, http.Header{"Content-Type": {"application/json;charset=UTF-8"}},
			[]byte(`{"errorMessages":["null for uri"],"errors":{}}`)}
	}
	p := failure(http.StatusMethodNotAllowed, "HTTP 405 Method Not Allowed")
	p.header.Set("Allow", strings.Join(allow, ","))
	return p
}

// looksLikeBrowser says whether Jira's XSRF check would take the sender for a
// page in a browser: only browsers can be tricked into sending a request.
func looksLikeBrowser(h http.Header) bool {
	agent := h.Get("User-Agent")
	return h.Get("Origin") != "" || h.Get("Referer") != "" || h.Get("Sec-Fetch-Site") != "" ||
		strings.Contains(agent, "Mozilla/") || strings.Contains(agent, "Opera/")
}

// xsrfRefused answers a change sent by what looks like a browser without
// X-Atlassian-Token: no-check, whatever its credential (Atlassian's knowledge
// base, "XSRF check failed when calling Cloud APIs").
func (c *call) xsrfRefused() *reply {
	if c.method == http.MethodGet || c.method == http.MethodHead || !looksLikeBrowser(c.header) ||
		strings.EqualFold(c.header.Get("X-Atlassian-Token"), "no-check") {
		return nil
	}
	return &reply{http.StatusForbidden, http.Header{"Content-Type": {"text/html;charset=UTF-8"}}, []byte("XSRF check failed")}
}
