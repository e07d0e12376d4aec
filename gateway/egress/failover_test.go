package egress

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"net"
	"net/netip"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"
)

var (
	fromEast = attempt{"10.0.0.5", "104.192.141.1:443"}
	fromWest = attempt{"10.0.0.6", "104.192.141.1:443"}
)

const jira = "104.192.141.1:443"

// clock is a hand-wound Options.Now.
type clock struct{ now time.Time }

func newClock() *clock                   { return &clock{time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)} }
func (c *clock) Now() time.Time          { return c.now }
func (c *clock) Advance(d time.Duration) { c.now = c.now.Add(d) }
func usAddresses() []Address             { return []Address{usEast, usWest} }
func dialInitech(e *Egress) (net.Conn, error) {
	return e.DialContext(context.Background(), "initech", "tcp", jira)
}

func TestConnectionStaysWithItsAddress(t *testing.T) {
	n := &fakeNetwork{}
	e := newFake(t, n, Options{Addresses: usAddresses()})
	for range 3 {
		conn, err := dialInitech(e)
		if err != nil {
			t.Fatal(err)
		}
		if got := conn.(*Conn).PublicIP(); got != "52.54.159.237" {
			t.Errorf("public IP %s", got)
		}
		n.expect(t, fromEast)
	}
	if _, err := e.DialContext(t.Context(), "acme", "tcp", jira); err != nil {
		t.Fatal(err)
	}
	n.expect(t, fromWest)
}

func TestBindFailureMovesEverybodyForAWhile(t *testing.T) {
	missing := true
	n := &fakeNetwork{onConnect: func(_ context.Context, a attempt) error {
		if a.local == "10.0.0.5" && missing {
			return failing("bind", syscall.EADDRNOTAVAIL)
		}
		return nil
	}}
	c := newClock()
	var log bytes.Buffer
	e := newFake(t, n, Options{Addresses: usAddresses(), Now: c.Now, Logger: slog.New(slog.NewTextHandler(&log, nil))})

	conn, err := dialInitech(e)
	if err != nil {
		t.Fatal(err)
	}
	if got := conn.(*Conn).PublicIP(); got != "52.73.143.252" {
		t.Errorf("public IP %s", got)
	}
	n.expect(t, fromEast, fromWest)
	if !strings.Contains(log.String(), "egress address cannot be used") {
		t.Errorf("log says %q", &log)
	}

	// demo-dc prefers the same address and has not failed itself.
	if _, err := e.DialContext(t.Context(), "demo-dc", "tcp", jira); err != nil {
		t.Fatal(err)
	}
	n.expect(t, fromWest)

	c.Advance(addressCooldown)
	missing = false
	if _, err := dialInitech(e); err != nil {
		t.Fatal(err)
	}
	n.expect(t, fromEast)
	if !strings.Contains(log.String(), "egress address can be used again") {
		t.Errorf("log says %q", &log)
	}
}

func TestUnreachableFromOneAddressMovesThatConnectionOnly(t *testing.T) {
	n := &fakeNetwork{onConnect: func(_ context.Context, a attempt) error {
		if a.local == "10.0.0.5" && a.target == jira {
			return failing("connect", syscall.ECONNREFUSED)
		}
		return nil
	}}
	c := newClock()
	e := newFake(t, n, Options{Addresses: usAddresses(), Now: c.Now})

	if _, err := dialInitech(e); err != nil {
		t.Fatal(err)
	}
	n.expect(t, fromEast, fromWest)
	if _, err := dialInitech(e); err != nil {
		t.Fatal(err)
	}
	n.expect(t, fromWest)
	if _, err := e.DialContext(t.Context(), "demo-dc", "tcp", "104.192.141.2:443"); err != nil {
		t.Fatal(err)
	}
	n.expect(t, attempt{"10.0.0.5", "104.192.141.2:443"})

	c.Advance(pairCooldown)
	if _, err := dialInitech(e); err != nil {
		t.Fatal(err)
	}
	n.expect(t, fromEast, fromWest)
}

func TestAvoidedAddressThatProvesItselfIsPreferredAgain(t *testing.T) {
	broken := "10.0.0.5"
	n := &fakeNetwork{onConnect: func(_ context.Context, a attempt) error {
		if a.local == broken {
			return failing("connect", syscall.ETIMEDOUT)
		}
		return nil
	}}
	e := newFake(t, n, Options{Addresses: usAddresses()})
	for _, step := range []struct {
		broken string
		want   []attempt
	}{
		{"10.0.0.5", []attempt{fromEast, fromWest}},
		{"10.0.0.6", []attempt{fromWest, fromEast}},
		{"", []attempt{fromEast}},
	} {
		broken = step.broken
		if _, err := dialInitech(e); err != nil {
			t.Fatal(err)
		}
		n.expect(t, step.want...)
	}
}

// An upstream that nobody reaches says nothing about the egress addresses.
func TestUpstreamThatIsDownTeachesNothing(t *testing.T) {
	down := true
	n := &fakeNetwork{onConnect: func(context.Context, attempt) error {
		if down {
			return failing("connect", syscall.ECONNREFUSED)
		}
		return nil
	}}
	e := newFake(t, n, Options{Addresses: usAddresses()})
	_, err := dialInitech(e)
	if !errors.Is(err, syscall.ECONNREFUSED) || errors.Is(err, ErrUnavailable) {
		t.Errorf("error %v, want refused by the upstream", err)
	}
	n.expect(t, fromEast, fromWest)
	down = false
	if _, err := dialInitech(e); err != nil {
		t.Fatal(err)
	}
	n.expect(t, fromEast)
}

func TestErrorsOfAFailedDial(t *testing.T) {
	tests := []struct {
		name        string
		east, west  error
		unavailable bool
		is          error
	}{
		{"no address can be bound", failing("bind", syscall.EADDRNOTAVAIL), failing("bind", syscall.EADDRNOTAVAIL), true, syscall.EADDRNOTAVAIL},
		{"no ports are left", failing("connect", syscall.EADDRNOTAVAIL), failing("connect", syscall.EADDRNOTAVAIL), true, syscall.EADDRNOTAVAIL},
		{"one refused, one missing", failing("connect", syscall.ECONNREFUSED), failing("bind", syscall.EADDRNOTAVAIL), false, syscall.ECONNREFUSED},
		{"one missing, one refused", failing("bind", syscall.EADDRNOTAVAIL), failing("connect", syscall.ECONNREFUSED), false, syscall.ECONNREFUSED},
		{"unreachable", failing("connect", syscall.EHOSTUNREACH), failing("connect", syscall.EHOSTUNREACH), false, syscall.EHOSTUNREACH},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			n := &fakeNetwork{onConnect: func(_ context.Context, a attempt) error {
				if a.local == "10.0.0.5" {
					return test.east
				}
				return test.west
			}}
			e := newFake(t, n, Options{Addresses: usAddresses()})
			_, err := dialInitech(e)
			if errors.Is(err, ErrUnavailable) != test.unavailable || !errors.Is(err, test.is) {
				t.Errorf("error %v, want ErrUnavailable %v and %v", err, test.unavailable, test.is)
			}
			if err != nil && !strings.Contains(err.Error(), jira) {
				t.Errorf("error %v does not name the upstream", err)
			}
			n.expect(t, fromEast, fromWest)
		})
	}
}

// An address that is down is still tried when there is no other: binding is
// the quickest way to find out that it is back.
func TestAddressThatIsBackIsUsedBeforeItsCooldownEnds(t *testing.T) {
	missing := true
	n := &fakeNetwork{onConnect: func(context.Context, attempt) error {
		if missing {
			return failing("bind", syscall.EADDRNOTAVAIL)
		}
		return nil
	}}
	e := newFake(t, n, Options{Addresses: []Address{usEast}})
	if _, err := dialInitech(e); !errors.Is(err, ErrUnavailable) {
		t.Fatalf("error %v, want %v", err, ErrUnavailable)
	}
	missing = false
	if _, err := dialInitech(e); err != nil {
		t.Fatal(err)
	}
}

// A socket that did not leave from where it was bound is worse than none.
func TestSocketFromAnotherSourceIsRefused(t *testing.T) {
	for _, source := range []string{"10.0.0.99:40000", "[2600::1]:40000", "nonsense"} {
		e := newFake(t, &fakeNetwork{source: source}, Options{Addresses: usAddresses()})
		if conn, err := dialInitech(e); !errors.Is(err, ErrUnavailable) {
			t.Errorf("source %s: %v, %v, want %v", source, conn, err, ErrUnavailable)
		}
	}
}

func TestUnpinnedDialsOnceAndSaysSo(t *testing.T) {
	var log bytes.Buffer
	n := &fakeNetwork{source: "192.168.1.2:40000"}
	e := newFake(t, n, Options{Logger: slog.New(slog.NewTextHandler(&log, nil))})
	if !strings.Contains(log.String(), "level=WARN") || !strings.Contains(log.String(), "default route") {
		t.Errorf("log says %q", &log)
	}
	conn, err := dialInitech(e)
	if err != nil {
		t.Fatal(err)
	}
	if got := conn.(*Conn).PublicIP(); got != "unpinned" {
		t.Errorf("public IP %q", got)
	}
	n.expect(t, attempt{"", jira})
	if err := e.Ready(t.Context()); err != nil {
		t.Errorf("not ready: %v", err)
	}
	// There is no egress address that could be at fault.
	n.onConnect = func(context.Context, attempt) error { return failing("connect", syscall.EADDRNOTAVAIL) }
	if _, err := dialInitech(e); errors.Is(err, ErrUnavailable) || !errors.Is(err, syscall.EADDRNOTAVAIL) {
		t.Errorf("error %v", err)
	}
}

func TestHangingUpstreamTakesTenSecondsInAll(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var starts []time.Duration
		began := time.Now()
		n := &fakeNetwork{onConnect: func(ctx context.Context, _ attempt) error {
			starts = append(starts, time.Since(began))
			<-ctx.Done()
			return &net.OpError{Op: "dial", Net: "tcp", Err: ctx.Err()}
		}}
		e := newFake(t, n, Options{Addresses: usAddresses(), Resolver: answers("104.192.141.1", "104.192.141.2", "104.192.141.3", "104.192.141.4")})
		_, err := e.DialContext(t.Context(), "initech", "tcp", "jira.acme.com:443")
		var timeout net.Error
		if !errors.As(err, &timeout) || !timeout.Timeout() || errors.Is(err, ErrUnavailable) {
			t.Errorf("error %v, want a timeout", err)
		}
		if took := time.Since(began); took != dialTimeout {
			t.Errorf("took %v, want %v", took, dialTimeout)
		}
		if want := maxTargets * 2; len(starts) != want {
			t.Errorf("%d attempts, want %d: %v", len(starts), want, starts)
		}
		for i := 1; i < len(starts); i++ {
			if share := starts[i] - starts[i-1]; share <= time.Second {
				t.Errorf("attempt %d had only %v", i, share)
			}
		}
	})
}

func TestManyAddressesDoNotMakeManyAttempts(t *testing.T) {
	var addresses []Address
	var hosts []string
	for i := range 20 {
		s := strconv.Itoa(i)
		addresses = append(addresses, address("52.54.159."+s, "10.0.0."+s))
		hosts = append(hosts, "104.192.141."+s)
	}
	n := &fakeNetwork{onConnect: func(context.Context, attempt) error { return failing("connect", syscall.ECONNREFUSED) }}
	e := newFake(t, n, Options{Addresses: addresses, Resolver: answers(hosts...)})
	if _, err := e.DialContext(t.Context(), "initech", "tcp", "jira.acme.com:443"); !errors.Is(err, syscall.ECONNREFUSED) {
		t.Errorf("error %v", err)
	}
	if got := len(n.made()); got != maxRoutes*maxTargets {
		t.Errorf("%d attempts, want %d", got, maxRoutes*maxTargets)
	}
}

func TestCancelledDialStopsAtOnce(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	n := &fakeNetwork{onConnect: func(ctx context.Context, _ attempt) error {
		cancel()
		<-ctx.Done()
		return &net.OpError{Op: "dial", Net: "tcp", Err: ctx.Err()}
	}}
	e := newFake(t, n, Options{Addresses: usAddresses()})
	if _, err := e.DialContext(ctx, "initech", "tcp", jira); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v, want %v", err, context.Canceled)
	}
	n.expect(t, fromEast)
}

func TestPairsAreBounded(t *testing.T) {
	c := newClock()
	h := newHealth(c.Now)
	for i := range maxPairs + 10 {
		h.settle(strconv.Itoa(i), usWest, []Address{usEast})
	}
	if len(h.pairs) != maxPairs {
		t.Errorf("%d pairs remembered, want %d", len(h.pairs), maxPairs)
	}
	c.Advance(pairCooldown)
	h.settle("one more", usWest, []Address{usEast})
	if len(h.pairs) != 1 {
		t.Errorf("%d pairs remembered after their time, want 1", len(h.pairs))
	}
}

func TestReady(t *testing.T) {
	gone := map[netip.Addr]bool{}
	n := &fakeNetwork{onBindable: func(local netip.Addr) error {
		if gone[local] {
			return failing("bind", syscall.EADDRNOTAVAIL)
		}
		return nil
	}}
	e := newFake(t, n, Options{Addresses: usAddresses()})
	if err := e.Ready(t.Context()); err != nil {
		t.Errorf("both there: %v", err)
	}
	gone[usEast.Local] = true
	if err := e.Ready(t.Context()); err != nil {
		t.Errorf("one gone: %v", err)
	}
	// What Ready finds out, dials know.
	if _, err := dialInitech(e); err != nil {
		t.Fatal(err)
	}
	n.expect(t, fromWest)
	clear(gone)
	if err := e.Ready(t.Context()); err != nil {
		t.Errorf("back again: %v", err)
	}
	if _, err := dialInitech(e); err != nil {
		t.Fatal(err)
	}
	n.expect(t, fromEast)
	gone[usEast.Local], gone[usWest.Local] = true, true
	err := e.Ready(t.Context())
	if !errors.Is(err, ErrUnavailable) || !strings.Contains(err.Error(), "10.0.0.5") || !strings.Contains(err.Error(), "10.0.0.6") {
		t.Errorf("both gone: %v", err)
	}
	clear(gone)
	if err := e.Ready(t.Context()); err != nil {
		t.Errorf("both back: %v", err)
	}
	if _, err := dialInitech(e); err != nil {
		t.Fatal(err)
	}
	n.expect(t, fromEast)
}
