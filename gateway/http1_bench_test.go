package gateway

import (
	"io"
	"log/slog"
	"net"
	"net/http"
	"testing"
	"time"
)

// BenchmarkHTTP1 is what serving a request in a tunnel costs without its call and without
// system calls: reading its head and writing an answer, by our loop and by net/http's.
func BenchmarkHTTP1(b *testing.B) {
	answer := make([]byte, 1024)
	handle := func(w http.ResponseWriter, _ *http.Request) {
		h := w.Header()
		h["Content-Length"], h["Content-Type"] = []string{"1024"}, []string{"application/json"}
		_, _ = w.Write(answer)
		_ = http.NewResponseController(w).Flush()
	}
	b.Run("ours", func(b *testing.B) {
		c := &repeatedConn{b: b, ended: make(chan struct{})}
		b.ReportAllocs()
		newHTTP1Conn(newFramedConn(c, &origin{tunnel: &tunnel{}}, "marker"), slog.New(slog.DiscardHandler), handle).run(time.Minute)
	})
	b.Run("net/http", func(b *testing.B) {
		c := &repeatedConn{b: b, ended: make(chan struct{})}
		feed := newFeed()
		server := &http.Server{Handler: http.HandlerFunc(handle)}
		go func() { _ = server.Serve(feed) }()
		b.ReportAllocs()
		feed.give(newFramedConn(c, &origin{tunnel: &tunnel{}}, "marker"))
		<-c.ended
		_ = server.Close()
	})
}

// repeatedConn is a client that sends the same request b.N times, each when it has its
// answer.
type repeatedConn struct {
	recordedConn
	b     *testing.B
	ended chan struct{}
	left  []byte
	over  bool
}

func (c *repeatedConn) Read(p []byte) (int, error) {
	if len(c.left) == 0 {
		if c.over = c.over || !c.b.Loop(); c.over {
			return 0, io.EOF
		}
		c.left = []byte(benchHead)
	}
	n := copy(p, c.left)
	c.left = c.left[n:]
	return n, nil
}

func (c *repeatedConn) Write(p []byte) (int, error) { return len(p), nil }

func (c *repeatedConn) Close() error {
	select {
	case <-c.ended:
	default:
		close(c.ended)
	}
	return nil
}

var _ net.Conn = (*repeatedConn)(nil)
