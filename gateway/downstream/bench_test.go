package downstream

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"io"
	"net/http"
	"testing"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

// BenchmarkServer is what serving a request costs, with 64 of them at a time on one
// connection, both sides of TLS and a frugal client included: by this package and by
// net/http.
func BenchmarkServer(b *testing.B) {
	answer := make([]byte, 1024)
	handle := func(w http.ResponseWriter, _ *http.Request) {
		h := w.Header()
		h["Content-Length"], h["Content-Type"] = []string{"1024"}, []string{"application/json"}
		_, _ = w.Write(answer)
		_ = http.NewResponseController(w).Flush()
	}
	conf := config()
	conf.MaxStreams = 100
	for _, bb := range []struct {
		name    string
		address string
	}{{"ours", ours(b, conf, handle)}, {"net/http", theirs(b, handle)}} {
		b.Run(bb.name, func(b *testing.B) {
			conn, err := tls.Dial("tcp", bb.address, &tls.Config{InsecureSkipVerify: true, NextProtos: []string{"h2"}})
			if err != nil {
				b.Fatal(err)
			}
			defer conn.Close()
			var block bytes.Buffer
			encoder := hpack.NewEncoder(&block)
			for _, f := range [][2]string{{":method", "GET"}, {":scheme", "https"}, {":authority", "jira.example"}, {":path", "/rest/api/2/myself"}, {"accept", "application/json"}} {
				_ = encoder.WriteField(hpack.HeaderField{Name: f[0], Value: f[1], Sensitive: true})
			}
			out := bufio.NewWriterSize(conn, 16<<10)
			framer := http2.NewFramer(out, bufio.NewReaderSize(conn, 64<<10))
			framer.SetReuseFrames()
			_, _ = io.WriteString(out, http2.ClientPreface)
			_ = framer.WriteSettings(http2.Setting{ID: http2.SettingInitialWindowSize, Val: 1 << 28})
			_ = framer.WriteWindowUpdate(0, 1<<30)
			open, unread, id := 0, 0, uint32(1)
			take := func() {
				f, err := framer.ReadFrame()
				if err != nil {
					b.Fatal(err)
				}
				if d, ok := f.(*http2.DataFrame); ok {
					if unread += int(d.Length); unread > 1<<28 {
						_ = framer.WriteWindowUpdate(0, uint32(unread))
						unread = 0
					}
					if d.StreamEnded() {
						open--
					}
				}
			}
			b.ReportAllocs()
			for b.Loop() {
				for open == 64 {
					_ = out.Flush()
					take()
				}
				_ = framer.WriteHeaders(http2.HeadersFrameParam{StreamID: id, BlockFragment: block.Bytes(), EndHeaders: true, EndStream: true})
				id += 2
				open++
			}
			_ = out.Flush()
			for open > 0 {
				take()
			}
		})
	}
}
