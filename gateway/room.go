package gateway

import (
	"context"
	"errors"
	"net/http"
	"time"

	"jiragate/gateway/limit"
	"jiragate/policy"
)

// busyRetry is what a client is told that found no room: when there will be is not
// known.
const busyRetry = time.Second

// room finds the call a place among those under way: not while memory is short, nor
// beyond what its client may have. The operator's own calls are few, and tell
// whether the gateway works.
func (g *Gateway) room(ctx context.Context, c *Call) *refusal {
	if c.operator {
		return nil
	}
	if g.bounds.memory.Short() {
		return overloaded()
	}
	if g.bounds.rate != nil {
		if wait := g.bounds.rate.Take(c.client()); wait > 0 {
			return limited(limitRate, CodeClientRate, "The client's calls a second are used up (JIRAGATE_CLIENT_RATE). Nothing was sent; try again after Retry-After.", wait)
		}
	}
	return take(ctx, g.bounds.calls, &c.place, limitCalls, c.client(), 1)
}

// roomForBody finds room for the body, before it is read.
func (g *Gateway) roomForBody(ctx context.Context, c *Call) *refusal {
	n := c.in.ContentLength
	if c.operator || c.in.Body == nil || c.in.Body == http.NoBody || n > policy.MaxBody { // too large is refused as such
		return nil
	}
	if n < 0 {
		n = policy.MaxBody
	}
	return take(ctx, g.bounds.bodies, &c.held, limitBodies, c.client(), n)
}

// take takes places for a client.
func take(ctx context.Context, p *limit.Places, into *limit.Hold, name limitName, client string, n int64) *refusal {
	if err := p.TakeInto(ctx, into, client, n); err != nil {
		return full(name, err)
	}
	return nil
}

// full is the refusal for the sake of a limit that others share.
func full(name limitName, err error) *refusal {
	of, ok := errors.AsType[*limit.Full](err)
	switch {
	case !ok:
		return &refusal{code: CodeClientDisconnected, detail: "The client went away.", cause: err}
	case of.Own:
		return limited(name, CodeClientBusy, "The client has its share of what the gateway can do at a time ("+string(name)+"). Nothing was sent; send fewer at once.", busyRetry)
	}
	return limited(name, CodeOverloaded, "The gateway has as much to do as it may ("+string(name)+"). Nothing was sent; try again after Retry-After.", busyRetry)
}

func overloaded() *refusal {
	return limited(limitMemory, CodeOverloaded, "The gateway is short of memory and finishes what it has. Nothing was sent; try again after Retry-After.", 5*time.Second)
}

func limited(name limitName, code Code, detail string, retryAfter time.Duration) *refusal {
	return &refusal{code: code, detail: detail, limit: name, retryAfter: retryAfter}
}

// identified finds who calls, unless too many tries from there have failed, and
// gives its connection a place among those of the client. A right token of the
// gateway's own making is taken whatever others try: nobody guesses it, and who shares
// an address with its client, as behind a load balancer, must not lock that client out.
func (g *Gateway) identified(c *Call) (identity, *refusal) {
	id, refused := identify(g.directory(), c.in, c.origin.certificates())
	if id.shown && !id.made {
		as := ""
		if id.client != nil {
			as = id.client.Name
		}
		if wait := g.bounds.guesses.Tried(c.origin.peer.Addr(), id.tried, as); wait > 0 {
			return identity{}, limited(limitGuesses, CodeIdentificationPaused, "Too many tokens from this address were wrong. Try again after Retry-After, with the right one.", wait)
		}
	}
	if refused != nil {
		return id, refused
	}
	if err := c.origin.seat.claim(g.bounds.sockets, id.client.Name); err != nil {
		return id, full(limitConnections, err)
	}
	return id, nil
}
