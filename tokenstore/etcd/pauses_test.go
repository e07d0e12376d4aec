package etcd_test

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"jiragate/tokenstore/etcd"
)

// learner is what a gateway has learned of pauses.
type learner struct {
	mu   sync.Mutex
	told []string
	last map[string]time.Time
}

func follow(s *etcd.Store) *learner {
	l := &learner{last: make(map[string]time.Time)}
	s.FollowPauses(func(name string, until time.Time) {
		l.mu.Lock()
		defer l.mu.Unlock()
		l.told = append(l.told, name)
		l.last[name] = until
	})
	return l
}

func (l *learner) of(name string) (left time.Duration, there bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	until, there := l.last[name]
	return time.Until(until), there
}

func (l *learner) times(name string) (n int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, told := range l.told {
		if told == name {
			n++
		}
	}
	return n
}

func (l *learner) await(t *testing.T, name string) (left time.Duration) {
	t.Helper()
	eventually(t, "it learns of "+name, func() (there bool) {
		left, there = l.of(name)
		return there
	})
	return left
}

// logged is a log to look at.
type logged struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *logged) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *logged) count(what string) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Count(l.b.String(), what)
}

// What one gateway was asked to wait for another one learns, and one that starts later; etcd
// forgets it when it is over.
func TestSharedPauses(t *testing.T) {
	site := newSite(t)
	o := site.options(t)
	a, b := mustOpen(t, o), mustOpen(t, o)
	learned := follow(b)
	a.SharePause("app", time.Now().Add(2*time.Second))
	a.SharePause("connection/1/acme", time.Now().Add(40*time.Minute))
	a.SharePause("connection/1/globex", time.Now().Add(100*time.Hour))
	for name, want := range map[string]time.Duration{"app": 2 * time.Second, "connection/1/acme": 40 * time.Minute, "connection/1/globex": time.Hour} {
		if left := learned.await(t, name); left > want || left < want-30*time.Second {
			t.Errorf("%s: %s left, want %s", name, left, want)
		}
	}
	late := follow(mustOpen(t, o))
	if left := late.await(t, "connection/1/acme"); left > 40*time.Minute || left < 39*time.Minute {
		t.Errorf("one that starts later: %s left", left)
	}

	root := site.Root(t)
	left := func() (names []string) {
		resp, err := root.Get(t.Context(), o.Prefix+"/live/pauses/", clientv3.WithPrefix())
		must(t, err)
		for _, kv := range resp.Kvs {
			names = append(names, strings.TrimPrefix(string(kv.Key), o.Prefix+"/live/pauses/"))
			if kv.Lease == 0 {
				t.Errorf("%s stays for ever", kv.Key)
			}
			lease, err := root.TimeToLive(t.Context(), clientv3.LeaseID(kv.Lease))
			must(t, err)
			if lease.GrantedTTL > 3600 {
				t.Errorf("%s stays for %d s", kv.Key, lease.GrantedTTL)
			}
		}
		return names
	}
	eventually(t, "etcd forgets the one that is over", func() bool { return len(left()) == 2 })
	// They are no records.
	must(t, a.Check(t.Context()))
}

// A pause is written once, and again only when it is longer by what matters, whoever has it.
func TestPausesAreWrittenSparingly(t *testing.T) {
	site := newSite(t)
	o := site.options(t)
	a, b := mustOpen(t, o), mustOpen(t, o)
	atA, atB := follow(a), follow(b)
	until := time.Now().Add(10 * time.Minute)
	a.SharePause("app", until)
	atA.await(t, "app")
	atB.await(t, "app")
	for _, s := range []*etcd.Store{a, b} {
		for _, more := range []time.Duration{0, -time.Minute, time.Second, 30 * time.Second} {
			s.SharePause("app", until.Add(more))
		}
	}
	b.SharePause("mark", until) // comes after all of them
	atA.await(t, "mark")
	if n := atA.times("app"); n != 1 {
		t.Errorf("written %d times", n)
	}
	b.SharePause("app", until.Add(5*time.Minute))
	eventually(t, "the longer one is shared", func() bool {
		left, _ := atA.of("app")
		return left > 12*time.Minute
	})
}

// A gateway whose clock is wrong by seconds keeps a pause no shorter, and one whose clock is
// far off no longer than it lasts.
func TestClocksThatDiffer(t *testing.T) {
	site := newSite(t)
	o := site.options(t)
	a := mustOpen(t, o)
	for _, test := range []struct{ off, least, most time.Duration }{
		{4 * time.Second, 4 * time.Minute, 5 * time.Minute},
		{-4 * time.Second, 4 * time.Minute, 5 * time.Minute},
		{-time.Hour, 4 * time.Minute, 5 * time.Minute},
		{time.Hour, -2 * time.Hour, 0},
	} {
		other := o
		other.Now = func() time.Time { return time.Now().Add(test.off) }
		learned := follow(mustOpen(t, other))
		name := fmt.Sprint("pause-", test.off)
		a.SharePause(name, time.Now().Add(5*time.Minute))
		left := learned.await(t, name) - test.off // until is by its clock
		if left < test.least || left > test.most {
			t.Errorf("a clock that is off by %s: %s left", test.off, left)
		}
	}
}

// Whatever else is among the pauses is passed over, with one line of the log.
func TestGarbageAmongPauses(t *testing.T) {
	site := newSite(t)
	o := site.options(t)
	log := &logged{}
	o.Logger = slog.New(slog.NewTextHandler(log, nil))
	b := mustOpen(t, o)
	learned := follow(b)
	root := site.Root(t)
	put := func(name, value string) {
		_, err := root.Put(t.Context(), o.Prefix+"/live/pauses/"+name, value)
		must(t, err)
	}
	future := time.Now().Add(time.Minute).UTC().Format(time.RFC3339)
	good := fmt.Sprintf(`{"until":%q,"left_ms":60000}`, future)
	put("not-json", "{")
	put("no-length", fmt.Sprintf(`{"until":%q}`, future))
	put("negative", fmt.Sprintf(`{"until":%q,"left_ms":-1}`, future))
	put("long-value", good+strings.Repeat(" ", 1000))
	put("", good)
	put(strings.Repeat("n", 300), good)
	put("not ASCII ü", good)
	put("endless", `{"until":"9999-01-01T00:00:00Z","left_ms":9000000000000000000}`)
	put("good", good)
	learned.await(t, "good")
	if left := learned.await(t, "endless"); left > time.Hour {
		t.Errorf("a pause of %s", left)
	}
	learned.mu.Lock()
	if len(learned.told) != 2 {
		t.Errorf("learned %q", learned.told)
	}
	learned.mu.Unlock()
	if n := log.count("are passed over"); n != 1 {
		t.Errorf("%d lines of the log", n)
	}
	// A gateway that finds it all at its start is not kept from starting.
	if learned := follow(mustOpen(t, o)); learned.times("good") != 1 {
		t.Errorf("at its start a gateway learned %q", learned.told)
	}
}

// When etcd is away, a pause is dropped with a line of the log; nobody waits for it.
func TestPausesWhenEtcdIsAway(t *testing.T) {
	site := newSite(t)
	o := site.options(t)
	log := &logged{}
	o.Logger = slog.New(slog.NewTextHandler(log, nil))
	link := site.Link(t)
	cuttable := o
	cuttable.Endpoints = link.Endpoints()
	a := mustOpen(t, cuttable)
	b := mustOpen(t, o)
	learned := follow(b)
	link.Cut()
	eventually(t, "it is noticed", func() bool { _, err := a.Confirmed(); return err != nil })
	for i := range 20 {
		a.SharePause(fmt.Sprint("lost-", i), time.Now().Add(time.Hour))
	}
	eventually(t, "it is said", func() bool { return log.count("could not be told") > 0 })
	link.Reset()
	link.Heal()
	eventually(t, "it is back", func() bool { _, err := a.Confirmed(); return err == nil })
	a.SharePause("found", time.Now().Add(time.Hour))
	learned.await(t, "found")
	a.SharePause("lost-0", time.Now().Add(time.Hour)) // may be asked for anew
	learned.await(t, "lost-0")
	if n := log.count("could not be told"); n != 1 {
		t.Errorf("%d lines of the log", n)
	}
}

// What waits to be shared is bounded.
func TestPausesAreBounded(t *testing.T) {
	site := newSite(t)
	log := &logged{}
	o := site.options(t)
	o.Logger = slog.New(slog.NewTextHandler(log, nil))
	s := mustOpen(t, o)
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	for i := 0; log.count("could not be told") == 0 && ctx.Err() == nil; i++ {
		s.SharePause(fmt.Sprint("pause-", i), time.Now().Add(time.Minute))
	}
	if log.count("could not be told") != 1 {
		t.Error("any number may wait to be shared")
	}
}
