package main

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"time"
)

// way is one way from the load generator to the upstream.
type way struct {
	name    string
	address string // what is connected to: the proxy, or the server itself
	proxy   bool   // by CONNECT
	auth    string // Proxy-Authorization
	host    string // host:port of the upstream, as it is named in requests
	base    string // before all paths
	tls     *tls.Config
	process *process // whose processor time and memory count; nil: nobody's
}

func newWay(name, address, host string, roots *x509.CertPool) *way {
	return &way{name: name, address: address, host: host, tls: &tls.Config{
		RootCAs: roots, ServerName: "127.0.0.1", ClientSessionCache: tls.NewLRUClientSessionCache(64),
	}}
}

// patience bounds what only a fault makes long.
const patience = 30 * time.Second

// dial opens a connection up to the end of the TLS handshake with who answers calls.
// Whatever is done with it must be done within patience, or extend.
func (w *way) dial(protocols ...string) (*tls.Conn, error) {
	c, err := net.DialTimeout("tcp", w.address, patience)
	if err != nil {
		return nil, w.failed("connecting", err)
	}
	_ = c.SetDeadline(time.Now().Add(patience))
	config := w.tls
	if len(protocols) > 0 {
		config = config.Clone() // which shares the sessions
		config.NextProtos = protocols
	}
	if w.proxy {
		if err := w.connect(c); err != nil {
			c.Close()
			return nil, w.failed("CONNECT", err)
		}
	}
	tc := tls.Client(c, config)
	if err := tc.Handshake(); err != nil {
		c.Close()
		return nil, w.failed("TLS handshake", err)
	}
	return tc, nil
}

// failed says which way an error is of.
func (w *way) failed(doing string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%s, %s: %w", w.name, doing, err)
}

// answers waits until the way leads to the upstream.
func (w *way) answers(ctx context.Context) error {
	for end := time.Now().Add(patience); ; {
		err := w.once(pathSmall)
		if err == nil || time.Now().After(end) {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// once makes one call by a connection of its own.
func (w *way) once(path string) error {
	c, err := w.caller(patience)
	if err != nil {
		return err
	}
	defer c.conn.Close()
	return c.call(w.get(path))
}

func (w *way) connect(c net.Conn) error {
	head := "CONNECT " + w.host + " HTTP/1.1\r\nHost: " + w.host + "\r\n"
	if w.auth != "" {
		head += "Proxy-Authorization: " + w.auth + "\r\n"
	}
	if _, err := io.WriteString(c, head+"\r\n"); err != nil {
		return err
	}
	answer := make([]byte, 0, 1024)
	for !bytes.Contains(answer, []byte("\r\n\r\n")) {
		if len(answer) == cap(answer) {
			return fmt.Errorf("answered with %q…", answer)
		}
		n, err := c.Read(answer[len(answer):cap(answer)])
		if err != nil {
			return err
		}
		answer = answer[:len(answer)+n]
	}
	if !bytes.HasPrefix(answer, []byte("HTTP/1.1 200")) && !bytes.HasPrefix(answer, []byte("HTTP/1.0 200")) {
		return fmt.Errorf("answered with %q", answer)
	}
	return nil
}

// get is a request for a path, as bytes.
func (w *way) get(path string) []byte {
	return fmt.Appendf(nil, "GET %s%s HTTP/1.1\r\nHost: %s\r\nAccept: application/json\r\nUser-Agent: bench\r\n\r\n", w.base, path, w.host)
}

func (w *way) post(path, body string) []byte {
	return fmt.Appendf(nil, "POST %s%s HTTP/1.1\r\nHost: %s\r\nAccept: application/json\r\nUser-Agent: bench\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s",
		w.base, path, w.host, len(body), body)
}

// callsOfConnection is how many calls are made by one connection. The gateway ends one
// after 100,000, as clients must expect of a server.
const callsOfConnection = 90_000

// caller makes calls by one HTTP/1.1 connection, one after the other.
type caller struct {
	way   *way
	conn  *tls.Conn
	until time.Time // when everything must be over
	buf   []byte
	have  int
	calls int
}

// caller opens a connection for calls of at most so long.
func (w *way) caller(most time.Duration) (*caller, error) {
	c := &caller{way: w, buf: make([]byte, 32<<10), until: time.Now().Add(most)}
	return c, c.open()
}

func (c *caller) open() (err error) {
	if c.conn, err = c.way.dial(); err != nil {
		return err
	}
	return c.conn.SetDeadline(c.until)
}

// callers are n of them, which take turns in the ways.
func callers(ways []*way, n int, most time.Duration) ([]*caller, func(), error) {
	all := make([]*caller, 0, n)
	hangUp := func() {
		for _, c := range all {
			c.conn.Close()
		}
	}
	for i := range n {
		c, err := ways[i%len(ways)].caller(most)
		if err != nil {
			hangUp()
			return nil, nil, err
		}
		all = append(all, c)
	}
	return all, hangUp, nil
}

// call sends a request and takes its answer, which must be a good one of known length.
func (c *caller) call(request []byte) error {
	if c.calls++; c.calls%callsOfConnection == 0 {
		c.conn.Close()
		if err := c.open(); err != nil {
			return err
		}
	}
	return c.way.failed("calling", c.exchange(request))
}

func (c *caller) exchange(request []byte) error {
	if _, err := c.conn.Write(request); err != nil {
		return err
	}
	head, err := c.head()
	if err != nil {
		return err
	}
	length, err := contentLength(c.buf[:head])
	if err != nil {
		return err
	}
	left := head + length - c.have
	for left > 0 {
		n, err := c.conn.Read(c.buf)
		if err != nil {
			return err
		}
		left -= n
	}
	if left < 0 {
		return errors.New("more came than the answer to one call")
	}
	c.have = 0
	return nil
}

// head reads until the end of a head, and returns its length.
func (c *caller) head() (int, error) {
	for {
		if i := bytes.Index(c.buf[:c.have], []byte("\r\n\r\n")); i >= 0 {
			if !bytes.HasPrefix(c.buf, []byte("HTTP/1.1 20")) {
				return 0, fmt.Errorf("answered with %q", c.buf[:c.have])
			}
			return i + 4, nil
		}
		if c.have == len(c.buf) {
			return 0, errors.New("the head of an answer is too long")
		}
		n, err := c.conn.Read(c.buf[c.have:])
		if err != nil {
			return 0, err
		}
		c.have += n
	}
}

func contentLength(head []byte) (int, error) {
	for line := range bytes.SplitSeq(head, []byte("\r\n")) {
		if len(line) > 15 && bytes.EqualFold(line[:15], []byte("content-length:")) {
			return strconv.Atoi(string(bytes.TrimSpace(line[15:])))
		}
	}
	return 0, fmt.Errorf("an answer without Content-Length: %q", head)
}
