package downstream

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

// config is that of the servers of these tests.
func config() Config {
	return Config{
		MaxStreams: 10, MaxFrame: 16 << 10, MaxHeader: 8 << 10, ReceiveBuffer: 128 << 10,
		GreetTimeout: 10 * time.Second, FrameTimeout: time.Minute, IdleTimeout: 3 * time.Minute, PingTimeout: 15 * time.Second,
		WriteTimeout: time.Minute, SleepAfter: time.Second,
	}
}

// client sends any frames, and keeps what comes back, one line for each frame.
type client struct {
	*http2.Framer
	t      *testing.T
	server *Server
	served *recorded
	conn   net.Conn
	block  bytes.Buffer
	hpack  *hpack.Encoder
	gone   chan struct{} // closed when the server is done with the connection

	mu   sync.Mutex
	said []string
	data map[uint32]string
}

// recorded is the server's side of a connection.
type recorded struct {
	net.Conn
	mu     sync.Mutex
	writes [][]byte
}

func (c *recorded) Write(p []byte) (int, error) {
	c.mu.Lock()
	c.writes = append(c.writes, bytes.Clone(p))
	c.mu.Unlock()
	return c.Conn.Write(p)
}

// dial connects a client that has said nothing yet, in a synctest bubble. It reads what comes.
func dial(t *testing.T, config Config, handle http.HandlerFunc) *client {
	t.Helper()
	c := dialDeaf(t, config, handle)
	go c.listen()
	return c
}

func dialDeaf(t *testing.T, config Config, handle http.HandlerFunc) *client {
	t.Helper()
	ours, theirs := net.Pipe()
	c := &client{Framer: http2.NewFramer(ours, ours), t: t, conn: ours, served: &recorded{Conn: theirs}, gone: make(chan struct{}), data: map[uint32]string{}}
	c.hpack = hpack.NewEncoder(&c.block)
	c.AllowIllegalWrites = true
	c.ReadMetaHeaders = hpack.NewDecoder(4<<10, nil)
	c.server = New(config)
	if err := c.server.Serve(c.served, theirs, handle, func() { close(c.gone) }); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ours.Close() })
	return c
}

// greeted connects a client that has greeted, and forgets what came until then.
func greeted(t *testing.T, config Config, handle http.HandlerFunc, settings ...http2.Setting) *client {
	t.Helper()
	c := dial(t, config, handle)
	c.greet(settings...)
	return c
}

func (c *client) greet(settings ...http2.Setting) {
	c.t.Helper()
	c.preface(settings...)
	c.heard()
}

func (c *client) preface(settings ...http2.Setting) {
	c.t.Helper()
	_, err := io.WriteString(c.conn, http2.ClientPreface)
	if err == nil {
		err = c.WriteSettings(settings...)
	}
	if err != nil {
		c.t.Fatal(err)
	}
}

func (c *client) listen() {
	for {
		f, err := c.ReadFrame()
		c.mu.Lock()
		if err != nil {
			c.said = append(c.said, "closed")
			c.mu.Unlock()
			return
		}
		line := fmt.Sprintf("%v %d", f.Header().Type, f.Header().StreamID)
		switch f := f.(type) {
		case *http2.MetaHeadersFrame:
			line += " " + f.PseudoValue("status")
			for _, h := range f.RegularFields() {
				if h.Name != "date" && h.Name != "content-type" && h.Name != "x-content-type-options" {
					line += " " + h.Name + "=" + h.Value
				}
			}
			line += end(f.StreamEnded())
		case *http2.DataFrame:
			c.data[f.StreamID] += string(f.Data())
			line += fmt.Sprintf(" %d bytes", len(f.Data())) + end(f.StreamEnded())
		case *http2.RSTStreamFrame:
			line += " " + f.ErrCode.String()
		case *http2.GoAwayFrame:
			line = fmt.Sprintf("GOAWAY %d %v", f.LastStreamID, f.ErrCode)
		case *http2.WindowUpdateFrame:
			line += fmt.Sprintf(" %d", f.Increment)
		case *http2.PingFrame:
			line = "PING"
			if f.IsAck() {
				line += " ack"
			}
		case *http2.SettingsFrame:
			line = "SETTINGS"
			if f.IsAck() {
				line += " ack"
			}
		}
		c.said = append(c.said, line)
		c.mu.Unlock()
	}
}

func end(is bool) string {
	if is {
		return " end"
	}
	return ""
}

// heard returns what has come since it was called last.
func (c *client) heard() []string {
	synctest.Wait()
	c.mu.Lock()
	defer c.mu.Unlock()
	said := c.said
	c.said = nil
	return said
}

// hears says what must have come since then.
func (c *client) hears(want ...string) {
	c.t.Helper()
	if got := c.heard(); !slices.Equal(got, want) {
		c.t.Errorf("the client has heard\n\t%s\nnot\n\t%s", strings.Join(got, "\n\t"), strings.Join(want, "\n\t"))
	}
}

// get are the fields of a request; fields are "name: value" with more.
func get(more ...string) []string {
	return append([]string{":method: GET", ":scheme: https", ":authority: jira.example", ":path: /"}, more...)
}

func post(more ...string) []string {
	return append([]string{":method: POST", ":scheme: https", ":authority: jira.example", ":path: /"}, more...)
}

func (c *client) encode(fields ...string) []byte {
	c.block.Reset()
	for _, line := range fields {
		i := strings.Index(line[1:], ": ") + 1
		_ = c.hpack.WriteField(hpack.HeaderField{Name: line[:i], Value: line[i+2:]})
	}
	return bytes.Clone(c.block.Bytes())
}

// ask sends a header.
func (c *client) ask(id uint32, end bool, fields ...string) {
	_ = c.WriteHeaders(http2.HeadersFrameParam{StreamID: id, BlockFragment: c.encode(fields...), EndStream: end, EndHeaders: true})
}

// hello answers with five bytes whose length is told.
func hello(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Length", "5")
	_, _ = io.WriteString(w, "hello")
}
