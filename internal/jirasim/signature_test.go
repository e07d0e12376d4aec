package jirasim

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// The example of RFC 5849 sections 3.4.1.1 and 3.4.1.3, moved to https.
func TestSignatureBaseOfTheRFC(t *testing.T) {
	const body = "c2&a3=2+q"
	r := httptest.NewRequest("POST", "https://example.com/request?b5=%3D%253D&a3=a&c%40=&a2=r%20b", strings.NewReader(body))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.Header.Set("Authorization", `OAuth realm="Example", oauth_consumer_key="9djdj82h48djs9d2", oauth_token="kkk9d7dh3k39sjv7",`+
		`oauth_signature_method="HMAC-SHA1",oauth_timestamp="137131201", oauth_nonce="7d8f3e4a", oauth_signature="bYT5CMsGcbgUdFHObYMEfcx6bsw%3D"`)
	params, bad := oauthParams(r.Header)
	if bad != nil {
		t.Fatal(bad.word)
	}
	const want = "POST&https%3A%2F%2Fexample.com%2Frequest&a2%3Dr%2520b%26a3%3D2%2520q%26a3%3Da%26b5%3D%253D%25253D%26c%2540%3D%26c2%3D%26" +
		"oauth_consumer_key%3D9djdj82h48djs9d2%26oauth_nonce%3D7d8f3e4a%26oauth_signature_method%3DHMAC-SHA1%26oauth_timestamp%3D137131201%26oauth_token%3Dkkk9d7dh3k39sjv7"
	if got := signatureBase(r, []byte(body), params); got != want {
		t.Errorf("base string\n%s, want\n%s", got, want)
	}
}

func TestSignatureBaseCases(t *testing.T) {
	for target, want := range map[string]string{
		"https://JIRA.Example:443/jira/x":       "GET&https%3A%2F%2Fjira.example%2Fjira%2Fx&",
		"https://jira.example:8443/x":           "GET&https%3A%2F%2Fjira.example%3A8443%2Fx&",
		"https://[::1]:443/x":                   "GET&https%3A%2F%2F%5B%3A%3A1%5D%2Fx&",
		"https://jira.example/a%20b/%C3%BC":     "GET&https%3A%2F%2Fjira.example%2Fa%2520b%2F%25C3%25BC&",
		"https://jira.example/?a=1&a-b=2&a=0":   "GET&https%3A%2F%2Fjira.example%2F&a%3D0%26a%3D1%26a-b%3D2",
		"https://jira.example/?q=a+b&r=%2B&s=~": "GET&https%3A%2F%2Fjira.example%2F&q%3Da%2520b%26r%3D%252B%26s%3D~",
	} {
		if got := signatureBase(httptest.NewRequest("GET", target, nil), nil, nil); got != want {
			t.Errorf("%s\n%s, want\n%s", target, got, want)
		}
	}
}

func TestOAuthParamsAreReadStrictly(t *testing.T) {
	for field, want := range map[string]string{
		`OAuth a="1", b="%20"`: "",
		`oauth a="1"`:          "",
		`OAuth a=1`:            "parameter_rejected",
		`OAuth a="1", a="2"`:   "parameter_rejected",
		`OAuth a="%2"`:         "parameter_rejected",
		`OAuth `:               "parameter_rejected",
		`OAuth a`:              "parameter_rejected",
	} {
		_, bad := oauthParams(http.Header{"Authorization": {field}})
		got := ""
		if bad != nil {
			got = bad.word
		}
		if got != want {
			t.Errorf("%s: %q, want %q", field, got, want)
		}
	}
}
