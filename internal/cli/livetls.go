package cli

import (
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net"
	"sync/atomic"
	"time"

	"jiragate/certs/baseline"
	"jiragate/internal/privatefile"
)

// liveTLS is the TLS of a listener, whose files can be read again while it listens. A
// new one has new keys for session tickets, so that nobody resumes what began under
// the one before. Reading is for one goroutine at a time.
type liveTLS struct {
	variables         string // as errors name them
	certFile, keyFile string
	caFile            string // of client certificates; empty means none
	protocols         []string
	put               func(*tls.Config) // is told of each new one; nil means nobody is

	pair            tls.Certificate
	cas             *x509.CertPool
	pairSum, casSum digest
	current         atomic.Pointer[tls.Config]
}

// digest is the SHA-256 of files.
type digest [sha256.Size]byte

// openTLS reads the TLS of a listener; nil where it has no certificate.
func openTLS(live *liveTLS) (*liveTLS, error) {
	if live.certFile == "" {
		return nil, nil
	}
	for _, read := range []func() (func(), error){live.readPair, live.readCAs} {
		put, err := read()
		if err != nil {
			return nil, err
		}
		if put != nil {
			put()
		}
	}
	return live, nil
}

// config is the one in force; nil without TLS.
func (l *liveTLS) config() *tls.Config {
	if l == nil {
		return nil
	}
	return l.current.Load()
}

// readPair reads certificate and key. put, nil if they are the same, puts them in
// force.
func (l *liveTLS) readPair() (put func(), err error) {
	fail := func(err error) (func(), error) { return nil, fmt.Errorf("%s: %w", l.variables, err) }
	cert, err := privatefile.ReadTrusted(l.certFile)
	if err != nil {
		return fail(err)
	}
	key, err := privatefile.ReadSecret(l.keyFile)
	if err != nil {
		return fail(err)
	}
	defer clear(key)
	sum := sumOf(cert, key)
	if sum == l.pairSum {
		return nil, nil
	}
	pair, err := tls.X509KeyPair(cert, key)
	if err != nil {
		return fail(fmt.Errorf("%s and %s: %w", l.certFile, l.keyFile, err))
	}
	if again := l.current.Load() != nil; again { // a gateway that starts has no better one
		if now := time.Now(); now.Before(pair.Leaf.NotBefore) || now.After(pair.Leaf.NotAfter) {
			return fail(fmt.Errorf("the certificate in %s is valid from %s to %s, which does not include now: put one there that is", l.certFile, timeText(pair.Leaf.NotBefore), timeText(pair.Leaf.NotAfter)))
		}
	}
	return func() {
		l.pair, l.pairSum = pair, sum
		l.renew()
	}, nil
}

// readCAs is readPair for the CAs of client certificates.
func (l *liveTLS) readCAs() (put func(), err error) {
	if l.caFile == "" {
		return nil, nil
	}
	content, err := privatefile.ReadTrusted(l.caFile)
	if err != nil {
		return nil, fmt.Errorf("JIRAGATE_PROXY_CLIENT_CA: %w", err)
	}
	sum := sumOf(content)
	if sum == l.casSum {
		return nil, nil
	}
	cas := x509.NewCertPool()
	if err := addRootsOf(cas, l.caFile, content); err != nil {
		return nil, fmt.Errorf("JIRAGATE_PROXY_CLIENT_CA: %w", err)
	}
	return func() {
		l.cas, l.casSum = cas, sum
		l.renew()
	}, nil
}

func (l *liveTLS) renew() {
	config := baseline.TLS(&tls.Config{Certificates: []tls.Certificate{l.pair}, NextProtos: l.protocols})
	if l.cas != nil {
		// Asked for, not demanded: a client may have a token instead.
		config.ClientCAs, config.ClientAuth = l.cas, tls.VerifyClientCertIfGiven
	}
	l.current.Store(config)
	if l.put != nil {
		l.put(config)
	}
}

func sumOf(contents ...[]byte) digest {
	h := sha256.New()
	for _, c := range contents {
		fmt.Fprintf(h, "%d\n", len(c))
		h.Write(c)
	}
	return digest(h.Sum(nil))
}

// encrypted is l, with TLS unless live is nil.
func encrypted(l net.Listener, live *liveTLS) net.Listener {
	if live == nil {
		return l
	}
	return &tlsListener{l, live}
}

// tlsListener gives each connection the TLS that is in force when it begins.
type tlsListener struct {
	net.Listener
	live *liveTLS
}

func (l *tlsListener) Accept() (net.Conn, error) {
	conn, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return tls.Server(conn, l.live.config()), nil
}

// webTLS is the TLS of a listener for the API or for pages; nil without a certificate.
func webTLS(certFile, keyFile, variables string) (*liveTLS, error) {
	return openTLS(&liveTLS{certFile: certFile, keyFile: keyFile, variables: variables, protocols: []string{"h2", "http/1.1"}})
}

// proxyTLS is the TLS of an HTTPS proxy listener, nil for a plain one.
func proxyTLS(c Config) (*liveTLS, error) {
	return openTLS(&liveTLS{
		certFile: c.ProxyTLSCert, keyFile: c.ProxyTLSKey, caFile: c.ProxyClientCA, variables: "JIRAGATE_PROXY_TLS_CERT and _KEY",
	})
}
