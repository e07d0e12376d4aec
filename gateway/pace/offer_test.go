package pace

import (
	"math/rand/v2"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// Who comes again as told is let through, where nobody else is there to ask. Only
// who cannot be this hour is told to wait long.
func TestTheWaitIsTrueForOneAlone(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		f, all := known(rapid.IntRange(2000, 60_000).Draw(t, "points"), rapid.IntRange(1, 20).Draw(t, "connections"))
		now := noon
		for range 20 {
			now = now.Add(time.Duration(rapid.IntRange(0, 120_000).Draw(t, "ms")) * time.Millisecond)
			take(f, all[0], now)
			weight := rapid.IntRange(1, 41).Draw(t, "weight")
			hour := f.hour
			for long := false; ; {
				_, wait := f.pay(all[0], weight, now)
				if wait == 0 {
					break
				}
				next := hour.Add(time.Hour)
				if long || !now.Before(next) {
					t.Fatalf("at %s: wait %s more", now.Format(time.TimeOnly), wait)
				}
				if now = now.Add(wait); wait > maxSlices*slice && !now.Equal(next) {
					t.Fatalf("wait %s, to %s", wait, now.Format(time.TimeOnly))
				}
				long = now.Equal(next)
			}
		}
	})
}

// One that has had less than the others is told of the next slice, in which it
// comes before them: also where many ask, and its call weighs more than its share.
func TestTheWaitOfOneThatIsFavoured(t *testing.T) {
	for _, n := range []int{100, 500} {
		for _, weight := range []int{26, 41} {
			f, all := known(65_000, n)
			at := noon.Add(45 * time.Minute)
			for now := noon; now.Before(at); now = now.Add(slice) {
				for _, s := range all[1:] {
					take(f, s, now)
				}
			}
			next, served := at, time.Time{}
			for now := at; served.IsZero() && now.Before(noon.Add(time.Hour)); now = now.Add(time.Second) {
				for _, s := range all[1:] {
					take(f, s, now)
				}
				if now.Before(next) {
					continue
				}
				_, wait := f.pay(all[0], weight, now)
				if wait > slice {
					t.Fatalf("%d connections, weight %d: told to wait %s", n, weight, wait)
				}
				if next = now.Add(wait); wait == 0 {
					served = now
				}
			}
			if served.IsZero() || served.Sub(at) > 30*time.Second {
				t.Errorf("%d connections, weight %d: served at %s", n, weight, served)
			}
		}
	}
}

// The more there are that ask, the later each may expect more.
func TestTheWaitGrowsWithThoseThatAsk(t *testing.T) {
	var waits []time.Duration
	for _, n := range []int{1, 10, 100} {
		f, all := known(60_000, 200)
		greedy(f, noon, noon.Add(slice), all[:n]...)
		greedy(f, noon.Add(slice), noon.Add(slice+time.Second), all[:n]...) // what is on offer
		_, wait := f.pay(all[0], 41, noon.Add(slice))
		waits = append(waits, wait)
	}
	if !(waits[0] < waits[1] && waits[1] < waits[2]) {
		t.Errorf("waits %v", waits)
	}
}

// One that uses nearly all of its share evenly lacks no more than one call at the
// hour's end, for which the rest of its share is too small.
func TestEvenUseIsServed(t *testing.T) {
	for seed := range uint64(5) {
		random := rand.New(rand.NewPCG(seed, 1))
		n, points := 2+random.IntN(15), 2000+random.IntN(65_000)
		f, all := known(points, n)
		interval := time.Duration(float64(time.Hour) / (float64(points) * .9 / float64(n) * .98))
		next, refused := noon, []time.Time(nil)
		for now := noon; now.Before(noon.Add(time.Hour)); now = now.Add(time.Second) {
			for _, s := range all[1:] {
				for range random.IntN(20) {
					f.pay(s, 1+random.IntN(41), now)
				}
			}
			for ; !next.After(now); next = next.Add(interval) {
				if _, wait := f.pay(all[0], 1, now); wait > 0 {
					refused = append(refused, now)
				}
			}
		}
		if len(refused) > 1 || len(refused) == 1 && noon.Add(time.Hour).Sub(refused[0]) > interval+slice {
			t.Errorf("%d connections, %d points: refused at %v", n, points, refused)
		}
	}
}
