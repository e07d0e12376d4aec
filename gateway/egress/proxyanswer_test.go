package egress

import (
	"bytes"
	"io"
	"net"
	"net/netip"
	"regexp"
	"strings"
	"testing"
	"time"

	"jiragate/tokenstore/secret"
)

// said is a connection at whose other end everything was said before it was asked.
type said struct {
	net.Conn
	answer *bytes.Reader
	read   int
	asked  bytes.Buffer
}

func (s *said) Read(b []byte) (int, error) {
	n, err := s.answer.Read(b)
	s.read += n
	return n, err
}
func (s *said) Write(b []byte) (int, error)      { return s.asked.Write(b) }
func (s *said) SetDeadline(time.Time) error      { return nil }
func (s *said) SetReadDeadline(time.Time) error  { return nil }
func (s *said) SetWriteDeadline(time.Time) error { return nil }
func (s *said) Close() error                     { return nil }

// quietAbout checks what is said of a proxy: nothing that steers a terminal, no credentials, and
// nothing that the proxy has sent.
func quietAbout(t *testing.T, err error) {
	t.Helper()
	for _, secret := range []string{"us3r", "S3cret", "Qu0ted"} {
		if strings.Contains(err.Error(), secret) {
			t.Errorf("the error repeats %s: %v", secret, err)
		}
	}
	if strings.ContainsFunc(err.Error(), func(r rune) bool { return r < ' ' || r == 0x7f }) {
		t.Errorf("error %q", err)
	}
}

var (
	fuzzedTarget = netip.MustParseAddrPort("104.192.141.1:443")
	statusOfTwo  = regexp.MustCompile(`^HTTP/\d\.\d 0*\+?2\d\d([ \r\n]|$)`)
)

// FuzzConnectAnswer: a tunnel begins behind a status line of 2xx and nowhere else, after no
// more than an answer may have, of which nothing is left for TLS to take for the upstream's.
func FuzzConnectAnswer(f *testing.F) {
	for _, answer := range []string{
		"HTTP/1.1 200 OK\r\n\r\n", "HTTP/1.0 200\r\n\r\n", "HTTP/1.1 200 OK\r\n\r\nQu0ted", "HTTP/1.1 204 No Content\r\nQu0ted: x\r\n\r\n", "HTTP/1.1 407 Qu0ted\r\n\r\n",
		"HTTP/1.1 502 Qu0ted\r\nContent-Length: 6\r\n\r\nQu0ted", "HTTP/1.1 302 Found\r\nLocation: http://Qu0ted/\r\n\r\n", "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n\r\n",
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", "HTTP/2 200\r\n\r\n", "SSH-2.0-Qu0ted\r\n", "HTTP/1.1 200 OK\r\n", "",
		"HTTP/1.1 200 OK\r\nX: " + strings.Repeat("a", maxProxyAnswer) + "\r\n\r\n",
	} {
		f.Add([]byte(answer))
	}
	p := &Proxy{Scheme: ProxyHTTP, Host: "proxy.example", Port: 8080, Username: secret.New("us3r"), Password: secret.New("S3cret")}
	f.Fuzz(func(t *testing.T, answer []byte) {
		conn := &said{answer: bytes.NewReader(answer)}
		err := askCONNECT(conn, p, fuzzedTarget)
		if !strings.HasPrefix(conn.asked.String(), "CONNECT 104.192.141.1:443 HTTP/1.1\r\n") || conn.read > maxProxyAnswer {
			t.Errorf("%q was asked, and %d bytes read", conn.asked.String(), conn.read)
		}
		if err != nil {
			quietAbout(t, err)
			return
		}
		if head := answer[:conn.read]; !statusOfTwo.Match(head) || !bytes.HasSuffix(head, []byte("\n\n")) && !bytes.HasSuffix(head, []byte("\n\r\n")) {
			t.Errorf("%q has opened a tunnel", answer)
		}
	})
}

// FuzzSOCKSAnswer: a connection begins behind the answers that RFC 1928 and RFC 1929 give
// for success and nowhere else, and none of what follows is taken.
func FuzzSOCKSAnswer(f *testing.F) {
	for _, answer := range []string{
		"\x05\x02\x01\x00\x05\x00\x00\x01\x00\x00\x00\x00\x00\x00", "\x05\x00\x05\x00\x00\x01\x00\x00\x00\x00\x00\x00upstream", "\x05\xff", "\x05\x02\x01\x01", "\x04\x00",
		"\x05\x02\x01\x00\x05\x05\x00\x01\x00\x00\x00\x00\x00\x00", "\x05\x02\x01\x00\x05\x00\x00\x03\xff" + strings.Repeat("Qu0ted", 50), "\x05\x02\x01\x00\x05\x63", "",
		"\x05\x02\x01\x00\x05\x00\x00\x04" + strings.Repeat("\x00", 18),
	} {
		f.Add([]byte(answer))
	}
	p := &Proxy{Scheme: ProxySOCKS5, Host: "proxy.example", Port: 1080, Username: secret.New("us3r"), Password: secret.New("S3cret")}
	f.Fuzz(func(t *testing.T, answer []byte) {
		conn := &said{answer: bytes.NewReader(answer)}
		if err := askSOCKS5(t.Context(), conn, p, fuzzedTarget); err != nil {
			quietAbout(t, err)
			return
		}
		rest := answer
		next := func(n int) []byte {
			if len(rest) < n {
				t.Fatalf("%q has opened a connection", answer)
			}
			taken := rest[:n]
			rest = rest[n:]
			return taken
		}
		method := next(2)
		if method[0] != 5 || method[1] != 0 && method[1] != 2 {
			t.Fatalf("%q has opened a connection", answer)
		}
		if method[1] == 2 {
			if status := next(2); status[0] != 1 || status[1] != 0 {
				t.Fatalf("%q has opened a connection", answer)
			}
		}
		reply := next(4)
		if reply[0] != 5 || reply[1] != 0 {
			t.Fatalf("%q has opened a connection", answer)
		}
		switch reply[3] {
		case 1:
			next(4 + 2)
		case 4:
			next(16 + 2)
		case 3:
			next(int(next(1)[0]) + 2)
		default:
			t.Fatalf("%q has opened a connection", answer)
		}
		if left, _ := io.ReadAll(conn.answer); !bytes.Equal(left, rest) {
			t.Errorf("of %q, %q is left for the upstream, not %q", answer, left, rest)
		}
	})
}
