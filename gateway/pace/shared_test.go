package pace_test

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"jiragate/gateway/pace"
)

// gateways are two, of which each tells the other of its pauses.
func gateways(t *testing.T, o pace.Options) (a, b *pace.Pacer, told *[]pace.Pause) {
	t.Helper()
	told = new([]pace.Pause)
	to := func(other **pace.Pacer) func(pace.Pause) {
		return func(p pace.Pause) {
			*told = append(*told, p)
			p.Until = p.Until.Round(0) // as it comes from another machine
			if err := (*other).Pause(p); err != nil {
				t.Error(err)
			}
		}
	}
	o.Paused = to(&b)
	a = newPacer(t, o)
	o.Paused = to(&a)
	b = newPacer(t, o)
	return a, b, told
}

// What one gateway was asked to wait for waits at the other one, and nothing else does.
func TestPausesAreShared(t *testing.T) {
	call := pace.Call{Connection: "acme", Incarnation: 3, Operation: "issue.get", Method: "GET", Endpoint: "/issue/{issue}", Resource: "/issue/ACME-1", App: true}
	endpoint, resource, connection, incarnation, app := call, call, call, call, call
	endpoint.Resource = "/issue/ACME-2"
	resource.Method = "DELETE"
	connection.Endpoint, connection.Resource = "/myself", "/myself"
	incarnation.Incarnation = 4
	app.Connection = "globex"
	others := map[string]pace.Call{"same": call, "endpoint": endpoint, "resource": resource, "connection": connection, "incarnation": incarnation, "app": app}
	for reach, test := range map[pace.Reach]struct {
		paused string
		reason pace.Reason
	}{
		pace.ReachEndpoint:   {"same endpoint", pace.ReasonAsked},
		pace.ReachResource:   {"same resource", pace.ReasonAsked},
		pace.ReachConnection: {"same endpoint resource connection", pace.ReasonAsked},
		pace.ReachApp:        {"same endpoint resource connection incarnation app", pace.ReasonAppPaused},
	} {
		t.Run(string(reach), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				a, b, told := gateways(t, pace.Options{})
				a.Heed(call, pace.Signal{Wait: 7 * time.Second, Reach: reach})
				for name, c := range others {
					if strings.Contains(" "+test.paused+" ", " "+name+" ") {
						wantRefusal(t, b, c, test.reason, 7*time.Second)
					} else {
						wantIn(t, b, c)
					}
				}
				time.Sleep(7 * time.Second)
				for _, c := range others {
					wantIn(t, b, c)
				}
				if len(*told) != 1 {
					t.Errorf("told of %v: a pause that was learned is told again", *told)
				}
				for _, p := range *told {
					if strings.Contains(p.Name, "ACME") {
						t.Errorf("%q has the key of an issue", p.Name)
					}
				}
			})
		})
	}
}

// A pause that doesn't prolong another one is not told.
func TestOnlyLongerPausesAreTold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, _, told := gateways(t, pace.Options{})
		for _, reach := range []pace.Reach{pace.ReachConnection, pace.ReachEndpoint, pace.ReachResource, pace.ReachApp} {
			c := pace.Call{Connection: string(reach), Endpoint: "o", Resource: "r", App: reach == pace.ReachApp}
			*told = nil
			for _, wait := range []time.Duration{time.Minute, time.Second, time.Minute, 2 * time.Minute} {
				a.Heed(c, pace.Signal{Wait: wait, Reach: reach})
			}
			if len(*told) != 2 {
				t.Errorf("%s: told of %v", reach, *told)
			}
		}
	})
}

// An app that has no points left has none at any gateway, until Jira tells another one of more.
func TestThatPointsAreUsedUpIsShared(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b, _ := gateways(t, pace.Options{AppPoints: 1000})
		c := pace.Call{Connection: "acme", Operation: "myself.get", App: true}
		a.Heed(c, pace.Signal{Told: true, AppLeft: 0, AppReset: 5 * time.Minute})
		wantRefusal(t, b, c, pace.ReasonAppPaused, 5*time.Minute)
		b.Heed(c, pace.Signal{Told: true, AppLeft: 900, AppReset: 5 * time.Minute})
		wantIn(t, b, c)

		// A gateway that counts no points believes no remainder.
		unlimited := newPacer(t, pace.Options{})
		if err := unlimited.Pause(pace.Pause{Name: "points", Until: time.Now().Add(time.Minute)}); err != nil {
			t.Fatal(err)
		}
		wantIn(t, unlimited, c)
	})
}

func TestPausesOfOthersAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPacer(t, pace.Options{})
		for name, until := range map[string]time.Time{
			"connection/0/past": time.Now().Add(-time.Minute),
			"connection/0/acme": time.Now().Add(1000 * time.Hour),
		} {
			if err := p.Pause(pace.Pause{Name: name, Until: until}); err != nil {
				t.Error(err)
			}
		}
		wantIn(t, p, pace.Call{Connection: "past"})
		wantRefusal(t, p, pace.Call{Connection: "acme"}, pace.ReasonAsked, time.Hour)
	})
}

func TestWhatNamesNoPause(t *testing.T) {
	p := newPacer(t, pace.Options{})
	digest := strings.Repeat("0a", 32)
	for name, ok := range map[string]bool{
		"app": true, "points": true, "connection/7/acme": true, "endpoint/" + digest + "/7/acme": true, "resource/" + digest + "/7/a/b": true,
		"": false, "app/": false, "points/x": false, "planet": false, "connection": false, "connection/7": false, "connection/7/": false,
		"connection/07/acme": false, "connection/-1/acme": false, "connection/18446744073709551616/acme": false,
		"endpoint/7/acme": false, "endpoint/" + digest[1:] + "/7/acme": false, "endpoint/" + digest + "0a/7/acme": false,
		"resource/" + strings.ToUpper(digest) + "/7/acme": false,
	} {
		if err := p.Pause(pace.Pause{Name: name, Until: time.Now().Add(time.Minute)}); (err == nil) != ok {
			t.Errorf("%q: %v", name, err)
		}
	}
}

// Names come from a store that others write to.
func FuzzPauseName(f *testing.F) {
	for _, seed := range []string{"app", "points", "connection/7/acme", "endpoint/" + strings.Repeat("0a", 32) + "/7/acme", "resource//", "endpoint/" + strings.Repeat("ü", 32)} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, name string) {
		p := newPacer(t, pace.Options{})
		shared := pace.Pause{Name: name, Until: time.Now().Add(time.Minute)}
		id, incarnation, its, err := shared.Connection()
		if got := p.Pause(shared); (got == nil) != (err == nil) {
			t.Fatalf("%q: %v, but %v", name, got, err)
		}
		if err == nil && its != (id != "") || err == nil && !its && incarnation != 0 {
			t.Errorf("%q is of %q, incarnation %d: %v", name, id, incarnation, its)
		}
	})
}
