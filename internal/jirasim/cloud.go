package jirasim

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
)

// cloudRoutes are Jira Cloud's, below /ex/jira/{cloudId}. The scopes are the
// classic ones of Atlassian's specification.
func cloudRoutes() []route {
	const read, write, user = "read:jira-work", "write:jira-work", "read:jira-user"
	return slices.Concat([]route{
		{"GET", "/rest/api/3/myself", user, getMyself},
		{"GET", "/rest/api/3/project/search", read, searchProjects},
		{"GET", "/rest/api/3/issue/createmeta", read, getCreateMeta},
		{"GET", "/rest/api/3/issue/createmeta/{project}/issuetypes", read, getCreateMetaTypes},
		{"GET", "/rest/api/3/issue/createmeta/{project}/issuetypes/{type}", read, getCreateMetaFields},
		{"GET", "/rest/api/3/project/{project}/components", read, getComponents},
		{"GET", "/rest/api/3/user/picker", user, pickUsers},
		{"GET", "/rest/api/3/user/assignable/search", user, searchAssignable},
		{"GET", "/rest/api/3/priority", read, getPriorities},
		{"POST", "/rest/api/3/issue", write, createIssue},

		{"GET", "/rest/api/3/project", read, listProjects},
		{"GET", "/rest/api/3/project/recent", read, listProjects},
		{"GET", "/rest/api/3/priority/search", "manage:jira-configuration", getPrioritiesPaged},
		{"GET", "/rest/api/3/search", read, gone},
		{"GET", "/rest/api/3/search/jql", read, searchIssues},
		{"POST", "/rest/api/3/search/jql", read, searchIssues},
		{"GET", "/rest/api/3/users/search", user, getUsers},
	}, undocumentedRoutes("3"), []route{
		{"GET", "/rest/api/3/project/{project}", read, getProject},
		{"DELETE", "/rest/api/3/issue/{issue}", write, deleteIssue},
	})
}

// serveCloud is api.atlassian.com.
func (s *Sim) serveCloud(c *call) reply {
	p := s.cloudAnswer(c)
	p.header.Set("Server", "AtlassianEdge")
	p.header.Set("Atl-Traceid", fmt.Sprintf("%032x", s.record.count()))
	p.header.Set("Strict-Transport-Security", "max-age=63072000; includeSubDomains; preload")
	p.header.Set("X-Content-Type-Options", "nosniff")
	p.header.Set("Cache-Control", "no-cache, no-store, no-transform")
	return p
}

func (s *Sim) cloudAnswer(c *call) reply {
	scopes, err := s.oauth.scopes(bearer(c.header))
	if err != nil {
		return edgeFailure(http.StatusUnauthorized, "Unauthorized")
	}
	if c.path == "/oauth/token/accessible-resources" && c.method == http.MethodGet {
		c.accepted = true
		return s.accessibleResources(scopes)
	}
	c.view = view{cloud: true, version: "3"}
	site := s.jiraSite(c)
	if site == nil {
		return edgeFailure(http.StatusNotFound, "Not Found")
	}
	if !s.admits(c) {
		return ipRefused(CloudAPI, http.StatusForbidden)
	}
	c.view.base = site.URL
	c.restVersion("3", "2", "latest")
	c.view.version = strings.Replace(c.version, "latest", "3", 1)
	c.user = s.world.bot
	r, allow := find(s.routes[CloudAPI], c)
	if r == nil {
		c.accepted = true
		return noRoute(allow)
	}
	if !slices.Contains(scopes, r.scope) {
		return edgeFailure(http.StatusUnauthorized, "Unauthorized; scope does not match")
	}
	c.accepted = true
	if p := c.xsrfRefused(); p != nil {
		return *p
	}
	p := r.handle(c)
	p.header.Set("X-AACCOUNTID", c.user.accountID)
	p.header.Add("Set-Cookie", "atlassian.xsrf.token=7f1a4c20_lin; Path=/; SameSite=None; Secure")
	p.header.Set("Beta-RateLimit-Policy", `"global-app-quota";q=65000;w=3600`)
	p.header.Set("Beta-RateLimit", `"global-app-quota";r=64000;t=1800`)
	return p
}

// edgeFailure has the shape of errors from Atlassian's edge, before Jira.
func edgeFailure(status int, message string) reply {
	return jsonReply(status, obj{"code": status, "message": message})
}

// bearer returns the token of RFC 6750 section 2.1, or nothing.
func bearer(h http.Header) string {
	scheme, token, ok := strings.Cut(h.Get("Authorization"), " ")
	if !ok || !strings.EqualFold(scheme, "Bearer") {
		return ""
	}
	return token
}
