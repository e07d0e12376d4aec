package pace_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"jiragate/gateway/pace"
)

// What each kind of 429 pauses, and what goes on.
func TestWhatAPauseReaches(t *testing.T) {
	const endpoint, path = "DELETE /rest/api/3/issue/{issue}", "/rest/api/3/issue/ACME-1"
	call := func(connection, endpoint, path string, app bool) pace.Call {
		return pace.Call{Connection: connection, Operation: path, Endpoint: endpoint, Resource: path, App: app}
	}
	others := map[string]pace.Call{
		"same":       call("acme", endpoint, path, true),
		"endpoint":   call("acme", endpoint, "/rest/api/3/issue/ACME-2", true),
		"resource":   call("acme", "GET /rest/api/3/issue/{issue}", path, true),
		"connection": call("acme", "GET /rest/api/3/issue/{issue}", "/rest/api/3/issue/ACME-2", true),
		"cloud":      call("globex", endpoint, path, true),
		"datacenter": call("initech", endpoint, path, false),
	}
	for _, test := range []struct {
		reason string
		paused string
		code   pace.Reason
	}{
		{"", "same endpoint resource connection", pace.ReasonAsked},
		{"jira-quota-tenant-based", "same endpoint resource connection", pace.ReasonAsked},
		{"jira-cost-based", "same endpoint resource connection", pace.ReasonAsked},
		{"jira-burst-based", "same endpoint", pace.ReasonAsked},
		{"jira-per-issue-on-write", "same resource", pace.ReasonAsked},
		{"jira-quota-global-based", "same endpoint resource connection cloud", pace.ReasonAppPaused},
	} {
		t.Run(test.reason, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := newPacer(t, pace.Options{})
				h := map[string][]string{"Retry-After": {"7"}}
				if test.reason != "" {
					h["Ratelimit-Reason"] = []string{test.reason}
				}
				p.Heed(others["same"], pace.ReadSignal(429, h, time.Now()))
				time.Sleep(2 * time.Second)
				for name, c := range others {
					if slices.Contains(strings.Fields(test.paused), name) {
						wantRefusal(t, p, c, test.code, 5*time.Second)
					} else {
						wantIn(t, p, c)
					}
				}
				time.Sleep(5 * time.Second)
				for _, c := range others {
					wantIn(t, p, c)
				}
			})
		})
	}
}

// A customer's own server cannot pause other customers, nor spend the app's
// points, whatever it answers.
func TestDataCenterSpeaksForItselfOnly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPacer(t, pace.Options{AppPoints: 1000})
		hostile := pace.Call{Connection: "dc", Operation: "myself.get"}
		p.Heed(hostile, pace.ReadSignal(429, map[string][]string{
			"Retry-After": {"60"}, "Ratelimit-Reason": {"jira-quota-global-based"}, "Beta-Ratelimit": {`"global-app-quota";r=0;t=3600`},
		}, time.Now()))
		wantRefusal(t, p, hostile, pace.ReasonAsked, time.Minute)
		wantIn(t, p, acme)
	})
}

func TestTheLastTokenOfDataCenterPauses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPacer(t, pace.Options{})
		last := pace.ReadSignal(200, map[string][]string{"X-Ratelimit-Remaining": {"0"}, "Retry-After": {"3"}}, time.Now())
		p.Heed(acme, last) // on Cloud these fields are about something else
		wantIn(t, p, acme)
		dc := pace.Call{Connection: "dc"}
		p.Heed(dc, last)
		wantRefusal(t, p, dc, pace.ReasonAsked, 3*time.Second)
	})
}

func TestALongerPauseStays(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPacer(t, pace.Options{})
		for _, reach := range []pace.Reach{pace.ReachConnection, pace.ReachEndpoint, pace.ReachResource, pace.ReachApp} {
			c := pace.Call{Connection: string(reach), Endpoint: "o", Resource: "r", App: reach == pace.ReachApp}
			p.Heed(c, pace.Signal{Wait: time.Minute, Reach: reach})
			p.Heed(c, pace.Signal{Wait: time.Second, Reach: reach})
			p.Heed(c, pace.Signal{})
			time.Sleep(2 * time.Second)
			if pass, _, wait := enter(p, c); pass != nil || wait != 58*time.Second {
				t.Errorf("%s: %s left", reach, wait)
			}
		}
	})
}

// Of several pauses the longest counts: who waits as told is let through.
func TestTheLongestPauseIsTold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPacer(t, pace.Options{})
		p.Heed(acme, pace.Signal{Wait: 4 * time.Second, Reach: pace.ReachApp})
		p.Heed(acme, pace.Signal{Wait: 3 * time.Second, Reach: pace.ReachConnection})
		wantRefusal(t, p, acme, pace.ReasonAppPaused, 4*time.Second)
		p.Heed(acme, pace.Signal{Wait: 5 * time.Second, Reach: pace.ReachResource})
		wantRefusal(t, p, acme, pace.ReasonAsked, 5*time.Second)
		time.Sleep(5 * time.Second)
		wantIn(t, p, acme)
		p.Heed(acme, pace.Signal{Wait: 1 << 62, Reach: pace.ReachConnection})
		wantRefusal(t, p, acme, pace.ReasonAsked, time.Hour)
	})
}

// Too many resources paused one by one pause the connection; those whose time
// is over do not count.
func TestPausesOfOneConnectionAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPacer(t, pace.Options{})
		pause := func(i int) {
			p.Heed(pace.Call{Connection: "acme", Resource: fmt.Sprint("/", i)}, pace.Signal{Wait: 10 * time.Second, Reach: pace.ReachResource})
		}
		other := pace.Call{Connection: "acme", Resource: "/other"}
		for round := range 3 {
			for i := range 64 {
				pause(100*round + i)
			}
			wantIn(t, p, other)
			time.Sleep(10 * time.Second)
		}
		for i := range 65 {
			pause(i)
		}
		wantRefusal(t, p, other, pace.ReasonAsked, 10*time.Second)
	})
}

func TestAnEndpointIsNoResource(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPacer(t, pace.Options{})
		p.Heed(pace.Call{Connection: "acme", Endpoint: "x"}, pace.Signal{Wait: time.Minute, Reach: pace.ReachEndpoint})
		wantIn(t, p, pace.Call{Connection: "acme", Endpoint: "y", Resource: "x"})
	})
}

// A call that takes an hour may bring a pause when its connection would be
// forgotten.
func TestAPauseIsNotForgotten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPacer(t, pace.Options{})
		for _, c := range []pace.Call{{Connection: "whole"}, {Connection: "part", Endpoint: "o"}} {
			wantIn(t, p, c)
		}
		time.Sleep(59 * time.Minute)
		p.Heed(pace.Call{Connection: "whole"}, pace.Signal{Wait: time.Hour, Reach: pace.ReachConnection})
		p.Heed(pace.Call{Connection: "part", Endpoint: "o"}, pace.Signal{Wait: time.Hour, Reach: pace.ReachEndpoint})
		time.Sleep(10 * time.Minute)
		wantIn(t, p, acme) // looks for connections to forget
		wantRefusal(t, p, pace.Call{Connection: "whole"}, pace.ReasonAsked, 50*time.Minute)
		wantRefusal(t, p, pace.Call{Connection: "part", Endpoint: "o"}, pace.ReasonAsked, 50*time.Minute)
	})
}

func TestWhatIsForgotten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPacer(t, pace.Options{Concurrency: 1})
		gone := pace.Call{Connection: "gone"}
		p.Heed(gone, pace.Signal{Wait: time.Minute, Reach: pace.ReachConnection})
		p.Heed(acme, pace.Signal{Wait: time.Minute, Reach: pace.ReachConnection})
		p.Keep(func(id string, _ uint64) bool { return id != "gone" })
		wantIn(t, p, gone)
		wantRefusal(t, p, acme, pace.ReasonAsked, time.Minute)

		// A connection with a call at Jira keeps its slots, removed or not.
		pass, _, _ := enter(p, gone)
		p.Keep(func(string, uint64) bool { return false })
		wantRefusal(t, p, gone, pace.ReasonBusy, time.Second)
		pass.Leave()
		wantIn(t, p, gone)
	})
}

func TestConnectionsKnownAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPacer(t, pace.Options{Rate: 1, AppPoints: 65_000})
		for i := range 1 << 16 {
			if pass, reason, _ := enter(p, pace.Call{Connection: fmt.Sprint(i)}); pass == nil {
				t.Fatalf("connection %d: %s", i, reason)
			} else if i != 7 {
				pass.Leave()
			}
		}
		extra := pace.Call{Connection: "extra", App: true}
		wantRefusal(t, p, extra, pace.ReasonTooMany, time.Minute)
		p.Heed(extra, pace.Signal{Wait: time.Minute, Reach: pace.ReachConnection})
		time.Sleep(time.Hour)
		wantIn(t, p, extra) // those that rested for an hour are forgotten
	})
}

// A method and a template make an endpoint together.
func TestAnEndpointHasAMethod(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPacer(t, pace.Options{})
		get := pace.Call{Connection: "acme", Method: "GET", Endpoint: "/issue", Resource: "a"}
		p.Heed(get, pace.Signal{Wait: time.Minute, Reach: pace.ReachEndpoint})
		get.Resource = "b"
		wantRefusal(t, p, get, pace.ReasonAsked, time.Minute)
		post := get
		post.Method = "POST"
		wantIn(t, p, post)
	})
}
