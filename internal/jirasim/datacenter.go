package jirasim

import (
	"cmp"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
)

// dataCenterRoutes are those of Data Center 10.3, below the context path.
func dataCenterRoutes() []route {
	return slices.Concat([]route{
		{"GET", "/rest/api/2/myself", "", getMyself},
		{"GET", "/rest/api/2/project", "", listProjects},
		{"GET", "/rest/api/2/issue/createmeta/{project}/issuetypes", "", getCreateMetaTypes},
		{"GET", "/rest/api/2/issue/createmeta/{project}/issuetypes/{type}", "", getCreateMetaFields},
		{"GET", "/rest/api/2/project/{project}/components", "", getComponents},
		{"GET", "/rest/api/2/user/picker", "", pickUsers},
		{"GET", "/rest/api/2/user/assignable/search", "", searchAssignable},
		{"GET", "/rest/api/2/priority", "", getPriorities},
		{"POST", "/rest/api/2/issue", "", createIssue},

		{"GET", "/rest/api/2/priority/page", "", getPrioritiesPaged},
		{"GET", "/rest/api/2/search", "", searchIssues},
		{"POST", "/rest/api/2/search", "", searchIssues},
		{"POST", "/rest/auth/1/session", "", getSession},
		{"GET", "/rest/pat/latest/tokens", "", getTokens},
		{"POST", "/rest/pat/latest/tokens", "", makeToken},
	}, undocumentedRoutes("2"), []route{
		{"GET", "/rest/api/2/project/{project}", "", getProject},
		{"DELETE", "/rest/api/2/issue/{issue}", "", deleteIssue},
	})
}

// baseURL is the base URL that Data Center's administrator configured.
func (s *Sim) baseURL() string { return cmp.Or(s.o.BaseURL, s.DataCenterURL()) }

// serveDataCenter is a customer's Jira Data Center.
func (s *Sim) serveDataCenter(c *call) reply {
	if !s.admits(c) {
		return ipRefused(DataCenter, http.StatusForbidden) // by the proxy in front of it
	}
	if !c.below(s.o.ContextPath) {
		return htmlReply(http.StatusNotFound, "HTTP Status 404 – Not Found", "<h1>HTTP Status 404 – Not Found</h1>")
	}
	// The endpoints of OAuth know their callers by other means.
	switch {
	case strings.HasPrefix(c.path, dcProviderPath):
		return s.dataCenterHeaders(c, s.serveProvider(c), login{})
	case strings.HasPrefix(c.path, linkPath):
		return s.dataCenterHeaders(c, s.serveLinks(c), login{})
	}
	who := s.login(c)
	var p reply
	switch {
	case who.reason == loginDenied:
		p = s.captcha()
	case who.problem != nil:
		p = s.linkRefusal(who.problem)
	case who.reason == loginFailed:
		p = htmlReply(http.StatusUnauthorized, "Unauthorized (401)", "<h1>Unauthorized (401)</h1><p>Basic Authentication Failure - Reason : AUTHENTICATED_FAILED</p>")
		p.header.Set("WWW-Authenticate", s.challenge())
	case c.path == "/status":
		p = jsonReply(http.StatusOK, obj{"state": "RUNNING"})
	case !strings.HasPrefix(c.path, "/rest/"):
		p = s.page(c, who.reason == loginOK)
	case who.reason == loginNone:
		p = jsonReply(http.StatusUnauthorized, obj{"message": "Client must be authenticated to access this resource.", "status-code": 401})
		p.header.Set("WWW-Authenticate", s.challenge())
	case who.readOnly && c.method != http.MethodGet && c.method != http.MethodHead:
		p = failure(http.StatusForbidden, "The access token's scope does not allow this.")
	default:
		c.accepted = true
		p = s.buckets.guard(who.name, func() reply { return s.dataCenterAnswer(c, who.name) })
	}
	return s.dataCenterHeaders(c, p, who)
}

// login judges the credential of a request, of whatever kind.
func (s *Sim) login(c *call) login {
	if isOAuth1(c.header) {
		name, bad := s.links.login(c)
		if bad != nil {
			return login{reason: loginFailed, problem: bad}
		}
		return login{name: name, reason: loginOK}
	}
	if scopes, err := s.dcOAuth.scopes(bearer(c.header)); err == nil {
		return login{name: s.o.Username, reason: loginOK, readOnly: !mayChange(scopes)}
	}
	return s.accounts.login(c.header)
}

func (s *Sim) dataCenterAnswer(c *call, name string) reply {
	c.restVersion("2", "latest", "2.0.alpha1")
	c.view = view{base: s.baseURL(), version: "2"}
	c.user = s.world.bot
	for _, u := range s.world.users {
		if u.name == name {
			c.user = u
		}
	}
	r, allow := find(s.routes[DataCenter], c)
	if r == nil {
		return noRoute(allow)
	}
	if p := c.xsrfRefused(); p != nil {
		return *p
	}
	return r.handle(c)
}

// dataCenterHeaders adds what Jira adds to every answer.
func (s *Sim) dataCenterHeaders(c *call, p reply, who login) reply {
	h := p.header
	h.Set("X-AREQUESTID", fmt.Sprintf("%dx%dx1", 60*s.o.Now().UTC().Hour()+s.o.Now().UTC().Minute(), s.record.count()))
	h.Set("X-ANODEID", "node1")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Referrer-Policy", "strict-origin-when-cross-origin")
	if who.reason != loginNone {
		h.Set("X-Seraph-LoginReason", string(who.reason))
	}
	if who.reason == loginOK {
		h.Set("X-AUSERNAME", url.PathEscape(who.name))
		h.Set("Cache-Control", "no-cache, no-store, no-transform")
	}
	path := cmp.Or(s.o.ContextPath, "/")
	owner := ""
	if who.session {
		owner = who.name
	}
	if _, err := (&http.Request{Header: c.header}).Cookie("JSESSIONID"); err != nil || who.session {
		h.Add("Set-Cookie", "JSESSIONID="+s.accounts.newSession(owner)+"; Path="+path+"; Secure; HttpOnly")
	}
	if who.reason == loginOK {
		h.Add("Set-Cookie", "atlassian.xsrf.token=BP8Q-WXN6-SKX3-NB5M_7f1a4c20d3_lin; Path="+path+"; Secure; SameSite=None")
	}
	return p
}

// challenge is what Jira's OAuth plugin sends with a 401.
func (s *Sim) challenge() string { return `OAuth realm="` + url.QueryEscape(s.baseURL()) + `"` }

// captcha denies a login without having looked at the password, as seen in
// https://github.com/ankitpokhrel/jira-cli/issues/353.
func (s *Sim) captcha() reply {
	p := htmlReply(http.StatusForbidden, "Forbidden (403)",
		"<h1>Forbidden (403)</h1><p>Encountered a \"403 - Forbidden\" error while loading this page.</p><p>Basic Authentication Failure - Reason : AUTHENTICATION_DENIED</p>")
	p.header.Set("X-Authentication-Denied-Reason", "CAPTCHA_CHALLENGE; login-url="+s.baseURL()+"/login.jsp")
	p.header.Set("WWW-Authenticate", s.challenge())
	return p
}

// page is everything that is meant for people: the login page, and redirects to
// it for whoever has not logged in.
func (s *Sim) page(c *call, loggedIn bool) reply {
	c.accepted = loggedIn
	switch {
	case c.path == "" || c.path == "/":
		return redirectReply(http.StatusFound, s.baseURL()+"/secure/MyJiraHome.jspa")
	case c.path == "/login.jsp":
		return htmlReply(http.StatusOK, "Log in - Acme Jira",
			`<form method="post" action="login.jsp"><input name="os_username"><input name="os_password" type="password"></form>`)
	case !loggedIn:
		return redirectReply(http.StatusFound, s.baseURL()+"/login.jsp?permissionViolation=true&os_destination="+url.QueryEscape(c.path))
	}
	return htmlReply(http.StatusOK, "System Dashboard - Acme Jira", "<h1>System Dashboard</h1>")
}
