package applink

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/dghubble/oauth1"

	"jiragate/tokenstore/secret"
)

// signatureBaseOf completes what oauth1 makes of a request with one parameter of
// the protocol.
func signatureBaseOf(t *testing.T, r *http.Request, parameters string) string {
	t.Helper()
	s, err := newSigner(nil, r)
	if err != nil {
		t.Fatal(err)
	}
	base, err := s.complete(r.Method + "&" + oauth1.PercentEncode("https://host.invalid/") + "&" + oauth1.PercentEncode(parameters))
	if err != nil {
		t.Fatal(err)
	}
	return base
}

// The example of RFC 5849 section 3.4.1.1, with its body's parameters in the
// query, for the bodies of our calls are JSON.
func TestSignatureBaseOfTheRFC(t *testing.T) {
	r := httptest.NewRequest("POST", "http://EXAMPLE.COM:80/request?b5=%3D%253D&a3=a&c%40=&a2=r%20b&c2&a3=2+q", nil)
	const parameters = "oauth_consumer_key=9djdj82h48djs9d2&oauth_nonce=7d8f3e4a&oauth_signature_method=HMAC-SHA1&oauth_timestamp=137131201&oauth_token=kkk9d7dh3k39sjv7"
	const want = "POST&http%3A%2F%2Fexample.com%2Frequest&a2%3Dr%2520b%26a3%3D2%2520q%26a3%3Da%26b5%3D%253D%25253D%26c%2540%3D%26c2%3D%26" +
		"oauth_consumer_key%3D9djdj82h48djs9d2%26oauth_nonce%3D7d8f3e4a%26oauth_signature_method%3DHMAC-SHA1%26oauth_timestamp%3D137131201%26oauth_token%3Dkkk9d7dh3k39sjv7"
	if got := signatureBaseOf(t, r, parameters); got != want {
		t.Errorf("base string\n%s, want\n%s", got, want)
	}
}

func TestSignatureBaseCases(t *testing.T) {
	for target, want := range map[string]string{
		"https://JIRA.Example:443/jira/x":          "GET&https%3A%2F%2Fjira.example%2Fjira%2Fx&o%3D1",
		"https://jira.example:8443/x":              "GET&https%3A%2F%2Fjira.example%3A8443%2Fx&o%3D1",
		"https://jira.example:80/x":                "GET&https%3A%2F%2Fjira.example%3A80%2Fx&o%3D1",
		"https://[::1]:443/x":                      "GET&https%3A%2F%2F%5B%3A%3A1%5D%2Fx&o%3D1",
		"https://jira.example":                     "GET&https%3A%2F%2Fjira.example%2F&o%3D1",
		"https://jira.example/a%20b/%C3%BC":        "GET&https%3A%2F%2Fjira.example%2Fa%2520b%2F%25C3%25BC&o%3D1",
		"https://jira.example/?z=1&a-b=2&z=0":      "GET&https%3A%2F%2Fjira.example%2F&a-b%3D2%26o%3D1%26z%3D0%26z%3D1",
		"https://jira.example/?o=2&o=0":            "GET&https%3A%2F%2Fjira.example%2F&o%3D0%26o%3D1%26o%3D2",
		"https://jira.example/?a=1&a-b=2":          "GET&https%3A%2F%2Fjira.example%2F&a%3D1%26a-b%3D2%26o%3D1",
		"https://jira.example/?q=a+b&r=%2B&&":      "GET&https%3A%2F%2Fjira.example%2F&o%3D1%26q%3Da%2520b%26r%3D%252B",
		"https://jira.example/?p=%25&q=a%3Db":      "GET&https%3A%2F%2Fjira.example%2F&o%3D1%26p%3D%2525%26q%3Da%253Db",
		"https://jira.example/?%C3%BC=%E2%82%AC;~": "GET&https%3A%2F%2Fjira.example%2F&%25C3%25BC%3D%25E2%2582%25AC%253B~%26o%3D1",
	} {
		r, err := http.NewRequest("GET", target, nil)
		if err != nil {
			t.Fatal(err)
		}
		if got := signatureBaseOf(t, r, "o=1"); got != want {
			t.Errorf("%s\n%s, want\n%s", target, got, want)
		}
	}
}

func TestTheHostIsTheOneThatIsSent(t *testing.T) {
	r := httptest.NewRequest("GET", "https://10.0.0.1/x", nil)
	r.Host = "Jira.Example"
	if got, err := baseURI(r); err != nil || got != "https://jira.example/x" {
		t.Errorf("base URI %q, %v", got, err)
	}
}

func TestWhatCannotBeSigned(t *testing.T) {
	key, err := NewKey()
	if err != nil {
		t.Fatal(err)
	}
	for name, target := range map[string]string{
		"broken escape": "https://jira.example/?a=%2",
		"no UTF-8":      "https://jira.example/?a=%FF",
		"no host":       "https:///x",
		"opaque":        "https:x",
		"another way":   "ftp://jira.example/",
	} {
		r, err := http.NewRequest("GET", target, nil)
		if err != nil {
			t.Fatal(err)
		}
		if value, err := Sign(r, Consumer{"k", key}, secret.New("token")); err == nil {
			t.Errorf("%s: %s", name, value)
		}
	}
	r := httptest.NewRequest("POST", "https://jira.example/", strings.NewReader("a=b"))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded; charset=utf-8")
	if _, err := Sign(r, Consumer{"k", key}, secret.New("token")); err == nil {
		t.Error("a form was signed")
	}
	if _, err := Sign(httptest.NewRequest("GET", "https://jira.example/", nil), Consumer{Key: "k"}, secret.New("token")); !errors.Is(err, ErrKey) {
		t.Errorf("without a key: %v", err)
	}
}
