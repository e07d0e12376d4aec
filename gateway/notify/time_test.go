package notify

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"jiragate/tokenstore"
)

// moment is longer than a Notifier needs to notice, shorter than any wait, and
// never ends together with a poll.
const moment = 2003 * time.Millisecond

func TestTellsWhatIsNew(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, p := newMemory("acme"), newReceiver(t)
		s.set("globex", tokenstore.StateNeedsReauthorisation) // awaits consent
		n := newNotifier(t, s, p)
		start(t, n)
		time.Sleep(moment)
		for _, a := range p.take() {
			if a.msg.Data.PreviousState != "" {
				t.Errorf("%s: previous state %q", a.state(), a.msg.Data.PreviousState)
			}
		}

		s.set("globex", tokenstore.StateActive)
		s.set("acme", tokenstore.StateExpiring)
		time.Sleep(moment)
		got := p.take()
		slices.SortFunc(got, func(a, b attempt) int { return -a.msg.Timestamp.Compare(b.msg.Timestamp) })
		for i, want := range []struct{ state, previous string }{
			{"globex active", "needs_reauthorisation"}, {"acme expiring", "active"},
		} {
			if len(got) != 2 || !slices.ContainsFunc(got, func(a attempt) bool {
				return a.state() == want.state && string(a.msg.Data.PreviousState) == want.previous
			}) {
				t.Errorf("#%d: %v is not in %v", i, want, got)
			}
		}

		s.remove("acme")
		time.Sleep(time.Hour)
		p.wantStates(t)
		if b := n.Backlog(); b != (Backlog{}) {
			t.Errorf("backlog: %+v", b)
		}

		// Another one of the same name, and there and back between two looks.
		s.set("acme", tokenstore.StateActive)
		s.set("globex", tokenstore.StateDisabled)
		time.Sleep(time.Millisecond)
		s.set("globex", tokenstore.StateActive)
		time.Sleep(moment)
		for _, a := range p.take() {
			want := map[string]tokenstore.State{"acme active": "", "globex active": tokenstore.StateActive}
			if previous, ok := want[a.state()]; !ok || previous != a.msg.Data.PreviousState {
				t.Errorf("%s after %q", a.state(), a.msg.Data.PreviousState)
			}
		}
	})
}

func TestServes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, p := newMemory("acme", "globex"), newReceiver(t)
		start(t, newNotifier(t, s, p, func(o *Options) {
			o.Serves = func(c *tokenstore.Connection) bool { return c.ID == "globex" }
		}))
		time.Sleep(moment)
		s.set("acme", tokenstore.StateDisabled)
		time.Sleep(moment)
		p.wantStates(t, "globex active")
	})
}

func TestWake(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, p := newMemory(), newReceiver(t)
		n := newNotifier(t, s, p)
		start(t, n)
		time.Sleep(pollInterval / 2)
		s.set("acme", tokenstore.StateActive)
		n.Wake()
		n.Wake()
		synctest.Wait()
		p.wantStates(t, "acme active")
	})
}

// TestWaits: what isn't acknowledged is sent again and again, less and less often,
// under the same id.
func TestWaits(t *testing.T) {
	for name, answer := range map[string]func(http.ResponseWriter, *http.Request, attempt){
		"500":      status(500),
		"400":      status(400),
		"404":      status(404),
		"503":      status(503),
		"redirect": status(307),
		"hangs":    hang,
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s, p := newMemory("acme"), newReceiver(t)
				p.set(answer)
				n := newNotifier(t, s, p)
				start(t, n)
				time.Sleep(24 * time.Hour)
				if b := n.Backlog(); b.Pending != 1 || time.Since(b.Since) < 23*time.Hour {
					t.Errorf("backlog: %+v", b)
				}
				got := p.take()
				longest := time.Duration(0)
				for i := 1; i < len(got); i++ {
					gap := got[i].at.Sub(got[i-1].at)
					least, most := firstWait*7/10, lastWait
					if i < 10 {
						least, most = min(firstWait<<(i-1), lastWait)*7/10, min(firstWait<<(i-1), lastWait)
					}
					if gap < least || gap > most+attemptTimeout+2*pollInterval {
						t.Errorf("attempt %d came after %v, want %v to %v", i, gap, least, most)
					}
					if got[i].id != got[0].id || string(got[i].raw) != string(got[0].raw) {
						t.Error("it is another message")
					}
					longest = max(longest, gap)
				}
				if longest < lastWait*7/10 || len(got) > 50 {
					t.Errorf("%d attempts, at most %v apart", len(got), longest)
				}

				p.set(nil)
				time.Sleep(lastWait + moment)
				p.wantStates(t, "acme active")
				time.Sleep(2 * lastWait)
				p.wantStates(t)
			})
		})
	}
}

func TestRetryAfter(t *testing.T) {
	for _, test := range []struct {
		status   int
		value    func() string
		from, to time.Duration
	}{
		{503, func() string { return "600" }, 600 * time.Second, 602 * time.Second},
		{429, func() string { return time.Now().Add(20 * time.Minute).UTC().Format(http.TimeFormat) }, 1199 * time.Second, 1202 * time.Second},
		{500, func() string { return "600" }, 600 * time.Second, 602 * time.Second},
		{503, func() string { return "99999999" }, time.Hour, time.Hour + 2*time.Second},
		{500, func() string { return "-5" }, 3 * time.Second, 7 * time.Second},
		{410, func() string { return "1" }, 24 * time.Hour, 24*time.Hour + 2*time.Second},
	} {
		t.Run(fmt.Sprint(test.status), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s, p := newMemory("acme"), newReceiver(t)
				p.set(func(w http.ResponseWriter, _ *http.Request, _ attempt) {
					w.Header().Set("Retry-After", test.value())
					w.WriteHeader(test.status)
				})
				start(t, newNotifier(t, s, p))
				time.Sleep(moment)
				p.set(nil)
				time.Sleep(goneWait + lastWait)
				got := p.take()
				if len(got) != 2 {
					t.Fatalf("%d attempts", len(got))
				}
				if gap := got[1].at.Sub(got[0].at); gap < test.from || gap > test.to {
					t.Errorf("the second attempt came after %v, want %v to %v", gap, test.from, test.to)
				}
			})
		})
	}
}

// TestGone: the whole endpoint is left alone, new changes included, but not for
// ever.
func TestGone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, p := newMemory("acme"), newReceiver(t)
		p.set(status(http.StatusGone))
		stop := start(t, newNotifier(t, s, p))
		time.Sleep(moment)
		p.wantStates(t, "acme active")
		for range 20 {
			s.set("acme", tokenstore.StateDisabled)
			s.set("globex", tokenstore.StateActive)
			time.Sleep(time.Hour)
		}
		p.wantStates(t)
		time.Sleep(2 * goneWait)
		if got := p.take(); len(got) != 2 {
			t.Errorf("%d attempts in two days", len(got))
		}
		// A restart, with the right URL by now, ends the wait.
		stop()
		p.set(nil)
		start(t, newNotifier(t, s, p))
		time.Sleep(moment)
		p.wantStates(t, "acme disabled", "globex active")
	})
}

// TestFewAtATime: an endpoint that is slow gets a few requests at a time, one that
// doesn't answer one, however much there is to tell.
func TestFewAtATime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, p := newMemory(), newReceiver(t)
		for i := range 100 {
			s.set(fmt.Sprintf("c%02d", i), tokenstore.StateActive)
		}
		var now, most, all atomic.Int64
		began := time.Now()
		p.set(func(_ http.ResponseWriter, r *http.Request, _ attempt) {
			most.Store(max(most.Load(), now.Add(1)))
			all.Add(1)
			<-r.Context().Done()
			now.Add(-1)
		})
		n := newNotifier(t, s, p)
		start(t, n)
		time.Sleep(attemptTimeout)
		if most.Load() != maxDeliveries {
			t.Errorf("%d at a time at first", most.Load())
		}
		// They failed together, which is one failure: the next is not far.
		time.Sleep(firstWait + moment)
		got := p.take()
		if len(got) != maxDeliveries+1 || got[maxDeliveries].at.Sub(began) > attemptTimeout+firstWait+moment {
			t.Errorf("%d attempts", len(got))
		}
		time.Sleep(attemptTimeout)
		most.Store(0)
		all.Store(0)
		time.Sleep(time.Hour)
		if most.Load() != 1 || all.Load() > 70 {
			t.Errorf("%d at a time and %d attempts in an hour of trouble", most.Load(), all.Load())
		}
		if b := n.Backlog(); b.Pending != 100 || !b.Troubled {
			t.Errorf("backlog: %+v", b)
		}

		// Once one gets through so do all, although some have failed many times.
		p.set(nil)
		p.take()
		time.Sleep(lastPause + attemptTimeout + moment)
		if b := n.Backlog(); b != (Backlog{}) {
			t.Errorf("backlog: %+v", b)
		}
		if got := p.take(); len(got) != 100 {
			t.Errorf("%d attempts for 100 connections", len(got))
		}
	})
}

// TestOneMessageHoldsUpNoOther: one that the receiver can't take, be it that it
// says so or that it hangs.
func TestOneMessageHoldsUpNoOther(t *testing.T) {
	for name, bad := range map[string]func(http.ResponseWriter, *http.Request, attempt){"500": status(500), "hangs": hang, "503": status(503)} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s, p := newMemory("acme", "bad", "globex"), newReceiver(t)
				p.set(func(w http.ResponseWriter, r *http.Request, a attempt) {
					if a.msg.Data.Connection == "bad" {
						bad(w, r, a)
					}
				})
				start(t, newNotifier(t, s, p))
				time.Sleep(time.Minute)
				p.take()
				for range 50 {
					s.set("acme", tokenstore.StateDisabled)
					time.Sleep(2 * lastPause)
					if !slices.Contains(p.states(), "acme disabled") {
						t.Fatal("it was held up")
					}
				}
			})
		})
	}
}

// TestChangeWhileDelivering: the newer state follows the older, never beside it,
// and only the last of several.
func TestChangeWhileDelivering(t *testing.T) {
	for _, first := range []int{204, 500} {
		t.Run(fmt.Sprint(first), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s, p := newMemory("acme"), newReceiver(t)
				p.set(func(w http.ResponseWriter, _ *http.Request, a attempt) {
					time.Sleep(10 * time.Second)
					if a.msg.Data.State == tokenstore.StateActive {
						w.WriteHeader(first)
					}
				})
				start(t, newNotifier(t, s, p))
				time.Sleep(moment)
				for _, state := range []tokenstore.State{tokenstore.StateExpiring, tokenstore.StateNeedsReauthorisation, tokenstore.StateDisabled} {
					s.set("acme", state)
					time.Sleep(moment)
				}
				time.Sleep(time.Hour)
				got := p.take()
				if len(got) != 2 || got[1].state() != "acme disabled" || got[1].at.Sub(got[0].at) < 10*time.Second {
					t.Fatalf("got %v", got)
				}
				want := tokenstore.StateActive
				if first != 204 {
					want = "" // not acknowledged
				}
				if previous := got[1].msg.Data.PreviousState; previous != want {
					t.Errorf("previous state %q, want %q", previous, want)
				}
			})
		})
	}
}

// TestFlapping: changing all the time is no way around the wait.
func TestFlapping(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, p := newMemory("acme"), newReceiver(t)
		p.set(status(500))
		start(t, newNotifier(t, s, p))
		for i := range 3000 {
			s.set("acme", []tokenstore.State{tokenstore.StateDisabled, tokenstore.StateActive}[i%2])
			time.Sleep(moment)
		}
		if got := p.take(); len(got) < 5 || len(got) > 20 {
			t.Errorf("%d attempts", len(got))
		}
	})
}

// TestFreshStart: a state that follows an acknowledged one doesn't wait for the
// failures of that.
func TestFreshStart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, p := newMemory("acme"), newReceiver(t)
		p.set(status(500))
		start(t, newNotifier(t, s, p))
		time.Sleep(3 * time.Hour)
		var failed time.Time
		p.set(func(w http.ResponseWriter, _ *http.Request, a attempt) {
			switch {
			case a.msg.Data.State == tokenstore.StateActive:
				s.set("acme", tokenstore.StateDisabled) // while it is delivered
				time.Sleep(moment)                      // until that is noticed
			case failed.IsZero():
				failed = a.at
				w.WriteHeader(500)
			}
		})
		time.Sleep(3 * lastWait)
		got := p.take()
		last := got[len(got)-1]
		if gap := last.at.Sub(failed); last.state() != "acme disabled" || gap == 0 || gap > firstWait+moment {
			t.Errorf("%s was tried again after %v", last.state(), gap)
		}
	})
}

// TestReplacedWhileDelivering: the acknowledgement of one that is gone is not
// taken for that of its successor.
func TestReplacedWhileDelivering(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, p := newMemory("acme"), newReceiver(t)
		p.set(func(http.ResponseWriter, *http.Request, attempt) { time.Sleep(5 * time.Second) })
		start(t, newNotifier(t, s, p))
		time.Sleep(time.Second)
		s.remove("acme")
		s.set("acme", tokenstore.StateActive)
		time.Sleep(time.Minute)
		got := p.take()
		if len(got) != 2 || got[0].id == got[1].id || got[1].msg.Data.PreviousState != "" {
			t.Errorf("got %v", got)
		}

		// One that goes for good leaves nothing behind.
		s.set("acme", tokenstore.StateDisabled)
		time.Sleep(moment)
		s.remove("acme")
		time.Sleep(time.Hour)
		p.wantStates(t, "acme disabled")
		if len(s.announced) != 0 {
			t.Errorf("announced: %v", s.announced)
		}
	})
}

// TestStoreFails: what was delivered isn't sent again while the store takes
// nothing, and is noted once it does.
func TestStoreFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, p := newMemory("acme"), newReceiver(t)
		s.failWith(errors.New("the disk is full"))
		stop := start(t, newNotifier(t, s, p))
		time.Sleep(time.Minute)
		p.wantStates(t) // what was announced isn't known
		s.failWith(nil)
		time.Sleep(lastPause + moment)
		p.wantStates(t, "acme active")

		s.failWith(errors.New("the disk is full"))
		s.set("acme", tokenstore.StateDisabled)
		time.Sleep(time.Hour)
		p.wantStates(t, "acme disabled")
		s.failWith(nil)
		time.Sleep(moment)
		stop()
		if a := s.announced["acme"]; a.State != tokenstore.StateDisabled || s.writes != 2 {
			t.Errorf("announced: %+v, %d writes", a, s.writes)
		}
	})
}

// TestEndsAtOnce: Run waits neither for a store nor for an endpoint that hangs,
// and what is acknowledged as it ends is noted.
func TestEndsAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, p := newMemory("acme"), newReceiver(t)
		began := time.Now()
		s.failWith(errors.New("the disk is full"))
		start(t, newNotifier(t, s, p))()
		s.failWith(nil)
		p.set(hang)
		var logged bytes.Buffer
		stop := start(t, newNotifier(t, s, p, func(o *Options) { o.Logger = slog.New(slog.NewTextHandler(&logged, nil)) }))
		synctest.Wait()
		stop()
		if took := time.Since(began); took != 0 {
			t.Errorf("it took %v", took)
		}
		if logged.Len() > 0 {
			t.Errorf("it complains: %s", logged.String())
		}
		p.wantStates(t, "acme active")
		if len(s.announced) != 0 {
			t.Error("nobody has acknowledged that")
		}
	})
}

// TestAcknowledgedAtTheEnd: it is noted all the same.
func TestAcknowledgedAtTheEnd(t *testing.T) {
	s, p := newMemory("acme"), newReceiver(t)
	ctx, end := context.WithCancel(t.Context())
	newNotifier(t, s, p, func(o *Options) { o.Transport = ending{end} }).Run(ctx)
	if c, _ := s.Directory().Connection("acme"); !covers(s.announced["acme"], c) {
		t.Errorf("announced: %+v", s.announced)
	}
}

// ending acknowledges what it gets when it is too late.
type ending struct{ end func() }

func (e ending) RoundTrip(*http.Request) (*http.Response, error) {
	e.end()
	return &http.Response{StatusCode: 204, Body: http.NoBody}, nil
}

// TestRecovery: with the first that gets through come the others, however long
// they were to wait.
func TestRecovery(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newReceiver(t)
		p.set(status(503))
		start(t, newNotifier(t, newMemory("acme", "globex", "initech"), p))
		time.Sleep(10 * time.Hour)
		p.take()
		p.set(nil)
		time.Sleep(lastWait + moment)
		got := p.take()
		if len(got) != 3 || got[2].at.Sub(got[0].at) > moment {
			t.Errorf("got %v", got)
		}
	})
}

func TestUnreachable(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNotifier(t, newMemory("acme", "globex"), newReceiver(t), func(o *Options) { o.Transport = unreachable{} })
		start(t, n)
		time.Sleep(time.Hour)
		if b := n.Backlog(); b.Pending != 2 || !b.Troubled {
			t.Errorf("backlog: %+v", b)
		}
	})
}
