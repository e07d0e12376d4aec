package echo

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/netip"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

var (
	first  = netip.MustParseAddr("203.0.113.7")
	second = netip.MustParseAddr("203.0.113.8")
	other  = netip.MustParseAddr("198.51.100.9")
)

func through(transport http.RoundTripper) func(netip.Addr) http.RoundTripper {
	return func(netip.Addr) http.RoundTripper { return transport }
}

// answer is an answer of an echo service.
func answer(body string) *http.Response {
	return &http.Response{StatusCode: http.StatusOK, Header: http.Header{"Content-Type": {"text/plain"}}, Body: io.NopCloser(strings.NewReader(body))}
}

func TestVerifyRefusesOptions(t *testing.T) {
	good := Options{Addresses: []netip.Addr{first}, Services: []string{"https://a.example"}, Transport: through(roundTripper(silent))}
	tests := []struct {
		name    string
		change  func(*Options)
		message string
	}{
		{"no transport", func(o *Options) { o.Transport = nil }, "no transport"},
		{"no address", func(o *Options) { o.Addresses = nil }, "no published address"},
		{"an address that is none", func(o *Options) { o.Addresses = []netip.Addr{{}} }, "invalid IP"},
		{"IPv4 inside IPv6", func(o *Options) { o.Addresses = []netip.Addr{netip.MustParseAddr("::ffff:203.0.113.7")} }, "in its own form"},
		{"a zone", func(o *Options) { o.Addresses = []netip.Addr{netip.MustParseAddr("fe80::1%eth0")} }, "without zone"},
		{"an address twice", func(o *Options) { o.Addresses = []netip.Addr{first, second, first} }, "203.0.113.7 is named twice"},
		{"many addresses", func(o *Options) { o.Addresses = make([]netip.Addr, 257) }, "more than 256"},
		{"no service", func(o *Options) { o.Services = nil }, "no echo service"},
		{"a service over http", func(o *Options) { o.Services = []string{"http://a.example"} }, "echo service 1"},
		{"a service twice", func(o *Options) { o.Services = []string{"https://a.example", "https://a.example/"} }, "echo service 2 is already"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			o := good
			test.change(&o)
			report, err := Verify(t.Context(), o)
			if report != nil || err == nil || !strings.Contains(err.Error(), test.message) {
				t.Errorf("Verify: %v, %v", report, err)
			}
			if _, err := NewMonitor(MonitorOptions{Options: o}); err == nil || !strings.Contains(err.Error(), test.message) {
				t.Errorf("NewMonitor: %v", err)
			}
		})
	}
}

// TestVerifyAsksSeveralAtATime: as many questions as allowed are under way, no
// more, and so services that are down cost ten seconds for each eight questions.
func TestVerifyAsksSeveralAtATime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var asking, most atomic.Int64
		o := Options{
			Services: []string{"https://a.example", "https://b.example"},
			Transport: through(roundTripper(func(r *http.Request) (*http.Response, error) {
				most.Store(max(most.Load(), asking.Add(1)))
				defer asking.Add(-1)
				return silent(r)
			})),
		}
		for i := range 10 {
			o.Addresses = append(o.Addresses, netip.AddrFrom4([4]byte{203, 0, 113, byte(i)}))
		}
		report, err := Verify(t.Context(), o)
		if err != nil {
			t.Fatal(err)
		}
		if most.Load() != maxAsking {
			t.Errorf("%d at a time", most.Load())
		}
		if took := report.Finished.Sub(report.Started); took != 3*askTimeout {
			t.Errorf("20 questions took %s", took)
		}
		for _, a := range report.Addresses {
			if a.Verdict != VerdictUnknown || a.Answers[0].Duration != askTimeout {
				t.Errorf("%+v", a)
			}
		}
	})
}

// TestVerifyEndsWithItsContext: what was found until then is not lost.
func TestVerifyEndsWithItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		report, err := Verify(ctx, Options{
			Addresses: []netip.Addr{first, second},
			Services:  []string{"https://a.example"},
			Transport: func(public netip.Addr) http.RoundTripper {
				if public == second {
					return roundTripper(silent)
				}
				return roundTripper(func(*http.Request) (*http.Response, error) { return answer(other.String()), nil })
			},
		})
		if !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("got %v", err)
		}
		if report == nil || report.Addresses[0].Verdict != VerdictDiffers || report.Addresses[1].Verdict != VerdictUnknown {
			t.Errorf("got %+v", report)
		}
	})
}

// TestVerifyWithoutTransport: an address for which there is no way out is not
// asked for by another one.
func TestVerifyWithoutTransport(t *testing.T) {
	report, err := Verify(t.Context(), Options{Addresses: []netip.Addr{first}, Services: []string{"https://a.example"}, Transport: through(nil)})
	if err != nil || report.Addresses[0].Verdict != VerdictUnknown || report.Addresses[0].Answers[0].Err == nil {
		t.Errorf("got %+v, %v", report, err)
	}
}

// TestVerifyAsksForEveryAddressInItsOwnWay: one transport for each address, made
// once, used for every service.
func TestVerifyAsksForEveryAddressInItsOwnWay(t *testing.T) {
	made := map[netip.Addr]int{}
	report, err := Verify(t.Context(), Options{
		Addresses: []netip.Addr{first, second},
		Services:  []string{"https://a.example/?key=hunter2", "https://b.example"},
		Transport: func(public netip.Addr) http.RoundTripper {
			made[public]++
			return roundTripper(func(r *http.Request) (*http.Response, error) {
				if r.URL.Host == "b.example" && public == second {
					return answer(other.String()), nil
				}
				return answer("::ffff:" + public.String()), nil
			})
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(made) != 2 || made[first] != 1 || made[second] != 1 {
		t.Errorf("transports made: %v", made)
	}
	want := []AddressReport{
		{first, VerdictVerified, []Answer{{"https://a.example/", OutcomeOK, first, nil, 0}, {"https://b.example", OutcomeOK, first, nil, 0}}},
		{second, VerdictDiffers, []Answer{{"https://a.example/", OutcomeOK, second, nil, 0}, {"https://b.example", OutcomeMismatch, other, nil, 0}}},
	}
	for i, a := range report.Addresses {
		if a.Public != want[i].Public || a.Verdict != want[i].Verdict {
			t.Errorf("got %s %s, want %s %s", a.Public, a.Verdict, want[i].Public, want[i].Verdict)
		}
		for j, got := range a.Answers {
			got.Duration = 0
			if got != want[i].Answers[j] {
				t.Errorf("got %+v, want %+v", got, want[i].Answers[j])
			}
		}
	}
}
