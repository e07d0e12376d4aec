package admin_test

import (
	"context"
	"fmt"
	"testing"

	"jiragate/gateway/admin"
	"jiragate/tokenstore"
)

// away is a store that can't be reached.
type away struct{ tokenstore.Store }

func (away) RemoveClient(context.Context, string) error {
	return fmt.Errorf("removing a client: %w", tokenstore.ErrUnavailable)
}

// That a store is away is no fault of the gateway's: it passes.
func TestStoreAway(t *testing.T) {
	store, _ := openStore(t)
	o := options(t, store)
	o.Store = away{store}
	if err := store.AddClient(t.Context(), tokenstore.Client{Name: "billing"}); err != nil {
		t.Fatal(err)
	}
	status, body := call(t, newAPI(t, o).Local(operator), "DELETE", "/v1/clients/billing", "")
	if wantCode(t, body, admin.CodeUnavailable); status != 503 {
		t.Errorf("%d %s", status, body)
	}
}
