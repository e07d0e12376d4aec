package upstream

import (
	"bufio"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"io"
	"math/big"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

const host = "jira.example"

// server speaks what a test lets it. Its sockets are pipes, so that a test may have
// its own clock, or TCP, so that the system can be asked about them.
type server struct {
	t      testing.TB
	script func(n int, c *said) // what it does with its n-th connection
	config *tls.Config
	tcp    bool
	dials  atomic.Int64
	open   atomic.Int64
	most   atomic.Int64
	dial   func(ctx context.Context) error // before each
	served sync.WaitGroup
	mu     sync.Mutex
	conns  []net.Conn
}

// said is a connection as the server has it.
type said struct {
	*tls.Conn
	r *bufio.Reader
}

// request reads a request, and its body.
func (s *said) request() (*http.Request, string, error) {
	r, err := http.ReadRequest(s.r)
	if err != nil {
		return nil, "", err
	}
	b, err := io.ReadAll(r.Body)
	return r, string(b), err
}

// answer answers each request with text until one fails.
func (s *said) answer(text string) {
	for {
		if _, _, err := s.request(); err != nil {
			return
		}
		_, _ = io.WriteString(s, text)
	}
}

const hello = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"

// certificate is good for host, whatever the clock says.
var certificate = sync.OnceValue(func() tls.Certificate {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		panic(err)
	}
	c := &x509.Certificate{SerialNumber: big.NewInt(1), DNSNames: []string{host}, NotBefore: time.Unix(0, 0),
		NotAfter: time.Date(2200, 1, 1, 0, 0, 0, 0, time.UTC), IsCA: true, BasicConstraintsValid: true}
	der, err := x509.CreateCertificate(rand.Reader, c, c, key.Public(), key)
	if err != nil {
		panic(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
})

func newServer(t testing.TB, script func(n int, c *said)) *server {
	s := &server{t: t, script: script, config: &tls.Config{Certificates: []tls.Certificate{certificate()}, NextProtos: []string{"http/1.1"}}}
	t.Cleanup(s.stop)
	return s
}

func (s *server) stop() {
	s.mu.Lock()
	for _, c := range s.conns {
		c.Close()
	}
	s.mu.Unlock()
	s.served.Wait()
}

// counted is the client's end.
type counted struct {
	net.Conn
	s    *server
	once sync.Once
}

func (c *counted) Close() error {
	c.once.Do(func() { c.s.open.Add(-1) })
	return c.Conn.Close()
}

// connect is the Dial of the clients.
func (s *server) connect(ctx context.Context, _, address string) (net.Conn, error) {
	if address != host+":443" {
		s.t.Errorf("%s is dialled", address)
	}
	n := int(s.dials.Add(1))
	if s.dial != nil {
		if err := s.dial(ctx); err != nil {
			return nil, err
		}
	}
	client, end := pipe()
	if s.tcp {
		client, end = tcpPipe(s.t)
	}
	s.opened()
	s.mu.Lock()
	s.conns = append(s.conns, end)
	s.mu.Unlock()
	s.served.Go(func() {
		defer end.Close()
		c := tls.Server(end, s.config)
		if c.Handshake() == nil {
			s.script(n, &said{c, bufio.NewReader(c)})
		}
	})
	if tcp, ok := client.(*net.TCPConn); ok {
		return &countedTCP{counted: counted{Conn: client, s: s}, TCPConn: tcp}, nil
	}
	return &counted{Conn: client, s: s}, nil
}

func (s *server) opened() {
	open := s.open.Add(1)
	for most := s.most.Load(); open > most && !s.most.CompareAndSwap(most, open); most = s.most.Load() {
	}
}

// countedTCP is a counted that the system can be asked about.
type countedTCP struct {
	*net.TCPConn
	counted counted
}

func (c *countedTCP) Close() error { return c.counted.Close() }

func tcpPipe(t testing.TB) (client, end net.Conn) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if client, err = net.Dial("tcp", l.Addr().String()); err != nil {
		t.Fatal(err)
	}
	if end, err = l.Accept(); err != nil {
		t.Fatal(err)
	}
	return client, end
}

// options are small enough for tests to reach them.
func (s *server) options() Options {
	leaf, err := x509.ParseCertificate(certificate().Certificate[0])
	if err != nil {
		s.t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AddCert(leaf)
	return Options{
		Dial: s.connect, TLS: &tls.Config{RootCAs: roots, ClientSessionCache: tls.NewLRUClientSessionCache(8)},
		MaxConns: 4, MaxIdle: 2, ConnTimeout: 25 * time.Second, TLSTimeout: 10 * time.Second, HeaderTimeout: 60 * time.Second,
		IdleTimeout: 90 * time.Second, MaxHeadBytes: 64 << 10, PingAfter: 15 * time.Second, PingTimeout: 10 * time.Second,
	}
}

// client makes a client of the server.
func (s *server) client(adjust ...func(*Options)) *client {
	o := s.options()
	for _, a := range adjust {
		a(&o)
	}
	c := &client{Transport: New(o), t: s.t}
	s.t.Cleanup(c.CloseIdleConnections)
	return c
}

type client struct {
	*Transport
	t testing.TB
}

// request makes a request, with a body unless that is "".
func request(t testing.TB, method, body string) *http.Request {
	r, err := http.NewRequest(method, "https://"+host+"/rest/api/2/myself?expand=groups", strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	if body == "" {
		r.Body = nil
	}
	r.GetBody = nil
	r.Header.Set("User-Agent", "test")
	return r
}

// ignore takes no notice of the connection.
func ignore(net.Conn) {}

// send makes a call, of which only the head of the answer is read.
func (c *client) send(ctx context.Context, method, body string) (*http.Response, error) {
	return c.RoundTrip(ctx, request(c.t, method, body), ignore)
}

// call makes a call and reads the answer.
func (c *client) call(method, body string) (int, string, error) {
	response, err := c.send(c.t.Context(), method, body)
	if err != nil {
		return 0, "", err
	}
	defer response.Body.Close()
	b, err := io.ReadAll(response.Body)
	return response.StatusCode, string(b), err
}
