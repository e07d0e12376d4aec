package offsite

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"
)

// interval never ends together with a second.
const interval = 61300 * time.Millisecond

func TestFirstAtOnceThenEachInterval(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPlace()
		c := courierTo(t, Options{Interval: interval}, p)
		stop := start(t, c)
		for size := range uint64(150) { // one a second, as the log does
			c.Offer(signed(t, size), size)
			time.Sleep(time.Second)
		}
		time.Sleep(time.Hour)
		p.want(t, arrival{0, 0}, arrival{61, interval}, arrival{122, 2 * interval}, arrival{149, 3 * interval})
		c.Offer(signed(t, 200), 200) // after a pause: at once
		synctest.Wait()
		if got := p.got(); got[len(got)-1].size != 200 {
			t.Errorf("it came late: %v", got)
		}
		stop()
		if len(p.got()) != 5 {
			t.Errorf("what was delivered came again at the end: %v", p.got())
		}
	})
}

func TestSameCheckpointIsDeliveredOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPlace()
		c := courierTo(t, Options{}, p)
		defer start(t, c)()
		for range 300 {
			c.Offer(signed(t, 7), 7)
			time.Sleep(time.Second)
		}
		p.want(t, arrival{7, 0})
	})
}

// A log that was put back to an older state shows elsewhere.
func TestSmallerAndDifferentCheckpointsAreDelivered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPlace()
		c := courierTo(t, Options{}, p)
		defer start(t, c)()
		for _, offered := range []struct {
			size    uint64
			history string
		}{{7, "AAAA"}, {5, "AAAA"}, {5, "BBBB"}} {
			c.Offer(signedBy(t, offered.size, offered.history, origin), offered.size)
			time.Sleep(2 * time.Minute)
		}
		p.want(t, arrival{7, 0}, arrival{5, 2 * time.Minute}, arrival{5, 4 * time.Minute})
	})
}

func TestOfferKeepsACopy(t *testing.T) {
	buffer := signed(t, 7)
	c := courierTo(t, Options{}, newPlace())
	c.Offer(buffer, 7)
	clear(buffer)
	if got := c.newest.Load(); !got.equals(at(t, 7)) {
		t.Errorf("it has become %q", got.signed)
	}
}

func TestOfferBlocksNeitherBeforeRunNorAfter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPlace()
		c := courierTo(t, Options{}, p)
		c.Offer(signed(t, 1), 1)
		c.Offer(signed(t, 2), 2)
		stop := start(t, c)
		synctest.Wait()
		stop()
		c.Offer(signed(t, 3), 3)
		c.Offer(signed(t, 4), 4)
		p.want(t, arrival{2, 0})
	})
}

func TestFailuresAreRetriedEverMoreSlowly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log logBuffer
		p := newPlace()
		p.set(func(context.Context) error { return errors.New("no way") })
		c := courierTo(t, Options{Logger: log.logger()}, p)
		defer start(t, c)()
		began := time.Now()
		for size := range uint64(3600) { // what comes meanwhile doesn't shorten a wait
			c.Offer(signed(t, size), size)
			time.Sleep(time.Second)
		}
		tries := p.attempted()
		for i := 1; i < len(tries); i++ {
			longest := min(time.Second<<(i-1), 5*time.Minute)
			if i > 20 {
				longest = 5 * time.Minute
			}
			if d := tries[i] - tries[i-1]; d < longest*7/10 || d > longest {
				t.Errorf("attempt %d is %v after the one before, want 0.7 to 1 of %v", i, d, longest)
			}
		}
		if len(tries) < 15 {
			t.Errorf("only %d attempts in an hour", len(tries))
		}
		s := c.Status()[0]
		if !s.FailingSince.Equal(began) || s.Problem != "no way" || !s.Delivered.IsZero() || s.Size != 0 {
			t.Errorf("status %+v", s)
		}
		if log.count("level=WARN") != 1 || log.count("\n") != 1 || log.count("place=/place/0") != 1 {
			t.Errorf("it should be said once: %s", log.String())
		}

		p.set(nil)
		time.Sleep(5 * time.Minute)
		if got := p.got(); len(got) != 1 || got[0].size != 3599 {
			t.Errorf("after the recovery: %v, want the newest alone", got)
		}
		s = c.Status()[0]
		if s.Size != 3599 || s.Delivered.IsZero() || !s.FailingSince.IsZero() || s.Problem != "" {
			t.Errorf("status %+v", s)
		}
		if log.count("level=INFO") != 1 || log.count("\n") != 2 {
			t.Errorf("the recovery should be said once: %s", log.String())
		}
		p.set(func(context.Context) error { return errors.New("again") })
		c.Offer(signed(t, 4000), 4000)
		time.Sleep(time.Minute)
		if log.count("level=WARN") != 2 {
			t.Errorf("the next failure should be said: %s", log.String())
		}
		p.set(nil)
	})
}

func TestAHangingPlaceDelaysNoOther(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log logBuffer
		free := make(chan struct{})
		stuck, other := newPlace(), newPlace()
		stuck.set(func(context.Context) error { <-free; return nil })
		c := courierTo(t, Options{Interval: interval, Logger: log.logger()}, stuck, other)
		stop := start(t, c)
		for size := range uint64(130) {
			c.Offer(signed(t, size), size)
			time.Sleep(time.Second)
		}
		other.want(t, arrival{0, 0}, arrival{61, interval}, arrival{122, 2 * interval})
		if n := len(stuck.attempted()); n != 1 {
			t.Errorf("%d attempts at the same time", n)
		}
		s := c.Status()
		if s[0].Problem != errStalled.Error() || s[0].FailingSince.IsZero() || s[1].Problem != "" {
			t.Errorf("status %+v", s)
		}
		close(free)
		synctest.Wait()
		if s := c.Status()[0]; s.Size != 0 || s.Delivered.IsZero() || s.Problem != "" {
			t.Errorf("it has come after all, but the status is %+v", s)
		}
		stop()
		if got := stuck.got(); len(got) != 2 || got[1].size != 129 {
			t.Errorf("the place that hung got %v", got)
		}
		if log.count("level=WARN") != 1 || log.count("level=INFO") != 1 {
			t.Errorf("log: %s", log.String())
		}
	})
}

func TestWhatIsNoNoteIsNotDelivered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPlace()
		c := courierTo(t, Options{}, p)
		defer start(t, c)()
		c.Offer([]byte("no note"), 1)
		synctest.Wait()
		if s := c.Status()[0]; !strings.Contains(s.Problem, "not a whole signed note") || len(p.attempted()) != 0 {
			t.Errorf("status %+v, %d attempts", s, len(p.attempted()))
		}
		c.Offer(make([]byte, MaxCheckpoint+1), 1)
		time.Sleep(time.Second)
		if s := c.Status()[0]; !strings.Contains(s.Problem, "65537 bytes") || len(p.attempted()) != 0 {
			t.Errorf("status %+v, %d attempts", s, len(p.attempted()))
		}
		c.Offer(signed(t, 2), 2)
		time.Sleep(2 * time.Second)
		if s := c.Status()[0]; s.Size != 2 || s.Problem != "" {
			t.Errorf("status %+v", s)
		}
	})
}

func TestRefusesOptions(t *testing.T) {
	stdout, err := ParsePlaces("stdout")
	if err != nil {
		t.Fatal(err)
	}
	for name, o := range map[string]Options{
		"negative":        {Interval: -1},
		"negative at end": {LastAttempt: -1},
		"no stdout":       {Places: stdout},
		"no place":        {Places: []Place{{}}},
	} {
		if _, err := New(o); err == nil {
			t.Errorf("%s: it is taken", name)
		}
	}
}

// Whatever a place does and whenever something is offered: it gets nothing before
// the interval is over, nothing older than what was newest when the attempt began,
// and in the end the newest.
func TestInvariants(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		pauses := rapid.SliceOfN(rapid.Int64Range(0, int64(90*time.Second)), 1, 40).Draw(rt, "pauses")
		troubles := rapid.SliceOfN(rapid.SampledFrom([]string{"", "", "fails", "slow", "slow and fails"}), 1, 10).Draw(rt, "troubles")
		var wrong []string
		synctest.Test(t, func(t *testing.T) {
			p := newPlace()
			n := 0
			p.set(func(context.Context) error {
				trouble := troubles[n%len(troubles)]
				n++
				if strings.Contains(trouble, "slow") {
					time.Sleep(7 * time.Second)
				}
				if strings.Contains(trouble, "fails") {
					return errors.New("no way")
				}
				return nil
			})
			c := courierTo(t, Options{LastAttempt: time.Minute}, p)
			stop := start(t, c)
			var offered []time.Duration // by size
			for i, pause := range pauses {
				offered = append(offered, time.Since(p.began))
				c.Offer(signed(t, uint64(i)), uint64(i))
				time.Sleep(time.Duration(pause))
			}
			p.set(nil)
			time.Sleep(10 * time.Minute)
			stop()
			got := p.got()
			for i, a := range got {
				if i > 0 && a.after-got[i-1].after < time.Minute {
					wrong = append(wrong, fmt.Sprintf("%v comes within the interval after %v", a, got[i-1]))
				}
				if next := int(a.size) + 1; next < len(offered) && offered[next] < a.after-7*time.Second {
					wrong = append(wrong, fmt.Sprintf("%v comes although %d was offered at %v", a, next, offered[next]))
				}
			}
			if len(got) == 0 || got[len(got)-1].size != uint64(len(pauses)-1) {
				wrong = append(wrong, fmt.Sprintf("the last is not the newest: %v", got))
			}
			if !slices.IsSortedFunc(got, func(a, b arrival) int { return int(a.size) - int(b.size) }) {
				wrong = append(wrong, fmt.Sprintf("out of order: %v", got))
			}
		})
		if len(wrong) > 0 {
			rt.Fatal(strings.Join(wrong, "\n"))
		}
	})
}
