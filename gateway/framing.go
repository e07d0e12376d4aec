package gateway

import (
	"bytes"
	"io"
	"net"
	"strconv"
	"sync"
	"sync/atomic"
)

// framedConn reads HTTP/1.x requests from a connection and lets through to
// net/http only messages whose framing has exactly one reading.
//
// net/http is lenient where RFC 9112 allows it: it accepts a message with both
// Content-Length and Transfer-Encoding, repeated equal lengths, bare LF and
// folded lines. Any of those may be read differently by a hop in front of the
// gateway, which is what request smuggling lives on, so they are refused here
// (RFC 9112 sections 2.2, 5, 6.1, 6.3 and 11.2).
//
// A head is handed on only once it has arrived whole and was found good.
// Instead of a bad one, net/http is given a stand-in request that carries
// marker, followed by end of file; the handler answers it like any refusal, in
// order behind earlier answers. After a good CONNECT head the bytes pass
// untouched.
//
// Reads must not be concurrent, as is the rule of net/http's server.
type framedConn struct {
	net.Conn
	origin *origin
	marker string

	buf   []byte // read from Conn and not yet handed on
	ready int    // prefix of buf that may be handed on
	data  bool   // that prefix is of a body, not of its framing or a head
	scan  int    // prefix of buf in which no end of head was found
	// heading tells that what may be handed on is of a head.
	heading bool
	// kept tells that heads are kept in head for who serves the connection, so that
	// none is read twice. Only an http1Conn asks for it.
	kept  bool
	head  head
	small [smallHead]byte // where buf begins
	room  *[headRoom]byte // that buf is a part of; nil where it isn't

	state framingState
	left  int64 // bytes left of the body or chunk
	seen  int   // bytes of the trailer section so far
	// fault is set by a read, which may be net/http's background read while
	// the request before is being served.
	fault atomic.Pointer[framingFault]

	handshake func() error // of a listener with TLS, until it is over
	rest      rest
}

type framingState int

const (
	inHead framingState = iota
	inBody
	inChunkLine
	inChunkData
	inChunkEnd
	inTrailer
	inTunnel
	atEnd
)

// framingFault says why a message was not let through.
type framingFault struct {
	code   Code
	detail string
}

func malformed(detail string) *framingFault {
	return &framingFault{code: CodeRequestMalformed, detail: detail}
}

// markerField names the header field of the stand-in request. Its value is
// random for each gateway, so no client can pose as the stand-in.
const markerField = "Jiragate-Refused-Framing"

func newFramedConn(c net.Conn, o *origin, marker string) *framedConn {
	f := &framedConn{Conn: c, origin: o, marker: marker}
	f.rest.resting = true
	o.framing = f
	return f
}

func (f *framedConn) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	if err := f.shakeHands(); err != nil {
		return 0, err
	}
	for {
		if f.ready > 0 {
			f.rest.ends(f)
			n := copy(p, f.buf[:f.ready])
			f.rest.begun = f.rest.begun || f.heading
			f.consume(n)
			return n, nil
		}
		if f.state == atEnd {
			return 0, io.EOF
		}
		if len(f.buf) == 0 && (f.state == inBody || f.state == inTunnel) {
			return f.readThrough(p)
		}
		fault := f.advance()
		if fault != nil {
			f.refuse(fault)
			continue
		}
		if f.ready > 0 {
			continue
		}
		if f.state == inHead && f.rest.waits() {
			return 0, io.EOF
		}
		err := f.fill()
		if f.rest.interrupted(err) {
			continue
		}
		if err != nil {
			f.rest.ends(f)
			return 0, err
		}
	}
}

// shakesHands puts TLS under the framing, of which shake makes the handshake.
func (f *framedConn) shakesHands(c net.Conn, shake func() error) {
	f.Conn, f.handshake, f.rest.resting, f.rest.shaking = c, shake, false, true
}

// shakeHands makes the handshake of a listener with TLS before anything else, since
// one that was interrupted can't be taken up again.
func (f *framedConn) shakeHands() error {
	if f.handshake == nil {
		return nil
	}
	err := f.handshake()
	if err == nil {
		f.handshake = nil
		f.rest.set()
	}
	return err
}

// CloseWrite lets net/http close its side and linger, so that a client that is
// still sending can read why it was refused.
func (f *framedConn) CloseWrite() error {
	if c, ok := f.Conn.(interface{ CloseWrite() error }); ok {
		return c.CloseWrite()
	}
	return nil
}

// readThrough reads body or tunnel bytes straight into p.
func (f *framedConn) readThrough(p []byte) (int, error) {
	f.leaveRoom() // an idle tunnel keeps no buffer
	if f.state == inBody && int64(len(p)) > f.left {
		p = p[:f.left]
	}
	n, err := f.Conn.Read(p)
	if f.state == inBody {
		if f.left -= int64(n); f.left == 0 {
			f.state = inHead
		}
	}
	return n, err
}

// fill reads more into buf. An error leaves buf as it is, so that a read that
// was interrupted by a deadline can be taken up again.
func (f *framedConn) fill() error {
	f.makeRoom()
	n, err := f.Conn.Read(f.buf[len(f.buf):cap(f.buf)])
	f.buf = f.buf[:len(f.buf)+n]
	if n > 0 {
		return nil
	}
	if err == nil {
		return io.ErrNoProgress
	}
	return err
}

// rooms are buffers for heads in tunnels that are larger than most.
var rooms = sync.Pool{New: func() any { return new([headRoom]byte) }}

const (
	// headRoom is the first size of a buffer.
	headRoom = 4 << 10
	// smallHead is what most heads in tunnels fit into.
	smallHead = 512
)

// makeRoom sees that there is room in buf. In tunnels thousands of connections wait for
// their next request, so that begins in the connection itself, and only if it is larger
// there is a buffer. (Below there is TLS, so that reading in two pieces is no second
// system call.)
func (f *framedConn) makeRoom() {
	switch {
	case f.kept && len(f.buf) == 0:
		f.buf = f.small[:0]
	case cap(f.buf)-len(f.buf) >= 512:
	case f.kept && f.room == nil && len(f.buf) < headRoom/2:
		f.room = rooms.Get().(*[headRoom]byte)
		f.buf = f.room[:copy(f.room[:], f.buf)]
	default:
		grown := make([]byte, len(f.buf), 2*len(f.buf)+headRoom)
		copy(grown, f.buf)
		f.leaveRoom()
		f.buf = grown
	}
}

func (f *framedConn) leaveRoom() {
	if f.room != nil {
		rooms.Put(f.room)
		f.room = nil
	}
	f.buf = nil
}

// refuse replaces what is buffered by the stand-in request.
func (f *framedConn) refuse(fault *framingFault) {
	f.fault.Store(fault)
	f.leaveRoom()
	f.buf = []byte("GET / HTTP/1.1\r\nHost: invalid\r\nConnection: close\r\n" + markerField + ": " + f.marker + "\r\n\r\n")
	f.ready, f.state = len(f.buf), atEnd
}

// advance moves as far as the buffered bytes allow, setting ready.
func (f *framedConn) advance() *framingFault {
	if len(f.buf) == 0 {
		return nil
	}
	f.data = f.state == inBody || f.state == inChunkData
	switch f.state {
	case inHead:
		return f.advanceHead()
	case inBody:
		if f.advanceData() {
			f.state = inHead
		}
	case inChunkData:
		if f.advanceData() {
			f.state = inChunkEnd
		}
	case inChunkEnd:
		if f.buf[0] != '\r' || len(f.buf) > 1 && f.buf[1] != '\n' {
			return malformed("a chunk is longer than its stated size")
		}
		if len(f.buf) > 1 {
			f.ready, f.state = 2, inChunkLine
		}
	case inChunkLine:
		return f.advanceChunkLine()
	case inTrailer:
		return f.advanceTrailer()
	case inTunnel:
		f.ready = len(f.buf)
	}
	return nil
}

// advanceData lets body bytes through and reports whether they were the last.
func (f *framedConn) advanceData() bool {
	n := min(int64(len(f.buf)), f.left)
	f.ready, f.left = int(n), f.left-n
	return f.left == 0
}

func (f *framedConn) advanceHead() *framingFault {
	end := -1
	for i := f.scan; ; i++ {
		next := bytes.IndexByte(f.buf[i:], '\n')
		if next < 0 {
			break
		}
		if i += next; i == 0 || f.buf[i-1] != '\r' {
			return malformed("a line ends in LF without CR")
		}
		if i >= 3 && f.buf[i-3] == '\r' && f.buf[i-2] == '\n' {
			end = i + 1
			break
		}
	}
	if end < 0 {
		f.scan = len(f.buf)
		switch {
		case len(f.buf) <= maxHeadBytes:
			return nil
		case bytes.IndexByte(f.buf, '\n') < 0:
			return targetTooLong()
		}
		return headTooLarge()
	}
	if end > maxHeadBytes {
		return headTooLarge()
	}
	head, fault := parseHead(string(f.buf[:end]), f.head.fields)
	if fault != nil {
		return fault
	}
	if f.kept {
		f.head = head
	}
	f.ready, f.heading = end, true
	switch {
	case head.connect && f.origin.tunnel == nil:
		f.state = inTunnel
	case head.chunked:
		f.state = inChunkLine
	case head.length > 0:
		f.state, f.left = inBody, head.length
	}
	return nil
}

func headTooLarge() *framingFault {
	return &framingFault{CodeHeaderTooLarge, "the request's header is larger than " + strconv.Itoa(maxHeadBytes) + " bytes"}
}

func targetTooLong() *framingFault {
	return &framingFault{CodeTargetTooLong, "the request target is longer than " + strconv.Itoa(maxTargetBytes) + " bytes"}
}

func tooManyFields() *framingFault {
	return &framingFault{CodeHeaderTooLarge, "the request has more than " + strconv.Itoa(maxHeaderFields) + " header fields"}
}

func (f *framedConn) advanceChunkLine() *framingFault {
	line, n, fault := f.line(maxChunkLine, "a chunk-size line")
	if fault != nil || n == 0 {
		return fault
	}
	// Chunk extensions have no use here and a history of differing readings.
	if len(line) == 0 || len(line) > 8 {
		return malformed("a chunk size is not 1 to 8 hexadecimal digits")
	}
	size, err := strconv.ParseUint(string(line), 16, 32)
	if err != nil {
		return malformed("a chunk size is not 1 to 8 hexadecimal digits")
	}
	f.ready, f.left = n, int64(size)
	f.state, f.seen = inChunkData, 0
	if size == 0 {
		f.state = inTrailer
	}
	return nil
}

func (f *framedConn) advanceTrailer() *framingFault {
	line, n, fault := f.line(maxTrailerBytes, "a trailer line")
	if fault != nil || n == 0 {
		return fault
	}
	if f.seen += n; f.seen > maxTrailerBytes {
		return headTooLarge()
	}
	if len(line) == 0 {
		f.ready, f.state = n, inHead
		return nil
	}
	if _, _, fault := parseField(string(line)); fault != nil {
		return fault
	}
	f.ready = n
	return nil
}

// line returns the buffered line without its CRLF and the bytes it takes, or
// n = 0 where it is not there whole yet.
func (f *framedConn) line(limit int, what string) (line []byte, n int, _ *framingFault) {
	i := bytes.IndexByte(f.buf, '\n')
	switch {
	case i < 0 && len(f.buf) > limit, i > limit:
		return nil, 0, malformed(what + " is too long")
	case i < 0:
		return nil, 0, nil
	case i == 0 || f.buf[i-1] != '\r':
		return nil, 0, malformed(what + " ends in LF without CR")
	}
	return f.buf[:i-1], i + 1, nil
}
