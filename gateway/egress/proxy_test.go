package egress

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httptrace"
	"net/netip"
	"strconv"
	"strings"
	"testing"

	"jiragate/internal/netlab"
)

// What every proxy has to do: reach the upstream under the address that was
// judged, of which it learns the literal and never the name.
func TestProxyReachesTheUpstream(t *testing.T) {
	tests := []struct {
		scheme ProxyScheme
		as     login
		name   string // of the proxy
		listen string // the upstream's
		public string
	}{
		{ProxyHTTP, noLogin, "", "127.0.0.1:0", "52.54.159.237"},
		{ProxyHTTP, known, "", "127.0.0.1:0", "52.54.159.237"},
		{ProxyHTTP, known, "proxy.provider.example", "[::1]:0", "2600:1f18::5"},
		{ProxyHTTPS, noLogin, "", "127.0.0.1:0", "52.54.159.237"},
		{ProxyHTTPS, known, "proxy.provider.example", "127.0.0.1:0", "52.54.159.237"},
		{ProxyHTTPS, known, "proxy.provider.example.", "127.0.0.1:0", "52.54.159.237"},
		{ProxyHTTPS, known, "", "[::1]:0", "2600:1f18::5"},
		{ProxySOCKS5, noLogin, "", "127.0.0.1:0", "52.54.159.237"},
		{ProxySOCKS5, known, "proxy.provider.example", "127.0.0.1:0", "52.54.159.237"},
		{ProxySOCKS5, known, "", "[::1]:0", "2600:1f18::5"},
	}
	for _, test := range tests {
		t.Run(fmt.Sprintf("%s %s %s to %s", test.scheme, test.name, test.as, test.listen), func(t *testing.T) {
			expectNoLeaks(t)
			l, err := net.Listen("tcp", test.listen)
			if err != nil {
				t.Fatal(err)
			}
			jira := echo(t, l)
			p := provide(t, test.scheme, test.public, test.name, loopbackListener(t), test.as, netlab.ProxyOptions{})
			resolver := &names{known: map[string][]string{test.name: {"127.0.0.1"}, "jira.acme.example": {jira.at.Addr().String()}}}
			log := &quiet{}
			e := newReal(t, Options{Addresses: []Address{p.address}, ProxyRoots: p.roots, Resolver: resolver, Logger: log.logger()})
			for _, host := range []string{"jira.acme.example", jira.at.Addr().String()} {
				ctx, cancel := context.WithCancel(t.Context())
				conn, err := e.DialContext(ctx, "acme", "tcp", net.JoinHostPort(host, strconv.Itoa(int(jira.at.Port()))))
				cancel() // the connection outlives its dial
				if err != nil {
					t.Fatal(err)
				}
				if got := conn.(*Conn).PublicIP(); got != test.public {
					t.Errorf("public IP %s, want %s", got, test.public)
				}
				if got := conn.RemoteAddr().String(); got != jira.at.String() {
					t.Errorf("remote address %s, want the upstream's, %s", got, jira.at)
				}
				expectEcho(t, conn)
			}
			p.expectClosed(t)
			requests := p.Requests()
			if len(requests) != 2 || jira.count() != 2 {
				t.Errorf("the proxy got %d requests, the upstream %d connections, want 2 of each", len(requests), jira.count())
			}
			user := ""
			if test.as == known {
				user = proxyUser
			}
			for _, r := range requests {
				if r.Target != jira.at.String() || r.Username != user || r.Refused {
					t.Errorf("the proxy was asked for %q by %q (refused %v), want %q by %q", r.Target, r.Username, r.Refused, jira.at, user)
				}
				if len(r.Header) != 0 {
					t.Errorf("the proxy learns %v", r.Header)
				}
			}
			expectNoCredentials(t, log.String())
		})
	}
}

func TestProxyCarriesTLS(t *testing.T) {
	for _, scheme := range []ProxyScheme{ProxyHTTP, ProxyHTTPS, ProxySOCKS5} {
		t.Run(string(scheme), func(t *testing.T) {
			jira := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				body, err := io.ReadAll(r.Body)
				if err != nil {
					w.WriteHeader(http.StatusBadRequest)
				}
				_, _ = w.Write(body)
			}))
			defer jira.Close()
			p := provide(t, scheme, "52.54.159.237", "", loopbackListener(t), known, netlab.ProxyOptions{})
			e := newReal(t, Options{Addresses: []Address{p.address}, ProxyRoots: p.roots, Resolver: answers("127.0.0.1")})
			transport := jira.Client().Transport.(*http.Transport).Clone()
			defer transport.CloseIdleConnections()
			transport.DialContext = func(ctx context.Context, network, address string) (net.Conn, error) {
				return e.DialContext(ctx, "acme", network, address)
			}
			var public string
			ctx := httptrace.WithClientTrace(t.Context(), &httptrace.ClientTrace{GotConn: func(info httptrace.GotConnInfo) {
				if secured, ok := info.Conn.(*tls.Conn); ok {
					public = secured.NetConn().(*Conn).PublicIP()
				}
			}})
			// httptest's certificate is for example.com. More than one TLS record in both directions.
			_, port, _ := net.SplitHostPort(jira.Listener.Addr().String())
			long := strings.Repeat("0123456789abcdef", 10_000)
			request, err := http.NewRequestWithContext(ctx, http.MethodPost, "https://example.com:"+port, strings.NewReader(long))
			if err != nil {
				t.Fatal(err)
			}
			response, err := (&http.Client{Transport: transport}).Do(request)
			if err != nil {
				t.Fatal(err)
			}
			defer response.Body.Close()
			if body, err := io.ReadAll(response.Body); err != nil || string(body) != long {
				t.Errorf("%d bytes came back, %v; want %d", len(body), err, len(long))
			}
			if public != "52.54.159.237" {
				t.Errorf("beneath TLS the public IP is %q", public)
			}
		})
	}
}

// Right answers that not every proxy gives.
func TestUnusualAnswersOfAProxy(t *testing.T) {
	tests := []struct {
		name   string
		scheme ProxyScheme
		send   string
	}{
		{"HTTP/1.0", ProxyHTTP, "HTTP/1.0 200 Connection established\r\n\r\n"},
		{"no reason", ProxyHTTP, "HTTP/1.1 200 \r\n\r\n"},
		{"another 2xx", ProxyHTTP, "HTTP/1.1 204 No Content\r\n\r\n"},
		{"fields that mean nothing here", ProxyHTTP, "HTTP/1.1 200 OK\r\nContent-Length: 10\r\nProxy-Agent: x\r\nProxy-Connection: close\r\n\r\n"},
		{"a chunked body that is none", ProxyHTTP, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"},
		{"a long header, within bounds", ProxyHTTP, "HTTP/1.1 200 OK\r\nX: " + strings.Repeat("x", maxProxyAnswer/2) + "\r\n\r\n"},
		{"bound to a name", ProxySOCKS5, "\x05\x00\x00\x03\x05proxy\x04\x38"},
		{"bound to IPv6", ProxySOCKS5, "\x05\x00\x00\x04" + strings.Repeat("\x00", 16) + "\x04\x38"},
		{"bound to nothing", ProxySOCKS5, "\x05\x00\x00\x01\x00\x00\x00\x00\x00\x00"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			expectNoLeaks(t)
			jira := echo(t, loopbackListener(t))
			p := provide(t, test.scheme, "52.54.159.237", "", loopbackListener(t), known, netlab.ProxyOptions{})
			p.Misbehave(netlab.Fault{Stage: netlab.OnRequest, Send: []byte(test.send), Then: netlab.ThenTunnel})
			e := newReal(t, Options{Addresses: []Address{p.address}})
			conn, err := e.DialContext(t.Context(), "acme", "tcp", jira.at.String())
			if err != nil {
				t.Fatal(err)
			}
			expectEcho(t, conn)
		})
	}
}

// A proxy that lets anybody in does not learn the password where the protocol can
// do without.
func TestSOCKS5PasswordIsNotOfferedUnasked(t *testing.T) {
	jira := echo(t, loopbackListener(t))
	open := provide(t, ProxySOCKS5, "52.54.159.237", "", loopbackListener(t), noLogin, netlab.ProxyOptions{})
	with := provide(t, ProxySOCKS5, "52.54.159.237", "", loopbackListener(t), known, netlab.ProxyOptions{})
	address := with.address
	proxy := *address.Proxy
	proxy.Port = open.address.Proxy.Port
	address.Proxy = &proxy
	conn, err := newReal(t, Options{Addresses: []Address{address}}).DialContext(t.Context(), "acme", "tcp", jira.at.String())
	if err != nil {
		t.Fatal(err)
	}
	expectEcho(t, conn)
	if requests := open.Requests(); len(requests) != 1 || requests[0].Username != "" {
		t.Errorf("the proxy was told %+v", requests)
	}
}

// An address is for its own family only, by a proxy too.
func TestProxyIsAskedForTheFamilyOfItsAddress(t *testing.T) {
	n := &proxyNetwork{answer: func(string, string) string { return "HTTP/1.1 502 Bad Gateway\r\n\r\n" }}
	e := newProxied(t, n, Options{
		Addresses: []Address{viaProxy("52.54.159.237", proxyEast), viaProxy("2600:1f18::5", proxyWest)},
		Resolver:  answers("104.192.141.1", "2401:1d80:3000::1"),
	})
	if _, err := e.DialContext(t.Context(), "acme", "tcp", "jira.acme.example:443"); kindOf(t, err) != ofUpstream {
		t.Errorf("error %v", err)
	}
	n.expectAsked(t, ask{proxyEast, "104.192.141.1:443"}, ask{proxyWest, "[2401:1d80:3000::1]:443"})
}

func TestCredentialsOfAProxyAreNotPrinted(t *testing.T) {
	p := provide(t, ProxyHTTP, "52.54.159.237", "", loopbackListener(t), known, netlab.ProxyOptions{})
	log := &quiet{}
	for _, v := range []any{p.address, &p.address, p.address.Proxy, *p.address.Proxy, []Address{p.address}, Options{Addresses: []Address{p.address}}} {
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d"} {
			expectNoCredentials(t, fmt.Sprintf(verb, v))
		}
		log.logger().Info("address", slog.Any("value", v))
		if text, err := json.Marshal(p.address); err == nil {
			expectNoCredentials(t, string(text))
		}
	}
	e := newReal(t, Options{Addresses: []Address{p.address}, Logger: log.logger()})
	expectNoCredentials(t, fmt.Sprintf("%+v", e.Health()))
	if !strings.Contains(log.String(), "unencrypted") {
		t.Errorf("no warning that the credentials cross the network in the clear: %s", log)
	}
	expectNoCredentials(t, log.String())
}

// A proxy's address is judged when the program starts, if the URL has it.
func TestNewRefusesAProxyThatCannotBe(t *testing.T) {
	own := []netip.AddrPort{netip.MustParseAddrPort("0.0.0.0:8080")}
	_, err := New(Options{Addresses: []Address{viaProxy("52.54.159.237", "127.0.0.1:8080")}, Own: own})
	if refused, ok := errors.AsType[*AddressError](err); !ok || refused.Class != ClassOwnListener {
		t.Errorf("the gateway itself as its proxy: %v", err)
	}
	for _, at := range []string{"169.254.169.254:3128", "0.0.0.0:3128", "224.0.0.1:3128", "100.100.100.200:3128", "[fe80::1]:3128", "[fd00:ec2::254]:3128"} {
		if _, err := New(Options{Addresses: []Address{viaProxy("52.54.159.237", at)}}); !errors.Is(err, ErrForbiddenAddress) {
			t.Errorf("proxy at %s: %v", at, err)
		}
	}
}
