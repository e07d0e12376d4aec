package gateway_test

import (
	"context"
	"net/http"
	"net/netip"
	"strings"
	"testing"

	"go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"

	"jiragate/gateway"
	"jiragate/internal/jirasim"
)

// What the customer's side says no to is told apart: in Proxy-Status, in the call
// record and in metrics, with the answer itself as Jira gave it.
func TestRefusalsOfTheCustomersSide(t *testing.T) {
	tests := []struct {
		name   string
		fault  jirasim.Fault
		status int
		code   string
	}{
		{"IP allowlist of Cloud", jirasim.Fault{Kind: jirasim.IPRefused, Origin: jirasim.CloudAPI}, 403, "upstream_ip_refused"},
		{"firewall of a Data Center", jirasim.Fault{Kind: jirasim.IPRefused, Origin: jirasim.DataCenter}, 403, "upstream_firewall_refused"},
		{"app taken away", jirasim.Fault{Kind: jirasim.AppRefused, Origin: jirasim.CloudAPI}, 403, "upstream_app_refused"},
		{"site suspended", jirasim.Fault{Kind: jirasim.SiteUnavailable, Origin: jirasim.CloudAPI}, 404, "upstream_site_unavailable"},
		{"passwords switched off", jirasim.Fault{Kind: jirasim.BasicAuthDisabled, Origin: jirasim.DataCenter}, 403, "upstream_basic_auth_disabled"},
		{"no permission", jirasim.Fault{Kind: jirasim.PermissionRefused, Origin: jirasim.DataCenter}, 403, "upstream_permission_refused"},
		{"rate limit", jirasim.Fault{Kind: jirasim.RateLimit, Origin: jirasim.CloudAPI}, 429, "upstream_rate_limited"},
		{"nothing that is known", jirasim.Fault{Kind: jirasim.ErrorStatus, Status: 500, Origin: jirasim.CloudAPI}, 500, ""},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			reader := metric.NewManualReader()
			w := newWorld(t, change{gateway: func(_ *world, o *gateway.Options) {
				o.MeterProvider = metric.NewMeterProvider(metric.WithReader(reader))
			}})
			url := w.sim.SiteURL() + "/rest/api/3/priority"
			if test.fault.Origin == jirasim.DataCenter {
				url = w.sim.DataCenterURL() + "/rest/api/2/priority"
			}
			w.sim.Fault(test.fault)
			r := w.call(w.billing(), "GET", url, "")
			proxyStatus := "jiragate; received-status=" + itoa(test.status)
			if test.code != "" {
				proxyStatus += `; details="` + test.code + `"`
			}
			if r.StatusCode != test.status || r.Header.Get("Proxy-Status") != proxyStatus {
				t.Errorf("%d, Proxy-Status %s, want %d %s", r.StatusCode, r.Header.Get("Proxy-Status"), test.status, proxyStatus)
			}
			if r.Header.Get("Content-Type") == "application/problem+json" || r.body == "" {
				t.Errorf("the body is not Jira's: %s", r.body)
			}
			code, _ := w.newest()
			if code != test.code {
				t.Errorf("recorded as %q, want %q", code, test.code)
			}
			if n := counted(t, reader, test.code); n != 1 {
				t.Errorf("%d calls are counted under %q", n, test.code)
			}
		})
	}
}

// counted is how many calls have the code.
func counted(t *testing.T, reader *metric.ManualReader, code string) (n int64) {
	t.Helper()
	var all metricdata.ResourceMetrics
	if err := reader.Collect(context.Background(), &all); err != nil {
		t.Fatal(err)
	}
	for _, scope := range all.ScopeMetrics {
		for _, m := range scope.Metrics {
			sum, ok := m.Data.(metricdata.Sum[int64])
			if m.Name != "jiragate.calls" || !ok {
				continue
			}
			for _, point := range sum.DataPoints {
				if v, _ := point.Attributes.Value("jiragate.code"); v.AsString() == code && v.AsString() != "" || code == "" && v.AsString() == "" {
					n += point.Value
				}
			}
		}
	}
	return n
}

// An operator who tests a connection is told which setting to change.
func TestProbeSaysWhichSettingToChange(t *testing.T) {
	w := newWorld(t, change{})
	w.sim.AllowFrom(netip.MustParsePrefix("192.0.2.0/24"))
	result, err := w.gateway.Probe(t.Context(), "acme")
	if err != nil || result.Status != 403 || result.Code != "upstream_ip_refused" || result.Detail == "" {
		t.Errorf("%+v, %v", result, err)
	}
	w.sim.AllowFrom(netip.MustParsePrefix("127.0.0.0/8"))
	if result, err := w.gateway.Probe(t.Context(), "acme"); err != nil || result.Status != 200 || result.Code != "" {
		t.Errorf("allowed: %+v, %v", result, err)
	}
}

// A firewall that names the address it saw shows that calls come from elsewhere.
func TestFirewallThatSawAnotherAddress(t *testing.T) {
	w := newWorld(t, change{})
	url, client := w.slowJira(aToken(), func(rw http.ResponseWriter, _ *http.Request) {
		rw.Header().Set("Content-Type", "text/html")
		rw.Header().Set("Server", "cloudflare")
		rw.WriteHeader(403)
		_, _ = rw.Write([]byte(`<html><head><title>Access denied | jira.acme.com used Cloudflare to restrict access</title></head>
<body><h1><span class="cf-error-type">Error</span><span class="cf-error-code">1006</span></h1>
<span class="hidden" id="cf-footer-ip">203.0.113.7</span></body></html>`))
	})
	w.call(client, "GET", url, "")
	if code, _ := w.newest(); code != "upstream_ip_refused" {
		t.Errorf("recorded as %q", code)
	}
	if log := w.log.String(); !strings.Contains(log, `"seen":"203.0.113.7"`) || !strings.Contains(log, `"egress_ip":"unpinned"`) {
		t.Errorf("the log does not tell: %s", log)
	}
}
