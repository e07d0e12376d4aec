package etcd

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync"
	"time"

	"jiragate/tokenstore"
)

// alertPatience is how long is waited for a member to refuse a connection that is open: with
// TLS 1.3 that comes after the handshake, and one that takes it says nothing.
const alertPatience = 500 * time.Millisecond

// explained adds to an error why no connection could be made, of which etcd's client says nothing.
func explained(ctx context.Context, o Options, err error) error {
	if o.TLS == nil || !errors.Is(err, tokenstore.ErrUnavailable) {
		return err
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), requestTimeout)
	defer cancel()
	reasons := make([]error, len(o.Endpoints))
	var all sync.WaitGroup
	for i, endpoint := range o.Endpoints {
		all.Go(func() { reasons[i] = try(ctx, o.TLS, strings.TrimPrefix(endpoint, "https://")) })
	}
	all.Wait()
	// One member that is down stops nothing, but what is wrong with certificates is so with each.
	worst := -1
	for i, why := range reasons {
		if why != nil && (worst < 0 || unreachable(reasons[worst]) && !unreachable(why)) {
			worst = i
		}
	}
	if worst < 0 {
		return fmt.Errorf("%w: each member takes connections: do most of them run, and reach each other?", err)
	}
	return fmt.Errorf("%w: connecting to %s: %w", err, o.Endpoints[worst], reasons[worst])
}

// try connects to a member, and says what to look at if it can't.
func try(ctx context.Context, config *tls.Config, address string) error {
	dialer := tls.Dialer{Config: config}
	conn, err := dialer.DialContext(ctx, "tcp", address)
	if err == nil {
		_ = conn.SetReadDeadline(time.Now().Add(alertPatience))
		_, err = conn.Read(make([]byte, 1))
		conn.Close()
	}
	op, ok := errors.AsType[*net.OpError](err)
	alert := ok && op.Op == "remote error" // as of crypto/tls
	_, certificate := errors.AsType[*tls.CertificateVerificationError](err)
	_, name := errors.AsType[x509.HostnameError](err)
	switch {
	case name:
		return fmt.Errorf("%w: name members as their certificates do", err)
	case certificate:
		return fmt.Errorf("%w: check the CA certificates of the store", err)
	case alert:
		return fmt.Errorf("%w: check the client certificate of the store, which members must trust", err)
	case unreachable(err):
		return err
	}
	return nil // nothing was to be read
}

// unreachable reports whether nobody answered.
func unreachable(err error) bool {
	op, ok := errors.AsType[*net.OpError](err)
	return ok && op.Op == "dial" || errors.Is(err, context.DeadlineExceeded)
}
