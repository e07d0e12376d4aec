package admin

import (
	"net/http"
	"net/netip"
	"time"

	"jiragate/gateway/limit"
)

// How many wrong tokens of one address there may be: at once, and then one each
// while. maxTriers bounds of how many addresses it is remembered.
const (
	wrongTokens    = 20
	wrongTokensPer = 10 * time.Second
	maxTriers      = 1000
)

// wrongTokenTries slow down who guesses the admin token. Nothing counts from another
// address, and the admin socket needs no token. One of the gateway's own making is taken
// whatever others try, since nobody guesses it: or whoever shares an operator's address,
// as behind a load balancer, could lock the operator out.
type wrongTokenTries struct{ by *limit.Buckets[netip.Prefix] }

func newWrongTokens() wrongTokenTries {
	return wrongTokenTries{limit.NewBuckets[netip.Prefix](wrongTokens, wrongTokensPer, maxTriers)}
}

// tried notes a request, and returns how long its address has to wait. If that is not
// 0, the outcome must not show, or one could go on guessing. Who shows no token has
// tried none; made is the right one where that is of the gateway's own making.
func (t wrongTokenTries) tried(r *http.Request, made, right bool) (wait time.Duration) {
	if len(r.Header.Values("Authorization")) == 0 || made {
		return 0
	}
	from, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return 0 // no network
	}
	network := limit.Network(from.Addr())
	if right {
		return t.by.Wait(network)
	}
	return t.by.Take(network)
}
