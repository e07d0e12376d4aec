package upstream

import (
	"io"
	"strings"
	"testing"
)

// Answers that can't be read, or not to their end, are errors; their connections are
// closed.
func TestAnswersThatAreNone(t *testing.T) {
	for name, answer := range map[string]string{
		"nonsense":                  "nonsense\r\n\r\n",
		"nothing":                   "",
		"half a head":               "HTTP/1.1 200 OK\r\nX: y\r\n",
		"a head too long":           "HTTP/1.1 200 OK\r\nX: " + strings.Repeat("x", 65<<10) + "\r\nContent-Length: 0\r\n\r\n",
		"too many fields":           "HTTP/1.1 200 OK\r\n" + strings.Repeat("X: y\r\n", 20<<10) + "Content-Length: 0\r\n\r\n",
		"1xx answers too long":      strings.Repeat("HTTP/1.1 103 Early Hints\r\nX: "+strings.Repeat("x", 20<<10)+"\r\n\r\n", 4) + hello,
		"too many 1xx answers":      strings.Repeat("HTTP/1.1 103 Early Hints\r\n\r\n", 6) + hello,
		"two lengths":               "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello",
		"no number":                 "HTTP/1.1 200 OK\r\nContent-Length: +5\r\n\r\nhello",
		"another coding":            "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\nhello",
		"a body too short":          "HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\nhello",
		"a chunked body cut":        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n",
		"a chunk of no size":        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nx\r\nhello\r\n0\r\n\r\n",
		"a status of two digits":    "HTTP/1.1 20 OK\r\nContent-Length: 5\r\n\r\nhello",
		"an answer of HTTP/2":       "\x00\x00\x12\x04\x00\x00\x00\x00\x00\x00\x03\x00\x00\x00d\x00\x04\x00\x10\x00\x00\x00\x06\x00\x10\x01@",
		"a trailer without its end": "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nX: y\r\n",
	} {
		t.Run(name, func(t *testing.T) {
			s := newServer(t, func(_ int, c *said) {
				c.request()
				io.WriteString(c, answer)
			})
			client := s.client()
			if status, body, err := client.call("GET", ""); err == nil {
				t.Errorf("%d %.100q", status, body)
			}
			if n := s.open.Load(); n != 0 {
				t.Errorf("%d connections are open", n)
			}
		})
	}
}

// So many 1xx answers are read over.
func TestInformationalAnswers(t *testing.T) {
	s := newServer(t, func(_ int, c *said) {
		c.answer(strings.Repeat("HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n", maxInformational) + hello)
	})
	client := s.client()
	for range 2 {
		if status, body, err := client.call("GET", ""); status != 200 || body != "hello" || err != nil {
			t.Errorf("%d %q, %v", status, body, err)
		}
	}
}
