package etcd_test

import (
	"testing"
	"time"

	"jiragate/tokenstore/etcd"
)

// on is which of several are on duty.
func on(duties ...func() bool) (which []int) {
	for i, onDuty := range duties {
		if onDuty() {
			which = append(which, i)
		}
	}
	return which
}

// duty asks a gateway whether it is on duty.
func duty(s *etcd.Store, name string) func() bool { return func() bool { return s.OnDuty(name) } }

func awaitOne(t *testing.T, duties ...func() bool) (which int) {
	t.Helper()
	eventually(t, "one is on duty", func() bool {
		switch all := on(duties...); len(all) {
		case 0:
			return false
		case 1:
			which = all[0]
			return true
		default:
			t.Fatalf("%d are on duty", len(all))
			return false
		}
	})
	return which
}

// One gateway is on duty. When it ends, another one takes over; so it does when that one's
// lease ends, which knows by itself.
func TestDuty(t *testing.T) {
	site := newSite(t)
	o := site.options(t).WithTTL(shortTTL)
	stores := []*etcd.Store{mustOpen(t, o), mustOpen(t, o), mustOpen(t, o)}
	var duties, others []func() bool
	for _, s := range stores {
		duties = append(duties, duty(s, "webhooks"))
	}
	first := awaitOne(t, duties...)
	must(t, stores[first].Close())
	if duties[first]() {
		t.Error("one that has ended is on duty")
	}
	var left []func() bool
	for i := range stores {
		if i != first {
			left = append(left, duties[i])
		}
	}
	awaitOne(t, left...)

	// Duties are each for itself, and only those that stand for one do it.
	last := stores[(first+1)%3]
	others = append(others, duty(last, "sweep"))
	awaitOne(t, others...)
}

// A gateway that is cut off is not on duty any more when another one takes over.
func TestDutyOfOneThatIsCutOff(t *testing.T) {
	_, link, a, b := pair(t)
	atA := duty(a, "webhooks")
	awaitOne(t, atA)
	atB := duty(b, "webhooks")
	link.Cut()
	eventually(t, "b takes over", func() bool {
		if atB() {
			if atA() {
				t.Fatal("both are on duty")
			}
			return true
		}
		return false
	})
	link.Reset()
	link.Heal()
	eventually(t, "a is back", func() bool { _, err := a.Confirmed(); return err == nil })
	if !atB() || atA() {
		t.Error("the one that is back takes the duty away")
	}
}

// A gateway that gets another lease is on duty again, as soon as one is.
func TestDutyUnderANewLease(t *testing.T) {
	site := newSite(t)
	s := mustOpen(t, site.options(t))
	onDuty := duty(s, "webhooks")
	awaitOne(t, onDuty)
	s.Lapse()
	awaitOne(t, onDuty)
}

// A gateway that slept knows by its clocks that another one may be on duty.
func TestDutyOfOneThatSlept(t *testing.T) {
	site := newSite(t)
	o := site.options(t)
	asleep := make(chan struct{})
	o.Now = func() time.Time {
		select {
		case <-asleep:
			return time.Now().Add(time.Minute)
		default:
			return time.Now()
		}
	}
	onDuty := duty(mustOpen(t, o), "webhooks")
	awaitOne(t, onDuty)
	close(asleep)
	if onDuty() {
		t.Error("on duty after a minute of sleep")
	}
}
