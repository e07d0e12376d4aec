package admin_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"maps"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"

	"jiragate/gateway/admin"
	"jiragate/tokenstore/secret"
)

func passes(context.Context) error { return nil }

func readiness(t *testing.T, h http.Handler) (int, admin.Readiness) {
	t.Helper()
	status, body := call(t, h, "GET", "/readyz", "")
	var r admin.Readiness
	if err := json.Unmarshal([]byte(body), &r); err != nil {
		t.Fatalf("%v: %s", err, body)
	}
	return status, r
}

// Everybody is told which check fails, what that means and what to do; why exactly is
// for callers of this machine.
func TestReadiness(t *testing.T) {
	o := options(t, nil)
	o.Checks = []admin.Check{
		{Name: "store", Run: passes, Reason: "no reason", Hint: "nothing to do"},
		{Name: "audit", Run: func(context.Context) error { return errors.New("write /srv/secret/audit: no space left on device") },
			Reason: "records can't be written", Hint: "free the disk"},
	}
	api := newAPI(t, o)
	guarded, err := api.Network(admin.Guard{Token: secret.New(adminToken)})
	if err != nil {
		t.Fatal(err)
	}
	for name, h := range map[string]http.Handler{"local": described(t, api.Local(operator)), "network": described(t, guarded)} {
		t.Run(name, func(t *testing.T) {
			status, body := call(t, h, "GET", "/readyz", "")
			var r admin.Readiness
			if err := json.Unmarshal([]byte(body), &r); err != nil || status != 503 || r.Status != "not_ready" || r.Checks["store"] != "ok" || r.Checks["audit"] != "failing" {
				t.Fatalf("%d %s", status, body)
			}
			if told := strings.Contains(body, "no space") || strings.Contains(body, "/srv"); told != (name == "local") {
				t.Errorf("the cause is told: %v", told)
			}
			if len(r.Dependencies) != 2 {
				t.Fatal(body)
			}
			store, audit := r.Dependencies[0], r.Dependencies[1]
			if store.Name != "store" || store.Status != "ok" || store.Reason != "" || store.Hint != "" || store.Since.IsZero() {
				t.Errorf("%+v", store)
			}
			if audit.Name != "audit" || audit.Reason != "records can't be written" || audit.Hint != "free the disk" || audit.Since.IsZero() {
				t.Errorf("%+v", audit)
			}
		})
	}
}

// However often /readyz is asked, a check runs once a second.
func TestProbesDoNotLoadWhatTheyProbe(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := options(t, nil)
		var runs atomic.Int32
		o.Checks = []admin.Check{{Name: "store", Run: func(context.Context) error {
			runs.Add(1)
			time.Sleep(100 * time.Millisecond)
			return nil
		}}}
		h := newAPI(t, o).Local(operator)
		var callers sync.WaitGroup
		for range 50 {
			callers.Go(func() { readiness(t, h) })
		}
		callers.Wait()
		time.Sleep(900 * time.Millisecond)
		readiness(t, h)
		if n := runs.Load(); n != 1 {
			t.Errorf("51 probes within a second made %d checks", n)
		}
		time.Sleep(200 * time.Millisecond)
		readiness(t, h)
		if n := runs.Load(); n != 2 {
			t.Errorf("after it, %d checks", n)
		}
	})
}

// A check that hangs fails after 5 seconds, does not hold up the others, and is not
// begun again before it has come back.
func TestChecksAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := options(t, nil)
		var begun atomic.Int32
		var obeyed atomic.Bool
		back := make(chan struct{})
		o.Checks = []admin.Check{
			{Name: "stuck", Run: func(context.Context) error { begun.Add(1); <-back; return nil }, Reason: "it is broken", Hint: "mend it"},
			{Name: "slow", Run: func(ctx context.Context) error { <-ctx.Done(); obeyed.Store(true); return ctx.Err() }},
			{Name: "quick", Run: passes},
		}
		h := newAPI(t, o).Local(operator)
		for range 2 {
			began := time.Now()
			status, r := readiness(t, h)
			if status != 503 || r.Checks["stuck"] != "failing" || r.Checks["slow"] != "failing" || r.Checks["quick"] != "ok" {
				t.Errorf("%d %+v", status, r)
			}
			if took := time.Since(began); took != 5*time.Second {
				t.Errorf("took %s", took)
			}
			stuck, slow := r.Dependencies[0], r.Dependencies[1]
			if stuck.Reason != "no answer within 5s" || stuck.Error != stuck.Reason || stuck.Hint != "mend it" || slow.Reason != stuck.Reason {
				t.Errorf("%+v %+v", stuck, slow)
			}
			synctest.Wait()
			if begun.Load() != 1 || !obeyed.Load() {
				t.Errorf("begun %d times, told to end: %v", begun.Load(), obeyed.Load())
			}
			time.Sleep(2 * time.Second)
		}
		close(back)
		synctest.Wait()
		if _, r := readiness(t, h); r.Checks["stuck"] != "ok" {
			t.Errorf("%+v", r)
		}
	})
}

// What changes is logged once with what to do, and since when it is so is told.
func TestReadinessChanges(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := options(t, nil)
		var log bytes.Buffer
		o.Logger, o.Now = slog.New(slog.NewTextHandler(&log, nil)), time.Now
		var failing error
		o.Checks = []admin.Check{{Name: "audit", Run: func(context.Context) error { return failing }, Hint: "free the disk"}}
		h := newAPI(t, o).Local(operator)
		start := time.Now()
		want := func(status string, since time.Duration) {
			t.Helper()
			_, r := readiness(t, h)
			if d := r.Dependencies[0]; d.Status != status || !d.Since.Equal(start.Add(since)) {
				t.Errorf("%+v, want %s since %s", d, status, start.Add(since))
			}
			time.Sleep(2 * time.Second)
		}
		want("ok", 0)
		want("ok", 0)
		failing = errors.New("no space left on device")
		want("failing", 4*time.Second)
		want("failing", 4*time.Second)
		failing = nil
		want("ok", 8*time.Second)
		for line, n := range map[string]int{`msg="not ready" check=audit error="no space left on device" hint="free the disk"`: 1, `msg="ready again" check=audit`: 1} {
			if strings.Count(log.String(), line) != n {
				t.Errorf("not %d times %s:\n%s", n, line, &log)
			}
		}
	})
}

func TestPanicInACheck(t *testing.T) {
	o := options(t, nil)
	o.Checks = []admin.Check{{Name: "store", Run: func(context.Context) error { panic("S3cret") }}}
	status, body := call(t, newAPI(t, o).Local(operator), "GET", "/readyz", "")
	if status != 503 || strings.Contains(body, "S3cret") || !strings.Contains(body, "panic") {
		t.Errorf("%d %s", status, body)
	}
}

// The metric says of each check what /readyz does, and a scrape asks no more often.
func TestReadinessIsMeasured(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := options(t, nil)
		var fails atomic.Bool
		var runs atomic.Int32
		degraded := func(context.Context) error { return admin.Degraded(errors.New("etcd is away")) } // calls go on
		o.Checks = []admin.Check{{Name: "store", Run: degraded}, {Name: "audit", Run: func(context.Context) error {
			runs.Add(1)
			if fails.Load() {
				return errors.New("no space left on device")
			}
			return nil
		}}}
		reader := sdkmetric.NewManualReader()
		if err := newAPI(t, o).MeasureReadiness(sdkmetric.NewMeterProvider(sdkmetric.WithReader(reader)).Meter("test")); err != nil {
			t.Fatal(err)
		}
		scrape := func() map[string]int64 {
			t.Helper()
			var all metricdata.ResourceMetrics
			if err := reader.Collect(t.Context(), &all); err != nil {
				t.Fatal(err)
			}
			got := map[string]int64{}
			for _, p := range all.ScopeMetrics[0].Metrics[0].Data.(metricdata.Gauge[int64]).DataPoints {
				name, _ := p.Attributes.Value("jiragate.check")
				got[name.AsString()] = p.Value
			}
			return got
		}
		want := map[string]int64{"store": 1, "audit": 1}
		for range 3 {
			if got := scrape(); !maps.Equal(got, want) {
				t.Errorf("%v, want %v", got, want)
			}
		}
		if n := runs.Load(); n != 1 {
			t.Errorf("the check ran %d times within a second", n)
		}
		fails.Store(true)
		time.Sleep(time.Second)
		want["audit"] = 0
		if got := scrape(); !maps.Equal(got, want) {
			t.Errorf("%v, want %v", got, want)
		}
	})
}
