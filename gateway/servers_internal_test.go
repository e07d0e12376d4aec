package gateway

import (
	"crypto/tls"
	"errors"
	"io"
	"log/slog"
	"net"
	"testing"
	"testing/synctest"

	"jiragate/gateway/audit/privacy"
)

// Servers that were shut down before they began serve no HTTP/2 tunnel, and keep none
// waiting, since a handover waits for those that are on their way.
func TestHTTP2OfServersThatNeverBegan(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := &Gateway{log: slog.New(slog.NewTextHandler(io.Discard, nil)), options: Options{Privacy: &privacy.Masker{}}, bounds: &bounds{}}
		s := g.newServers()
		s.end()
		s.begin()
		client, server := net.Pipe()
		defer client.Close()
		if err := s.serveHTTP2(tls.Server(server, &tls.Config{}), &tunnel{gateway: g, from: &origin{}}); !errors.Is(err, net.ErrClosed) {
			t.Errorf("serving a tunnel: %v, want %v", err, net.ErrClosed)
		}
		if left := g.http2Tunnels.Load(); left != 0 {
			t.Errorf("%d tunnels are waited for", left)
		}
	})
}
