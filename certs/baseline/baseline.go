// Package baseline says which TLS the gateway speaks, on every listener and to every
// server: versions 1.2 and 1.3, and of 1.2 only authenticated encryption with
// forward secrecy. It knows nothing else: certificates and roots are the caller's.
package baseline

import "crypto/tls"

// TLS makes c keep to the baseline, and returns it.
//
// The suites are those of TLS 1.2 that RFC 9325 section 4.2 recommends; all others
// HTTP/2 refuses (RFC 9113 appendix A), and those of 1.3 are all good. Java speaks
// them since version 8, Windows with RSA certificates since 10 and Server 2016.
// Which of them goes first crypto/tls decides, by what the machine is fast at.
// Curves are its defaults, X25519MLKEM768 first.
func TLS(c *tls.Config) *tls.Config {
	c.MinVersion = tls.VersionTLS12
	c.CipherSuites = []uint16{
		tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256,
		tls.TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384,
		tls.TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256,
		tls.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
		tls.TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,
		tls.TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256,
	}
	return c
}
