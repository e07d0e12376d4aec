package index_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"jiragate/gateway/audit"
	"jiragate/gateway/audit/index"
)

func TestUpdate(t *testing.T) {
	dir := logDir(t)
	hours(t, dir, 5, 200)
	names := segmentNames(t, dir)
	x := open(t, dir)
	for _, row := range []struct {
		name   string
		change func()
		want   index.Progress
	}{
		{"all but the newest", func() {}, index.Progress{Segments: 4, Done: 4, Indexed: 4, Records: 800}},
		{"nothing is new", func() {}, index.Progress{Segments: 4, Done: 4}},
		{"the newest is closed", func() {
			writeLog(t, dir, big(start.Add(5*time.Hour), 0))
		}, index.Progress{Segments: 5, Done: 5, Indexed: 1, Records: 200}},
		{"one is compressed", func() {
			compress(t, dir, names[1], false)
		}, index.Progress{Segments: 5, Done: 5}},
		{"one is removed", func() {
			if err := os.Remove(filepath.Join(dir, names[0])); err != nil {
				t.Fatal(err)
			}
		}, index.Progress{Segments: 4, Done: 4, Forgot: 1}},
		{"one is cut off", func() {
			if err := os.Truncate(filepath.Join(dir, names[2]), 100_000); err != nil {
				t.Fatal(err)
			}
		}, index.Progress{Segments: 4, Done: 4, Indexed: 1, Records: 48, Forgot: 1}},
		{"the newest is gone, so that the one before is open again", func() {
			if err := os.Remove(filepath.Join(dir, start.Add(5*time.Hour).Format("2006-01-02T15.jsonl"))); err != nil {
				t.Fatal(err)
			}
		}, index.Progress{Segments: 3, Done: 3, Forgot: 1}},
		{"one is compressed and damaged: it stays unknown", func() {
			mustWrite(t, filepath.Join(dir, names[3]+".gz"), []byte("damaged"))
			if err := os.Remove(filepath.Join(dir, names[3])); err != nil {
				t.Fatal(err)
			}
			if err := x.Reset(t.Context()); err != nil {
				t.Fatal(err)
			}
		}, index.Progress{Segments: 3, Done: 3, Indexed: 3, Records: 248}},
		{"and is not tried again", func() {}, index.Progress{Segments: 3, Done: 3}},
		{"until it is another", func() {
			mustWrite(t, filepath.Join(dir, names[3]+".gz"), []byte("damaged again"))
		}, index.Progress{Segments: 3, Done: 3, Indexed: 1, Forgot: 1}},
		{"one has a line longer than any block", func() {
			mustWrite(t, filepath.Join(dir, names[2]), bytes.Repeat([]byte("x"), 600_000))
		}, index.Progress{Segments: 3, Done: 3, Indexed: 1, Forgot: 1}},
	} {
		row.change()
		got := update(t, x)
		if got != row.want {
			t.Errorf("%s: %+v, want %+v", row.name, got, row.want)
		}
		mustAgree(t, x, dir, questions()...)
	}
}

// TestInterruptedUpdateGoesOn: what was done stays done.
func TestInterruptedUpdateGoesOn(t *testing.T) {
	dir := logDir(t)
	hours(t, dir, 5, 200)
	ctx, cancel := context.WithCancel(t.Context())
	x, err := index.Open(index.Options{Path: indexFile(dir), Dir: dir, Logger: slog.New(slog.DiscardHandler), Report: func(p index.Progress) {
		if p.Indexed == 2 {
			cancel()
		}
	}})
	if err != nil {
		t.Fatal(err)
	}
	defer x.Close()
	if p, err := x.Update(ctx); !errors.Is(err, context.Canceled) || p.Done != 2 {
		t.Fatalf("%+v, %v", p, err)
	}
	mustAgree(t, x, dir, questions()...)
	if p := update(t, x); p.Done != 4 || p.Indexed != 2 {
		t.Errorf("%+v", p)
	}
	mustAgree(t, x, dir, questions()...)
}

func TestUpdateSince(t *testing.T) {
	dir := logDir(t)
	hours(t, dir, 5, 50)
	x := open(t, dir)
	since := start.Add(2*time.Hour + 10*time.Minute).In(time.FixedZone("", -5*3600))
	if p, err := x.UpdateSince(t.Context(), since); err != nil || p.Indexed != 2 || p.Segments != 2 {
		t.Errorf("%+v, %v", p, err)
	}
	if p := update(t, x); p.Indexed != 2 || p.Segments != 4 || p.Forgot != 0 {
		t.Errorf("%+v", p)
	}
}

// TestManyAtOnce: processes that update, empty and ask the same index, and one that
// removes it. Their answers are right all the time.
func TestManyAtOnce(t *testing.T) {
	defer goleak.VerifyNone(t)
	dir := logDir(t)
	hours(t, dir, 4, 200)
	want := answer(t, audit.Query(dir, audit.Filter{Connection: "customer-3"}))
	var group sync.WaitGroup
	for n := range 4 {
		x, err := index.Open(index.Options{Path: indexFile(dir), Dir: dir, Logger: slog.New(slog.DiscardHandler)})
		if err != nil {
			t.Fatal(err)
		}
		defer x.Close()
		group.Go(func() {
			for i := range 5 {
				if n == 3 && i%2 == 1 {
					if err := x.Reset(t.Context()); err != nil {
						t.Error(err)
					}
				} else if p, err := x.Update(t.Context()); err != nil || n != 3 && p.Done != 3 {
					t.Errorf("%+v, %v", p, err)
				}
			}
		})
		group.Go(func() {
			for range 5 {
				n := 0
				for e, err := range x.Query(t.Context(), audit.Filter{Connection: "customer-3"}) {
					if err != nil || n == len(want) || !strings.Contains(want[n], string(e.Raw)) {
						t.Errorf("answer %d: %v", n, err)
						return
					}
					n++
				}
				if n != len(want) {
					t.Errorf("%d answers, want %d", n, len(want))
				}
			}
		})
	}
	group.Wait()
}

// TestReadsNoMoreThanItMust: blocks that cannot answer are not looked at, as nothing
// is said of what was done to them.
func TestReadsNoMoreThanItMust(t *testing.T) {
	dir := logDir(t)
	var records []audit.Record
	for n := range 1000 {
		r := big(start.Add(time.Duration(n)*time.Second), n)
		if n == 900 {
			r.Code = audit.CodeInterrupted
		}
		records = append(records, r)
	}
	writeLog(t, dir, append(records, big(start.Add(time.Hour), 1000))...)
	x := open(t, dir)
	update(t, x)
	overwrite(t, filepath.Join(dir, segmentNames(t, dir)[0]), 0, []byte("no record"))
	for _, row := range []struct {
		filter audit.Filter
		want   int
	}{
		{audit.Filter{Code: audit.CodeInterrupted}, 1},
		{audit.Filter{Text: traceOf(900)}, 1},
		{audit.Filter{Text: traceOf(900)[3:19]}, 1},
		{audit.Filter{Text: traceOf(2000)}, 0},
		{audit.Filter{Since: start.Add(900 * time.Second)}, 101},
		{audit.Filter{Client: "nobody"}, 0},
		{audit.Filter{Limit: 50}, 50},
		{audit.Filter{Limit: 50, Client: "billing"}, 50},
		{audit.Filter{Limit: 50, Client: "billing", Status: 200}, 50},
		{audit.Filter{Limit: 50, Connection: "customer-3"}, 50},
		{audit.Filter{Limit: 1, Until: start.Add(500 * time.Second)}, 1},
	} {
		t.Run(fmt.Sprintf("%+v", row.filter), func(t *testing.T) {
			n := 0
			for _, err := range x.Query(t.Context(), row.filter) {
				if err != nil {
					t.Error(err)
				}
				n++
			}
			if n != row.want {
				t.Errorf("%d answers, want %d", n, row.want)
			}
		})
	}
}

// TestShowsBrokenLinesWhateverIsAsked: as [audit.Query] does.
func TestShowsBrokenLinesWhateverIsAsked(t *testing.T) {
	dir := logDir(t)
	hours(t, dir, 2, 600)
	overwrite(t, filepath.Join(dir, segmentNames(t, dir)[0]), 500_000, []byte("\nbroken\n"))
	x := open(t, dir)
	update(t, x)
	lines := answer(t, x.Query(t.Context(), audit.Filter{Client: "nobody", Limit: 10}))
	if len(lines) != 3 || !strings.Contains(lines[1], " broken ") {
		t.Errorf("%d lines", len(lines))
	}
	mustAgree(t, x, dir, questions()...)
}

func TestQueryEndsWithItsContext(t *testing.T) {
	dir := logDir(t)
	hours(t, dir, 3, 50)
	x := open(t, dir)
	update(t, x)
	for _, f := range []audit.Filter{{}, {Limit: 100}, {Client: "nobody"}} {
		ctx, cancel := context.WithCancel(t.Context())
		n := 0
		var last error
		if f.Client != "" {
			cancel()
		}
		for _, err := range x.Query(ctx, f) {
			cancel()
			n, last = n+1, err
		}
		cancel()
		if n > 2 || !errors.Is(last, context.Canceled) {
			t.Errorf("%+v: %d answers, then %v", f, n, last)
		}
	}
}

// TestTimesAtTheEdgesOfBlocks: since is inclusive, until is not.
func TestTimesAtTheEdgesOfBlocks(t *testing.T) {
	dir := logDir(t)
	hours(t, dir, 2, 50) // a block an hour
	x := open(t, dir)
	update(t, x)
	first, last := start, start.Add(49*time.Second)
	for _, row := range []struct {
		filter audit.Filter
		want   int
	}{
		{audit.Filter{Since: last, Until: last.Add(time.Hour)}, 50},
		{audit.Filter{Since: last.Add(1), Until: last.Add(time.Hour)}, 49},
		{audit.Filter{Until: first}, 0},
		{audit.Filter{Until: first.Add(1)}, 1},
		{audit.Filter{Since: first, Until: last, Limit: 60}, 49},
	} {
		if n := count(t, x.Query(t.Context(), row.filter)); n != row.want {
			t.Errorf("%+v: %d answers, want %d", row.filter, n, row.want)
		}
	}
}
