package limit_test

import (
	"math"
	"net/netip"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"jiragate/gateway/limit"
)

func TestBuckets(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := limit.NewBuckets[string](3, 10*time.Second, 100)
		for i, want := range []time.Duration{0, 0, 0, 10 * time.Second, 10 * time.Second} {
			if got := b.Take("a"); got != want {
				t.Errorf("turn %d: wait %s, not %s", i, got, want)
			}
		}
		if b.Wait("a") != 10*time.Second || b.Wait("b") != 0 || b.Take("b") != 0 {
			t.Error("another key has its own bucket")
		}
		time.Sleep(9 * time.Second)
		if got := b.Take("a"); got != time.Second {
			t.Errorf("wait %s", got)
		}
		time.Sleep(time.Second)
		if b.Take("a") != 0 || b.Take("a") == 0 {
			t.Error("one turn comes each ten seconds")
		}
	})
}

// In any time no more happens than the burst and one each per; and one who keeps to
// the wait it was told gets its turn.
func TestBucketsHold(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		rate := rapid.Float64Range(0.01, 1000).Draw(rt, "rate")
		waits := rapid.SliceOfN(rapid.Bool(), 1, 50).Draw(rt, "waits")
		var vain bool
		var taken int
		var took time.Duration
		synctest.Test(t, func(*testing.T) {
			b := limit.PerSecond[int](rate, 10)
			began := time.Now()
			for _, patient := range waits {
				wait := b.Take(1)
				if wait > 0 && patient {
					time.Sleep(wait)
					wait = b.Take(1)
					vain = vain || wait > 0
				}
				if wait == 0 {
					taken++
				}
			}
			took = time.Since(began)
		})
		if most := math.Ceil(rate) + rate*took.Seconds() + 1; vain || float64(taken) > most {
			rt.Fatalf("%d in %s at %v a second; waited in vain: %v", taken, took, rate, vain)
		}
	})
}

func TestBucketsAreBounded(t *testing.T) {
	b := limit.NewBuckets[string](2, time.Hour, 50)
	for i := range 1000 {
		if b.Take(strconv.Itoa(i)) != 0 {
			t.Fatal("a new key has no turn")
		}
	}
	if b.Len() != 50 {
		t.Errorf("%d keys are remembered", b.Len())
	}
}

// Who has to wait is not forgotten for others' sake, however many they are.
func TestFullBucketsAreKept(t *testing.T) {
	b := limit.NewBuckets[string](2, time.Hour, 50)
	b.Take("guesser")
	b.Take("guesser")
	for i := range 1000 {
		b.Take(strconv.Itoa(i))
	}
	if b.Wait("guesser") == 0 {
		t.Error("one that had to wait was forgotten")
	}
}

func newGuesses() *limit.Guesses {
	return limit.NewGuesses(limit.GuessesOptions{
		Pair: 3, PairPer: 10 * time.Second, Address: 10, AddressPer: time.Second, Remember: time.Hour, Most: 100,
	})
}

// Who fails under a name must wait, even with the right token: or it could go on
// guessing. From another address nobody waits.
func TestGuessesOfAName(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGuesses()
		here, there := netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("192.0.2.2")
		for i := range 3 {
			if wait := g.Tried(here, "billing", ""); wait != 0 {
				t.Fatalf("try %d: wait %s", i, wait)
			}
		}
		if wait := g.Tried(here, "billing", "billing"); wait != 10*time.Second {
			t.Errorf("the right token after three wrong ones: wait %s", wait)
		}
		if wait := g.Tried(there, "billing", "billing"); wait != 0 {
			t.Errorf("from elsewhere: wait %s", wait)
		}
		if wait := g.Tried(here, "other", "other"); wait != 0 {
			t.Errorf("another name: wait %s", wait)
		}
		time.Sleep(10 * time.Second)
		if wait := g.Tried(here, "billing", "billing"); wait != 0 {
			t.Errorf("after the wait: %s", wait)
		}
	})
}

// Many names from one address hold up that address, but for clients that are known
// there. An IPv6 address counts as its network.
func TestGuessesOfAnAddress(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, names := range []bool{true, false} {
			g := newGuesses()
			here, near := netip.MustParseAddr("2001:db8::1"), netip.MustParseAddr("2001:db8::2")
			g.Tried(here, "old", "old")
			for i := range 10 {
				name := ""
				if names {
					name = strconv.Itoa(i)
				}
				if wait := g.Tried(here, name, ""); wait != 0 {
					t.Fatalf("try %d: wait %s", i, wait)
				}
			}
			if wait := g.Tried(near, "new", "new"); wait != time.Second {
				t.Errorf("a client that was never there: wait %s", wait)
			}
			if g.Tried(here, "old", "old") != 0 || g.Tried(here, "", "old") != 0 {
				t.Error("a client that is known there has to wait")
			}
			if g.Tried(netip.MustParseAddr("2001:db8:0:1::1"), "new", "new") != 0 {
				t.Error("another network has to wait")
			}
		}
	})
}

// Who was known is so for an hour, and so many are known.
func TestKnownForAWhile(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGuesses()
		here := netip.MustParseAddr("192.0.2.1")
		fail := func() {
			for range 10 {
				g.Tried(here, "", "")
			}
		}
		g.Tried(here, "old", "old")
		time.Sleep(59 * time.Minute)
		fail()
		if wait := g.Tried(here, "old", "old"); wait != 0 {
			t.Errorf("within the hour: %s", wait)
		}
		time.Sleep(61 * time.Minute)
		fail()
		if wait := g.Tried(here, "old", "old"); wait == 0 {
			t.Error("it is known for ever")
		}
		time.Sleep(time.Minute)
		for i := range 1000 {
			g.Tried(here, strconv.Itoa(i), strconv.Itoa(i))
		}
		if n := g.Known(); n != 100 {
			t.Errorf("%d are known", n)
		}
	})
}

// Failures at the same time count as those one after the other.
func TestGuessesAtTheSameTime(t *testing.T) {
	for name, want := range map[string]int64{"billing": 3, "": 10} {
		g := newGuesses()
		var shown atomic.Int64
		var tries sync.WaitGroup
		for range 50 {
			tries.Go(func() {
				for range 20 {
					if g.Tried(netip.MustParseAddr("192.0.2.1"), name, "") == 0 {
						shown.Add(1)
					}
				}
			})
		}
		tries.Wait()
		if shown.Load() != want {
			t.Errorf("%q: the outcome of %d tries showed", name, shown.Load())
		}
	}
}

func TestNetwork(t *testing.T) {
	for addr, want := range map[string]string{
		"192.0.2.1": "192.0.2.1/32", "::ffff:192.0.2.1": "192.0.2.1/32", "2001:db8::1": "2001:db8::/64", "fe80::1%eth0": "fe80::/64",
	} {
		if got := limit.Network(netip.MustParseAddr(addr)).String(); got != want {
			t.Errorf("%s counts as %s", addr, got)
		}
	}
	if limit.Network(netip.Addr{}).IsValid() {
		t.Error("no address has a network")
	}
}
