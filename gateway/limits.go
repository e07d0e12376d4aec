package gateway

import "time"

// Every bound of the gateway in one place (guarantee G11). Sizes are in bytes.
const (
	// maxHeadBytes bounds the request line and all header fields of one
	// request, on either side of the interception. Jira's own clients stay
	// below 4 KiB; RFC 9110 section 5.4 leaves the limit to the recipient.
	maxHeadBytes = 32 << 10
	// maxHTTP2HeadBytes is what package downstream takes of an HTTP/2 header before it
	// answers by itself. It is more, so that a header over
	// maxHeadBytes gets an answer and a record.
	maxHTTP2HeadBytes = 256 << 10
	// maxFrameBytes bounds an HTTP/2 frame from a client. It is the least that RFC
	// 9113 section 4.2 allows, and what clients send; each tunnel may make the gateway
	// buffer as much.
	maxFrameBytes = 16 << 10
	// maxHeaderFields bounds the number of header field lines of a request.
	maxHeaderFields = 100
	// maxTargetBytes bounds the request target; RFC 9110 section 4.1 asks for
	// at least 8,000.
	maxTargetBytes = 8 << 10
	// maxTrailerBytes bounds a chunked request's trailer section, which is
	// read and dropped. net/http wants it within one read buffer of 4 KiB.
	maxTrailerBytes = 2 << 10
	// maxChunkLine bounds a chunk-size line.
	maxChunkLine = 32

	// maxResponseHeadBytes bounds an answer's header, 1xx answers included.
	maxResponseHeadBytes = 64 << 10
	// wholeResponseBytes is the size up to which an answer of known length is
	// read whole before its first byte goes to the client, so that an answer
	// that reflects the credential can be replaced by a 502.
	wholeResponseBytes = 64 << 10
	// wholePatience is how long that reading may take; then what there is goes to the
	// client, and the rest is streamed.
	wholePatience = time.Second
	// maxScratch bounds what of an answer's memory is kept for the next call.
	maxScratch = 16 << 10
	// streamBuffer is the buffer through which a longer answer is streamed. With what frames
	// it as a chunk, it fills four records of TLS.
	streamBuffer = 4*oneRecord - maxChunkFraming
	// oneRecord is how much a record of TLS holds (RFC 8446 section 5.1), and
	// maxChunkFraming what is before and behind a chunk of such a size.
	oneRecord       = 16 << 10
	maxChunkFraming = 8

	// readHeadTimeout is how long a client may take for CONNECT, for a
	// request's header, and for the TLS handshake inside a tunnel.
	readHeadTimeout = 15 * time.Second
	// handshakePatience is how long a client that is about to open a tunnel may
	// take once the gateway ends serving.
	handshakePatience = 2 * time.Second
	// cutPatience is how long calls that were cut may take to be recorded.
	cutPatience = 2 * time.Second
	// lastWords is how long a client may go on sending after its last answer was
	// passed on.
	lastWords = 500 * time.Millisecond
	// readBodyTimeout is how long a client may take for a request's body.
	readBodyTimeout = 60 * time.Second
	// watchAfter is how long a call may take until the client's connection is watched
	// for its going away: a read that has to be interrupted when the call ends sooner.
	watchAfter = 100 * time.Millisecond
	// idleTimeout is how long a tunnel or keep-alive connection may be idle.
	idleTimeout = 3 * time.Minute
	// frameTimeout is how long a client may take for an HTTP/2 frame, that of a header with
	// those that continue it.
	frameTimeout = 60 * time.Second
	// pingTimeout is how long a client may take to say that it is there, which it is asked
	// after idleTimeout without a frame while an HTTP/2 tunnel has calls.
	pingTimeout = 15 * time.Second
	// writeTimeout is how long a client may take to accept one piece of an
	// answer. It is renewed with each piece, so long answers are not cut.
	writeTimeout = 60 * time.Second

	// answerTimeout is net/http's own deadline for an answer, behind those of
	// the stations, which are shorter.
	answerTimeout = 5 * time.Minute
	// refusedBodyTimeout and maxRefusedBody bound what is read of the body of
	// a refused request, so that a client that is still sending can read its
	// answer, and one that sends nothing holds nothing.
	refusedBodyTimeout = 5 * time.Second
	maxRefusedBody     = 4 << 20

	// credentialTimeout bounds the wait for a credential, a refresh included.
	credentialTimeout = 45 * time.Second
	// renewalTimeout bounds the wait for a token after Jira has refused one. The
	// refresh goes on without the call.
	renewalTimeout = 15 * time.Second
	// proofLifetime is how long after Jira has accepted a password calls use it
	// side by side; after that one goes first. proofPatience is how long others
	// wait for that one.
	proofLifetime = time.Minute
	proofPatience = 10 * time.Second
	// upstreamConnTimeout bounds the wait for a connection to Jira: for one of
	// maxUpstreamConns to become free, or for a new one.
	upstreamConnTimeout = 25 * time.Second
	// upstreamPingAfter and upstreamPingTimeout find out that an HTTP/2
	// connection to Jira is dead: by a ping after so much silence, which must
	// be answered in time.
	upstreamPingAfter   = 15 * time.Second
	upstreamPingTimeout = 10 * time.Second
	// upstreamHeaderTimeout is how long Jira may take to begin its answer.
	upstreamHeaderTimeout = 60 * time.Second
	// upstreamIdleTimeout is how long Jira may pause within an answer.
	upstreamIdleTimeout = 60 * time.Second
	// upstreamTLSTimeout bounds the TLS handshake with Jira.
	upstreamTLSTimeout = 10 * time.Second
	// upstreamKeepAlive is how long an idle connection to Jira is kept.
	upstreamKeepAlive = 90 * time.Second
	// maxUpstreamConns bounds the sockets to one connection's Jira.
	maxUpstreamConns = 64
	// maxIdleUpstreamConns bounds those of them that are kept idle, for upstreamKeepAlive.
	// With fewer than there may be, a busy connection would open and close sockets all
	// the time.
	maxIdleUpstreamConns = maxUpstreamConns

	// maxMeasuredKinds bounds the sets of attributes that are kept ready for
	// metrics, about 1 kB each; those on top are made anew for each call.
	maxMeasuredKinds = 4096

	// maxConnections bounds the connections to the proxy listener, tunnels
	// among them. More wait until one is closed.
	maxConnections = 20 << 10
	// maxTunnels and maxTunnelsPerClient bound open tunnels.
	maxTunnels          = 16 << 10
	maxTunnelsPerClient = 4 << 10
	// maxStreams bounds the concurrent HTTP/2 requests of one tunnel.
	maxStreams = 100
	// receiveBuffer bounds what of request bodies an HTTP/2 tunnel takes before it is
	// read. A megabyte each, as net/http takes, would be 16 GiB for all tunnels.
	receiveBuffer = 128 << 10

	// maxStrangers bounds the connections whose client has not said who it is, fairly
	// shared by address: one has half at most, which is more than the clients behind
	// one proxy open at once. Beyond, they are closed. What is left of maxConnections
	// is shared fairly by clients, so that strangers can't take all.
	maxStrangers = 4 << 10
	// connectionLife is how long a tunnel or keep-alive connection takes calls, and
	// lifeJitter how much longer it may be, at random, so that what was opened
	// together does not end together. maxConnectionCalls is how many calls it takes.
	// After that it closes with its next answer; calls under way finish.
	connectionLife     = time.Hour
	lifeJitter         = 10 * time.Minute
	maxConnectionCalls = 100_000
	// maxHandshakes bounds the TLS handshakes at a time in tunnels, fairly shared by
	// client, and as many at the listener, by address, so that strangers who begin one
	// keep no client waiting. Each is a millisecond of a processor and some 30 KiB;
	// waitingHandshakes of each wait, for handshakeWait.
	maxHandshakes     = 512
	waitingHandshakes = 512
	handshakeWait     = 5 * time.Second

	// maxCalls bounds the calls at a time, fairly shared by client. A call is some
	// 100 KiB besides its body. maxWaitingCalls of each client wait for a place, for
	// callWait.
	maxCalls        = 8 << 10
	maxWaitingCalls = 256
	callWait        = 5 * time.Second
	// maxBodyBytes bounds the request bodies that are held at a time, fairly shared by
	// client.
	maxBodyBytes = 256 << 20
	// maxAnswers bounds the refusals that are being answered at a time, fairly shared by
	// client or address: who reads none of them has those beyond cut.
	maxAnswers = 8 << 10
	// maxCallTime bounds a whole call: Jira's answer ends with it, and before that
	// each wait has its own, shorter bound. Jira's slowest answers take a minute or two.
	maxCallTime = 10 * time.Minute
	// minReadRate is how many bytes a second a client must take of an answer, on the
	// whole, beyond the first writeTimeout. The time in which there is nothing to
	// take does not count.
	minReadRate = 1 << 10

	// maxRatedClients bounds of how many clients the rate is remembered.
	maxRatedClients = 64 << 10
	// pairTries wrong tokens of one client from one address may come at once, and
	// addressTries of all clients from there; after that one each pairPause and
	// addressPause. A client that starts with an old token makes a few tries.
	pairTries    = 10
	pairPause    = 10 * time.Second
	addressTries = 100
	addressPause = time.Second
	// knownFor is how long a client is known at its address, where other names'
	// failures do not hold it up. maxTriers bounds what is remembered of either.
	knownFor  = time.Hour
	maxTriers = 10_000

	// Under a memory limit calls, bodies and tunnels get a quarter of it each, and
	// strangers an eighth, if that is less than they would have: nobody may bring all
	// to their limit of memory, where everybody is refused. A call is taken for
	// callMemory, a tunnel for tunnelMemory and a stranger for a header.
	memoryOfCalls     = 4
	memoryOfBodies    = 4
	memoryOfTunnels   = 4
	memoryOfStrangers = 8
	callMemory        = 100 << 10
	tunnelMemory      = 32 << 10
	// memoryShort and memoryEnough are the shares of the memory limit at which new
	// calls and tunnels begin and cease to be refused. Beyond nine tenths the garbage
	// collector would take most of the processors. memoryEvery is how often
	// it is measured, which takes microseconds.
	memoryShort  = 0.90
	memoryEnough = 0.80
	memoryEvery  = 200 * time.Millisecond
	// memoryCollect is how often garbage is collected while memory is short. When all
	// is refused little is allocated, and the runtime itself would take two minutes to
	// find out that what was held is garbage.
	memoryCollect = 5 * time.Second

	// floodRecords refusals by a limit are recorded one by one for each client, and of
	// strangers all refusals for each address; then one each floodPause. The others are
	// counted in metrics only: records must not be what brings the gateway down.
	floodRecords = 20
	floodPause   = time.Second
)
