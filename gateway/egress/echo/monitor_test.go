package echo

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
)

// network says what the services see of calls through each address; where it
// says nothing, no service can be reached.
type network struct {
	mu    sync.Mutex
	seen  map[netip.Addr]netip.Addr
	asked []time.Time
}

func (n *network) set(seen map[netip.Addr]netip.Addr) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.seen = seen
}

func (n *network) transport(public netip.Addr) http.RoundTripper {
	return roundTripper(func(*http.Request) (*http.Response, error) {
		n.mu.Lock()
		defer n.mu.Unlock()
		if public == first {
			n.asked = append(n.asked, time.Now())
		}
		if seen, ok := n.seen[public]; ok {
			return answer(seen.String()), nil
		}
		return nil, errors.New("the network is down")
	})
}

// watch is a running Monitor and what it writes.
type watch struct {
	*Monitor
	network *network
	log     bytes.Buffer // read between rounds only
	reader  *metric.ManualReader
}

func start(t *testing.T, seen map[netip.Addr]netip.Addr) *watch {
	t.Helper()
	w := &watch{network: &network{seen: seen}, reader: metric.NewManualReader()}
	m, err := NewMonitor(MonitorOptions{
		Options: Options{
			Addresses: []netip.Addr{first, second},
			Services:  []string{"https://a.example"},
			Transport: w.network.transport,
		},
		Logger: slog.New(slog.NewTextHandler(&w.log, nil)),
		Meter:  metric.NewMeterProvider(metric.WithReader(w.reader)).Meter(""),
	})
	if err != nil {
		t.Fatal(err)
	}
	w.Monitor = m
	return w
}

// run runs the Monitor until the test ends.
func (w *watch) run(t *testing.T) {
	var running sync.WaitGroup
	ctx, cancel := context.WithCancel(t.Context())
	running.Go(func() { w.Run(ctx) })
	t.Cleanup(func() { cancel(); running.Wait() })
	synctest.Wait()
}

// lines takes what was logged.
func (w *watch) lines() []string {
	defer w.log.Reset()
	return strings.FieldsFunc(w.log.String(), func(r rune) bool { return r == '\n' })
}

// gauges returns what the gauges say now.
func (w *watch) gauges(t *testing.T) (verified map[string]int64, age []float64) {
	t.Helper()
	var all metricdata.ResourceMetrics
	if err := w.reader.Collect(t.Context(), &all); err != nil {
		t.Fatal(err)
	}
	verified = map[string]int64{}
	for _, scope := range all.ScopeMetrics {
		for _, m := range scope.Metrics {
			switch data := m.Data.(type) {
			case metricdata.Gauge[int64]:
				for _, p := range data.DataPoints {
					ip, _ := p.Attributes.Value("jiragate.egress_ip")
					verified[m.Name+" "+ip.AsString()] = p.Value
				}
			case metricdata.Gauge[float64]:
				for _, p := range data.DataPoints {
					age = append(age, p.Value)
				}
			}
		}
	}
	return verified, age
}

func (w *watch) wantGauges(t *testing.T, of1, of2 int64) {
	t.Helper()
	got, _ := w.gauges(t)
	if len(got) != 2 || got["jiragate.egress.verified 203.0.113.7"] != of1 || got["jiragate.egress.verified 203.0.113.8"] != of2 {
		t.Errorf("gauges: %v; want %d and %d", got, of1, of2)
	}
}

// round is long enough for exactly one round.
const round = defaultInterval + defaultInterval/9

var asPublished = map[netip.Addr]netip.Addr{first: first, second: second}

// TestMonitor follows one gateway through a day on which everything happens.
func TestMonitor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := start(t, asPublished)
		if w.Ready() != nil || w.Last() != nil {
			t.Errorf("before the first round: %v, %v", w.Ready(), w.Last())
		}
		w.wantGauges(t, -1, -1)
		w.run(t)

		steps := []struct {
			name  string
			seen  map[netip.Addr]netip.Addr
			ready string   // part of the error of Ready
			lines []string // parts of the lines that are logged
			gauge [2]int64
		}{
			{"at start", asPublished, "",
				[]string{"level=INFO", "level=INFO"}, [2]int64{1, 1}},
			{"no change, no line", asPublished, "", nil, [2]int64{1, 1}},
			{"one leaves from elsewhere", map[netip.Addr]netip.Addr{first: first, second: other}, "published 203.0.113.8, but https://a.example saw 198.51.100.9",
				[]string{"address=203.0.113.8 verdict=differs before=verified seen=[198.51.100.9]"}, [2]int64{1, 0}},
			{"and still does", map[netip.Addr]netip.Addr{first: first, second: other}, "203.0.113.8", nil, [2]int64{1, 0}},
			{"from somewhere else again", map[netip.Addr]netip.Addr{first: first, second: first}, "saw 203.0.113.7",
				[]string{"before=differs seen=[203.0.113.7]"}, [2]int64{1, 0}},
			{"the services are down", nil, "",
				[]string{"level=WARN", "address=203.0.113.8 verdict=unknown before=differs problems=\"ask https://a.example: the network is down\""}, [2]int64{-1, -1}},
			{"and still are", nil, "", nil, [2]int64{-1, -1}},
			{"all is well", asPublished, "",
				[]string{"before=unknown", "before=unknown"}, [2]int64{1, 1}},
		}
		for i, step := range steps {
			w.network.set(step.seen)
			if i > 0 {
				time.Sleep(time.Until(w.Last().Finished.Add(round)))
				synctest.Wait()
			}
			err := w.Ready()
			if (err == nil) != (step.ready == "") || err != nil && (!errors.Is(err, ErrDiffers) || !strings.Contains(err.Error(), step.ready)) {
				t.Errorf("%s: Ready: %v; want %q", step.name, err, step.ready)
			}
			lines := w.lines()
			if len(lines) != len(step.lines) {
				t.Errorf("%s: logged %q", step.name, lines)
			}
			for j := range min(len(lines), len(step.lines)) {
				if !strings.Contains(lines[j], step.lines[j]) {
					t.Errorf("%s: logged %q without %q", step.name, lines[j], step.lines[j])
				}
			}
			w.wantGauges(t, step.gauge[0], step.gauge[1])
		}
	})
}

// TestMonitorInterval: rounds are ten minutes apart, give or take one, and not
// always the same.
func TestMonitorInterval(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := start(t, asPublished)
		w.run(t)
		time.Sleep(24 * time.Hour)
		w.network.mu.Lock()
		defer w.network.mu.Unlock()
		waits := map[time.Duration]bool{}
		for i := range len(w.network.asked) - 1 {
			wait := w.network.asked[i+1].Sub(w.network.asked[i])
			if waits[wait] = true; wait < 9*time.Minute || wait > 11*time.Minute {
				t.Errorf("a round after %s", wait)
			}
		}
		if len(waits) < 50 {
			t.Errorf("%d different waits in a day", len(waits))
		}
	})
}

func TestMonitorAge(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := start(t, nil)
		if _, age := w.gauges(t); age != nil {
			t.Errorf("before the first round: %v", age)
		}
		w.run(t)
		time.Sleep(90 * time.Second)
		if _, age := w.gauges(t); len(age) != 1 || age[0] != 90 {
			t.Errorf("90 s after the first round: %v", age)
		}
	})
}

// TestMonitorGivesUpARound: a round that was cut short by the end says nothing.
func TestMonitorGivesUpARound(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		m, err := NewMonitor(MonitorOptions{
			Options: Options{Addresses: []netip.Addr{first}, Services: []string{"https://a.example"}, Transport: through(roundTripper(silent))},
			Logger:  slog.New(slog.NewTextHandler(&log, nil)),
		})
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		started := time.Now()
		m.Run(ctx)
		if took := time.Since(started); took != time.Second {
			t.Errorf("Run returned after %s", took)
		}
		if m.Last() != nil || log.Len() > 0 {
			t.Errorf("%+v, %q", m.Last(), log.String())
		}
	})
}

func TestMonitorRefusesIntervals(t *testing.T) {
	for _, interval := range []time.Duration{-time.Hour, time.Second, 25 * time.Hour} {
		_, err := NewMonitor(MonitorOptions{
			Options:  Options{Addresses: []netip.Addr{first}, Services: []string{"https://a.example"}, Transport: through(nil)},
			Interval: interval,
		})
		if err == nil || !strings.Contains(err.Error(), "choose one between 1m0s and 24h0m0s") {
			t.Errorf("%s: %v", interval, err)
		}
	}
}

// Addresses that come or go are verified in the next round, which can be asked for.
func TestMonitorFollowsTheAddresses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := start(t, map[netip.Addr]netip.Addr{first: first, second: second})
		present := []netip.Addr{first}
		w.present = func() []netip.Addr { return present }
		w.run(t)
		present = []netip.Addr{second}
		w.Again()
		synctest.Wait()
		if last := w.Last(); len(last.Addresses) != 1 || last.Addresses[0].Public != second {
			t.Errorf("verified %+v", last.Addresses)
		}
		if verified, _ := w.gauges(t); len(verified) != 1 {
			t.Errorf("gauges %v", verified)
		}
	})
}
