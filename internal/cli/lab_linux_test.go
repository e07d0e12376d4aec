package cli

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"net"
	"net/http"
	"net/http/cookiejar"
	"net/netip"
	"strings"
	"testing"
	"time"

	"jiragate/gateway/admin"
	"jiragate/gateway/egress"
	"jiragate/internal/jirasim"
	"jiragate/internal/netlab"
)

var success = outcome{status: http.StatusOK}

// Calls of both editions, the renewal of a token, the exchange of a consent, tests
// of connections by the gateway that serves and by the command alone: all of it
// leaves from the egress addresses (G8). The name server is asked by the system's
// route.
func TestEverythingLeavesPinned(t *testing.T) {
	s := setStage(t, nil)
	g := s.gateway("JIRAGATE_EGRESS=" + bothAddresses)
	capture := s.machine.Capture()
	g.start()
	g.addCloud("acme")
	g.addDataCenter("globex", dcURL)
	var invited admin.Invited
	if err := json.Unmarshal([]byte(g.mustRun("connection", "add", "initech", "--edition", "cloud", "--site-url", jirasim.SandboxSiteURL, "--output", "json")), &invited); err != nil {
		t.Fatal(err)
	}
	if status, page := openPage(t, s.browser(), invited.ConsentURL); status != http.StatusOK {
		t.Fatalf("consent: status %d\n%s", status, page)
	}
	billing := g.service("billing", "acme", "globex", "initech")
	connections := map[string]string{"acme": cloudCall, "globex": dcCall, "initech": jirasim.SandboxSiteURL + "/rest/api/3/myself"}
	for id, target := range connections {
		billing.call(target, success)
		g.mustRun("connection", "test", id)
	}
	g.stop()
	for id := range connections {
		g.mustRun("connection", "test", id)
	}

	left := leaves(t, capture.Stop(), []string{firstAddress, secondAddress})
	arrived := s.arrived()
	requests := map[jirasim.Origin]int{}
	for _, source := range []string{firstAddress, secondAddress} {
		if (left[source] > 0) != (len(arrived[source]) > 0) {
			t.Errorf("%d packets left from %s, and %d requests arrived", left[source], source, len(arrived[source]))
		}
		for _, r := range arrived[source] {
			requests[r.Origin]++
		}
	}
	if requests[jirasim.CloudAPI] < 6 || requests[jirasim.DataCenter] != 3 || requests[jirasim.AuthServer] != 2 {
		t.Errorf("requests %v, want three calls a connection, a renewal and an exchange", requests)
	}
	if stats := s.sim.TokenStats(); stats.Refreshes != 1 || stats.Exchanges != 1 {
		t.Errorf("tokens: %+v", stats)
	}
	for _, r := range g.records("billing") {
		if r.EgressIP != firstAddress && r.EgressIP != secondAddress {
			t.Errorf("record %+v", r)
		}
	}
}

// browser is that of a customer's administrator, in an office of its own. The
// gateway's admin listener is behind a proxy for it.
func (s *stage) browser() *http.Client {
	s.t.Helper()
	office := s.lab.Host("office", "81.2.69.142/32")
	jar, err := cookiejar.New(nil)
	if err != nil {
		s.t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(s.sim.CAPEM())
	transport := &http.Transport{
		TLSClientConfig: &tls.Config{RootCAs: roots},
		DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
			if address == "auth.atlassian.com:443" {
				return office.DialContext(ctx, network, authAddress+":443")
			}
			return s.machine.DialContext(ctx, network, address)
		},
	}
	s.t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport, Jar: jar, Timeout: 20 * time.Second}
}

// What customers put on their allowlists is what calls come from: they pass with it.
// By the machine's default route they don't; then, and where another address is on
// the list, it is said whose setting it is.
func TestAllowlistOfTheCustomer(t *testing.T) {
	s := setStage(t, nil)
	allow := func(addresses ...string) {
		var list []netip.Prefix
		for _, a := range addresses {
			list = append(list, netip.MustParsePrefix(a+"/32"))
		}
		s.sim.AllowFrom(list...)
	}
	allow(firstAddress, secondAddress)
	unpinned := s.gateway()
	unpinned.start()
	unpinned.addCloud("acme")
	unpinned.addDataCenter("globex", dcURL)
	billing := unpinned.service("billing", "acme", "globex")
	refused := outcome{status: http.StatusForbidden} // in Jira's words
	capture := s.machine.Capture()
	billing.call(cloudCall, refused)
	billing.call(dcCall, refused)
	if packets := capture.Stop(); netlab.Sources(packets)[netip.MustParseAddr(defaultAddress)] == 0 || len(s.arrived()[defaultAddress]) != 3 {
		t.Errorf("unpinned calls do not leave from the default address, so the tests prove nothing: %v", packets)
	}
	unpinned.stop()

	g := s.gateway("JIRAGATE_EGRESS=" + bothAddresses)
	g.start()
	capture = s.machine.Capture()
	billing.call(cloudCall, success)
	billing.call(dcCall, success)
	allow(defaultAddress)
	billing.call(cloudCall, refused)
	billing.call(dcCall, refused)
	code, out := g.run("connection", "test", "acme")
	if code != exitFailure || !strings.Contains(out, "upstream_ip_refused") {
		t.Errorf("connection test: exit code %d\n%s", code, out)
	}
	leaves(t, capture.Stop(), []string{firstAddress, secondAddress})

	// Of the page of an nginx in front of a Data Center all that is known is that it is
	// not Jira's.
	want := []string{"upstream_ip_refused", "upstream_firewall_refused", "", "", "upstream_ip_refused", "upstream_firewall_refused"}
	records := g.records("billing")
	if len(records) != len(want) {
		t.Fatalf("%d records, want %d: %+v", len(records), len(want), records)
	}
	for i, r := range records {
		if r.Code != want[i] || (r.EgressIP == egress.Unpinned) != (i < 2) {
			t.Errorf("record %d: %+v, want code %q", i, r, want[i])
		}
	}
}

// A connection of the other region is its gateway's alone: from here not even its
// token is renewed, since that too would come from an address that the customer does
// not know.
func TestConnectionOfTheOtherRegion(t *testing.T) {
	s := setStage(t, nil)
	g := s.gateway("JIRAGATE_REGION=us", "JIRAGATE_EGRESS="+bothAddresses)
	refreshToken := g.addCloud("acme-eu", "--region", "eu")
	capture := s.machine.Capture()
	g.start()
	reports := g.service("reports", "acme-eu")
	other := outcome{http.StatusForbidden, "connection_other_region"}
	for range 3 {
		reports.call(cloudCall, other)
	}
	if code, out := g.run("connection", "test", "acme-eu"); code != exitFailure || !strings.Contains(out, "connection_other_region") {
		t.Errorf("connection test: exit code %d\n%s", code, out)
	}
	g.stop()
	if code, out := g.run("connection", "test", "acme-eu"); code != exitFailure || !strings.Contains(out, "connection_other_region") {
		t.Errorf("connection test without a gateway: exit code %d\n%s", code, out)
	}
	for _, p := range capture.Stop() {
		if p.Outgoing && !kernels(p) {
			t.Errorf("left: %s", p)
		}
	}

	// With a connection of this region beside it, only that one's token is renewed.
	g.start()
	g.addCloud("acme")
	g.service("billing", "acme").call(cloudCall, success)
	reports.call(cloudCall, other)
	if stats := s.sim.TokenStats(); stats.Requests != 1 || stats.Refreshes != 1 || !s.sim.RefreshTokenCurrent(refreshToken) {
		t.Errorf("the other region's token was touched: %+v", stats)
	}
}
