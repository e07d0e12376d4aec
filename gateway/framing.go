package gateway

import (
	"bytes"
	"io"
	"net"
	"net/url"
	"strconv"
	"strings"
	"sync/atomic"

	"golang.org/x/net/http/httpguts"
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
	scan  int    // prefix of buf in which no end of head was found

	state framingState
	left  int64 // bytes left of the body or chunk
	seen  int   // bytes of the trailer section so far
	// fault is set by a read, which may be net/http's background read while
	// the request before is being served.
	fault atomic.Pointer[framingFault]
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
	o.framing = f
	return f
}

func (f *framedConn) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	for {
		if f.ready > 0 {
			n := copy(p, f.buf[:f.ready])
			f.buf, f.ready, f.scan = f.buf[n:], f.ready-n, 0
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
		if err := f.fill(); err != nil {
			return 0, err
		}
	}
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
	f.buf = nil // an idle tunnel keeps no buffer
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
	if cap(f.buf)-len(f.buf) < 512 {
		grown := make([]byte, len(f.buf), 2*len(f.buf)+4<<10)
		copy(grown, f.buf)
		f.buf = grown
	}
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

// refuse replaces what is buffered by the stand-in request.
func (f *framedConn) refuse(fault *framingFault) {
	f.fault.Store(fault)
	f.buf = []byte("GET / HTTP/1.1\r\nHost: invalid\r\nConnection: close\r\n" + markerField + ": " + f.marker + "\r\n\r\n")
	f.ready, f.state = len(f.buf), atEnd
}

// advance moves as far as the buffered bytes allow, setting ready.
func (f *framedConn) advance() *framingFault {
	if len(f.buf) == 0 {
		return nil
	}
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
	for i := f.scan; i < len(f.buf); i++ {
		if f.buf[i] != '\n' {
			continue
		}
		if i == 0 || f.buf[i-1] != '\r' {
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
	head, fault := parseHead(f.buf[:end])
	if fault != nil {
		return fault
	}
	f.ready = end
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
	if _, _, fault := parseField(line); fault != nil {
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

// head is what the framing needs to know of a request's head.
type head struct {
	connect, chunked bool
	length           int64
}

// parseHead checks a head, which ends in CRLF CRLF, and finds its framing.
func parseHead(b []byte) (h head, _ *framingFault) {
	line, rest, _ := bytes.Cut(b, []byte("\r\n"))
	method, target, minor, fault := parseRequestLine(line)
	if fault != nil {
		return head{}, fault
	}
	h.connect = method == "CONNECT"

	var hosts, lengths, codings, fields int
	var host string
	for len(rest) > 2 {
		line, rest, _ = bytes.Cut(rest, []byte("\r\n"))
		if fields++; fields > maxHeaderFields {
			return head{}, tooManyFields()
		}
		name, value, fault := parseField(line)
		if fault != nil {
			return head{}, fault
		}
		switch {
		case strings.EqualFold(name, "Host"):
			hosts, host = hosts+1, value
		case strings.EqualFold(name, "Content-Length"):
			lengths++
			if h.length, fault = parseLength(value); fault != nil {
				return head{}, fault
			}
		case strings.EqualFold(name, "Expect") && !strings.EqualFold(value, "100-continue"):
			return head{}, malformed("the only expectation understood is 100-continue")
		case strings.EqualFold(name, "Trailer") && !harmlessTrailers(value):
			return head{}, malformed("the Trailer field names a field that frames the message")
		case strings.EqualFold(name, "Transfer-Encoding"):
			codings++
			if h.chunked = strings.EqualFold(value, "chunked"); !h.chunked {
				return head{}, malformed("the only transfer coding understood is chunked")
			}
		}
	}
	switch {
	case hosts > 1:
		return head{}, malformed("the request has more than one Host field")
	case hosts == 0 && h.connect && minor == 0:
		// Python's http.client connects so. The target names the host.
	case host == "" || !httpguts.ValidHostHeader(host):
		return head{}, malformed("the request has no valid Host field")
	case lengths > 1:
		return head{}, malformed("the request has more than one Content-Length field")
	case lengths > 0 && codings > 0:
		return head{}, malformed("the request has both Content-Length and Transfer-Encoding")
	case codings > 1:
		return head{}, malformed("the request has more than one Transfer-Encoding field")
	case codings > 0 && minor == 0:
		return head{}, malformed("HTTP/1.0 has no Transfer-Encoding")
	case h.connect && (h.chunked || h.length > 0):
		return head{}, malformed("a CONNECT request has no body")
	}
	if i := strings.Index(target, "://"); !h.connect && i > 0 && target[0] != '/' {
		authority, _, _ := strings.Cut(target[i+len("://"):], "/")
		authority, _, _ = strings.Cut(authority, "?")
		if !strings.EqualFold(authority, host) {
			return head{}, malformed("the Host field and the request target name different hosts")
		}
	}
	return h, nil
}

// harmlessTrailers reports whether a Trailer field names none of those that
// RFC 9110 section 6.5.1 forbids because they frame the message, which net/http
// would answer by itself.
func harmlessTrailers(value string) bool {
	for name := range strings.SplitSeq(value, ",") {
		switch strings.ToLower(strings.Trim(name, " \t")) {
		case "content-length", "transfer-encoding", "trailer":
			return false
		}
	}
	return true
}

// parseRequestLine splits "METHOD SP target SP HTTP/1.x" (RFC 9112 section 3).
func parseRequestLine(line []byte) (method, target string, minor int, _ *framingFault) {
	method, rest, ok := strings.Cut(string(line), " ")
	target, version, ok2 := strings.Cut(rest, " ")
	switch {
	case !ok || !ok2 || !httpguts.ValidHeaderFieldName(method):
		return "", "", 0, malformed("the request line is not METHOD, target and version, separated by single spaces")
	case version == "HTTP/1.1":
		minor = 1
	case version != "HTTP/1.0":
		return "", "", 0, malformed("the protocol version is neither HTTP/1.1 nor HTTP/1.0")
	}
	if len(target) > maxTargetBytes {
		return "", "", 0, targetTooLong()
	}
	for i := range len(target) {
		if target[i] <= ' ' || target[i] >= 0x7f {
			return "", "", 0, malformed("the request target has a control character, a space or a byte outside ASCII")
		}
	}
	// net/http answers these by itself, without a call record; so they are
	// found here first.
	if method == "CONNECT" {
		if _, err := url.ParseRequestURI("http://" + target); err != nil || strings.ContainsAny(target, "/?#@") {
			return "", "", 0, malformed("the target of CONNECT is not host:port")
		}
	} else if _, err := url.ParseRequestURI(target); err != nil && target != "*" {
		return "", "", 0, malformed("the request target is not a valid URI")
	}
	return method, target, minor, nil
}

// parseField splits "name: value" (RFC 9112 section 5). Leading white space,
// as of a folded line, and white space before the colon are refused.
func parseField(line []byte) (name, value string, _ *framingFault) {
	name, value, ok := strings.Cut(string(line), ":")
	if !ok || !httpguts.ValidHeaderFieldName(name) {
		return "", "", malformed("a header field has an invalid name")
	}
	value = strings.Trim(value, " \t")
	if !httpguts.ValidHeaderFieldValue(value) || strings.ContainsAny(value, "\r\n") {
		return "", "", malformed("a header field has a control character in its value")
	}
	return name, value, nil
}

// parseLength reads a Content-Length: digits only, no list, no sign.
func parseLength(s string) (int64, *framingFault) {
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return 0, malformed("Content-Length is not a number")
		}
	}
	n, err := strconv.ParseInt(s, 10, 63)
	if err != nil {
		return 0, malformed("Content-Length is not a number")
	}
	return n, nil
}
