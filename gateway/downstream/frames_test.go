package downstream

import (
	"io"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"

	"golang.org/x/net/http2"
)

// echo answers with what it was sent, or with what went wrong.
func echo(w http.ResponseWriter, r *http.Request) {
	b, err := io.ReadAll(r.Body)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	w.Header().Set("Content-Length", strconv.Itoa(len(b)))
	_, _ = w.Write(b)
}

// What a client sends, frame by frame, and what comes back.
func TestFrames(t *testing.T) {
	const answered = "HEADERS 1 200 content-length=5"
	for _, tt := range []struct {
		name string
		send func(*client)
		want []string
	}{
		{"a request", func(c *client) { c.ask(1, true, get()...) }, []string{"HEADERS 1 200 content-length=0 end"}},
		{"with a body", func(c *client) {
			c.ask(1, false, post("content-length: 5")...)
			c.WriteData(1, false, []byte("hel"))
			c.WriteData(1, true, []byte("lo"))
		}, []string{answered, "DATA 1 5 bytes end"}},
		{"with padding", func(c *client) {
			c.ask(1, false, post()...)
			c.WriteDataPadded(1, true, []byte("hello"), make([]byte, 200))
		}, []string{answered, "DATA 1 5 bytes end"}},
		{"with trailers", func(c *client) {
			c.ask(1, false, post()...)
			c.WriteData(1, false, []byte("hello"))
			c.ask(1, true, "x-sum: 1")
		}, []string{answered, "DATA 1 5 bytes end"}},
		{"a header in three frames", func(c *client) {
			block := c.encode(get()...)
			c.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: block[:1], EndStream: true})
			c.WriteContinuation(1, false, block[1:3])
			c.WriteContinuation(1, true, block[3:])
		}, []string{"HEADERS 1 200 content-length=0 end"}},
		{"PING", func(c *client) { c.WritePing(false, [8]byte{1}) }, []string{"PING ack"}},
		{"an acknowledgement of PING that was not sent", func(c *client) { c.WritePing(true, [8]byte{1}) }, nil},
		{"SETTINGS", func(c *client) { c.WriteSettings() }, []string{"SETTINGS ack"}},
		{"a setting twice", func(c *client) {
			s := http2.Setting{ID: http2.SettingInitialWindowSize, Val: 1}
			c.WriteSettings(s, s)
		}, []string{"SETTINGS ack"}},
		{"frames of no known type", func(c *client) { c.WriteRawFrame(0x42, 0xff, 7, []byte("x")) }, nil},
		{"PRIORITY", func(c *client) { c.WritePriority(9, http2.PriorityParam{StreamDep: 3}) }, nil},
		{"the client gives up", func(c *client) { c.ask(1, false, post()...); c.WriteRSTStream(1, http2.ErrCodeCancel) }, nil},
		{"the client goes away", func(c *client) { c.WriteGoAway(0, http2.ErrCodeNo, nil) }, []string{"GOAWAY 0 NO_ERROR"}},
		{"a window for a stream that has ended", func(c *client) { c.ask(1, true, get()...); c.heard(); c.WriteWindowUpdate(1, 1) }, nil},

		// Faults of a stream.
		{"more than was announced", func(c *client) {
			c.ask(1, false, post("content-length: 2")...)
			c.WriteData(1, true, []byte("hello"))
		}, []string{"RST_STREAM 1 PROTOCOL_ERROR"}},
		{"less than was announced", func(c *client) {
			c.ask(1, false, post("content-length: 7")...)
			c.WriteData(1, true, []byte("hello"))
		}, []string{"HEADERS 1 400 content-length=57", "DATA 1 57 bytes end"}},
		{"trailers without an end", func(c *client) { c.ask(1, false, post()...); c.ask(1, false, "x: y") }, []string{"RST_STREAM 1 PROTOCOL_ERROR"}},
		{"trailers with a pseudo-header field", func(c *client) { c.ask(1, false, post()...); c.ask(1, true, ":path: /x") }, []string{"RST_STREAM 1 PROTOCOL_ERROR"}},
		{"DATA behind the end", func(c *client) {
			c.ask(1, true, get("slow: 1")...)
			c.WriteData(1, false, []byte("hello"))
		}, []string{"RST_STREAM 1 STREAM_CLOSED"}},
		{"DATA behind the answer", func(c *client) {
			c.ask(1, true, get()...)
			c.heard()
			c.WriteData(1, false, []byte("hello"))
		}, []string{"RST_STREAM 1 STREAM_CLOSED"}},
		{"DATA and trailers that were on their way when it was reset", func(c *client) {
			c.ask(1, false, post("content-length: 1")...)
			c.WriteData(1, false, []byte("hello"))
			c.heard()
			c.WriteData(1, false, []byte("hello"))
			c.ask(1, true, "x-sum: 1")
		}, nil},
		{"no path", func(c *client) { c.ask(1, true, ":method: GET", ":scheme: https") }, []string{"RST_STREAM 1 PROTOCOL_ERROR"}},
		{"a field in upper case", func(c *client) { c.ask(1, true, get("X-Upper: 1")...) }, []string{"RST_STREAM 1 PROTOCOL_ERROR"}},
		{"a field of HTTP/1.1", func(c *client) { c.ask(1, true, get("connection: close")...) }, []string{"HEADERS 1 400 content-length=111", "DATA 1 111 bytes end"}},
		{"a header that is too large", func(c *client) {
			c.ask(1, true, get("x: "+strings.Repeat("a", 5<<10), "y: "+strings.Repeat("b", 5<<10))...)
		}, []string{"HEADERS 1 431 content-length=25", "DATA 1 25 bytes end"}},
		{"a stream that depends on itself", func(c *client) { c.WritePriority(1, http2.PriorityParam{StreamDep: 1}) }, []string{"RST_STREAM 1 PROTOCOL_ERROR"}},
		{"a stream's window past its most", func(c *client) {
			c.ask(1, false, post()...)
			c.WriteWindowUpdate(1, 1<<31-1)
		}, []string{"RST_STREAM 1 FLOW_CONTROL_ERROR"}},
		{"a stream's window by nothing", func(c *client) { c.ask(1, false, post()...); c.WriteWindowUpdate(1, 0) }, []string{"RST_STREAM 1 PROTOCOL_ERROR"}},

		// Faults of the connection.
		{"DATA of a stream that was never opened", func(c *client) { c.WriteData(1, true, nil) }, []string{"GOAWAY 0 PROTOCOL_ERROR", "closed"}},
		{"a reset of one", func(c *client) { c.WriteRSTStream(1, http2.ErrCodeCancel) }, []string{"GOAWAY 0 PROTOCOL_ERROR", "closed"}},
		{"a window of one", func(c *client) { c.WriteWindowUpdate(1, 1) }, []string{"GOAWAY 0 PROTOCOL_ERROR", "closed"}},
		{"a stream again", func(c *client) { c.ask(3, true, get()...); c.heard(); c.ask(1, true, get()...) }, []string{"GOAWAY 3 PROTOCOL_ERROR", "closed"}},
		{"an even stream", func(c *client) { c.ask(2, true, get()...) }, []string{"GOAWAY 0 PROTOCOL_ERROR", "closed"}},
		{"an even stream with a fault", func(c *client) { c.ask(2, true, get("X: 1")...) }, []string{"GOAWAY 0 PROTOCOL_ERROR", "closed"}},
		{"a frame too large", func(c *client) { c.WriteRawFrame(http2.FrameData, 0, 1, make([]byte, 16<<10+1)) }, []string{"GOAWAY 0 FRAME_SIZE_ERROR", "closed"}},
		{"an acknowledgement too many", func(c *client) { c.WriteSettingsAck(); c.WriteSettingsAck() }, []string{"GOAWAY 0 PROTOCOL_ERROR", "closed"}},
		{"settings that are none", func(c *client) { c.WriteSettings(http2.Setting{ID: http2.SettingMaxFrameSize, Val: 1}) }, []string{"GOAWAY 0 PROTOCOL_ERROR", "closed"}},
		{"a hundred settings and more", func(c *client) { c.WriteSettings(make([]http2.Setting, 101)...) }, []string{"GOAWAY 0 ENHANCE_YOUR_CALM", "closed"}},
		{"a window past its most", func(c *client) { c.WriteWindowUpdate(0, 1<<31-1) }, []string{"GOAWAY 0 FLOW_CONTROL_ERROR", "closed"}},
		{"a window past its most by settings", func(c *client) {
			c.ask(1, false, post()...)
			c.WriteWindowUpdate(1, 1<<30)
			c.WriteSettings(http2.Setting{ID: http2.SettingInitialWindowSize, Val: 1<<31 - 1})
		}, []string{"GOAWAY 1 FLOW_CONTROL_ERROR", "closed"}},
		{"a push", func(c *client) {
			c.WritePushPromise(http2.PushPromiseParam{StreamID: 1, PromiseID: 2, EndHeaders: true})
		}, []string{"GOAWAY 0 PROTOCOL_ERROR", "closed"}},
		{"CONTINUATION of nothing", func(c *client) { c.WriteContinuation(1, true, nil) }, []string{"GOAWAY 0 PROTOCOL_ERROR", "closed"}},
		{"header compression of nothing", func(c *client) {
			c.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: []byte{0xff, 0x80, 0x01}, EndHeaders: true})
		}, []string{"GOAWAY 0 COMPRESSION_ERROR", "closed"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				release := make(chan struct{})
				defer close(release)
				c := greeted(t, config(), func(w http.ResponseWriter, r *http.Request) {
					if r.Header.Get("Slow") != "" {
						<-release
					}
					echo(w, r)
				})
				tt.send(c)
				c.hears(tt.want...)
			})
		})
	}
}

// A client begins with the preface and its settings, which the server's own do not wait for.
func TestGreeting(t *testing.T) {
	for name, tt := range map[string]struct {
		say  func(*client)
		want []string
	}{
		"as it should be": {func(c *client) { io.WriteString(c.conn, http2.ClientPreface); c.WriteSettings() }, []string{"SETTINGS ack"}},
		"HTTP/1.1":        {func(c *client) { io.WriteString(c.conn, "GET / HTTP/1.1\r\nHost: jira.example\r\n\r\n") }, []string{"closed"}},
		"no settings":     {func(c *client) { io.WriteString(c.conn, http2.ClientPreface); c.WritePing(false, [8]byte{}) }, []string{"GOAWAY 0 PROTOCOL_ERROR", "closed"}},
		"nothing":         {func(c *client) { c.conn.Close() }, []string{"closed"}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := dial(t, config(), hello)
				c.hears("SETTINGS", "WINDOW_UPDATE 0 65537")
				tt.say(c)
				c.hears(tt.want...)
			})
		})
	}
}

// Streams beyond the limit are refused, so that a client may send them again.
func TestStreamsBeyondTheLimit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		c := greeted(t, config(), func(http.ResponseWriter, *http.Request) { <-release })
		for i := range uint32(11) {
			c.ask(2*i+1, true, get()...)
		}
		c.hears("RST_STREAM 21 REFUSED_STREAM")
		close(release)
		if got := len(c.heard()); got != 10 {
			t.Errorf("%d answers", got)
		}
		c.ask(23, true, get()...)
		c.hears("HEADERS 23 200 content-length=0 end")
	})
	// So long as a handler has yet to end its client has no end of the answer.
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		c := greeted(t, config(), func(w http.ResponseWriter, r *http.Request) {
			hello(w, r)
			w.(http.Flusher).Flush()
			<-release
		})
		c.ask(1, true, get()...)
		c.hears("HEADERS 1 200 content-length=5", "DATA 1 5 bytes")
		close(release)
		c.hears("DATA 1 0 bytes end")
	})
}
