package gateway_test

import (
	"bytes"
	"errors"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

// flooded opens an HTTP/2 tunnel, past the settings.
func (w *world) flooded() (net.Conn, *http2.Framer) {
	w.t.Helper()
	authority := w.siteAuthority()
	host, _, _ := net.SplitHostPort(authority)
	c := w.tunnel(authority, host, "h2")
	_ = c.SetDeadline(time.Now().Add(60 * time.Second))
	if _, err := io.WriteString(c, http2.ClientPreface); err != nil {
		w.t.Fatal(err)
	}
	f := http2.NewFramer(c, c)
	if err := f.WriteSettings(); err != nil {
		w.t.Fatal(err)
	}
	return c, f
}

// header is a header block of a GET, with filler.
func header(authority, filler string) []byte {
	var b bytes.Buffer
	e := hpack.NewEncoder(&b)
	for _, field := range [][2]string{{":method", "GET"}, {":scheme", "https"}, {":authority", authority}, {":path", "/rest/api/2/myself"}, {"x-filler", filler}} {
		_ = e.WriteField(hpack.HeaderField{Name: field[0], Value: field[1]})
	}
	return b.Bytes()
}

// Floods by HTTP/2 end with their connection, and other clients are served.
func TestHTTP2Floods(t *testing.T) {
	for _, tt := range []struct {
		name  string
		flood func(f *http2.Framer, authority string) error
	}{
		{"CONTINUATION without end (CVE-2023-45288)", func(f *http2.Framer, authority string) error {
			err := f.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: header(authority, "x"), EndStream: true})
			for range 10_000 {
				if err != nil {
					return err
				}
				err = f.WriteContinuation(1, false, header("", strings.Repeat("x", 8<<10))[1:])
			}
			return err
		}},
		{"streams reset at once (CVE-2023-44487)", func(f *http2.Framer, authority string) error {
			for id := uint32(1); id < 400_000; id += 2 {
				if err := errors.Join(
					f.WriteHeaders(http2.HeadersFrameParam{StreamID: id, BlockFragment: header(authority, "x"), EndStream: true, EndHeaders: true}),
					f.WriteRSTStream(id, http2.ErrCodeCancel)); err != nil {
					return err
				}
			}
			return nil
		}},
		{"pings whose answers are not read", func(f *http2.Framer, _ string) error {
			for range 5_000_000 {
				if err := f.WritePing(false, [8]byte{}); err != nil {
					return err
				}
			}
			return nil
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := newWorld(t, change{})
			c, f := w.flooded()
			err := tt.flood(f, w.siteAuthority())
			if timeout, ok := errors.AsType[net.Error](err); ok && timeout.Timeout() {
				t.Errorf("the gateway neither reads nor closes: %v", err)
			}
			if err == nil {
				_ = c.SetDeadline(time.Now().Add(30 * time.Second))
				if _, err := io.Copy(io.Discard, c); err != nil {
					if timeout, ok := errors.AsType[net.Error](err); ok && timeout.Timeout() {
						t.Errorf("the connection goes on: %v", err)
					}
				}
			}
			if r := w.call(w.client("other", w.addClient("other", "dc")), "GET", w.sim.DataCenterURL()+"/rest/api/2/myself", ""); r.StatusCode != 200 {
				t.Errorf("another client: %d %s", r.StatusCode, r.body)
			}
		})
	}
}
