package downstream

import (
	"encoding/binary"
	"runtime"
	"sync"
	"time"

	"golang.org/x/net/http2"
)

const (
	// maxGathered bounds what is gathered to be written at a time: four records of TLS.
	// With what is being written meanwhile, a connection holds twice as much.
	maxGathered = 64 << 10
	// maxControl is how much of what the reader of frames has answered may be unwritten
	// when it reads on.
	maxControl = 4 << 10
	// turns is how often a goroutine writes for others before it goes on with its own work.
	turns = 4
	// frameHead is the length of a frame's head.
	frameHead = 9
	// flagsAt is where in it the flags are.
	flagsAt = 4
)

// batch is what is written at a time. Whoever has something to write adds it to the next
// batch; who finds nobody writing writes it, and what others have added meanwhile. So many
// answers leave in one record of TLS, and nobody is woken to write.
type batch struct {
	buffer  *[]byte
	b       []byte
	control int // bytes that the reader of frames has added
	over    bool
	err     error
	done    chan struct{} // made by the first who waits
}

// buffers are for batches. Those that have grown too long are not used again.
var buffers = sync.Pool{New: func() any { b := make([]byte, 0, 8<<10); return &b }}

// end says that the batch was written, or that it never will be, with c.mu held.
func (b *batch) end(err error) {
	b.over, b.err = true, err
	if b.done != nil {
		close(b.done)
	}
	if cap(b.b) <= maxGathered {
		*b.buffer = b.b[:0]
		buffers.Put(b.buffer)
	}
	b.b, b.buffer = nil, nil
}

// batch is what is gathered now, with c.mu held.
func (c *conn) batch() *batch {
	if c.next == nil {
		buffer := buffers.Get().(*[]byte)
		c.next = &batch{buffer: buffer, b: (*buffer)[:0]}
	}
	return c.next
}

// push has what was gathered written, with c.mu held: by the caller, unless somebody is
// at it. The lock is given up meanwhile.
func (c *conn) push() {
	if c.next == nil || c.writing {
		return
	}
	if c.running > 1 {
		// Others may be about to add something.
		c.writing = true
		c.mu.Unlock()
		runtime.Gosched()
		c.mu.Lock()
	}
	c.write(turns)
}

// pushOwn is push for the reader of frames. What handlers have to say it leaves to
// another goroutine: a client that takes that slowly may have more to say meanwhile.
func (c *conn) pushOwn() {
	switch {
	case c.next == nil || c.writing:
	case len(c.next.b) == c.next.control:
		c.write(1)
	default:
		c.write(0)
	}
}

// write writes until there is nothing, with c.mu held; after so many turns another
// goroutine goes on.
func (c *conn) write(turns int) {
	c.writing = true
	for ; c.next != nil; turns-- {
		if turns == 0 {
			go func() {
				c.mu.Lock()
				defer c.mu.Unlock()
				c.write(-1)
			}()
			return
		}
		b := c.next
		c.next = nil
		late := c.late()
		c.mu.Unlock()
		if late {
			_ = c.net.SetWriteDeadline(c.writeBy)
		}
		_, err := c.net.Write(b.b)
		c.mu.Lock()
		b.end(err)
		if err != nil {
			c.fail(err)
			go c.sever() // which ends reading
		}
	}
	c.writing = false
}

// late reports whether the deadline for writing is to be set. That it may end a moment
// early saves setting one each time.
func (c *conn) late() bool {
	const moment = time.Second
	now := time.Now()
	if c.writeBy.Sub(now) > c.server.config.WriteTimeout-moment {
		return false
	}
	c.writeBy = now.Add(c.server.config.WriteTimeout)
	return true
}

// throttle keeps the reader of frames waiting where its client makes it say more than it
// reads, with c.mu held.
func (c *conn) throttle() error {
	if b := c.next; b != nil && b.control > maxControl {
		c.push()
		return c.written(b, nil)
	}
	return nil
}

// written waits until a batch was written, or for the end of a time, with c.mu held. The
// lock is given up meanwhile.
func (c *conn) written(b *batch, late <-chan time.Time) error {
	if b.over {
		return b.err
	}
	if b.done == nil {
		b.done = make(chan struct{})
	}
	done := b.done
	c.mu.Unlock()
	select {
	case <-done:
	case <-late:
	}
	c.mu.Lock()
	if !b.over {
		return errLate
	}
	return b.err
}

// What follows adds frames to the batch, with c.mu held. The Framer of x/net/http2 would
// copy each once more, and keep the room for it.

func appendHead(b []byte, length int, kind http2.FrameType, flags http2.Flags, id uint32) []byte {
	b = append(b, byte(length>>16), byte(length>>8), byte(length), byte(kind), byte(flags))
	return binary.BigEndian.AppendUint32(b, id)
}

// control adds a frame of the connection's own. After its end there are none.
func (c *conn) control(kind http2.FrameType, flags http2.Flags, id uint32, payload ...byte) {
	if c.failed != nil {
		return
	}
	b := c.batch()
	b.b = append(appendHead(b.b, len(payload), kind, flags, id), payload...)
	b.control += frameHead + len(payload)
}

func (c *conn) appendSettings(settings ...http2.Setting) {
	var payload []byte
	for _, s := range settings {
		payload = binary.BigEndian.AppendUint32(binary.BigEndian.AppendUint16(payload, uint16(s.ID)), s.Val)
	}
	c.control(http2.FrameSettings, 0, 0, payload...)
}

func (c *conn) appendWindowUpdate(id uint32, n int) {
	c.control(http2.FrameWindowUpdate, 0, id, binary.BigEndian.AppendUint32(nil, uint32(n))...)
}

func (c *conn) appendPing(ack bool, data [8]byte) {
	var flags http2.Flags
	if ack {
		flags = http2.FlagPingAck
	}
	c.control(http2.FramePing, flags, 0, data[:]...)
}

func (c *conn) appendReset(id uint32, code http2.ErrCode) {
	c.control(http2.FrameRSTStream, 0, id, binary.BigEndian.AppendUint32(nil, uint32(code))...)
}

func (c *conn) appendGoAway(code http2.ErrCode) {
	c.control(http2.FrameGoAway, 0, 0, binary.BigEndian.AppendUint32(binary.BigEndian.AppendUint32(nil, c.lastID), uint32(code))...)
}

// gathering is where header compression writes to: the batch.
type gathering conn

func (g *gathering) Write(p []byte) (int, error) {
	g.next.b = append(g.next.b, p...)
	return len(p), nil
}
