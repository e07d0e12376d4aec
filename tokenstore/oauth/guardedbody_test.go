package oauth

import (
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"

	"jiragate/policy"
	"jiragate/tokenstore"
	"jiragate/tokenstore/secret"
)

// TestGuardedBody: nothing leaves that is not held, then or later.
func TestGuardedBody(t *testing.T) {
	held := errors.New("not held")
	m := New(Options{AuthURL: "https://auth.example", ClientID: clientID, ClientSecret: secret.New(clientSecret)})
	c := &tokenstore.Connection{ID: "acme", Edition: policy.Cloud}
	p, err := m.provider(c, &tokenstore.Credential{})
	if err != nil {
		t.Fatal(err)
	}
	reset := errors.New("reset")
	for _, test := range []struct {
		name      string
		way       func(r *http.Request, lapse func()) (*http.Response, error)
		untouched bool
	}{
		{"lapsed before it is read", func(r *http.Request, lapse func()) (*http.Response, error) {
			lapse()
			if b, err := io.ReadAll(r.Body); len(b) != 0 || err == nil {
				t.Errorf("%d bytes have left, %v", len(b), err)
			}
			// Whatever is answered.
			return &http.Response{StatusCode: 403, Header: http.Header{}, Body: io.NopCloser(strings.NewReader(`{"error":"invalid_grant"}`)), Request: r}, nil
		}, true},
		{"lapsed while it was not read", func(r *http.Request, lapse func()) (*http.Response, error) {
			lapse()
			return nil, reset
		}, true},
		{"lapsed in the middle", func(r *http.Request, lapse func()) (*http.Response, error) {
			if _, err := io.ReadFull(r.Body, make([]byte, 10)); err != nil {
				t.Error(err)
			}
			lapse()
			if b, err := io.ReadAll(r.Body); len(b) != 0 || err == nil {
				t.Errorf("%d more bytes have left, %v", len(b), err)
			}
			return nil, reset
		}, false},
		{"lapsed when all of it has left", func(r *http.Request, lapse func()) (*http.Response, error) {
			if _, err := io.ReadFull(r.Body, make([]byte, r.ContentLength)); err != nil {
				t.Error(err)
			}
			lapse()
			if _, err := io.ReadAll(r.Body); err != nil {
				t.Errorf("the end of the body: %v", err)
			}
			return nil, reset
		}, false},
		{"held", func(r *http.Request, _ func()) (*http.Response, error) {
			_, err := io.ReadAll(r.Body)
			return nil, errors.Join(err, reset)
		}, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			var lapsed error
			m.transportFor = func(*tokenstore.Connection) http.RoundTripper {
				return roundTrip(func(r *http.Request) (*http.Response, error) {
					if r.GetBody != nil {
						t.Error("it could be sent again unguarded")
					}
					res, err := test.way(r, func() { lapsed = held })
					t.Cleanup(func() { // what reads it later
						if b, _ := io.ReadAll(r.Body); test.untouched && len(b) != 0 {
							t.Errorf("%d bytes have left later", len(b))
						}
					})
					return res, err
				})
			}
			claim := tokenstore.NewClaim(tokenstore.Rotation{}, false, 1, heldBy(func() error { return lapsed }))
			_, fail := m.exchange(t.Context(), c, &p, secret.New(refreshToken(0)), &claim)
			if fail == nil || fail.untouched != test.untouched || !errors.Is(fail.err, ErrUnavailable) || strings.Contains(fail.err.Error(), mark) {
				t.Errorf("it failed with %+v", fail)
			}
		})
	}
}

// heldBy is a lease of which nobody is told that it has lapsed.
type heldBy func() error

func (h heldBy) Held() error           { return h() }
func (heldBy) Lapsed() <-chan struct{} { return nil }
