package gateway_test

import (
	"context"
	"fmt"
	"testing"

	"jiragate/gateway"
	"jiragate/tokenstore"
)

// away is a store that can't be asked about issues.
type away struct{ gateway.Issues }

func (away) IssuePublished(context.Context, string, string) (bool, error) {
	return false, fmt.Errorf("looking up an issue: %w", tokenstore.ErrUnavailable)
}

// As long as the store is away nobody knows which issues may be deleted; that passes.
func TestDeletionWhileStoreIsAway(t *testing.T) {
	w := newWorld(t, change{gateway: func(_ *world, o *gateway.Options) { o.Issues = away{o.Issues} }})
	r := w.call(w.billing(), "DELETE", w.sim.SiteURL()+"/rest/api/3/issue/ACME-1", "")
	if r.StatusCode != 503 || r.problem.Code != "credential_unavailable" {
		t.Errorf("%d %s", r.StatusCode, r.problem.Code)
	}
	w.nothingSent()
}
