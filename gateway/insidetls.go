package gateway

import (
	"crypto/tls"
	"slices"

	"jiragate/certs/baseline"
)

// newConfig makes the configuration of tunnels. What a hello may change, a variant has.
func (ts *tunnels) newConfig() *tls.Config {
	variants := make(map[variant]*tls.Config)
	config := baseline.TLS(&tls.Config{
		NextProtos: []string{"h2", "http/1.1"},
		// Called for resumed sessions too, which GetCertificate is not.
		GetConfigForClient: func(hello *tls.ClientHelloInfo) (*tls.Config, error) {
			if err := hello.Conn.(*tunnel).checkName(hello.ServerName); err != nil {
				return nil, err
			}
			return variants[variant{
				http1:   ts.noHTTP2.Load() && slices.Contains(hello.SupportedProtos, "http/1.1"),
				resumes: slices.Contains(hello.Extensions, preSharedKey) && slices.Contains(hello.SupportedCurves, tls.X25519),
			}], nil
		},
		GetCertificate: func(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
			return ts.gateway.options.Authority.Leaf(hello.Conn.(*tunnel).authority.host())
		},
		// Small records are for browsers, which show what has arrived.
		DynamicRecordSizingDisabled: true,
	})
	for _, v := range []variant{{http1: true}, {resumes: true}, {http1: true, resumes: true}} {
		c := config.Clone()
		if v.http1 {
			c.NextProtos = []string{"http/1.1"}
		}
		if v.resumes {
			c.CurvePreferences = []tls.CurveID{tls.X25519}
		}
		variants[v] = c
	}
	return config
}

// variant is in what the configuration for a hello differs.
type variant struct {
	http1 bool // no HTTP/2
	// resumes: the client resumes a session. Its secret goes into the new keys (RFC 8446
	// section 7.1), so they are as safe against what quantum computers may do as the first
	// handshake's were, by a key exchange that takes half the time.
	resumes bool
}

// preSharedKey is the extension by which a session is resumed (RFC 8446 section 4.2.11).
const preSharedKey = 41
