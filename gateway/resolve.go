package gateway

import (
	"errors"
	"fmt"
	"iter"
	"net/url"
	"slices"
	"strings"

	"jiragate/policy"
	"jiragate/tokenstore"
)

// atlassianAPI is the host that Cloud clients name (Atlassian, "Making calls
// to the API": https://api.atlassian.com/ex/jira/{cloudid}/…). With another
// API URL configured, clients may name either host.
const atlassianAPI authority = "api.atlassian.com:443"

// apiPrefix is the base path of all Cloud sites at the API host.
const apiPrefix = "/ex/jira/"

// place is one way to name a connection's Jira: below this path.
type place struct {
	connection *tokenstore.Connection
	base       string // escaped; "" or "/…", no slash at the end
}

// resolver finds the connection that a target belongs to. It is immutable,
// made from one directory.
type resolver struct {
	directory *tokenstore.Directory
	region    tokenstore.Region
	api       *url.URL // where Cloud calls are sent
	apiHosts  []authority
	known     index
}

// newResolver leaves out a connection whose host cannot be read, so that it
// alone is out of reach, and reports it.
func newResolver(dir *tokenstore.Directory, region tokenstore.Region, api *url.URL) (*resolver, error) {
	s := &resolver{directory: tokenstore.NewDirectory(nil, nil), region: region, api: api, apiHosts: []authority{atlassianAPI}}
	own, err := parseAuthority(api.Host, "443")
	switch {
	case err != nil:
		err = fmt.Errorf("read the host of the Atlassian API URL %q: %w", api.Redacted(), err)
	case own != atlassianAPI:
		s.apiHosts = append(s.apiHosts, own)
	}
	s, _, unreadable := s.of(dir)
	return s, errors.Join(err, unreadable)
}

// of is the resolver of another directory. It costs by what is different there, reports
// what newResolver would report of that, and whether any connection has gone, or has
// become another one of that id.
func (s *resolver) of(dir *tokenstore.Directory) (next *resolver, gone bool, _ error) {
	next = new(*s)
	next.directory = dir
	var unreadable error
	next.known, gone, unreadable = s.known.of(dir, s.directory)
	return next, gone, unreadable
}

// Has reports whether clients may be shown a certificate for a host.
func (s *resolver) Has(host string) bool {
	if s.known.at(host) != nil {
		return true
	}
	return s.known.clouds.Len() > 0 && slices.ContainsFunc(s.apiHosts, func(a authority) bool { return a.host() == host })
}

// All are the hosts for which Has is true.
func (s *resolver) All() iter.Seq[string] {
	return func(yield func(string) bool) {
		for host := range s.known.hosts.Keys() {
			if !yield(host) {
				return
			}
		}
		for _, a := range s.apiHosts {
			if s.known.clouds.Len() > 0 && !yield(a.host()) {
				return
			}
		}
	}
}

// reachable reports whether any connection of the client is at a. Whether it
// is one of somebody else's, or nobody's, the client is not told.
func (s *resolver) reachable(client *tokenstore.Client, a authority) *refusal {
	port := a.port()
	for _, c := range s.known.at(a.host()) {
		if c.Port() == port && client.Granted(c.ID) {
			return nil
		}
	}
	if slices.Contains(s.apiHosts, a) {
		for _, id := range client.Connections {
			if c, ok := s.directory.Connection(id); ok && c.Edition == policy.Cloud {
				return nil
			}
		}
	}
	return noConnection()
}

// candidates calls yield for each connection at the target's host whose base
// path the target is below.
func (s *resolver) candidates(t target, yield func(place)) {
	port := t.authority.port()
	for _, c := range s.known.at(t.authority.host()) {
		if base := c.ContextPath(); c.Port() == port && below(t.path, base) {
			yield(place{c, base})
		}
	}
	if rest, ok := strings.CutPrefix(t.path, apiPrefix); ok && slices.Contains(s.apiHosts, t.authority) {
		id, _, _ := strings.Cut(rest, "/")
		for _, c := range s.known.site(id) {
			yield(place{c, t.path[:len(apiPrefix)+len(id)]})
		}
	}
}

func noConnection() *refusal {
	return refuse(CodeConnectionUnknown, "None of the client's connections is at this host and path. "+
		"Call the site or base URL of one of its connections, or have a connection granted: jiragate client grant CLIENT CONNECTION.")
}

// resolve finds the one connection of the client that t belongs to, and the
// path below its base. A nil client stands for the operator, who may use them
// all. chosen, if not empty, is the connection the client asked for.
func (s *resolver) resolve(client *tokenstore.Client, chosen string, t target) (*tokenstore.Connection, string, *refusal) {
	if chosen != "" && !s.granted(client, chosen) {
		return nil, "", notGranted()
	}
	var found place
	var fit int // connections, at that length of the base path
	fits := func(p place) bool {
		return (chosen == "" || p.connection.ID == chosen) && s.granted(client, p.connection.ID)
	}
	s.candidates(t, func(p place) {
		switch {
		case !fits(p):
		case fit == 0 || len(p.base) > len(found.base):
			// A longer base path is a closer match: /jira before /.
			found, fit = p, 1
		case len(p.base) == len(found.base):
			fit++
		}
	})
	switch {
	case fit == 0 && chosen != "":
		return nil, "", refuse(CodeConnectionUnknown, "The chosen connection is not at this host and path. Call its own site or base URL.")
	case fit == 0:
		return nil, "", noConnection()
	case fit > 1:
		var ids []string
		s.candidates(t, func(p place) {
			if fits(p) && len(p.base) == len(found.base) {
				ids = append(ids, p.connection.ID)
			}
		})
		return nil, "", refuse(CodeConnectionAmbiguous, "The client's connections "+strings.Join(ids, ", ")+
			" all fit. Choose one by the request field "+connectionField+": ID, or by the proxy user name CLIENT+ID.")
	}
	c := found.connection
	return c, t.path[len(found.base):], s.usable(c)
}

// basePrefix is the path of the base-URL door: /c/{connection}/rest/api/….
const basePrefix = "/c/"

// resolveBase reads a base-URL request, which names its connection in its path.
func (s *resolver) resolveBase(client *tokenstore.Client, chosen, requestURI string) (c *tokenstore.Connection, t target, rest string, _ *refusal) {
	t.path, t.rawQuery = splitTarget(requestURI)
	tail, ok := strings.CutPrefix(t.path, basePrefix)
	id, _, _ := strings.Cut(tail, "/")
	if !ok {
		return nil, t, "", refuse(CodeConnectionUnknown, "This is a forward proxy. Use it as HTTPS_PROXY, or call /c/{connection}/rest/api/….")
	}
	if chosen != "" && chosen != id {
		return nil, t, "", refuse(CodeConnectionAmbiguous, "The path and the "+connectionField+" field or proxy user name choose different connections.")
	}
	if !s.granted(client, id) {
		return nil, t, "", notGranted()
	}
	c, ok = s.directory.Connection(id)
	if !ok {
		return nil, t, "", notGranted()
	}
	return c, t, tail[len(id):], s.usable(c)
}

// granted is false for a connection that does not exist, too: the client is
// not told which.
func (s *resolver) granted(client *tokenstore.Client, connection string) bool {
	if client != nil {
		return client.Granted(connection)
	}
	_, ok := s.directory.Connection(connection)
	return ok
}

func notGranted() *refusal {
	return refuse(CodeNotGranted, "The client may not use the connection it chose. Have it granted: jiragate client grant CLIENT CONNECTION.")
}

// usable refuses a connection that is switched off or of another region. One
// that needs reauthorisation is refused later, once the call is recorded.
func (s *resolver) usable(c *tokenstore.Connection) *refusal {
	switch {
	case c.State == tokenstore.StateDisabled:
		return refuse(CodeConnectionDisabled, "The connection was disabled by an operator; jiragate connection enable switches it on.")
	case c.Region != s.region:
		return refuse(CodeConnectionOtherRegion, fmt.Sprintf("The connection belongs to region %s, this gateway serves %s. Call that region's gateway.", c.Region, s.region))
	}
	return nil
}

// below reports whether path is base itself or below it, segment by segment
// and byte for byte: "/jira2/x" is not below "/jira".
func below(path, base string) bool {
	return strings.HasPrefix(path, base) && (len(path) == len(base) || path[len(base)] == '/')
}

// upstream is the origin and base path that calls of c are sent to, the same
// whichever way the client named it.
func (s *resolver) upstream(c *tokenstore.Connection) (scheme, host, base string) {
	if c.Edition == policy.Cloud {
		return s.api.Scheme, s.api.Host, strings.TrimSuffix(s.api.Path, "/") + apiPrefix + c.CloudID
	}
	return "https", strings.TrimSuffix(c.Authority(), ":443"), c.ContextPath()
}
