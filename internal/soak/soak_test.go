package soak

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// The program under mixed traffic with faults, for as long as -soak.for says.
func TestSoak(t *testing.T) {
	l := newLoad(setStage(t, build(t)))
	sum := &summary{Seed: *soakSeed, Rate: *soakRate}
	began := time.Now()
	o := l.work(t, sum)
	sum.Lasted = time.Since(began).Round(time.Second).String()
	sum.Trends = trends(sum.Samples, time.Since(began))
	for _, tr := range sum.Trends {
		if tr.grown() {
			l.ledger.violation("the idle gateway has grown: %v", tr)
		}
	}
	ended := time.Now()
	l.everyConnectionWorks(t.Context(), o)
	t.Logf("every connection was called, %v after the trouble", time.Since(ended).Round(time.Millisecond))
	l.endsWell(t, sum)
	sum.tell(t, l, o)
}

// work is the traffic and its rests.
func (l *load) work(t *testing.T, sum *summary) *operator {
	ctx, stop := context.WithCancel(t.Context())
	var working sync.WaitGroup
	serial := uint64(0)
	goOn := func(pause time.Duration, do func(context.Context, *rand.Rand)) {
		serial++
		random := rand.New(rand.NewPCG(*soakSeed, serial))
		working.Go(func() { l.repeat(ctx, random, pause, do) })
	}
	const callers = 24
	for i := range callers {
		door := []string{"tunnels-h1", "tunnels-h2", "absolute", "base"}[i%4]
		goOn(callers*time.Second/time.Duration(*soakRate), l.newCaller(door, door).call)
	}
	r := &rude{load: l}
	r.prepare()
	for _, do := range []func(context.Context, *rand.Rand){r.outsider, r.halfOpen, r.leave, r.readSlowly, r.malformed} {
		goOn(400*time.Millisecond, do)
	}
	o := &operator{load: l, caller: l.newCaller("operator", "base"), acts: map[string]int{}}
	long := *soakFor >= time.Minute
	actPause := 2 * time.Second
	if !long {
		actPause = 50 * time.Millisecond
	}
	goOn(actPause, o.act)
	where := []string{dcTrouble, authTrouble}
	for _, to := range l.targets {
		if strings.HasPrefix(to.trouble, "/") {
			where = append(where, to.trouble)
		}
	}
	for range 2 {
		goOn(time.Second, l.trouble.somewhere(where, long))
	}

	rests := 4 // at least, so that quarters mean something
	if long {
		rests = 8
	}
	busy := min(max(*soakFor/10, time.Second), 2*time.Minute)
	rest := min(max(busy/5, 400*time.Millisecond), 15*time.Second)
	began, left := time.Now(), 0.0
	for (time.Since(began) < *soakFor || len(sum.Samples) < rests) && l.ledger.wrong() < maxViolations && !l.gone() {
		time.Sleep(busy)
		resume := l.rest()
		h, err := l.rested(rest)
		if err != nil {
			l.ledger.violation("looking at the resting gateway: %v", err)
		} else {
			// One rest may see the end of a call that its client has left.
			if h.Tunnels > 0 && left > 0 {
				l.ledger.violation("in two rests, the gateway had tunnels open that no client has: %v, %v", left, h.Tunnels)
			}
			left = h.Tunnels
			sum.Samples = append(sum.Samples, sample{At: time.Since(began), Calls: l.ledger.count(), holds: h})
			if long {
				t.Logf("%v: %d calls, %.0f goroutines, %.0f descriptors, RSS %.0f MiB, live heap %.0f MiB, %d violations", time.Since(began).Round(time.Second),
					l.ledger.count(), h.Goroutines, h.Descriptors, h.RSS/(1<<20), h.Heap/(1<<20), l.ledger.wrong())
			}
		}
		resume()
	}
	stop()
	working.Wait()
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, closeIdle := range l.idle {
		closeIdle()
	}
	return o
}

// everyConnectionWorks calls each once the trouble is over: no refresh token was lost.
func (l *load) everyConnectionWorks(ctx context.Context, o *operator) {
	l.shaky.ClearFaults()
	l.shaky.ExpireAccessTokens()
	c := l.newCaller("base", "base")
	defer c.client.CloseIdleConnections()
	for _, to := range l.targets {
		var got outcome
		for end := time.Now().Add(2 * time.Minute); ; time.Sleep(500 * time.Millisecond) {
			id, traceparent := l.ledger.begin(false)
			got, _ = c.send(ctx, request{to: to, method: "GET", path: "/myself"}, traceparent)
			l.ledger.end(id, "at the end", got)
			// Pauses after a failed refresh go up to a minute.
			if got.status == 200 || time.Now().After(end) {
				break
			}
		}
		if got.status != 200 {
			l.ledger.violation("at the end %s cannot be used: %v", to.connection, got)
		}
	}
	needy, err := o.needy(ctx)
	if err != nil {
		l.ledger.violation("%v", err)
	}
	for _, n := range needy {
		l.ledger.violation("at the end %s", n)
	}
	if st := l.shaky.TokenStats(); st.Refused > 0 || st.Breaches > 0 || st.BadClient > 0 {
		l.ledger.violation("the authorization server refused refreshes: %+v", st)
	}
	o.caller.client.CloseIdleConnections()
}

// endsWell stops the process, and holds its log against the calls.
func (l *load) endsWell(t *testing.T, sum *summary) {
	if l.gone() {
		l.ledger.violation("the gateway has ended by itself: %s", l.logged())
	} else if code, took, err := l.stop(); err != nil || code != 0 {
		l.ledger.violation("the gateway ended with code %d, %v: %s", code, err, l.logged())
	} else {
		sum.Stopped = took.Round(time.Millisecond).String()
	}
	verdict, err := l.run(t.Context(), "", "audit", "verify")
	if err != nil {
		l.ledger.violation("%v", err)
	}
	sum.Verified = strings.TrimSpace(verdict)
	if sum.Records, err = l.reconcile(t.Context()); err != nil {
		l.ledger.violation("reading the log: %v", err)
	}
	sum.Calls = l.ledger.count()
	if sum.Records != sum.Calls {
		l.ledger.violation("there are %d records of %d calls", sum.Records, sum.Calls)
	}
}

func (l *load) reconcile(ctx context.Context) (read int, err error) {
	query := exec.CommandContext(ctx, l.program, "audit", "query", "--kind", "call", "--output", "json")
	query.Dir, query.Env = l.dir, l.environ
	out, err := query.StdoutPipe()
	if err != nil {
		return 0, err
	}
	if err := query.Start(); err != nil {
		return 0, err
	}
	read, err = l.ledger.reconcile(out)
	return read, errors.Join(err, query.Wait())
}

// summary is what is told of a soak.
type summary struct {
	Lasted     string         `json:"lasted"`
	Seed       uint64         `json:"seed"`
	Rate       int            `json:"calls_a_second_wanted"`
	Calls      int            `json:"calls"`
	Records    int            `json:"records"`
	Verified   string         `json:"audit_verify"`
	Stopped    string         `json:"stopped_after"`
	Exports    int64          `json:"otlp_exports"`
	Refreshes  int            `json:"token_refreshes"`
	Outcomes   map[string]int `json:"calls_by_outcome"`
	Faults     map[string]int `json:"faults"`
	Explained  map[string]int `json:"failures_by_fault"`
	Acts       map[string]int `json:"operator"`
	Samples    []sample       `json:"samples"`
	Trends     []trend        `json:"trends"`
	Violations []string       `json:"violations"`
}

func (sum *summary) tell(t *testing.T, l *load, o *operator) {
	sum.Outcomes, sum.Faults, sum.Explained, sum.Acts = l.ledger.kinds, l.trouble.counts, l.ledger.explained, o.acts
	sum.Violations, sum.Exports, sum.Refreshes = l.ledger.violations, l.collector.exports.Load(), l.shaky.TokenStats().Refreshes
	var b strings.Builder
	fmt.Fprintf(&b, "\n%s: %d calls, %d records; %s\n%d refreshes of tokens, %d exports, ended in %s\n", sum.Lasted, sum.Calls, sum.Records, sum.Verified, sum.Refreshes, sum.Exports, sum.Stopped)
	for _, tr := range sum.Trends {
		fmt.Fprintln(&b, tr)
	}
	table(&b, "calls by outcome", sum.Outcomes)
	table(&b, "faults", sum.Faults)
	table(&b, "failures by the fault that explains them", sum.Explained)
	table(&b, "acts of the operator", sum.Acts)
	t.Log(b.String())
	for _, v := range sum.Violations {
		t.Error(v)
	}
	if l.ledger.more > 0 {
		t.Errorf("and %d more", l.ledger.more)
	}
	writeSummary(t, "soak.json", sum)
}

func table(b *strings.Builder, title string, counts map[string]int) {
	fmt.Fprintf(b, "%s:\n", title)
	var names []string
	for name := range counts {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		fmt.Fprintf(b, "  %8d %s\n", counts[name], name)
	}
}

func writeSummary(t *testing.T, name string, sum any) {
	t.Helper()
	if *soakOut == "" {
		return
	}
	b, err := json.MarshalIndent(sum, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(*soakOut, name), append(b, '\n'), 0o644); err != nil {
		t.Fatal(err)
	}
}
