package offsite

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	"jiragate/certs/baseline"
	"jiragate/tokenstore/secret"
)

const (
	// postTimeout is for a whole delivery.
	postTimeout = 10 * time.Second

	// maxAnswerHead bounds the head of an answer, in bytes. The body is not read.
	maxAnswerHead = 16 << 10

	maxToken = 4096
)

// parseEndpoint reads the URL of an endpoint. Its errors quote nothing of it.
func parseEndpoint(s string) (Place, error) {
	u, err := url.Parse(s)
	if err != nil || u.Opaque != "" || !isHost(u.Hostname()) {
		return Place{}, errors.New("it is no URL of the form https://HOST/PATH")
	}
	switch {
	case u.User != nil:
		return Place{}, errors.New("the URL has a user name or a password in it: use the bearer token")
	case u.Fragment != "":
		return Place{}, errors.New("the URL has a fragment (#…), which is never sent")
	case u.Scheme == "http" && !isThisMachine(u.Hostname()):
		return Place{}, errors.New("the URL is http, which is for this machine only (localhost): use https")
	case u.Scheme != "https" && u.Scheme != "http":
		return Place{}, errors.New("the URL is not https")
	}
	p := Place{kind: KindEndpoint, url: secret.New(u.String()), plain: u.Scheme == "http", public: u.Scheme + "://" + u.Host}
	if u.Path != "" && u.Path != "/" || u.RawQuery != "" {
		p.public += "/…"
	}
	return p, nil
}

// isHost reports whether host has only characters of host names and addresses.
func isHost(host string) bool {
	if _, err := netip.ParseAddr(host); err == nil {
		return !strings.Contains(host, "%")
	}
	return host != "" && !strings.ContainsFunc(host, func(r rune) bool {
		return !isLetterOrDigit(r) && !strings.ContainsRune("-._", r)
	})
}

// isThisMachine: RFC 6761 section 6.3 for the name. Where that leads is looked at
// again when it is dialled.
func isThisMachine(host string) bool {
	addr, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && addr.IsLoopback()
}

// checkToken reports what keeps s from being sent as a bearer token (RFC 6750
// section 2.1). The error quotes nothing.
func checkToken(s string) error {
	if len(s) > maxToken {
		return fmt.Errorf("the token for endpoints of checkpoints is longer than %d bytes", maxToken)
	}
	if strings.ContainsFunc(s, func(r rune) bool { return !isLetterOrDigit(r) && !strings.ContainsRune("-._~+/=", r) }) {
		return errors.New("the token for endpoints of checkpoints has other characters than letters, digits and -._~+/= (RFC 6750)")
	}
	return nil
}

// endpoint posts checkpoints.
type endpoint struct {
	url       secret.Secret
	token     *atomic.Pointer[secret.Secret] // which may be empty
	transport http.RoundTripper
}

// newTransport returns the way to a place. It makes a new connection each time: at
// one delivery a minute the old one would often be gone, and a POST on it fail.
func newTransport(p Place, roots *x509.CertPool) *http.Transport {
	dialer := net.Dialer{Timeout: postTimeout}
	if p.plain {
		dialer.Control = refuseElsewhere
	}
	return &http.Transport{
		Proxy:                  nil,
		DialContext:            dialer.DialContext,
		TLSClientConfig:        baseline.TLS(&tls.Config{RootCAs: roots}),
		ForceAttemptHTTP2:      true,
		DisableKeepAlives:      true,
		DisableCompression:     true,
		MaxResponseHeaderBytes: maxAnswerHead,
	}
}

// refuseElsewhere keeps what is not encrypted on this machine, whatever localhost
// resolves to.
func refuseElsewhere(_, address string, _ syscall.RawConn) error {
	if addr, err := netip.ParseAddrPort(address); err != nil || !addr.Addr().Unmap().IsLoopback() {
		return errElsewhere
	}
	return nil
}

var errElsewhere = errors.New("its name leads to another machine, and http is for this one only: use https")

func (e *endpoint) carry(ctx context.Context, c *checkpoint) error {
	ctx, cancel := context.WithTimeout(ctx, postTimeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, e.url.Reveal(), bytes.NewReader(c.signed))
	if err != nil {
		return errors.New("the request can't be made of its URL") // err quotes it
	}
	req.Header.Set("Content-Type", "text/plain; charset=utf-8")
	req.Header.Set("User-Agent", "jiragate")
	if token := e.token.Load(); !token.IsZero() {
		req.Header.Set("Authorization", "Bearer "+token.Reveal())
	}
	// The transport itself: it follows no redirect and keeps no cookie.
	res, err := e.transport.RoundTrip(req)
	if err != nil {
		return withoutAnswer(err)
	}
	// The status has said it all. What the body says is the endpoint's, and might
	// be the token that it got.
	_ = res.Body.Close()
	return judge(res.StatusCode)
}

// judge says what a status means; nil is that the endpoint has the checkpoint.
func judge(status int) error {
	switch {
	case status >= 200 && status < 300:
		return nil
	case status >= 300 && status < 400:
		return fmt.Errorf("it answers %d, a redirect, which is not followed: configure the URL where it leads", status)
	case status == http.StatusUnauthorized, status == http.StatusForbidden:
		return fmt.Errorf("it answers %d: check the token", status)
	case status == http.StatusConflict:
		return fmt.Errorf("it answers %d: it may have another checkpoint, of a history that this log has not; compare them", status)
	}
	return fmt.Errorf("it answers %d", status)
}

// withoutAnswer says in words of its own why there is no answer: err may quote
// the URL, names of certificates, and what the other side sent.
func withoutAnswer(err error) error {
	var timeout net.Error
	if errors.Is(err, context.DeadlineExceeded) || errors.As(err, &timeout) && timeout.Timeout() {
		return fmt.Errorf("it did not answer within %v", postTimeout)
	}
	if errors.Is(err, context.Canceled) {
		return errors.New("the attempt was given up")
	}
	if errors.Is(err, errElsewhere) {
		return errElsewhere
	}
	if _, ok := errors.AsType[*tls.CertificateVerificationError](err); ok {
		return errors.New("its certificate can't be verified")
	}
	if _, ok := errors.AsType[*net.DNSError](err); ok {
		return errors.New("its name can't be resolved")
	}
	if op, ok := errors.AsType[*net.OpError](err); ok && op.Op == "dial" {
		return errors.New("it can't be connected to")
	}
	return errors.New("TLS failed, the connection broke off, or the answer was no HTTP")
}
