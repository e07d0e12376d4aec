package applink

import (
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strings"
)

// The errors of [RequestToken] and [AccessToken] that callers tell apart, by
// [errors.Is]. What the caller gave is to blame for errors that are none of them.
var (
	// ErrDenied: whoever was asked for access refused it.
	ErrDenied = errors.New("access was refused by the person who was asked for it on Jira's page")

	// ErrConsumer: Jira does not know the consumer, or its key does not fit.
	ErrConsumer = errors.New("the application link's consumer key or public key does not match: compare both with what Jira's administrator has entered under incoming authentication")

	// ErrClock: the clocks of the gateway and of Jira are too far apart.
	ErrClock = errors.New("the clocks of the gateway and of Jira differ by more than five minutes")

	// ErrToken: the request token is no good (any more); a new dance may be.
	ErrToken = errors.New("the request token is not accepted by Jira: it was used, has expired after ten minutes, or was never approved; begin anew")

	// ErrUnavailable: Jira can't be reached, or is not working.
	ErrUnavailable = errors.New("the Jira of the application link can't be asked at the moment")

	// ErrAnswer: what was answered is not what an application link answers.
	ErrAnswer = errors.New("the answer of Jira can't be used")
)

// problems are the words of the OAuth Problem Reporting extension, which
// Atlassian's servers send as oauth_problem, and what each of them comes to.
var problems = map[string]error{
	"additional_authorization_required": ErrToken,
	"consumer_key_refused":              ErrConsumer,
	"consumer_key_rejected":             ErrConsumer,
	"consumer_key_unknown":              ErrConsumer,
	"nonce_used":                        ErrAnswer,
	"parameter_absent":                  ErrAnswer,
	"parameter_rejected":                ErrAnswer,
	"permission_denied":                 ErrDenied,
	"permission_unknown":                ErrToken,
	"signature_invalid":                 ErrConsumer,
	"signature_method_rejected":         ErrConsumer,
	"timestamp_refused":                 ErrClock,
	"token_expired":                     ErrToken,
	"token_rejected":                    ErrToken,
	"token_revoked":                     ErrToken,
	"token_used":                        ErrToken,
	"user_refused":                      ErrDenied,
	"version_rejected":                  ErrAnswer,
}

// Problem returns why Jira refused a signed request (as a rule with status 401),
// from the WWW-Authenticate fields of its answer. It is one of:
//
//   - consumer_key_unknown, consumer_key_rejected, consumer_key_refused,
//     signature_invalid, signature_method_rejected: the link in Jira and the
//     [Consumer] don't match, or Jira sees another URL than was signed
//   - token_rejected, token_expired, token_revoked, token_used,
//     permission_denied, permission_unknown, user_refused,
//     additional_authorization_required: the token is no good (any more)
//   - timestamp_refused: the clocks are too far apart
//   - nonce_used: the very request has been seen before
//   - parameter_absent, parameter_rejected, version_rejected
//
// or empty, if nothing of this is said. The words are those of the OAuth Problem
// Reporting extension; Atlassian explains the usual ones at
// https://confluence.atlassian.com/kb/oauth-troubleshooting-guide-719095274.html.
func Problem(h http.Header) string {
	word := challengeParam(h, "oauth_problem")
	if _, ok := problems[word]; !ok {
		return ""
	}
	return word
}

// challengeParam finds a parameter of the OAuth challenges in an answer. There
// may be several, in fields of their own or in one; the first value counts.
func challengeParam(h http.Header, want string) string {
	for _, field := range h.Values("WWW-Authenticate") {
		for _, item := range splitUnquoted(field) {
			name, value, ok := strings.Cut(item, "=")
			// The first parameter of a challenge has its scheme before it.
			name = name[strings.LastIndexByte(strings.TrimSpace(name), ' ')+1:]
			if !ok || !strings.EqualFold(strings.TrimSpace(name), want) {
				continue
			}
			value = strings.Trim(strings.TrimSpace(value), `"`)
			if plain, err := url.PathUnescape(value); err == nil {
				return plain
			}
		}
	}
	return ""
}

// splitUnquoted splits a list at the commas that are not in quoted strings.
func splitUnquoted(s string) []string {
	var out []string
	quoted, start := false, 0
	for i := 0; i < len(s); i++ {
		switch {
		case quoted && s[i] == '\\':
			i++
		case s[i] == '"':
			quoted = !quoted
		case s[i] == ',' && !quoted:
			out = append(out, strings.TrimSpace(s[start:i]))
			start = i + 1
		}
	}
	return append(out, strings.TrimSpace(s[min(start, len(s)):]))
}

// refusing are the statuses that come with a problem. Atlassian sends 401, the
// library beneath it others for some words. The same words in, say, a 502 are not
// Jira's own.
func refusing(status int) bool {
	return slices.Contains([]int{http.StatusBadRequest, http.StatusUnauthorized, http.StatusForbidden, http.StatusServiceUnavailable}, status)
}
