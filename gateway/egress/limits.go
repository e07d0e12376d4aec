package egress

import "time"

// Every bound of the package. Attempts share the time of a dial evenly, so
// that even the most allowed (maxRoutes × maxTargets = 9) get more than the
// second after which TCP repeats a lost SYN (RFC 6298, section 2.1).
const (
	// dialTimeout is for one DialContext: lookup and every attempt.
	dialTimeout = 10 * time.Second
	// lookupTimeout is the part of dialTimeout that a name lookup may use.
	lookupTimeout = 5 * time.Second

	// maxAnswers is how many addresses of a DNS answer are looked at.
	maxAnswers = 32
	// maxTargets is how many upstream addresses are tried from one egress address.
	maxTargets = 3
	// lostAge is how old the knowledge may be that a local address is on the machine.
	lostAge = time.Second
	// maxAddresses is how many egress addresses a region may have.
	maxAddresses = 64
	// maxRoutes is how many egress addresses are tried in one dial.
	maxRoutes = 3

	// addressCooldown is how long an egress address that could not be bound
	// stays last in everybody's order, unless it is seen to work before.
	addressCooldown = 30 * time.Second
	// proxyCooldown is how long a proxy that failed is not asked; it doubles with
	// each failed trial, up to maxProxyCooldown.
	proxyCooldown    = 5 * time.Second
	maxProxyCooldown = 2 * time.Minute
	// maxSilences is for how many connections a proxy may leave open whether it or the
	// upstream is at fault, answering for none between, until it is taken to be the
	// proxy.
	maxSilences = 3
	// maxProxyAnswer bounds an answer to CONNECT, in bytes.
	maxProxyAnswer = 16 << 10
	// pairCooldown is how long a connection avoids an egress address from
	// which its Jira could not be reached while another one reached it.
	pairCooldown = 2 * time.Minute
	// maxPairs bounds the number of such pairs remembered. Forgetting one
	// costs a connection one slow dial.
	maxPairs = 4096

	// A dead peer of a quiet connection is noticed within keepAliveIdle +
	// keepAliveCount × keepAliveInterval = 90 s, well before the idle timeouts
	// of NAT devices (AWS NAT gateways drop flows after 350 s of silence); that
	// of a busy one after userTimeout, on Linux.
	keepAliveIdle     = 30 * time.Second
	keepAliveInterval = 15 * time.Second
	keepAliveCount    = 4
	userTimeout       = 45 * time.Second
)
