package diagnosis

import (
	"net/http"
	"slices"
	"strings"
)

// Edition is which Jira answered.
type Edition string

// The editions.
const (
	Cloud      Edition = "cloud"
	DataCenter Edition = "datacenter" // and Server
)

// maxBody is how many bytes of a body are looked at. Jira's refusals have some
// hundred, its pages for people, and a firewall's, some ten thousand.
const maxBody = 64 << 10

// Of names why an answer is a refusal. The header's keys are canonical, and the
// body, decoded, is the beginning of it: at most 64 KiB are looked at. The reason
// is "" for a status below 400, for an edition that is not known, and whenever the
// answer does not say for certain.
func Of(edition Edition, status int, header http.Header, body []byte) Reason {
	switch {
	case status < 400 || status > 599, edition != Cloud && edition != DataCenter:
		return ""
	case status == http.StatusTooManyRequests: // RFC 6585 section 4
		return RateLimited
	case edition == DataCenter && captcha(status, header):
		return CaptchaRequired
	case insufficientScope(status, header):
		return ScopeRefused
	case edition == Cloud && status == http.StatusNotFound && header.Get("Atl-Missing-Tcs") == "true":
		// The edge has no tenant of that name.
		return SiteUnavailable
	}
	s := read(body[:min(len(body), maxBody)])
	if reason := s.quoted(edition, status); reason != "" {
		return reason
	}
	if edition == Cloud {
		return s.page.cloud()
	}
	if !fromJira(header) {
		return s.inFront(status, header)
	}
	// Jira has let the account in and refuses nevertheless, in whatever language.
	if (status == http.StatusForbidden || status == http.StatusUnauthorized) && s.collection && loggedIn(header) {
		return PermissionRefused
	}
	return ""
}

// What Jira's login filter, Seraph, says of a request, as seen in
// https://github.com/ankitpokhrel/jira-cli/issues/353.
const (
	seraphReason = "X-Seraph-Loginreason"
	seraphDenied = "X-Authentication-Denied-Reason"
)

func captcha(status int, header http.Header) bool {
	if status != http.StatusUnauthorized && status != http.StatusForbidden {
		return false
	}
	denied := func(v string) bool { return strings.HasPrefix(strings.TrimSpace(v), "CAPTCHA_CHALLENGE") }
	return slices.ContainsFunc(header[seraphDenied], denied) || slices.Contains(loginReasons(header), "AUTHENTICATION_DENIED")
}

func loginReasons(header http.Header) []string {
	return strings.FieldsFunc(strings.Join(header[seraphReason], ","), func(r rune) bool { return r == ',' || r == ' ' || r == '\t' })
}

// loggedIn reports whether Seraph says nothing but that the login was good.
func loggedIn(header http.Header) bool {
	reasons := loginReasons(header)
	return len(reasons) > 0 && len(header[seraphDenied]) == 0 &&
		!slices.ContainsFunc(reasons, func(r string) bool { return r != "OK" })
}

// insufficientScope looks for the error code of RFC 6750 section 3.1.
func insufficientScope(status int, header http.Header) bool {
	if status != http.StatusUnauthorized && status != http.StatusForbidden {
		return false
	}
	return slices.ContainsFunc(header["Www-Authenticate"], func(v string) bool {
		scheme, parameters, _ := strings.Cut(strings.TrimSpace(v), " ")
		if !strings.EqualFold(scheme, "Bearer") {
			return false
		}
		return slices.ContainsFunc(strings.Split(parameters, ","), func(p string) bool {
			name, value, _ := strings.Cut(strings.TrimSpace(p), "=")
			return strings.EqualFold(name, "error") && strings.Trim(value, `"`) == "insufficient_scope"
		})
	})
}

// fromJira reports whether Jira itself answered: it adds these to whatever it
// answers (trace in https://github.com/ankitpokhrel/jira-cli/issues/353).
func fromJira(header http.Header) bool {
	for _, name := range []string{"X-Arequestid", "X-Anodeid", "X-Ausername", seraphReason, seraphDenied} {
		if len(header[name]) > 0 {
			return true
		}
	}
	return false
}
