package admin_test

import (
	"net/http"
	"strings"
	"testing"

	"jiragate/gateway/admin"
)

// Where a body may be left out, one that is sent in chunks and is empty is none. Its length is
// not known before it was read.
func TestEmptyBodyInChunks(t *testing.T) {
	chunked := func(r *http.Request) { r.ContentLength = -1 }
	noType := func(r *http.Request) { r.Header.Del("Content-Type") }
	for name, test := range map[string]struct {
		body   string
		change []func(*http.Request)
		status int
		atOnce bool
	}{
		"no body":                {status: 200},
		"empty, in chunks":       {change: []func(*http.Request){chunked}, status: 200},
		"in chunks":              {body: `{"at_once": true}`, change: []func(*http.Request){chunked}, status: 200, atOnce: true},
		"longer than a buffer":   {body: strings.Repeat(" ", 8192) + `{"at_once": true}`, change: []func(*http.Request){chunked}, status: 200, atOnce: true},
		"too long":               {body: strings.Repeat(" ", 600<<10) + `{}`, change: []func(*http.Request){chunked}, status: 413},
		"blank":                  {body: " ", change: []func(*http.Request){chunked}, status: 400},
		"in chunks, of no type":  {body: `{"at_once": true}`, change: []func(*http.Request){chunked, noType}, status: 415},
		"in chunks, of no sense": {body: `{"at_once"`, change: []func(*http.Request){chunked}, status: 400},
	} {
		t.Run(name, func(t *testing.T) {
			rotations, atOnce := 0, false
			ca := fakeCA()
			ca.MayRotate = func(bool) error { return nil }
			ca.Rotate = func(now bool) (admin.CARoots, error) {
				rotations, atOnce = rotations+1, now
				return admin.CARoots{}, nil
			}
			status, body := call(t, local(t, withCA(t, ca)), "POST", "/v1/ca/rotate", test.body, test.change...)
			if status != test.status || (rotations == 1) != (status == 200) || atOnce != test.atOnce {
				t.Errorf("%d, %d rotations, at once %v: %s", status, rotations, atOnce, body)
			}
		})
	}
}
