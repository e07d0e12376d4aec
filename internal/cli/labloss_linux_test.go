package cli

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"jiragate/gateway/admin"
	"jiragate/internal/netlab"
)

// without is the other one of the two addresses.
func without(address string) string {
	return strings.Trim(strings.Replace(bothAddresses, address, "", 1), ",")
}

// noticed is how long it takes the gateway at most to notice that the machine has
// lost an address. Calls that begin before that may go out by a kept socket, and then
// hang: what such a socket sends never leaves.
const noticed = 1200 * time.Millisecond

// An address that the machine loses while calls are made is made up for by the
// other, without it by nothing, and when it is back, calls are too.
func TestAddressesAreLostWhileCallsAreMade(t *testing.T) {
	s := setStage(t, nil)
	g := s.gateway("JIRAGATE_EGRESS="+bothAddresses, "JIRAGATE_CONNECTION_CONCURRENCY=1000") // room for calls that hang
	g.start()
	g.addDataCenter("globex", dcURL)
	billing := g.service("billing", "globex")
	capture := s.machine.Capture()
	calls := billing.calls()
	lose := func(address string) {
		t.Helper()
		if err := s.machine.RemoveAddress(address + "/32"); err != nil {
			t.Fatal(err)
		}
	}
	from := func(mark int, address string) {
		t.Helper()
		calls.all(mark, success)
		for n, source := range s.origins() {
			if n >= mark && source != address {
				t.Errorf("call %d came from %s, want %s", n, source, address)
			}
		}
	}
	calls.since(20)
	lost := s.onlyOrigin()
	other := without(lost)

	lose(lost)
	time.Sleep(noticed)
	from(calls.since(20), other)
	g.ready(map[string]string{"egress": "ok"})
	var list admin.EgressView
	if err := json.Unmarshal([]byte(g.mustRun("egress", "list", "--output", "json")), &list); err != nil {
		t.Fatal(err)
	}
	for _, a := range list.Addresses {
		if a.Up == nil || *a.Up == (a.Public == lost) {
			t.Errorf("egress list, with %s lost: %+v", lost, a)
		}
	}

	lose(other)
	nothing := s.machine.Capture()
	time.Sleep(noticed)
	calls.all(calls.since(20), outcome{http.StatusServiceUnavailable, "egress_unavailable"})
	g.ready(map[string]string{"egress": "failing"})
	if sent := sentTo(nothing.Stop(), dcAddress); len(sent) > 0 {
		t.Errorf("left for Jira without an egress address: %s", sent)
	}

	if err := s.machine.AddAddress(lost + "/32"); err != nil {
		t.Fatal(err)
	}
	from(calls.since(20), lost)
	g.ready(map[string]string{"egress": "ok"})
	calls.stop()
	leaves(t, capture.Stop(), []string{firstAddress, secondAddress})
}

// From the moment that the command has returned, no call leaves from a retired
// address, by a socket that was kept neither; none of the calls fails for that.
func TestAddressIsRetiredWhileCallsAreMade(t *testing.T) {
	s := setStage(t, nil)
	g := s.gateway("JIRAGATE_EGRESS=" + bothAddresses)
	g.start()
	g.addDataCenter("globex", dcURL)
	billing := g.service("billing", "globex")
	capture := s.machine.Capture()
	calls := billing.calls()
	calls.since(20)
	retired := s.onlyOrigin()

	g.mustRun("egress", "retire", retired)
	since := time.Now()
	mark := calls.since(50)
	calls.all(0, success)
	for n, source := range s.origins() {
		if n >= mark && source != without(retired) {
			t.Errorf("call %d came from %s, which is retired", n, source)
		}
	}
	g.ready(map[string]string{"egress": "ok"})

	// Without one that is in use nothing leaves, not even the question for a name.
	g.mustRun("egress", "retire", without(retired))
	calls.all(calls.since(5), outcome{http.StatusServiceUnavailable, "egress_unavailable"})
	calls.stop()
	nothing := s.machine.Capture()
	billing.call(dcCall, outcome{http.StatusServiceUnavailable, "egress_unavailable"})
	g.ready(map[string]string{"egress": "failing"})
	for _, p := range nothing.Stop() {
		// Sockets that were kept may still say goodbye.
		if p.Outgoing && (p.Protocol == netlab.UDP || p.SYN) {
			t.Errorf("left although no address is in use: %s", p)
		}
	}
	packets := capture.Stop()
	leaves(t, packets, []string{firstAddress, secondAddress})
	for _, p := range packets {
		if p.SYN && p.Src.Addr().String() == retired && p.Time.After(since) {
			t.Errorf("a socket was opened from a retired address: %s", p)
		}
	}
}
