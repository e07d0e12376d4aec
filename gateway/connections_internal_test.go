package gateway

import (
	"errors"
	"io"
	"net"
	"os"
	"testing"
	"testing/synctest"
	"time"
)

// A connection that was open before may be idle for as long as any other, although
// it is new to net/http, which gives a new one the time of a head.
func TestKeptConnectionsMayBeIdle(t *testing.T) {
	for _, tt := range []struct {
		name string
		kept bool
		want time.Duration
	}{
		{"new", false, readHeadTimeout},
		{"kept", true, idleTimeout},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				client, server := net.Pipe()
				defer client.Close()
				f := newFramedConn(server, &origin{}, "marker")
				defer f.Close()
				f.rest.kept = tt.kept
				began := time.Now()
				_ = f.SetReadDeadline(began.Add(readHeadTimeout))
				_, err := f.Read(make([]byte, 1))
				if took := time.Since(began); !errors.Is(err, os.ErrDeadlineExceeded) || took != tt.want {
					t.Errorf("%v after %s, want %s", err, took, tt.want)
				}
			})
		})
	}
	t.Run("a body has its own time", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			client, server := net.Pipe()
			defer client.Close()
			f := newFramedConn(server, &origin{}, "marker")
			defer f.Close()
			f.rest.kept = true
			go io.WriteString(client, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\n")
			if n, err := f.Read(make([]byte, 1024)); n == 0 || err != nil {
				t.Fatal(n, err)
			}
			began := time.Now()
			_ = f.SetReadDeadline(began.Add(time.Second))
			if _, err := f.Read(make([]byte, 1)); !errors.Is(err, os.ErrDeadlineExceeded) || time.Since(began) != time.Second {
				t.Errorf("%v after %s", err, time.Since(began))
			}
		})
	})
}
