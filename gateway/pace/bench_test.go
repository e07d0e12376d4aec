package pace_test

import (
	"fmt"
	"net/http"
	"sync/atomic"
	"testing"
	"time"

	"jiragate/gateway/pace"
)

// What pacing adds to a call, with all limits on and 10,000 connections known.
func BenchmarkCall(b *testing.B) {
	p := newPacer(b, pace.Options{Concurrency: 1000, Wait: time.Second, Queue: 10, Rate: 1e6, Burst: 1e6, AppPoints: 1_000_000})
	const n = 10_000
	all := make([]pace.Call, n)
	for i := range all {
		all[i] = pace.Call{Connection: fmt.Sprint("connection-", i), Operation: "issue.create", Resource: "/rest/api/3/issue", App: i%2 == 0}
		pass, _, _ := enter(p, all[i])
		pass.Leave()
	}
	head := http.Header{"Content-Type": {"application/json"}, "X-Ratelimit-Remaining": {"99"}, "Beta-Ratelimit": {`"tenant-app-quota";r=17842;t=2107`}}
	for range 100 { // some of them partly paused
		p.Heed(all[0], pace.Signal{Wait: time.Hour, Reach: pace.ReachResource})
	}
	var next atomic.Int64
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			c := all[next.Add(1)%n]
			pass, _, _ := enter(p, c)
			p.Heed(c, pace.ReadSignal(200, head, time.Now()))
			pass.Leave()
		}
	})
}

func BenchmarkReadSignal(b *testing.B) {
	h := http.Header{
		"Retry-After": {"5"}, "X-Ratelimit-Remaining": {"0"}, "Ratelimit-Reason": {"jira-quota-global-based"},
		"Beta-Ratelimit": {`"global-app-quota";r=0;t=5`},
	}
	b.ReportAllocs()
	for b.Loop() {
		pace.ReadSignal(429, h, at1025)
	}
}
