package oauth

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"
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

// tokenTransport carries the one request to a token endpoint. It sends x/oauth2's
// form as the server wants it, reads the answer within its limit, and keeps what
// x/oauth2 would lose of it.
type tokenTransport struct {
	base        http.RoundTripper
	now         func() time.Time
	held        func() error // whether the body may leave
	json        bool         // send an object instead of a form
	redirectURL string       // to be in a refresh; empty: none

	sent       atomic.Bool // some of the request may be on its way
	unheld     bool        // none of its body is, and held has failed
	cause      error       // why there is no answer
	status     int         // 0 without a complete answer
	retryAfter time.Duration
	lifetime   time.Duration
}

// RoundTrip implements [http.RoundTripper].
func (t *tokenTransport) RoundTrip(req *http.Request) (*http.Response, error) {
	body, contentType, err := t.encode(req.Body)
	if err != nil {
		t.cause = err
		return nil, err
	}
	guarded := &guardedBody{rest: bytes.NewReader(body), held: t.held, sent: &t.sent}
	// Built afresh, without GetBody: nothing may send it a second time. What repeats a
	// request of which it has read nothing reads the same body, which is guarded.
	out := &http.Request{
		Method: req.Method,
		URL:    req.URL,
		Host:   req.Host,
		Header: http.Header{
			"Content-Type": {contentType},
			"Accept":       {"application/json"},
			"User-Agent":   {"jiragate"},
		},
		Body:          guarded,
		ContentLength: int64(len(body)),
	}
	// net/http may read the body after RoundTrip has returned, but not before it
	// has a connection.
	ctx := httptrace.WithClientTrace(req.Context(), &httptrace.ClientTrace{
		GotConn: func(httptrace.GotConnInfo) { t.sent.Store(true) },
	})
	res, err := t.base.RoundTrip(out.WithContext(ctx))
	if guarded.withheld() {
		// An answer to it would be one to something else.
		t.unheld = true
		if err == nil {
			_ = res.Body.Close() // of which nothing is read
		}
		return nil, errUnheld
	}
	if err != nil {
		t.cause = err
		return nil, err
	}
	defer res.Body.Close()
	answer, err := readBounded(res.Body, maxAnswer)
	if err != nil {
		return nil, err
	}
	t.status = res.StatusCode
	t.retryAfter = parseRetryAfter(res.Header.Get("Retry-After"), t.now())
	answer, t.lifetime = takeLifetime(answer)
	// x/oauth2 reads text/plain as a form; here only JSON counts.
	res.Header = http.Header{"Content-Type": {"application/json"}}
	res.Body = io.NopCloser(bytes.NewReader(answer))
	res.ContentLength = int64(len(answer))
	return res, nil
}

// encode reads x/oauth2's form, in which each name has one value, and writes it
// as the server wants it.
func (t *tokenTransport) encode(form io.ReadCloser) (body []byte, contentType string, err error) {
	defer form.Close()
	encoded, err := io.ReadAll(form)
	if err != nil {
		return nil, "", errors.New("read the form of the token request")
	}
	values, err := url.ParseQuery(string(encoded))
	if err != nil {
		return nil, "", errors.New("parse the form of the token request") // err would quote it
	}
	if t.redirectURL != "" {
		values.Set("redirect_uri", t.redirectURL)
	}
	object := make(map[string]string, len(values))
	for name, v := range values {
		if len(v) != 1 {
			return nil, "", fmt.Errorf("the token request has %d values for %s", len(v), name)
		}
		object[name] = v[0]
	}
	if t.json {
		body, err = json.Marshal(object)
		return body, "application/json", err
	}
	return []byte(values.Encode()), "application/x-www-form-urlencoded", nil
}

func readBounded(r io.Reader, most int64) ([]byte, error) {
	b, err := io.ReadAll(io.LimitReader(r, most+1))
	if err == nil && int64(len(b)) > most {
		err = errOversize
	}
	return b, err
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

// guardedBody is the body of a token request. It asks whether it may leave at the
// last moment that there is before it does, each time that some of it is read:
// between taking the claim and here there may be the look-up of a name, handshakes,
// and a process that sleeps.
type guardedBody struct {
	held func() error
	sent *atomic.Bool

	mu      sync.Mutex
	rest    *bytes.Reader
	begun   bool // some of it was read
	refused bool // none of it may be, any more
}

// Read implements [io.Reader].
func (b *guardedBody) Read(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.rest.Len() > 0 && (b.refused || b.held() != nil) {
		b.refused = true
		return 0, errUnheld
	}
	b.begun = true
	b.sent.Store(true)
	return b.rest.Read(p)
}

// Close implements [io.Closer].
func (b *guardedBody) Close() error { return nil }

// withheld reports whether nothing of the body has left, nor will, because it must
// not: it may be read after RoundTrip has returned.
func (b *guardedBody) withheld() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if !b.refused && !b.begun {
		b.refused = b.held() != nil
	}
	return b.refused && !b.begun
}
