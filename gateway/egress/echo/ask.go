package echo

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"strings"
	"unicode"
)

// Ask asks one echo service, through transport, which address it sees: one GET of
// a URL that [ParseServices] would accept, without cookies. A redirect is not
// followed, any status but 200 is an error, and the answer is read by [Parse].
// It takes at most 10 s, and transport must obey the context of a request.
//
// The connection is closed afterwards, so that the next question opens one of its
// own. Errors name the service without the query of its URL, and of what it sent
// they quote a short beginning at most, escaped; one that ran out of time
// matches [context.DeadlineExceeded].
func Ask(ctx context.Context, transport http.RoundTripper, service string) (netip.Addr, error) {
	if _, err := parseService(service); err != nil { // whose text is not to be repeated
		return netip.Addr{}, fmt.Errorf("ask an echo service: %w", err)
	}
	addr, err := ask(ctx, transport, service)
	if err != nil {
		return netip.Addr{}, fmt.Errorf("ask %s: %w", shown(service), err)
	}
	return addr, nil
}

func ask(ctx context.Context, transport http.RoundTripper, service string) (netip.Addr, error) {
	if transport == nil {
		return netip.Addr{}, errors.New("there is no transport to ask through")
	}
	limited, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	contentType, body, err := get(limited, transport, service)
	if err != nil {
		if limited.Err() != nil && ctx.Err() == nil {
			return netip.Addr{}, fmt.Errorf("no whole answer within %s: %w", askTimeout, context.DeadlineExceeded)
		}
		return netip.Addr{}, err
	}
	addr, err := Parse(contentType, body)
	if err != nil {
		return netip.Addr{}, fmt.Errorf("read its answer: %w", err)
	}
	return addr, nil
}

// get returns the content type and at most one byte more than Parse accepts.
func get(ctx context.Context, transport http.RoundTripper, service string) (contentType string, body []byte, err error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, service, nil)
	if err != nil {
		return "", nil, errors.New("its URL makes no request")
	}
	request.Close = true
	request.Header = http.Header{
		"Accept":          {"application/json, text/plain;q=0.9"},
		"Accept-Encoding": {"identity"}, // nothing to unpack, nothing to bound
		"Cache-Control":   {"no-cache"}, // a cache would tell what another caller saw
		"User-Agent":      {"jiragate"},
	}
	response, err := transport.RoundTrip(request)
	if err != nil {
		return "", nil, clipped{err}
	}
	defer response.Body.Close()
	switch status := response.StatusCode; {
	case status == http.StatusOK:
	case status >= 300 && status < 400:
		return "", nil, fmt.Errorf("it answered %d, a redirect, which is not followed; name the URL that answers itself, and see whether a captive portal is on the way", status)
	default:
		return "", nil, fmt.Errorf("it answered %d %s instead of 200", status, http.StatusText(status))
	}
	body, err = io.ReadAll(io.LimitReader(response.Body, maxBody+1))
	if err != nil {
		return "", nil, fmt.Errorf("read its answer: %w", clipped{err})
	}
	return response.Header.Get("Content-Type"), body, nil
}

// clipped is an error of the transport. Such a one may repeat what came over the
// wire at any length, as net/http does with what is not HTTP.
type clipped struct{ cause error }

func (c clipped) Unwrap() error { return c.cause }

func (c clipped) Error() string {
	text, cut := c.cause.Error(), ""
	if len(text) > maxCause {
		text, cut = text[:maxCause], "…"
	}
	return strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return unicode.ReplacementChar
		}
		return r
	}, text) + cut
}
