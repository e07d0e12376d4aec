package gateway_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

// site is the host of the tunnels of these tests.
const site = "acme.atlassian.net"

// rawHTTP2 is a client in a tunnel that sends any frames, by its Framer, and keeps
// what comes back.
type rawHTTP2 struct {
	*http2.Framer
	t     testing.TB
	conn  net.Conn
	block bytes.Buffer
	hpack *hpack.Encoder
	ended chan struct{} // the gateway has closed, or the client has

	mu      sync.Mutex
	changed *sync.Cond
	streams map[uint32]*rawAnswer
	goAway  http2.ErrCode // meaningful once gone
	gone    bool
}

// rawAnswer is what came on one stream.
type rawAnswer struct {
	status string
	asked  bool // to send the body
	body   []byte
	reset  http2.ErrCode
	over   bool // ended, reset, or the connection gone
	code   string
}

// http2 opens a tunnel and speaks HTTP/2 in it. The client acknowledges nothing.
func (w *world) http2(settings ...http2.Setting) *rawHTTP2 {
	w.t.Helper()
	return w.speakHTTP2(w.tunnelOn(must(net.Dial("tcp", w.proxy))(w.t), site+":443", site, "h2"), settings...)
}

// speakHTTP2 begins HTTP/2 in a tunnel.
func (w *world) speakHTTP2(conn net.Conn, settings ...http2.Setting) *rawHTTP2 {
	w.t.Helper()
	_ = conn.SetDeadline(time.Now().Add(2 * time.Minute)) // of a test that hangs
	c := &rawHTTP2{t: w.t, conn: conn, Framer: http2.NewFramer(conn, conn), ended: make(chan struct{}), streams: map[uint32]*rawAnswer{}}
	c.changed, c.hpack = sync.NewCond(&c.mu), hpack.NewEncoder(&c.block)
	c.AllowIllegalWrites = true
	c.ReadMetaHeaders = hpack.NewDecoder(4<<10, nil)
	if _, err := io.WriteString(conn, http2.ClientPreface); err != nil {
		w.t.Fatal(err)
	}
	if err := c.WriteSettings(settings...); err != nil {
		w.t.Fatal(err)
	}
	return c
}

// listen reads what comes, in the background, until the connection ends.
func (c *rawHTTP2) listen() *rawHTTP2 {
	go func() {
		defer close(c.ended)
		for {
			frame, err := c.ReadFrame()
			c.mu.Lock()
			if err != nil {
				c.gone = true
				for _, a := range c.streams {
					a.over = true
				}
				c.changed.Broadcast()
				c.mu.Unlock()
				return
			}
			c.take(frame)
			c.changed.Broadcast()
			c.mu.Unlock()
		}
	}()
	return c
}

func (c *rawHTTP2) take(frame http2.Frame) {
	a := c.answer(frame.Header().StreamID)
	switch f := frame.(type) {
	case *http2.MetaHeadersFrame:
		a.status, a.over = f.PseudoValue("status"), f.StreamEnded()
		a.asked = a.asked || a.status == "100"
	case *http2.DataFrame:
		a.body, a.over = append(a.body, f.Data()...), f.StreamEnded()
	case *http2.RSTStreamFrame:
		a.reset, a.over = f.ErrCode, true
	case *http2.GoAwayFrame:
		c.goAway = f.ErrCode
	}
}

func (c *rawHTTP2) answer(stream uint32) *rawAnswer {
	a := c.streams[stream]
	if a == nil {
		a = &rawAnswer{over: c.gone}
		c.streams[stream] = a
	}
	return a
}

// await returns what came on a stream once it is over.
func (c *rawHTTP2) await(stream uint32) rawAnswer {
	c.mu.Lock()
	defer c.mu.Unlock()
	a := c.answer(stream)
	for !a.over {
		c.changed.Wait()
	}
	var problem struct{ Code string }
	_ = json.Unmarshal(a.body, &problem)
	a.code = problem.Code
	return *a
}

// awaitAsked waits until the body of a request is asked for, or for the answer.
func (c *rawHTTP2) awaitAsked(stream uint32) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for a := c.answer(stream); !a.asked && !a.over; {
		c.changed.Wait()
	}
}

// resets is how many streams were reset.
func (c *rawHTTP2) resets() (n int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, a := range c.streams {
		if a.over && a.reset != 0 {
			n++
		}
	}
	return n
}

// awaitEnd returns the code of the GOAWAY that ended the connection.
func (c *rawHTTP2) awaitEnd() http2.ErrCode {
	<-c.ended
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.goAway
}

func (c *rawHTTP2) close() {
	c.conn.Close()
	<-c.ended
}

// fields are "name: value" lines in the order in which they are sent; a name of a
// pseudo-header field begins with its colon.
func (c *rawHTTP2) encode(fields ...string) []byte {
	c.block.Reset()
	for _, line := range fields {
		i := strings.Index(line[1:], ": ") + 1
		if err := c.hpack.WriteField(hpack.HeaderField{Name: line[:i], Value: line[i+2:]}); err != nil {
			c.t.Fatal(err)
		}
	}
	return bytes.Clone(c.block.Bytes())
}

// request sends a header; end says that there is no body. It fails once the gateway
// has ended the connection.
func (c *rawHTTP2) request(stream uint32, end bool, fields ...string) error {
	return c.WriteHeaders(http2.HeadersFrameParam{StreamID: stream, BlockFragment: c.encode(fields...), EndStream: end, EndHeaders: true})
}

// myself are the fields of a documented call.
func myself(more ...string) []string {
	return append([]string{":method: GET", ":scheme: https", ":authority: " + site, ":path: /rest/api/3/myself"}, more...)
}

// create are those of one with a body.
func create(more ...string) []string {
	return append([]string{":method: POST", ":scheme: https", ":authority: " + site, ":path: /rest/api/3/issue", "content-type: application/json"}, more...)
}

// closed reports whether err is of a connection that the other side has ended.
func closed(err error) bool {
	var network *net.OpError
	return errors.As(err, &network) || errors.Is(err, io.EOF) || errors.Is(err, net.ErrClosed)
}

// eventually waits until ok, or fails the test.
func (w *world) eventually(what string, ok func() bool) {
	w.t.Helper()
	for range 500 {
		if ok() {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	w.t.Errorf("%s: not so in the end", what)
}
