//go:build unix

package upstream

import (
	"context"
	"crypto/tls"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"syscall"
	"testing"
)

// BenchmarkRoundTrip compares a call over a kept connection with net/http's: an
// answer of 1 KB, by TLS over loopback.
func BenchmarkRoundTrip(b *testing.B) {
	answer := "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nDate: Mon, 02 Jan 2006 15:04:05 GMT\r\nServer: x\r\nContent-Length: 1024\r\n\r\n" +
		strings.Repeat("x", 1024)
	s := newServer(b, func(_ int, c *said) {
		buffer := make([]byte, 4096)
		for {
			if _, err := c.Read(buffer); err != nil { // a request is one record
				return
			}
			_, _ = io.WriteString(c, answer)
		}
	})
	s.tcp = true
	o := s.options()
	o.MaxConns, o.MaxIdle = 64, 64
	ours := New(o)
	config := o.TLS.Clone()
	config.ServerName = host
	theirs := &http.Transport{
		DialTLSContext: func(ctx context.Context, network, address string) (net.Conn, error) {
			c, err := s.connect(ctx, network, address)
			return tls.Client(c, config), err
		},
		MaxIdleConnsPerHost: 64, MaxConnsPerHost: 64, DisableCompression: true, ResponseHeaderTimeout: o.HeaderTimeout,
	}
	b.Cleanup(ours.CloseIdleConnections)
	b.Cleanup(theirs.CloseIdleConnections)
	for _, by := range []struct {
		name string
		call func(*http.Request) (*http.Response, error)
	}{
		{"ours", func(r *http.Request) (*http.Response, error) { return ours.RoundTrip(r.Context(), r, ignore) }},
		{"net-http", theirs.RoundTrip},
	} {
		call := func(b *testing.B, r *http.Request, buffer []byte) {
			response, err := by.call(r)
			if err != nil {
				b.Fatal(err)
			}
			for err == nil {
				_, err = response.Body.Read(buffer)
			}
			response.Body.Close()
			if err != io.EOF {
				b.Fatal(err)
			}
		}
		outgoing := func() (*http.Request, []byte) {
			r := request(b, "GET", "")
			for _, field := range []string{"Accept", "Accept-Encoding", "Authorization", "Via"} {
				r.Header.Set(field, "application/json")
			}
			ctx, cancel := context.WithCancel(b.Context())
			b.Cleanup(cancel)
			return r.WithContext(ctx), make([]byte, 2048)
		}
		b.Run(by.name+"/1", func(b *testing.B) {
			b.ReportAllocs()
			r, buffer := outgoing()
			defer processor(b)()
			for b.Loop() {
				call(b, r, buffer)
			}
		})
		b.Run(by.name+"/16", func(b *testing.B) {
			b.ReportAllocs()
			b.SetParallelism(8)
			defer processor(b)()
			b.RunParallel(func(pb *testing.PB) {
				r, buffer := outgoing()
				for pb.Next() {
					call(b, r, buffer)
				}
			})
		})
	}
}

// processor reports the processor time per call, of both sides: on a busy machine it
// tells more than the time that has passed.
func processor(b *testing.B) (stop func()) {
	used := func() int64 {
		var u syscall.Rusage
		if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
			b.Fatal(err)
		}
		return u.Utime.Nano() + u.Stime.Nano()
	}
	before := used()
	return func() { b.ReportMetric(float64(used()-before)/float64(b.N), "cpu-ns/op") }
}

// BenchmarkProbe is the look at a connection before it is used again.
func BenchmarkProbe(b *testing.B) {
	s := newServer(b, func(_ int, c *said) { c.answer(hello) })
	s.tcp = true
	client := s.client()
	if _, _, err := client.call("GET", ""); err != nil {
		b.Fatal(err)
	}
	c := client.pool.Load().idle[0]
	b.ReportAllocs()
	for b.Loop() {
		if !c.alive() {
			b.Fatal("it is not alive")
		}
	}
}

// BenchmarkLongBody reads a megabyte as the gateway does that streams it, by TLS over
// loopback: the fewer pieces, the fewer records to the client.
func BenchmarkLongBody(b *testing.B) {
	body := make([]byte, 1<<20)
	s := newServer(b, func(_ int, c *said) {
		for {
			if _, _, err := c.request(); err != nil {
				return
			}
			_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: "+strconv.Itoa(len(body))+"\r\n\r\n")
			if _, err := c.Write(body); err != nil {
				return
			}
		}
	})
	s.tcp, s.config.DynamicRecordSizingDisabled = true, true
	client := s.client()
	buffer, pieces := make([]byte, 64<<10-8), 0
	b.SetBytes(int64(len(body)))
	b.ReportAllocs()
	for b.Loop() {
		response, err := client.send(b.Context(), "GET", "")
		if err != nil {
			b.Fatal(err)
		}
		for ; err == nil; pieces++ {
			_, err = response.Body.Read(buffer)
		}
		if err != io.EOF {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(pieces)/float64(b.N), "pieces/op")
}
