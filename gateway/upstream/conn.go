package upstream

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"time"
)

// conn is a connection that speaks HTTP/1.1, for one call at a time.
type conn struct {
	pool   *pool
	socket *socket
	secure net.Conn  // TLS on it
	used   bool      // by a call before
	since  time.Time // when it became idle
	due    time.Time // the deadline of reads and writes; zero: another one, or not known
	one    [1]byte
}

// alive reads without waiting, and reports whether there was nothing. Something may
// come before the first call: the server's tickets.
func (c *conn) alive() bool {
	c.socket.probing, c.socket.asked = true, false
	n, err := c.secure.Read(c.one[:])
	c.socket.probing = false
	if c.socket.raw == nil {
		c.due = time.Time{}
	}
	return n == 0 && errors.Is(err, nothing{}) && !(c.used && c.socket.asked)
}

// fit reports whether m may be sent as far as is known: in a turn the socket is looked at
// then, and what TLS holds of what came before is looked at here.
func (c *conn) fit(m *message) bool {
	c.socket.within = c.turns(m)
	ok := c.alive()
	c.socket.within = false
	return ok
}

// turns reports whether the look at the socket, the request and the wait for the answer
// are one turn. What was not used before may have something to be read, and what is sent
// by pieces has more to say.
func (c *conn) turns(m *message) bool { return c.used && c.socket.raw != nil && !m.more }

// close says goodbye.
func (c *conn) close() { _ = c.secure.Close() }

// drop closes the connection without a word: it is broken, or in the middle of
// something.
func (c *conn) drop() { _ = c.socket.Close() }

// readerSize is that of net/http: the heads of most answers, and small bodies, fit.
const readerSize = 4 << 10

// answerGrace is how long a server's answer is waited for once the request could not
// be written to its end: it may have answered before, and left.
const answerGrace = time.Second

// roundTrip makes one call. Again says that it failed in a way after which it may be
// made by another connection. The connection is closed then, as after any error.
func (c *conn) roundTrip(ctx context.Context, m *message, got func(net.Conn)) (_ *http.Response, again bool, _ error) {
	e := &exchange{conn: c, buffers: m.buffers, limit: c.pool.options.MaxHeadBytes, keep: !m.request.Close}
	e.begin(time.Now().Add(c.pool.options.HeaderTimeout))
	e.ends[0].ctx = ctx
	e.watch(&e.ends[0])
	sent := e.send(m, got)
	if errors.Is(sent, errStale) {
		e.fail(errStale)
		return nil, false, errStale
	}
	response, err := e.receive(m.request, sent)
	if err == nil {
		return response, false, nil
	}
	e.fail(errClosed)
	if e.uploaded != nil {
		if uploaded := <-e.uploaded; errors.Is(uploaded, errLength) { // closing has ended it
			err = uploaded
		}
	}
	switch cause := e.cause(); {
	case cause != nil:
		return nil, false, cause
	case sent != nil:
		err = sent
	}
	timeout, ok := errors.AsType[net.Error](err)
	again = c.used && !e.began && !(ok && timeout.Timeout()) && replayable(m.request)
	return nil, again, fmt.Errorf("call the server over HTTP/1.1: %w", err)
}

// send writes the request, and what is longer than oneRecord in the background, so
// that the answer can be read meanwhile. In a turn the answer has begun then.
func (e *exchange) send(m *message, got func(net.Conn)) error {
	s := e.conn.socket
	if s.waited = false; e.conn.turns(m) {
		s.armed = got
		defer func() { s.armed = nil }() // TLS may have refused
	} else {
		got(s.Conn)
	}
	if m.more {
		e.conn.due = time.Time{}
		e.uploaded = make(chan error, 1)
		piece := append(make([]byte, 0, oneRecord), *m.buffer...)
		body, length := m.request.Body, m.request.ContentLength
		go func() { e.uploaded <- e.upload(piece, body, length) }()
		return nil
	}
	began := time.Now()
	if _, err := e.conn.secure.Write(*m.buffer); err != nil {
		return err
	}
	if now := time.Now(); !s.waited && now.Sub(began) > time.Millisecond {
		e.conn.due = time.Time{}
		e.bound(now.Add(e.conn.pool.options.HeaderTimeout)) // the answer has its time from here on
	}
	return nil
}

// upload writes a long request piece by piece, the first of which begins with the
// head, until it is answered.
func (e *exchange) upload(piece []byte, body io.Reader, length int64) error {
	for {
		n, err := io.ReadFull(body, piece[len(piece):len(piece)+int(min(length, int64(cap(piece)-len(piece))))])
		if err != nil {
			e.conn.drop()
			return errLength
		}
		piece, length = piece[:len(piece)+n], length-int64(n)
		if e.answered.Load() {
			return errEarly
		}
		if _, err := e.conn.secure.Write(piece); err != nil {
			return err
		}
		if !e.answered.Load() {
			e.bound(time.Now().Add(e.conn.pool.options.HeaderTimeout))
		}
		if length == 0 {
			return nil
		}
		piece = piece[:0]
	}
}

// receive reads an answer's head. Sent is what became of writing the request.
func (e *exchange) receive(r *http.Request, sent error) (*http.Response, error) {
	if sent != nil { // so the connection, and what is known of its deadline, end soon
		e.keep = false
		e.bound(time.Now().Add(answerGrace))
	}
	if e.reader, _ = e.buffers.readers.Get().(*bufio.Reader); e.reader == nil {
		e.reader = bufio.NewReaderSize(nil, readerSize)
	}
	e.reader.Reset((*wire)(e))
	response, err := e.readHead(r)
	if err != nil {
		return nil, err
	}
	e.open(response)
	return response, nil
}

// maxInformational bounds the 1xx answers before an answer, as net/http's HTTP/2 does.
const maxInformational = 5

// readHead reads the head of an answer, past those of 1xx answers. What changes the
// protocol is the last that can be read.
func (e *exchange) readHead(r *http.Request) (*http.Response, error) {
	for range maxInformational + 1 {
		response, err := readResponse(e.reader, r)
		if err != nil || response.StatusCode < 100 || response.StatusCode > 199 || response.StatusCode == http.StatusSwitchingProtocols {
			return response, err
		}
	}
	return nil, errInformational
}

var (
	errHead          = errors.New("the head of the answer is too long")
	errInformational = errors.New("too many 1xx answers")
	errEarly         = errors.New("the server has answered before it was sent the whole request")
)
