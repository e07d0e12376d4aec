package netlab

import (
	"bytes"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"time"
)

// Stage is a point of a proxy's talk with a client.
type Stage int

// The stages, in order.
const (
	OnAccept   Stage = iota // the connection is open, nothing was read; before TLS, if there is any
	OnGreeting              // SOCKS5: the client's methods were read
	OnLogin                 // SOCKS5: the client's user name and password were read
	OnRequest               // the request was read and, if credentials are asked for, accepted
)

// Then is what a proxy does after a [Fault]'s bytes.
type Then int

// What can come then.
const (
	ThenClose  Then = iota // close the connection
	ThenReset              // close it with a TCP reset
	ThenHang               // say nothing, until the client or the proxy closes
	ThenTunnel             // connect to the target and pass everything on; from OnRequest only
)

// Fault is a way of misbehaving: at a stage the proxy sends these bytes, whatever
// they are, instead of its answer. The zero Fault closes at once.
type Fault struct {
	Stage Stage
	Send  []byte
	Pause time.Duration // before each byte of Send; 0 sends them all at once
	Then  Then
}

// Answer is an HTTP answer to a CONNECT that is not a tunnel, such as 403 or 504.
// 407 asks for Basic credentials.
func Answer(status int) Fault {
	ask := ""
	if status == http.StatusProxyAuthRequired {
		ask = askBasic
	}
	return Fault{Stage: OnRequest, Send: fmt.Appendf(nil, "HTTP/1.1 %d %s\r\n%sContent-Length: 0\r\nConnection: close\r\n\r\n", status, http.StatusText(status), ask)}
}

// HugeHeader is a good answer to a CONNECT with a header field of n bytes in it.
func HugeHeader(n int) Fault {
	return Fault{Stage: OnRequest, Send: fmt.Appendf(nil, "HTTP/1.1 200 OK\r\nX-Padding: %s\r\n\r\n", bytes.Repeat([]byte("x"), n)), Then: ThenTunnel}
}

// ExtraBytes is a good answer to a CONNECT with bytes right behind it that the
// target never sent.
func ExtraBytes(extra string) Fault {
	return Fault{Stage: OnRequest, Send: []byte(established + extra), Then: ThenTunnel}
}

// Reply is a SOCKS5 reply with a code of RFC 1928, section 6: 1 to 8 are failures.
func Reply(code byte) Fault {
	return Fault{Stage: OnRequest, Send: socksReply(code, nil)}
}

// WrongVersion is an answer of SOCKS4's number to a SOCKS5 client's greeting.
func WrongVersion() Fault { return Fault{Stage: OnGreeting, Send: []byte{4, socksNoLogin}} }

// Garbage is an answer of no protocol.
func Garbage(stage Stage) Fault {
	return Fault{Stage: stage, Send: []byte("\x00\xff\x16\x03garbage\r\n\r\n\x80")}
}

// Hang is silence from a stage on.
func Hang(stage Stage) Fault { return Fault{Stage: stage, Then: ThenHang} }

// Misbehave makes the proxy meet each connection with f from now on, also those
// that are open and not yet at f's stage.
func (p *Proxy) Misbehave(f Fault) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.fault = &f
}

// Behave ends what [Proxy.Misbehave] began. Connections that hang stay so.
func (p *Proxy) Behave() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.fault = nil
}

// fails plays the fault of the stage, if there is one, and reports whether it
// did. tunnel is what ThenTunnel does, nil where there is no target yet.
func (p *Proxy) fails(conn net.Conn, stage Stage, tunnel func()) bool {
	p.mu.Lock()
	f := p.fault
	p.mu.Unlock()
	if f == nil || f.Stage != stage {
		return false
	}
	raw := conn
	if t, ok := conn.(*tls.Conn); ok {
		raw = t.NetConn()
	}
	if stage == OnAccept {
		conn = raw
	}
	if !p.send(conn, f) {
		return true
	}
	switch f.Then {
	case ThenClose:
		if len(f.Send) > 0 {
			finish(conn)
		}
	case ThenReset:
		if tcp, ok := raw.(*net.TCPConn); ok {
			_ = tcp.SetLinger(0)
			tcp.Close() // here, before TLS says goodbye
		}
	case ThenHang:
		_ = conn.SetReadDeadline(time.Time{})
		_, _ = io.Copy(io.Discard, conn) // notices that the client has left
	case ThenTunnel:
		if tunnel != nil {
			tunnel()
		}
	}
	return true
}

// finish ends what is sent and reads on for a moment: closing with unread bytes
// is a reset, which may overtake what was sent (RFC 1122, section 4.2.2.13).
func finish(conn net.Conn) {
	if half, ok := conn.(interface{ CloseWrite() error }); ok && half.CloseWrite() == nil {
		_ = conn.SetReadDeadline(time.Now().Add(time.Second))
		_, _ = io.Copy(io.Discard, conn)
	}
}

// send reports whether all of the fault's bytes were sent.
func (p *Proxy) send(conn net.Conn, f *Fault) bool {
	if len(f.Send) == 0 {
		return true // an empty write would begin TLS
	}
	if f.Pause == 0 {
		_, err := conn.Write(f.Send)
		return err == nil
	}
	for _, b := range f.Send {
		select {
		case <-p.ctx.Done():
			return false
		case <-time.After(f.Pause):
		}
		if _, err := conn.Write([]byte{b}); err != nil {
			return false
		}
	}
	return true
}
