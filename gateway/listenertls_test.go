package gateway_test

import (
	"crypto/tls"
	"crypto/x509"
	"io"
	"net"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"jiragate/gateway"
)

// newStillTLS is a still whose listener is an HTTPS proxy.
func newStillTLS(t *testing.T, handshakes int64) *still {
	server := newSigner(t).certificate(t, func(*x509.Certificate) {})
	s := newStill(t, func(o *gateway.Options) {
		o.ProxyTLS = &tls.Config{Certificates: []tls.Certificate{server}, Time: time.Now}
	})
	s.gateway.SetGreetings(handshakes)
	return s
}

const hello = "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"

// The handshakes at the listener are shared by address: one that begins them and does not
// go on keeps nobody else waiting, and its own next one for so long.
func TestListenerHandshakesAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStillTLS(t, 4)
		for range 2 { // one alone has half
			c := s.dial("192.0.2.1:1000")
			go io.WriteString(c, hello)
		}
		synctest.Wait()
		began := time.Now()
		third := s.dial("192.0.2.1:1000")
		cut := make(chan time.Duration, 1)
		go func() {
			_, _ = io.WriteString(third, hello[:1])
			_, _ = io.Copy(io.Discard, third)
			cut <- time.Since(began)
		}()
		for _, from := range []string{"192.0.2.2:1000", "192.0.2.3:1000"} {
			c := tls.Client(s.dial(from), &tls.Config{InsecureSkipVerify: true})
			if err := c.HandshakeContext(t.Context()); err != nil || time.Since(began) != 0 {
				t.Errorf("another address: %v after %s", err, time.Since(began))
			}
		}
		if took := <-cut; took != 5*time.Second {
			t.Errorf("the third was cut after %s", took)
		}
		time.Sleep(time.Minute) // those that stalled are cut, too
		c := tls.Client(s.dial("192.0.2.1:1000"), &tls.Config{InsecureSkipVerify: true})
		began = time.Now()
		if err := c.HandshakeContext(t.Context()); err != nil || time.Since(began) != 0 {
			t.Errorf("later: %v after %s", err, time.Since(began))
		}
	})
}

// Strangers who fill the listener's handshakes keep no tunnel from its own.
func TestStrangersHandshakesKeepNoTunnelWaiting(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStillTLS(t, 2)
		outer := tls.Client(s.dial("192.0.2.1:1000"), &tls.Config{InsecureSkipVerify: true})
		if err := outer.HandshakeContext(t.Context()); err != nil {
			t.Fatal(err)
		}
		for _, from := range []string{"192.0.2.2:1000", "192.0.2.3:1000"} {
			c := s.dial(from)
			go io.WriteString(c, hello)
		}
		synctest.Wait()
		began := time.Now()
		inner := tls.Client(s.connectOn(outer), &tls.Config{RootCAs: s.roots, ServerName: stillHost, Time: time.Now})
		if err := inner.HandshakeContext(t.Context()); err != nil || time.Since(began) != 0 {
			t.Errorf("%v after %s", err, time.Since(began))
		}
	})
}

// Who is slow in the handshake with the listener is cut in time, also where it reads
// nothing of it.
func TestSlowHandshakesWithTheListenerAreCut(t *testing.T) {
	for name, do := range map[string]func(net.Conn){
		"silent":                  func(net.Conn) {},
		"half a hello":            func(c net.Conn) { _, _ = io.WriteString(c, hello) },
		"a hello a byte a second": func(c net.Conn) { drip(c, hello+string(make([]byte, 500))) },
		"reads nothing": func(c net.Conn) {
			_ = tls.Client(onlyWrites{c}, &tls.Config{InsecureSkipVerify: true}).Handshake()
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newStillTLS(t, 4)
				c := s.dial("192.0.2.1:1000")
				var client sync.WaitGroup
				client.Go(func() { do(c) })
				defer client.Wait()
				time.Sleep(20 * time.Second)
				_ = c.SetReadDeadline(time.Now())
				if _, err := io.Copy(io.Discard, c); err != nil {
					t.Errorf("it is not cut: %v", err)
				}
			})
		})
	}
}

// onlyWrites is the connection of a client that reads nothing.
type onlyWrites struct{ net.Conn }

func (onlyWrites) Read([]byte) (int, error) {
	time.Sleep(time.Minute)
	return 0, io.EOF
}
