package cli

import (
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"jiragate/internal/jirasim"
	"jiragate/internal/netlab"
)

// A name that leads to a customer's Jira at first and inside later leads nowhere:
// the internal hosts never get a packet.
func TestNameThatComesToLeadInside(t *testing.T) {
	inside := map[string]string{
		"metadata.globex.com": "169.254.169.254",
		"private.globex.com":  "10.0.0.80",
		"cgnat.globex.com":    "100.64.0.80",
		"dns.globex.com":      nameServer,
		"itself.globex.com":   "127.0.0.1",
	}
	names := zone{}
	for name, address := range inside {
		names[name] = netlab.InTurn(netlab.Addresses(dcAddress), netlab.Addresses(address))
	}
	s := setStage(t, names)
	internal := s.lab.Host("internal", "10.0.0.80/24", "169.254.169.254/32", "100.64.0.80/32")
	// They can be reached from the gateway's machine, by who does not look.
	if _, err := internal.Listen("tcp", ":443"); err != nil {
		t.Fatal(err)
	}
	for _, address := range []string{"169.254.169.254:443", "10.0.0.80:443", "100.64.0.80:443"} {
		conn, err := s.machine.DialContext(t.Context(), "tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		conn.Close()
	}
	itself, err := s.machine.Listen("tcp", "127.0.0.1:443") // which no capture sees
	if err != nil {
		t.Fatal(err)
	}

	g := s.gateway("JIRAGATE_EGRESS=" + bothAddresses)
	g.start()
	left, entered := s.machine.Capture(), internal.Capture()
	for name := range inside {
		id := strings.TrimSuffix(name, ".globex.com")
		g.addDataCenter(id, "https://"+name+"/jira")
		service := g.service(id, id)
		call := "https://" + name + "/jira/rest/api/2/myself"
		service.call(call, success)
		// What ends the kept socket, so that the name is looked up again.
		s.sim.Fault(jirasim.Fault{Kind: jirasim.ResetBeforeHeaders, Times: 1})
		_, _ = service.try(t.Context(), call)
		service.call(call, outcome{http.StatusBadGateway, "upstream_address_forbidden"})
	}
	for _, p := range entered.Stop() {
		if !kernels(p) {
			t.Errorf("an internal host got, or answered: %s", p)
		}
	}
	packets := left.Stop()
	leaves(t, packets, []string{firstAddress, secondAddress})
	_ = itself.(*net.TCPListener).SetDeadline(time.Now())
	if conn, err := itself.Accept(); err == nil {
		t.Errorf("the machine itself was called, from %s", conn.RemoteAddr())
	}
	for _, p := range sentTo(packets, nameServer) {
		if p.Protocol != netlab.UDP {
			t.Errorf("left for the name server: %s", p)
		}
	}
}
