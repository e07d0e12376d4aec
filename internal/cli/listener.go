package cli

import (
	"crypto/tls"
	"fmt"
	"net"
	"net/netip"

	"jiragate/certs/baseline"
)

func addrPort(l net.Listener) netip.AddrPort {
	a := l.Addr().(*net.TCPAddr).AddrPort() // all are TCP
	return netip.AddrPortFrom(a.Addr().Unmap(), a.Port())
}

// reachable is where l can be reached from this machine: where it listens, and on the
// loopback address if that is everywhere.
func reachable(l net.Listener) string {
	a := addrPort(l)
	switch {
	case !a.Addr().IsUnspecified():
	case a.Addr().Is4():
		a = netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, 1}), a.Port())
	default:
		a = netip.AddrPortFrom(netip.IPv6Loopback(), a.Port())
	}
	return a.String()
}

// listenerTLS is the configuration of a listener with a certificate; nil without one.
func listenerTLS(certFile, keyFile, variables string) (*tls.Config, error) {
	if certFile == "" {
		return nil, nil
	}
	cert, err := tls.LoadX509KeyPair(certFile, keyFile)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", variables, err)
	}
	return baseline.TLS(&tls.Config{Certificates: []tls.Certificate{cert}}), nil
}

// encrypted is l, with TLS unless config is nil.
func encrypted(l net.Listener, config *tls.Config) net.Listener {
	if config == nil {
		return l
	}
	config = config.Clone()
	config.NextProtos = []string{"h2", "http/1.1"}
	return tls.NewListener(l, config)
}
