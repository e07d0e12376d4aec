package downstream

import (
	"context"
	"io"
	"net/http"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/net/http2"
)

// What was read of a body isn't kept, even where its reader never catches up.
func TestReadersThatNeverCatchUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const piece = 16 << 10
		read, kept := make(chan int), make(chan int)
		c := greeted(t, config(), func(_ http.ResponseWriter, r *http.Request) {
			for n := range read {
				io.CopyN(io.Discard, r.Body, int64(n))
				b := r.Body.(*body)
				b.stream.conn.mu.Lock()
				n := cap(b.buf)
				b.stream.conn.mu.Unlock()
				kept <- n
			}
		})
		defer close(read)
		c.ask(1, false, post()...)
		c.WriteData(1, false, make([]byte, piece))
		for range 100 {
			c.WriteData(1, false, make([]byte, piece))
			synctest.Wait()
			read <- piece
			if n := <-kept; n > config().ReceiveBuffer {
				t.Fatalf("%d bytes are kept of which %d are unread", n, piece)
			}
		}
	})
}

// Who reads a body that somebody else is done with must not take a part for the whole.
func TestBodiesThatAreLeft(t *testing.T) {
	for name, close := range map[string]bool{"closed": true, "with its handler": false} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var left io.ReadCloser
				c := greeted(t, config(), func(_ http.ResponseWriter, r *http.Request) {
					time.Sleep(time.Second) // until all of it is there
					left = r.Body
					io.CopyN(io.Discard, r.Body, 1)
					if close {
						r.Body.Close()
					}
				})
				c.ask(1, false, post()...)
				c.WriteData(1, true, []byte("hello"))
				time.Sleep(2 * time.Second)
				c.heard()
				if p, err := io.ReadAll(left); len(p) > 0 || err == nil {
					t.Errorf("read %q, %v", p, err)
				}
			})
		})
	}
	synctest.Test(t, func(t *testing.T) {
		c := greeted(t, config(), func(_ http.ResponseWriter, r *http.Request) {
			go func() {
				time.Sleep(time.Second)
				r.Body.Close()
			}()
			began := time.Now()
			if _, err := r.Body.Read(make([]byte, 1)); err == nil || time.Since(began) != time.Second {
				t.Errorf("read: %v after %s", err, time.Since(began))
			}
		})
		c.ask(1, false, post()...)
		time.Sleep(2 * time.Second)
		c.hears("HEADERS 1 200 content-length=0 end", "RST_STREAM 1 NO_ERROR")
	})
}

// Streams that were reset while they waited for a handler are not held.
func TestQueueLetsGo(t *testing.T) {
	x := &conn{}
	for i := range uint32(4) {
		x.queue = append(x.queue, &stream{id: 2*i + 1})
	}
	for _, st := range slices.Clone(x.queue) {
		x.unqueue(st)
	}
	for _, st := range x.queue[:4] {
		if st != nil {
			t.Errorf("stream %d is held", st.id)
		}
	}
}

// A client that opens the connection's window byte by byte has one stream woken for each,
// not all that wait; and all of them in the end.
func TestWindowIsShared(t *testing.T) {
	x := &conn{waiting: map[*stream]struct{}{}, streams: map[uint32]*stream{}, lastID: 200}
	for i := range uint32(100) {
		st := &stream{conn: x, id: 2*i + 1, window: 10, writable: make(chan struct{}, 1)}
		x.waiting[st], x.streams[st.id] = struct{}{}, st
	}
	woken := func() (n int) {
		for st := range x.waiting {
			n += len(st.writable)
		}
		return n
	}
	for _, f := range []func(){
		func() { x.opened(x.streams[1]) }, // what the connection has no window for
		func() { _ = x.setting(http2.Setting{ID: http2.SettingInitialWindowSize, Val: 7}) },
	} {
		if f(); woken() != 0 {
			t.Fatalf("%d streams were woken in vain", woken())
		}
	}
	x.window = 1
	if x.share(); woken() != 1 {
		t.Errorf("%d streams were woken for a byte", woken())
	}

	synctest.Test(t, func(t *testing.T) {
		c := greeted(t, config(), func(w http.ResponseWriter, _ *http.Request) {
			w.Write(make([]byte, 20000))
		}, http2.Setting{ID: http2.SettingInitialWindowSize, Val: 1 << 20})
		for i := range uint32(10) {
			c.ask(2*i+1, true, get()...)
		}
		c.heard()
		for range 20 {
			c.WriteWindowUpdate(0, 1)
			synctest.Wait()
		}
		c.WriteRSTStream(1, http2.ErrCodeCancel) // whoever was woken passes it on
		c.WriteWindowUpdate(0, 1<<20)
		c.heard()
		for i := range uint32(9) {
			if n := len(c.data[2*i+3]); n != 20000 {
				t.Errorf("stream %d has %d bytes", 2*i+3, n)
			}
		}
	})
}

// What a client does not take of answers keeps nobody from hearing what it says.
func TestDeafClientsAreHeard(t *testing.T) {
	for name, cause := range map[string]func(*client){
		"asked whether it is there": func(*client) { time.Sleep(3*time.Minute + time.Second) },
		"going away":                func(c *client) { c.WriteGoAway(0, http2.ErrCodeNo, nil) },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ended := make(chan error, 1)
				c := dialDeaf(t, config(), func(w http.ResponseWriter, r *http.Request) {
					w.Write(make([]byte, 20000)) // not flushed
					<-r.Context().Done()
					ended <- context.Cause(r.Context())
				})
				go io.CopyN(io.Discard, c.conn, frameHead+6*6+frameHead+4+frameHead)
				c.preface()
				c.ask(1, true, get()...)
				synctest.Wait()
				cause(c)
				began := time.Now()
				c.WriteRSTStream(1, http2.ErrCodeCancel)
				<-ended
				if took := time.Since(began); took > 0 {
					t.Errorf("it was heard after %s", took)
				}
				c.conn.Close()
			})
		})
	}
}
