package cli

import (
	"crypto/tls"
	"encoding/base64"
	"encoding/json"
	"io"
	"io/fs"
	"log"
	"net"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"jiragate/gateway/admin"
	"jiragate/internal/netlab"
)

// A provider of static addresses.
const (
	providerHost    = "static.example.com"
	providerAddress = "3.33.186.135"
	providerPort    = providerAddress + ":9294"
	providerUser    = "customer-7f3a"
	providerSecret  = "S3cret,of/the:provider"
	providerEscaped = "S3cret%2Cof%2Fthe%3Aprovider"
)

// provider runs its proxy, which leaves from an address and asks for credentials.
// If the gateway's machine had that address, it has it no more.
func (s *stage) provider(leavesFrom string) *netlab.Proxy {
	s.t.Helper()
	if leavesFrom == firstAddress || leavesFrom == secondAddress {
		if err := s.machine.RemoveAddress(leavesFrom + "/32"); err != nil {
			s.t.Fatal(err)
		}
	}
	host := s.lab.Host("provider", providerAddress+"/32", leavesFrom+"/32")
	l, err := host.Listen("tcp", providerPort)
	if err != nil {
		s.t.Fatal(err)
	}
	p := netlab.ServeConnect(s.withTLS(l, providerHost), netlab.ProxyOptions{
		Username: providerUser, Password: providerSecret, Dial: host.DialFrom(netip.MustParseAddr(leavesFrom)),
	})
	s.t.Cleanup(func() { _ = p.Close() })
	return p
}

// withTLS is l behind TLS for the names, by a certificate that gateways trust.
func (s *stage) withTLS(l net.Listener, names ...string) net.Listener {
	s.t.Helper()
	certificate, root := netlab.NewCertificate(s.t, names...)
	s.trust(root)
	return tls.NewListener(l, &tls.Config{Certificates: []tls.Certificate{certificate}})
}

// By a provider's proxy Jira sees the provider's address, and nothing goes to Jira
// but by it: with wrong credentials, nothing does. Whatever happens, nobody gets to
// read the credentials.
func TestChainThroughAProvider(t *testing.T) {
	s := setStage(t, zone{providerHost: at(providerAddress)})
	s.provider(firstAddress)
	capture := s.machine.Capture()
	way := func(password string) string {
		return "JIRAGATE_EGRESS=" + firstAddress + "=https://" + providerUser + ":" + password + "@" + providerHost + ":9294"
	}
	g := s.gateway(way(providerEscaped))
	g.start()
	g.addCloud("acme")
	g.addDataCenter("globex", dcURL)
	billing := g.service("billing", "acme", "globex")
	billing.call(cloudCall, success)
	billing.call(dcCall, success)
	written := []string{g.mustRun("connection", "test", "acme")}
	if arrived := s.arrived(); len(arrived) != 1 || len(arrived[firstAddress]) != 4 {
		t.Errorf("Jira was called from %v, want a renewal and three calls from %s", arrived, firstAddress)
	}
	want := []callRecord{
		{"acme", "", firstAddress, apiAddress + ":443", http.StatusOK},
		{"globex", "", firstAddress, dcAddress + ":443", http.StatusOK},
	}
	if records := g.records("billing"); !slices.Equal(records, want) {
		t.Errorf("records %+v, want %+v", records, want)
	}
	written = append(written, g.shown()...)
	g.stop()

	s.sim.Reset()
	g2 := s.gateway(way("S3cret-of-yesterday"))
	g2.start()
	unavailable := outcome{http.StatusServiceUnavailable, "egress_unavailable"}
	billing.call(cloudCall, unavailable)
	billing.call(dcCall, unavailable)
	g2.ready(map[string]string{"egress": "failing"})
	code, out := g2.run("connection", "test", "globex")
	if code != exitFailure || !strings.Contains(out, "egress_unavailable") {
		t.Errorf("connection test: exit code %d\n%s", code, out)
	}
	if arrived := s.arrived(); len(arrived) > 0 {
		t.Errorf("Jira was called from %v", arrived)
	}
	if !strings.Contains(g2.log.String(), "it refuses the credentials in JIRAGATE_EGRESS") {
		t.Error("the log does not say that the credentials are refused")
	}
	written = append(append(written, out), g2.shown()...)
	g2.stop()
	written = append(append(written, g.log.String(), g2.log.String()), s.stored()...)

	leaves(t, capture.Stop(), nil, providerPort)
	pair := func(password string) string {
		return base64.StdEncoding.EncodeToString([]byte(providerUser + ":" + password))
	}
	for _, text := range written {
		for _, secret := range []string{"S3cret", providerUser, pair(providerSecret), pair("S3cret-of-yesterday")} {
			if at := strings.Index(text, secret); at >= 0 {
				t.Errorf("%.5s… of the proxy's credentials was written: …%s", secret, text[max(0, at-100):at])
			}
		}
	}
}

// shown is what a gateway that serves shows of its egress and its calls.
func (g *labGateway) shown() []string {
	g.t.Helper()
	_, ready := g.fetch("/readyz")
	_, metrics := g.fetch("/metrics")
	return []string{
		ready, metrics,
		g.mustRun("egress", "list"), g.mustRun("egress", "list", "--output", "json"), g.mustRun("audit", "query", "--output", "json"),
	}
}

// stored is the content of each file in the data directory.
func (s *stage) stored() []string {
	s.t.Helper()
	var all []string
	err := filepath.WalkDir(s.path("data"), func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		content, err := os.ReadFile(path)
		all = append(all, string(content))
		return err
	})
	if err != nil {
		s.t.Fatal(err)
	}
	return all
}

// echoAddress is where both of the default echo services are.
const echoAddress = "3.33.200.1"

// echoes runs the default echo services.
func (s *stage) echoes() {
	s.t.Helper()
	l, err := s.lab.Host("echo", echoAddress+"/32").Listen("tcp", echoAddress+":443")
	if err != nil {
		s.t.Fatal(err)
	}
	server := &http.Server{
		Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			from := netip.MustParseAddrPort(r.RemoteAddr).Addr().String()
			if r.Host == "api.ipify.org" {
				from = `{"ip":"` + from + `"}`
			}
			_, _ = io.WriteString(w, from) // the client reads it or not
		}),
		ErrorLog: log.New(io.Discard, "", 0),
	}
	secured := s.withTLS(l, "checkip.amazonaws.com", "api.ipify.org")
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = server.Serve(secured)
	}()
	s.t.Cleanup(func() {
		_ = server.Close()
		<-done
	})
}

// Verification asks from each address, and finds a proxy that leaves by another one:
// by the command, and unasked, so that /readyz fails.
func TestEgressIsVerified(t *testing.T) {
	s := setStage(t, zone{providerHost: at(providerAddress), "checkip.amazonaws.com": at(echoAddress), "api.ipify.org": at(echoAddress)})
	s.echoes()
	s.provider("3.33.186.136")
	capture := s.machine.Capture()
	verify := func(g *labGateway, wantCode int, want map[string]string) {
		t.Helper()
		code, out := g.run("egress", "verify", "--output", "json")
		var report admin.EgressReport
		if err := json.Unmarshal([]byte(out), &report); err != nil || code != wantCode {
			t.Fatalf("exit code %d, %v:\n%s", code, err, out)
		}
		if len(report.Addresses) != len(want) {
			t.Errorf("report %s", out)
		}
		for _, p := range report.Addresses {
			if p.Verdict != want[p.Public] || len(p.Answers) != 2 || p.Answers[0].Error != "" || p.Answers[1].Error != "" {
				t.Errorf("%s: want %s\n%s", p.Public, want[p.Public], out)
			}
		}
	}
	verified := map[string]string{firstAddress: "verified", secondAddress: "verified"}
	g := s.gateway("JIRAGATE_EGRESS="+bothAddresses, "JIRAGATE_EGRESS_VERIFY=1m")
	verify(g, exitOK, verified)
	g.start()
	verify(g, exitOK, verified)
	eventually(t, "both are verified unasked", func() bool {
		return strings.Count(g.log.String(), "calls leave from the published egress address") == 2
	})
	g.ready(map[string]string{"egress": "ok", "egress_verified": "ok"})
	g.stop()

	other := s.gateway("JIRAGATE_EGRESS="+firstAddress+","+secondAddress+"=https://"+providerUser+":"+providerEscaped+"@"+providerHost+":9294", "JIRAGATE_EGRESS_VERIFY=1m")
	differs := map[string]string{firstAddress: "verified", secondAddress: "differs"}
	verify(other, exitFailure, differs)
	other.start()
	verify(other, exitFailure, differs)
	eventually(t, "the difference is found unasked", func() bool {
		status, _ := other.fetch("/readyz")
		return status != http.StatusOK
	})
	other.ready(map[string]string{"egress": "ok", "egress_verified": "failing"})
	left := leaves(t, capture.Stop(), []string{firstAddress, secondAddress}, providerPort)
	if left[firstAddress] == 0 || left[secondAddress] == 0 {
		t.Errorf("packets left: %v, want some from each address", left)
	}
}
