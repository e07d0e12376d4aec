package downstream

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/net/http2"
)

// A client may send as much as was not read, on a stream and on all; what is read makes
// room again.
func TestBodiesKeepToTheWindows(t *testing.T) {
	const all = 128 << 10
	synctest.Test(t, func(t *testing.T) {
		read, over := make(chan int), make(chan struct{})
		c := greeted(t, config(), func(_ http.ResponseWriter, r *http.Request) {
			for n := range read {
				io.CopyN(io.Discard, r.Body, int64(n))
			}
			<-over
		})
		c.ask(1, false, post()...)
		for range 4 {
			c.WriteData(1, false, make([]byte, 16<<10))
		}
		c.hears()
		read <- 1000
		c.hears() // not for so little
		read <- 64<<10 - 1000
		told := map[uint32]int{}
		got := c.heard()
		for _, line := range got {
			var id uint32
			var n int
			if _, err := fmt.Sscanf(line, "WINDOW_UPDATE %d %d", &id, &n); err != nil {
				t.Fatalf("heard %v", got)
			}
			told[id] += n
		}
		if len(got) > 4 || told[0] <= 32<<10 || told[0] > 64<<10 || told[1] != told[0] {
			t.Errorf("heard %v", got)
		}
		close(read)
		close(over)
	})
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		defer close(release)
		c := greeted(t, config(), func(http.ResponseWriter, *http.Request) { <-release })
		c.ask(1, false, post()...)
		for range all / (16 << 10) {
			c.WriteData(1, false, make([]byte, 16<<10))
		}
		c.WriteData(1, false, []byte("x"))
		c.hears("GOAWAY 1 FLOW_CONTROL_ERROR", "closed")
	})
}

// What nobody reads makes room, too: of streams that were reset, and whose handlers are done.
func TestUnreadBodiesMakeRoom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := greeted(t, config(), func(w http.ResponseWriter, r *http.Request) {
			if r.Header.Get("Wait") != "" {
				<-r.Context().Done()
			}
			hello(w, r)
		})
		for i := range uint32(100) {
			id, waits := 2*i+1, i%2 == 1
			if waits {
				c.ask(id, false, post("wait: 1")...)
			} else {
				c.ask(id, false, post()...)
			}
			c.WriteData(id, false, make([]byte, 16<<10))
			c.WriteDataPadded(id, !waits, nil, make([]byte, 100))
			if waits {
				c.WriteRSTStream(id, http2.ErrCodeCancel)
			}
			synctest.Wait() // the handler has ended
		}
		for _, line := range c.heard() {
			if line == "closed" {
				t.Fatal("the connection has ended")
			}
		}
		c.WritePing(false, [8]byte{})
		c.hears("PING ack")
	})
}

// A handler learns that its client has gone: by its body and by its context.
func TestClientsThatLeave(t *testing.T) {
	for name, leave := range map[string]func(*client){
		"the stream":     func(c *client) { c.WriteRSTStream(1, http2.ErrCodeCancel) },
		"the connection": func(c *client) { c.conn.Close() },
		"by a fault":     func(c *client) { c.WriteRawFrame(http2.FrameData, 0, 0, nil) },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var read, write, ctx error
				done := make(chan struct{})
				c := greeted(t, config(), func(w http.ResponseWriter, r *http.Request) {
					defer close(done)
					_, read = io.ReadAll(r.Body)
					ctx = r.Context().Err()
					w.Header().Set("Content-Length", "1")
					_, write = w.Write([]byte("x"))
				})
				c.ask(1, false, post()...)
				c.heard()
				leave(c)
				<-done
				if read == nil || write == nil || !errors.Is(ctx, context.Canceled) {
					t.Errorf("reading: %v; writing: %v; the context: %v", read, write, ctx)
				}
			})
		})
	}
}

func TestReadDeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := greeted(t, config(), func(w http.ResponseWriter, r *http.Request) {
			control := http.NewResponseController(w)
			control.SetReadDeadline(time.Now().Add(10 * time.Second))
			if _, err := io.ReadAll(r.Body); !errors.Is(err, os.ErrDeadlineExceeded) {
				t.Errorf("read: %v", err)
			}
			control.SetReadDeadline(time.Time{})
			echo(w, r)
		})
		c.ask(1, false, post()...)
		time.Sleep(11 * time.Second)
		c.WriteData(1, true, []byte("late"))
		c.hears("HEADERS 1 200 content-length=4", "DATA 1 4 bytes end")
	})
}

// Trailers that were announced are there at the end of the body.
func TestTrailers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := greeted(t, config(), func(w http.ResponseWriter, r *http.Request) {
			io.Copy(io.Discard, r.Body)
			io.WriteString(w, r.Trailer.Get("X-Sum")+r.Trailer.Get("X-Other"))
		})
		c.ask(1, false, post("trailer: x-sum")...)
		c.ask(1, true, "x-sum: 7", "x-other: 8")
		c.heard()
		if got := c.data[1]; got != "7" {
			t.Errorf("trailers %q", got)
		}
	})
}
