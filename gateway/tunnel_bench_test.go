package gateway_test

import (
	"bufio"
	"crypto/tls"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"
)

// BenchmarkTunnel is a tunnel from CONNECT to the end of the TLS handshake, both sides
// of it: with a new session, and with one that is resumed.
func BenchmarkTunnel(b *testing.B) {
	w := newWorld(b, change{})
	host := strings.TrimPrefix(w.sim.DataCenterURL(), "https://")
	host, _, _ = strings.Cut(host, "/")
	name, _, err := net.SplitHostPort(host)
	if err != nil {
		b.Fatal(err)
	}
	open := func(b *testing.B, config *tls.Config) *tls.Conn {
		conn := must(net.Dial("tcp", w.proxy))(b)
		_ = conn.SetDeadline(time.Now().Add(10 * time.Second))
		_, _ = io.WriteString(conn, "CONNECT "+host+" HTTP/1.1\r\nHost: "+host+"\r\nProxy-Authorization: "+basic("billing", w.token)+"\r\n\r\n")
		status := make([]byte, len("HTTP/1.1 200 Connection established\r\n\r\n"))
		if _, err := io.ReadFull(conn, status); err != nil || !strings.HasPrefix(string(status), "HTTP/1.1 200") {
			b.Fatalf("CONNECT: %q, %v", status, err)
		}
		tc := tls.Client(conn, config)
		if err := tc.Handshake(); err != nil {
			b.Fatal(err)
		}
		return tc
	}
	for _, bb := range []struct {
		name     string
		sessions tls.ClientSessionCache
	}{{"full", nil}, {"resumed", tls.NewLRUClientSessionCache(1)}} {
		b.Run(bb.name, func(b *testing.B) {
			config := &tls.Config{RootCAs: w.roots, ServerName: name, ClientSessionCache: bb.sessions}
			// The ticket comes with the first answer.
			first := open(b, config)
			_, _ = io.WriteString(first, "GET /jira/rest/api/2/myself HTTP/1.1\r\nHost: "+host+"\r\n\r\n")
			response := must(http.ReadResponse(bufio.NewReader(first), nil))(b)
			_, _ = io.Copy(io.Discard, response.Body)
			first.Close()
			b.ReportAllocs()
			for b.Loop() {
				tc := open(b, config)
				if tc.ConnectionState().DidResume != (bb.sessions != nil) {
					b.Fatalf("resumed: %v", tc.ConnectionState().DidResume)
				}
				tc.Close()
			}
		})
	}
}
