package gateway

import (
	"strconv"
	"testing"

	"jiragate/tokenstore"
)

// One client cannot take every tunnel, all of them together have a limit, and
// a place is given back once, when its tunnel closes.
func TestTunnelsAreBounded(t *testing.T) {
	ts := newTunnels(&Gateway{})
	open := func(client string) (*tunnel, *refusal) {
		tn := &tunnel{tunnels: ts, identity: identity{client: &tokenstore.Client{Name: client}}}
		return tn, ts.reserve(tn)
	}
	var first *tunnel
	for i := range maxTunnelsPerClient {
		tn, refused := open("greedy")
		if refused != nil {
			t.Fatalf("tunnel %d: %v", i, refused)
		}
		if first == nil {
			first = tn
		}
	}
	if _, refused := open("greedy"); refused == nil || refused.code != CodeTunnelLimit {
		t.Errorf("beyond the client's limit: %v", refused)
	}
	if _, refused := open("modest"); refused != nil {
		t.Errorf("another client: %v", refused)
	}
	ts.release(first)
	ts.release(first)
	if _, refused := open("greedy"); refused != nil {
		t.Errorf("after one was closed: %v", refused)
	}
	if _, refused := open("greedy"); refused == nil {
		t.Error("one place was given back twice")
	}
	// Whatever a few take, there is one for the next.
	for _, client := range []string{"second", "third", "fourth", "fifth"} {
		for refused := (*refusal)(nil); refused == nil; {
			_, refused = open(client)
		}
	}
	if _, refused := open("late"); refused != nil {
		t.Errorf("a sixth client: %v", refused)
	}
	for client := 0; len(ts.open) < maxTunnels; client++ {
		if _, refused := open(strconv.Itoa(client)); refused != nil {
			t.Fatalf("%d tunnels: %v", len(ts.open), refused)
		}
	}
	if _, refused := open("last"); refused == nil || refused.code != CodeTunnelLimit {
		t.Errorf("beyond the limit of all: %v", refused)
	}
}
