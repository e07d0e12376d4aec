package limit_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"
	"pgregory.net/rapid"

	"jiragate/gateway/limit"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// takeAll takes single places for name until there are no more.
func takeAll(p *limit.Places, name string) (all []*limit.Hold) {
	for {
		h, err := p.Take(context.Background(), name, 1)
		if err != nil {
			return all
		}
		all = append(all, h)
	}
}

// One that wants all gets half, the next as much as is left of that, and whoever
// comes later finds something, too.
func TestShares(t *testing.T) {
	p := limit.NewPlaces(limit.PlacesOptions{Total: 64})
	for i, want := range []int{32, 16, 8, 4, 2, 1, 1} {
		if got := len(takeAll(p, fmt.Sprint("client", i))); got != want {
			t.Errorf("client %d got %d places, not %d", i, got, want)
		}
	}
	if _, err := p.Take(t.Context(), "late", 1); !isFull(err, false) {
		t.Errorf("all are taken: %v", err)
	}
	if _, err := p.Take(t.Context(), "client0", 1); !isFull(err, true) {
		t.Errorf("its own share is taken: %v", err)
	}
}

// Two that want all get a third each, once the first gives back what it has too much.
func TestSharesEvenOut(t *testing.T) {
	p := limit.NewPlaces(limit.PlacesOptions{Total: 60})
	a, b := takeAll(p, "a"), takeAll(p, "b")
	for range 1000 { // their calls end and begin, in turns
		for _, of := range []struct {
			name string
			held *[]*limit.Hold
		}{{"a", &a}, {"b", &b}} {
			(*of.held)[0].Release()
			*of.held = append((*of.held)[1:], takeAll(p, of.name)...)
		}
	}
	if len(a) != 20 || len(b) != 20 {
		t.Errorf("they hold %d and %d of 60", len(a), len(b))
	}
}

func TestCapOfOne(t *testing.T) {
	p := limit.NewPlaces(limit.PlacesOptions{Total: 64, Each: 3})
	if got := len(takeAll(p, "a")); got != 3 {
		t.Errorf("%d places, where one may have 3", got)
	}
}

func isFull(err error, own bool) bool {
	full, ok := errors.AsType[*limit.Full](err)
	return ok && full.Own == own && full.Error() != ""
}

// A client with a hundred calls at a time, without end, delays nobody else.
func TestGreedyDelaysNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := limit.NewPlaces(limit.PlacesOptions{Total: 16, Wait: time.Hour, Queue: 1000})
		ctx, stop := context.WithCancel(t.Context())
		defer stop()
		for range 100 {
			go func() {
				for {
					h, err := p.Take(ctx, "greedy", 1)
					if err != nil {
						return
					}
					time.Sleep(time.Second)
					h.Release()
				}
			}()
		}
		time.Sleep(time.Minute)
		for i := range 50 {
			began := time.Now()
			h, err := p.Take(ctx, fmt.Sprint("modest", i%5), 1)
			if err != nil || time.Since(began) != 0 {
				t.Fatalf("call %d waited for %s: %v", i, time.Since(began), err)
			}
			time.Sleep(300 * time.Millisecond)
			h.Release()
		}
		stop()
		synctest.Wait()
		time.Sleep(2 * time.Second) // those that hold some give them back within one
		if used, _ := p.Used(); used != 0 {
			t.Errorf("%d places were not given back", used)
		}
	})
}

// One that waits for more than it may have whatever is free keeps nobody waiting.
func TestCappedKeepsNobodyWaiting(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := limit.NewPlaces(limit.PlacesOptions{Total: 20, Each: 2, Wait: time.Minute, Queue: 10})
		for _, name := range []string{"a", "b"} {
			if _, err := p.Take(t.Context(), name, 1); err != nil {
				t.Fatal(err)
			}
		}
		ended := make(chan error)
		go func() { _, err := p.Take(t.Context(), "a", 2); ended <- err }()
		synctest.Wait()
		began := time.Now()
		if _, err := p.Take(t.Context(), "b", 1); err != nil || time.Since(began) != 0 {
			t.Errorf("%v after %s", err, time.Since(began))
		}
		if err := <-ended; !isFull(err, true) {
			t.Error(err)
		}
	})
}

// Of several that hold as much, the one that waits longest is next.
func TestFirstComeFirst(t *testing.T) {
	for range 20 { // those waiting are in no order
		synctest.Test(t, func(t *testing.T) {
			p := limit.NewPlaces(limit.PlacesOptions{Total: 2, Wait: time.Hour, Queue: 10})
			h, err := p.Take(t.Context(), "a", 2)
			if err != nil {
				t.Fatal(err)
			}
			order := make(chan int, 5)
			for i := range 5 {
				go func() {
					if h, err := p.Take(t.Context(), fmt.Sprint("waits", i), 2); err == nil {
						order <- i
						time.Sleep(time.Second)
						h.Release()
					}
				}()
				synctest.Wait()
			}
			h.Release()
			for i := range 5 {
				if got := <-order; got != i {
					t.Errorf("number %d was next, not %d", got, i)
				}
			}
			time.Sleep(time.Second) // for the last one
		})
	}
}

// One that gives all back while it waits for more is still the same one; and nothing is
// kept in mind of those that neither hold nor wait.
func TestWhoIsKeptInMind(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := limit.NewPlaces(limit.PlacesOptions{Total: 4, Wait: time.Minute, Queue: 1})
		var held []*limit.Hold
		for _, of := range []struct {
			name string
			n    int64
		}{{"b", 2}, {"c", 1}, {"a", 1}} {
			h, err := p.Take(t.Context(), of.name, of.n)
			if err != nil {
				t.Fatal(err)
			}
			held = append(held, h)
		}
		ended := make(chan error)
		go func() { _, err := p.Take(t.Context(), "a", 2); ended <- err }()
		synctest.Wait()
		held[2].Release()
		began := time.Now()
		if _, err := p.Take(t.Context(), "a", 2); !isFull(err, false) || time.Since(began) != 0 {
			t.Errorf("beyond its queue: %v after %s", err, time.Since(began))
		}
		<-ended
		held[0].Release()
		held[1].Release()
		if n := p.Names(); n != 0 {
			t.Errorf("%d are kept in mind", n)
		}
		none := limit.NewPlaces(limit.PlacesOptions{Total: 1})
		if _, err := none.Take(t.Context(), "first", 1); err != nil {
			t.Fatal(err)
		}
		for i := range 100 {
			_, _ = none.Take(t.Context(), fmt.Sprint("refused", i), 1)
		}
		if n := none.Names(); n != 1 {
			t.Errorf("%d are kept in mind", n)
		}
	})
}

// One that asks for much gets it, though small asks of others never end.
func TestLargeAsksAreNotStarved(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := limit.NewPlaces(limit.PlacesOptions{Total: 16, Wait: time.Hour, Queue: 1000})
		ctx, stop := context.WithCancel(t.Context())
		for i := range 40 {
			go func() {
				for ctx.Err() == nil {
					if h, err := p.Take(ctx, fmt.Sprint("small", i%20), 1); err == nil {
						time.Sleep(time.Duration(900+10*i) * time.Millisecond)
						h.Release()
					}
				}
			}()
		}
		time.Sleep(time.Minute)
		for range 10 {
			began := time.Now()
			h, err := p.Take(t.Context(), "large", 8)
			if took := time.Since(began); err != nil || took > 10*time.Second {
				t.Fatalf("%v after %s", err, took)
			}
			time.Sleep(time.Second)
			h.Release()
		}
		stop()
		time.Sleep(time.Minute)
		if used, _ := p.Used(); used != 0 {
			t.Errorf("%d places were not given back", used)
		}
	})
}

// However many take all they can, each in its own way, one that comes later and one that
// holds fewer than its part finds a place at once.
func TestNobodyIsShutOut(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		clients := rapid.Int64Range(1, 12).Draw(rt, "clients")
		total := clients * rapid.Int64Range(2, 30).Draw(rt, "each") * 2
		p := limit.NewPlaces(limit.PlacesOptions{Total: total})
		held := make([][]*limit.Hold, clients)
		take := func(i int64) bool {
			h, err := p.Take(context.Background(), fmt.Sprint(i), 1)
			if err == nil {
				held[i] = append(held[i], h)
			}
			return err == nil
		}
		for range rapid.IntRange(1, 2000).Draw(rt, "steps") {
			i := rapid.Int64Range(0, clients-1).Draw(rt, "who")
			if n := len(held[i]); n > 0 && rapid.IntRange(0, 3).Draw(rt, "gives back") == 0 {
				held[i][n-1].Release()
				held[i] = held[i][:n-1]
				continue
			}
			used, _ := p.Used()
			free := total - used
			// What is free bounds what anybody holds, but for what it took when there was more.
			if fewer := int64(len(held[i]))+1 <= free; take(i) != fewer {
				rt.Fatalf("with %d free, one that holds %d got another: %v", free, len(held[i]), !fewer)
			}
			if used, _ := p.Used(); used > total || used < 0 {
				rt.Fatalf("%d of %d are taken", used, total)
			}
		}
		for i := range clients { // all hold what they can
			for take(i) {
			}
		}
		if share := total / (clients + 1); clients < 4 && share > 1 {
			h, err := p.Take(context.Background(), "late", 1)
			if err != nil {
				rt.Fatalf("a late one of %d finds none of %d: %v", clients, total, err)
			}
			h.Release()
		}
	})
}

// Places that come free go to the one that holds the fewest, though it came last.
func TestPoorestIsNext(t *testing.T) {
	for range 20 { // those waiting are in no order
		synctest.Test(t, poorestIsNext)
	}
}

func poorestIsNext(t *testing.T) {
	p := limit.NewPlaces(limit.PlacesOptions{Total: 6, Wait: time.Hour, Queue: 10})
	hold := map[string][]*limit.Hold{}
	for _, name := range []string{"rich", "rich", "rich", "poor", "middle", "other"} {
		h, err := p.Take(t.Context(), name, 1)
		if err != nil {
			t.Fatal(err)
		}
		hold[name] = append(hold[name], h)
	}
	order := make(chan string, 10)
	for _, name := range []string{"rich", "poor", "poorest"} {
		go func() {
			if h, err := p.Take(t.Context(), name, 1); err == nil {
				order <- name
				time.Sleep(time.Minute)
				h.Release()
			}
		}()
		synctest.Wait()
	}
	hold["rich"][0].Release()
	if got := <-order; got != "poorest" {
		t.Errorf("%s came first", got)
	}
	for _, all := range hold {
		for _, h := range all {
			h.Release()
			h.Release() // changes nothing
		}
	}
	time.Sleep(time.Hour)
	if used, _ := p.Used(); used != 0 || len(order) != 2 {
		t.Errorf("%d places are taken by nobody; %d got theirs later", used, len(order))
	}
}

// Who waits behind one that leaves gets its place at once.
func TestLeavingMakesWay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := limit.NewPlaces(limit.PlacesOptions{Total: 4, Wait: time.Hour, Queue: 10})
		_, twoTaken := p.Take(t.Context(), "a", 2)
		_, oneTaken := p.Take(t.Context(), "b", 1)
		if err := errors.Join(twoTaken, oneTaken); err != nil {
			t.Fatal(err)
		}
		ctx, leave := context.WithCancel(t.Context())
		ended := make(chan error, 2)
		go func() { _, err := p.Take(ctx, "wants two", 2); ended <- err }()
		synctest.Wait()
		began := time.Now()
		go func() { _, err := p.Take(t.Context(), "wants one", 1); ended <- err }()
		synctest.Wait()
		if len(ended) != 0 {
			t.Error("one came before the other that waits longer and holds no more")
		}
		leave()
		if first, second := <-ended, <-ended; errors.Join(first, second) == nil || first != nil && second != nil || time.Since(began) != 0 {
			t.Errorf("%v, %v after %s", first, second, time.Since(began))
		}
	})
}

func TestWaitIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := limit.NewPlaces(limit.PlacesOptions{Total: 2, Wait: 5 * time.Second, Queue: 1})
		if _, err := p.Take(t.Context(), "a", 1); err != nil {
			t.Fatal(err)
		}
		began, done := time.Now(), make(chan error)
		go func() {
			_, err := p.Take(t.Context(), "a", 1)
			done <- err
		}()
		synctest.Wait()
		if _, err := p.Take(t.Context(), "a", 1); !isFull(err, true) || time.Since(began) != 0 {
			t.Errorf("beyond the queue: %v", err)
		}
		if err := <-done; !isFull(err, true) || time.Since(began) != 5*time.Second {
			t.Errorf("after %s: %v", time.Since(began), err)
		}
		ctx, leave := context.WithTimeout(t.Context(), time.Second)
		defer leave()
		if _, err := p.Take(ctx, "a", 1); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("who leaves: %v", err)
		}
	})
}

// ask is a wish for places, and what becomes of it.
type ask struct {
	name      string
	n         int64
	at, holds time.Duration
	leaves    time.Duration // after so long a wait; 0: never
}

func asks(t *rapid.T) []ask {
	ms := func(from, to int, label string) time.Duration {
		return time.Duration(rapid.IntRange(from, to).Draw(t, label)) * time.Millisecond
	}
	return rapid.SliceOfN(rapid.Custom(func(t *rapid.T) ask {
		a := ask{
			name: rapid.SampledFrom([]string{"a", "a", "a", "b", "c", "d"}).Draw(t, "name"),
			n:    rapid.Int64Range(1, 2).Draw(t, "n"), at: ms(0, 50, "at"), holds: ms(1, 20, "holds"),
		}
		if rapid.IntRange(0, 4).Draw(t, "leaves") == 0 {
			a.leaves = ms(1, 20, "after")
		}
		return a
	}), 1, 60).Draw(t, "asks")
}

// make asks p, holds what it gets for a while, giving back half of it first.
func (a ask) make(p *limit.Places) error {
	time.Sleep(a.at)
	ctx := context.Background()
	if a.leaves > 0 {
		var leave context.CancelFunc
		ctx, leave = context.WithTimeout(ctx, a.leaves)
		defer leave()
	}
	h, err := p.Take(ctx, a.name, a.n)
	switch {
	case err != nil && a.leaves > 0 && errors.Is(err, context.DeadlineExceeded):
		return nil
	case err != nil:
		return fmt.Errorf("%+v: %w", a, err)
	}
	defer h.Release()
	if used, of := p.Used(); used > of || used < a.n {
		return fmt.Errorf("%d of %d are taken", used, of)
	}
	time.Sleep(a.holds)
	h.Keep(a.n / 2)
	time.Sleep(a.holds)
	return nil
}

// Whatever comes, no more is taken than there is; who waits gets its places as long
// as others give theirs back; and in the end all are free.
func TestPlacesHold(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		o := limit.PlacesOptions{
			Total: rapid.Int64Range(4, 20).Draw(rt, "total"), Each: rapid.SampledFrom([]int64{0, 2, 5}).Draw(rt, "each"),
			Wait: time.Hour, Queue: 1000,
		}
		all := asks(rt)
		var failed []error
		synctest.Test(t, func(*testing.T) {
			p := limit.NewPlaces(o)
			results := make(chan error, len(all))
			for _, a := range all {
				go func() { results <- a.make(p) }()
			}
			for range all {
				failed = append(failed, <-results)
			}
			if used, _ := p.Used(); used != 0 {
				failed = append(failed, fmt.Errorf("%d places are taken by nobody", used))
			}
		})
		if err := errors.Join(failed...); err != nil {
			rt.Fatal(err)
		}
	})
}

// A place that is free costs nothing, whoever asks, and whether it holds others or not.
func TestFreePlacesCostNothing(t *testing.T) {
	p := limit.NewPlaces(limit.PlacesOptions{Total: 100, Wait: time.Hour, Queue: 10})
	var first, second limit.Hold
	if n := testing.AllocsPerRun(100, func() {
		_ = p.TakeInto(context.Background(), &first, "a", 1)
		_ = p.TakeInto(context.Background(), &second, "a", 1)
		first.Release()
		second.Release()
		_ = p.TakeInto(context.Background(), &first, "b", 1)
		first.Release()
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
	if used, _ := p.Used(); used != 0 || p.Names() != 0 {
		t.Errorf("%d are taken, by %d", used, p.Names())
	}
	var none limit.Hold
	none.Keep(1)
	none.Release() // changes nothing
}

func BenchmarkTake(b *testing.B) {
	p := limit.NewPlaces(limit.PlacesOptions{Total: 1000, Wait: time.Second, Queue: 10})
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			var h limit.Hold
			if err := p.TakeInto(context.Background(), &h, "billing", 1); err != nil {
				b.Fatal(err)
			}
			h.Release()
		}
	})
}
