package main

import (
	"bytes"
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
func (w *way) dial(protocols ...string) (*tls.Conn, error) {
	c, err := net.DialTimeout("tcp", w.address, patience)
	if err != nil {
		return nil, err
	}
	_ = c.SetDeadline(time.Now().Add(patience))
	config := w.tls
	if len(protocols) > 0 {
		config = config.Clone()
		config.NextProtos = protocols
	}
	if w.proxy {
		if err := w.connect(c); err != nil {
			c.Close()
			return nil, err
		}
	}
	tc := tls.Client(c, config)
	if err := tc.Handshake(); err != nil {
		c.Close()
		return nil, fmt.Errorf("%s: %w", w.name, err)
	}
	_ = c.SetDeadline(time.Time{})
	return tc, nil
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
			return fmt.Errorf("%s answers CONNECT with %q…", w.name, answer)
		}
		n, err := c.Read(answer[len(answer):cap(answer)])
		if err != nil {
			return fmt.Errorf("%s answers CONNECT: %w", w.name, err)
		}
		answer = answer[:len(answer)+n]
	}
	if !bytes.HasPrefix(answer, []byte("HTTP/1.1 200")) && !bytes.HasPrefix(answer, []byte("HTTP/1.0 200")) {
		return fmt.Errorf("%s answers CONNECT with %q", w.name, answer)
	}
	return nil
}

// get is a request for a path, as bytes.
func (w *way) get(path string) []byte {
	return fmt.Appendf(nil, "GET %s HTTP/1.1\r\nHost: %s\r\nAccept: application/json\r\nUser-Agent: bench\r\n\r\n", path, w.host)
}

func (w *way) post(path, body string) []byte {
	return fmt.Appendf(nil, "POST %s HTTP/1.1\r\nHost: %s\r\nAccept: application/json\r\nUser-Agent: bench\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s",
		path, w.host, len(body), body)
}

// caller makes calls by one HTTP/1.1 connection, one after the other.
type caller struct {
	conn net.Conn
	buf  []byte
	have int
}

func newCaller(c net.Conn) *caller { return &caller{conn: c, buf: make([]byte, 8<<10)} }

// call sends a request and takes its answer, which must be a good one of known length.
func (c *caller) call(request []byte) error {
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
