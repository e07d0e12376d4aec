package egress

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"net"
	"net/netip"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"jiragate/internal/netlab"
)

// fault is a way in which a dial by one proxy fails, and what it is to the caller.
type fault struct {
	name   string
	scheme ProxyScheme
	as     login
	does   *netlab.Fault // nil: it behaves
	kind   kind
	errno  syscall.Errno // ofUpstream's
	says   string        // part of the error
}

func sends(stage netlab.Stage, text string) *netlab.Fault {
	return &netlab.Fault{Stage: stage, Send: []byte(text)}
}

func does(f netlab.Fault) *netlab.Fault { return &f }

// reflected is what a proxy was told, which it may say again anywhere.
var reflected = base64.StdEncoding.EncodeToString([]byte(proxyUser+":"+proxyPassword)) + " " + proxyUser + " " + proxyPassword

var faults = []fault{
	{"the wrong password", ProxyHTTP, wrong, nil, ofProxy, 0, "credentials"},
	{"no password", ProxyHTTP, missing, nil, ofProxy, 0, "credentials"},
	{"the wrong password, over TLS", ProxyHTTPS, wrong, nil, ofProxy, 0, "status 407"},
	{"401", ProxyHTTP, known, does(netlab.Answer(401)), ofProxy, 0, "credentials"},
	{"403", ProxyHTTP, known, does(netlab.Answer(403)), ofTarget, 0, "status 403"},
	{"404", ProxyHTTP, known, does(netlab.Answer(404)), ofTarget, 0, "status 404"},
	{"429", ProxyHTTP, known, does(netlab.Answer(429)), ofTarget, 0, "status 429"},
	{"500", ProxyHTTPS, known, does(netlab.Answer(500)), ofTarget, 0, "status 500"},
	{"502", ProxyHTTP, known, does(netlab.Answer(502)), ofUpstream, syscall.EHOSTUNREACH, "by the proxy's word"},
	{"503", ProxyHTTPS, known, does(netlab.Answer(503)), ofUpstream, syscall.EHOSTUNREACH, ""},
	{"504", ProxyHTTP, known, does(netlab.Answer(504)), ofUpstream, syscall.ETIMEDOUT, ""},
	{"a redirect", ProxyHTTP, known, sends(netlab.OnRequest, "HTTP/1.1 302 Found\r\nLocation: http://169.254.169.254/\r\n\r\n"), ofTarget, 0, "status 302"},
	{"an interim answer alone", ProxyHTTP, known, sends(netlab.OnRequest, "HTTP/1.1 100 Continue\r\n\r\n"), ofProxy, 0, ""},
	{"another protocol", ProxyHTTP, known, sends(netlab.OnRequest, "SSH-2.0-OpenSSH_9.6\r\n\r\n"), ofProxy, 0, "not HTTP"},
	{"garbage at once", ProxyHTTP, known, does(netlab.Garbage(netlab.OnAccept)), ofProxy, 0, ""},
	{"garbage", ProxyHTTP, known, does(netlab.Garbage(netlab.OnRequest)), ofProxy, 0, "not HTTP"},
	{"garbage, over TLS", ProxyHTTPS, known, does(netlab.Garbage(netlab.OnRequest)), ofProxy, 0, "not HTTP"},
	{"garbage instead of TLS", ProxyHTTPS, known, does(netlab.Garbage(netlab.OnAccept)), ofProxy, 0, "TLS"},
	{"hangs up after the request", ProxyHTTP, known, does(netlab.Fault{Stage: netlab.OnRequest}), ofEither, 0, ""},
	{"hangs up after the request, over TLS", ProxyHTTPS, known, does(netlab.Fault{Stage: netlab.OnRequest}), ofEither, 0, ""},
	{"hangs up in its answer", ProxyHTTP, known, sends(netlab.OnRequest, "HTTP/1.1 200 OK\r\nVia: "), ofEither, 0, ""},
	{"hangs up instead of TLS", ProxyHTTPS, known, &netlab.Fault{}, ofProxy, 0, "TLS"},
	{"resets", ProxyHTTP, known, &netlab.Fault{Stage: netlab.OnRequest, Then: netlab.ThenReset}, ofEither, 0, ""},
	{"resets, over TLS", ProxyHTTPS, known, &netlab.Fault{Stage: netlab.OnRequest, Then: netlab.ThenReset}, ofEither, 0, ""},
	{"resets instead of TLS", ProxyHTTPS, known, &netlab.Fault{Then: netlab.ThenReset}, ofProxy, 0, ""},
	{"a huge header", ProxyHTTP, known, does(netlab.HugeHeader(1 << 20)), ofProxy, 0, "longer than"},
	{"a header without an end", ProxyHTTPS, known, sends(netlab.OnRequest, "HTTP/1.1 200 OK\r\n"+strings.Repeat("X: y\r\n", 4096)), ofProxy, 0, "longer than"},
	{"a status line without an end", ProxyHTTP, known, sends(netlab.OnRequest, "HTTP/1.1 200 "+strings.Repeat("O", maxProxyAnswer)), ofProxy, 0, "longer than"},
	{"words put into the upstream's mouth", ProxyHTTP, known, does(netlab.ExtraBytes("\x15\x03\x01\x00\x02\x02\x28")), ofProxy, 0, "more than its answer"},
	{"words put into the upstream's mouth, over TLS", ProxyHTTPS, known, does(netlab.ExtraBytes("hello")), ofProxy, 0, "more than its answer"},
	{"the password in its status line", ProxyHTTP, known, sends(netlab.OnRequest, "HTTP/1.1 407 "+reflected+"\r\n\r\n"), ofProxy, 0, ""},
	{"the password in its header and body", ProxyHTTP, known, sends(netlab.OnRequest, "HTTP/1.1 500 x\r\nX: "+reflected+"\r\n\r\n"+reflected), ofTarget, 0, ""},
	{"the password for an answer", ProxyHTTP, known, sends(netlab.OnRequest, reflected+"\r\n\r\n"), ofProxy, 0, "not HTTP"},
	{"the password for a status", ProxyHTTP, known, sends(netlab.OnRequest, "HTTP/1.1 "+proxyPassword+"\r\n\r\n"), ofProxy, 0, "not HTTP"},
	{"the password for a field", ProxyHTTP, known, sends(netlab.OnRequest, "HTTP/1.1 200 OK\r\n"+proxyUser+"\r\n\r\n"), ofProxy, 0, "not HTTP"},

	{"the wrong password", ProxySOCKS5, wrong, nil, ofProxy, 0, "credentials"},
	{"no password", ProxySOCKS5, missing, nil, ofProxy, 0, "credentials"},
	{"general failure", ProxySOCKS5, known, does(netlab.Reply(1)), ofTarget, 0, "general SOCKS server failure"},
	{"not allowed", ProxySOCKS5, known, does(netlab.Reply(2)), ofTarget, 0, "not allowed by ruleset"},
	{"network unreachable", ProxySOCKS5, known, does(netlab.Reply(3)), ofUpstream, syscall.ENETUNREACH, "by the proxy's word"},
	{"host unreachable", ProxySOCKS5, known, does(netlab.Reply(4)), ofUpstream, syscall.EHOSTUNREACH, ""},
	{"refused", ProxySOCKS5, known, does(netlab.Reply(5)), ofUpstream, syscall.ECONNREFUSED, ""},
	{"TTL expired", ProxySOCKS5, noLogin, does(netlab.Reply(6)), ofUpstream, syscall.ETIMEDOUT, ""},
	{"no such command", ProxySOCKS5, known, does(netlab.Reply(7)), ofTarget, 0, "command not supported"},
	{"no such address type", ProxySOCKS5, noLogin, does(netlab.Reply(8)), ofTarget, 0, "address type not supported"},
	{"an unknown code", ProxySOCKS5, known, does(netlab.Reply(9)), ofTarget, 0, ""},
	{"another version", ProxySOCKS5, known, does(netlab.WrongVersion()), ofProxy, 0, "version"},
	{"a method that was not offered", ProxySOCKS5, known, sends(netlab.OnGreeting, "\x05\x01"), ofProxy, 0, ""},
	{"HTTP", ProxySOCKS5, known, sends(netlab.OnGreeting, "HTTP/1.1 400 Bad Request\r\n\r\n"), ofProxy, 0, ""},
	{"garbage at once", ProxySOCKS5, known, does(netlab.Garbage(netlab.OnAccept)), ofProxy, 0, ""},
	{"garbage for a method", ProxySOCKS5, known, does(netlab.Garbage(netlab.OnGreeting)), ofProxy, 0, ""},
	{"garbage for a login", ProxySOCKS5, known, does(netlab.Garbage(netlab.OnLogin)), ofProxy, 0, ""},
	{"garbage for a reply", ProxySOCKS5, known, does(netlab.Garbage(netlab.OnRequest)), ofProxy, 0, ""},
	{"the password for a reply", ProxySOCKS5, known, sends(netlab.OnRequest, reflected), ofProxy, 0, ""},
	{"the password for a bound name", ProxySOCKS5, known, sends(netlab.OnRequest, "\x05\x01\x00\x03\x12"+proxyPassword), ofTarget, 0, ""},
	{"hangs up after the greeting", ProxySOCKS5, known, &netlab.Fault{Stage: netlab.OnGreeting}, ofProxy, 0, ""},
	{"hangs up after the login", ProxySOCKS5, known, &netlab.Fault{Stage: netlab.OnLogin}, ofProxy, 0, ""},
	{"hangs up after the request", ProxySOCKS5, known, &netlab.Fault{Stage: netlab.OnRequest}, ofEither, 0, ""},
	{"hangs up after the request, without credentials", ProxySOCKS5, noLogin, &netlab.Fault{Stage: netlab.OnRequest}, ofEither, 0, ""},
	{"hangs up in its reply", ProxySOCKS5, known, sends(netlab.OnRequest, "\x05\x00\x00\x01\x7f"), ofEither, 0, ""},
	{"resets after the greeting", ProxySOCKS5, known, &netlab.Fault{Stage: netlab.OnGreeting, Then: netlab.ThenReset}, ofProxy, 0, ""},
	{"resets after the request", ProxySOCKS5, known, &netlab.Fault{Stage: netlab.OnRequest, Then: netlab.ThenReset}, ofEither, 0, ""},
}

func TestMisbehavingProxies(t *testing.T) {
	for _, test := range faults {
		t.Run(string(test.scheme)+" "+test.name, func(t *testing.T) {
			expectNoLeaks(t)
			jira := echo(t, loopbackListener(t))
			p := provide(t, test.scheme, "52.54.159.237", "", loopbackListener(t), test.as, netlab.ProxyOptions{})
			if test.does != nil {
				p.Misbehave(*test.does)
			}
			log := &quiet{}
			e := newReal(t, Options{Addresses: []Address{p.address}, ProxyRoots: p.roots, Logger: log.logger()})
			began := time.Now()
			conn, err := e.DialContext(t.Context(), "acme", "tcp", jira.at.String())
			if err == nil {
				conn.Close()
				t.Fatal("connected")
			}
			if took := time.Since(began); took > dialTimeout/2 {
				t.Errorf("it took %v to notice", took)
			}
			if got := kindOf(t, err); got != test.kind {
				t.Errorf("error %v is %s, want %s", err, got, test.kind)
			}
			if test.errno != 0 && !errors.Is(err, test.errno) {
				t.Errorf("error %v, want %v", err, test.errno)
			}
			if timeout, ok := errors.AsType[net.Error](err); test.kind == ofUpstream && (!ok || timeout.Timeout() != test.errno.Timeout()) {
				t.Errorf("error %v is a timeout %v, want %v", err, timeout.Timeout(), test.errno.Timeout())
			}
			if !strings.Contains(err.Error(), test.says) || !strings.Contains(err.Error(), jira.at.String()) {
				t.Errorf("error %q, want %q and the upstream in it", err, test.says)
			}
			if up := e.Health()[0].Up; up != (test.kind != ofProxy) {
				t.Errorf("up %v after a failure %s", up, test.kind)
			}
			p.expectClosed(t)
			expectNoCredentials(t, err.Error()+log.String())
		})
	}
}

// Between TCP and a login nothing tells whether the request was read.
func TestProxyThatHangsUpAtOnce(t *testing.T) {
	for _, then := range []netlab.Then{netlab.ThenClose, netlab.ThenReset} {
		for _, scheme := range []ProxyScheme{ProxyHTTP, ProxySOCKS5} {
			expectNoLeaks(t)
			p := provide(t, scheme, "52.54.159.237", "", loopbackListener(t), known, netlab.ProxyOptions{})
			p.Misbehave(netlab.Fault{Stage: netlab.OnAccept, Then: then})
			_, err := newReal(t, Options{Addresses: []Address{p.address}}).DialContext(t.Context(), "acme", "tcp", "127.0.0.1:9")
			if err == nil || kindOf(t, err) == ofUpstream {
				t.Errorf("%s: error %v", scheme, err)
			}
			p.expectClosed(t)
		}
	}
}

func TestTLSOfProxies(t *testing.T) {
	certificate, root := netlab.NewCertificate(t, "127.0.0.1")
	another, _ := netlab.NewCertificate(t, "127.0.0.1")
	named, namedRoot := netlab.NewCertificate(t, "proxy.provider.example")
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(root)
	roots.AppendCertsFromPEM(namedRoot)
	tests := []struct {
		name   string
		server *tls.Config
		roots  *x509.CertPool
		ok     bool
	}{
		{"as it should be", &tls.Config{Certificates: []tls.Certificate{certificate}}, roots, true},
		{"TLS 1.2", &tls.Config{Certificates: []tls.Certificate{certificate}, MaxVersion: tls.VersionTLS12}, roots, true},
		{"of an unknown authority", &tls.Config{Certificates: []tls.Certificate{another}}, roots, false},
		{"of an authority that is not the system's", &tls.Config{Certificates: []tls.Certificate{certificate}}, nil, false},
		{"for another name", &tls.Config{Certificates: []tls.Certificate{named}}, roots, false},
		{"TLS 1.1", &tls.Config{Certificates: []tls.Certificate{certificate}, MinVersion: tls.VersionTLS10, MaxVersion: tls.VersionTLS11}, roots, false},
		{"no TLS at all", nil, roots, false},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			expectNoLeaks(t)
			jira := echo(t, loopbackListener(t))
			l := loopbackListener(t)
			at := netip.MustParseAddrPort(l.Addr().String())
			if test.server != nil {
				l = tls.NewListener(l, test.server)
			}
			p := provide(t, ProxyHTTP, "52.54.159.237", "", l, known, netlab.ProxyOptions{})
			secured := *p.address.Proxy
			secured.Scheme, secured.Port = ProxyHTTPS, at.Port()
			log := &quiet{}
			e := newReal(t, Options{Addresses: []Address{{Public: p.address.Public, Proxy: &secured}}, ProxyRoots: test.roots, Logger: log.logger()})
			conn, err := e.DialContext(t.Context(), "acme", "tcp", jira.at.String())
			if test.ok {
				if err != nil {
					t.Fatal(err)
				}
				expectEcho(t, conn)
				return
			}
			if err == nil || kindOf(t, err) != ofProxy || len(p.Requests()) != 0 || jira.count() != 0 {
				t.Errorf("error %v; the proxy was asked %v", err, p.Requests())
			}
			p.expectClosed(t)
			expectNoCredentials(t, err.Error()+log.String())
		})
	}
}

// What the name of a proxy resolves to is judged at each dial.
func TestNameOfAProxy(t *testing.T) {
	const name = "proxy.provider.example"
	own := []netip.AddrPort{netip.MustParseAddrPort("10.9.0.1:3128"), netip.MustParseAddrPort("0.0.0.0:3128")}
	tests := []struct {
		name  string
		known []string
		own   []netip.AddrPort
		class Class  // refused as
		want  string // or the address that is used
	}{
		{"metadata", []string{"169.254.169.254"}, nil, ClassMetadata, ""},
		{"metadata in IPv6 clothes", []string{"::ffff:169.254.169.254"}, nil, ClassMetadata, ""},
		{"metadata inside CGNAT", []string{"100.100.100.200"}, nil, ClassMetadata, ""},
		{"link-local", []string{"169.254.1.1"}, nil, ClassLinkLocal, ""},
		{"nowhere", []string{"0.0.0.0"}, nil, ClassUnspecified, ""},
		{"many", []string{"224.0.0.1"}, nil, ClassMulticast, ""},
		{"an own listener", []string{"10.9.0.1"}, own[:1], ClassOwnListener, ""},
		{"a listener on all addresses", []string{"127.0.0.1"}, own[1:], ClassOwnListener, ""},
		{"unknown", nil, nil, "", ""},
		{"without an address", []string{}, nil, "", ""},
		{"one of them forbidden", []string{"169.254.169.254", "10.9.0.2"}, nil, "", "10.9.0.2:3128"},
		{"one of them an own listener", []string{"10.9.0.1", "10.9.0.2"}, own[:1], "", "10.9.0.2:3128"},
		{"the first is dead", []string{"10.66.6.6", "10.9.0.2"}, nil, "", "10.9.0.2:3128"},
		{"two are dead", []string{"10.66.6.6", "10.66.6.7", "10.9.0.2"}, nil, "", "10.9.0.2:3128"},
		{"IPv4 in IPv6 clothes", []string{"::ffff:10.9.0.2"}, nil, "", "10.9.0.2:3128"},
		{"IPv6 for an IPv4 address", []string{"fd00::7"}, nil, "", "[fd00::7]:3128"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			n := &proxyNetwork{}
			n.onConnect = func(_ context.Context, a attempt) error {
				if strings.HasPrefix(a.target, "10.66.") {
					return failing("connect", syscall.ECONNREFUSED)
				}
				return nil
			}
			resolver := &names{known: map[string][]string{"jira.acme.example": {"104.192.141.1"}}}
			if test.known != nil {
				resolver.known[name] = test.known
			}
			address := eastByProxy
			address.Proxy = &Proxy{Scheme: ProxyHTTP, Host: name, Port: 3128}
			e := newProxied(t, n, Options{Addresses: []Address{address}, Resolver: resolver, Own: test.own})
			_, err := e.DialContext(t.Context(), "acme", "tcp", "jira.acme.example:443")
			made := n.made()
			if test.want != "" {
				if err != nil || made[len(made)-1].target != test.want {
					t.Errorf("attempts %v, error %v", made, err)
				}
				n.expectAsked(t, ask{test.want, "104.192.141.1:443"})
				return
			}
			if err == nil || kindOf(t, err) != ofProxy || len(made) != 0 {
				t.Errorf("attempts %v, error %v", made, err)
			}
			if refused, ok := errors.AsType[*AddressError](err); test.class != "" && (!ok || refused.Class != test.class) {
				t.Errorf("error %v, want class %s", err, test.class)
			}
		})
	}
}

// All the proxy's addresses dead: the error is the proxy's, and bounded.
func TestProxyWithoutALivingAddress(t *testing.T) {
	n := &proxyNetwork{}
	n.onConnect = func(context.Context, attempt) error { return failing("connect", syscall.ECONNREFUSED) }
	address := eastByProxy
	address.Proxy = &Proxy{Scheme: ProxyHTTP, Host: "proxy.provider.example", Port: 3128}
	e := newProxied(t, n, Options{Addresses: []Address{address}, Resolver: answers("10.9.0.1", "10.9.0.2", "10.9.0.3", "10.9.0.4")})
	_, err := e.DialContext(t.Context(), "acme", "tcp", jira)
	if err == nil || kindOf(t, err) != ofProxy {
		t.Errorf("error %v", err)
	}
	if want := []attempt{{"", "10.9.0.1:3128"}, {"", "10.9.0.2:3128"}, {"", "10.9.0.3:3128"}}; !slices.Equal(n.made(), want) {
		t.Errorf("not the first %d addresses", maxTargets)
	}
}
