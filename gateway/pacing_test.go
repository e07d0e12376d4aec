package gateway_test

import (
	"net/http"
	"strconv"
	"sync"
	"testing"
	"time"

	"jiragate/gateway"
	"jiragate/internal/jirasim"
)

// A connection that Jira asks to wait makes no call until the wait is over; the
// client that caused it has Jira's own answer, the others have the rest of the wait.
// Other connections go on.
func TestJirasWaitIsKept(t *testing.T) {
	tests := []struct {
		name   string
		origin jirasim.Origin
		reason string
		// refused, until the wait is over, and not refused
		code               string
		refused, unrefused []string
	}{
		{"Data Center", jirasim.DataCenter, "", "jira_asked_to_wait", []string{"dc myself", "dc priority"}, []string{"cloud myself"}},
		{"burst of one operation", jirasim.CloudAPI, "jira-burst-based", "jira_asked_to_wait", []string{"cloud myself"}, []string{"cloud priority", "dc myself"}},
		{"the customer's quota", jirasim.CloudAPI, "jira-quota-tenant-based", "jira_asked_to_wait", []string{"cloud myself", "cloud priority"}, []string{"dc myself"}},
		{"the app's quota", jirasim.CloudAPI, "jira-quota-global-based", "app_paused", []string{"cloud myself", "cloud priority"}, []string{"dc myself"}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			w := newWorld(t, change{})
			client := w.billing()
			urls := map[string]string{
				"dc myself": w.sim.DataCenterURL() + "/rest/api/2/myself", "dc priority": w.sim.DataCenterURL() + "/rest/api/2/priority",
				"cloud myself": w.sim.SiteURL() + "/rest/api/3/myself", "cloud priority": w.sim.SiteURL() + "/rest/api/3/priority",
			}
			w.sim.Fault(jirasim.Fault{Kind: jirasim.RateLimit, Origin: test.origin, Times: 1, Delay: 40 * time.Second, Reason: test.reason})

			r := w.call(client, "GET", urls[test.refused[0]], "")
			if r.StatusCode != 429 || r.Header.Get("Retry-After") != "40" || r.Header.Get("Proxy-Status") != `jiragate; received-status=429; details="upstream_rate_limited"` {
				t.Errorf("Jira's own: %d %v", r.StatusCode, r.Header)
			}
			if code, _ := w.newest(); code != "upstream_rate_limited" {
				t.Errorf("recorded as %q", code)
			}
			before := w.sent()
			for _, which := range test.refused {
				r := w.call(client, "GET", urls[which], "")
				wait, _ := strconv.Atoi(r.Header.Get("Retry-After"))
				if r.StatusCode != 429 || r.problem.Code != test.code || wait < 30 || wait > 40 {
					t.Errorf("%s: %d %s, Retry-After %d", which, r.StatusCode, r.body, wait)
				}
			}
			if w.sent() != before {
				t.Error("a paused call reached Jira")
			}
			for _, which := range test.unrefused {
				if r := w.call(client, "GET", urls[which], ""); r.StatusCode != 200 {
					t.Errorf("%s: %d %s", which, r.StatusCode, r.body)
				}
			}
		})
	}
}

func TestCallsGoOnAfterTheWait(t *testing.T) {
	w := newWorld(t, change{})
	myself := w.sim.DataCenterURL() + "/rest/api/2/myself"
	w.sim.Fault(jirasim.Fault{Kind: jirasim.RateLimit, Times: 1, Delay: time.Second})
	if r := w.call(w.billing(), "GET", myself, ""); r.StatusCode != 429 {
		t.Fatalf("%d %s", r.StatusCode, r.body)
	}
	for range 100 {
		r := w.call(w.billing(), "GET", myself, "")
		if r.StatusCode == 200 {
			return
		}
		time.Sleep(50 * time.Millisecond)
	}
	t.Error("calls are refused for more than five seconds after a wait of one")
}

// Not more than so many calls of one connection are at its Jira, whatever the
// number of clients; the rest wait, and are answered all the same.
func TestConcurrencyOfAConnection(t *testing.T) {
	w := newWorld(t, change{gateway: func(_ *world, o *gateway.Options) {
		o.Pacing.Concurrency, o.Pacing.Queue, o.Pacing.Wait = 3, 100, 10*time.Second
	}})
	var mu sync.Mutex
	var at, most int
	count := func(n int) {
		mu.Lock()
		defer mu.Unlock()
		at += n
		most = max(most, at)
	}
	url, client := w.slowJira(aToken(), func(rw http.ResponseWriter, _ *http.Request) {
		count(1)
		time.Sleep(50 * time.Millisecond) // so that as many come together as may
		count(-1)
		_, _ = rw.Write([]byte("[]"))
	})
	var calls sync.WaitGroup
	for range 15 {
		calls.Go(func() {
			if r, err := w.try(client, "GET", url, ""); err != nil || r.StatusCode != 200 {
				t.Errorf("%v %s", err, r.body)
			}
		})
	}
	calls.Wait()
	if most != 3 {
		t.Errorf("%d calls were at Jira at a time, 3 may be", most)
	}
}

func TestCallBeyondTheQueueIsRefused(t *testing.T) {
	w := newWorld(t, change{gateway: func(_ *world, o *gateway.Options) { o.Pacing.Concurrency = 1 }})
	w.sim.Fault(jirasim.Fault{Kind: jirasim.Latency, Origin: jirasim.CloudAPI, Delay: 300 * time.Millisecond})
	client, myself := w.billing(), w.sim.SiteURL()+"/rest/api/3/myself"
	var calls sync.WaitGroup
	var mu sync.Mutex
	codes := map[string]int{}
	for range 4 {
		calls.Go(func() {
			r, err := w.try(client, "GET", myself, "")
			if err != nil {
				t.Error(err)
				return
			}
			if r.StatusCode == 503 && r.Header.Get("Retry-After") == "" {
				t.Error("a busy connection without Retry-After")
			}
			mu.Lock()
			codes[strconv.Itoa(r.StatusCode)+" "+r.problem.Code]++
			mu.Unlock()
		})
	}
	calls.Wait()
	if codes["200 "] == 0 || codes["503 connection_busy"] == 0 || codes["200 "]+codes["503 connection_busy"] != 4 {
		t.Errorf("answers %v", codes)
	}
	// The slot comes free with the end of the answer.
	if r := w.call(client, "GET", myself, ""); r.StatusCode != 200 {
		t.Errorf("afterwards: %d %s", r.StatusCode, r.body)
	}
}

func TestRequestBudgetOfAConnection(t *testing.T) {
	w := newWorld(t, change{gateway: func(_ *world, o *gateway.Options) { o.Pacing.Rate, o.Pacing.Burst = 0.01, 2 }})
	client := w.billing()
	for i, want := range []int{200, 200, 429} {
		r := w.call(client, "GET", w.sim.SiteURL()+"/rest/api/3/myself", "")
		if r.StatusCode != want {
			t.Errorf("call %d: %d %s", i, r.StatusCode, r.body)
		}
		if want == 429 {
			if wait, _ := strconv.Atoi(r.Header.Get("Retry-After")); r.problem.Code != "connection_budget_exhausted" || wait < 90 || wait > 100 {
				t.Errorf("%s, Retry-After %d", r.body, wait)
			}
		}
	}
	if r := w.call(client, "GET", w.sim.DataCenterURL()+"/rest/api/2/myself", ""); r.StatusCode != 200 {
		t.Errorf("another connection: %d %s", r.StatusCode, r.body)
	}
}

// Atlassian's points are the app's: a Cloud connection alone cannot use up those of
// the others, and Data Center has none.
func TestAppBudgetIsShared(t *testing.T) {
	w := newWorld(t, change{gateway: func(_ *world, o *gateway.Options) { o.Pacing.AppPoints = 300 }})
	client := w.billing()
	refused := false
	for range 300 {
		r := w.call(client, "GET", w.sim.SiteURL()+"/rest/api/3/project/search", "")
		if refused = r.StatusCode == 429; refused {
			if wait, _ := strconv.Atoi(r.Header.Get("Retry-After")); r.problem.Code != "app_share_exhausted" || wait < 1 || wait > 3600 {
				t.Errorf("%s, Retry-After %d", r.body, wait)
			}
			if code, _ := w.newest(); code != "app_share_exhausted" {
				t.Errorf("recorded as %q", code)
			}
			break
		}
	}
	if !refused {
		t.Error("300 calls for 300 points, of which none was refused")
	}
	if r := w.call(client, "GET", w.sim.DataCenterURL()+"/rest/api/2/myself", ""); r.StatusCode != http.StatusOK {
		t.Errorf("Data Center: %d %s", r.StatusCode, r.body)
	}
}
