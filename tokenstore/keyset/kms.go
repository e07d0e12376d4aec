package keyset

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/tink-crypto/tink-go/v2/tink"
)

const (
	// kmsTimeout bounds one encryption or decryption by a key management service,
	// retries of its client and the search for credentials included.
	kmsTimeout = 30 * time.Second

	// maxAnswer is the most that is read of an answer, in bytes: a keyset in base64,
	// with room to spare.
	maxAnswer = 1 << 20

	// kmsAssociatedData says what is encrypted, to the service too: it shows in AWS's
	// and Google's logs. Without it a decryption fails.
	kmsAssociatedData = "jiragate keyset"
)

// kmsKey is a key of a key management service, under which keysets are encrypted.
type kmsKey struct {
	uri     string // canonical, with //
	service service
	timeout time.Duration
}

// service is what differs between key management services.
type service interface {
	// connect makes what encrypts and decrypts under the key. It is used for a few
	// calls within ctx and then closed: a keyset is read at start and written when a
	// key is added, so that a connection and credentials would only grow old.
	connect(ctx context.Context) (a tink.AEADWithContext, close func(), err error)

	// explain says in words of this package what an error of the service means, "" if
	// it doesn't know. Nothing of what the service wrote is in it.
	explain(err error) string

	// access says where the credentials are looked for and what they must allow.
	access() string
}

// known is an error in words of this package, fit for printing as it is.
type known string

func (e known) Error() string { return string(e) }

// parseKMS reads the part of a key URI after the scheme. Its errors don't quote
// it: it may hold anything.
func parseKMS(scheme, rest string, o Options) (*kmsKey, error) {
	name := strings.TrimPrefix(rest, "//")
	k := &kmsKey{uri: scheme + "://" + name, timeout: kmsTimeout}
	if o.timeout != 0 {
		k.timeout = o.timeout
	}
	var err error
	switch scheme {
	case "aws-kms":
		k.service, err = parseAWS(name)
	case "gcp-kms":
		k.service, err = parseGoogle(name, o)
	case "hcvault":
		k.service, err = parseVault(name)
	}
	return k, err
}

func (k *kmsKey) encrypt(ctx context.Context, plaintext []byte) ([]byte, error) {
	return k.call(ctx, "encrypting", func(ctx context.Context, a tink.AEADWithContext) ([]byte, error) {
		return a.EncryptWithContext(ctx, plaintext, []byte(kmsAssociatedData))
	})
}

func (k *kmsKey) decrypt(ctx context.Context, ciphertext []byte) ([]byte, error) {
	return k.call(ctx, "decrypting", func(ctx context.Context, a tink.AEADWithContext) ([]byte, error) {
		return a.DecryptWithContext(ctx, ciphertext, []byte(kmsAssociatedData))
	})
}

func (k *kmsKey) call(ctx context.Context, doing string, f func(context.Context, tink.AEADWithContext) ([]byte, error)) ([]byte, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, k.timeout, fmt.Errorf("no answer within %v: %w", k.timeout, context.DeadlineExceeded))
	defer cancel()
	a, closeClient, err := k.service.connect(ctx)
	if err == nil {
		defer closeClient()
		var result []byte
		if result, err = f(ctx, a); err == nil && len(result) > 0 {
			return result, nil
		}
		if err == nil {
			err = known("the service's answer is empty")
		}
	}
	return nil, fmt.Errorf("%s the keyset under %s: %w; %s", doing, k.uri, k.failure(ctx, err), k.service.access())
}

// failure is what err means. It wraps what is known to hold nothing of the
// service's own words.
func (k *kmsKey) failure(ctx context.Context, err error) error {
	if why, ok := errors.AsType[known](err); ok {
		return why
	}
	if why := k.service.explain(err); why != "" {
		return known(why)
	}
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if errors.Is(err, context.DeadlineExceeded) { // of the client's own, if that is shorter
		return fmt.Errorf("no answer in time: %w", context.DeadlineExceeded)
	}
	if _, ok := errors.AsType[*tls.CertificateVerificationError](err); ok {
		return known("the TLS certificate of the service is not one to trust here")
	}
	if network, ok := errors.AsType[*net.OpError](err); ok {
		return network // addresses and the kernel's words
	}
	return known("the service's answer is not one that is understood here")
}

// statusWords says what an HTTP status of a service means, in general.
func statusWords(status int) string {
	switch {
	case status == http.StatusUnauthorized, status == http.StatusForbidden:
		return fmt.Sprintf("access is denied (status %d)", status)
	case status == http.StatusNotFound:
		return "there is no such key (status 404)"
	case status == http.StatusTooManyRequests:
		return "there are too many requests (status 429)"
	case status >= 500 && status < 600:
		return fmt.Sprintf("the service is out of order (status %d)", status)
	case status >= 300 && status < 500:
		return fmt.Sprintf("the service refuses it (status %d)", status)
	}
	return ""
}

// bounded sends a request over TLS or not at all, since it carries the keyset or
// brings it back; reads no more than maxAnswer; and leaves no connection open.
func bounded(req *http.Request, send func(*http.Request) (*http.Response, error)) (*http.Response, error) {
	if req.URL.Scheme != "https" {
		return nil, known("the endpoint that is configured is not https, and the keyset would go there in clear")
	}
	once := req.WithContext(req.Context()) // a copy: a RoundTripper leaves its request alone
	once.Close = true
	resp, err := send(once)
	if err != nil {
		return nil, err
	}
	resp.Body = struct {
		io.Reader
		io.Closer
	}{io.LimitReader(resp.Body, maxAnswer), resp.Body}
	return resp, nil
}
