package gateway

import (
	"context"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"sync"
	"testing"
	"time"

	"jiragate/gateway/egress"
	"jiragate/gateway/upstream"
	"jiragate/tokenstore"
)

// freezer passes connections on to an address. The first one can be frozen:
// nothing of it is passed any more, as behind a NAT that has forgotten it.
type freezer struct {
	net.Listener
	to     string
	frozen chan struct{}
	conns  sync.WaitGroup
}

func newFreezer(t *testing.T, to string) *freezer {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	f := &freezer{Listener: l, to: to, frozen: make(chan struct{})}
	f.conns.Go(func() {
		for first := true; ; first = false {
			c, err := l.Accept()
			if err != nil {
				return
			}
			f.pass(t, c, first)
		}
	})
	t.Cleanup(func() { l.Close(); f.conns.Wait() })
	return f
}

func (f *freezer) pass(t *testing.T, c net.Conn, canFreeze bool) {
	up, err := net.Dial("tcp", f.to)
	if err != nil {
		c.Close()
		return
	}
	t.Cleanup(func() { c.Close(); up.Close() })
	for _, way := range [][2]net.Conn{{c, up}, {up, c}} {
		f.conns.Go(func() {
			b := make([]byte, 32<<10)
			for {
				n, err := way[0].Read(b)
				if canFreeze {
					select {
					case <-f.frozen:
						return // swallowed; the socket stays open
					default:
					}
				}
				if _, werr := way[1].Write(b[:n]); err != nil || werr != nil {
					way[1].Close()
					return
				}
			}
		})
	}
}

// A dead HTTP/2 connection to Jira is found out and replaced, and one to an
// authorization server, too.
func TestDeadConnectionIsReplaced(t *testing.T) {
	for name, calls := range map[string]bool{"calls": true, "tokens": false} {
		t.Run(name, func(t *testing.T) { deadConnectionIsReplaced(t, calls) })
	}
}

func deadConnectionIsReplaced(t *testing.T, calls bool) {
	var roundTrip func(*http.Request) (*http.Response, error)
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, r.Proto) }))
	server.EnableHTTP2 = true
	server.StartTLS()
	f := newFreezer(t, server.Listener.Addr().String())
	t.Cleanup(server.Close)
	roots := x509.NewCertPool()
	roots.AddCert(server.Certificate())
	e, err := egress.New(egress.Options{AllowPrivate: []egress.PrivateNetwork{{Prefix: netip.MustParsePrefix("127.0.0.0/8")}}})
	if err != nil {
		t.Fatal(err)
	}
	pings := pings{50 * time.Millisecond, 50 * time.Millisecond}
	if calls {
		calling, err := newUpstream(e, &tokenstore.Connection{ID: "acme"}, roots, pings)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(calling.CloseIdleConnections)
		roundTrip = func(r *http.Request) (*http.Response, error) {
			return calling.RoundTrip(r.Context(), r, func(net.Conn) {})
		}
	} else {
		transport := newTransport(e, "acme", roots, pings)
		t.Cleanup(transport.CloseIdleConnections)
		roundTrip = transport.RoundTrip
	}
	get := func() (string, error) {
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		r, err := http.NewRequestWithContext(ctx, "GET", "https://"+f.Addr().String()+"/", nil)
		if err != nil {
			return "", err
		}
		answer, err := roundTrip(r)
		if err != nil {
			return "", err
		}
		defer answer.Body.Close()
		b, err := io.ReadAll(answer.Body)
		return string(b), err
	}
	if proto, err := get(); err != nil || proto != "HTTP/2.0" {
		t.Fatalf("warm: %s, %v", proto, err)
	}
	close(f.frozen)
	// The call that meets the dead connection may fail, quickly; the next may not.
	if _, err := get(); errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("the dead connection was waited for: %v", err)
	}
	if _, err := get(); err != nil {
		t.Errorf("after the connection has died: %v", err)
	}
}

// NewTransport is what tokens are asked for with: it pings, asks no proxy and takes no
// compression.
func TestNewTransport(t *testing.T) {
	e, err := egress.New(egress.Options{})
	if err != nil {
		t.Fatal(err)
	}
	tr, err := NewTransport(e, &tokenstore.Connection{ID: "acme"}, nil)
	if err != nil {
		t.Fatal(err)
	}
	if tr.HTTP2.SendPingTimeout != upstreamPingAfter || tr.HTTP2.PingTimeout != upstreamPingTimeout || tr.Proxy != nil || !tr.DisableCompression || tr.TLSClientConfig.InsecureSkipVerify {
		t.Errorf("%+v", tr)
	}
}

// Waiting for a connection to Jira has an end of its own.
func TestWaitingForAConnectionEnds(t *testing.T) {
	if r := upstreamRefusal(t.Context(), upstream.ErrBusy); r.code != CodeUpstreamBusy || r.code.meaning().status != http.StatusServiceUnavailable {
		t.Errorf("%+v", r)
	}
	if upstreamConnTimeout >= answerTimeout || upstreamConnTimeout+upstreamHeaderTimeout+credentialTimeout >= answerTimeout {
		t.Error("net/http's deadline comes before those of the stations")
	}
}

// No two customers share an upstream socket, not even one after the other
// under the same id.
func TestTransportsGoWithTheIncarnation(t *testing.T) {
	e, err := egress.New(egress.Options{})
	if err != nil {
		t.Fatal(err)
	}
	var ts transports
	of := func(id string, incarnation uint64) *upstream.Transport {
		t.Helper()
		tr, err := ts.of(&tokenstore.Connection{ID: id, Incarnation: incarnation}, e, nil)
		if err != nil {
			t.Fatal(err)
		}
		return tr
	}
	first := of("acme", 1)
	if of("acme", 1) != first {
		t.Error("the connection's sockets are not kept")
	}
	if of("globex", 2) == first || of("acme", 3) == first {
		t.Error("another connection gets the sockets of the first")
	}
	ts.keep(tokenstore.NewDirectory(nil, nil))
	for id := range ts.byID.Range {
		t.Errorf("the transport of %s, a removed connection, is kept", id)
	}
}

// A kept socket may have left from an address that is retired since: no call goes
// out by it any more.
func TestTransportsGoWithTheAddressesInUse(t *testing.T) {
	retired := map[string]bool{}
	e, err := egress.New(egress.Options{
		Addresses: []egress.Address{
			{Public: netip.MustParseAddr("198.51.100.7"), Local: netip.MustParseAddr("127.0.0.1")},
			{Public: netip.MustParseAddr("198.51.100.8"), Local: netip.MustParseAddr("127.0.0.2")},
		},
		InUse: func(public netip.Addr) bool { return !retired[public.String()] },
	})
	if err != nil {
		t.Fatal(err)
	}
	var ts transports
	acme := &tokenstore.Connection{ID: "acme", Incarnation: 1}
	of := func() *upstream.Transport {
		t.Helper()
		tr, err := ts.of(acme, e, nil)
		if err != nil {
			t.Fatal(err)
		}
		return tr
	}
	first := of()
	if of() != first {
		t.Error("sockets are not kept while the addresses stay")
	}
	retired["198.51.100.8"] = true
	second := of()
	if second == first {
		t.Error("sockets are kept although an address was retired")
	}
	retired["198.51.100.8"], retired["198.51.100.7"] = false, true
	if of() == second {
		t.Error("sockets are kept although one address took the place of the other")
	}
}
