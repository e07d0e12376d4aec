package jirasim

import (
	"cmp"
	"net/http"
	"net/netip"
	"slices"
	"strconv"
	"strings"
)

// The words of refusals. Each is what the real thing answered, or is documented
// to answer.
const (
	// https://confluence.atlassian.com/pages/viewpage.action?pageId=1384133808
	notOnTheList = "The IP address has been rejected because it is not on the allowed list. See your admin for more information."
	// https://codeclou.io/blog/2021/03/disabling-basic-auth-in-jira-and-allowlisting-customfield-editor-rest-api/
	noBasicAuth  = "Basic Authentication has been disabled on this instance."
	notInstalled = "The app is not installed on this instance"
	siteGone     = "Site temporarily unavailable"
	unlicensed   = "You will not be able to create new issues because your JIRA evaluation period has expired, please contact your JIRA administrators."
)

// AllowFrom gives the Cloud sites an IP allowlist, and has the proxy in front of
// Data Center let in the same addresses alone. It replaces the list; without
// prefixes there is none. What counts is the address that the connection comes
// from, whatever a request says. The authorization server and the list of
// accessible sites know no allowlists
// (https://confluence.atlassian.com/pages/viewpage.action?pageId=1384133808).
func (s *Sim) AllowFrom(prefixes ...netip.Prefix) {
	prefixes = slices.Clone(prefixes)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.allowed = prefixes
}

// admits reports whether the allowlist, if there is one, has the address that a
// call came from.
func (s *Sim) admits(c *call) bool {
	s.mu.Lock()
	allowed := s.allowed // replaced, never changed
	s.mu.Unlock()
	if len(allowed) == 0 {
		return true
	}
	from, err := netip.ParseAddrPort(c.sent.RemoteAddr)
	if err != nil {
		return false
	}
	return slices.ContainsFunc(allowed, func(p netip.Prefix) bool { return p.Contains(from.Addr().Unmap()) })
}

// ipRefused is the answer to an address that is not on the list: Jira Cloud's, or
// that of an nginx in front of Data Center.
func ipRefused(o Origin, status int) reply {
	if o == CloudAPI {
		return failure(status, notOnTheList)
	}
	says := strconv.Itoa(status) + " " + http.StatusText(status)
	return reply{status, http.Header{"Content-Type": {"text/html"}, "Server": {"nginx/1.28.0"}},
		[]byte("<html>\r\n<head><title>" + says + "</title></head>\r\n<body>\r\n<center><h1>" + says + "</h1></center>\r\n<hr><center>nginx/1.28.0</center>\r\n</body>\r\n</html>\r\n")}
}

// refusal is the answer of the faults with which the customer's side says no. Where
// the kind cannot happen to the request, Jira answers.
func (m *misbehaviour) refusal(f Fault) (reply, bool) {
	if m.origin == AuthServer {
		return reply{}, false
	}
	cloud := m.origin == CloudAPI
	switch {
	case f.Kind == IPRefused:
		return ipRefused(m.origin, cmp.Or(f.Status, http.StatusForbidden)), true
	case f.Kind == AppRefused && cloud:
		return edgeFailure(cmp.Or(f.Status, http.StatusForbidden), notInstalled), true
	case f.Kind == SiteUnavailable && cloud:
		p := jsonReply(cmp.Or(f.Status, http.StatusNotFound), obj{"errorCode": "OTHER", "errorMessage": siteGone})
		p.header.Set("Atl-Missing-Tcs", "true")
		return p, true
	case f.Kind == SiteUnavailable && m.r.Method == http.MethodPost:
		return m.fromNode(failure(cmp.Or(f.Status, http.StatusBadRequest), unlicensed), loginOK), true
	case f.Kind == BasicAuthDisabled && !cloud:
		if scheme, _, _ := strings.Cut(m.r.Header.Get("Authorization"), " "); strings.EqualFold(scheme, "Basic") {
			return m.fromNode(jsonReply(cmp.Or(f.Status, http.StatusForbidden), obj{"message": noBasicAuth}), loginNone), true
		}
	case f.Kind == PermissionRefused:
		says := map[string]string{
			http.MethodPost:   "You do not have permission to create issues in this project.",
			http.MethodDelete: "You do not have permission to delete issues in this project.",
		}
		p := failure(cmp.Or(f.Status, http.StatusForbidden), cmp.Or(f.Value, says[m.r.Method], "You do not have the permission to see the specified issue."))
		if !cloud {
			p = m.fromNode(p, loginOK)
		}
		return p, true
	}
	return reply{}, false
}

// fromNode adds the header fields by which an answer is Data Center's own.
func (m *misbehaviour) fromNode(p reply, reason loginReason) reply {
	p.header.Set("X-AREQUESTID", "570x1x1")
	p.header.Set("X-ANODEID", "node1")
	if reason != loginNone {
		p.header.Set("X-Seraph-LoginReason", string(reason))
		p.header.Set("X-AUSERNAME", m.sim.o.Username)
	}
	return p
}
