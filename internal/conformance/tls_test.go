package conformance

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"os"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// target is a place where the gateway speaks TLS as a server.
type target struct {
	name      string
	address   string
	client    *tls.Config
	protocols []string // by ALPN
}

func (w *world) targets(t *testing.T) []target {
	t.Helper()
	pem, err := os.ReadFile(w.caFile)
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(pem)
	both := []string{"h2", "http/1.1"}
	return []target{
		{"inside a tunnel", w.tunnels, &tls.Config{RootCAs: roots}, both},
		{"proxy listener", w.server.ProxyAddr(), w.client, []string{"http/1.1"}},
		{"admin listener", w.server.AdminAddr(), w.client, both},
		{"public listener", w.server.PublicAddr(), w.client, both},
	}
}

// handshake is one of crypto/tls.
func (tt target) handshake(t *testing.T, change func(*tls.Config)) (tls.ConnectionState, error) {
	t.Helper()
	c := tt.client.Clone()
	change(c)
	conn, err := tls.Dial("tcp", tt.address, c)
	if err != nil {
		return tls.ConnectionState{}, err
	}
	defer conn.Close()
	return conn.ConnectionState(), nil
}

// Wherever the gateway is a TLS server it speaks the baseline, and nothing else: of
// all versions, cipher suites and compression methods that a client can name, those
// named here are accepted.
func TestTLSBaseline(t *testing.T) {
	w := newWorld(t)
	// Certificates are P-256 here; with an RSA one the suites are those of RSA.
	suites12 := []uint16{
		tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256, tls.TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384,
		tls.TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256,
	}
	suites13 := []uint16{tls.TLS_AES_128_GCM_SHA256, tls.TLS_AES_256_GCM_SHA384, tls.TLS_CHACHA20_POLY1305_SHA256}
	for _, tt := range w.targets(t) {
		t.Run(tt.name, func(t *testing.T) {
			for version, want := range map[uint16][]uint16{ssl3: nil, tls10: nil, tls11: nil, tls12: suites12, tls13: suites13} {
				got := accepted(t, tt.address, version)
				slices.Sort(got)
				slices.Sort(want)
				if d := cmp.Diff(want, got); d != "" {
					t.Errorf("suites of version %#x (-want +got):\n%s", version, d)
				}
			}
			// SSL 2.0: CLIENT-HELLO, its version, seven suites of three bytes, a challenge.
			ssl2 := append([]byte{0x80, 46, 1, 0, 2, 0, 21, 0, 0, 0, 16}, bytes.Repeat([]byte{7, 0, 0xc0}, 7)...)
			if _, err := ask(t, tt.address, append(ssl2, make([]byte, 16)...)); err == nil {
				t.Error("SSL 2.0 is answered")
			}
			chosen, err := ask(t, tt.address, hello{version: tls12, suites: suites12, compression: []byte{1, 64, 0}}.bytes())
			switch {
			case err != nil:
				t.Errorf("with compression offered: %v", err)
			case chosen.compression != 0:
				t.Errorf("compression method %d was chosen", chosen.compression)
			case slices.Contains(chosen.extensions, extensionHeartbeat):
				t.Error("heartbeats are offered")
			case !slices.Contains(chosen.extensions, extensionRenegotiation), !slices.Contains(chosen.extensions, extensionExtendedMaster):
				t.Errorf("extensions %v: RFC 5746 and RFC 7627 are missing", chosen.extensions)
			case !bytes.HasSuffix(chosen.random, []byte("DOWNGRD\x01")):
				t.Error("TLS 1.2 bears no mark of a downgrade (RFC 8446 section 4.1.3)")
			}
			if _, err := ask(t, tt.address, hello{version: tls12, suites: suites12, compression: []byte{1}}.bytes()); err == nil {
				t.Error("a client that can only compress is answered")
			}
			_, err = ask(t, tt.address, hello{version: tls12, suites: append([]uint16{fallbackSCSV}, suites12...)}.bytes())
			if refused := alert(0); !errors.As(err, &refused) || refused != alertInappropriateFallback {
				t.Errorf("a fallback to TLS 1.2 gets %v", err)
			}
		})
	}
}

// Keys are exchanged by the groups of crypto/tls, the hybrid one against quantum
// computers before others.
func TestTLSGroups(t *testing.T) {
	w := newWorld(t)
	for _, tt := range w.targets(t) {
		t.Run(tt.name, func(t *testing.T) {
			state, err := tt.handshake(t, func(*tls.Config) {})
			if err != nil || state.Version != tls.VersionTLS13 || state.CurveID != tls.X25519MLKEM768 {
				t.Errorf("%v, version %#x, group %v", err, state.Version, state.CurveID)
			}
			for _, group := range []tls.CurveID{tls.X25519, tls.CurveP256, tls.CurveP384, tls.CurveP521} {
				for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
					state, err := tt.handshake(t, func(c *tls.Config) {
						c.MaxVersion, c.CurvePreferences = version, []tls.CurveID{group}
					})
					if err != nil || state.CurveID != group || state.Version != version {
						t.Errorf("%v by version %#x: %v", group, version, err)
					}
				}
			}
		})
	}
}

// By ALPN there is what the place speaks; a client that speaks something else gets no
// connection (RFC 7301 section 3.2), one that says nothing gets HTTP/1.1.
func TestTLSProtocols(t *testing.T) {
	w := newWorld(t)
	for _, tt := range w.targets(t) {
		t.Run(tt.name, func(t *testing.T) {
			for _, offer := range []string{"h2", "http/1.1", "http/1.0", "h2c", "spdy/3.1", ""} {
				state, err := tt.handshake(t, func(c *tls.Config) {
					if offer != "" {
						c.NextProtos = []string{offer}
					}
				})
				if want := offer == "" || slices.Contains(tt.protocols, offer); (err == nil) != want || err == nil && state.NegotiatedProtocol != offer {
					t.Errorf("%q: %q, %v", offer, state.NegotiatedProtocol, err)
				}
			}
		})
	}
}

// Sessions are resumed, with a fresh key exchange in TLS 1.3, and without early data,
// which could be replayed.
func TestTLSResumption(t *testing.T) {
	w := newWorld(t)
	for _, tt := range w.targets(t) {
		for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
			t.Run(tt.name+" "+tls.VersionName(version), func(t *testing.T) {
				cache := &sessions{ClientSessionCache: tls.NewLRUClientSessionCache(1)}
				c := tt.client.Clone()
				c.ClientSessionCache, c.MaxVersion, c.NextProtos = cache, version, []string{"http/1.1"}
				for i := range 2 {
					conn, err := tls.Dial("tcp", tt.address, c)
					if err != nil {
						t.Fatal(err)
					}
					if state := conn.ConnectionState(); state.DidResume != (i == 1) || state.CurveID == 0 && version == tls.VersionTLS13 {
						t.Errorf("handshake %d: resumed %v, group %v", i+1, state.DidResume, state.CurveID)
					}
					// Tickets of TLS 1.3 come before the first answer.
					_ = conn.SetDeadline(time.Now().Add(30 * time.Second))
					_, _ = io.WriteString(conn, "GET / HTTP/1.1\r\nHost: "+tt.address+"\r\nConnection: close\r\n\r\n")
					if b, err := io.ReadAll(conn); len(b) == 0 {
						t.Errorf("no answer: %v", err)
					}
					conn.Close()
				}
				if cache.early {
					t.Error("a ticket allows early data")
				}
			})
		}
	}
}

// sessions is a client's cache that looks at what is put in.
type sessions struct {
	tls.ClientSessionCache
	early bool
}

func (s *sessions) Put(key string, session *tls.ClientSessionState) {
	if session != nil {
		if _, state, err := session.ResumptionState(); err == nil {
			s.early = s.early || state.EarlyData
		}
	}
	s.ClientSessionCache.Put(key, session)
}

// What a tunnel shows is a leaf for its host alone, of P-256, good for a week, and
// whom it is signed by; the root, which clients have, is not sent.
func TestTLSCertificates(t *testing.T) {
	w := newWorld(t)
	inside := w.targets(t)[0]
	state, err := inside.handshake(t, func(*tls.Config) {})
	if err != nil {
		t.Fatal(err)
	}
	chain := state.PeerCertificates
	if len(chain) != 2 || len(state.VerifiedChains) != 1 || len(state.VerifiedChains[0]) != 3 {
		t.Fatalf("%d certificates were sent", len(chain))
	}
	for i, c := range chain {
		key, ok := c.PublicKey.(*ecdsa.PublicKey)
		if !ok || key.Curve != elliptic.P256() || c.SignatureAlgorithm != x509.ECDSAWithSHA256 {
			t.Errorf("certificate %d: key %T, signature %v", i, c.PublicKey, c.SignatureAlgorithm)
		}
		if err := c.CheckSignatureFrom(state.VerifiedChains[0][i+1]); err != nil {
			t.Errorf("certificate %d is not signed by the next: %v", i, err)
		}
		if c.SerialNumber.Sign() <= 0 || len(c.SerialNumber.Bytes()) > 20 || c.SerialNumber.BitLen() < 64 {
			t.Errorf("certificate %d: serial number %x", i, c.SerialNumber)
		}
	}
	leaf := chain[0]
	host, _, _ := net.SplitHostPort(w.tunnels)
	switch {
	case len(leaf.IPAddresses) != 1 || leaf.IPAddresses[0].String() != host || len(leaf.DNSNames)+len(leaf.URIs)+len(leaf.EmailAddresses) != 0:
		t.Errorf("names %v %v", leaf.IPAddresses, leaf.DNSNames)
	case leaf.IsCA || !leaf.BasicConstraintsValid || leaf.KeyUsage != x509.KeyUsageDigitalSignature:
		t.Errorf("CA %v, key usage %b", leaf.IsCA, leaf.KeyUsage)
	case !slices.Equal(leaf.ExtKeyUsage, []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}) || len(leaf.UnknownExtKeyUsage) > 0:
		t.Errorf("extended key usage %v", leaf.ExtKeyUsage)
	case leaf.NotAfter.Sub(leaf.NotBefore) > 8*24*time.Hour:
		t.Errorf("valid from %v until %v", leaf.NotBefore, leaf.NotAfter)
	case leaf.Subject.CommonName != "":
		t.Errorf("common name %q", leaf.Subject.CommonName)
	}
}
