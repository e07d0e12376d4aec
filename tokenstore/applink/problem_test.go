package applink

import (
	"context"
	"errors"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"jiragate/tokenstore/secret"
)

func TestProblem(t *testing.T) {
	for _, row := range []struct {
		fields []string
		want   string
	}{
		{nil, ""},
		{[]string{`OAuth realm="https%3A%2F%2Fjira.example"`}, ""},
		{[]string{`OAuth realm="https%3A%2F%2Fjira.example", oauth_problem="token_rejected"`}, "token_rejected"},
		{[]string{`OAuth realm="x"`, `OAuth oauth_problem="nonce_used", realm="x"`}, "nonce_used"},
		{[]string{`OAuth oauth_problem=signature%5Finvalid`}, "signature_invalid"},
		{[]string{`Basic realm="a, b", OAuth realm="x", OAUTH_PROBLEM = "timestamp_refused" , more="1"`}, "timestamp_refused"},
		{[]string{`OAuth realm="x, oauth_problem=token_used"`}, ""},
		{[]string{`OAuth realm="\", oauth_problem=token_used"`}, ""},
		{[]string{`OAuth oauth_problem="my_secret_token"`}, ""},
		{[]string{`OAuth oauth_problem="token_rejected\r\nX"`}, ""},
		{[]string{`OAuth oauth_problem="TOKEN_REJECTED"`}, ""},
		{[]string{`OAuth oauth_problem="%zz"`, `oauth_problem`, `,,=,"`}, ""},
	} {
		if got := Problem(http.Header{"Www-Authenticate": row.fields}); got != row.want {
			t.Errorf("%q: %q, want %q", row.fields, got, row.want)
		}
	}
}

func FuzzProblem(f *testing.F) {
	f.Add(`OAuth realm="https%3A%2F%2Fjira.example", oauth_problem="token_rejected"`)
	f.Add(`Basic realm="a, b\"", OAuth oauth_problem=%74oken_rejected`)
	f.Add(`"\`)
	f.Fuzz(func(t *testing.T, field string) {
		got := Problem(http.Header{"Www-Authenticate": {field}})
		if _, ok := problems[got]; got != "" && !ok {
			t.Errorf("%q is not on the list", got)
		}
	})
}

// script answers each request with the same status, body and field.
type script struct {
	status      int
	body, field string
}

// RoundTrip implements [http.RoundTripper].
func (s script) RoundTrip(*http.Request) (*http.Response, error) {
	return &http.Response{StatusCode: s.status, Header: http.Header{"Www-Authenticate": {s.field}}, Body: io.NopCloser(strings.NewReader(s.body))}, nil
}

var fuzzKey = sync.OnceValue(func() secret.Secret {
	key, err := NewKey()
	if err != nil {
		panic(err)
	}
	return key
})

var kinds = []error{ErrDenied, ErrConsumer, ErrClock, ErrToken, ErrUnavailable, ErrAnswer}

// Whatever Jira answers, it is a usable token or an error of a known kind that
// quotes nothing of it.
func FuzzAnswers(f *testing.F) {
	const mark = "Ünquotable"
	f.Add(200, "oauth_token=a&oauth_token_secret=b&oauth_callback_confirmed=true&oauth_expires_in=157680000", "")
	f.Add(200, "oauth_token=%zz&oauth_token_secret=b&oauth_expires_in=-1", "")
	f.Add(200, "<html>oauth_token=a</html>", "")
	f.Add(401, "oauth_problem=timestamp_refused&oauth_acceptable_timestamps=1-99999999999999", `OAuth oauth_problem="x"`)
	f.Add(401, "oauth_problem="+mark, `OAuth oauth_problem="`+mark+`"`)
	f.Add(503, "oauth_problem=user_refused", "")
	f.Add(302, "", "")
	c := Consumer{Key: "k", PrivateKey: fuzzKey()}
	f.Fuzz(func(t *testing.T, status int, body, field string) {
		if status < 100 || status > 999 {
			return
		}
		check := func(err error) {
			if !slices.ContainsFunc(kinds, func(kind error) bool { return errors.Is(err, kind) }) {
				t.Errorf("error %v is of no kind", err)
			}
			if strings.Contains(err.Error(), mark) {
				t.Errorf("error %v quotes the answer", err)
			}
		}
		transport := script{status, body, field}
		r, err := RequestToken(context.Background(), transport, "https://jira.example/jira", c, "oob")
		if err != nil {
			check(err)
		} else if r.Token.IsZero() || !strings.Contains(r.AuthorizeURL, "oauth_token=") {
			t.Errorf("request %q", r.AuthorizeURL)
		}
		a, err := AccessToken(context.Background(), transport, "https://jira.example/jira", c, Request{Token: secret.New("t")}, "v")
		if err != nil {
			check(err)
		} else if a.Token.IsZero() || a.Lifetime < 0 || a.Lifetime > maxLifetime {
			t.Errorf("access for %v", a.Lifetime)
		}
	})
}

func TestAnswers(t *testing.T) {
	c := Consumer{Key: "k", PrivateKey: fuzzKey()}
	for _, row := range []struct {
		name     string
		answer   script
		want     error
		lifetime time.Duration
	}{
		{"no lifetime", script{200, "oauth_token=a&oauth_token_secret=b", ""}, nil, 0},
		{"lifetime", script{200, "oauth_token=a&oauth_token_secret=b&oauth_expires_in=60", ""}, nil, time.Minute},
		{"lifetime that is none", script{200, "oauth_token=a&oauth_token_secret=b&oauth_expires_in=1e9", ""}, nil, 0},
		{"negative lifetime", script{200, "oauth_token=a&oauth_token_secret=b&oauth_expires_in=-60", ""}, nil, 0},
		{"eternal", script{200, "oauth_token=a&oauth_token_secret=b&oauth_expires_in=9000000000000000000", ""}, nil, maxLifetime},
		{"no token", script{200, "oauth_token_secret=b", ""}, ErrAnswer, 0},
		{"long token", script{200, "oauth_token_secret=b&oauth_token=" + strings.Repeat("a", maxToken+1), ""}, ErrAnswer, 0},
		{"long answer", script{200, "oauth_token=a&oauth_token_secret=b&x=" + strings.Repeat("a", maxAnswer), ""}, ErrAnswer, 0},
		{"a token with a 401", script{401, "oauth_token=a&oauth_token_secret=b", ""}, ErrAnswer, 0},
		{"problem in the body only", script{401, "oauth_problem=token_rejected\n", ""}, ErrToken, 0},
		{"problem with a 400", script{400, "", `OAuth oauth_problem="signature_invalid"`}, ErrConsumer, 0},
		{"refusal with a 503", script{503, "oauth_problem=user_refused", ""}, ErrDenied, 0},
		{"problem with a 502", script{502, "oauth_problem=token_rejected", ""}, ErrUnavailable, 0},
		{"clock, nothing said", script{401, "oauth_problem=timestamp_refused", ""}, ErrClock, 0},
		{"clock, rubbish said", script{401, "oauth_problem=timestamp_refused&oauth_acceptable_timestamps=x-y", ""}, ErrClock, 0},
	} {
		a, err := AccessToken(t.Context(), row.answer, "https://jira.example", c, Request{Token: secret.New("t")}, "v")
		if !errors.Is(err, row.want) || a.Lifetime != row.lifetime {
			t.Errorf("%s: %v for %v, want %v for %v", row.name, err, a.Lifetime, row.want, row.lifetime)
		}
	}
	// Without the confirmation the server speaks OAuth 1.0, which binds the
	// callback to nothing (RFC 5849 section 2.1).
	if _, err := RequestToken(t.Context(), script{200, "oauth_token=a&oauth_token_secret=b", ""}, "https://jira.example", c, "oob"); !errors.Is(err, ErrAnswer) {
		t.Errorf("unconfirmed callback: %v", err)
	}
}
