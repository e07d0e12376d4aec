package gateway

import (
	"net/http/httptest"
	"testing"
	"testing/synctest"
	"time"
)

// An answer that is cut because the call's time is over says so; one that Jira cuts is
// Jira's.
func TestCutAtTheEndOfTheCallsTime(t *testing.T) {
	for _, tt := range []struct {
		left time.Duration
		want Code
	}{{time.Second, CodeUpstreamTimeout}, {time.Hour, CodeUpstreamResponseCut}} {
		synctest.Test(t, func(t *testing.T) {
			c := &Call{in: httptest.NewRequest("GET", "/", nil)}
			body := &pieces{waits: []time.Duration{0, 2 * upstreamIdleTimeout}}
			a := &answer{body: pacedBody{body, time.Now().Add(tt.left), c}}
			defer a.body.Close()
			if got := new(Gateway).stream(httptest.NewRecorder(), c, a); got != tt.want {
				t.Errorf("with %s left: %q, not %q", tt.left, got, tt.want)
			}
		})
	}
}
