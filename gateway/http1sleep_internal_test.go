package gateway

import (
	"bufio"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// sleeper is the socket of a connection, and counts how often that has gone to sleep. Of
// net.Pipe, as of a wakingConn, reading nothing waits.
type sleeper struct {
	net.Conn
	slept atomic.Int64
}

func (s *sleeper) Read(p []byte) (int, error) {
	if len(p) == 0 {
		s.slept.Add(1)
	}
	return s.Conn.Read(p)
}

// A tunnel without requests sleeps, wakes for the next one, and ends when it would have
// ended anyway.
func TestTunnelsSleep(t *testing.T) {
	type asleep struct {
		client  net.Conn
		framed  *framedConn
		socket  *sleeper
		answers *bufio.Reader
		ended   chan struct{}
	}
	call := func(t *testing.T, a *asleep) {
		t.Helper()
		_, _ = io.WriteString(a.client, "GET / HTTP/1.1\r\nHost: a\r\n\r\n")
		if r, err := http.ReadResponse(a.answers, nil); err != nil || r.StatusCode != http.StatusOK {
			t.Fatal(r, err)
		}
	}
	for name, do := range map[string]func(*testing.T, *asleep){
		"who calls is not let sleep": func(t *testing.T, a *asleep) {
			for range 20 {
				call(t, a)
				time.Sleep(sleepAfter / 3)
			}
			if n := a.socket.slept.Load(); n != 0 {
				t.Errorf("slept %d times", n)
			}
		},
		"wakes for each request": func(t *testing.T, a *asleep) {
			for range 3 {
				time.Sleep(time.Minute)
				call(t, a)
			}
			if n := a.socket.slept.Load(); n != 3 {
				t.Errorf("slept %d times, want 3", n)
			}
		},
		"ends when idle for too long": func(t *testing.T, a *asleep) {
			call(t, a)
			began := time.Now()
			<-a.ended
			if took := time.Since(began); took > idleTimeout || took < idleTimeout-time.Second || a.socket.slept.Load() != 1 {
				t.Errorf("ended after %v, slept %d times", took, a.socket.slept.Load())
			}
		},
		"ends when a head comes no further": func(t *testing.T, a *asleep) {
			time.Sleep(2 * sleepAfter)
			began := time.Now()
			_, _ = io.WriteString(a.client, "GET")
			<-a.ended
			if took := time.Since(began); took != readHeadTimeout {
				t.Errorf("ended after %v", took)
			}
		},
		"may be written to until it ends": func(t *testing.T, a *asleep) { // TLS may have to
			call(t, a)
			time.Sleep(2 * writeTimeout)
			go func() { _, _ = a.answers.ReadByte() }()
			if _, err := a.framed.Write([]byte{0}); err != nil {
				t.Error(err)
			}
		},
		"ends with its client": func(t *testing.T, a *asleep) {
			time.Sleep(2 * sleepAfter)
			a.client.Close()
			<-a.ended
		},
		"is called away": func(t *testing.T, a *asleep) {
			time.Sleep(2 * sleepAfter)
			taken := make(chan *framedConn, 1)
			a.framed.rest.call(a.framed, func(f *framedConn) { taken <- f })
			<-a.ended
			if f := <-taken; f != a.framed {
				t.Error("another one was taken")
			}
			a.framed.Conn.Close()
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				client, server := net.Pipe()
				a := &asleep{client: client, socket: &sleeper{Conn: server}, answers: bufio.NewReader(client), ended: make(chan struct{})}
				a.framed = newFramedConn(server, &origin{tunnel: &tunnel{}}, "marker")
				x := newHTTP1Conn(a.framed, slog.New(slog.DiscardHandler), func(w http.ResponseWriter, _ *http.Request) { w.Header().Set("Content-Length", "0") })
				x.socket, x.gone = a.socket, func() { close(a.ended) }
				go x.run(idleTimeout)
				do(t, a)
				client.Close()
				<-a.ended
			})
		})
	}
}

// Reading nothing from a socket waits for what comes, and takes nothing of it.
func TestSocketsWake(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	client, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	server, err := (wakingListener{l}).Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer server.Close()
	wait := func() error { _, err := server.Read(nil); return err }

	_ = server.SetReadDeadline(longAgo)
	if err := wait(); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("after the deadline: %v", err)
	}
	_ = server.SetReadDeadline(time.Time{})
	woken := make(chan error)
	go func() { woken <- wait() }()
	select {
	case err := <-woken:
		t.Fatalf("it does not wait: %v", err)
	default:
	}
	_, _ = io.WriteString(client, "a")
	if err := <-woken; err != nil {
		t.Errorf("for what comes: %v", err)
	}
	if err := wait(); err != nil { // no event tells of it any more
		t.Errorf("for what is there: %v", err)
	}
	var one [1]byte
	if n, err := server.Read(one[:]); n != 1 || err != nil || one[0] != 'a' {
		t.Errorf("then read %q, %v", one[:n], err)
	}
	client.Close()
	if err := wait(); err != nil {
		t.Errorf("at the end: %v", err)
	}
	server.Close()
	if err := wait(); !errors.Is(err, net.ErrClosed) {
		t.Errorf("closed: %v", err)
	}
}
