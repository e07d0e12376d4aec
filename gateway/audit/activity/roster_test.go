package activity

import (
	"fmt"
	"runtime"
	"testing"
	"testing/synctest"
	"time"

	"jiragate/gateway/audit"
)

func call(seq uint64, connection string, t time.Time) audit.Record {
	return audit.Record{
		Seq: seq, Time: t, Client: "of-" + connection, Connection: connection, Operation: "myself.get",
		Decision: audit.DecisionAllow, Status: 200,
	}
}

// TestLastCallIsTheOneWrittenLast, whoever brings it, in whatever order.
func TestLastCallIsTheOneWrittenLast(t *testing.T) {
	now := time.Date(2026, 11, 23, 12, 30, 20, 123_456_000, time.UTC)
	b := New(Options{Now: func() time.Time { return now }})
	last := call(12, "acme", now)
	last.Decision, last.Code, last.Status = audit.DecisionDeny, "not_granted", 403
	b.Observe(last)
	b.Observe(call(11, "acme", now.Add(time.Second)))
	failed := call(10, "acme", now.Add(-time.Hour))
	failed.Status = 503
	b.Load(t.Context(), Past{Found: 10}, func(yield func(audit.Entry, error) bool) {
		yield(audit.Entry{Record: failed}, nil)
	})
	want := Recent{
		Last:  Call{Seq: 12, Time: now, Operation: "myself.get", Decision: "deny", Code: "not_granted", Status: 403},
		Calls: 2, Refused: 1, Failed: 1,
	}
	if got, ok := b.Connection("acme"); got != want || !ok {
		t.Errorf("the connection: %+v", got)
	}
	if got, ok := b.Client("of-acme"); got != want || !ok {
		t.Errorf("the client: %+v", got)
	}
	b.Observe(call(13, "acme", now))
	if got, _ := b.Connection("acme"); got.Last.Seq != 13 || got.Last.Decision != "allow" || got.Last.Code != "" {
		t.Errorf("the next call: %+v", got)
	}

	nobody := call(14, "", now)
	nobody.Client = ""
	b.Observe(nobody)
	if _, ok := b.Connection(""); ok {
		t.Error("no connection is one")
	}
}

// TestADayOfAConnection: its calls count for 24 hours, and up to two more.
func TestADayOfAConnection(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := New(Options{})
		for hour := range uint64(72) {
			b.Observe(call(hour+1, "acme", time.Now()))
			if r, _ := b.Connection("acme"); hour >= 26 && (r.Calls < 25 || r.Calls > 26) || hour < 25 && r.Calls != hour+1 {
				t.Errorf("hour %d: %d calls", hour, r.Calls)
			}
			time.Sleep(time.Hour)
		}
		time.Sleep(26 * time.Hour)
		if r, ok := b.Connection("acme"); !ok || r.Calls != 0 || r.Last.Seq != 72 {
			t.Errorf("a day later: %+v", r)
		}
		b.Observe(call(100, "acme", time.Now().Add(-27*time.Hour)))
		b.Observe(call(101, "acme", time.Now().Add(27*time.Hour)))
		if r, _ := b.Connection("acme"); r.Calls != 0 || r.Last.Seq != 101 {
			t.Errorf("calls of another time: %+v", r)
		}
	})
}

// TestWhoGoesFirst: those of the log before those that were active since.
func TestWhoGoesFirst(t *testing.T) {
	now := time.Now()
	o := newRoster(3)
	seq := uint64(0)
	note := func(name string, live bool) {
		seq++
		o.note(name, lastCall{seq: seq, micros: now.UnixMicro()}, &Counts{Calls: 1}, now, live)
	}
	expect := func(what string, names ...string) {
		t.Helper()
		if len(o.parties) != len(names) {
			t.Errorf("%s: %d are known, not %v", what, len(o.parties), names)
		}
		for _, n := range names {
			if o.parties[n] == nil {
				t.Errorf("%s: %s is not known", what, n)
			}
		}
		linked := 0
		for _, l := range []list{o.live, o.past} {
			for p := l.least; p != nil; p = p.after {
				if linked++; p.after == nil && l.most != p || p.before == nil && l.least != p {
					t.Errorf("%s: %s is not where it should be", what, p.name)
				}
			}
		}
		if linked != len(o.parties) {
			t.Errorf("%s: %d are in lists, of %d", what, linked, len(o.parties))
		}
	}
	note("a", true)
	note("old", false)
	note("older", false)
	note("old", false)
	expect("room for all", "a", "old", "older")
	note("b", true)
	expect("who was active before, least recently", "a", "b", "old")
	note("other", false)
	expect("among those of the log", "a", "b", "other")
	note("other", true)
	note("late", false)
	expect("all others are active", "a", "b", "other")
	note("a", true)
	note("a", false) // does not make it older
	note("c", true)
	expect("who was least recently active", "a", "c", "other")
}

// connectionNames are those of a large gateway.
func connectionNames() []string {
	names := make([]string, 100_000)
	for i := range names {
		names[i] = fmt.Sprintf("customer-%06d", i)
	}
	return names
}

// BenchmarkObserve is one record of one of 100,000 connections.
func BenchmarkObserve(b *testing.B) {
	board := New(Options{Weight: func(string) int { return 1 }})
	names := connectionNames()
	r := call(0, "", time.Now())
	r.Client, r.Edition = "billing", "cloud"
	observe := func() {
		r.Seq++
		r.Connection, r.DurationMS = names[r.Seq%uint64(len(names))], float64(r.Seq%1000)
		board.Observe(r)
	}
	for range names {
		observe()
	}
	b.ReportAllocs()
	for b.Loop() {
		observe()
	}
}

// BenchmarkConnections is a board that comes to know 100,000 connections; B/connection
// is what it keeps.
func BenchmarkConnections(b *testing.B) {
	names := connectionNames()
	now := time.Now()
	heap := func() uint64 {
		var m runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	b.ReportAllocs()
	for b.Loop() {
		board := New(Options{})
		before := heap()
		for i, name := range names {
			r := call(uint64(i+1), name, now)
			r.Client = "billing"
			board.Observe(r)
		}
		b.ReportMetric(float64(heap()-before)/float64(len(names)), "B/connection")
		runtime.KeepAlive(board)
	}
}

func BenchmarkSeries(b *testing.B) {
	board := New(Options{})
	for i := range 25 * 60 {
		board.Observe(call(uint64(i+1), "acme", time.Now().Add(-time.Duration(i)*time.Minute)))
	}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := board.Series(time.Now().Add(-24*time.Hour), time.Now(), time.Minute); err != nil {
			b.Fatal(err)
		}
	}
}
