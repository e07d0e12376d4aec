package pace

import (
	"math/rand/v2"
	"testing"
	"time"

	"pgregory.net/rapid"
)

var noon = time.Date(2026, 3, 26, 12, 0, 0, 0, time.UTC)

// known returns a fund in an hour that began with n connections known.
func known(points, n int) (*fund, []*share) {
	f := newFund(points)
	all := make([]*share, n)
	for i := range all {
		all[i] = f.join(noon.Add(-time.Hour))
	}
	f.turn(noon)
	return f, all
}

// take pays for calls of one point until one is refused.
func take(f *fund, s *share, now time.Time) (n int) {
	for ; ; n++ {
		if _, wait := f.pay(s, 1, now); wait > 0 {
			return n
		}
	}
}

// greedy lets each of the shares take what it can, every second from one time to
// another, and returns what each got.
func greedy(f *fund, from, to time.Time, all ...*share) []int {
	got := make([]int, len(all))
	for now := from; now.Before(to); now = now.Add(time.Second) {
		for i, s := range all {
			got[i] += take(f, s, now)
		}
	}
	return got
}

func wantBetween(t *testing.T, what string, got, low, high int) {
	t.Helper()
	if got < low || got > high {
		t.Errorf("%s: %d points, want %d to %d", what, got, low, high)
	}
}

func TestOneConnectionAloneUsesNearlyAll(t *testing.T) {
	f, all := known(60_000, 1)
	wantBetween(t, "at once", take(f, all[0], noon), 54_000, 54_000)
	wantBetween(t, "in all", 54_000+greedy(f, noon, noon.Add(time.Hour), all...)[0], 59_700, 60_000)
	wantBetween(t, "next hour", take(f, all[0], noon.Add(time.Hour)), 54_000, 54_000)
}

// After a start, which can be at any time, the first to call does not get it all.
func TestTheFirstAfterAStart(t *testing.T) {
	f := newFund(60_000)
	now := noon.Add(6 * time.Minute)
	first := f.join(now)
	wantBetween(t, "the first, at once", take(f, first, now), 22_000, 30_000)
	second := f.join(now.Add(time.Second))
	wantBetween(t, "the second, at once", take(f, second, now.Add(time.Second)), 500, 3000)
	got := greedy(f, now, noon.Add(time.Hour), second)
	wantBetween(t, "the second, in the hour", got[0], 22_000, 30_000)
}

// A process that starts within an hour has the part that is left of it, a tenth at
// least: one before it may have used the other.
func TestAStartWithinAnHour(t *testing.T) {
	for _, test := range []struct {
		points    int
		at        time.Duration
		low, high int
	}{
		{65_000, 0, 64_000, 65_000},
		{65_000, 30 * time.Minute, 31_000, 32_500},
		{65_000, 50 * time.Minute, 10_000, 10_834},
		{65_000, 59 * time.Minute, 6_000, 6_500},
		{100, 57 * time.Minute, 20, 41}, // as much as the dearest operation
	} {
		f := newFund(test.points)
		at := noon.Add(test.at)
		f.turn(at)
		all := []*share{f.join(at), f.join(at)}
		got := greedy(f, at, noon.Add(time.Hour), all...)
		wantBetween(t, test.at.String(), got[0]+got[1], test.low, test.high)
		next := noon.Add(time.Hour)
		got = greedy(f, next, next.Add(time.Hour), all...)
		wantBetween(t, "the hour after", got[0]+got[1], test.points*98/100, test.points)
	}
	// A process that was there before the hour knows that nothing was used.
	f := newFund(65_000)
	f.turn(noon.Add(-time.Minute))
	at := noon.Add(50 * time.Minute)
	wantBetween(t, "rested", greedy(f, at, noon.Add(time.Hour), f.join(at))[0], 60_000, 65_000)
}

func TestTwoThatWantAllGetHalf(t *testing.T) {
	f, all := known(60_000, 2)
	got := greedy(f, noon, noon.Add(time.Hour), all...)
	for _, n := range got {
		wantBetween(t, "one of two", n, 29_700, 30_000)
	}
}

// One that asks a hundred times as often gets no more of what the others leave.
func TestAskingOftenerDoesNotHelp(t *testing.T) {
	f, all := known(60_000, 10)
	often, seldom := all[0], all[1]
	var got [2]int
	for now := noon; now.Before(noon.Add(time.Hour)); now = now.Add(100 * time.Millisecond) {
		for range 10 {
			if _, wait := f.pay(often, 1, now); wait == 0 {
				got[0]++
			}
		}
		if _, wait := f.pay(seldom, 1, now); wait == 0 {
			got[1]++
		}
	}
	// Seldom asks 36,000 times: more than half of what there is.
	if got[0] > got[1]*11/10 || got[0]+got[1] < 50_000 {
		t.Errorf("got %d and %d", got[0], got[1])
	}
}

// What the others do not need is released as the hour passes: a connection among
// idle ones gets its share, and the rest evenly over the hour.
func TestUnusedSharesAreReleasedGradually(t *testing.T) {
	f, all := known(60_000, 100)
	got := 0
	for _, step := range []struct {
		until     time.Duration
		low, high int
	}{
		{time.Second, 540, 540},
		{15 * time.Minute, 14_000, 15_600},
		{30 * time.Minute, 29_000, 30_600},
		{time.Hour, 59_000, 60_000},
	} {
		from := noon
		if got > 0 {
			from = noon.Add(f.elapsed())
		}
		got += greedy(f, from, noon.Add(step.until), all[0])[0]
		wantBetween(t, step.until.String(), got, step.low, step.high)
	}
	// An idle one still has the part of its share that belongs to the rest of the hour.
	f, all = known(60_000, 100)
	greedy(f, noon, noon.Add(30*time.Minute), all[0])
	wantBetween(t, "an idle one", take(f, all[1], noon.Add(30*time.Minute)), 270, 600)
}

func (f *fund) elapsed() time.Duration { return time.Duration(f.slice) * slice }

// Somebody new finds something, even where one has used all that it could.
func TestTheReserveIsForNewcomers(t *testing.T) {
	f, all := known(60_000, 1)
	take(f, all[0], noon)
	first := f.join(noon)
	wantBetween(t, "the first, at once", take(f, first, noon), 3000, 3000)
	second := f.join(noon)
	wantBetween(t, "the second, at once", take(f, second, noon), 1500, 1500)
	now := noon.Add(10 * time.Second)
	for _, s := range []*share{first, second} {
		wantBetween(t, "with its share", take(f, s, now), 375, 400)
	}
	// What comes free later goes to those that had less.
	got := greedy(f, now, noon.Add(time.Hour), all[0], first, second)
	if got[0] != 0 || got[2] < 500 {
		t.Errorf("got %v", got)
	}
}

// One whose needs are small does not hold up another that has had more.
func TestAModestNeighbourLeavesTheRest(t *testing.T) {
	f, all := known(60_000, 10)
	big, small := all[0], all[1]
	take(f, small, noon)
	greedy(f, noon.Add(slice), noon.Add(30*time.Minute), big) // far ahead of small
	got, refused := 0, 0
	for now := noon.Add(30 * time.Minute); now.Before(noon.Add(time.Hour)); now = now.Add(time.Second) {
		if _, wait := f.pay(small, 1, now); wait > 0 {
			refused++
		}
		got += take(f, big, now)
	}
	wantBetween(t, "big", got, 20_000, 30_000)
	wantBetween(t, "refused of small's 1800 calls", refused, 0, 40)
}

// An operation that costs more than a share is paid from the offers.
func TestCostsMoreThanAShare(t *testing.T) {
	f, all := known(60_000, 10_000) // 5.4 points each
	now, done := noon, 0
	for range 360 {
		now = now.Add(slice)
		for _, s := range all[:50] {
			if _, wait := f.pay(s, 26, now); wait == 0 {
				done++
			}
		}
	}
	if done < 1500 { // of 1938 that the offers pay for, with the shares' help
		t.Errorf("%d calls", done)
	}
}

func TestAClockThatIsSet(t *testing.T) {
	f, all := known(60_000, 1)
	take(f, all[0], noon)
	wantBetween(t, "back by a second", take(f, all[0], noon.Add(-time.Second)), 0, 0)
	if _, wait := f.pay(all[0], 1, noon.Add(-time.Second)); wait <= 0 || wait > time.Hour {
		t.Errorf("wait %s", wait)
	}
	wantBetween(t, "back by a day", take(f, all[0], noon.Add(-24*time.Hour)), 54_000, 54_000)
}

// Whatever happens, in whatever order: never more is used in an hour than there
// is, and what has been promised is there.
func TestTheHoursPointsAreNeverExceeded(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		points := rapid.IntRange(41, 3000).Draw(t, "points")
		f := newFund(points)
		now := noon.Add(time.Duration(rapid.IntRange(0, 3599).Draw(t, "start")) * time.Second)
		var all []*share
		var paid []payment
		var by []*share
		f.turn(now)
		spent := map[time.Time]int64{f.hour: f.used} // or a process before this one has
		told := false                                // of less, and not divided since
		for range rapid.IntRange(1, 300).Draw(t, "steps") {
			at := f.slice
			hour := f.hour
			switch rapid.IntRange(0, 9).Draw(t, "step") {
			case 0:
				all = append(all, f.join(now))
			case 1:
				now = now.Add(time.Duration(rapid.IntRange(1, 900_000).Draw(t, "ms")) * time.Millisecond)
			case 2:
				f.adopt(int64(rapid.IntRange(0, points).Draw(t, "left")), time.Duration(rapid.IntRange(0, 3600).Draw(t, "reset"))*time.Second, now)
				told = true
				at, hour = f.slice, f.hour // divided before, not since
			case 3:
				if len(paid) > 0 {
					last := len(paid) - 1
					f.refund(by[last], paid[last])
					p := paid[last]
					spent[p.hour] -= p.own + p.reserve + p.free
					paid, by = paid[:last], by[:last]
				}
			case 4:
				if len(all) > 0 {
					i := rapid.IntRange(0, len(all)-1).Draw(t, "leaves")
					gone := all[i]
					f.leave(gone)
					all = append(all[:i], all[i+1:]...)
					for j := len(paid) - 1; j >= 0; j-- {
						if by[j] == gone { // its calls are over, or it would not be forgotten
							paid, by = append(paid[:j], paid[j+1:]...), append(by[:j], by[j+1:]...)
						}
					}
				}
			default:
				if len(all) > 0 {
					s := rapid.SampledFrom(all).Draw(t, "who")
					for range rapid.IntRange(1, 30).Draw(t, "calls") {
						p, wait := f.pay(s, rapid.IntRange(1, 41).Draw(t, "weight"), now)
						if wait < 0 || wait > time.Hour {
							t.Fatalf("wait %s", wait)
						}
						if wait == 0 {
							paid, by = append(paid, p), append(by, s)
							spent[p.hour] += p.own + p.reserve + p.free
						}
					}
				}
			}
			if f.slice != at || !f.hour.Equal(hour) {
				told = false
			}
			if spent[f.hour] != f.used || f.used > f.limit || f.limit > int64(points)*point {
				t.Fatalf("%d used by our count, %d by its own, of %d", spent[f.hour], f.used, f.limit)
			}
			promised := f.reserve + f.offer
			for _, s := range all {
				if s.own < 0 || s.used < 0 {
					t.Fatalf("share %+v", s)
				}
				promised += s.own
			}
			if f.reserve < 0 || f.offer < 0 || f.offer > f.free {
				t.Fatalf("reserve %d, offer %d, free %d", f.reserve, f.offer, f.free)
			}
			if !told && promised > f.limit-f.used {
				t.Fatalf("%d promised, %d left", promised, f.limit-f.used)
			}
		}
	})
}

// A connection that was known when the hour began, and asks for no more than the
// part of its fair share that belongs to the rest of the hour, is never refused:
// however greedy others are, who goes first, and whoever comes new.
func TestAConnectionBelowItsShareIsNeverRefused(t *testing.T) {
	refused, served := 0, 0
	rapid.Check(t, func(t *rapid.T) {
		random := rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "seed"), 0))
		const points = 20_000
		old, fresh := rapid.IntRange(1, 8).Draw(t, "known"), rapid.IntRange(0, 8).Draw(t, "new")
		f, all := known(points, old)
		// The fair share counts all that will be there.
		whole := float64(points) * 0.9 / float64(old+fresh)
		quiet := make([]float64, rapid.IntRange(1, old).Draw(t, "quiet")) // what each may ask for
		for i := range quiet {
			quiet[i] = whole
		}
		for now := noon; now.Before(noon.Add(time.Hour)); now = now.Add(time.Duration(random.IntN(20_000)) * time.Millisecond) {
			if fresh > 0 && random.IntN(20) == 0 {
				fresh--
				all = append(all, f.join(now))
			}
			for _, i := range random.Perm(len(all)) {
				weight := 1 + random.IntN(41)
				if i >= len(quiet) {
					for range random.IntN(200) {
						if _, wait := f.pay(all[i], weight, now); wait > 0 {
							refused++
							break
						}
					}
					continue
				}
				left := 1 - now.Sub(noon).Seconds()/3600
				quiet[i] = min(quiet[i], whole*left)
				for random.IntN(4) > 0 && quiet[i]-0.5 >= float64(weight) {
					quiet[i] -= float64(weight)
					served++
					if _, wait := f.pay(all[i], weight, now); wait > 0 {
						t.Fatalf("at %s connection %d of %d known and %d yet to come was refused %d points with %.1f of its share left",
							now.Format(time.TimeOnly), i, old, fresh, weight, quiet[i]+float64(weight))
					}
				}
			}
		}
	})
	if refused == 0 || served == 0 {
		t.Errorf("%d greedy calls refused, %d others served: the property holds of nothing", refused, served)
	}
}
