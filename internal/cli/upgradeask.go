package cli

import (
	"context"
	"fmt"
	"sync/atomic"
	"time"

	"jiragate/gateway/admin"
)

// lastUpgrade is what came of the last handover: that by which this process serves,
// or by which it should have ended.
type lastUpgrade = atomic.Pointer[admin.Upgrade]

// upgradeAsk is an administrator who asks for a handover, and waits until the new
// process is prepared. It may be nil: nobody asks.
type upgradeAsk struct{ answer chan upgradeAnswer }

type upgradeAnswer struct {
	next admin.Prepared
	err  error
}

// tell answers, once.
func (k *upgradeAsk) tell(next admin.Prepared, err error) {
	if k == nil {
		return
	}
	select {
	case k.answer <- upgradeAnswer{next, err}:
	default:
	}
}

// askPatience is how long an administrator waits for a gateway that has other things to
// do than to hand over: that is when it does just that, or ends.
const askPatience = time.Second

// askUpgrade has whoever runs the server hand over.
func (s *Server) askUpgrade(ctx context.Context) (admin.Prepared, error) {
	ask := &upgradeAsk{make(chan upgradeAnswer, 1)}
	select {
	case s.upgrades <- ask:
	case <-time.After(askPatience):
		return admin.Prepared{}, admin.ErrUpgrading
	}
	select {
	case a := <-ask.answer:
		return a.next, a.err
	case <-ctx.Done():
		return admin.Prepared{}, fmt.Errorf("waiting for the new program: %w", ctx.Err())
	}
}
