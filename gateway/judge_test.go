package gateway

import (
	"net/http"
	"testing"

	"jiragate/tokenstore"
)

// What an answer says of a stored credential: whether it was accepted, and
// whether it must not be sent again.
func TestJudge(t *testing.T) {
	const (
		basic = tokenstore.KindBasic
		pat   = tokenstore.KindPAT
		link  = tokenstore.KindOAuth1
	)
	seraph := func(reason string) http.Header { return http.Header{"X-Seraph-Loginreason": {reason}} }
	captcha := http.Header{
		"X-Seraph-Loginreason":           {"AUTHENTICATION_DENIED"},
		"X-Authentication-Denied-Reason": {"CAPTCHA_CHALLENGE; login-url=https://jira.acme.com/login.jsp"},
	}
	problem := func(name string) http.Header {
		return http.Header{"Www-Authenticate": {`OAuth realm="https%3A%2F%2Fjira.acme.com", oauth_problem="` + name + `"`}}
	}
	for _, tt := range []struct {
		name     string
		kind     tokenstore.CredentialKind
		status   int
		header   http.Header
		code     Code
		paused   bool
		accepted bool
	}{
		{"success", basic, 200, nil, "", false, true},
		{"success, and Seraph says so", basic, 200, seraph("OK"), "", false, true},
		{"not found", basic, 404, seraph("OK"), "", false, true},
		{"not found by somebody else, perhaps", basic, 404, nil, "", false, false},
		{"no permission", basic, 403, seraph("OK"), "", false, true},
		{"a permission, with 401", basic, 401, seraph("OK"), "", false, true},
		{"let in, and failed", basic, 401, seraph("OK, AUTHENTICATED_FAILED"), CodeCredentialRefused, true, false},
		{"a load balancer's page", basic, 503, nil, "", false, false},
		{"single sign-on", basic, 302, nil, "", false, false},
		{"wrong password", basic, 401, seraph("AUTHENTICATED_FAILED"), CodeCredentialRefused, true, false},
		{"401 without a reason", basic, 401, nil, CodeCredentialRefused, true, false},
		{"wrong password, and let in as nobody", basic, 200, seraph("AUTHENTICATED_FAILED"), CodeCredentialRefused, true, false},
		{"CAPTCHA", basic, 403, captcha, CodeCaptchaRequired, true, false},
		{"CAPTCHA with 401", basic, 401, captcha, CodeCaptchaRequired, true, false},
		{"CAPTCHA said by Seraph alone", basic, 403, seraph("AUTHENTICATION_DENIED"), CodeCaptchaRequired, true, false},
		{"two reasons", basic, 401, http.Header{"X-Seraph-Loginreason": {"OUT", "AUTHENTICATED_FAILED"}}, CodeCredentialRefused, true, false},

		{"token accepted", pat, 200, nil, "", false, true},
		{"token refused", pat, 401, nil, CodeCredentialRefused, true, false},
		{"token without permission, with 401", pat, 401, seraph("OK"), "", false, true},
		{"token without permission", pat, 403, nil, "", false, false},

		{"signature accepted", link, 200, nil, "", false, true},
		{"link withdrawn", link, 401, problem("token_rejected"), CodeCredentialRefused, true, false},
		{"key changed", link, 401, problem("signature_invalid"), CodeCredentialRefused, true, false},
		{"401 without a problem", link, 401, nil, CodeCredentialRefused, true, false},
		{"clock off", link, 401, problem("timestamp_refused"), CodeClockRefused, false, false},
		{"nonce seen before", link, 401, problem("nonce_used"), CodeClockRefused, false, false},
	} {
		got := judge(tt.kind, &http.Response{StatusCode: tt.status, Header: tt.header})
		if got.code != tt.code || got.pause != "" != tt.paused || got.accepted != tt.accepted {
			t.Errorf("%s: %+v", tt.name, got)
		}
	}
}
