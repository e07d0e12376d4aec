package gateway

import (
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
		g := &Gateway{log: slog.New(slog.NewTextHandler(io.Discard, nil)), options: Options{Privacy: &privacy.Masker{}}}
		s := g.newServers()
		if err := s.http2.Shutdown(t.Context()); err != nil {
			t.Fatal(err)
		}
		s.begin()
		if err := s.serveHTTP2(nil, nil); !errors.Is(err, net.ErrClosed) {
			t.Errorf("serving a tunnel: %v, want %v", err, net.ErrClosed)
		}
		s.end()
	})
}
