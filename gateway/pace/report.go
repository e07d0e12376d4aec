package pace

import "time"

// What Jira tells of the app's points. It has been seen to tell of values that
// contradict each other, so what it tells is believed for a time only, and only
// where it is less than what was counted here.

const (
	// briefly is how long a remainder is believed that comes without the time at
	// which it is reset.
	briefly = time.Minute
	// lateAnswer is how long into an hour an answer may come that tells of the hour
	// before.
	lateAnswer = 10 * time.Second
)

// adopt takes over what Jira says is left of the app's points, until they are
// reset (0: that was not told). What it says last counts, be it more or less than
// before.
func (f *fund) adopt(left int64, reset time.Duration, now time.Time) {
	f.turn(now)
	if reset <= 0 {
		if now.Sub(f.hour) < lateAnswer {
			return
		}
		reset = briefly
	}
	f.limit = min(f.used+left*point, f.budget)
	f.told = earlier(now.Add(reset), f.hour.Add(time.Hour))
}

// doubt ends the belief in what Jira told when its time is over. Shares are whole
// again at once, so that who waited for it is let through.
func (f *fund) doubt(now time.Time) {
	if f.limit < f.budget && !now.Before(f.told) {
		f.limit = f.budget
		if f.slice >= 0 {
			f.divide()
		}
	}
}

// withheld reports whether a call is refused only because Jira told of less.
func (f *fund) withheld(s *share, cost int64) bool {
	switch {
	case f.limit == f.budget:
		return false
	case f.limit-f.used < cost:
		return f.budget-f.used >= cost
	default:
		return s.own < cost && cost <= s.own+s.cut
	}
}

func earlier(a, b time.Time) time.Time {
	if b.Before(a) {
		return b
	}
	return a
}
