package cli

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"sync/atomic"
	"time"

	"jiragate/certs/baseline"
	"jiragate/gateway/egress"
	"jiragate/gateway/egress/echo"
	"jiragate/gateway/egress/register"
)

// wayOut is how everything leaves that is bound to an egress address.
type wayOut struct {
	config   Config
	egress   *egress.Egress
	register *register.Register
	roots    atomic.Pointer[x509.CertPool] // nil means the system's
	rootsSum digest                        // of their file; for who reads it again
}

// openWayOut makes the egress. Calls leave from the addresses that are in use by
// the register; one that it has never heard of counts as in use. own are the
// gateway's listeners.
func openWayOut(c Config, r *register.Register, own []netip.AddrPort, logger *slog.Logger) (*wayOut, error) {
	if err := pinnedAsPublished(c, r); err != nil {
		return nil, err
	}
	roots, sum, err := upstreamRoots(c.UpstreamCAFile)
	if err != nil {
		return nil, err
	}
	e, err := egress.New(egress.Options{
		Addresses:    c.Egress,
		InUse:        func(public netip.Addr) bool { return mayLeave(r, public) },
		ProxyRoots:   roots,
		AllowPrivate: c.EgressAllowPrivate,
		Own:          own,
		Logger:       logger,
	})
	if err != nil {
		return nil, fmt.Errorf("JIRAGATE_EGRESS: %w", err)
	}
	w := &wayOut{config: c, egress: e, register: r, rootsSum: sum}
	w.roots.Store(roots)
	return w, nil
}

// mayLeave reports whether calls may leave from an address at this time.
func mayLeave(r *register.Register, public netip.Addr) bool {
	return r.InUse(public, time.Now()) || !r.Heard(public)
}

// pinnedAsPublished refuses to call from anywhere while customers are told of
// addresses.
func pinnedAsPublished(c Config, r *register.Register) error {
	if len(c.Egress) > 0 {
		return nil
	}
	for _, e := range r.Entries() {
		if e.State(time.Now()) != register.StateRetired {
			return hint(fmt.Errorf("JIRAGATE_EGRESS is not set, although %s is published as an egress address: calls would leave from anywhere", e.Address),
				"set JIRAGATE_EGRESS; or tell customers that the address is used no more: jiragate egress retire %s", e.Address)
		}
	}
	return nil
}

func openRegister(c Config) (*register.Register, error) {
	return register.Open(c.registerFile(), string(c.Region))
}

func publicAddresses(c Config) []netip.Addr { return publicOf(c.Egress) }

func publicOf(addresses []egress.Address) []netip.Addr {
	var public []netip.Addr
	for _, a := range addresses {
		public = append(public, a.Public)
	}
	return public
}

// public are the egress addresses as they are now.
func (w *wayOut) public() []netip.Addr { return publicOf(w.egress.Addresses()) }

// echoOptions ask services, or those configured if there are none, through each
// egress address.
func (w *wayOut) echoOptions(services []string) echo.Options {
	if len(services) == 0 {
		services = w.config.EgressEcho
	}
	if len(services) == 0 {
		services = strings.Split(echo.DefaultServices, ",")
	}
	return echo.Options{Addresses: w.public(), Services: services, Transport: w.from}
}

// from is a transport whose sockets leave from one egress address and no other.
func (w *wayOut) from(public netip.Addr) http.RoundTripper {
	return &http.Transport{
		DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
			return w.egress.DialFrom(ctx, public, network, address)
		},
		TLSClientConfig:        baseline.TLS(&tls.Config{RootCAs: w.roots.Load()}),
		TLSHandshakeTimeout:    10 * time.Second,
		MaxResponseHeaderBytes: 64 << 10,
		DisableKeepAlives:      true,
	}
}

func (w *wayOut) verify(ctx context.Context, services []string) (*echo.Report, error) {
	return echo.Verify(ctx, w.echoOptions(services))
}

// usedDiffers is an error if the last report says of an address in use that calls
// come from another one.
func (w *wayOut) usedDiffers(last *echo.Report) error {
	if last == nil {
		return nil
	}
	used := *last
	used.Addresses = nil
	for _, r := range last.Addresses {
		if w.register.InUse(r.Public, time.Now()) {
			used.Addresses = append(used.Addresses, r)
		}
	}
	return used.Err()
}

// verifyLater asks echo services once the way out is open.
func verifyLater(open func() (*wayOut, error)) func(context.Context, []string) (*echo.Report, error) {
	return func(ctx context.Context, services []string) (*echo.Report, error) {
		w, err := open()
		if err != nil {
			return nil, err
		}
		return w.verify(ctx, services)
	}
}
