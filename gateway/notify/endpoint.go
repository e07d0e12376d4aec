package notify

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"time"

	"jiragate/certs/baseline"
)

const (
	maxURL = 2048

	// attemptTimeout is for a whole attempt. Standard Webhooks recommends 15 to 30 s.
	attemptTimeout = 15 * time.Second
	dialTimeout    = 10 * time.Second

	// Of an answer's header and body, in bytes. The body is read only so that the
	// connection can be used again.
	maxAnswerHead = 16 << 10
	maxAnswerBody = 4 << 10

	idleTimeout = time.Minute
)

// CheckURL reports what keeps s from being an endpoint: it must be https://…, or
// http://… on this machine (localhost, 127.0.0.0/8, [::1]), without user info and
// fragment. The error quotes nothing, since there may be a token in it.
func CheckURL(s string) error {
	_, err := parseURL(s)
	return err
}

func parseURL(s string) (*url.URL, error) {
	if len(s) > maxURL {
		return nil, fmt.Errorf("the webhook URL is longer than %d bytes", maxURL)
	}
	u, err := url.Parse(s)
	switch {
	case err != nil || u.Hostname() == "" || u.Opaque != "":
		return nil, errors.New("the webhook URL is none: use https://HOST/PATH")
	case u.User != nil:
		return nil, errors.New("the webhook URL has a user name or a password in it: the signature is what the receiver knows the gateway by")
	case u.Fragment != "":
		return nil, errors.New("the webhook URL has a fragment (#…), which is never sent")
	case u.Scheme == "https", u.Scheme == "http" && onLoopback(u.Hostname()):
		return u, nil
	case u.Scheme == "http":
		return nil, errors.New("the webhook URL is http, which is for this machine only (localhost): use https")
	}
	return nil, errors.New("the webhook URL is not https")
}

func onLoopback(host string) bool {
	if host == "localhost" { // RFC 6761 section 6.3
		return true
	}
	addr, err := netip.ParseAddr(host)
	return err == nil && addr.IsLoopback()
}

// NewTransport returns the way to an endpoint whose certificate must lead to one
// of roots; nil means the system's. It uses no proxy, whatever the environment
// says.
func NewTransport(roots *x509.CertPool) *http.Transport {
	return &http.Transport{
		Proxy:                  nil,
		DialContext:            (&net.Dialer{Timeout: dialTimeout}).DialContext,
		TLSClientConfig:        baseline.TLS(&tls.Config{RootCAs: roots}),
		TLSHandshakeTimeout:    dialTimeout,
		ForceAttemptHTTP2:      true,
		DisableCompression:     true,
		MaxConnsPerHost:        maxDeliveries,
		MaxIdleConnsPerHost:    maxDeliveries,
		MaxResponseHeaderBytes: maxAnswerHead,
		IdleConnTimeout:        idleTimeout,
	}
}
