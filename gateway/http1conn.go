package gateway

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"runtime/debug"
	"sync"
	"time"
)

// http1Conn serves the HTTP/1.x requests of a tunnel, one after the other. It does what
// net/http's server does, for about half of the processor time of it: it has no second
// goroutine for each request, reads a head once, and writes an answer's head and body
// together. Decision 14 says why there is one.
//
// What is bounded: a head by framedConn in size, and by readHeadTimeout in time; the time
// between two requests by idleTimeout; bodies and answers by the stations of a call, as
// for any other server.
type http1Conn struct {
	framed  *framedConn
	handle  http.HandlerFunc
	log     *slog.Logger
	request request
	answer  response
	watch   watch

	deadline time.Time // for reading, the next head or to sleep
	due      time.Time // when the wait for a request is over
	socket   net.Conn  // that it can sleep by; nil where it can't
	gone     func()    // called when it has ended
}

// serveHTTP1 serves a tunnel until its end, or until it is called away.
func (g *Gateway) serveHTTP1(f *framedConn) {
	patience := readHeadTimeout
	if f.origin.moved {
		patience = idleTimeout
	}
	x := newHTTP1Conn(f, g.log, func(w http.ResponseWriter, r *http.Request) {
		s := newScratch(r, f.origin)
		g.serveTunnelled(w, &s.call)
		s.free() // not if it panics: somebody may have something of it
	})
	x.socket, x.gone = socketOf(f.Conn), func() { g.conns.remove(f) }
	x.run(patience)
}

func newHTTP1Conn(f *framedConn, log *slog.Logger, handle http.HandlerFunc) *http1Conn {
	x := &http1Conn{framed: f, handle: handle, log: log}
	f.kept = true
	x.watch.conn = x
	x.answer.conn, x.answer.header = x, make(http.Header)
	x.request.header = make(http.Header)
	return x
}

// run serves until the end, and closes the connection; or until it sleeps, after which
// another goroutine goes on. The first request may take patience to begin.
func (x *http1Conn) run(patience time.Duration) { x.goOn(x.next(patience)) }

// goOn serves after the wait for a request has ended by err.
func (x *http1Conn) goOn(err error) {
	for err == nil && x.serve() {
		x.framed.rest.set()
		err = x.next(idleTimeout)
	}
	if err == errSleeps {
		go x.sleep()
		return
	}
	_ = x.framed.Close()
	if x.gone != nil {
		x.gone()
	}
}

// errTaken ends serving a connection that was called away.
var errTaken = errors.New("the connection is served by somebody else")

// next waits for the head of the next request, which may take patience to begin.
func (x *http1Conn) next(patience time.Duration) error {
	x.rests(patience)
	return x.await()
}

// await waits for it until the deadline.
func (x *http1Conn) await() error {
	f := x.framed
	for begun := false; ; {
		if fault := f.advance(); fault != nil {
			f.refuse(fault)
			f.head, _ = parseHead(string(f.buf), f.head.fields)
		}
		if f.ready > 0 {
			f.rest.ends(f)
			f.consume(f.ready)
			return nil
		}
		if f.rest.waits() {
			return errTaken
		}
		if len(f.buf) > 0 && !begun {
			begun = true
			_ = f.SetReadDeadline(time.Now().Add(readHeadTimeout))
			x.deadline = time.Time{}
		}
		if err := f.fill(); err != nil && !f.rest.interrupted(err) {
			if x.drowsy(err) {
				return errSleeps
			}
			f.rest.ends(f)
			return err
		}
	}
}

// rests sets the deadlines for the time between two requests. For writing there is one
// since TLS may have something to say: that of the answer before, where it is long enough.
func (x *http1Conn) rests(patience time.Duration) {
	// That it may end a moment early saves setting a deadline each time.
	const moment = sleepAfter / 2
	now := time.Now()
	x.due = now.Add(patience)
	first := x.due
	if x.socket != nil {
		first = now.Add(min(patience, sleepAfter))
	}
	if early := first.Sub(x.deadline); early < 0 || early > moment {
		_ = x.framed.SetReadDeadline(first)
		x.deadline = first
	}
	if x.answer.deadline.Before(first) {
		x.writesUntilDue()
	}
}

// writesUntilDue sets the deadline for writing while the connection rests.
func (x *http1Conn) writesUntilDue() {
	_ = x.framed.SetWriteDeadline(x.due)
	x.answer.deadline = time.Time{} // an answer has its own
}

// serve has a request served, and reports whether the connection takes another one.
func (x *http1Conn) serve() (goesOn bool) {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	x.watch.begin(cancel)
	defer x.watch.end()
	r := x.request.of(x, ctx)
	x.answer.begin(r, x.framed.head.minor)
	defer func() {
		p := recover()
		if p == nil {
			return
		}
		if p != http.ErrAbortHandler {
			panicked(x.log, p)
		}
		x.answer.drop()
		sever(x.framed.Conn) // without a word of TLS, which would say that this is the end
		goesOn = false
	}()
	if !x.request.body.expected {
		x.watch.arm()
	}
	x.handle(&x.answer, r)
	whole := x.answer.end()
	x.watch.end()
	switch {
	case !whole || x.watch.gone():
		return false
	case x.framed.state == atEnd || !x.request.body.over():
		x.linger()
		return false
	case x.answer.closes:
		return false
	}
	x.request.end()
	return true
}

// panicked logs a panic of a handler, whose stack is still there. What it is of may hold
// anything, so only its type is told.
func panicked(log *slog.Logger, p any) {
	log.Error("panic in serving a tunnel", "type", fmt.Sprintf("%T", p), "stack", string(debug.Stack()),
		"hint", "a bug: report the stack and the program's version")
}

// linger lets a client that is still sending read its answer: closing at once would
// make its side forget it (RFC 9112 section 9.6).
func (x *http1Conn) linger() {
	f := x.framed
	if f.CloseWrite() != nil {
		return
	}
	_ = f.SetReadDeadline(time.Now().Add(lastWords))
	_, _ = io.CopyN(io.Discard, f.Conn, maxRefusedBody)
}

// watch notices that the client goes away while its call is under way, and cancels the call.
// Most calls are over before it begins to look.
type watch struct {
	conn *http1Conn

	mu      sync.Mutex
	timer   *time.Timer
	cancel  context.CancelFunc
	armed   bool
	ticking bool          // the timer runs, perhaps since an earlier call
	since   time.Time     // when it was armed
	reading chan struct{} // closed when the reader is back; nil where there is none
	left    bool          // the client has
}

func (w *watch) begin(cancel context.CancelFunc) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.cancel = cancel
}

// arm has the client watched from watchAfter on. What of the request is to be read must
// have been read.
func (w *watch) arm() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.armed, w.since = true, time.Now()
	w.tick(watchAfter)
}

// tick has the timer run. To start and stop it with each call would cost more than to let
// it run out and look again.
func (w *watch) tick(d time.Duration) {
	switch {
	case w.ticking:
		return
	case w.timer == nil:
		w.timer = time.AfterFunc(d, w.look)
	default:
		w.timer.Reset(d)
	}
	w.ticking = true
}

// look reads what the client sends meanwhile. That it sends the next request already
// ends the watch, as the end of it would be seen only behind that.
func (w *watch) look() {
	w.mu.Lock()
	w.ticking = false
	if left := watchAfter - time.Since(w.since); w.armed && left > 0 {
		w.tick(left)
		w.mu.Unlock()
		return
	}
	f := w.conn.framed
	if !w.armed || w.reading != nil || len(f.buf) > 0 || f.state != inHead {
		w.mu.Unlock()
		return
	}
	done := make(chan struct{})
	w.reading = done
	_ = f.SetReadDeadline(time.Time{})
	w.mu.Unlock()
	defer close(done)
	err := f.fill()

	w.mu.Lock()
	defer w.mu.Unlock()
	if err != nil && w.armed {
		w.left = true
		w.cancel()
	}
}

// end ends the watch. It may be called again.
func (w *watch) end() {
	w.mu.Lock()
	if !w.armed {
		w.mu.Unlock()
		return
	}
	w.armed = false
	reading := w.reading
	w.reading = nil
	if reading != nil {
		_ = w.conn.framed.SetReadDeadline(longAgo)
	}
	w.mu.Unlock()
	if reading != nil {
		<-reading
		w.conn.deadline = time.Time{} // to be set anew
	}
}

// gone reports whether the client has left.
func (w *watch) gone() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.left
}
