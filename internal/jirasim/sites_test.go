package jirasim_test

import (
	"testing"

	"jiragate/internal/jirasim"
)

func TestSitesOfAGrant(t *testing.T) {
	sim, client := start(t, jirasim.Options{})
	token := bearer(sim.IssueGrant().AccessToken)
	list := func() []any {
		t.Helper()
		a := call(t, client, "GET", sim.APIURL()+"/oauth/token/accessible-resources", "", token)
		wantStatus(t, a, 200)
		return a.json(t).([]any)
	}
	wantSite := func(id string, status int) {
		t.Helper()
		if a := call(t, client, "GET", sim.APIURL()+"/ex/jira/"+id+"/rest/api/3/myself", "", token); a.status != status {
			t.Errorf("site %s answers %d, want %d", id, a.status, status)
		}
	}
	const third, confluence = "11111111-2222-4333-8444-555555555555", "99999999-2222-4333-8444-555555555555"
	wiki := []string{"read:confluence-content.all"}

	if got := list(); len(got) != 2 {
		t.Errorf("at first: %v", got)
	}
	sim.SetSites()
	if got := list(); len(got) != 0 {
		t.Errorf("no sites: %v", got)
	}
	wantSite(sim.CloudID(), 404)

	sim.SetSites(jirasim.Site{ID: confluence, URL: "https://wiki.atlassian.net", Scopes: wiki})
	if got := list()[0].(map[string]any); got["id"] != confluence || got["name"] != "wiki" || got["scopes"].([]any)[0] != wiki[0] {
		t.Errorf("another product's: %v", got)
	}
	wantSite(confluence, 404)

	// The same site, once for each product.
	sim.SetSites(
		jirasim.Site{ID: third, URL: "https://third.atlassian.net", Scopes: wiki},
		jirasim.Site{ID: third, URL: "https://third.atlassian.net", Name: "Third", Scopes: []string{"read:jira-work", "read:jira-user"}},
	)
	got := list()
	if len(got) != 2 || got[1].(map[string]any)["name"] != "Third" || len(got[1].(map[string]any)["scopes"].([]any)) != 2 {
		t.Errorf("two products: %v", got)
	}
	wantSite(third, 200)
	wantSite(sim.CloudID(), 404)
}
