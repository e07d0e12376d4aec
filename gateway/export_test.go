package gateway

import (
	"time"

	"jiragate/gateway/limit"
)

// SetLife has connections end earlier, for tests. Call it before Serve.
func (g *Gateway) SetLife(d time.Duration, calls int64) { g.bounds.life, g.bounds.lifeCalls = d, calls }

// SetStrangers lets an address have fewer connections of nobody, for tests.
func (g *Gateway) SetStrangers(each int64) {
	g.bounds.strangers = limit.NewPlaces(limit.PlacesOptions{Total: maxStrangers, Each: each})
}
