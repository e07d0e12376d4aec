package gateway

import (
	"errors"
	"net"
	"net/http"
	"os"
	"sync"
	"time"
)

// connections are the client connections of HTTP/1.x, at the proxy listener and
// inside tunnels. All can be called away from their servers, so that somebody else
// serves the requests to come.
type connections struct {
	mu   sync.Mutex
	open map[*framedConn]struct{}
	take func(*framedConn) // set while connections are called away
}

func (cs *connections) add(f *framedConn) {
	cs.mu.Lock()
	defer cs.mu.Unlock()
	if cs.open == nil {
		cs.open = make(map[*framedConn]struct{})
	}
	cs.open[f] = struct{}{}
	f.rest.call(f, cs.take)
}

func (cs *connections) remove(f *framedConn) {
	cs.mu.Lock()
	defer cs.mu.Unlock()
	delete(cs.open, f)
}

// cut closes them all.
func (cs *connections) cut() {
	cs.mu.Lock()
	defer cs.mu.Unlock()
	for f := range cs.open {
		sever(f.Conn)
	}
}

// sever closes a connection without a word of TLS, for which a client that takes
// nothing would make it wait.
func sever(c net.Conn) {
	if t, ok := c.(interface{ NetConn() net.Conn }); ok {
		c = t.NetConn()
	}
	_ = c.Close()
}

func (cs *connections) count() int {
	cs.mu.Lock()
	defer cs.mu.Unlock()
	return len(cs.open)
}

// call takes each connection away from its server as soon as that waits for a
// request and was given nothing of it: those that are open, and those to come. To
// net/http it looks as if its client had closed it. With nil, new ones stay; those
// that were called are taken all the same.
func (cs *connections) call(take func(*framedConn)) {
	cs.mu.Lock()
	defer cs.mu.Unlock()
	cs.take = take
	if take == nil {
		return
	}
	for f := range cs.open {
		f.rest.call(f, take)
	}
}

// abandon closes those whose TLS handshake isn't over.
func (cs *connections) abandon() {
	cs.mu.Lock()
	defer cs.mu.Unlock()
	for f := range cs.open {
		f.rest.mu.Lock()
		if f.rest.shaking {
			sever(f.Conn)
		}
		f.rest.mu.Unlock()
	}
}

// follow is the servers' ConnState. For HTTP/1.x it is called by the goroutine that
// serves the connection.
func (cs *connections) follow(c net.Conn, state http.ConnState) {
	f, ok := c.(*framedConn)
	if !ok {
		return
	}
	switch state {
	case http.StateActive:
		f.rest.begun = false
	case http.StateIdle:
		if f.state == inHead && !f.rest.begun {
			f.rest.set()
		}
	case http.StateHijacked, http.StateClosed:
		cs.remove(f)
	}
}

// rest tells whether a connection is between two requests, and takes it away from its
// server if it is called.
type rest struct {
	// begun: net/http was given something of a request that it hasn't begun to
	// serve. It belongs to the goroutine that reads.
	begun bool

	mu       sync.Mutex
	shaking  bool              // its TLS handshake isn't over
	resting  bool              // net/http waits for a request of which it has nothing
	reading  bool              // and is in Read for it
	take     func(*framedConn) // who called the connection, if anybody
	taken    bool              // it is no more net/http's
	given    bool              // take has it
	deadline time.Time         // for reading, as net/http wants it
}

// longAgo ends a read.
var longAgo = time.Unix(1, 0)

// call has the connection taken when it rests.
func (r *rest) call(f *framedConn, take func(*framedConn)) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if take == nil || r.take != nil {
		return
	}
	r.take = take
	if r.resting && r.reading {
		_ = f.Conn.SetReadDeadline(longAgo)
	}
}

// set says that net/http waits for the next request.
func (r *rest) set() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.resting, r.shaking = true, false
}

// called reports whether somebody waits for the connection.
func (r *rest) called() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.take != nil
}

// waits is said before reading of a head. It reports whether the connection is
// taken, so that there is nothing to be read.
func (r *rest) waits() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.resting && r.take != nil {
		r.taken = true
	}
	r.reading = !r.taken
	return r.taken
}

// ends is said when net/http is given something, or reading failed.
func (r *rest) ends(f *framedConn) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.resting && r.take != nil {
		_ = f.Conn.SetReadDeadline(r.deadline)
	}
	r.resting, r.reading = false, false
}

// interrupted reports whether err is of call, not of net/http's own deadline.
func (r *rest) interrupted(err error) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.resting && r.take != nil && errors.Is(err, os.ErrDeadlineExceeded) &&
		(r.deadline.IsZero() || time.Now().Before(r.deadline))
}

// SetReadDeadline keeps the deadline for when the connection is back.
func (f *framedConn) SetReadDeadline(t time.Time) error {
	r := &f.rest
	r.mu.Lock()
	defer r.mu.Unlock()
	r.deadline = t
	if r.taken || r.take != nil && r.resting && r.reading {
		return nil
	}
	return f.Conn.SetReadDeadline(t)
}

func (f *framedConn) SetDeadline(t time.Time) error {
	if err := f.SetReadDeadline(t); err != nil {
		return err
	}
	return f.SetWriteDeadline(t)
}

func (f *framedConn) SetWriteDeadline(t time.Time) error {
	r := &f.rest
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.taken {
		return nil
	}
	return f.Conn.SetWriteDeadline(t)
}

// Close closes the connection, or gives it to who has called it.
func (f *framedConn) Close() error {
	r := &f.rest
	r.mu.Lock()
	if r.take == nil || !r.taken && (!r.resting || r.reading) {
		r.mu.Unlock()
		return f.Conn.Close()
	}
	given := r.given
	r.taken, r.given = true, true
	r.mu.Unlock()
	if !given {
		r.take(f)
	}
	return nil
}
