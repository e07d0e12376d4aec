package upstream

import (
	"bytes"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
)

// A connection is used again only where nothing speaks against it.
func TestReuse(t *testing.T) {
	for _, tt := range []struct {
		name, method, answer string
		then                 func(*said) // once the answer was read
		body                 string
		reused               bool
	}{
		{"of known length", "GET", hello, nil, "hello", true},
		{"chunked", "GET", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n", nil, "hello", true},
		{"chunked, with trailers", "GET", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nX: y\r\n\r\n", nil, "hello", true},
		{"empty", "GET", "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", nil, "", true},
		{"without content", "DELETE", "HTTP/1.1 204 No Content\r\n\r\n", nil, "", true},
		{"to HEAD", "HEAD", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", nil, "", true},
		{"after a 1xx answer", "GET", "HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n" + hello, nil, "hello", true},
		{"HTTP/1.0 that stays", "GET", "HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 5\r\n\r\nhello", nil, "hello", true},

		{"the last one", "GET", "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 5\r\n\r\nhello", nil, "hello", false},
		{"the last one, empty", "GET", "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n", nil, "", false},
		{"HTTP/1.0", "GET", "HTTP/1.0 200 OK\r\nContent-Length: 5\r\n\r\nhello", nil, "hello", false},
		{"of no length", "GET", "HTTP/1.1 200 OK\r\n\r\nhello", func(c *said) { c.Close() }, "hello", false},
		{"another protocol", "GET", "HTTP/2.0 200 OK\r\nContent-Length: 5\r\n\r\nhello", nil, "hello", false},
		{"protocols switched", "GET", "HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n", nil, "", false},
		{"longer than it says", "GET", hello + hello, nil, "hello", false},
		{"with content that may have none", "DELETE", "HTTP/1.1 204 No Content\r\nContent-Length: 5\r\n\r\nhello", nil, "", false},
		{"to HEAD, with content", "HEAD", hello, nil, "", false},
		{"chunked, and more", "GET", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\nmore", nil, "hello", false},
		{"more than the buffer takes", "GET", strings.Replace(hello, "\r\n\r\n", "\r\nX: "+strings.Repeat("x", readerSize-len(hello)-5)+"\r\n\r\n", 1) + hello, nil, "hello", false},
		{"another one unasked", "GET", hello, func(c *said) { io.WriteString(c, hello) }, "hello", false},
		{"a byte unasked", "GET", hello, func(c *said) { io.WriteString(c, "H") }, "hello", false},
		{"part of a record unasked", "GET", hello, func(c *said) { c.NetConn().Write([]byte{0x17, 3, 3, 0, 30, 1, 2, 3}) }, "hello", false},
		{"nonsense beneath TLS", "GET", hello, func(c *said) { io.WriteString(c.NetConn(), "nonsense") }, "hello", false},
		{"and closed", "GET", hello, func(c *said) { c.Close() }, "hello", false},
		{"and cut", "GET", hello, func(c *said) { c.NetConn().Close() }, "hello", false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			read, done := make(chan struct{}), make(chan struct{})
			s := newServer(t, func(n int, c *said) {
				if n > 1 {
					c.answer(hello)
					return
				}
				if _, _, err := c.request(); err != nil {
					t.Error(err)
				}
				io.WriteString(c, tt.answer)
				if tt.then != nil && tt.name != "of no length" {
					<-read
				}
				if tt.then != nil {
					tt.then(c)
				}
				close(done)
				c.answer(hello)
			})
			s.tcp = true
			client := s.client()
			_, body, err := client.call(tt.method, "")
			if err != nil || body != tt.body {
				t.Fatalf("%q, %v", body, err)
			}
			close(read)
			<-done
			// A write would not be sent again.
			if _, body, err := client.call("POST", "x"); err != nil || body != "hello" {
				t.Errorf("the next call: %q, %v", body, err)
			}
			if reused := s.dials.Load() == 1; reused != tt.reused {
				t.Errorf("reused: %v", reused)
			}
		})
	}
}

// An answer that is given up ends its connection, unless the rest of it is there.
func TestAnswersGivenUp(t *testing.T) {
	long := "HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n" + strings.Repeat("x", 100_000)
	for _, tt := range []struct {
		name, answer string
		read         int
		reused       bool
	}{
		{"short", hello, 0, true},
		{"short, begun", hello, 2, true},
		{"long", long, 0, false},
		{"long, begun", long, 1000, false},
		{"short, but for a byte", hello, 4, true},
		{"chunked", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n", 0, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := newServer(t, func(_ int, c *said) { c.answer(tt.answer) })
			s.tcp = true
			client := s.client()
			response, err := client.send(t.Context(), "GET", "")
			if err != nil {
				t.Fatal(err)
			}
			if _, err := io.ReadFull(response.Body, make([]byte, tt.read)); err != nil {
				t.Fatal(err)
			}
			response.Body.Close()
			if n, err := response.Body.Read(make([]byte, 10)); n > 0 || err == nil {
				t.Errorf("%d bytes of a closed body", n)
			}
			if open := s.open.Load(); (open == 1) != tt.reused {
				t.Errorf("%d connections are open", open)
			}
			if status, _, err := client.call("GET", ""); err != nil || status != 200 {
				t.Errorf("the next call: %d, %v", status, err)
			}
			if reused := s.dials.Load() == 1; reused != tt.reused {
				t.Errorf("reused: %v", reused)
			}
		})
	}
}

// A body that was read to its end says so for ever, and takes nothing of the next
// answer by the same connection.
func TestBodyBeyondItsEnd(t *testing.T) {
	s := newServer(t, func(_ int, c *said) { c.answer(hello) })
	client := s.client()
	first, err := client.send(t.Context(), "GET", "")
	if err != nil {
		t.Fatal(err)
	}
	if b, err := io.ReadAll(first.Body); err != nil || string(b) != "hello" {
		t.Fatalf("%q, %v", b, err)
	}
	second, err := client.send(t.Context(), "GET", "")
	if err != nil {
		t.Fatal(err)
	}
	if n, err := first.Body.Read(make([]byte, 10)); n != 0 || err != io.EOF {
		t.Errorf("%d, %v", n, err)
	}
	first.Body.Close()
	if b, err := io.ReadAll(second.Body); err != nil || string(b) != "hello" || s.dials.Load() != 1 {
		t.Errorf("%q, %v by %d connections", b, err, s.dials.Load())
	}
}

// A request is what net/http would write.
func TestRequestsAsNetHTTPWritesThem(t *testing.T) {
	for name, adjust := range map[string]func(*http.Request){
		"GET":                      func(*http.Request) {},
		"POST":                     func(r *http.Request) { setBody(r, "POST", `{"a":1}`) },
		"POST without a body":      func(r *http.Request) { r.Method = "POST" },
		"PUT without a body":       func(r *http.Request) { r.Method = "PUT" },
		"DELETE":                   func(r *http.Request) { r.Method = "DELETE" },
		"DELETE with a body":       func(r *http.Request) { setBody(r, "DELETE", "x") },
		"the last one":             func(r *http.Request) { r.Close = true },
		"another host":             func(r *http.Request) { r.Host = "other.example:8443" },
		"no path":                  func(r *http.Request) { r.URL.Path = "" },
		"a path to be escaped":     func(r *http.Request) { r.URL.Path = "/a b/ü?#%" },
		"a path that is escaped":   func(r *http.Request) { r.URL.Path, r.URL.RawPath = "/a/b", "/a%2Fb" },
		"an empty query":           func(r *http.Request) { r.URL.RawQuery, r.URL.ForceQuery = "", true },
		"a field twice":            func(r *http.Request) { r.Header["Accept"] = []string{"a", "b"} },
		"space around a value":     func(r *http.Request) { r.Header["Accept"] = []string{" a\t"} },
		"a field of no value":      func(r *http.Request) { r.Header["Accept"] = []string{""} },
		"a length that is ignored": func(r *http.Request) { r.Header["Content-Length"] = []string{"7"} },
		"a body of many records":   func(r *http.Request) { setBody(r, "POST", strings.Repeat("x", 100_000)) },
		"a body of one record":     func(r *http.Request) { setBody(r, "POST", strings.Repeat("x", oneRecord-300)) },
	} {
		t.Run(name, func(t *testing.T) {
			make := func() *http.Request {
				r := request(t, "GET", "")
				for _, field := range []string{"X-Atlassian-Token", "Accept-Encoding", "Authorization", "Via", "Content-Type"} {
					r.Header.Set(field, "x")
				}
				adjust(r)
				return r
			}
			var want bytes.Buffer
			if err := make().Write(&want); err != nil {
				t.Fatal(err)
			}
			var got bytes.Buffer
			s := newServer(t, func(_ int, c *said) {
				c.r.Reset(io.TeeReader(c, &got))
				c.request()
				io.WriteString(c, hello)
			})
			response, err := s.client().RoundTrip(t.Context(), make(), ignore)
			if err != nil {
				t.Fatal(err)
			}
			response.Body.Close()
			s.stop()
			if got.String() != want.String() {
				t.Errorf("wrote %.300q, want %.300q", got.String(), want.String())
			}
		})
	}
}

func setBody(r *http.Request, method, body string) {
	r.Method, r.Body, r.ContentLength = method, io.NopCloser(strings.NewReader(body)), int64(len(body))
}

// What could be read as something else is not sent, and takes no connection with it.
func TestRequestsThatAreNotSent(t *testing.T) {
	for name, adjust := range map[string]func(*http.Request){
		"CRLF in a value":        func(r *http.Request) { r.Header["X"] = []string{"a\r\nHost: b"} },
		"LF in a value":          func(r *http.Request) { r.Header["X"] = []string{"a\nb"} },
		"NUL in a value":         func(r *http.Request) { r.Header["X"] = []string{"a\x00b"} },
		"CRLF in a name":         func(r *http.Request) { r.Header["X\r\nY"] = []string{"a"} },
		"a space in a name":      func(r *http.Request) { r.Header["X "] = []string{"a"} },
		"LF in the agent":        func(r *http.Request) { r.Header["User-Agent"] = []string{"a\nb"} },
		"LF in the host":         func(r *http.Request) { r.Host = "a\nb" },
		"a space in the query":   func(r *http.Request) { r.URL.RawQuery = "a HTTP/1.1" },
		"CRLF in the query":      func(r *http.Request) { r.URL.RawQuery = "a\r\nb" },
		"a byte beyond ASCII":    func(r *http.Request) { r.URL.RawQuery = "ü" },
		"a target of its own":    func(r *http.Request) { r.URL.Opaque = "//x/\r\n" },
		"a path without a slash": func(r *http.Request) { r.URL.Path = "x" },
		"a space in the method":  func(r *http.Request) { r.Method = "GET /" },
		"CONNECT":                func(r *http.Request) { r.Method = "CONNECT" },
		"a coding":               func(r *http.Request) { r.Header["Transfer-Encoding"] = []string{"chunked"} },
		"another coding":         func(r *http.Request) { r.TransferEncoding = []string{"chunked"} },
		"an expectation":         func(r *http.Request) { r.Header["Expect"] = []string{"100-continue"} },
		"a connection option":    func(r *http.Request) { r.Header["Connection"] = []string{"upgrade"} },
		"no length":              func(r *http.Request) { setBody(r, "POST", "x"); r.ContentLength = -1 },
		"no body":                func(r *http.Request) { r.ContentLength = 5 },
		"a body too short":       func(r *http.Request) { setBody(r, "POST", "x"); r.ContentLength = 2 },
		"a body too long":        func(r *http.Request) { setBody(r, "POST", "xxx"); r.ContentLength = 2 },
		"a long body too short":  func(r *http.Request) { setBody(r, "POST", "x"); r.ContentLength = 1 << 20 },
		"no TLS":                 func(r *http.Request) { r.URL.Scheme = "http" },
	} {
		t.Run(name, func(t *testing.T) {
			s := newServer(t, func(_ int, c *said) { c.answer(hello) })
			client := s.client()
			r := request(t, "GET", "")
			adjust(r)
			begun := false
			_, err := client.RoundTrip(t.Context(), r, func(net.Conn) { begun = true })
			if long := r.ContentLength > oneRecord; err == nil || begun && !long {
				t.Errorf("it was sent: %v", err)
			}
			if _, body, err := client.call("GET", ""); err != nil || body != "hello" {
				t.Errorf("the next call: %q, %v", body, err)
			}
		})
	}
}
