package gateway_test

import (
	"fmt"
	"math"
	"net"
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"go.opentelemetry.io/otel/attribute"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"

	"jiragate/gateway"
	"jiragate/internal/jirasim"
	"jiragate/policy"
)

// measured is a world whose metrics can be read.
func measured(t *testing.T, byConnection bool) (*world, *sdkmetric.ManualReader) {
	t.Helper()
	reader := sdkmetric.NewManualReader()
	return newWorld(t, change{gateway: func(_ *world, o *gateway.Options) {
		o.MeterProvider = sdkmetric.NewMeterProvider(sdkmetric.WithReader(reader))
		o.ConnectionMetrics = byConnection
	}}), reader
}

// series are the attributes of each metric's series, with its value, or the sum of a
// histogram.
func series(t *testing.T, reader *sdkmetric.ManualReader) map[string]map[attribute.Set]float64 {
	t.Helper()
	var collected metricdata.ResourceMetrics
	if err := reader.Collect(t.Context(), &collected); err != nil {
		t.Fatal(err)
	}
	all := map[string]map[attribute.Set]float64{}
	for _, scope := range collected.ScopeMetrics {
		for _, m := range scope.Metrics {
			of := map[attribute.Set]float64{}
			switch data := m.Data.(type) {
			case metricdata.Sum[int64]:
				for _, p := range data.DataPoints {
					of[p.Attributes] = float64(p.Value)
				}
			case metricdata.Gauge[int64]:
				for _, p := range data.DataPoints {
					of[p.Attributes] = float64(p.Value)
				}
			case metricdata.Gauge[float64]:
				for _, p := range data.DataPoints {
					of[p.Attributes] = p.Value
				}
			case metricdata.Histogram[float64]:
				for _, p := range data.DataPoints {
					of[p.Attributes] = p.Sum
				}
			default:
				t.Fatalf("%s: %T", m.Name, data)
			}
			all[m.Name] = of
		}
	}
	return all
}

// bounds reads of docs/metrics.md how many values each attribute has at most.
func bounds(t *testing.T) map[string]int {
	t.Helper()
	page := must(os.ReadFile("../docs/metrics.md"))(t)
	at := map[string]int{}
	for _, m := range regexp.MustCompile("(?m)^\\| `([a-z_.]+)` \\| ([0-9]+) \\|").FindAllStringSubmatch(string(page), -1) {
		at[m[1]] = must(strconv.Atoi(m[2]))(t)
	}
	return at
}

func TestSeriesAreBoundedByDesign(t *testing.T) {
	allowed := bounds(t)
	if n, most := len(gateway.Codes()), allowed["jiragate.code"]; n > most {
		t.Errorf("%d reason codes; docs/metrics.md has %d at most", n, most)
	}
	ids, paths := map[string]bool{}, map[string]bool{}
	for _, op := range policy.Default().Operations() {
		ids[op.ID], paths[op.Path] = true, true
	}
	if len(ids) > allowed["jiragate.operation"] || len(paths) > allowed["http.route"] {
		t.Errorf("%d operations with %d routes; docs/metrics.md has %d and %d at most", len(ids), len(paths), allowed["jiragate.operation"], allowed["http.route"])
	}

	w, reader := measured(t, false)
	client := w.billing()
	odd := func(from, to int) {
		for i := from; i < to; i++ {
			name := fmt.Sprintf("n%dx", i)
			_, _ = w.try(client, "GET", w.sim.DataCenterURL()+"/rest/api/2/"+name, "")
			_, _ = w.try(client, "GET", w.sim.DataCenterURL()+"/rest/api/2/project/"+strings.ToUpper(name), "")
			_, _ = w.try(client, "GET", w.sim.DataCenterURL()+"/rest/api/2/myself?"+name+"=1", "")
			_, _ = w.try(client, strings.ToUpper(name), w.sim.DataCenterURL()+"/rest/api/2/myself", "")
			_, _ = w.try(client, "GET", w.sim.DataCenterURL()+"/rest/api/2/priority", "", "Jira-Connection", name)
			_, _ = w.try(client, "GET", "http://"+name+".example/rest/api/2/myself", "")
			_, _ = w.try(w.client(name, name), "GET", w.sim.DataCenterURL()+"/rest/api/2/myself", "")
			w.raw("CONNECT " + name + ".example:443 HTTP/1.1\r\nHost: " + name + ".example:443\r\nProxy-Authorization: " + basic("billing", w.token) + "\r\n\r\n")
			w.raw("GET /c/" + name + "/rest/api/2/myself HTTP/1.1\r\nHost: h\r\nConnection: close\r\nProxy-Authorization: " + basic("billing", w.token) + "\r\n\r\n")
			clear := w.sim.Fault(jirasim.Fault{Kind: jirasim.ErrorStatus, PathPrefix: "/rest/api/2/user/picker", Status: 230 + i})
			_, _ = w.try(client, "GET", w.sim.DataCenterURL()+"/rest/api/2/user/picker?query="+name, "")
			clear()
		}
	}
	odd(0, 20)
	before := series(t, reader)
	for metric, all := range before {
		values := map[string]map[string]bool{}
		for set := range all {
			for _, kv := range set.ToSlice() {
				key, value := string(kv.Key), kv.Value.String()
				if values[key] == nil {
					values[key] = map[string]bool{}
				}
				values[key][value] = true
				if regexp.MustCompile(`(?i)n\d+x|billing|acme|globex|\bdc\b|127\.0\.0\.1`).MatchString(value) {
					t.Errorf("%s has %s=%q", metric, key, value)
				}
			}
		}
		for key, of := range values {
			if most, ok := allowed[key]; !ok || len(of) > most {
				t.Errorf("%s has %d values of %s; docs/metrics.md has %d at most", metric, len(of), key, most)
			}
		}
	}
	if len(before["jiragate.calls"]) < 6 {
		t.Errorf("the calls were not as odd as they should be: %v", before["jiragate.calls"])
	}
	odd(20, 40)
	for metric, all := range series(t, reader) {
		if len(all) != len(before[metric]) {
			t.Errorf("%s has %d series, and had %d before more calls of the same kinds", metric, len(all), len(before[metric]))
		}
	}
}

// A call counts under what it was, and by connection only where that is wanted.
func TestCallsAreCounted(t *testing.T) {
	for _, byConnection := range []bool{false, true} {
		t.Run(fmt.Sprint(byConnection), func(t *testing.T) {
			w, reader := measured(t, byConnection)
			client := w.billing()
			w.call(client, "GET", w.sim.DataCenterURL()+"/rest/api/2/myself", "")
			w.call(client, "GET", w.sim.DataCenterURL()+"/rest/api/2/serverInfo", "")
			clear := w.sim.Fault(jirasim.Fault{Kind: jirasim.ErrorStatus, Status: 503})
			w.call(client, "GET", w.sim.DataCenterURL()+"/rest/api/2/priority", "")
			clear()

			named := func(kvs ...attribute.KeyValue) attribute.Set {
				if byConnection {
					kvs = append(kvs, attribute.String("jiragate.connection", "dc"))
				}
				return attribute.NewSet(kvs...)
			}
			text := attribute.String
			edition, get, scheme := text("jiragate.edition", "datacenter"), text("http.request.method", "GET"), text("url.scheme", "https")
			myself, priority := text("jiragate.operation", "myself.get"), text("jiragate.operation", "priority.list")
			status := func(n int) attribute.KeyValue { return attribute.Int("http.response.status_code", n) }
			want := map[string][]attribute.Set{
				"jiragate.calls": {
					named(myself, edition, text("jiragate.decision", "allow"), text("jiragate.status_class", "2xx")),
					named(edition, text("jiragate.decision", "deny"), text("jiragate.code", "operation_not_documented"), text("jiragate.status_class", "4xx")),
					named(priority, edition, text("jiragate.decision", "allow"), text("jiragate.status_class", "5xx")),
				},
				"http.server.request.duration": {
					named(myself, edition, get, scheme, status(200), text("http.route", "/rest/api/2/myself")),
					named(edition, get, scheme, status(403)),
					named(priority, edition, get, scheme, status(503), text("error.type", "503"), text("http.route", "/rest/api/2/priority")),
				},
				"http.client.request.duration": {
					attribute.NewSet(myself, edition, get, scheme, status(200)),
					attribute.NewSet(priority, edition, get, scheme, status(503), text("error.type", "503")),
				},
				"jiragate.call.overhead": {
					attribute.NewSet(myself, edition, text("jiragate.decision", "allow")),
					attribute.NewSet(edition, text("jiragate.decision", "deny")),
					attribute.NewSet(priority, edition, text("jiragate.decision", "allow")),
				},
				"http.server.active_requests": {attribute.NewSet(get, scheme)},
				"jiragate.tunnels":            {attribute.NewSet(text("jiragate.state", "open")), attribute.NewSet(text("jiragate.state", "handshaking"))},
			}
			got := series(t, reader)
			for metric, sets := range want {
				if len(got[metric]) != len(sets) {
					t.Errorf("%s has %d series, want %d: %v", metric, len(got[metric]), len(sets), got[metric])
				}
				for _, set := range sets {
					value, ok := got[metric][set]
					if !ok {
						t.Errorf("%s lacks the series %s; it has %v", metric, set.Encoded(attribute.DefaultEncoder()), got[metric])
					}
					if metric == "jiragate.calls" && value != 1 {
						t.Errorf("%s: %v calls in %s", metric, value, set.Encoded(attribute.DefaultEncoder()))
					}
				}
			}
			if n := got["http.server.active_requests"][attribute.NewSet(get, scheme)]; n != 0 {
				t.Errorf("%v calls in flight after all have ended", n)
			}
			if n := got["jiragate.tunnels"][attribute.NewSet(text("jiragate.state", "open"))]; n != 1 {
				t.Errorf("%v open tunnels, want that of the client", n)
			}
		})
	}
}

// What the gateway waits for is not its own share: here everybody else is slow.
func TestOverheadIsWithoutWaits(t *testing.T) {
	const slow = 300 * time.Millisecond
	for _, tt := range []struct {
		name string
		call func(*world)
	}{
		{"Jira's head", func(w *world) {
			defer w.sim.Fault(jirasim.Fault{Kind: jirasim.Latency, Delay: slow})()
			w.call(w.billing(), "GET", w.sim.DataCenterURL()+"/rest/api/2/priority", "")
		}},
		{"Jira's body", func(w *world) {
			defer w.sim.Fault(jirasim.Fault{Kind: jirasim.Endless, Count: 3, Delay: slow / 3})()
			w.call(w.billing(), "GET", w.sim.DataCenterURL()+"/rest/api/2/priority", "")
		}},
		{"an access token", func(w *world) {
			w.sim.ExpireAccessTokens() // Jira refuses it, so that it is renewed
			defer w.sim.Fault(jirasim.Fault{Kind: jirasim.Latency, Origin: jirasim.AuthServer, Delay: slow})()
			w.repeated++
			w.call(w.billing(), "GET", w.sim.SiteURL()+"/rest/api/3/myself", "")
		}},
		{"the client's body", func(w *world) {
			conn := must(net.Dial("tcp", w.proxy))(w.t)
			defer conn.Close()
			body := `{"fields":{"project":{"key":"ACME"},"issuetype":{"id":"10001"},"summary":"s"}}`
			fmt.Fprintf(conn, "POST /c/dc/rest/api/2/issue HTTP/1.1\r\nHost: h\r\nConnection: close\r\nContent-Type: application/json\r\nContent-Length: %d\r\nProxy-Authorization: %s\r\n\r\n",
				len(body), basic("billing", w.token))
			time.Sleep(slow)
			if answer := exchange(w.t, conn, body); !strings.HasPrefix(answer, "HTTP/1.1 201") {
				w.t.Errorf("answer %q", answer)
			}
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w, reader := measured(t, false)
			tt.call(w)
			total, own := 0.0, 0.0
			got := series(t, reader)
			for _, s := range got["http.server.request.duration"] {
				total += s
			}
			for _, s := range got["jiragate.call.overhead"] {
				own += s
			}
			// Not a measure of speed: the difference is what was waited for, at least.
			if waited := total - own; total == 0 || own <= 0 || waited < (slow*9/10).Seconds() || math.IsNaN(waited) {
				t.Errorf("the call took %.3f s, of which %.3f s were the gateway's", total, own)
			}
		})
	}
}
