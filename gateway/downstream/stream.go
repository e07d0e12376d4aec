package downstream

import (
	"errors"
	"net/http"
	"os"
	"slices"
	"time"

	"golang.org/x/net/http2"
)

// stream is a request and its answer. Its fields are guarded by the connection's mu, but
// for those of answer and body that say so.
type stream struct {
	conn    *conn
	id      uint32
	request *http.Request
	handle  http.HandlerFunc
	cancel  func()

	asked  bool  // the client has said all of its request
	said   bool  // all of the answer is gathered
	closed bool  // it counts no more
	err    error // why it has ended early, for its handler
	ready  bool  // a handler has it, or had

	window   int64         // what may be sent
	writable chan struct{} // made by the first who waits
	last     *batch        // that has something of the answer
	tail     int           // where in it the last piece begins; 0: there is none

	body   body
	answer answer
}

var (
	errLate   = os.ErrDeadlineExceeded
	errStream = errors.New("the client has ended its request")
	errBroken = errors.New("the request is not framed as HTTP/2 wants it")
)

// recentResets is of how many streams that this side has reset the client's frames are
// passed over: they were on their way.
const recentResets = 16

// stream finds one that is open.
func (c *conn) stream(id uint32) *stream {
	if st := c.streams[id]; st != nil && !st.closed {
		return st
	}
	return nil
}

// idle reports whether the client has never opened a stream (RFC 9113 section 5.1). Of one
// that was told to go away nobody knows.
func (c *conn) idle(id uint32) bool { return id%2 == 0 || id > c.lastID && !c.leaving }

// failure is why the stream has ended early.
func (st *stream) failure() error {
	st.conn.mu.Lock()
	defer st.conn.mu.Unlock()
	return st.err
}

// reset ends a stream, open or not, with a code.
func (c *conn) reset(id uint32, code http2.ErrCode) {
	c.appendReset(id, code)
	c.resets[c.nresets%recentResets] = id
	c.nresets++
	if st := c.stream(id); st != nil {
		c.kill(st, errBroken)
	}
}

// wasReset reports whether this side has reset a stream a short while ago.
func (c *conn) wasReset(id uint32) bool {
	for _, r := range c.resets {
		if r == id {
			return true
		}
	}
	return false
}

// kill ends a stream early: what its handler does with it fails from now on.
func (c *conn) kill(st *stream, err error) {
	if st.err == nil {
		st.err = err
	}
	c.close(st)
	c.forget(st)
	c.giveBack(st.body.drop())
	if !st.ready {
		c.unqueue(st)
	}
	st.cancel()
	signal(st.writable)
	signal(st.body.readable)
}

// close says that the stream counts no more.
func (c *conn) close(st *stream) {
	if !st.closed {
		st.closed = true
		c.open--
	}
}

// forget lets go of a stream: it was killed, or its handler has ended.
func (c *conn) forget(st *stream) {
	delete(c.waiting, st)
	if c.streams[st.id] == st {
		delete(c.streams, st.id)
		c.rests()
	}
}

// unqueue takes a stream from the queue.
func (c *conn) unqueue(st *stream) {
	if i := slices.Index(c.queue, st); i >= 0 {
		c.queue = slices.Delete(c.queue, i, i+1)
		c.vain++
	}
}

// wait waits for a signal, the stream's end or the end of a time, with c.mu held. The
// lock is given up meanwhile.
func (st *stream) wait(signal *chan struct{}, end time.Time) error {
	if st.err != nil {
		return st.err
	}
	left := time.Until(end)
	if left <= 0 {
		return errLate
	}
	if *signal == nil {
		*signal = make(chan struct{}, 1)
	}
	woken := *signal
	timer := time.NewTimer(left)
	defer timer.Stop()
	st.conn.mu.Unlock()
	select {
	case <-woken:
	case <-timer.C:
	}
	st.conn.mu.Lock()
	return st.err
}

// signal wakes who waits, or has the next one look again.
func signal(c chan struct{}) {
	if c == nil {
		return
	}
	select {
	case c <- struct{}{}:
	default:
	}
}
