package jirasim

import (
	"cmp"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"
)

// Rate is Data Center's rate limit: each user has a bucket of Limit tokens, and
// gets Fill new ones each Interval
// (https://confluence.atlassian.com/adminjiraserver/improving-instance-stability-with-rate-limiting-983794911.html).
type Rate struct {
	Limit    int           // 0: nobody is limited
	Fill     int           // default Limit
	Interval time.Duration // default one second
}

// buckets are the token buckets of Data Center's users.
type buckets struct {
	rate Rate
	now  func() time.Time

	mu   sync.Mutex
	user map[string]*bucket
}

type bucket struct {
	tokens int
	filled time.Time
}

func newBuckets(r Rate, now func() time.Time) *buckets {
	r.Fill = cmp.Or(r.Fill, r.Limit)
	r.Interval = cmp.Or(r.Interval, time.Second)
	return &buckets{rate: r, now: now, user: make(map[string]*bucket)}
}

// guard lets a user's request through if there is a token, and adds the headers
// that every authenticated answer carries.
func (b *buckets) guard(name string, next func() reply) reply {
	limit, fill := b.rate.Limit, b.rate.Fill
	if limit == 0 {
		limit, fill = 1000, 1000
	}
	remaining, wait := limit, time.Duration(0)
	if b.rate.Limit > 0 {
		remaining, wait = b.spend(name)
	}
	var p reply
	if remaining < 0 {
		p = dataCenterLimited()
		remaining = 0
	} else {
		p = next()
	}
	p.header.Set("X-RateLimit-Limit", strconv.Itoa(limit))
	p.header.Set("X-RateLimit-Remaining", strconv.Itoa(remaining))
	p.header.Set("X-RateLimit-FillRate", strconv.Itoa(fill))
	p.header.Set("X-RateLimit-Interval-Seconds", seconds(b.rate.Interval))
	p.header.Set("Retry-After", seconds(wait))
	return p
}

// spend takes a token; remaining is -1 if there was none, and wait says when
// there will be one.
func (b *buckets) spend(name string) (remaining int, wait time.Duration) {
	b.mu.Lock()
	defer b.mu.Unlock()
	now := b.now()
	u := b.user[name]
	if u == nil {
		u = &bucket{tokens: b.rate.Limit, filled: now}
		b.user[name] = u
	}
	if n := int(now.Sub(u.filled) / b.rate.Interval); n > 0 {
		u.tokens = min(b.rate.Limit, u.tokens+n*b.rate.Fill)
		u.filled = u.filled.Add(time.Duration(n) * b.rate.Interval)
	}
	if u.tokens == 0 {
		return -1, u.filled.Add(b.rate.Interval).Sub(now)
	}
	u.tokens--
	if u.tokens == 0 {
		return 0, u.filled.Add(b.rate.Interval).Sub(now)
	}
	return u.tokens, 0
}

// seconds rounds up: who waits that long has waited long enough.
func seconds(d time.Duration) string { return strconv.Itoa(int((d + time.Second - 1) / time.Second)) }

func dataCenterLimited() reply {
	return jsonReply(http.StatusTooManyRequests, obj{"message": "Rate limit exceeded."})
}

// limited is the answer of the fault RateLimit: Cloud's, with the headers of
// https://developer.atlassian.com/cloud/jira/platform/rate-limiting/, or Data
// Center's.
func (m *misbehaviour) limited(f Fault) reply {
	wait := cmp.Or(f.Delay, 5*time.Second)
	if m.origin == DataCenter {
		p := dataCenterLimited()
		p.header.Set("X-RateLimit-Limit", "10")
		p.header.Set("X-RateLimit-Remaining", "0")
		p.header.Set("X-RateLimit-FillRate", "10")
		p.header.Set("X-RateLimit-Interval-Seconds", seconds(wait))
		p.header.Set("Retry-After", seconds(wait))
		return p
	}
	reason := cmp.Or(f.Reason, "jira-burst-based")
	p := failure(http.StatusTooManyRequests, "Rate limit exceeded.")
	p.header.Set("Retry-After", seconds(wait))
	p.header.Set("X-RateLimit-Limit", "100")
	p.header.Set("X-RateLimit-Remaining", "0")
	p.header.Set("X-RateLimit-Reset", m.sim.o.Now().Add(wait).UTC().Format("2006-01-02T15:04Z"))
	p.header.Set("RateLimit-Reason", reason)
	if strings.HasPrefix(reason, "jira-quota") {
		p.header.Set("Beta-RateLimit-Policy", `"global-app-quota";q=65000;w=3600`)
		p.header.Set("Beta-RateLimit", `"global-app-quota";r=0;t=`+seconds(wait))
	}
	return p
}
