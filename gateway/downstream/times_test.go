package downstream

import (
	"errors"
	"io"
	"net/http"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/net/http2"
)

// Whoever is slow, silent or gone is cut in time, wherever that is.
func TestSlowClients(t *testing.T) {
	for _, tt := range []struct {
		name string
		ends time.Duration // of the connection
		do   func(*client)
		says string // the last that is heard
	}{
		{"no preface", 10 * time.Second, func(*client) {}, ""},
		{"a preface a byte a second", 10 * time.Second, func(c *client) {
			for i := range len(http2.ClientPreface) {
				if _, err := io.WriteString(c.conn, http2.ClientPreface[i:i+1]); err != nil {
					return
				}
				time.Sleep(time.Second)
			}
		}, ""},
		{"no settings", 10 * time.Second, func(c *client) { io.WriteString(c.conn, http2.ClientPreface) }, ""},
		{"half a frame", time.Minute, func(c *client) { c.preface(); io.WriteString(c.conn, "\x00\x00") }, "SETTINGS ack"},
		{"a header that goes on", time.Minute, func(c *client) {
			c.preface()
			c.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: []byte{0x82}})
			for c.WriteContinuation(1, false, nil) == nil {
				time.Sleep(time.Second)
			}
		}, "SETTINGS ack"},
		{"idle", 3*time.Minute + time.Second, func(c *client) { c.preface() }, "GOAWAY 0 NO_ERROR"},
		{"idle after an answer", 3*time.Minute + 31*time.Second, func(c *client) {
			c.preface()
			time.Sleep(30 * time.Second)
			c.ask(1, true, get()...)
		}, "GOAWAY 1 NO_ERROR"},
		{"idle, and nothing but PING", 3*time.Minute + time.Second, func(c *client) {
			c.preface()
			for c.WritePing(false, [8]byte{}) == nil {
				time.Sleep(50 * time.Second)
			}
		}, "GOAWAY 0 NO_ERROR"},
		{"gone without a word", 3*time.Minute + 15*time.Second, func(c *client) { c.preface(); c.ask(1, false, post()...) }, "PING"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				began := time.Now()
				c := dial(t, config(), echo)
				go tt.do(c)
				<-c.gone
				if took := time.Since(began); took != tt.ends {
					t.Errorf("the connection ended after %s, not %s", took, tt.ends)
				}
				said := c.heard()
				if last := said[len(said)-2]; tt.says != "" && last != tt.says || said[len(said)-1] != "closed" {
					t.Errorf("heard %v", said)
				}
				c.conn.Close()
				time.Sleep(time.Minute) // for who still drips
			})
		})
	}
}

// A client that answers when it is asked whether it is there may wait for long.
func TestPing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		c := dialDeaf(t, config(), func(http.ResponseWriter, *http.Request) { <-release })
		answers := http2.NewFramer(c.conn, nil)
		go func() {
			for {
				f, err := c.ReadFrame()
				if err != nil {
					return
				}
				if p, ok := f.(*http2.PingFrame); ok {
					go answers.WritePing(true, p.Data)
				}
			}
		}()
		c.greet()
		c.ask(1, true, get()...)
		time.Sleep(time.Hour)
		select {
		case <-c.gone:
			t.Error("it was cut")
		default:
		}
		close(release)
		c.conn.Close()
		<-c.gone
	})
}

// One that takes nothing of what it makes the server say keeps it waiting, and is cut.
func TestDeafClients(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		c := dialDeaf(t, config(), hello)
		<-c.gone // its settings were not taken
		if took := time.Since(began); took != time.Minute {
			t.Errorf("after %s", took)
		}
	})
	says := map[string]func(*client) error{
		"SETTINGS": func(c *client) error { return c.WriteSettings() },
		"PING":     func(c *client) error { return c.WritePing(false, [8]byte{}) },
		"PRIORITY": func(c *client) error { return c.WritePriority(9, http2.PriorityParam{StreamDep: 9}) },
	}
	for i, name := range slices.Repeat([]string{"SETTINGS", "PING", "PRIORITY"}, 2) {
		say, answering := says[name], i >= len(says)
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := dialDeaf(t, config(), hello)
				go io.CopyN(io.Discard, c.conn, frameHead+6*6+frameHead+4+frameHead)
				c.greet()
				if answering {
					c.ask(1, true, get()...) // its handler writes, and keeps the reader from it
					synctest.Wait()
				}
				sent := 0
				for say(c) == nil {
					sent++
				}
				<-c.gone
				if most := maxControl/frameHead + readBuffer/frameHead + 10; sent > most {
					t.Errorf("%d frames were taken, and not %d at most", sent, most)
				}
			})
		})
	}
}

// What is told to go away serves on until its streams have ended.
func TestGoAway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		c := greeted(t, config(), func(w http.ResponseWriter, r *http.Request) { <-release; hello(w, r) })
		c.ask(1, true, get()...)
		synctest.Wait()
		c.server.GoAway()
		c.hears("GOAWAY 1 NO_ERROR")
		c.server.GoAway()
		c.ask(3, false, post()...) // it has not seen that yet
		c.WriteData(3, true, []byte("hello"))
		c.WriteWindowUpdate(3, 1)
		c.WriteRSTStream(3, http2.ErrCodeCancel)
		c.hears()
		time.Sleep(time.Minute)
		close(release)
		c.hears("HEADERS 1 200 content-length=5", "DATA 1 5 bytes end")
		time.Sleep(lastWords)
		c.hears("closed")
		<-c.gone
	})
	synctest.Test(t, func(t *testing.T) { // while it sleeps
		c := greeted(t, config(), hello)
		time.Sleep(time.Minute)
		c.server.GoAway()
		c.hears("GOAWAY 0 NO_ERROR")
		time.Sleep(lastWords)
		c.hears("closed")
	})
	synctest.Test(t, func(t *testing.T) { // before its client has greeted
		c := dial(t, config(), hello)
		synctest.Wait()
		c.server.GoAway()
		c.hears("SETTINGS", "WINDOW_UPDATE 0 65537", "GOAWAY 0 NO_ERROR")
	})
}

// A server that was closed takes no more connections, and serves those that it has.
func TestClosedServer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := greeted(t, config(), hello)
		c.server.Close()
		if err := c.server.Serve(c.served, nil, hello, nil); !errors.Is(err, ErrClosed) {
			t.Errorf("served: %v", err)
		}
		c.ask(1, true, get()...)
		c.hears("HEADERS 1 200 content-length=5", "DATA 1 5 bytes end")
	})
}

// An idle connection is a goroutine that waits for its socket, and nothing to read by.
func TestIdleConnectionsSleep(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := greeted(t, config(), echo)
		asleep := func() bool {
			synctest.Wait()
			for x := range c.server.open {
				x.mu.Lock()
				defer x.mu.Unlock()
				return x.asleep
			}
			return false
		}
		for i := range uint32(3) {
			c.ask(2*i+1, true, get()...)
			if c.heard(); asleep() {
				t.Fatal("it sleeps at once")
			}
			time.Sleep(3 * time.Second)
			if !asleep() {
				t.Fatal("it doesn't sleep")
			}
		}
		io.WriteString(c.conn, "\x00") // a part of a frame wakes it
		time.Sleep(3 * time.Second)
		if asleep() {
			t.Error("it sleeps within a frame")
		}
		io.WriteString(c.conn, "\x00\x08\x06\x00\x00\x00\x00\x0012345678")
		c.hears("PING ack")
		c.ask(7, false, post()...)
		time.Sleep(3 * time.Second)
		if asleep() {
			t.Error("it sleeps with a stream")
		}
	})
}
