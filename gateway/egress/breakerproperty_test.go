package egress

import (
	"testing"
	"time"

	"pgregory.net/rapid"
)

// Whatever happens in whatever order: nobody asks during a cool-down, a trial has
// no rival, and no outage shuts a proxy for longer than the maximum.
func TestCircuitBreaker(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c := newClock()
		h := newHealth(c.Now)
		var shut time.Time // nobody may ask before
		down, trial := false, false
		asking := 0 // dials that were let in before the outage was known
		t.Repeat(map[string]func(*rapid.T){
			"time passes": func(t *rapid.T) {
				c.Advance(time.Duration(rapid.Int64Range(0, int64(proxyCooldown)).Draw(t, "time")))
				trial = trial && c.Now().Before(shut) // after dialTimeout it is given up
			},
			"much time passes": func(*rapid.T) {
				c.Advance(maxProxyCooldown)
				shut, trial = time.Time{}, false
			},
			"a dial asks": func(t *rapid.T) {
				admitted, tries := h.admit(eastByProxy)
				switch {
				case !down && (!admitted || tries):
					t.Fatalf("up, and admitted %v, trial %v", admitted, tries)
				case down && admitted != tries:
					t.Fatalf("down, and admitted %v, trial %v", admitted, tries)
				case admitted && c.Now().Before(shut):
					t.Fatalf("admitted at %s, shut until %s", c.Now(), shut)
				case tries && trial:
					t.Fatal("a second trial")
				case tries:
					trial, shut = true, c.Now().Add(dialTimeout)
				case admitted:
					asking++
				}
			},
			"the trial fails": func(*rapid.T) {
				if trial {
					h.markDown(eastByProxy)
					trial, shut = false, c.Now().Add(proxyCooldown)
				}
			},
			"the trial is left": func(*rapid.T) {
				if trial {
					h.retry(eastByProxy)
					trial, shut = false, c.Now()
				}
			},
			"an early dial fails": func(*rapid.T) {
				if asking > 0 && !trial {
					asking--
					if !down {
						shut = c.Now().Add(proxyCooldown)
					}
					h.markDown(eastByProxy)
					down = true
				}
			},
			"the proxy answers": func(*rapid.T) {
				h.markUp(eastByProxy)
				down, trial, shut = false, false, time.Time{}
			},
			"": func(t *rapid.T) {
				if got, until := h.outageOf(eastByProxy); got != down || until.Sub(c.Now()) > maxProxyCooldown {
					t.Fatalf("down %v until %s, want %v; it is %s", got, until, down, c.Now())
				}
			},
		})
	})
}
