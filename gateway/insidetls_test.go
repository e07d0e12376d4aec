package gateway_test

import (
	"crypto/tls"
	"io"
	"net"
	"testing"
)

// A first handshake in a tunnel is safe against quantum computers. A resumed one rests on
// it, and exchanges keys by a curve alone; a client that knows no such curve is served
// all the same.
func TestKeyExchangeOfTunnels(t *testing.T) {
	w := newWorld(t, change{})
	for name, tt := range map[string]struct {
		curves         []tls.CurveID
		first, resumed tls.CurveID
	}{
		"both":         {nil, tls.X25519MLKEM768, tls.X25519},
		"hybrid alone": {[]tls.CurveID{tls.X25519MLKEM768}, tls.X25519MLKEM768, tls.X25519MLKEM768},
		"P-256 alone":  {[]tls.CurveID{tls.CurveP256}, tls.CurveP256, tls.CurveP256},
	} {
		t.Run(name, func(t *testing.T) {
			config := &tls.Config{RootCAs: w.roots, ServerName: site, CurvePreferences: tt.curves, ClientSessionCache: tls.NewLRUClientSessionCache(1)}
			for i, want := range []tls.CurveID{tt.first, tt.resumed, tt.resumed} {
				tunnel := tls.Client(w.connected(must(net.Dial("tcp", w.proxy))(t), site+":443"), config)
				io.WriteString(tunnel, "GET /rest/api/3/myself HTTP/1.1\r\nHost: "+site+"\r\n\r\n")
				if err := answered(tunnel); err != nil {
					t.Fatal(err)
				}
				state := tunnel.ConnectionState()
				if state.CurveID != want || state.DidResume != (i > 0) {
					t.Errorf("tunnel %d: key exchange %v, resumed: %v; want %v", i, state.CurveID, state.DidResume, want)
				}
				tunnel.Close()
			}
		})
	}
}
