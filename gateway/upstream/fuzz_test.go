package upstream

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"reflect"
	"strings"
	"testing"
	"time"
)

// canned is a server's side without TLS: bytes in pieces of a size, then nothing, or
// the end.
type canned struct {
	net.Conn
	left  []byte
	piece int
	ends  bool
}

func (c *canned) Read(p []byte) (int, error) {
	if len(c.left) == 0 && c.ends {
		return 0, io.EOF
	}
	if len(c.left) == 0 {
		return 0, os.ErrDeadlineExceeded
	}
	n := copy(p[:min(len(p), c.piece)], c.left)
	c.left = c.left[n:]
	return n, nil
}

func (c *canned) Write(p []byte) (int, error)     { return len(p), nil }
func (c *canned) Close() error                    { return nil }
func (c *canned) SetDeadline(time.Time) error     { return nil }
func (c *canned) SetReadDeadline(time.Time) error { return nil }

// reference is what net/http makes of an answer, past those of 1xx, and how many bytes
// of it are left over.
func reference(b []byte, method string) (response *http.Response, body []byte, left int, err error) {
	whole := bytes.NewReader(b)
	r := bufio.NewReader(whole)
	for range maxInformational + 1 {
		response, err = http.ReadResponse(r, &http.Request{Method: method})
		if err != nil {
			return nil, nil, 0, err
		}
		if response.StatusCode/100 == 1 && response.StatusCode != 101 {
			continue
		}
		body, err = io.ReadAll(response.Body)
		return response, body, r.Buffered() + whole.Len(), err
	}
	return nil, nil, 0, errInformational
}

// Whatever a server sends, it is read as net/http reads it, and the connection is used
// again only where nothing of it is left.
func FuzzAnswer(f *testing.F) {
	for _, seed := range []string{
		hello, hello + hello, "HTTP/1.1 204 No Content\r\n\r\n", "HTTP/1.1 100 Continue\r\n\r\n" + hello,
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nX: y\r\n\r\n",
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
		"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello", "HTTP/1.1 200 OK\r\n\r\nhello",
		"HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 5\r\n\r\nhello", "HTTP/2.0 200 OK\r\nContent-Length: 0\r\n\r\n",
		"HTTP/1.1 101 Switching Protocols\r\n\r\nx", "HTTP/1.1 000 \r\nContent-Length: 0\r\n\r\n", "nonsense",
		strings.Repeat("HTTP/1.1 103 Early Hints\r\n\r\n", 6) + hello, "HTTP/1.1 200 OK\r\nX: y\r\n z\r\n\r\n",
	} {
		for _, method := range []uint8{0, 1, 2} {
			f.Add([]byte(seed), method, uint8(3), true)
			f.Add([]byte(seed), method, uint8(255), false)
		}
	}
	f.Fuzz(func(t *testing.T, b []byte, method, piece uint8, ends bool) {
		request := request(t, []string{"GET", "HEAD", "DELETE"}[method%3], "")
		want, wantBody, left, wantErr := reference(b, request.Method)

		tr := New(Options{MaxIdle: 1, MaxHeadBytes: 1 << 20, HeaderTimeout: time.Minute, IdleTimeout: time.Minute})
		p := &pool{options: &tr.options}
		s := newSocket(&canned{left: b, piece: int(piece) + 1, ends: ends}, p.closed)
		c := &conn{pool: p, socket: s, secure: s}
		defer p.closeIdle()
		response, again, err := c.roundTrip(t.Context(), &message{request: request, buffers: &tr.buffers, buffer: new([]byte)}, ignore)
		if again {
			t.Error("a request by a new connection would be sent again")
		}
		var body []byte
		if err == nil {
			body, err = io.ReadAll(response.Body)
		}
		if !ends && errors.Is(err, os.ErrDeadlineExceeded) {
			return // it would have waited for more
		}
		if (err == nil) != (wantErr == nil) {
			t.Fatalf("read with %v; by net/http with %v", err, wantErr)
		}
		if err == nil && (response.StatusCode != want.StatusCode || !bytes.Equal(body, wantBody) || !reflect.DeepEqual(response.Header, want.Header)) {
			t.Errorf("read %v %q; by net/http %v %q", response, body, want, wantBody)
		}
		if len(p.idle) == 0 {
			return
		}
		if err != nil || want.Close || want.ProtoMajor != 1 || want.StatusCode < 200 {
			t.Errorf("the connection would be used again after %v, %v", want, err)
		}
		if left > 0 && c.alive() {
			t.Errorf("the connection would be used again with %d bytes left over", left)
		}
	})
}
