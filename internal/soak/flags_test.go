package soak

import (
	"flag"
	"testing"
	"time"

	"go.uber.org/goleak"
)

// The defaults are for CI; make soak has others.
var (
	soakFor     = flag.Duration("soak.for", 8*time.Second, "how long there is traffic, rests included")
	soakRate    = flag.Int("soak.rate", 100, "calls a second")
	soakSeed    = flag.Uint64("soak.seed", 1, "of what happens when, as far as clocks let it")
	soakTunnels = flag.Int("soak.tunnels", 250, "idle tunnels, of each protocol")
	soakFleet   = flag.Int("soak.fleet", 1000, "connections of the fleet")
	soakOut     = flag.String("soak.out", "", "directory for the summaries (soak.json, tunnels.json) and the gateway's log; none writes no files")
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m)
}
