package gateway

import (
	"context"
	"net/http"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"go.opentelemetry.io/otel/trace"

	"jiragate/gateway/audit"
	"jiragate/gateway/limit"
	"jiragate/gateway/pace"
	"jiragate/policy"
	"jiragate/tokenstore"
	"jiragate/tokenstore/secret"
)

// door is the way by which a request came in.
type door string

const (
	doorTunnel   door = "connect"       // inside an intercepted CONNECT tunnel
	doorAbsolute door = "absolute-form" // absolute-form request to the proxy
	doorBase     door = "base-url"      // {proxy listener}/c/{connection}/…
	doorConnect  door = "tunnel"        // the CONNECT request itself
)

// origin is what is known of the socket a request came by.
type origin struct {
	peer     netip.AddrPort
	private  bool         // the listener is TLS or loopback
	moved    bool         // another process has the client's socket
	tunnel   *tunnel      // nil outside a tunnel
	framing  *framedConn  // nil for HTTP/2
	listener *listenerTLS // nil on a plain listener
	seat     *seat        // among the listener's connections; nil inside a tunnel
	life     *life        // nil: without end
	shown    atomic.Pointer[string]
}

// address is the peer's address and port as text, which is made once for all calls of
// the connection; "" where it has none.
func (o *origin) address() string {
	if made := o.shown.Load(); made != nil {
		return *made
	}
	if !o.peer.IsValid() {
		return ""
	}
	made := o.peer.String()
	o.shown.Store(&made)
	return made
}

// framingFault is why r is the stand-in of a request that was not let through,
// or nil.
func (o *origin) framingFault(r *http.Request) *framingFault {
	if o.framing == nil || r.Header.Get(markerField) != o.framing.marker {
		return nil
	}
	return o.framing.fault.Load()
}

// last reports whether the connection is to close after a call that begins now: when
// it has had its time, where another process has the client's socket only to pass
// bytes on, or where somebody waits for it to rest.
func (o *origin) last(now time.Time) bool {
	return o.life.last(now) || o.moved || o.framing != nil && o.framing.rest.called()
}

// Call is one request on its way through the gateway. Each station of
// pipeline.go adds what it alone knows; none changes what an earlier one
// wrote, but for confirm, which brings identity and connection up to date once
// the body has arrived. What came in and what goes out are apart: in is only read, out is
// built from the decision.
type Call struct {
	// From the listener.
	in        *http.Request
	door      door
	origin    *origin
	started   time.Time
	elsewhere time.Duration // that the call has waited for others; see away
	span      trace.Span
	named     [1]string // the Traceparent of its answer; "": none

	// From identify.
	identity identity
	operator bool // the gateway's own call, by an operator's command

	// From room.
	place limit.Hold // among the calls at a time
	held  limit.Hold // of the bytes of bodies

	// From resolve.
	resolver   *resolver
	target     target
	connection *tokenstore.Connection
	request    policy.Request

	// From decide.
	policy   *policy.Policy
	decision policy.Decision
	body     []byte // rebuilt; nil when none is sent

	// From pace: nil until it is the call's turn.
	pass    *pace.Pass
	sockets int // to Jira that were had, so that something may have been sent by each

	// From record: nil until the call is on disk and may go out.
	pending *audit.Pending

	// From rebuild, authorise and send.
	ctx        context.Context // of what goes out
	out        *http.Request   // outgoing, or a copy of it
	outgoing   http.Request
	fields     fields        // of outgoing
	secrets    secrets       // what must not come back in the answer
	patience   patience      // for a stored credential
	token      secret.Secret // the oauth2 access token that was sent
	generation uint64        // of a credential that was sent as it is stored
	turn       turn          // of a password
	noted      Code          // what the gateway knows of Jira's own answer
	answer     answer        // the latest
	said       [3]string     // values of fields of the answer

	// record is filled along the way and written once, at the end.
	record    audit.Record
	masked    *masked // nil until identifiers were masked
	completed bool
	refused   *refusal // what ended the call early
	cut       Code     // why its answer ended early; "" where it did not

	scratch *scratch // nil: the call makes what it needs
}

// scratch is memory that one call after the other uses, inside tunnels: there nobody has
// anything of a call once it was served.
type scratch struct {
	call     Call
	hidden   hidden
	fields   fields      // of the request to Jira
	returned http.Header // of its answer
	first    []byte      // of an answer
}

var scratches = sync.Pool{New: func() any { return new(scratch) }}

// newScratch gives a call its memory.
func newScratch(in *http.Request, o *origin) *scratch {
	s := scratches.Get().(*scratch)
	s.call = Call{in: in, door: doorTunnel, origin: o, started: time.Now(), scratch: s, secrets: secrets{&s.hidden}, fields: s.fields}
	return s
}

// free takes the memory back, and wipes what was secret.
func (s *scratch) free() {
	s.fields = fields{}
	// What was sent over HTTP/2, net/http may be reading yet.
	if answer := s.call.answer.response; answer != nil && answer.ProtoMajor == 1 && s.call.sockets == 1 {
		s.fields = s.call.fields
		s.fields.clear()
	}
	clear(s.returned)
	s.call, s.hidden = Call{}, hidden{}
	clear(s.first)
	s.first = s.first[:0]
	if cap(s.first) > maxScratch {
		s.first = nil
	}
	scratches.Put(s)
}

// returned is memory for the header of an answer.
func (c *Call) returned() http.Header {
	switch {
	case c.scratch == nil:
		return make(http.Header)
	case c.scratch.returned == nil:
		c.scratch.returned = make(http.Header)
	}
	clear(c.scratch.returned) // of an answer before
	return c.scratch.returned
}

// firstPiece is memory for n bytes of an answer.
func (c *Call) firstPiece(n int) []byte {
	if c.scratch == nil {
		return make([]byte, 0, n)
	}
	if cap(c.scratch.first) < n {
		c.scratch.first = make([]byte, 0, n)
	}
	return c.scratch.first[:0]
}

// client is the name of the call's client, or "" while it isn't known.
func (c *Call) client() string {
	switch {
	case c.operator:
		return tokenstore.OperatorName
	case c.identity.client != nil:
		return c.identity.client.Name
	}
	return ""
}
