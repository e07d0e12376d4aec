package applink

import (
	"cmp"
	"context"
	"crypto/rsa"
	"errors"
	"mime"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/dghubble/oauth1"

	"jiragate/tokenstore/secret"
)

// Sign returns the value of the Authorization field that makes req a call in the
// name of whoever gave the token. It covers the method, the host (req.Host, or
// else the URL's), the path and the query; none of them may change afterwards.
// The body is not covered, as none is that isn't a form (RFC 5849 section
// 3.4.1.3.1), and a request with a form for its body is refused. Each value is
// good for one request within five minutes, so that a repeated call needs a new
// one. req is not changed.
//
// The error is [ErrKey], or about a request that can't be signed.
func Sign(req *http.Request, c Consumer, token secret.Secret) (string, error) {
	key, err := parseKey(c.PrivateKey)
	if err != nil {
		return "", err
	}
	if mediaType, _, _ := mime.ParseMediaType(req.Header.Get("Content-Type")); mediaType == "application/x-www-form-urlencoded" {
		return "", errors.New("sign the request: its body is a form, which the signature would have to cover")
	}
	s, err := newSigner(key, req)
	if err != nil {
		return "", err
	}
	var signed capture
	client := oauth1.NewClient(
		context.WithValue(context.Background(), oauth1.HTTPClient, &http.Client{Transport: &signed}),
		&oauth1.Config{ConsumerKey: c.Key, Signer: s},
		oauth1.NewToken(token.Reveal(), ""),
	)
	// oauth1 sees no query: the signer knows it better.
	bare := &http.Request{Method: cmp.Or(req.Method, http.MethodGet), URL: &url.URL{Scheme: "https", Host: "host.invalid", Path: "/"}, Header: http.Header{}}
	if _, err := client.Transport.RoundTrip(bare); !errors.Is(err, errCaptured) {
		return "", errors.New("sign the request: the signature can't be made")
	}
	return signed.authorization, nil
}

// capture is a way to nowhere: it keeps the header that oauth1 made.
type capture struct{ authorization string }

var errCaptured = errors.New("captured")

// RoundTrip implements [http.RoundTripper].
func (c *capture) RoundTrip(req *http.Request) (*http.Response, error) {
	c.authorization = req.Header.Get("Authorization")
	return nil, errCaptured
}

// signer makes the signatures of one request. It implements [oauth1.Signer].
//
// oauth1 knows the parameters of the protocol, but of a repeated parameter in the
// query it signs the first value only, and it takes the port 80 off an https URL.
// So it is not asked: the signer puts in the URI and the query by itself.
type signer struct {
	oauth1.RSASigner
	uri   string
	query []string // name=value, encoded as RFC 5849 section 3.6 has it
}

func newSigner(key *rsa.PrivateKey, req *http.Request) (*signer, error) {
	uri, err := baseURI(req)
	if err != nil {
		return nil, err
	}
	query, err := encodedPairs(req.URL.RawQuery)
	if err != nil {
		return nil, err
	}
	return &signer{RSASigner: oauth1.RSASigner{PrivateKey: key}, uri: uri, query: query}, nil
}

// Sign implements [oauth1.Signer]. base is oauth1's signature base string, from
// which the method and the protocol's parameters are taken.
func (s *signer) Sign(_, base string) (string, error) {
	base, err := s.complete(base)
	if err != nil {
		return "", err
	}
	return s.RSASigner.Sign("", base)
}

// complete returns the signature base string of RFC 5849 section 3.4.1.1.
func (s *signer) complete(base string) (string, error) {
	parts := strings.Split(base, "&")
	if len(parts) != 3 {
		return "", errors.New("the signature base string is not in three parts")
	}
	protocol, err := url.PathUnescape(parts[2])
	if err != nil {
		return "", errors.New("the parameters in the signature base string don't decode")
	}
	pairs := append(strings.Split(protocol, "&"), s.query...)
	slices.SortFunc(pairs, comparePairs)
	return parts[0] + "&" + oauth1.PercentEncode(s.uri) + "&" + oauth1.PercentEncode(strings.Join(pairs, "&")), nil
}

// comparePairs orders by name and then by value (section 3.4.1.3.2).
func comparePairs(a, b string) int {
	nameA, valueA, _ := strings.Cut(a, "=")
	nameB, valueB, _ := strings.Cut(b, "=")
	return cmp.Or(strings.Compare(nameA, nameB), strings.Compare(valueA, valueB))
}

// baseURI is the base string URI (section 3.4.1.2): scheme and host in lower case,
// the port unless it is the scheme's own, and the path as it is sent.
func baseURI(req *http.Request) (string, error) {
	scheme := strings.ToLower(req.URL.Scheme)
	host := strings.ToLower(cmp.Or(req.Host, req.URL.Host))
	if host == "" || req.URL.Opaque != "" {
		return "", errors.New("sign the request: its URL has no host")
	}
	switch scheme {
	case "https":
		host = strings.TrimSuffix(host, ":443")
	case "http":
		host = strings.TrimSuffix(host, ":80")
	default:
		return "", errors.New("sign the request: its URL is neither https nor http")
	}
	return scheme + "://" + host + cmp.Or(req.URL.EscapedPath(), "/"), nil
}

// encodedPairs takes a query apart as Jira's servlet container does, and encodes
// its names and values anew. Java's decoders are stricter than Go's about what is
// not UTF-8: they replace it, and no signature would match.
func encodedPairs(query string) ([]string, error) {
	var out []string
	for pair := range strings.SplitSeq(query, "&") {
		if pair == "" {
			continue
		}
		rawName, rawValue, _ := strings.Cut(pair, "=")
		name, err := url.QueryUnescape(rawName)
		value, err2 := url.QueryUnescape(rawValue)
		if errors.Join(err, err2) != nil || strings.ToValidUTF8(name+value, "") != name+value {
			return nil, errors.New("sign the request: its query holds what is not percent-encoded UTF-8")
		}
		out = append(out, oauth1.PercentEncode(name)+"="+oauth1.PercentEncode(value))
	}
	return out, nil
}
