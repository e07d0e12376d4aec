package oauth

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"unicode"

	"jiragate/policy"
	"jiragate/tokenstore"
	"jiragate/tokenstore/secret"
)

const (
	// maxSites bounds the list of sites, in bytes: an entry has some 400.
	maxSites = 256 << 10
	// maxSiteName bounds the name of a site, in characters.
	maxSiteName = 100
)

// Site is a Jira site that a grant of Cloud leads to.
type Site struct {
	ID  string // the cloud id, a UUID in lower case
	URL string // https://HOST, as [tokenstore.Connection.SiteURL] is
	// Name is for people, of printable characters. It says nothing for certain.
	Name string
}

// SiteError is a grant that does not lead where the connection does.
type SiteError struct {
	Wanted string // the URL or cloud id of the connection
	Found  []Site
}

func (e *SiteError) Error() string {
	found := make([]string, len(e.Found))
	for i, s := range e.Found {
		found[i] = s.URL
	}
	const most = 10
	if len(found) > most {
		found = append(found[:most], "…")
	}
	return fmt.Sprintf("the grant does not lead to %s, but to %s", e.Wanted, strings.Join(found, " "))
}

// Site returns the site that a connection means: that of its cloud id, or else
// of its site URL, or else the only one. Data Center has none, which is no error.
// The errors are [SiteError], [ErrChooseSite] and [ErrNoSites].
func (g *Granted) Site(c *tokenstore.Connection) (Site, error) {
	var means func(Site) bool
	var wanted string
	switch {
	case c.Edition != policy.Cloud:
		return Site{}, nil
	case len(g.Sites) == 0:
		return Site{}, ErrNoSites
	case c.CloudID != "":
		wanted = cmp.Or(c.SiteURL, c.CloudID)
		means = func(s Site) bool { return s.ID == c.CloudID }
	case c.SiteURL != "":
		wanted = c.SiteURL
		means = func(s Site) bool { return s.URL == normalURL(c.SiteURL) }
	case len(g.Sites) == 1:
		return g.Sites[0], nil
	default:
		return Site{}, ErrChooseSite
	}
	if i := slices.IndexFunc(g.Sites, means); i >= 0 {
		return g.Sites[i], nil
	}
	return Site{}, &SiteError{Wanted: wanted, Found: slices.Clone(g.Sites)}
}

func normalURL(u string) string { return strings.TrimRight(strings.ToLower(u), "/") }

// sites asks Atlassian where a grant leads, and for which scopes there
// (https://developer.atlassian.com/cloud/oauth/getting-started/making-calls-to-api).
func (m *Manager) sites(ctx context.Context, c *tokenstore.Connection, token secret.Secret) ([]Site, []string, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, m.apiURL+"/oauth/token/accessible-resources", nil)
	if err != nil {
		return nil, nil, fmt.Errorf("%w: the URL of Atlassian's API can't be used", ErrNotConfigured)
	}
	req.Header.Set("Accept", "application/json")
	req.Header.Set("Authorization", "Bearer "+token.Reveal())
	status, body, err := m.roundTrip(c, req, maxSites)
	switch {
	case errors.Is(err, errOversize):
		return nil, nil, fmt.Errorf("%w: Atlassian's list of sites is longer than %d bytes", ErrUnavailable, maxSites)
	case err != nil:
		return nil, nil, fmt.Errorf("%w: Atlassian's list of sites could not be had", ErrUnavailable)
	case status != http.StatusOK:
		return nil, nil, fmt.Errorf("%w: Atlassian answered the request for the list of sites with status %d", ErrUnavailable, status)
	}
	sites, scopes, err := parseSites(body)
	if err != nil {
		return nil, nil, fmt.Errorf("%w: Atlassian's list of sites is not one", ErrUnavailable)
	}
	return sites, scopes, nil
}

// parseSites reads the list, which is in no order, and has an entry for each
// product of a site: those of Jira count. Their scopes are returned together.
// Entries that could not be a connection's are left out.
func parseSites(body []byte) (sites []Site, scopes []string, err error) {
	var entries []struct {
		ID     string   `json:"id"`
		URL    string   `json:"url"`
		Name   string   `json:"name"`
		Scopes []string `json:"scopes"`
	}
	if err := json.Unmarshal(body, &entries); err != nil {
		return nil, nil, err
	}
	seen := make(map[string]bool)
	for _, e := range entries {
		s := Site{ID: strings.ToLower(e.ID), URL: normalURL(e.URL), Name: printable(e.Name)}
		ofJira := slices.ContainsFunc(e.Scopes, func(scope string) bool { return strings.Contains(scope, "jira") })
		if !ofJira || !s.valid() {
			continue
		}
		scopes = append(scopes, e.Scopes...)
		if !seen[s.ID] {
			seen[s.ID] = true
			sites = append(sites, s)
		}
	}
	slices.SortFunc(sites, func(a, b Site) int { return cmp.Or(cmp.Compare(a.URL, b.URL), cmp.Compare(a.ID, b.ID)) })
	return sites, sortedScopes(scopes), nil
}

// valid reports whether a connection can lead to s.
func (s *Site) valid() bool {
	c := tokenstore.Connection{
		ID: "site", Edition: policy.Cloud, SiteURL: s.URL, CloudID: s.ID, Region: tokenstore.RegionUS,
		CredentialKind: tokenstore.KindOAuth2, State: tokenstore.StateActive,
	}
	return c.Validate() == nil
}

// printable removes from a name what a screen might obey, and cuts it.
func printable(name string) string {
	var b strings.Builder
	n := 0
	for _, r := range name {
		if !unicode.IsPrint(r) || r == unicode.ReplacementChar {
			continue
		}
		if n++; n > maxSiteName {
			break
		}
		b.WriteRune(r)
	}
	return b.String()
}
