package oauth

import (
	"bytes"
	"encoding/json"
	"net/http"
	"reflect"
	"strings"
	"testing"
	"time"
)

// FuzzParseRetryAfter: no answer has the gateway wait for longer than an hour; a number is
// that of seconds, and a date one that net/http knows.
func FuzzParseRetryAfter(f *testing.F) {
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	for _, value := range []string{"", "30", "-1", "+1", "1.5", " 30", "99999999999999999999", "2147483648", "Sun, 01 Mar 2026 12:00:30 GMT", "Sun, 01 Mar 0001 00:00:00 GMT", "Fri, 31 Dec 9999 23:59:59 GMT"} {
		f.Add(value)
	}
	f.Fuzz(func(t *testing.T, value string) {
		d := parseRetryAfter(value, now)
		if d < 0 || d > maxRetryAfter {
			t.Fatalf("%q: %v", value, d)
		}
		at, err := http.ParseTime(value)
		digits := value != "" && strings.Trim(value, "0123456789") == ""
		switch {
		case digits && d%time.Second != 0, !digits && err != nil && d != 0:
			t.Errorf("%q: %v", value, d)
		case err == nil && d != min(max(at.Sub(now), 0), maxRetryAfter):
			t.Errorf("%q, at %v: %v", value, at, d)
		}
	})
}

// FuzzTakeLifetime: expires_in is taken from an answer and nothing else: what is left means
// to encoding/json what it has meant before, and a token lives from a second to a day.
func FuzzTakeLifetime(f *testing.F) {
	for _, answer := range []string{
		`{"access_token":"a","refresh_token":"b","expires_in":3600}`, `{"expires_in":"3600"}`, `{"expires_in":1e999}`, `{"expires_in":"NaN"}`, `{"expires_in":"Inf"}`,
		`{"expires_in":-1}`, `{"expires_in":0.5}`, `{"expires_in":null}`, `{"expires_in":[1]}`, `{"expires_in":1,"expires_in":2}`, `{"Expires_In":5}`, `{}`, `null`, `[]`, `{"a":1`, "",
		`{"access_token":"\u003c\ud800","n":12345678901234567890123}`,
	} {
		f.Add([]byte(answer))
	}
	f.Fuzz(func(t *testing.T, answer []byte) {
		whole := bytes.Clone(answer)
		rest, lifetime := takeLifetime(answer)
		if lifetime < time.Second || lifetime > maxLifetime {
			t.Errorf("%q: a lifetime of %v", answer, lifetime)
		}
		if !bytes.Equal(answer, whole) {
			t.Errorf("%q was changed to %q", whole, answer)
		}
		before, isObject := objectOf(answer)
		if !isObject {
			if !bytes.Equal(rest, answer) || lifetime != assumedLifetime {
				t.Errorf("%q is no object, and has become %q for %v", answer, rest, lifetime)
			}
			return
		}
		after, ok := objectOf(rest)
		if _, there := after["expires_in"]; !ok || there {
			t.Fatalf("%q has become %q", answer, rest)
		}
		if delete(before, "expires_in"); !reflect.DeepEqual(before, after) {
			t.Errorf("%q has become %q", answer, rest)
		}
	})
}

func objectOf(text []byte) (object map[string]any, ok bool) {
	d := json.NewDecoder(bytes.NewReader(text))
	d.UseNumber() // so that none is too large
	if !json.Valid(text) || d.Decode(&object) != nil || object == nil {
		return nil, false
	}
	return object, true
}
