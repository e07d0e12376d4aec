package applink

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/dghubble/oauth1"

	"jiragate/tokenstore/secret"
)

const (
	// maxAnswer bounds the answers of both legs; Jira's have some 200 bytes.
	maxAnswer = 64 << 10
	// maxToken bounds a token; Jira's have 32 characters.
	maxToken = 4 << 10
	// maxLifetime bounds what Jira may say of a token's life; it says five years.
	maxLifetime = 10 * 365 * 24 * time.Hour
	// denied is the verifier that tells of a refusal.
	denied = "denied"
)

// Request is a dance that has begun. It is good for ten minutes.
type Request struct {
	// Token is the request token. Whoever comes back to the callback brings it
	// along as oauth_token; compare the two before calling [AccessToken].
	Token secret.Secret
	// AuthorizeURL is the page of Jira's that asks for consent. The token is in
	// it, so it is not for logs.
	AuthorizeURL string
}

// Access is what a dance ends with.
type Access struct {
	Token    secret.Secret
	Lifetime time.Duration // from now; 0 if Jira does not say, at most ten years
}

// RequestToken begins a dance with the Jira at baseURL, https://HOST[:PORT][/CONTEXT].
// callback is the URL that the browser is to come back to, with the parameters
// oauth_token and oauth_verifier, or "oob" for none: then Jira shows the verifier.
//
// It sends one request through transport, follows no redirect and does not try
// again. ctx bounds it and should have a deadline. The errors are those of this
// package, wrapped.
func RequestToken(ctx context.Context, transport http.RoundTripper, baseURL string, c Consumer, callback string) (Request, error) {
	l, config, err := newLeg(ctx, transport, baseURL, c, "request-token")
	if err != nil {
		return Request{}, err
	}
	config.CallbackURL = callback
	token, _, err := config.RequestToken()
	if err != nil {
		return Request{}, l.classify("asking for a request token")
	}
	if len(token) > maxToken {
		return Request{}, fmt.Errorf("asking for a request token: %w: the token is longer than %d bytes", ErrAnswer, maxToken)
	}
	return Request{
		Token:        secret.New(token),
		AuthorizeURL: l.base + "/plugins/servlet/oauth/authorize?oauth_token=" + url.QueryEscape(token),
	}, nil
}

// AccessToken ends a dance with the verifier that came to the callback, in the
// parameter oauth_verifier. Otherwise it is like [RequestToken]. A verifier that
// tells of a refusal is [ErrDenied], and nothing is sent.
func AccessToken(ctx context.Context, transport http.RoundTripper, baseURL string, c Consumer, request Request, verifier string) (Access, error) {
	switch {
	case verifier == denied:
		return Access{}, ErrDenied
	case verifier == "" || request.Token.IsZero():
		return Access{}, errors.New("asking for an access token: the request token or its verifier is missing")
	}
	l, config, err := newLeg(ctx, transport, baseURL, c, "access-token")
	if err != nil {
		return Access{}, err
	}
	// RSA signatures have no use for the request token's secret.
	token, _, err := config.AccessToken(request.Token.Reveal(), "", verifier)
	if err != nil {
		return Access{}, l.classify("asking for an access token")
	}
	if len(token) > maxToken {
		return Access{}, fmt.Errorf("asking for an access token: %w: the token is longer than %d bytes", ErrAnswer, maxToken)
	}
	return Access{Token: secret.New(token), Lifetime: parseLifetime(l.form().Get("oauth_expires_in"))}, nil
}

// parseLifetime reads a number of seconds. What is none says nothing.
func parseLifetime(value string) time.Duration {
	seconds, err := strconv.ParseUint(value, 10, 63)
	if err != nil {
		return 0
	}
	return time.Duration(min(seconds, uint64(maxLifetime/time.Second))) * time.Second
}

// leg carries the one request of a leg for oauth1, reads the answer within its
// limit, and keeps what oauth1 would lose of it. It implements [http.RoundTripper].
type leg struct {
	ctx       context.Context
	transport http.RoundTripper
	base      string // without a trailing slash
	uri       *url.URL

	connected atomic.Bool // from here on an error may quote what Jira sent
	cause     error       // why there is no answer
	status    int         // 0 without a complete answer
	header    http.Header
	body      []byte
	oversize  bool
}

func newLeg(ctx context.Context, transport http.RoundTripper, baseURL string, c Consumer, endpoint string) (*leg, *oauth1.Config, error) {
	key, err := parseKey(c.PrivateKey)
	if err != nil {
		return nil, nil, err
	}
	if c.Key == "" {
		return nil, nil, errors.New("the application link has no consumer key")
	}
	base := strings.TrimSuffix(baseURL, "/")
	u, err := url.Parse(base + "/plugins/servlet/oauth/" + endpoint)
	if err != nil || u.Scheme != "https" || u.Host == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" {
		return nil, nil, errors.New("the base URL of Jira is not of the form https://HOST[:PORT][/CONTEXT]")
	}
	s, err := newSigner(key, &http.Request{URL: u})
	if err != nil {
		return nil, nil, err
	}
	l := &leg{ctx: ctx, transport: transport, base: base, uri: u}
	return l, &oauth1.Config{
		ConsumerKey: c.Key,
		Signer:      s,
		Endpoint:    oauth1.Endpoint{RequestTokenURL: u.String(), AccessTokenURL: u.String()},
		HTTPClient: &http.Client{
			Transport: l,
			// A redirect is an answer like any other that holds no token.
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
	}, nil
}

// RoundTrip implements [http.RoundTripper].
func (l *leg) RoundTrip(req *http.Request) (*http.Response, error) {
	out := &http.Request{
		Method: req.Method,
		URL:    l.uri,
		Header: http.Header{
			"Authorization": req.Header["Authorization"],
			"Accept":        {"*/*"},
			"User-Agent":    {"jiragate"},
		},
	}
	ctx := httptrace.WithClientTrace(l.ctx, &httptrace.ClientTrace{
		GotConn: func(httptrace.GotConnInfo) { l.connected.Store(true) },
	})
	res, err := l.transport.RoundTrip(out.WithContext(ctx))
	if err != nil {
		l.cause = err
		return nil, err
	}
	defer res.Body.Close()
	l.connected.Store(true) // also where the transport traces nothing
	body, err := io.ReadAll(io.LimitReader(res.Body, maxAnswer+1))
	if err != nil {
		l.cause = err
		return nil, err
	}
	l.status, l.header, l.body = res.StatusCode, res.Header, body
	if len(body) > maxAnswer {
		l.oversize, l.body = true, nil
	}
	// Only what oauth1 looks at.
	return &http.Response{StatusCode: l.status, Header: http.Header{}, Body: io.NopCloser(bytes.NewReader(l.body)), Request: req}, nil
}

// form reads the answer's body. What does not parse is left out.
func (l *leg) form() url.Values {
	values, _ := url.ParseQuery(strings.TrimSpace(string(l.body)))
	return values
}

// classify says why a leg failed. Its text is written here throughout: oauth1's
// holds the body of the answer, and net/http's may quote what the server sent.
func (l *leg) classify(attempt string) error {
	if l.status == 0 {
		return fmt.Errorf("%s: %w", attempt, l.classifyNoAnswer())
	}
	// Atlassian's token endpoints have the problem in the body as well.
	word := cmp.Or(Problem(l.header), l.form().Get("oauth_problem"))
	if kind, ok := problems[word]; ok && refusing(l.status) {
		if kind == ErrClock {
			return fmt.Errorf("%s: %w%s (%s)", attempt, ErrClock, l.skew(), word)
		}
		return fmt.Errorf("%s: %w (%s)", attempt, kind, word)
	}
	switch {
	case l.oversize:
		return fmt.Errorf("%s: %w: it is longer than %d bytes", attempt, ErrAnswer, maxAnswer)
	case l.status >= 500 || l.status == http.StatusTooManyRequests:
		return fmt.Errorf("%s: %w: it answered with status %d", attempt, ErrUnavailable, l.status)
	case l.status >= 300 && l.status < 400:
		return fmt.Errorf("%s: %w: it is a redirect, status %d; is the base URL the one in Jira's general configuration?", attempt, ErrAnswer, l.status)
	case l.status == http.StatusNotFound:
		return fmt.Errorf("%s: %w: there are no application links at this base URL, status 404; is the context path missing?", attempt, ErrAnswer)
	}
	return fmt.Errorf("%s: %w: status %d, and neither a token nor a known problem", attempt, ErrAnswer, l.status)
}

// classifyNoAnswer: as long as there is no connection, the error can't hold
// anything that Jira said but its certificate, and tells what is at fault.
func (l *leg) classifyNoAnswer() error {
	timeout, ok := errors.AsType[net.Error](l.cause)
	switch {
	case l.cause == nil:
		return errors.New("the request can't be signed")
	case errors.Is(l.cause, context.Canceled):
		return fmt.Errorf("%w: %w", ErrUnavailable, context.Canceled)
	case errors.Is(l.cause, context.DeadlineExceeded), ok && timeout.Timeout():
		return fmt.Errorf("%w: it did not answer in time: %w", ErrUnavailable, context.DeadlineExceeded)
	case !l.connected.Load():
		return fmt.Errorf("%w: it can't be reached: %w", ErrUnavailable, l.cause)
	}
	return fmt.Errorf("%w: the connection broke before the answer was complete", ErrUnavailable)
}

// skew says whose clock is ahead, if Jira tells what its own says: by the
// timestamps that it would accept, or by the Date of the answer.
func (l *leg) skew() string {
	var theirs time.Time
	span := cmp.Or(challengeParam(l.header, "oauth_acceptable_timestamps"), l.form().Get("oauth_acceptable_timestamps"))
	from, to, _ := strings.Cut(span, "-")
	earliest, err := strconv.ParseInt(from, 10, 48)
	latest, err2 := strconv.ParseInt(to, 10, 48)
	if err == nil && err2 == nil {
		theirs = time.Unix((earliest+latest)/2, 0)
	} else if date, err := http.ParseTime(l.header.Get("Date")); err == nil {
		theirs = date
	} else {
		return ": set both by NTP"
	}
	switch behind := time.Until(theirs).Round(time.Second); {
	case behind > time.Minute:
		return fmt.Sprintf(": the gateway's is %v behind Jira's; set both by NTP", behind)
	case behind < -time.Minute:
		return fmt.Sprintf(": Jira's is %v behind the gateway's; set both by NTP", -behind)
	}
	return ": set both by NTP"
}
