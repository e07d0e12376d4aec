package echo

import (
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"slices"
	"strings"
	"testing"
)

// On Linux the whole of 127.0.0.0/8 is on the loopback interface, so that a
// service really sees the address that a socket was bound to.

var (
	loopback2 = netip.MustParseAddr("127.0.0.2")
	loopback3 = netip.MustParseAddr("127.0.0.3")
)

func TestVerifySeesWhereCallsLeaveFrom(t *testing.T) {
	type found struct {
		verdict  Verdict
		outcomes []Outcome
	}
	asText, asJSON := http.HandlerFunc(source), http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		fmt.Fprintf(w, `{"ip":%q}`, netip.MustParseAddrPort(r.RemoteAddr).Addr())
	})
	portal := says("text/html", "<html><form action=/login>")
	ok, mismatch, failed := OutcomeOK, OutcomeMismatch, OutcomeFailed
	const down = 2 // the second service
	tests := []struct {
		name     string
		services [2]http.HandlerFunc
		down     int
		bound    map[netip.Addr]string // where the socket of a published address is bound
		want     map[netip.Addr]found
	}{
		{"as published", [2]http.HandlerFunc{asText, asJSON}, 0,
			map[netip.Addr]string{loopback2: "127.0.0.2", loopback3: "127.0.0.3"},
			map[netip.Addr]found{loopback2: {VerdictVerified, []Outcome{ok, ok}}, loopback3: {VerdictVerified, []Outcome{ok, ok}}}},
		{"one leaves from the machine's main address", [2]http.HandlerFunc{asText, asJSON}, 0,
			map[netip.Addr]string{loopback2: "127.0.0.2", loopback3: "127.0.0.1"},
			map[netip.Addr]found{loopback2: {VerdictVerified, []Outcome{ok, ok}}, loopback3: {VerdictDiffers, []Outcome{mismatch, mismatch}}}},
		{"two are swapped", [2]http.HandlerFunc{asText, asJSON}, 0,
			map[netip.Addr]string{loopback2: "127.0.0.3", loopback3: "127.0.0.2"},
			map[netip.Addr]found{loopback2: {VerdictDiffers, []Outcome{mismatch, mismatch}}, loopback3: {VerdictDiffers, []Outcome{mismatch, mismatch}}}},
		{"one service is down", [2]http.HandlerFunc{asText, asJSON}, down,
			map[netip.Addr]string{loopback2: "127.0.0.2", loopback3: "127.0.0.1"},
			map[netip.Addr]found{loopback2: {VerdictVerified, []Outcome{ok, failed}}, loopback3: {VerdictDiffers, []Outcome{mismatch, failed}}}},
		{"a login page instead of a service", [2]http.HandlerFunc{portal, asJSON}, 0,
			map[netip.Addr]string{loopback2: "127.0.0.2", loopback3: "127.0.0.1"},
			map[netip.Addr]found{loopback2: {VerdictVerified, []Outcome{failed, ok}}, loopback3: {VerdictDiffers, []Outcome{failed, mismatch}}}},
		{"no service answers", [2]http.HandlerFunc{portal, asJSON}, down,
			map[netip.Addr]string{loopback2: "127.0.0.2", loopback3: "127.0.0.1"},
			map[netip.Addr]found{loopback2: {VerdictUnknown, []Outcome{failed, failed}}, loopback3: {VerdictUnknown, []Outcome{failed, failed}}}},
		{"the services disagree", [2]http.HandlerFunc{asText, says("text/plain", "127.0.0.2")}, 0,
			map[netip.Addr]string{loopback2: "127.0.0.2", loopback3: "127.0.0.3"},
			map[netip.Addr]found{loopback2: {VerdictVerified, []Outcome{ok, ok}}, loopback3: {VerdictDiffers, []Outcome{ok, mismatch}}}},
		{"an address that cannot be bound", [2]http.HandlerFunc{asText, asJSON}, 0,
			map[netip.Addr]string{loopback2: "127.0.0.2", loopback3: "203.0.113.7"},
			map[netip.Addr]found{loopback2: {VerdictVerified, []Outcome{ok, ok}}, loopback3: {VerdictUnknown, []Outcome{failed, failed}}}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			servers := []*httptest.Server{serve(t, test.services[0]), serve(t, test.services[1])}
			if test.down == down {
				servers[1].Close()
			}
			report, err := Verify(t.Context(), Options{
				Addresses: []netip.Addr{loopback2, loopback3},
				Services:  []string{servers[0].URL, servers[1].URL},
				Transport: func(public netip.Addr) http.RoundTripper {
					return trusting(t, test.bound[public], servers...)
				},
			})
			if err != nil {
				t.Fatal(err)
			}
			for _, a := range report.Addresses {
				want := test.want[a.Public]
				var outcomes []Outcome
				for _, answer := range a.Answers {
					outcomes = append(outcomes, answer.Outcome)
					if (answer.Err != nil) != (answer.Outcome == OutcomeFailed) || answer.Seen.IsValid() == (answer.Outcome == OutcomeFailed) {
						t.Errorf("%s: %+v", a.Public, answer)
					}
				}
				if a.Verdict != want.verdict || !slices.Equal(outcomes, want.outcomes) {
					t.Errorf("%s: %s %v, want %s %v", a.Public, a.Verdict, outcomes, want.verdict, want.outcomes)
				}
			}
			differs := slices.ContainsFunc(report.Addresses, func(a AddressReport) bool { return a.Verdict == VerdictDiffers })
			if errors.Is(report.Err(), ErrDiffers) != differs {
				t.Errorf("Err: %v", report.Err())
			}
		})
	}
}

// TestErrNamesBothAddresses: whoever reads it knows what to compare.
func TestErrNamesBothAddresses(t *testing.T) {
	s := serve(t, source)
	report, err := Verify(t.Context(), Options{
		Addresses: []netip.Addr{loopback3},
		Services:  []string{s.URL},
		Transport: through(trusting(t, "127.0.0.2", s)),
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := report.Err(); err == nil || !strings.Contains(err.Error(), "published 127.0.0.3, but "+s.URL+" saw 127.0.0.2") {
		t.Errorf("got %v", err)
	}
}
