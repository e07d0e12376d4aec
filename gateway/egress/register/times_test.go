package register_test

import (
	"net/netip"
	"testing"
	"time"

	"jiragate/gateway/egress/register"
)

// Times are whole seconds; what was now a moment ago is now; the past is never
// touched.
func TestTimes(t *testing.T) {
	half := 500 * time.Millisecond
	for _, test := range []struct {
		name           string
		effective, now time.Duration // after noon, when another address was announced
		want           time.Duration // when it takes effect
		refused        bool
	}{
		{"now", 0, 0, 0, false},
		{"a moment ago", time.Minute, 2 * time.Minute, 2 * time.Minute, false},
		{"too long ago", time.Minute - time.Second, 2 * time.Minute, 0, true},
		{"parts of a second", time.Hour + half, time.Minute + half, time.Hour, false},
		{"a clock set back a little", -time.Minute, -time.Minute, 0, false},
		{"a clock set back", -time.Minute - half, -time.Minute - half, 0, true},
		{"a clock set back a little, later", time.Hour, -time.Second, time.Hour, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			r, _ := open(t)
			noon := october(1)
			if _, err := r.Announce(east, noon, noon); err != nil {
				t.Fatal(err)
			}
			elsewhere := time.FixedZone("", -7*3600)
			c, err := r.Announce(west, noon.Add(test.effective).In(elsewhere), noon.Add(test.now).In(elsewhere))
			if test.refused {
				if err == nil {
					t.Errorf("recorded %v", c)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			want := register.Change{
				Announced: noon.Add(max(0, test.now.Truncate(time.Second))), Address: west,
				Action: register.ActionUse, Effective: noon.Add(test.want),
			}
			if c != want {
				t.Errorf("recorded %v, want %v", c, want)
			}
		})
	}
}

func TestSyncToken(t *testing.T) {
	r, path := open(t)
	if got := r.SyncToken(); got != "0" {
		t.Errorf("token %s of an empty register", got)
	}
	// Three changes in one second, and one much later.
	if _, err := r.Observe([]netip.Addr{east, west}, october(1)); err != nil {
		t.Fatal(err)
	}
	for _, step := range []struct {
		day  int
		want string
	}{{1, "1790856002"}, {2, "1790942400"}} {
		if _, err := r.Retire(east, october(20+step.day), october(step.day)); err != nil {
			t.Fatal(err)
		}
		for _, r := range []*register.Register{r, reopen(t, path)} {
			if got := r.SyncToken(); got != step.want {
				t.Errorf("day %d: token %s, want %s", step.day, got, step.want)
			}
		}
	}
}
