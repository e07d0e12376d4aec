package netlab

import (
	"bufio"
	"context"
	"io"
	"net"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// A proxy that hangs says nothing for as long as anyone waits, notices a client
// that leaves, and does not keep Close waiting.
func TestHang(t *testing.T) {
	for _, stage := range []Stage{OnAccept, OnRequest} {
		synctest.Test(t, func(t *testing.T) {
			l := newPipeListener()
			p := ServeConnect(l, ProxyOptions{})
			p.Misbehave(Hang(stage))
			left, stays := l.dial(), l.dial()
			for _, conn := range []net.Conn{left, stays} {
				go func() { _, _ = io.WriteString(conn, connect("10.0.0.9:443")) }()
				_ = conn.SetReadDeadline(time.Now().Add(24 * time.Hour))
			}
			if n, err := left.Read(make([]byte, 1)); n > 0 || err == nil || !strings.Contains(err.Error(), "timeout") {
				t.Errorf("it said %d bytes, %v", n, err)
			}
			left.Close()
			synctest.Wait()
			if accepted, open := p.Connections(); accepted != 2 || open != 1 {
				t.Errorf("%d accepted, %d open; want 2 and 1", accepted, open)
			}
			p.Close()
			if _, err := stays.Read(make([]byte, 1)); err != io.EOF {
				t.Errorf("after Close: %v", err)
			}
		})
	}
}

// A client that says nothing is given up in time.
func TestSilentClient(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for name, serve := range map[string]func(net.Listener, ProxyOptions) *Proxy{"CONNECT": ServeConnect, "SOCKS5": ServeSOCKS5} {
			l := newPipeListener()
			p := serve(l, ProxyOptions{})
			begin := time.Now()
			_, _ = io.ReadAll(bufio.NewReader(l.dial()))
			if took := time.Since(begin); took != handshakeTime {
				t.Errorf("%s: given up after %s, want %s", name, took, handshakeTime)
			}
			p.Close()
		}
	})
}

func TestTargetInTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newPipeListener()
		p := ServeConnect(l, ProxyOptions{Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
			<-ctx.Done()
			return nil, ctx.Err()
		}})
		defer p.Close()
		conn := l.dial()
		defer conn.Close()
		go func() { _, _ = io.WriteString(conn, connect("10.0.0.9:443")) }()
		begin := time.Now()
		line, err := bufio.NewReader(conn).ReadString('\n')
		if err != nil || status(line) != "504" || time.Since(begin) != dialTime {
			t.Errorf("answer %q, %v, after %s", line, err, time.Since(begin))
		}
	})
}

// pipeListener is a listener in memory, for tests of time.
type pipeListener struct {
	conns chan net.Conn
	done  chan struct{}
}

func newPipeListener() *pipeListener {
	return &pipeListener{conns: make(chan net.Conn), done: make(chan struct{})}
}

func (l *pipeListener) dial() net.Conn {
	here, there := net.Pipe()
	l.conns <- there
	return here
}

func (l *pipeListener) Accept() (net.Conn, error) {
	select {
	case conn := <-l.conns:
		return conn, nil
	case <-l.done:
		return nil, net.ErrClosed
	}
}
func (l *pipeListener) Close() error   { close(l.done); return nil }
func (l *pipeListener) Addr() net.Addr { return &net.UnixAddr{Name: "pipe"} }
