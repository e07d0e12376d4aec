package downstream

import (
	"bufio"
	"errors"
	"sync"
	"time"

	"golang.org/x/net/http2"
)

// A goroutine that waits inside of TLS keeps the stack that it once needed, 8 KiB and
// more, and what it reads by. So after a short while without a stream a connection sleeps:
// that goroutine ends, and another one waits for the socket, whose stack is small.

// errSleeps ends a goroutine that has nothing to do.
var errSleeps = errors.New("the connection sleeps")

// drowsy reports whether there is nothing but the next frame to wait for, of which nothing
// has come, with c.mu held.
func (c *conn) drowsy(now time.Time) bool {
	return c.socket != nil && c.greeted && !c.times.within && len(c.streams) == 0 && c.running == 0 &&
		c.next == nil && !c.writing && now.Sub(c.times.frame) >= c.server.config.SleepAfter/2
}

// sleep waits until something comes, and goes on. TLS has nothing left of what came
// before: then its read would not have timed out. Whatever ends the wait, reading finds
// again.
func (c *conn) sleep() {
	c.rest()
	c.mu.Lock()
	c.asleep = true
	c.mu.Unlock()
	_, _ = c.socket.Read(nil)
	c.wake()
	c.mu.Lock()
	c.asleep = false
	c.setDeadline(time.Now())
	c.mu.Unlock()
	c.goOn(nil)
}

// wake makes what a connection reads by.
func (c *conn) wake() {
	c.in = readers.Get().(*bufio.Reader)
	c.in.Reset(input{c})
	c.framer = http2.NewFramer(nil, c.in)
	c.framer.SetReuseFrames()
	c.framer.ReadMetaHeaders = c.decoder
	c.framer.MaxHeaderListSize = c.maxHeaderList()
	c.framer.SetMaxReadFrameSize(uint32(c.server.config.MaxFrame))
}

// rest gives back what a connection reads by.
func (c *conn) rest() {
	c.in.Reset(nil)
	readers.Put(c.in)
	c.in, c.framer = nil, nil
}

// readers are what connections that are awake read by.
var readers = sync.Pool{New: func() any { return bufio.NewReaderSize(nil, readBuffer) }}
