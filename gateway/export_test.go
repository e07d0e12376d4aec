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

// SetAnswers lets fewer refusals be on their way to clients, for tests.
func (g *Gateway) SetAnswers(n int64) {
	g.bounds.answers = limit.NewPlaces(limit.PlacesOptions{Total: n})
}

// SetGreetings lets fewer handshakes take place at the listener, for tests.
func (g *Gateway) SetGreetings(n int64) {
	g.bounds.greetings = limit.NewPlaces(limit.PlacesOptions{Total: n, Wait: handshakeWait, Queue: waitingHandshakes})
}

// SetSockets lets clients have fewer connections, for tests.
func (g *Gateway) SetSockets(n int64) {
	g.bounds.sockets = limit.NewPlaces(limit.PlacesOptions{Total: n})
}
