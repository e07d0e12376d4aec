package soak

import (
	"context"
	"errors"
	"math/rand/v2"
	"net"
	"slices"
	"strings"
	"sync"
	"time"

	"jiragate/internal/jirasim"
)

// A mischief is a fault, and how calls may fail on its account.
type mischief struct {
	name  string
	fault jirasim.Fault
	// after is how long after its end it may still be felt.
	after time.Duration
	fails func(outcome) bool
}

// Where faults are injected, besides a site of Cloud, whose path is its name.
const (
	authTrouble = "auth"
	dcTrouble   = "datacenter"
)

func status(list ...int) func(outcome) bool {
	return func(o outcome) bool { return o.err == nil && slices.Contains(list, o.status) }
}

func upstream(o outcome) bool {
	return o.err == nil && (strings.HasPrefix(o.code, "upstream_") || o.code == "site_unavailable")
}

// cut is an answer that ended early, and a client that could see it. It need not be a
// good answer: faults meet.
func cut(o outcome) bool { return o.status != 0 && o.err != nil }

func either(of ...func(outcome) bool) func(outcome) bool {
	return func(o outcome) bool { return slices.ContainsFunc(of, func(f func(outcome) bool) bool { return f(o) }) }
}

func timeout(o outcome) bool {
	e, ok := errors.AsType[net.Error](o.err)
	return ok && e.Timeout()
}

// lingers is how long a request that a fault has hit may be on its way on a busy machine:
// a reset then ends every call on the same HTTP/2 connection, later ones too.
const lingers = 3 * time.Second

// jiraMischief is what a Jira does on a bad day.
var jiraMischief = []mischief{
	{"429 with Retry-After", jirasim.Fault{Kind: jirasim.RateLimit, Delay: time.Second}, lingers + time.Second, status(429)},
	{"503 with Retry-After", jirasim.Fault{Kind: jirasim.ErrorStatus, Status: 503, Delay: time.Second}, lingers, status(503)},
	{"500", jirasim.Fault{Kind: jirasim.ErrorStatus, Status: 500}, lingers, status(500)},
	{"502 of a load balancer", jirasim.Fault{Kind: jirasim.HTMLPage, Status: 502}, lingers, status(502)},
	{"slow answer", jirasim.Fault{Kind: jirasim.Latency, Delay: 1500 * time.Millisecond}, lingers, func(outcome) bool { return false }},
	{"reset before the answer", jirasim.Fault{Kind: jirasim.ResetBeforeHeaders}, lingers, either(upstream, cut)},
	{"reset after the work", jirasim.Fault{Kind: jirasim.ResetBeforeHeaders, AfterWork: true}, lingers, either(upstream, cut)},
	{"reset in the answer", jirasim.Fault{Kind: jirasim.ResetAfterHeaders}, lingers, either(upstream, cut)},
	{"truncated answer", jirasim.Fault{Kind: jirasim.Truncate}, lingers, either(upstream, cut)},
	{"header of a mebibyte", jirasim.Fault{Kind: jirasim.HugeHeaders}, lingers, either(upstream, cut)},
	{"interim answers", jirasim.Fault{Kind: jirasim.EarlyHints}, lingers, either(upstream, cut)},
	{"cookies and challenges", jirasim.Fault{Kind: jirasim.Challenge}, lingers, func(outcome) bool { return false }},
	{"reflected credential", jirasim.Fault{Kind: jirasim.ReflectBody}, lingers, func(o outcome) bool { return o.code == "response_withheld" }},
	{"no permission", jirasim.Fault{Kind: jirasim.PermissionRefused}, lingers, status(403)},
}

// hanging outlasts the patience of clients. It is for long soaks.
var hanging = mischief{"no answer", jirasim.Fault{Kind: jirasim.Latency, Delay: time.Hour, Times: 1}, callTimeout, either(timeout, func(o outcome) bool { return o.code == "upstream_timeout" })}

// noCredential is what comes of a refresh that failed.
func noCredential(o outcome) bool {
	return o.err == nil && (o.code == "credential_unavailable" || o.status == 401)
}

// authMischief is what the authorization server does. The gateway tries again with
// growing pauses, up to a minute.
var authMischief = []mischief{
	{"refresh: 503", jirasim.Fault{Kind: jirasim.ErrorStatus, Status: 503}, 20 * time.Second, noCredential},
	{"refresh: 429", jirasim.Fault{Kind: jirasim.RateLimit, Delay: time.Second}, 20 * time.Second, noCredential},
	{"refresh: reset", jirasim.Fault{Kind: jirasim.ResetBeforeHeaders}, 20 * time.Second, noCredential},
	{"refresh: answer lost after the rotation", jirasim.Fault{Kind: jirasim.ResetBeforeHeaders, AfterWork: true}, 20 * time.Second, noCredential},
	{"refresh: slow", jirasim.Fault{Kind: jirasim.Latency, Delay: 2 * time.Second}, 20 * time.Second, noCredential},
}

// spell is one mischief that took place.
type spell struct {
	mischief
	where       string
	from, until time.Time // until is zero while it goes on
}

// trouble injects faults, and remembers which.
type trouble struct {
	sim *jirasim.Sim

	mu     sync.Mutex
	spells []*spell
	counts map[string]int
}

func newTrouble(sim *jirasim.Sim) *trouble { return &trouble{sim: sim, counts: map[string]int{}} }

// somewhere makes one mischief at random, for a second or so.
func (tr *trouble) somewhere(where []string, long bool) func(context.Context, *rand.Rand) {
	return func(_ context.Context, random *rand.Rand) {
		at := where[random.IntN(len(where))]
		list := jiraMischief
		switch {
		case at == authTrouble:
			list = authMischief
		case long:
			list = append(list[:len(list):len(list)], hanging)
		}
		m := list[random.IntN(len(list))]
		if m.fault.Times == 0 {
			m.fault.Times = 1 + random.IntN(5)
		}
		stop := tr.begin(m, at)
		spell := 500 * time.Millisecond
		if long {
			spell += time.Duration(random.IntN(1000)) * time.Millisecond
		}
		time.Sleep(spell)
		stop()
	}
}

func (tr *trouble) begin(m mischief, where string) (stop func()) {
	switch where {
	case authTrouble:
		m.fault.Origin = jirasim.AuthServer
	case dcTrouble:
		m.fault.Origin = jirasim.DataCenter
	default:
		m.fault.Origin, m.fault.PathPrefix = jirasim.CloudAPI, where
	}
	sp := &spell{mischief: m, where: where, from: time.Now()}
	tr.mu.Lock()
	tr.forget()
	tr.spells = append(tr.spells, sp)
	tr.counts[m.name]++
	tr.mu.Unlock()
	clear := tr.sim.Fault(m.fault)
	return func() {
		clear()
		tr.mu.Lock()
		sp.until = time.Now()
		tr.mu.Unlock()
	}
}

// forget drops what can explain nothing any more.
func (tr *trouble) forget() {
	tr.spells = slices.DeleteFunc(tr.spells, func(sp *spell) bool {
		return !sp.until.IsZero() && time.Since(sp.until) > sp.after+2*callTimeout
	})
}

// explains names a fault that explains what came of a call to a target that began
// then; empty if none does.
func (tr *trouble) explains(to *target, began time.Time, o outcome) string {
	tr.mu.Lock()
	defer tr.mu.Unlock()
	for _, sp := range tr.spells {
		here := to.trouble != "" && sp.where == to.trouble || to.cloud() && sp.where == authTrouble
		inTime := sp.until.IsZero() || began.Before(sp.until.Add(sp.after))
		if here && inTime && sp.fails(o) {
			return sp.name
		}
	}
	return ""
}
