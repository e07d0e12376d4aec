package gateway

import (
	"crypto/tls"
	"crypto/x509"
)

// SetProxyTLS is [Options.ProxyTLS] from now on: for each client that connects, and
// ClientCAs for those that are connected, too. Sessions that began under another one
// are not resumed. A gateway without TLS stays one.
func (g *Gateway) SetProxyTLS(c *tls.Config) {
	if g.proxyTLS.Load() != nil && c != nil {
		g.proxyTLS.Store(proxyTLS(c))
	}
}

// SetUpstreamRoots is [Options.UpstreamRoots] from now on. Calls that are under way
// end by the sockets they have; no other call uses those.
func (g *Gateway) SetUpstreamRoots(roots *x509.CertPool) {
	g.roots.Store(roots)
	g.CloseIdle()
}

// CloseIdle closes the upstream sockets that are kept for calls to come, as after
// egress addresses were replaced.
func (g *Gateway) CloseIdle() { g.transports.close() }

// proxyTLS makes c that of the proxy listener.
func proxyTLS(c *tls.Config) *tls.Config {
	if c == nil {
		return nil
	}
	// CONNECT is taken over by hijacking, which HTTP/2 has not.
	c = c.Clone()
	c.NextProtos = []string{"http/1.1"}
	if c.ClientCAs != nil {
		// Verified by identify, so that a certificate that isn't good gets
		// an answer and a record like any other failed identification.
		c.ClientAuth = tls.RequestClientCert
	}
	return c
}

// insideTLS is the configuration of tunnels as long as one root signs for them.
type insideTLS struct {
	root   *x509.Certificate
	config *tls.Config
}

// config is that of a tunnel which begins now. When another root has come, sessions
// of the one before are not resumed: clients are to see what they have to trust.
func (ts *tunnels) config() *tls.Config {
	root := ts.gateway.options.Authority.Root()
	for {
		present := ts.tls.Load()
		if present != nil && present.root == root {
			return present.config
		}
		if next := (&insideTLS{root, ts.newConfig()}); ts.tls.CompareAndSwap(present, next) {
			return next.config
		}
	}
}
