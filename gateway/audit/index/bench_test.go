package index_test

import (
	"flag"
	"iter"
	"log/slog"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"
	"time"

	"jiragate/gateway/audit"
	"jiragate/gateway/audit/index"
)

// The log of the benchmarks: go test -bench . -index.records 10000000
var (
	benchRecords = flag.Int("index.records", 50_000, "records of the log of the benchmarks")
	benchPerHour = flag.Int("index.perhour", 20_000, "of them in an hour")
)

// BenchmarkIndex builds the index of a log and asks it, and the log without it. The
// first record of an answer is what a person waits for; the times are for all of it.
func BenchmarkIndex(b *testing.B) {
	dir := b.TempDir()
	g := &generator{rand.New(rand.NewPCG(1, 2)), *benchPerHour, 64 << 20}
	middle, size := g.write(b, dir, *benchRecords)
	path := filepath.Join(b.TempDir(), "index.sqlite")
	x, err := index.Open(index.Options{Path: path, Dir: dir, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { x.Close() })

	b.Run("build", func(b *testing.B) {
		var p index.Progress
		records := int64(0)
		for b.Loop() {
			if err := x.Reset(b.Context()); err != nil {
				b.Fatal(err)
			}
			if p, err = x.Update(b.Context()); err != nil {
				b.Fatal(err)
			}
			records += p.Records
		}
		b.ReportMetric(float64(records)/b.Elapsed().Seconds(), "records/s")
		if p.Records > 0 {
			b.ReportMetric(float64(fileSize(b, path))/float64(p.Records), "index-B/record")
			b.ReportMetric(float64(size)/float64(*benchRecords), "log-B/record")
		}
	})
	if _, err := x.Update(b.Context()); err != nil {
		b.Fatal(err)
	}

	day := middle.time.Truncate(24 * time.Hour)
	for _, q := range []struct {
		name   string
		filter audit.Filter
	}{
		{"connection-and-day", audit.Filter{Connection: "customer-290", Since: day, Until: day.Add(24 * time.Hour)}},
		{"busy-connection-and-day", audit.Filter{Connection: "customer-007", Since: day, Until: day.Add(24 * time.Hour)}},
		{"rare-code", audit.Filter{Code: audit.CodeInterrupted}},
		{"last-50-of-a-client", audit.Filter{Client: "service-13", Limit: 50}},
		{"last-50-of-a-refused-connection", audit.Filter{Connection: "customer-250", Decision: audit.DecisionDeny, Limit: 50}},
		{"last-50", audit.Filter{Limit: 50}},
		{"page-in-the-middle", audit.Filter{Before: uint64(*benchRecords / 2), Limit: 50}},
		{"page-of-calls-of-a-connection", audit.Filter{Before: uint64(*benchRecords / 2), Connection: "customer-100", Kind: audit.KindCall, Limit: 50}},
		{"page-of-acts", audit.Filter{Kind: audit.KindAct, Limit: 50}},
		{"text-record-id", audit.Filter{Text: middle.id}},
		{"text-trace-id", audit.Filter{Text: middle.trace}},
		{"text-half-a-trace-id", audit.Filter{Text: middle.trace[8:24]}},
		{"text-nowhere", audit.Filter{Text: "0123456789abcdef0123456789abcdef"}},
	} {
		b.Run("query/"+q.name, func(b *testing.B) {
			answers := 0
			for b.Loop() {
				answers = count(b, x.Query(b.Context(), q.filter))
			}
			b.ReportMetric(float64(answers), "answers")
		})
		b.Run("scan/"+q.name, func(b *testing.B) {
			for b.Loop() {
				count(b, audit.Query(dir, q.filter))
			}
		})
	}
}

func count(tb testing.TB, answer iter.Seq2[audit.Entry, error]) (n int) {
	tb.Helper()
	for _, err := range answer {
		if err != nil {
			tb.Fatal(err)
		}
		n++
	}
	return n
}

func fileSize(tb testing.TB, path string) (size int64) {
	tb.Helper()
	for _, suffix := range []string{"", "-wal"} {
		if info, err := os.Stat(path + suffix); err == nil {
			size += info.Size()
		}
	}
	return size
}
