package jirasim

import (
	"cmp"
	"net/http"
	"slices"
	"strings"
)

// Site is an entry of accessible-resources: a site together with a product on it.
// A site with several products has an entry for each, with the same ID.
type Site struct {
	ID   string
	URL  string // https://acme.atlassian.net
	Name string // default: the first label of the URL's host
	// Scopes are those that the entry shows; none stands for Jira's, as granted.
	Scopes []string
}

// SetSites replaces the sites that every grant on Cloud can reach: at first the
// sandbox and then the site of [Options]. Only sites with an entry for Jira, one
// that shows no scopes or a scope of Jira's, answer below /ex/jira/.
func (s *Sim) SetSites(sites ...Site) {
	sites = slices.Clone(sites)
	for i := range sites {
		sites[i].Scopes = slices.Clone(sites[i].Scopes)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.sites = sites
}

func (s *Sim) currentSites() []Site {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.sites // replaced, never changed
}

// jiraSite returns the site that a call is for, and takes its base path off.
func (s *Sim) jiraSite(c *call) *Site {
	for _, site := range s.currentSites() {
		jira := len(site.Scopes) == 0 || slices.ContainsFunc(site.Scopes, func(scope string) bool { return strings.Contains(scope, ":jira-") })
		if jira && c.below("/ex/jira/"+site.ID) {
			return &site
		}
	}
	return nil
}

// accessibleResources lists the sites of the grant, in no useful order
// (https://developer.atlassian.com/cloud/oauth/getting-started/making-calls-to-api/).
func (s *Sim) accessibleResources(granted []string) reply {
	granted = slices.DeleteFunc(slices.Clone(granted), func(scope string) bool { return scope == "offline_access" })
	out := []obj{}
	for _, site := range s.currentSites() {
		name, _, _ := strings.Cut(strings.TrimPrefix(site.URL, "https://"), ".")
		scopes := site.Scopes
		if len(scopes) == 0 {
			scopes = granted
		}
		out = append(out, obj{"id": site.ID, "url": site.URL, "name": cmp.Or(site.Name, name), "scopes": scopes,
			"avatarUrl": "https://site-admin-avatar-cdn.prod.public.atl-paas.net/avatars/240/flag.png"})
	}
	return jsonReply(http.StatusOK, out)
}
