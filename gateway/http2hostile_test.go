package gateway_test

import (
	"errors"
	"fmt"
	"net/http"
	"runtime"
	"strings"
	"testing"

	"golang.org/x/net/http2"
)

// flood is a way to keep a gateway busy from one tunnel.
type flood struct {
	name     string
	settings []http2.Setting
	deaf     bool // the client reads nothing
	send     func(*rawHTTP2) error
	// ends says that the gateway must have had enough before the flood is over.
	ends bool
	// records is how many requests the gateway must have answered to, at least.
	records int
}

// floods send more than a gateway may keep, were it to keep it: tens of thousands of
// frames, or tens of megabytes.
var floods = []flood{
	{name: "rapid reset (CVE-2023-44487)", records: 1, send: func(c *rawHTTP2) error {
		// No more, since the world of a test keeps the spans and the log of each.
		for i := range uint32(2000) {
			if err := c.request(2*i+1, true, myself()...); err != nil {
				return err
			}
			if err := c.WriteRSTStream(2*i+1, http2.ErrCodeCancel); err != nil {
				return err
			}
		}
		return nil
	}},
	{name: "CONTINUATION of a header without end (CVE-2023-45288)", ends: true, send: func(c *rawHTTP2) error {
		return continued(c, 4000, func(i int) []byte { return c.encode(fmt.Sprintf("x-%d: %s", i, strings.Repeat("a", 8<<10))) })
	}},
	{name: "CONTINUATION of the same field", ends: true, send: func(c *rawHTTP2) error {
		return continued(c, 4000, func(int) []byte { return c.encode("x-same: " + strings.Repeat("a", 100)) })
	}},
	{name: "empty CONTINUATION", send: func(c *rawHTTP2) error {
		return continued(c, 50000, func(int) []byte { return nil })
	}},
	{name: "HPACK bomb", send: func(c *rawHTTP2) error {
		// One field of almost the whole table, then a byte for each time that it is
		// meant again: 16 KiB that unpack to 64 MiB, a hundred times.
		first := c.encode(myself("x-bomb: " + strings.Repeat("a", 4000))...)
		for i := range uint32(100) {
			block := append(first, strings.Repeat("\xbe", 16000)...)
			first = c.encode(myself()...)
			if err := c.WriteHeaders(http2.HeadersFrameParam{StreamID: 2*i + 1, BlockFragment: block[:min(len(block), 16<<10)], EndStream: true, EndHeaders: true}); err != nil {
				return err
			}
		}
		return nil
	}},
	{name: "headers over the limit", ends: true, send: func(c *rawHTTP2) error {
		for i := range uint32(40) {
			fields := myself()
			for n := range 100 {
				fields = append(fields, fmt.Sprintf("x-large: %d%s", n, strings.Repeat("~", 3000)))
			}
			block := c.encode(fields...)
			if err := c.WriteHeaders(http2.HeadersFrameParam{StreamID: 2*i + 1, BlockFragment: block[:16<<10], EndStream: true}); err != nil {
				return err
			}
			for block = block[16<<10:]; len(block) > 0; {
				n := min(len(block), 16<<10)
				if err := c.WriteContinuation(2*i+1, n == len(block), block[:n]); err != nil {
					return err
				}
				block = block[n:]
			}
		}
		return nil
	}},
	{name: "SETTINGS, unread", deaf: true, send: times(100000, func(c *rawHTTP2, i int) error {
		return c.WriteSettings(http2.Setting{ID: http2.SettingInitialWindowSize, Val: uint32(i)})
	})},
	{name: "SETTINGS", send: times(50000, func(c *rawHTTP2, i int) error {
		return c.WriteSettings(http2.Setting{ID: http2.SettingInitialWindowSize, Val: uint32(i)}, http2.Setting{ID: http2.SettingHeaderTableSize, Val: uint32(i % 4096)})
	})},
	{name: "PING, unread", deaf: true, send: times(100000, func(c *rawHTTP2, _ int) error { return c.WritePing(false, [8]byte{}) })},
	{name: "PING", send: times(50000, func(c *rawHTTP2, _ int) error { return c.WritePing(false, [8]byte{}) })},
	{name: "empty DATA", records: 1, send: func(c *rawHTTP2) error {
		if err := c.request(1, false, create()...); err != nil {
			return err
		}
		return times(50000, func(c *rawHTTP2, _ int) error { return c.WriteData(1, false, nil) })(c)
	}},
	{name: "DATA of padding", records: 1, send: func(c *rawHTTP2) error {
		if err := c.request(1, false, create()...); err != nil {
			return err
		}
		// Within the window of a stream, which is what a client may send unasked.
		return times(3000, func(c *rawHTTP2, _ int) error { return c.WriteDataPadded(1, false, nil, make([]byte, 255)) })(c)
	}},
	{name: "PRIORITY of ever new streams", send: times(50000, func(c *rawHTTP2, i int) error {
		return c.WritePriority(uint32(2*i+1), http2.PriorityParam{StreamDep: uint32(max(0, 2*i-1)), Weight: uint8(i)})
	})},
	{name: "WINDOW_UPDATE", send: times(50000, func(c *rawHTTP2, _ int) error { return c.WriteWindowUpdate(0, 1) })},
	{name: "frames of no known type", send: times(5000, func(c *rawHTTP2, i int) error {
		return c.WriteRawFrame(http2.FrameType(0x20+i%64), 0xff, 0, make([]byte, 16<<10))
	})},
	{name: "a window that never opens", settings: []http2.Setting{{ID: http2.SettingInitialWindowSize, Val: 0}}, records: 100,
		send: func(c *rawHTTP2) error {
			for i := range uint32(100) {
				if err := c.request(2*i+1, true, myself()...); err != nil {
					return err
				}
			}
			return nil
		}},
	{name: "bodies that never come", records: 100, send: func(c *rawHTTP2) error {
		for i := range uint32(100) {
			if err := c.request(2*i+1, false, create()...); err != nil {
				return err
			}
		}
		return nil
	}},
}

func times(n int, send func(*rawHTTP2, int) error) func(*rawHTTP2) error {
	return func(c *rawHTTP2) error {
		for i := range n {
			if err := send(c, i); err != nil {
				return err
			}
		}
		return nil
	}
}

// continued sends a header that goes on and on.
func continued(c *rawHTTP2, n int, block func(int) []byte) error {
	if err := c.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: c.encode(myself()...), EndStream: true}); err != nil {
		return err
	}
	return times(n, func(c *rawHTTP2, i int) error { return c.WriteContinuation(1, false, block(i)) })(c)
}

// A hostile client of HTTP/2 keeps nobody waiting and fills no memory: while it
// floods, calls of another tunnel go on; when it is gone, everything of it is. What
// got as far as the gateway is on record.
func TestHTTP2Floods(t *testing.T) {
	for _, tt := range floods {
		t.Run(tt.name, func(t *testing.T) {
			w := newWorld(t, change{})
			other := w.billing()
			goOn := func(when string) {
				if r := w.call(other, "GET", w.sim.DataCenterURL()+"/rest/api/2/myself", ""); r.StatusCode != http.StatusOK {
					t.Errorf("%s, another tunnel's call: %d %s", when, r.StatusCode, r.body)
				}
			}
			goOn("before")
			w.call(other, "GET", "https://"+site+"/rest/api/3/myself", "") // opens a connection to the other Jira
			goroutines, memory, records := runtime.NumGoroutine(), heap(), len(w.records())

			c := w.http2(tt.settings...)
			if tt.deaf {
				close(c.ended)
			} else {
				c.listen()
			}
			flooded := make(chan error, 1)
			go func() { flooded <- tt.send(c) }()
			var err error
			calls := 0
			for going := true; going; calls++ {
				select {
				case err = <-flooded:
					going = false
				default:
				}
				goOn("meanwhile")
			}
			if err != nil && !closed(err) {
				t.Fatalf("the flood: %v", err)
			}
			if tt.ends {
				<-c.ended
			}
			goOn("afterwards")
			if grown := int64(heap()) - int64(memory); grown > 24<<20 {
				t.Errorf("the gateway keeps %d KiB more", grown>>10)
			}
			c.close()
			w.eventually(fmt.Sprintf("%d records of the flood", tt.records), func() bool { return len(w.records())-records-calls-1 >= tt.records })
			// A goroutine or two may serve the sockets to Jira that it had opened.
			w.eventually("no goroutine is left of it", func() bool { return runtime.NumGoroutine() <= goroutines+4 })
			goOn("in the end")
			for _, r := range w.sim.Requests() {
				if path, _, _ := strings.Cut(r.RequestURI, "?"); !strings.HasSuffix(path, "/myself") {
					t.Errorf("reached Jira: %s %s", r.Method, r.RequestURI)
				}
			}
		})
	}
}

func heap() uint64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// Streams beyond the limit are refused, with a code that says that nothing was done,
// so that a client may send them again (RFC 9113 section 8.7).
func TestHTTP2StreamsBeyondTheLimit(t *testing.T) {
	w := newWorld(t, change{})
	c := w.http2(http2.Setting{ID: http2.SettingInitialWindowSize, Val: 0}).listen()
	const limit, more = 100, 20
	for i := range uint32(limit + more) {
		if err := c.request(2*i+1, true, myself()...); err != nil {
			t.Fatal(err)
		}
	}
	for i := range uint32(more) {
		if a := c.await(2*(limit+i) + 1); a.reset != http2.ErrCodeRefusedStream {
			t.Errorf("stream %d: status %q, reset %v", limit+i+1, a.status, a.reset)
		}
	}
	// The others have their answers as soon as there is a window.
	if err := errors.Join(c.WriteWindowUpdate(0, 1<<20), c.WriteSettings(http2.Setting{ID: http2.SettingInitialWindowSize, Val: 64 << 10})); err != nil {
		t.Fatal(err)
	}
	for i := range uint32(limit) {
		if a := c.await(2*i + 1); a.status != "200" {
			t.Errorf("stream %d: status %q, reset %v", i+1, a.status, a.reset)
		}
	}
	c.close()
	if got := len(w.records()); got != limit {
		t.Errorf("%d records", got)
	}
}
