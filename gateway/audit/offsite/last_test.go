package offsite

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"
)

func TestOneLastAttempt(t *testing.T) {
	failing := func(context.Context) error { return errors.New("no way") }
	for _, test := range []struct {
		name     string
		before   func(context.Context) error // until the context ends
		atEnd    func(context.Context) error
		arrives  bool
		attempts int
	}{
		{"within the interval", nil, nil, true, 2},
		{"while waiting after a failure", failing, nil, true, -1},
		{"fails", nil, failing, false, 2},
		{"hangs and can be ended", nil, func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() }, false, 2},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := newPlace()
				p.set(test.before)
				c := courierTo(t, Options{}, p)
				stop := start(t, c)
				c.Offer(signed(t, 1), 1)
				time.Sleep(25 * time.Second)
				c.Offer(signed(t, 2), 2)
				synctest.Wait()
				p.set(test.atEnd)
				ended := time.Now()
				stop()
				if took := time.Since(ended); took > defaultLastAttempt {
					t.Errorf("Run went on for %v", took)
				}
				got := p.got()
				if arrived := len(got) > 0 && got[len(got)-1].size == 2; arrived != test.arrives {
					t.Errorf("the place got %v", got)
				}
				if n := len(p.attempted()); test.attempts >= 0 && n != test.attempts {
					t.Errorf("%d attempts, want %d", n, test.attempts)
				}
			})
		})
	}
}

func TestRunLeavesBehindWhatHangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		free := make(chan struct{})
		p := newPlace()
		p.set(func(context.Context) error { <-free; return nil })
		c := courierTo(t, Options{LastAttempt: 3 * time.Second}, p)
		stop := start(t, c)
		c.Offer(signed(t, 1), 1)
		synctest.Wait()
		ended := time.Now()
		stop()
		if took := time.Since(ended); took != 3*time.Second {
			t.Errorf("Run went on for %v", took)
		}
		if s := c.Status()[0]; s.Problem == "" {
			t.Errorf("status %+v", s)
		}
		close(free)
	})
}

// What was under way when the context ended is waited for, and what is newer comes
// after it.
func TestAttemptUnderWayGoesOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPlace()
		p.set(func(ctx context.Context) error {
			select {
			case <-time.After(2 * time.Second):
				return nil
			case <-ctx.Done():
				return ctx.Err()
			}
		})
		c := courierTo(t, Options{}, p)
		stop := start(t, c)
		c.Offer(signed(t, 1), 1)
		synctest.Wait()
		c.Offer(signed(t, 2), 2)
		stop()
		p.want(t, arrival{1, 2 * time.Second}, arrival{2, 4 * time.Second})
	})
}
