package downstream

import (
	"errors"
	"io"
	"net/http"
	"time"
)

// inflow is what the client may send of bodies.
type inflow struct {
	avail  int // that it knows of
	unsaid int // that it may be told of
	all    int
}

// take takes n bytes from what the client may send, and reports whether it may.
func (f *inflow) take(n int) bool {
	if n > f.avail {
		return false
	}
	f.avail -= n
	return true
}

// back gives n bytes back, and returns of how many the client is to be told: not of each.
func (f *inflow) back(n int) int {
	f.unsaid += n
	if f.unsaid < f.all/4 && f.unsaid < f.avail {
		return 0
	}
	n, f.unsaid = f.unsaid, 0
	f.avail += n
	return n
}

// giveBack lets the client send n bytes more on the connection, with c.mu held.
func (c *conn) giveBack(n int) {
	if n > 0 && !c.ending {
		if n = c.received.back(n); n > 0 {
			c.appendWindowUpdate(0, n)
		}
	}
}

// body is a request's body.
type body struct {
	stream    *stream
	buf       []byte // what has come and was not read
	at        int    // of which so much was read
	received  inflow
	declared  int64 // -1: nothing
	come      int64
	err       error // at its end
	readable  chan struct{}
	continues bool // the client waits to be told to send it
	deadline  time.Time
	trailer   http.Header
	trailing  bool // trailers have come
}

// add keeps what has come until it is read. What was read makes room first: a reader that
// never catches up must not have the whole body kept.
func (b *body) add(data []byte) {
	if b.at > 0 && len(b.buf)+len(data) > cap(b.buf) {
		b.buf, b.at = b.buf[:copy(b.buf, b.buf[b.at:])], 0
	}
	b.buf = append(b.buf, data...)
	signal(b.readable)
}

// drop forgets what was not read, and returns how much it is. Who reads on must not take
// what it has for the whole body.
func (b *body) drop() int {
	n := len(b.buf) - b.at
	b.buf, b.at = nil, 0
	if b.err == nil || n > 0 {
		b.err = http.ErrBodyReadAfterClose
	}
	signal(b.readable)
	return n
}

// end says that no more comes.
func (b *body) end(err error) {
	if b.err == nil {
		b.err = err
	}
	signal(b.readable)
}

// Read implements io.Reader. It may be called by another goroutine than the handler's.
func (b *body) Read(p []byte) (int, error) {
	st := b.stream
	c := st.conn
	c.mu.Lock()
	defer c.mu.Unlock()
	if b.continues {
		b.continues = false
		if !st.answer.headed && !st.closed {
			st.appendContinue()
			c.push()
		}
	}
	for len(p) > 0 {
		switch {
		case st.err != nil:
			return 0, st.err
		case b.at < len(b.buf):
			n := copy(p, b.buf[b.at:])
			b.took(n)
			return n, nil
		case b.err != nil:
			if b.err == io.EOF {
				b.trail()
			}
			return 0, b.err
		}
		if err := st.wait(&b.readable, b.until()); err != nil {
			return 0, err
		}
	}
	return 0, nil
}

// took gives the client room for what was read.
func (b *body) took(n int) {
	c := b.stream.conn
	if b.at += n; b.at == len(b.buf) {
		b.buf, b.at = b.buf[:0], 0
		if cap(b.buf) > small { // else each stream might keep as much as the connection may
			b.buf = nil
		}
	}
	c.giveBack(n)
	if !b.stream.asked && !b.stream.closed {
		if n := b.received.back(n); n > 0 {
			c.appendWindowUpdate(b.stream.id, n)
		}
	}
	c.push()
}

// trail hands over the trailers that were announced.
func (b *body) trail() {
	for name, values := range b.trailer {
		if _, announced := b.stream.request.Trailer[name]; announced {
			b.stream.request.Trailer[name] = values
		}
	}
	b.trailer = nil
}

// until is when reading has taken too long.
func (b *body) until() time.Time {
	if b.deadline.IsZero() {
		return time.Now().Add(forever)
	}
	return b.deadline
}

// forever is longer than any request.
const forever = 24 * time.Hour

// Close leaves what was not read.
func (b *body) Close() error {
	c := b.stream.conn
	c.mu.Lock()
	defer c.mu.Unlock()
	c.giveBack(b.drop())
	c.push()
	return nil
}

var errLength = errors.New("the body is not as long as its header says")
