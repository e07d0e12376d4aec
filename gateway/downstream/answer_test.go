package downstream

import (
	"errors"
	"io"
	"net/http"
	"os"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/net/http2"
)

// What a handler does, and what its client sees of it.
func TestAnswers(t *testing.T) {
	for _, tt := range []struct {
		name   string
		method string
		handle http.HandlerFunc
		want   []string
		writes int // by which it leaves
	}{
		{"whole", "GET", hello, []string{"HEADERS 1 200 content-length=5", "DATA 1 5 bytes end"}, 1},
		{"whole, flushed", "GET", func(w http.ResponseWriter, r *http.Request) {
			hello(w, r)
			w.(http.Flusher).Flush()
		}, []string{"HEADERS 1 200 content-length=5", "DATA 1 5 bytes", "DATA 1 0 bytes end"}, 2},
		{"of no announced length", "GET", func(w http.ResponseWriter, _ *http.Request) {
			io.WriteString(w, "hel")
			io.WriteString(w, "lo")
		}, []string{"HEADERS 1 200 content-length=5", "DATA 1 5 bytes end"}, 1},
		{"in pieces", "GET", func(w http.ResponseWriter, _ *http.Request) {
			io.WriteString(w, "hel")
			w.(http.Flusher).Flush()
			io.WriteString(w, "lo")
		}, []string{"HEADERS 1 200", "DATA 1 3 bytes", "DATA 1 2 bytes end"}, 2},
		{"in pieces, the last flushed", "GET", func(w http.ResponseWriter, _ *http.Request) {
			io.WriteString(w, "hello")
			w.(http.Flusher).Flush()
		}, []string{"HEADERS 1 200", "DATA 1 5 bytes", "DATA 1 0 bytes end"}, 2},
		{"a long one", "GET", func(w http.ResponseWriter, _ *http.Request) {
			w.Write(make([]byte, 20000))
		}, []string{"HEADERS 1 200", "DATA 1 16375 bytes", "DATA 1 3625 bytes end"}, 1},
		{"nothing", "GET", func(http.ResponseWriter, *http.Request) {}, []string{"HEADERS 1 200 content-length=0 end"}, 1},
		{"a status alone", "GET", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(418); w.WriteHeader(200) }, []string{"HEADERS 1 418 content-length=0 end"}, 1},
		{"no content", "GET", func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(http.StatusNoContent)
			if _, err := w.Write([]byte("x")); err != http.ErrBodyNotAllowed {
				panic(err)
			}
		}, []string{"HEADERS 1 204 end"}, 1},
		{"to HEAD", "HEAD", hello, []string{"HEADERS 1 200 content-length=5 end"}, 1},
		{"fields that are none, or of HTTP/1.1", "GET", func(w http.ResponseWriter, r *http.Request) {
			h := w.Header()
			h["Transfer-Encoding"], h["Keep-Alive"], h["Bad Name"], h["X-Bad"], h["X-Good"] = []string{"chunked"}, []string{"1"}, []string{"1"}, []string{"a\r\nb: c"}, []string{"1", "2"}
			hello(w, r)
		}, []string{"HEADERS 1 200 content-length=5 x-good=1 x-good=2", "DATA 1 5 bytes end"}, 1},
		{"a header of several frames", "GET", func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("X-Long", strings.Repeat("~", 40000))
			hello(w, r)
		}, []string{"HEADERS 1 200 content-length=5 x-long=" + strings.Repeat("~", 40000), "DATA 1 5 bytes end"}, 1},
		{"more than announced", "GET", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "3")
			if _, err := io.WriteString(w, "hello"); err != http.ErrContentLength {
				panic(err)
			}
		}, []string{"RST_STREAM 1 INTERNAL_ERROR"}, 1},
		{"less than announced", "GET", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "7")
			io.WriteString(w, "hello")
		}, []string{"RST_STREAM 1 INTERNAL_ERROR"}, 1},
		{"cut", "GET", func(w http.ResponseWriter, _ *http.Request) {
			io.WriteString(w, "hello")
			w.(http.Flusher).Flush()
			panic(http.ErrAbortHandler)
		}, []string{"HEADERS 1 200", "DATA 1 5 bytes", "RST_STREAM 1 INTERNAL_ERROR"}, 2},
		{"the last one", "GET", func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Connection", "close")
			hello(w, r)
		}, []string{"GOAWAY 1 NO_ERROR", "HEADERS 1 200 content-length=5", "DATA 1 5 bytes end"}, 1},
		{"of two lengths", "GET", func(w http.ResponseWriter, r *http.Request) {
			w.Header()["Content-Length"] = []string{"05", "7"}
			io.WriteString(w, "hello")
		}, []string{"HEADERS 1 200 content-length=5", "DATA 1 5 bytes end"}, 1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := greeted(t, config(), tt.handle)
				c.served.writes = nil
				c.ask(1, true, ":method: "+tt.method, ":scheme: https", ":authority: jira.example", ":path: /")
				c.hears(tt.want...)
				if got := len(c.served.writes); got != tt.writes {
					t.Errorf("it left by %d writes, not %d", got, tt.writes)
				}
			})
		})
	}
}

// Answers that come while another is written leave together.
func TestAnswersLeaveTogether(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		c := dialDeaf(t, config(), func(w http.ResponseWriter, r *http.Request) {
			<-release
			hello(w, r)
		})
		go func() { // takes what comes at the beginning
			io.CopyN(io.Discard, c.conn, frameHead+6*6+frameHead+4+frameHead)
		}()
		c.greet()
		for i := range uint32(9) {
			c.ask(2*i+1, true, get()...)
		}
		synctest.Wait()
		c.served.writes = nil
		close(release)
		synctest.Wait() // the first is being written
		go c.listen()
		if got := len(c.heard()); got != 2*9 {
			t.Errorf("%d frames", got)
		}
		if got := len(c.served.writes); got > 2 {
			t.Errorf("9 answers left by %d writes", got)
		}
	})
}

// A client that has asked for it is told to send its body, when the handler reads it.
func TestContinue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := greeted(t, config(), echo)
		c.ask(1, false, post("expect: 100-continue", "content-length: 2")...)
		c.hears("HEADERS 1 100")
		c.WriteData(1, true, []byte("hi"))
		c.hears("HEADERS 1 200 content-length=2", "DATA 1 2 bytes end")
	})
	synctest.Test(t, func(t *testing.T) {
		c := greeted(t, config(), hello)
		c.ask(1, false, post("expect: 100-continue", "content-length: 2")...)
		c.hears("HEADERS 1 200 content-length=5", "DATA 1 5 bytes end", "RST_STREAM 1 NO_ERROR")
	})
}

// An answer leaves as its client has room for it, on the stream and on the connection.
func TestAnswersKeepToTheWindows(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		long := strings.Repeat("0123456789", 10000)
		c := greeted(t, config(), func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "100000")
			io.WriteString(w, long)
		}, http2.Setting{ID: http2.SettingInitialWindowSize, Val: 10})
		c.ask(1, true, get()...)
		c.hears("HEADERS 1 200 content-length=100000", "DATA 1 10 bytes")
		c.WriteWindowUpdate(1, 5)
		c.hears("DATA 1 5 bytes")
		c.WriteSettings(http2.Setting{ID: http2.SettingInitialWindowSize, Val: 4}) // 6 less
		c.WriteWindowUpdate(1, 7)
		c.hears("SETTINGS ack", "DATA 1 1 bytes")
		c.WriteSettings(http2.Setting{ID: http2.SettingInitialWindowSize, Val: 1 << 20})
		if got := c.heard(); got[len(got)-1] != "DATA 1 16375 bytes" && len(c.data[1]) != initialWindow {
			t.Errorf("%v, %d bytes", got, len(c.data[1]))
		}
		if got := len(c.data[1]); got != initialWindow {
			t.Errorf("%d bytes by the connection's window", got)
		}
		c.WriteWindowUpdate(0, 1<<20)
		if got := c.heard(); got[len(got)-1] != "DATA 1 1715 bytes end" || c.data[1] != long {
			t.Errorf("%v, %d bytes", got, len(c.data[1]))
		}
	})
}

// A client that gives no room has its stream reset when the handler's deadline is over,
// which others don't notice.
func TestWriteDeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var failed error
		var took time.Duration
		c := greeted(t, config(), func(w http.ResponseWriter, r *http.Request) {
			began := time.Now()
			http.NewResponseController(w).SetWriteDeadline(began.Add(30 * time.Second))
			hello(w, r)
			_, failed = io.WriteString(w, "")
			took = time.Since(began)
		}, http2.Setting{ID: http2.SettingInitialWindowSize, Val: 0})
		c.ask(1, true, get()...)
		c.hears("HEADERS 1 200 content-length=5")
		time.Sleep(31 * time.Second)
		c.hears("RST_STREAM 1 INTERNAL_ERROR")
		if !errors.Is(failed, os.ErrDeadlineExceeded) || took != 30*time.Second {
			t.Errorf("%v after %s", failed, took)
		}
		c.WritePing(false, [8]byte{})
		c.hears("PING ack")
	})
}

// A handler that panics costs its own stream only, and is told of.
func TestPanic(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var told []any
		conf := config()
		conf.Panicked = func(p any) { told = append(told, p) }
		c := greeted(t, conf, func(w http.ResponseWriter, r *http.Request) {
			if r.Method == "POST" {
				panic("a secret")
			}
			hello(w, r)
		})
		c.ask(1, true, post()...)
		c.hears("RST_STREAM 1 INTERNAL_ERROR")
		c.ask(3, true, get()...)
		c.hears("HEADERS 3 200 content-length=5", "DATA 3 5 bytes end")
		if len(told) != 1 || told[0] != "a secret" {
			t.Errorf("told of %v", told)
		}
	})
}

// What a client doesn't take is gathered up to a bound, however many answers there are.
func TestGatheringIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const length = 1 << 20
		c := dialDeaf(t, config(), func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", strconv.Itoa(length))
			w.Write(make([]byte, length))
		})
		go func() { // takes what comes at the beginning
			io.CopyN(io.Discard, c.conn, frameHead+6*6+frameHead+4+frameHead)
		}()
		c.greet(http2.Setting{ID: http2.SettingInitialWindowSize, Val: 1 << 30})
		c.WriteWindowUpdate(0, 1<<30)
		for i := range uint32(10) {
			c.ask(2*i+1, true, get()...)
		}
		synctest.Wait()
		for x := range c.server.open {
			x.mu.Lock()
			// Nothing, where all wait for what is being written.
			if x.next != nil && len(x.next.b) > maxGathered {
				t.Errorf("%d bytes are gathered", len(x.next.b))
			}
			x.mu.Unlock()
		}
		go c.listen()
		c.heard()
		for id, got := range c.data {
			if len(got) != length {
				t.Errorf("stream %d: %d bytes", id, len(got))
			}
		}
		if len(c.data) != 10 {
			t.Errorf("%d answers", len(c.data))
		}
	})
}
