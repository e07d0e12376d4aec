package gateway

import (
	"context"
	"errors"
	"io"
	"net/http"
	"os"
)

// request is what an http1Conn needs for a request. It is used for one after the other.
type request struct {
	header http.Header
	values []string // one array for all of the header's values
	body   requestBody
}

// of is the request whose head was read last. Its header is valid until end.
func (q *request) of(x *http1Conn, ctx context.Context) *http.Request {
	h := &x.framed.head
	r := &http.Request{
		Method: h.method, URL: h.url, RequestURI: h.target, Host: h.host,
		Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: h.minor,
		Header: q.header, Body: http.NoBody, ContentLength: h.length,
	}
	if h.minor == 0 {
		r.Proto = "HTTP/1.0"
	}
	if h.url.Host != "" { // absolute form; the two are equal
		r.Host = h.url.Host
	}
	if cap(q.values) < len(h.fields) {
		q.values = make([]string, len(h.fields), len(h.fields)+4)
	}
	q.values = q.values[:len(h.fields)]
	for i, f := range h.fields {
		name := f.name
		if name == "Host" || name == "Transfer-Encoding" {
			continue
		}
		if have := q.header[name]; have != nil {
			q.header[name] = append(have, f.value)
			continue
		}
		q.values[i] = f.value
		q.header[name] = q.values[i : i+1 : i+1]
	}
	q.body = requestBody{conn: x, expected: h.chunked || h.length > 0, continues: h.expects && h.minor > 0}
	if h.chunked {
		r.ContentLength, r.TransferEncoding = -1, []string{"chunked"}
	}
	if q.body.expected {
		r.Body = &q.body
	}
	return r.WithContext(ctx)
}

// end forgets a request, so that a connection that waits holds nothing of it.
func (q *request) end() {
	clear(q.header)
	clear(q.values)
	h := &q.body.conn.framed.head
	clear(h.fields)
	*h = head{fields: h.fields[:0]}
}

// requestBody reads the body of a request, without its framing.
type requestBody struct {
	conn      *http1Conn
	expected  bool // there is one
	continues bool // the client waits to be told to send it
	ended     bool
	failed    error
}

var (
	// errBodyCut is of a body that the client has framed wrongly.
	errBodyCut = errors.New("the body is not framed as its header says")
	// errBodyNotAsked is of a body that the client was not told to send.
	errBodyNotAsked = errors.New("the request was answered before its body was asked for")
)

func (b *requestBody) Read(p []byte) (int, error) {
	switch {
	case b.failed != nil:
		return 0, b.failed
	case b.ended:
		return 0, io.EOF
	case b.continues:
		b.continues = false
		if err := b.conn.answer.goOn(); err != nil {
			return 0, err
		}
	}
	f := b.conn.framed
	n, err := f.readBody(p)
	if err == nil && f.state == inHead && f.ready == 0 {
		err = io.EOF // said with the last byte, so that who copies knows it before it answers
	}
	switch {
	case errors.Is(err, io.EOF):
		b.ended = true
		b.conn.watch.arm()
	case err != nil && !errors.Is(err, os.ErrDeadlineExceeded): // after that it may go on
		b.failed = err
	}
	return n, err
}

// Close leaves what was not read.
func (b *requestBody) Close() error { return nil }

// over reports whether all of the body has been read.
func (b *requestBody) over() bool { return !b.expected || b.ended }

// readBody reads of a body, past its framing. The error is io.EOF at its end.
func (f *framedConn) readBody(p []byte) (int, error) {
	for len(p) > 0 {
		if f.ready > 0 {
			n := f.ready
			if f.data {
				n = copy(p, f.buf[:n])
			}
			f.consume(n)
			if f.data {
				return n, nil
			}
			continue
		}
		if f.state == inHead {
			return 0, io.EOF
		}
		if len(f.buf) == 0 && f.state == inBody {
			n, err := f.readThrough(p)
			if n > 0 && errors.Is(err, io.EOF) {
				err = nil // TLS may say with the last bytes that there are no more, and says it again
			}
			return n, unexpected(err)
		}
		if fault := f.advance(); fault != nil || f.state == atEnd {
			f.state = atEnd // what comes now belongs to nothing
			return 0, errBodyCut
		}
		if f.ready == 0 {
			if err := f.fill(); err != nil {
				return 0, unexpected(err)
			}
		}
	}
	return 0, nil
}

// unexpected is err of a connection in the middle of a body.
func unexpected(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}

// consume takes n bytes from what may be handed on.
func (f *framedConn) consume(n int) {
	f.buf, f.ready, f.scan = f.buf[n:], f.ready-n, 0
	f.heading = f.heading && f.ready > 0
	if len(f.buf) == 0 {
		f.leaveRoom()
	}
}
