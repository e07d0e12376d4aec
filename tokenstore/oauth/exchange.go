package oauth

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"golang.org/x/oauth2"

	"jiragate/tokenstore/secret"
)

const (
	// maxAnswer bounds the token endpoint's answer; Atlassian's has some 5 kB.
	maxAnswer = 64 << 10

	// assumedLifetime is for an answer that doesn't say how long its token lives,
	// or nothing sensible; maxLifetime for one that lives longer than believable.
	assumedLifetime = 5 * time.Minute
	maxLifetime     = 24 * time.Hour

	// maxRetryAfter bounds what Retry-After can ask for.
	maxRetryAfter = time.Hour
)

var errOversize = errors.New("oversized answer")

// grant is what a refresh gave.
type grant struct {
	accessToken  secret.Secret
	refreshToken secret.Secret // the old one where Atlassian sent no new one
	scopes       []string      // nil where Atlassian sent none
	lifetime     time.Duration
	expiry       time.Time // counted from before the request was sent
}

// exchange trades a refresh token for a new pair. Its second result is the wait
// that Atlassian asked for, if any.
func (m *Manager) exchange(ctx context.Context, connection string, refreshToken secret.Secret) (grant, time.Duration, error) {
	transport := &jsonTransport{base: m.transport(connection), now: m.now}
	client := &http.Client{
		Transport: transport,
		// A redirect is an answer like any other that holds no token: following
		// it would carry the client secret and the refresh token elsewhere.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	config := &oauth2.Config{
		ClientID:     m.clientID,
		ClientSecret: m.clientSecret.Reveal(),
		Endpoint: oauth2.Endpoint{
			TokenURL: m.tokenURL,
			// Left to itself, x/oauth2 tries both styles, and sends a refresh
			// token that rotates twice.
			AuthStyle: oauth2.AuthStyleInParams,
		},
	}
	before := m.now()
	token, err := config.TokenSource(
		context.WithValue(ctx, oauth2.HTTPClient, client),
		&oauth2.Token{RefreshToken: refreshToken.Reveal()},
	).Token()
	if err != nil {
		return grant{}, transport.retryAfter, transport.classify(err)
	}
	g := grant{
		accessToken:  secret.New(token.AccessToken),
		refreshToken: secret.New(token.RefreshToken),
		lifetime:     transport.lifetime,
		expiry:       before.Add(transport.lifetime).UTC(),
	}
	if scope, ok := token.Extra("scope").(string); ok {
		g.scopes = strings.Fields(scope)
	}
	return g, 0, nil
}

// jsonTransport carries the one request of a refresh. It sends x/oauth2's form
// as a JSON object, which is what Atlassian documents, reads the answer within
// its limit, and keeps what x/oauth2 would lose of it.
type jsonTransport struct {
	base http.RoundTripper
	now  func() time.Time

	sent       atomic.Bool // the transport took the request's body
	cause      error       // why there is no answer
	status     int         // 0 without a complete answer
	retryAfter time.Duration
	lifetime   time.Duration
}

// RoundTrip implements [http.RoundTripper].
func (t *jsonTransport) RoundTrip(req *http.Request) (*http.Response, error) {
	body, err := formToJSON(req.Body)
	if err != nil {
		t.cause = err
		return nil, err
	}
	// Built afresh, without GetBody: nothing may send it a second time.
	out := &http.Request{
		Method: req.Method,
		URL:    req.URL,
		Host:   req.Host,
		Header: http.Header{
			"Content-Type": {"application/json"},
			"Accept":       {"application/json"},
			"User-Agent":   {"jiragate"},
		},
		Body:          io.NopCloser(&watchedReader{Reader: bytes.NewReader(body), read: &t.sent}),
		ContentLength: int64(len(body)),
	}
	res, err := t.base.RoundTrip(out.WithContext(req.Context()))
	if err != nil {
		t.cause = err
		return nil, err
	}
	defer res.Body.Close()
	answer, err := io.ReadAll(io.LimitReader(res.Body, maxAnswer+1))
	if err != nil {
		return nil, err
	}
	if len(answer) > maxAnswer {
		return nil, errOversize
	}
	t.status = res.StatusCode
	t.retryAfter = parseRetryAfter(res.Header.Get("Retry-After"), t.now())
	answer, t.lifetime = takeLifetime(answer)
	// x/oauth2 reads text/plain as a form; from Atlassian only JSON counts.
	res.Header = http.Header{"Content-Type": {"application/json"}}
	res.Body = io.NopCloser(bytes.NewReader(answer))
	res.ContentLength = int64(len(answer))
	return res, nil
}

// formToJSON reads a form in which each name has one value.
func formToJSON(form io.ReadCloser) ([]byte, error) {
	defer form.Close()
	encoded, err := io.ReadAll(form)
	if err != nil {
		return nil, errors.New("read the form of the token request")
	}
	values, err := url.ParseQuery(string(encoded))
	if err != nil {
		return nil, errors.New("parse the form of the token request") // err would quote it
	}
	object := make(map[string]string, len(values))
	for name, v := range values {
		if len(v) != 1 {
			return nil, fmt.Errorf("the token request has %d values for %s", len(v), name)
		}
		object[name] = v[0]
	}
	return json.Marshal(object)
}

// takeLifetime removes expires_in from an answer and returns what it means.
// x/oauth2 would reject the whole answer for a value that it can't read, and
// with it a refresh token that has replaced the old one already.
func takeLifetime(answer []byte) ([]byte, time.Duration) {
	var object map[string]json.RawMessage
	if json.Unmarshal(answer, &object) != nil || object == nil {
		return answer, assumedLifetime
	}
	raw, ok := object["expires_in"]
	if !ok {
		return answer, assumedLifetime
	}
	delete(object, "expires_in")
	rest, err := json.Marshal(object)
	if err != nil {
		return answer, assumedLifetime
	}
	seconds, err := strconv.ParseFloat(strings.Trim(string(raw), `"`), 64)
	switch {
	case err != nil || !(seconds >= 1): // not a number included
		return rest, assumedLifetime
	case seconds > maxLifetime.Seconds():
		return rest, maxLifetime
	}
	return rest, time.Duration(seconds) * time.Second
}

// parseRetryAfter reads both forms of RFC 9110, section 10.2.3. What is neither
// asks for nothing.
func parseRetryAfter(value string, now time.Time) time.Duration {
	var wait time.Duration
	if seconds, err := strconv.ParseUint(value, 10, 31); err == nil {
		wait = time.Duration(seconds) * time.Second
	} else if at, err := http.ParseTime(value); err == nil {
		wait = at.Sub(now)
	}
	return min(max(wait, 0), maxRetryAfter)
}

// watchedReader tells when somebody begins to read.
type watchedReader struct {
	io.Reader
	read *atomic.Bool
}

func (r *watchedReader) Read(p []byte) (int, error) {
	r.read.Store(true)
	return r.Reader.Read(p)
}
