package egress

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"jiragate/internal/netlab"
)

// pipes is a network in memory, for tests of time: listeners by address.
type pipes map[netip.AddrPort]*pipeListener

type pipeListener struct {
	at    netip.AddrPort
	conns chan net.Conn
	done  chan struct{}
}

func (p pipes) listen(t *testing.T, at string) net.Listener {
	l := &pipeListener{at: netip.MustParseAddrPort(at), conns: make(chan net.Conn), done: make(chan struct{})}
	p[l.at] = l
	return l
}

func (l *pipeListener) Accept() (net.Conn, error) {
	select {
	case conn := <-l.conns:
		return conn, nil
	case <-l.done:
		return nil, net.ErrClosed
	}
}

func (l *pipeListener) Close() error {
	select {
	case <-l.done:
	default:
		close(l.done)
	}
	return nil
}

func (l *pipeListener) Addr() net.Addr { return net.TCPAddrFromAddrPort(l.at) }

// dial reaches a listener, or nobody for as long as ctx allows.
func (p pipes) dial(ctx context.Context, at netip.AddrPort) (net.Conn, error) {
	l := p[at]
	if l == nil {
		<-ctx.Done()
		return nil, &net.OpError{Op: "dial", Net: "tcp", Err: ctx.Err()}
	}
	here, there := net.Pipe()
	select {
	case l.conns <- there:
		return here, nil
	case <-ctx.Done():
		return nil, &net.OpError{Op: "dial", Net: "tcp", Err: ctx.Err()}
	}
}

func (p pipes) system() system {
	sys := (&fakeNetwork{}).system()
	sys.connect = func(ctx context.Context, _ netip.Addr, target netip.AddrPort, check checkFunc) (net.Conn, error) {
		if err := check(target); err != nil {
			return nil, err
		}
		return p.dial(ctx, target)
	}
	return sys
}

// provide is a proxy in p, which reaches what is in p.
func (p pipes) provide(t *testing.T, scheme ProxyScheme, public, at string) *provider {
	return provide(t, scheme, public, "", p.listen(t, at), known, netlab.ProxyOptions{
		Dial: func(ctx context.Context, _, address string) (net.Conn, error) {
			return p.dial(ctx, netip.MustParseAddrPort(address))
		},
	})
}

func (p pipes) egress(t *testing.T, log *quiet, providers ...*provider) *Egress {
	o := Options{ProxyRoots: x509.NewCertPool(), Logger: log.logger()}
	for _, provider := range providers {
		o.Addresses = append(o.Addresses, provider.address)
		if provider.roots != nil {
			o.ProxyRoots = provider.roots
		}
	}
	e, err := newOn(p.system(), o)
	if err != nil {
		t.Fatal(err)
	}
	return e
}

// hang is a proxy that falls silent at a stage.
type hang struct {
	scheme ProxyScheme
	stage  netlab.Stage
	kind   kind
}

var hangs = []hang{
	{ProxyHTTP, netlab.OnAccept, ofEither}, // whether it has read the request does not show
	{ProxyHTTP, netlab.OnRequest, ofEither},
	{ProxyHTTPS, netlab.OnAccept, ofProxy},
	{ProxyHTTPS, netlab.OnRequest, ofEither},
	{ProxySOCKS5, netlab.OnAccept, ofProxy},
	{ProxySOCKS5, netlab.OnGreeting, ofProxy},
	{ProxySOCKS5, netlab.OnLogin, ofProxy},
	{ProxySOCKS5, netlab.OnRequest, ofEither},
}

// each runs test for every hang, in time of its own.
func eachHang(t *testing.T, test func(t *testing.T, h hang)) {
	for _, h := range hangs {
		t.Run(fmt.Sprintf("%s at stage %d", h.scheme, h.stage), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { test(t, h) })
		})
	}
}

func TestProxyThatHangsTakesTenSecondsInAll(t *testing.T) {
	eachHang(t, func(t *testing.T, h hang) {
		network, log := pipes{}, &quiet{}
		p := network.provide(t, h.scheme, "52.54.159.237", proxyEast)
		p.Misbehave(netlab.Hang(h.stage))
		e := network.egress(t, log, p)
		began := time.Now()
		_, err := e.DialContext(t.Context(), "initech", "tcp", jira)
		if took := time.Since(began); took != dialTimeout {
			t.Errorf("took %v, want %v", took, dialTimeout)
		}
		if got := kindOf(t, err); got != h.kind {
			t.Errorf("error %v is %s, want %s", err, got, h.kind)
		}
		if !errors.Is(err, context.DeadlineExceeded) && !strings.Contains(err.Error(), "timeout") {
			t.Errorf("error %v does not speak of time", err)
		}
		synctest.Wait()
		p.expectClosed(t)
		expectNoCredentials(t, err.Error()+log.String())
	})
}

func TestProxyThatHangsLeavesTimeForTheNext(t *testing.T) {
	eachHang(t, func(t *testing.T, h hang) {
		network, log := pipes{}, &quiet{}
		jiraHost := echo(t, network.listen(t, jira))
		first := network.provide(t, h.scheme, "52.54.159.237", proxyEast)
		first.Misbehave(netlab.Hang(h.stage))
		second := network.provide(t, ProxyHTTP, "52.73.143.252", proxyWest)
		e := network.egress(t, log, first, second)
		began := time.Now()
		conn, err := e.DialContext(t.Context(), "initech", "tcp", jira)
		if err != nil {
			t.Fatal(err)
		}
		if took := time.Since(began); took != dialTimeout/2 {
			t.Errorf("took %v, want %v", took, dialTimeout/2)
		}
		if got := conn.(*Conn).PublicIP(); got != "52.73.143.252" {
			t.Errorf("left by %s", got)
		}
		expectEcho(t, conn)
		synctest.Wait()
		first.expectClosed(t)
		if jiraHost.count() != 1 {
			t.Errorf("the upstream got %d connections", jiraHost.count())
		}
	})
}

// Who gives up says nothing of the proxy, however often.
func TestCallerWhoLeavesMarksNothingDown(t *testing.T) {
	errBusy := errors.New("no place for the call")
	eachHang(t, func(t *testing.T, h hang) {
		for _, cause := range []error{nil, errBusy} {
			network, log := pipes{}, &quiet{}
			p := network.provide(t, h.scheme, "52.54.159.237", proxyEast)
			p.Misbehave(netlab.Hang(h.stage))
			e := network.egress(t, log, p)
			for range maxSilences + 1 {
				ctx, leave := context.WithCancelCause(t.Context())
				began := time.Now()
				time.AfterFunc(time.Second, func() { leave(cause) })
				_, err := e.DialContext(ctx, "initech", "tcp", jira)
				if took := time.Since(began); took != time.Second || !errors.Is(err, context.Canceled) {
					t.Errorf("after %v: %v, want %v after 1s", took, err, context.Canceled)
				}
				expectNoCredentials(t, err.Error())
			}
			if !e.Health()[0].Up || strings.Contains(log.String(), "cannot be used") {
				t.Errorf("cause %v: the proxy is marked down; log %s", cause, log)
			}
			p.Close()
		}
	})
}

// A proxy whose first address takes connections and says nothing is reached at
// the second.
func TestFirstAddressOfAProxyHangsInTLS(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		network := pipes{}
		echo(t, network.listen(t, jira))
		const name = "proxy.provider.example"
		l := network.listen(t, "10.9.0.2:3128")
		p := provide(t, ProxyHTTPS, "52.54.159.237", name, l, known, netlab.ProxyOptions{Dial: func(ctx context.Context, _, address string) (net.Conn, error) {
			return network.dial(ctx, netip.MustParseAddrPort(address))
		}})
		dead := provide(t, ProxyHTTP, "52.73.143.252", "", network.listen(t, "10.9.0.1:3128"), known, netlab.ProxyOptions{})
		dead.Misbehave(netlab.Hang(netlab.OnAccept))
		e, err := newOn(network.system(), Options{Addresses: []Address{p.address}, ProxyRoots: p.roots, Resolver: answers("10.9.0.1", "10.9.0.2")})
		if err != nil {
			t.Fatal(err)
		}
		began := time.Now()
		conn, err := e.DialContext(t.Context(), "acme", "tcp", jira)
		if err != nil {
			t.Fatal(err)
		}
		if took := time.Since(began); took != dialTimeout/2 {
			t.Errorf("took %v, want %v", took, dialTimeout/2)
		}
		expectEcho(t, conn)
		synctest.Wait()
		dead.expectClosed(t)
	})
}

// An answer that comes byte by byte is bounded as a whole.
func TestProxyThatDrips(t *testing.T) {
	for _, f := range []struct {
		scheme ProxyScheme
		fault  netlab.Fault
	}{
		{ProxyHTTP, netlab.Fault{Stage: netlab.OnRequest, Send: []byte("HTTP/1.1 200 OK\r\nX: " + strings.Repeat("x", 200) + "\r\n\r\n"), Pause: 100 * time.Millisecond}},
		{ProxySOCKS5, netlab.Fault{Stage: netlab.OnRequest, Send: []byte("\x05\x00\x00\x03\x20proxy-with-a-long-name.example.org\x04\x38"), Pause: time.Second}},
	} {
		synctest.Test(t, func(t *testing.T) {
			network := pipes{}
			p := network.provide(t, f.scheme, "52.54.159.237", proxyEast)
			p.Misbehave(f.fault)
			began := time.Now()
			_, err := network.egress(t, &quiet{}, p).DialContext(t.Context(), "acme", "tcp", jira)
			if took := time.Since(began); took != dialTimeout || kindOf(t, err) != ofEither {
				t.Errorf("%s: after %v: %v", f.scheme, took, err)
			}
			synctest.Wait()
			p.expectClosed(t)
		})
	}
}

// No deadline of the dial stays behind.
func TestConnectionByProxyLivesOn(t *testing.T) {
	for _, scheme := range []ProxyScheme{ProxyHTTP, ProxyHTTPS, ProxySOCKS5} {
		synctest.Test(t, func(t *testing.T) {
			network := pipes{}
			echo(t, network.listen(t, jira))
			p := network.provide(t, scheme, "52.54.159.237", proxyEast)
			ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
			defer cancel()
			conn, err := network.egress(t, &quiet{}, p).DialContext(ctx, "acme", "tcp", jira)
			if err != nil {
				t.Fatal(err)
			}
			time.Sleep(time.Hour)
			expectEcho(t, conn)
		})
	}
}

// The lookup of a proxy's name is a part of the dial's time.
func TestNameOfAProxyIsLookedUpInTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		first, second := eastByProxy, westByProxy
		first.Proxy = &Proxy{Scheme: ProxyHTTP, Host: "proxy.provider.example", Port: 3128}
		n := &proxyNetwork{}
		e := newProxied(t, n, Options{Addresses: []Address{first, second}, Resolver: resolverFunc(func(ctx context.Context, _, _ string) ([]netip.Addr, error) {
			<-ctx.Done()
			return nil, ctx.Err()
		})})
		began := time.Now()
		conn, err := e.DialContext(t.Context(), "initech", "tcp", jira)
		if err != nil || conn.(*Conn).PublicIP() != "52.73.143.252" {
			t.Errorf("connection %v, error %v", conn, err)
		}
		if took := time.Since(began); took > lookupTimeout {
			t.Errorf("took %v", took)
		}
	})
}

// Readiness is asked for again and again, by machines that do not wait for long.
func TestReadyIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		network := pipes{}
		first := network.provide(t, ProxyHTTPS, "52.54.159.237", proxyEast)
		second := network.provide(t, ProxyHTTPS, "52.73.143.252", proxyWest)
		first.Misbehave(netlab.Hang(netlab.OnAccept))
		second.Misbehave(netlab.Hang(netlab.OnAccept))
		e := network.egress(t, &quiet{}, first, second)
		if _, err := e.DialContext(t.Context(), "initech", "tcp", jira); kindOf(t, err) != ofProxy {
			t.Errorf("error %v", err)
		}
		time.Sleep(proxyCooldown)
		began := time.Now()
		err := e.Ready(t.Context())
		if took := time.Since(began); took > dialTimeout || !errors.Is(err, ErrUnavailable) {
			t.Errorf("after %v: %v", took, err)
		}
		for _, h := range e.Health() {
			if h.Up {
				t.Errorf("%s is up", h.Public)
			}
		}

		// Who leaves before the proxy answers does not prolong its outage.
		time.Sleep(2 * proxyCooldown)
		ctx, leave := context.WithCancelCause(t.Context())
		time.AfterFunc(time.Second, func() { leave(errors.New("the probe has left")) })
		began = time.Now()
		if err := e.Ready(ctx); !errors.Is(err, ErrUnavailable) || time.Since(began) > time.Second {
			t.Errorf("after %v: %v", time.Since(began), err)
		}
		first.Behave()
		second.Behave()
		if err := e.Ready(t.Context()); err != nil {
			t.Errorf("both answer: %v", err)
		}
		synctest.Wait()
		first.expectClosed(t)
		second.expectClosed(t)
	})
}
