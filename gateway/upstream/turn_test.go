//go:build unix

package upstream

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// A turn writes only where nothing has come, tells of it before, and returns once there is
// something to be read, or nothing will be.
func TestTurn(t *testing.T) {
	long := strings.Repeat("x", 8<<20) // no socket takes it at once
	for _, tt := range []struct {
		name   string
		before func(peer *net.TCPConn)
		say    string
		during func(ours *socket, peer *net.TCPConn) // once ours has begun to write
		waited bool
		fails  error // the turn
		then   error // the read after it
	}{
		{name: "an answer", say: "ask", during: answerAll("ask"), waited: true},
		{name: "the end instead of an answer", say: "ask", during: func(_ *socket, peer *net.TCPConn) { peer.CloseWrite() }, waited: true, then: io.EOF},
		{name: "time is over", say: "ask", during: func(ours *socket, _ *net.TCPConn) { ours.SetDeadline(time.Unix(1, 0)) }, waited: true, then: os.ErrDeadlineExceeded},
		{name: "closed by another", say: "ask", during: func(ours *socket, _ *net.TCPConn) { ours.Conn.Close() }, waited: true, then: net.ErrClosed},
		{name: "more than the socket takes", say: long, during: answerAll(long)},
		{name: "a byte before", before: func(peer *net.TCPConn) { peer.Write([]byte("x")) }, say: "ask", fails: errStale},
		{name: "the end before", before: func(peer *net.TCPConn) { peer.CloseWrite() }, say: "ask", fails: errStale},
		{name: "cut before", before: func(peer *net.TCPConn) { peer.SetLinger(0); peer.Close() }, say: "ask", fails: errStale},
	} {
		t.Run(tt.name, func(t *testing.T) {
			client, end := tcpPipe(t)
			defer client.Close()
			defer end.Close()
			peer := end.(*net.TCPConn)
			ours := newSocket(client, func(*socket) {})
			if tt.before != nil {
				tt.before(peer)
			}
			told := 0
			ended := make(chan struct{})
			ours.armed = func(c net.Conn) {
				told++
				go func() {
					defer close(ended)
					tt.during(ours, peer)
				}()
			}
			n, err := ours.Write([]byte(tt.say))
			if !errors.Is(err, tt.fails) || ours.waited != tt.waited || ours.armed != nil {
				t.Errorf("%d bytes, waited: %v, %v", n, ours.waited, err)
			}
			if tt.fails != nil {
				if n != 0 || told != 0 {
					t.Errorf("%d bytes, told %d times", n, told)
				}
				client.Close()
				if b, _ := io.ReadAll(peer); len(b) > 0 {
					t.Errorf("%q was sent", b)
				}
				return
			}
			if n != len(tt.say) || told != 1 {
				t.Errorf("%d bytes, told %d times", n, told)
			}
			b := make([]byte, 10)
			if n, err = ours.Read(b); !errors.Is(err, tt.then) || tt.then == nil && string(b[:n]) != "answer" {
				t.Errorf("then %q, %v", b[:n], err)
			}
			<-ended
		})
	}
}

// answerAll answers once all was read.
func answerAll(question string) func(*socket, *net.TCPConn) {
	return func(_ *socket, peer *net.TCPConn) {
		if _, err := io.ReadFull(peer, make([]byte, len(question))); err == nil {
			_, _ = io.WriteString(peer, "answer")
		}
	}
}

// A turn whose time is over before it begins writes nothing.
func TestTurnTooLate(t *testing.T) {
	client, end := tcpPipe(t)
	defer end.Close()
	ours := newSocket(client, func(*socket) {})
	ours.armed = func(net.Conn) { t.Error("it has begun") }
	_ = ours.SetDeadline(time.Unix(1, 0))
	if n, err := ours.Write([]byte("ask")); n != 0 || !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("%d bytes, %v", n, err)
	}
	client.Close()
	if b, err := io.ReadAll(end); len(b) > 0 {
		t.Errorf("%q was sent, %v", b, err)
	}
}

// A call by a kept connection ends as one by a new one does, wherever it waits; a write is
// sent once, and no connection is told of by which nothing goes.
func TestCallsByKeptConnections(t *testing.T) {
	slow := func(c *said, leave func()) { leave(); _, _ = c.r.ReadByte() }
	for _, tt := range []struct {
		name, method string
		before       func(*said)               // after the first answer
		second       func(c *said, end func()) // once the second request was read; nil for none
		timeout      time.Duration
		fails        error
		told         int // of connections
	}{
		{name: "answered", method: "POST", second: func(c *said, _ func()) { io.WriteString(c, hello) }, told: 1},
		{name: "answered in two", method: "POST", second: func(c *said, _ func()) {
			io.WriteString(c, "HTTP/1.1 103 Early Hints\r\n\r\n"+hello[:20])
			io.WriteString(c, hello[20:])
		}, told: 1},
		{name: "the client leaves", method: "POST", second: slow, fails: context.Canceled, told: 1},
		{name: "no answer in time", method: "POST", second: func(c *said, _ func()) { slow(c, func() {}) }, timeout: 50 * time.Millisecond, fails: os.ErrDeadlineExceeded, told: 1},
		{name: "a write that the server drops", method: "POST", second: func(*said, func()) {}, fails: io.ErrUnexpectedEOF, told: 1},
		{name: "a read that the server drops", method: "GET", second: func(*said, func()) {}, told: 2},
		{name: "the server has closed", method: "POST", before: func(c *said) { c.Close() }, told: 1},
		{name: "the server will say no more", method: "POST", before: func(c *said) { c.NetConn().(*net.TCPConn).CloseWrite() }, told: 1},
		{name: "something was said", method: "POST", before: func(c *said) { io.WriteString(c, hello) }, told: 1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			ctx, leave := context.WithCancel(t.Context())
			defer leave()
			ready := make(chan struct{})
			var seconds atomic.Int64 // requests
			s := newServer(t, func(n int, c *said) {
				if n > 1 {
					if _, _, err := c.request(); err == nil {
						seconds.Add(1)
						io.WriteString(c, hello)
					}
					return
				}
				c.request()
				io.WriteString(c, hello)
				if tt.before != nil {
					tt.before(c)
				}
				close(ready)
				if _, _, err := c.request(); err == nil {
					seconds.Add(1)
					if tt.second == nil {
						t.Error("it was sent by a connection that could not be used")
						return
					}
					tt.second(c, leave)
				}
			})
			s.tcp = true
			client := s.client()
			if _, _, err := client.call("GET", ""); err != nil {
				t.Fatal(err)
			}
			<-ready
			if tt.timeout > 0 {
				client.options.HeaderTimeout = tt.timeout
			}
			body := "x"
			if tt.method == "GET" {
				body = ""
			}
			told := 0
			response, err := client.RoundTrip(ctx, request(t, tt.method, body), func(net.Conn) { told++ })
			if !errors.Is(err, tt.fails) || told != tt.told {
				t.Errorf("%v, told of %d connections", err, told)
			}
			if err == nil {
				if b, err := io.ReadAll(response.Body); err != nil || string(b) != "hello" {
					t.Errorf("%q, %v", b, err)
				}
			} else if n := s.open.Load(); n != 0 {
				t.Errorf("%d connections are open", n)
			}
			client.CloseIdleConnections()
			s.stop()
			if n := seconds.Load(); n != int64(tt.told) {
				t.Errorf("it was sent %d times", n)
			}
		})
	}
}
