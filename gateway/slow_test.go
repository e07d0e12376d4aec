package gateway_test

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/trace/noop"
	"golang.org/x/net/http2"

	"jiragate/certs"
	"jiragate/gateway"
	"jiragate/gateway/audit"
	"jiragate/gateway/egress"
	"jiragate/policy"
	"jiragate/tokenstore"
	"jiragate/tokenstore/bolt"
	"jiragate/tokenstore/keyset"
	"jiragate/tokenstore/secret"
)

// still is a gateway within a synctest bubble: its clients come by pipes, so that the
// clock is the bubble's, and nothing reaches a Jira.
type still struct {
	t       *testing.T
	gateway *gateway.Gateway
	pipes   chan net.Conn
	token   string
	roots   *x509.CertPool
}

const stillHost = "jira.example"

func newStill(t *testing.T, adjust func(*gateway.Options)) *still {
	t.Helper()
	s := &still{t: t, pipes: make(chan net.Conn), roots: x509.NewCertPool()}
	dir := t.TempDir()
	keys := must(keyset.New())(t)
	store := must(bolt.Open(t.Context(), bolt.Options{Path: dir + "/store.db", AEAD: keys}))(t)
	authority := must(certs.Open(certs.Options{Dir: dir, Sealer: keys}))(t)
	s.roots.AppendCertsFromPEM(authority.RootPEM())
	log := must(audit.Open(audit.Options{Dir: dir + "/audit", Sync: audit.SyncBatch, Logger: slog.New(slog.DiscardHandler)}))(t)
	if err := store.AddConnection(t.Context(), tokenstore.Connection{
		ID: "dc", Edition: policy.DataCenter, BaseURL: "https://" + stillHost, Region: tokenstore.RegionUS, CredentialKind: tokenstore.KindBasic,
	}, tokenstore.Credential{Kind: tokenstore.KindBasic, Username: "bot", Password: secret.New("a long enough password")}); err != nil {
		t.Fatal(err)
	}
	token, sum := tokenstore.NewToken()
	s.token = token.Reveal()
	if err := store.AddClient(t.Context(), tokenstore.Client{Name: "billing", TokenSHA256: sum, Connections: []string{"dc"}}); err != nil {
		t.Fatal(err)
	}
	options := gateway.Options{
		Region: tokenstore.RegionUS, Directory: store.Directory, Policy: policy.Default, Credentials: store, Issues: store,
		Delete: gateway.DeletePublished, Audit: log, Authority: authority, APIURL: "https://api.example",
		Egress:         must(egress.New(egress.Options{Logger: slog.New(slog.DiscardHandler)}))(t),
		TracerProvider: noop.NewTracerProvider(), MeterProvider: sdkmetric.NewMeterProvider(), Logger: slog.New(slog.DiscardHandler),
	}
	if adjust != nil {
		adjust(&options)
	}
	g := must(gateway.New(options))(t)
	s.gateway = g
	l := &pipeListener{pipes: s.pipes, done: make(chan struct{})}
	served := make(chan error, 1)
	go func() { served <- g.Serve(l) }()
	t.Cleanup(func() {
		if err := g.Shutdown(t.Context()); err != nil && t.Context().Err() == nil {
			t.Error(err)
		}
		<-served
		_ = log.Close()
		_ = store.Close()
	})
	return s
}

type pipeListener struct {
	pipes chan net.Conn
	done  chan struct{}
}

func (l *pipeListener) Accept() (net.Conn, error) {
	select {
	case c := <-l.pipes:
		return c, nil
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

func (l *pipeListener) Addr() net.Addr { return &net.TCPAddr{} }

// fromAddr is a pipe's end that comes from an address.
type fromAddr struct {
	net.Conn
	from netip.AddrPort
}

func (c fromAddr) RemoteAddr() net.Addr { return net.TCPAddrFromAddrPort(c.from) }
func (c fromAddr) LocalAddr() net.Addr {
	return &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 8080}
}

// dial connects a client from an address.
func (s *still) dial(from string) net.Conn {
	client, server := net.Pipe()
	s.t.Cleanup(func() { client.Close() })
	s.pipes <- fromAddr{server, netip.MustParseAddrPort(from)}
	return client
}

func (s *still) identity() string {
	return "Proxy-Authorization: " + basic("billing", s.token) + "\r\n"
}

// connect opens a tunnel, in which nothing was said yet.
func (s *still) connect() net.Conn { return s.connectOn(s.dial("192.0.2.1:1000")) }

func (s *still) connectOn(c net.Conn) net.Conn {
	go io.WriteString(c, "CONNECT "+stillHost+":443 HTTP/1.1\r\nHost: "+stillHost+"\r\n"+s.identity()+"\r\n")
	got := make([]byte, len("HTTP/1.1 200 Connection established\r\n\r\n"))
	if _, err := io.ReadFull(c, got); err != nil || !strings.HasPrefix(string(got), "HTTP/1.1 200") {
		s.t.Fatalf("CONNECT: %s %v", got, err)
	}
	return c
}

func (s *still) tunnel(protocol string) *tls.Conn {
	c := tls.Client(s.connect(), &tls.Config{RootCAs: s.roots, ServerName: stillHost, NextProtos: []string{protocol}, Time: time.Now})
	if err := c.HandshakeContext(s.t.Context()); err != nil {
		s.t.Fatal(err)
	}
	return c
}

// drip writes text a byte a second, until that fails.
func drip(c io.Writer, text string) {
	for i := range len(text) {
		if _, err := io.WriteString(c, text[i:i+1]); err != nil {
			return
		}
		time.Sleep(time.Second)
	}
}

// Whoever is slow is cut in time, at each place where it can be; what it reads
// meanwhile is answers, if any.
func TestSlowClientsAreCut(t *testing.T) {
	const create = "POST /rest/api/2/issue HTTP/1.1\r\nHost: " + stillHost + "\r\nContent-Type: application/json\r\nContent-Length: 1000\r\n\r\n"
	long := "GET /" + strings.Repeat("x", 10_000)
	for _, tt := range []struct {
		name   string
		within time.Duration
		do     func(s *still) io.Reader
	}{
		{"silent", 15 * time.Second, func(s *still) io.Reader { return s.dial("192.0.2.1:1000") }},
		{"head a byte a second", 15 * time.Second, func(s *still) io.Reader {
			c := s.dial("192.0.2.1:1000")
			go drip(c, long)
			return c
		}},
		{"CONNECT, then silence", 15 * time.Second, func(s *still) io.Reader { return s.connect() }},
		{"half a TLS hello", 15 * time.Second, func(s *still) io.Reader {
			c := s.connect()
			go io.WriteString(c, "\x16\x03\x01\x02\x00\x01")
			return c
		}},
		{"TLS hello a byte a second", 15 * time.Second, func(s *still) io.Reader {
			c := s.connect()
			go drip(c, "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"+strings.Repeat("x", 500))
			return c
		}},
		{"handshake, then silence", 15 * time.Second, func(s *still) io.Reader { return s.tunnel("http/1.1") }},
		{"handshake, then half a head", 15 * time.Second, func(s *still) io.Reader {
			c := s.tunnel("http/1.1")
			go io.WriteString(c, "GET / HTTP/1.1\r\n")
			return c
		}},
		{"head a byte a second in a tunnel", 15 * time.Second, func(s *still) io.Reader {
			c := s.tunnel("http/1.1")
			go drip(c, long)
			return c
		}},
		{"no body", 66 * time.Second, func(s *still) io.Reader {
			c := s.tunnel("http/1.1")
			go io.WriteString(c, create)
			return c
		}},
		{"body a byte a second", 66 * time.Second, func(s *still) io.Reader {
			c := s.tunnel("http/1.1")
			go func() { io.WriteString(c, create); drip(c, strings.Repeat("x", 1000)) }()
			return c
		}},
		{"idle after an answer", 3*time.Minute + time.Second, func(s *still) io.Reader {
			c := s.tunnel("http/1.1")
			go io.WriteString(c, "GET /rest/api/2/nothing HTTP/1.1\r\nHost: "+stillHost+"\r\n\r\n")
			return c
		}},
		{"silent HTTP/2", 3*time.Minute + 5*time.Second, func(s *still) io.Reader { return s.tunnel("h2") }},
		{"HTTP/2 preface, then silence", 3*time.Minute + 30*time.Second, func(s *still) io.Reader {
			c := s.tunnel("h2")
			go func() { io.WriteString(c, http2.ClientPreface); http2.NewFramer(c, nil).WriteSettings() }()
			return c
		}},
		{"HTTP/2 header without end", 3*time.Minute + 30*time.Second, func(s *still) io.Reader {
			c := s.tunnel("h2")
			go func() {
				io.WriteString(c, http2.ClientPreface)
				f := http2.NewFramer(c, nil)
				f.WriteSettings()
				f.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: []byte{0x82}})
			}()
			return c
		}},
		{"HTTP/2 header that never ends", 3*time.Minute + 30*time.Second, func(s *still) io.Reader {
			c := s.tunnel("h2")
			go func() {
				io.WriteString(c, http2.ClientPreface)
				f := http2.NewFramer(c, nil)
				f.WriteSettings()
				f.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: []byte{0x82}})
				for f.WriteContinuation(1, false, nil) == nil {
					time.Sleep(time.Second)
				}
			}()
			return c
		}},
		{"HTTP/2 SETTINGS whose acknowledgements are not read", 2 * time.Minute, func(s *still) io.Reader {
			c := s.tunnel("h2")
			cut, end := io.Pipe()
			go func() {
				io.WriteString(c, http2.ClientPreface)
				f := http2.NewFramer(c, nil)
				for f.WriteSettings() == nil {
					time.Sleep(time.Millisecond)
				}
				end.Close()
			}()
			return cut
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newStill(t, nil)
				began := time.Now()
				_, _ = io.Copy(io.Discard, tt.do(s))
				if took := time.Since(began); took > tt.within {
					t.Errorf("cut after %s, not %s", took, tt.within)
				}
				time.Sleep(2 * time.Second) // for who still drips
			})
		})
	}
}

// An address has so many connections of nobody, and they go with the connection.
func TestStrangersAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStill(t, nil)
		open := func(from string) bool {
			c := s.dial(from)
			closed := make(chan struct{})
			go func() { _, _ = io.Copy(io.Discard, c); close(closed) }()
			synctest.Wait()
			select {
			case <-closed:
				return false
			default:
				return true
			}
		}
		opened := 0
		for opened < 10_000 && open("192.0.2.1:1000") {
			opened++
		}
		if opened != 2048 {
			t.Errorf("one address had %d connections", opened)
		}
		if !open("192.0.2.2:1000") {
			t.Error("another address has none")
		}
		time.Sleep(15 * time.Second)
		if !open("192.0.2.1:1000") {
			t.Error("closed ones still count")
		}
	})
}

// One who has said who it is does not count as a stranger any more.
func TestIdentifiedConnectionsAreNoStrangers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStill(t, nil)
		s.gateway.SetStrangers(5)
		for range 20 {
			c := s.dial("192.0.2.1:1000")
			go io.WriteString(c, "GET /c/dc/rest/api/2/nothing HTTP/1.1\r\nHost: x\r\n"+s.identity()+"\r\n")
			var first [12]byte
			if _, err := io.ReadFull(c, first[:]); err != nil || string(first[:]) != "HTTP/1.1 403" {
				t.Fatalf("%s %v", first, err)
			}
			go io.Copy(io.Discard, c)
		}
	})
}

// A connection beyond its client's share is answered and closed: it would be a stranger's
// for as long as it likes.
func TestConnectionsBeyondAClientsShareAreClosed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStill(t, nil)
		s.gateway.SetSockets(4)
		ask := func() (net.Conn, *bytes.Buffer, chan struct{}) {
			c := s.dial("192.0.2.1:1000")
			var got bytes.Buffer
			closed := make(chan struct{})
			go func() { _, _ = io.Copy(&got, c); close(closed) }()
			_, _ = io.WriteString(c, "GET /c/dc/rest/api/2/nothing HTTP/1.1\r\nHost: x\r\n"+s.identity()+"\r\n")
			synctest.Wait()
			return c, &got, closed
		}
		first, _, _ := ask()
		if _, got, _ := ask(); !strings.HasPrefix(got.String(), "HTTP/1.1 403 ") {
			t.Errorf("the second: %s", got)
		}
		for range 3 { // one alone has half
			_, got, closed := ask()
			time.Sleep(time.Second) // net/http lingers for a client that still sends
			select {
			case <-closed:
			default:
				t.Error("it stays open")
			}
			if !strings.HasPrefix(got.String(), "HTTP/1.1 429 ") || !strings.Contains(got.String(), "client_busy") {
				t.Errorf("beyond its share: %s", got)
			}
		}
		first.Close()
		synctest.Wait()
		if _, got, _ := ask(); !strings.HasPrefix(got.String(), "HTTP/1.1 403 ") {
			t.Errorf("after one was closed: %s", got)
		}
	})
}

// The bodies of one client's calls are held up to its share of their bytes. One more
// is refused before it is read, once the wait is over.
func TestBodiesAreBounded(t *testing.T) {
	for _, framing := range []string{"Content-Length: 1048576\r\n\r\n{", "Transfer-Encoding: chunked\r\n\r\n1\r\n{\r\n"} {
		synctest.Test(t, func(t *testing.T) { bodiesAreBounded(t, framing) })
	}
}

func bodiesAreBounded(t *testing.T, framing string) {
	s := newStill(t, func(o *gateway.Options) {
		o.Limits.Memory, o.Limits.MemoryUsed = 16<<20, func() uint64 { return 0 } // 4 MiB for bodies
	})
	post := func() net.Conn {
		c := s.tunnel("http/1.1")
		go io.WriteString(c, "POST /rest/api/2/issue HTTP/1.1\r\nHost: "+stillHost+"\r\nContent-Type: application/json\r\n"+framing)
		return c
	}
	first, second := post(), post()
	synctest.Wait()
	began := time.Now()
	var got bytes.Buffer
	c := post()
	go io.Copy(&got, c)
	time.Sleep(20 * time.Second)
	synctest.Wait()
	if !strings.HasPrefix(got.String(), "HTTP/1.1 429 ") || !strings.Contains(got.String(), "client_busy") {
		t.Errorf("after %s: %s", time.Since(began), got.String())
	}
	first.Close()
	second.Close()
	synctest.Wait()
	got.Reset()
	fourth := post()
	go io.Copy(&got, fourth)
	time.Sleep(70 * time.Second)
	synctest.Wait()
	if !strings.HasPrefix(got.String(), "HTTP/1.1 408 ") { // read, and slow
		t.Errorf("after the others have left: %s", got.String())
	}
}
