package downstream

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

const (
	// initialWindow is what either side may send until it is told otherwise (RFC 9113
	// section 6.9.2).
	initialWindow = 64<<10 - 1
	maxWindow     = 1<<31 - 1
	// initialTable is the size of the tables of header compression.
	initialTable = 4 << 10
	// lastWords is how long a connection stays after it was told to go away, so that its
	// client can read it.
	lastWords = time.Second
	// readBuffer holds a few headers, or a part of a long frame.
	readBuffer = 4 << 10
)

// conn is a connection. One goroutine reads its frames, a handler's its answer; what is
// written, whoever comes first writes, see batch.
type conn struct {
	server *Server
	net    net.Conn
	socket net.Conn // what it sleeps by; nil where it can't
	handle http.HandlerFunc
	gone   func()
	peer   string

	// Of the goroutine that reads. Both are nil while it sleeps.
	in      *bufio.Reader
	framer  *http2.Framer
	decoder *hpack.Decoder

	mu     sync.Mutex
	failed error // why nothing can be written any more
	times  times

	greeted bool                 // its first SETTINGS have come
	unacked int                  // SETTINGS of ours
	streams map[uint32]*stream   // those that are open, and those whose handlers have yet to end
	open    int                  // streams that are open
	lastID  uint32               // the last stream that the client has opened
	resets  [recentResets]uint32 // the last streams that were reset by this side
	nresets int
	leaving bool // no more streams are taken
	ending  bool // nothing is said any more but why
	asleep  bool

	running int       // handlers
	queue   []*stream // that wait for one
	vain    int       // streams that were reset in the queue, since a handler has ended

	// What the client may send.
	received inflow
	// What may be sent.
	window   int64 // of the connection
	initial  int64 // of a new stream
	maxFrame int
	waiting  map[*stream]struct{} // for the connection's window

	encoder *hpack.Encoder
	next    *batch // what was gathered; nil where there is nothing
	writing bool
	writeBy time.Time // the deadline that is set
}

func newConn(s *Server, c, socket net.Conn, handle http.HandlerFunc, gone func()) *conn {
	x := &conn{server: s, net: c, socket: socket, handle: handle, gone: gone}
	if a := c.RemoteAddr(); a != nil {
		x.peer = a.String()
	}
	x.decoder = hpack.NewDecoder(initialTable, nil)
	x.encoder = hpack.NewEncoder((*gathering)(x))
	x.streams = make(map[uint32]*stream)
	x.window, x.initial, x.maxFrame = initialWindow, initialWindow, maxFrame
	x.received.avail, x.received.all = initialWindow, s.config.ReceiveBuffer
	return x
}

// begin greets the client, and serves it.
func (c *conn) begin() {
	c.wake()
	c.goOn(c.greet())
}

// goOn serves until the connection ends, or until it sleeps, after which another
// goroutine goes on.
func (c *conn) goOn(err error) {
	for err == nil {
		err = c.step()
	}
	if err == errSleeps {
		go c.sleep()
		return
	}
	c.end(err)
}

// greet sends the settings and reads the client's preface.
func (c *conn) greet() error {
	config := &c.server.config
	c.mu.Lock()
	now := time.Now()
	c.times = times{begun: now, greeted: now, frame: now, idle: now, within: true}
	c.setDeadline(now)
	c.unacked = 1
	c.appendSettings(
		http2.Setting{ID: http2.SettingMaxFrameSize, Val: uint32(config.MaxFrame)},
		http2.Setting{ID: http2.SettingMaxConcurrentStreams, Val: uint32(config.MaxStreams)},
		http2.Setting{ID: http2.SettingMaxHeaderListSize, Val: c.maxHeaderList()},
		http2.Setting{ID: http2.SettingHeaderTableSize, Val: initialTable},
		http2.Setting{ID: http2.SettingInitialWindowSize, Val: uint32(config.ReceiveBuffer)},
		http2.Setting{ID: http2.SettingNoRFC7540Priorities, Val: 1},
	)
	if more := config.ReceiveBuffer - initialWindow; more > 0 {
		c.received.avail += more
		c.appendWindowUpdate(0, more)
	}
	c.push()
	c.mu.Unlock()

	var preface [len(http2.ClientPreface)]byte
	if _, err := io.ReadFull(c.in, preface[:]); err != nil {
		return fmt.Errorf("read the preface: %w", err)
	}
	if string(preface[:]) != http2.ClientPreface {
		return errors.New("read the preface: a bogus greeting")
	}
	return nil
}

// maxHeaderList is the bound of a header in the unit of RFC 9113 section 6.5.2, which
// counts 32 bytes more for each field.
func (c *conn) maxHeaderList() uint32 {
	const fields, each = 10, 32
	return uint32(c.server.config.MaxHeader + fields*each)
}

// step waits for a frame and deals with it.
func (c *conn) step() error {
	if err := c.between(); err != nil {
		return err
	}
	head, err := c.framer.ReadFrameHeader()
	if err == nil {
		var frame http2.Frame
		if frame, err = c.framer.ReadFrameForHeader(head); err == nil {
			c.mu.Lock()
			defer c.mu.Unlock()
			return c.take(frame)
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	var stream http2.StreamError
	switch {
	case errors.Is(err, http2.ErrFrameTooLarge):
		err = http2.ConnectionError(http2.ErrCodeFrameSize)
	case errors.As(err, &stream):
		return c.unreadable(head, stream)
	}
	return err
}

// between writes what there is to be said, where no more frames have come, and waits for
// the first byte of one.
func (c *conn) between() error {
	c.mu.Lock()
	c.times.within = false
	more := c.in.Buffered() > 0
	if !more {
		c.pushOwn()
	}
	err := c.failed
	if err == nil {
		err = c.throttle()
	}
	c.mu.Unlock()
	if err != nil {
		return err
	}
	if !more {
		if _, err := c.in.Peek(1); err != nil {
			return err
		}
	}
	c.mu.Lock()
	c.times.begins(time.Now())
	c.mu.Unlock()
	return nil
}

// end ends the connection, and what is under way on it.
func (c *conn) end(err error) {
	c.mu.Lock()
	var broken http2.ConnectionError
	if errors.As(err, &broken) && c.failed == nil {
		c.ending = true
		c.killAll()
		c.appendGoAway(http2.ErrCode(broken))
		last := c.next
		c.push()
		_ = c.written(last, nil)
	}
	c.fail(err)
	c.mu.Unlock()
	switch {
	case errors.As(err, &broken):
		c.server.logf("http2: connection from %s: %v", c.peer, err)
		c.linger()
	case errors.Is(err, errCut):
		c.server.logf("http2: connection from %s: %v", c.peer, err)
		c.sever()
	case !errors.Is(err, io.EOF) && !errors.Is(err, net.ErrClosed) && err != errOver:
		c.server.logf("http2: connection from %s: %v", c.peer, err)
	}
	_ = c.net.Close()
	c.rest()
	c.server.remove(c)
	if c.gone != nil {
		c.gone()
	}
}

// linger lets the client read why its connection ends: closing it while something is
// unread would make its side forget it.
func (c *conn) linger() {
	if w, ok := c.net.(interface{ CloseWrite() error }); !ok || w.CloseWrite() != nil {
		return
	}
	_ = c.net.SetReadDeadline(time.Now().Add(lastWords))
	_, _ = io.Copy(io.Discard, c.net)
}

// sever closes the connection without a word of TLS, for which a client that takes
// nothing would make it wait.
func (c *conn) sever() {
	if c.socket != nil {
		_ = c.socket.Close()
	}
	_ = c.net.Close()
}

// fail has nothing be written any more, with c.mu held.
func (c *conn) fail(err error) {
	if c.failed != nil {
		return
	}
	c.failed = err
	if b := c.next; b != nil {
		c.next = nil
		b.end(err)
	}
	c.killAll()
}

// killAll ends all streams, with c.mu held.
func (c *conn) killAll() {
	for _, st := range c.streams {
		c.kill(st, errConnection)
	}
}

var (
	// errOver is of a connection that has come to its end.
	errOver = errors.New("the connection is over")
	// errCut is of one whose client is too slow, or gone without a word.
	errCut = errors.New("cut")
	// errConnection is of a stream whose connection has ended.
	errConnection = errors.New("the client's connection has ended")
)
