package notify

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"strconv"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"
)

// maxRetryAfter bounds what Retry-After can ask for.
const maxRetryAfter = time.Hour

// verdict is what came of an attempt.
type verdict string

const (
	// delivered: the receiver has acknowledged.
	delivered verdict = "delivered"
	// refused: it answered, but doesn't want this message.
	refused verdict = "refused"
	// failed: the endpoint as a whole has a problem.
	failed verdict = "failed"
	// abandoned: the gateway ends. It says nothing about the endpoint.
	abandoned verdict = "abandoned"
)

// outcome of an attempt.
type outcome struct {
	news       news
	verdict    verdict
	status     int           // 0 without an answer
	retryAfter time.Duration // as the answer asked, within bounds
	problem    string        // from a fixed list; empty where the status says it all
}

// deliver makes one attempt.
func (n *Notifier) deliver(ctx context.Context, what news) outcome {
	attempt, cancel := context.WithTimeout(ctx, attemptTimeout)
	defer cancel()
	req, err := n.request(attempt, what)
	if err != nil {
		return outcome{news: what, verdict: refused, problem: "the message can't be made"}
	}
	// The transport itself: it follows no redirect and keeps no cookie.
	res, err := n.transport.RoundTrip(req)
	switch {
	case err != nil && ctx.Err() != nil:
		return outcome{news: what, verdict: abandoned}
	case err != nil:
		return outcome{news: what, verdict: failed, problem: problemOf(err)}
	}
	defer res.Body.Close()
	_, _ = io.CopyN(io.Discard, res.Body, maxAnswerBody) // the head has said it all

	o := outcome{news: what, verdict: judge(res.StatusCode), status: res.StatusCode}
	if o.verdict != delivered {
		o.retryAfter = parseRetryAfter(res.Header.Get("Retry-After"), n.now())
	}
	switch {
	case o.status == http.StatusGone:
		o.retryAfter = goneWait
		o.problem = "it says that it wants no more webhooks: configure another URL, or none"
	case o.status >= 300 && o.status < 400:
		o.problem = "it redirects, which is not followed: configure the URL where it redirects to"
	}
	return o
}

// request builds and signs a message. Its time is that of the attempt: receivers
// refuse old ones.
func (n *Notifier) request(ctx context.Context, what news) (*http.Request, error) {
	body, err := what.body()
	if err != nil {
		return nil, err
	}
	id, at := messageID(what.announcement()), n.now()
	signature, err := sign(*n.secret.Load(), id, at, body)
	if err != nil {
		return nil, err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, n.url, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("User-Agent", n.userAgent)
	req.Header.Set(standardwebhooks.HeaderWebhookID, id)
	req.Header.Set(standardwebhooks.HeaderWebhookTimestamp, strconv.FormatInt(at.Unix(), 10))
	req.Header.Set(standardwebhooks.HeaderWebhookSignature, signature)
	return req, nil
}

// judge says what a status means (Standard Webhooks, "Delivery success and
// failure"). From 501 on something in front of the receiver has a problem, while
// 500 may well be a bug that this one message has found.
func judge(status int) verdict {
	switch {
	case status >= 200 && status < 300:
		return delivered
	case status >= 300 && status < 400,
		status == http.StatusRequestTimeout,
		status == http.StatusGone,
		status == http.StatusTooManyRequests,
		status > http.StatusInternalServerError:
		return failed
	}
	return refused
}

// problemOf says why there is no answer. The words are its own: errors of
// net/http quote the URL, certificates, and what the other side sent.
func problemOf(err error) string {
	var (
		dns         *net.DNSError
		op          *net.OpError
		certificate *tls.CertificateVerificationError
		record      tls.RecordHeaderError
		timeout     net.Error
	)
	isOp := errors.As(err, &op)
	switch {
	case errors.As(err, &dns):
		return "its name can't be resolved"
	case errors.As(err, &certificate):
		return "its certificate can't be verified"
	case errors.As(err, &record), isOp && (op.Op == "remote error" || op.Op == "local error"): // crypto/tls: an alert
		return "the TLS handshake failed"
	case errors.Is(err, context.DeadlineExceeded), errors.As(err, &timeout) && timeout.Timeout():
		return "there was no answer in time"
	case isOp && op.Op == "dial":
		return "it can't be connected to"
	}
	return "the connection broke off, or the answer was no HTTP"
}

// parseRetryAfter reads both forms of RFC 9110 section 10.2.3. What is neither
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
