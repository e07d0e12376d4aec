package downstream

import (
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"time"

	"golang.org/x/net/http2"
)

// times is what a connection has to know to find out that it waits for nothing. They are
// looked at once a second, or when the first of them is due, so that no frame sets a
// timer.
type times struct {
	greeted time.Time // when it was accepted
	begun   time.Time // the first byte of a frame
	frame   time.Time // the last frame
	idle    time.Time // the last stream has ended
	pinged  time.Time // a PING is unanswered; zero: there is none
	over    time.Time // when it is closed; zero: not yet
	within  bool      // a frame that has begun
	data    [8]byte   // of the PING
}

// begins says that a frame begins, which comes after one that has ended.
func (t *times) begins(now time.Time) { t.begun, t.frame, t.within = now, now, true }

// input is the connection for who reads frames. It gives no part of one back for a
// deadline that only is to look at the times.
type input struct{ *conn }

func (c input) Read(p []byte) (int, error) {
	for {
		n, err := c.net.Read(p)
		if n > 0 || !errors.Is(err, os.ErrDeadlineExceeded) {
			return n, err
		}
		if err := c.tick(); err != nil {
			return 0, err
		}
	}
}

// tick does what is due.
func (c *conn) tick() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	config, t, now := &c.server.config, &c.times, time.Now()
	since := func(then time.Time, d time.Duration) bool { return !now.Before(then.Add(d)) }
	switch {
	case c.failed != nil:
		return c.failed
	case !t.over.IsZero() && since(t.over, 0):
		return errOver
	case !c.greeted && since(t.greeted, config.GreetTimeout):
		return fmt.Errorf("%w: it took too long to send its settings", errCut)
	case t.within && since(t.begun, config.FrameTimeout):
		return fmt.Errorf("%w: a frame took too long", errCut)
	case !t.pinged.IsZero() && since(t.pinged, config.PingTimeout):
		return fmt.Errorf("%w: a PING was not answered", errCut)
	case len(c.streams) == 0 && !c.leaving && since(t.idle, config.IdleTimeout):
		c.leave()
		c.pushOwn()
	case t.pinged.IsZero() && len(c.streams) > 0 && since(t.frame, config.IdleTimeout):
		t.pinged = now
		_, _ = rand.Read(t.data[:])
		c.appendPing(false, t.data)
		c.pushOwn()
	case c.drowsy(now):
		_ = c.net.SetReadDeadline(c.due())
		return errSleeps
	}
	c.setDeadline(time.Now()) // writing may have taken a while
	return nil
}

// due is when something is to be done of which nobody tells, with c.mu held.
func (c *conn) due() time.Time {
	config, t := &c.server.config, &c.times
	var first time.Time
	at := func(then time.Time, d time.Duration) {
		if then = then.Add(d); first.IsZero() || then.Before(first) {
			first = then
		}
	}
	if !t.over.IsZero() {
		at(t.over, 0)
	}
	if !c.greeted {
		at(t.greeted, config.GreetTimeout)
	}
	if t.within {
		at(t.begun, config.FrameTimeout)
	}
	switch {
	case !t.pinged.IsZero():
		at(t.pinged, config.PingTimeout)
	case len(c.streams) > 0:
		at(t.frame, config.IdleTimeout)
	}
	if len(c.streams) == 0 && !c.leaving {
		at(t.idle, config.IdleTimeout)
	}
	return first
}

// setDeadline has the times looked at again, with c.mu held.
func (c *conn) setDeadline(now time.Time) {
	next := now.Add(c.server.config.SleepAfter)
	if due := c.due(); !due.IsZero() && due.Before(next) {
		next = due
	}
	_ = c.net.SetReadDeadline(next)
}

// retire tells the client to go away.
func (c *conn) retire() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.leave()
	c.push()
}

// told reports whether the client was told to go away.
func (c *conn) told() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.leaving
}

// leave takes no more streams, and ends the connection when it has none, with c.mu held. The
// caller has it written.
func (c *conn) leave() {
	if c.leaving || c.failed != nil || c.unacked == 0 && !c.greeted { // it may be told again
		return
	}
	c.leaving = true
	c.appendGoAway(http2.ErrCodeNo)
	c.rests()
}

// rests is said when a connection may have no streams any more, with c.mu held.
func (c *conn) rests() {
	if len(c.streams) > 0 {
		return
	}
	now := time.Now()
	c.times.idle = now
	if c.leaving && c.times.over.IsZero() {
		c.times.over = now.Add(lastWords)
		_ = c.net.SetReadDeadline(c.times.over)
	}
}
