package demo

import (
	"context"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"jiragate/gateway/audit"
)

// The calls come at the pace that is asked for, and end with the context.
func TestPacedUntil(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		calls := 0
		begun := time.Now()
		pacedUntil(ctx, func() time.Duration { return 400 * time.Millisecond }, func(context.Context) {
			calls++
			time.Sleep(100 * time.Millisecond) // a call takes its time
		})
		if calls < 119 || calls > 120 {
			t.Errorf("%d calls in a minute", calls)
		}
		if took := time.Since(begun); took > time.Minute+100*time.Millisecond {
			t.Errorf("it ended after %s", took)
		}
	})
}

// What the demo calls while it is up is recorded, some of it refused; and the world
// closes in good order afterwards.
func TestTraffic(t *testing.T) {
	s := set(t, anyListeners)
	begun := time.Now()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	traffic, err := s.newTraffic()
	if err != nil {
		t.Fatal(err)
	}
	defer traffic.close()
	traffic.away = 0
	const calls = 120
	for range calls {
		traffic.call(ctx)
	}
	cancel()
	traffic.call(ctx) // is none
	if err := s.keepCalling(ctx); err != nil {
		t.Errorf("keeping calling ended with %v", err)
	}
	seen, refused, failed, clients, codes := 0, 0, 0, map[string]bool{}, map[string]bool{}
	for entry, err := range audit.Query(filepath.Join(s.dir, "data", "audit"), audit.Filter{Since: begun}) {
		if err != nil {
			t.Fatal(err)
		}
		r := entry.Record
		if r.IsAct() {
			continue
		}
		seen++
		clients[r.Client], codes[r.Code] = true, true
		switch {
		case r.Decision == audit.DecisionDeny:
			refused++
		case r.Status >= 400:
			failed++
		}
	}
	if seen != calls || len(clients) != len(services) || refused == 0 || failed == 0 || refused+failed > calls/2 {
		t.Errorf("%d calls of %v, %d refused, %d failed", seen, clients, refused, failed)
	}
	for _, code := range []string{"operation_not_documented", "credential_needs_reauthorisation", "upstream_rate_limited"} {
		if !codes[code] {
			t.Errorf("no call came to %s: %v", code, codes)
		}
	}
}
