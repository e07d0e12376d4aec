package activity_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"

	"jiragate/gateway/audit"
	"jiragate/gateway/audit/activity"
)

func TestWatch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := activity.New(activity.Options{})
		watch := func(ctx context.Context) <-chan activity.Event {
			t.Helper()
			events, err := b.Watch(ctx)
			if err != nil {
				t.Fatal(err)
			}
			return events
		}
		b.Observe(audit.Record{Seq: 1})
		ctx, leave := context.WithCancel(t.Context())
		slow, gone := watch(t.Context()), watch(ctx)
		b.Observe(audit.Record{Seq: 2, Operation: "admin.connection.add"})
		if e := <-slow; e.Record.Seq != 2 || e.Missed != 0 {
			t.Errorf("the first: %+v", e)
		}

		leave()
		synctest.Wait()
		for seq := range uint64(300) { // nobody reads
			b.Observe(audit.Record{Seq: 3 + seq})
		}
		if e, open := <-gone; e.Record.Seq != 2 || !open {
			t.Errorf("what came before it left: %+v", e)
		}
		if e, open := <-gone; open {
			t.Errorf("after it left: %+v", e)
		}
		for seq := range uint64(256) {
			if e := <-slow; e.Record.Seq != 3+seq || e.Missed != 0 {
				t.Fatalf("record %d: %+v", 3+seq, e)
			}
		}
		for _, want := range []activity.Event{{Record: audit.Record{Seq: 400}, Missed: 44}, {Record: audit.Record{Seq: 401}}} {
			b.Observe(want.Record)
			if e := <-slow; e.Record.Seq != want.Record.Seq || e.Missed != want.Missed {
				t.Errorf("%+v, want %+v", e, want)
			}
		}

		ctx, leave = context.WithCancel(t.Context())
		for range activity.MaxWatchers - 1 {
			watch(ctx)
		}
		if _, err := b.Watch(t.Context()); !errors.Is(err, activity.ErrWatchers) {
			t.Errorf("one too many: %v", err)
		}
		leave()
		synctest.Wait()
		watch(t.Context())

		ended, end := context.WithCancel(t.Context())
		end()
		if _, open := <-watch(ended); open {
			t.Error("who is gone before is told something")
		}
	})
}
