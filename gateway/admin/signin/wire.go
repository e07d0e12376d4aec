package signin

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"

	"jiragate/certs/baseline"
)

// Bounds of what is exchanged with a provider.
const (
	patience       = 10 * time.Second // for one answer, and for all of a sign-in
	maxAnswer      = 1 << 20          // bytes of a body
	maxAnswerHead  = 64 << 10
	maxConnections = 8 // at once
	idleTimeout    = 30 * time.Second
)

// newTransport is the way to a provider: the system's route, and no proxy, whatever
// the environment says.
func newTransport(roots *x509.CertPool) *http.Transport {
	return &http.Transport{
		Proxy:                  nil,
		DialContext:            (&net.Dialer{Timeout: patience}).DialContext,
		TLSClientConfig:        baseline.TLS(&tls.Config{RootCAs: roots}),
		TLSHandshakeTimeout:    patience,
		ForceAttemptHTTP2:      true,
		DisableCompression:     true, // what is small may unpack to what is not
		MaxConnsPerHost:        maxConnections,
		MaxIdleConnsPerHost:    1,
		MaxResponseHeaderBytes: maxAnswerHead,
		IdleConnTimeout:        idleTimeout,
	}
}

// newClient follows no redirects, and keeps no cookies.
func newClient(roots *x509.CertPool) *http.Client {
	return &http.Client{
		Transport: bounded{newTransport(roots)},
		Timeout:   patience, // keys are fetched without a deadline of the caller's
		CheckRedirect: func(*http.Request, []*http.Request) error {
			return http.ErrUseLastResponse
		},
	}
}

// bounded makes long bodies fail.
type bounded struct{ next *http.Transport }

func (b bounded) RoundTrip(r *http.Request) (*http.Response, error) {
	res, err := b.next.RoundTrip(r)
	if err == nil {
		res.Body = http.MaxBytesReader(nil, res.Body, maxAnswer)
	}
	return res, err
}

// reason is an error in words of our own.
type reason string

func (r reason) Error() string { return string(r) }

// whyNot says why there is no answer of use. The words are its own: errors of the
// libraries quote URLs, certificates, and bodies that may hold tokens.
func whyNot(err error) string {
	var (
		own         reason
		mismatch    *oidc.IssuerMismatchError
		retrieve    *oauth2.RetrieveError
		dns         *net.DNSError
		op          *net.OpError
		certificate *tls.CertificateVerificationError
		record      tls.RecordHeaderError
		timeout     net.Error
	)
	isOp := errors.As(err, &op)
	switch {
	case errors.As(err, &own):
		return string(own)
	case errors.As(err, &mismatch):
		return fmt.Sprintf("it says that its issuer is %.200q; configured is %q, and they must be the same letter for letter", mismatch.Discovered, mismatch.Provided)
	case errors.As(err, &retrieve):
		return "its token endpoint answered " + answered(retrieve)
	case errors.As(err, &dns):
		return "its name can't be resolved"
	case errors.As(err, &certificate):
		return "its certificate can't be verified"
	case errors.As(err, &record), isOp && (op.Op == "remote error" || op.Op == "local error"): // crypto/tls: an alert
		return "the TLS handshake failed"
	case errors.Is(err, context.Canceled):
		return "the browser didn't wait for it"
	case errors.Is(err, context.DeadlineExceeded), errors.As(err, &timeout) && timeout.Timeout():
		return "there was no answer in time"
	case isOp && op.Op == "dial":
		return "it can't be connected to"
	}
	return "its answer is an error, is not what it should be, or is longer than 1 MiB"
}

func answered(e *oauth2.RetrieveError) string {
	if code := knownCode(e.ErrorCode); code != "" {
		return code
	}
	if e.Response != nil {
		return fmt.Sprintf("with status %d", e.Response.StatusCode)
	}
	return "with an error"
}

// exchangeFailed tells a code that isn't taken from a provider that doesn't work.
func exchangeFailed(err error) failure {
	var e *oauth2.RetrieveError
	if errors.As(err, &e) && e.ErrorCode == "invalid_grant" {
		return providerRefused(whyNot(err))
	}
	return providerUnavailable(whyNot(err))
}

// errorCodes are those of RFC 6749 sections 4.1.2.1 and 5.2, and of OpenID Connect
// Core 1.0 section 3.1.2.6. Others aren't quoted: anybody can make them up.
var errorCodes = []string{
	"invalid_request", "unauthorized_client", "access_denied", "unsupported_response_type", "invalid_scope",
	"server_error", "temporarily_unavailable", "invalid_client", "invalid_grant", "unsupported_grant_type",
	"interaction_required", "login_required", "account_selection_required", "consent_required",
	"registration_not_supported", "request_not_supported",
}

func knownCode(code string) string {
	if slices.Contains(errorCodes, code) {
		return code
	}
	return ""
}

// whyInvalid says what is wrong with an ID token. go-oidc has a type for one of its
// errors only, and texts that quote what they are about for the rest.
func whyInvalid(err error) string {
	var expired *oidc.TokenExpiredError
	text := err.Error()
	switch {
	case errors.As(err, &expired):
		return "the ID token has expired"
	case strings.Contains(text, "expected audience"):
		return "the ID token is for another client (aud)"
	case strings.Contains(text, "issued by a different provider"):
		return "the ID token is of another issuer (iss)"
	case strings.Contains(text, "before the nbf"):
		return "the ID token is not valid yet (nbf)"
	case strings.Contains(text, "fetching keys"):
		return "the ID token can't be verified: no key of the provider fits, and there was no answer to a request for others"
	case strings.Contains(text, "verify"):
		return "the ID token is not signed by a key of the provider"
	}
	return "the ID token can't be read, or is signed by an algorithm that the provider doesn't name"
}
