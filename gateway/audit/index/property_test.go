package index_test

import (
	"log/slog"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"jiragate/gateway/audit"
	"jiragate/gateway/audit/index"
)

// TestAnswersAsTheLogDoes: whatever is in the log, whatever became of its segments
// before and after they were indexed, and whatever is asked.
func TestAnswersAsTheLogDoes(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		temp, err := os.MkdirTemp("", "index")
		if err != nil {
			t.Fatal(err)
		}
		defer os.RemoveAll(temp)
		dir := filepath.Join(temp, "audit")
		records := randomRecords(t)
		writeLog(t, dir, records...)
		change(t, dir)
		x, err := index.Open(index.Options{Path: indexFile(dir), Dir: dir, Logger: slog.New(slog.DiscardHandler)})
		if err != nil {
			t.Fatal(err)
		}
		defer x.Close()
		for range 2 {
			if _, err := x.Update(t.Context()); err != nil {
				t.Fatal(err)
			}
			for range 4 {
				f := randomFilter(t, records)
				compare(t, f, answer(t, x.Query(t.Context(), f)), answer(t, audit.Query(dir, f)))
			}
			change(t, dir)
			f := randomFilter(t, records)
			compare(t, f, answer(t, x.Query(t.Context(), f)), answer(t, audit.Query(dir, f)))
		}
	})
}

// words are few, so that questions have answers.
var words = []string{"", "acme", "globex", "ACME", "übung-größe-maß-fluß", "\u212aelvin \u202e turned", "initech\x1b[2J\n", "admin.client.add"}

func randomRecords(t *rapid.T) []audit.Record {
	random := rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "seed"), 0))
	word := func() string { return words[random.IntN(len(words))] }
	n := rapid.IntRange(1, 700).Draw(t, "records")
	spread := rapid.SampledFrom([]time.Duration{time.Second, time.Minute, 30 * time.Minute}).Draw(t, "between two records")
	kilobytes := rapid.IntRange(0, 2).Draw(t, "kilobytes")
	at := start
	var records []audit.Record
	for range n {
		at = at.Add(time.Duration(random.Int64N(int64(spread))))
		late := time.Duration(0)
		if random.IntN(10) == 0 {
			late = time.Duration(random.Int64N(int64(3 * time.Hour)))
		}
		records = append(records, audit.Record{
			Time: at.Add(-late), ID: newID(random, at), Client: word(), Connection: word(), Operation: word(), Code: word(), Region: word(),
			Decision: []string{audit.DecisionAllow, audit.DecisionDeny}[random.IntN(2)], Status: random.IntN(3) * 100,
			Path:       "/rest/" + word() + "/" + randomHex(random, 8) + strings.Repeat("/long", kilobytes*200),
			QueryNames: []string{word(), randomHex(random, 8)}, TraceID: randomHex(random, 16),
		})
	}
	return records
}

// change does to some segments what may happen to them.
func change(t *rapid.T, dir string) {
	names := segmentNames(t, dir)
	for i, name := range names {
		path := filepath.Join(dir, name)
		info, err := os.Stat(path)
		closed := i < len(names)-1
		if err != nil || !closed {
			continue // compressed already
		}
		switch rapid.IntRange(0, 9).Draw(t, "what happens to "+name) {
		case 0, 1:
			compress(t, dir, name, false)
		case 2:
			compress(t, dir, name, true)
		case 3: // a broken line more, so that it has another size
			text, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(path, append(text, "no record\nunfinished"...), 0o600); err != nil {
				t.Fatal(err)
			}
		case 4: // cut off in the middle of a line
			if err := os.Truncate(path, info.Size()/2); err != nil {
				t.Fatal(err)
			}
		case 5:
			if i == 0 { // retention
				if err := os.Remove(path); err != nil {
					t.Fatal(err)
				}
			}
		}
	}
}

func randomFilter(t *rapid.T, records []audit.Record) audit.Filter {
	some := func(name string) audit.Record { return rapid.SampledFrom(records).Draw(t, name) }
	maybe := func(name string, set func()) {
		if rapid.IntRange(0, 3).Draw(t, "by "+name) == 0 {
			set()
		}
	}
	var f audit.Filter
	maybe("since", func() { f.Since = some("since").Time })
	maybe("until", func() { f.Until = some("until").Time.Add(time.Nanosecond) })
	maybe("client", func() { f.Client = some("client").Client })
	maybe("connection", func() { f.Connection = some("connection").Connection })
	maybe("operation", func() { f.Operation = rapid.SampledFrom(words).Draw(t, "operation") })
	maybe("code", func() { f.Code = some("code").Code })
	maybe("decision", func() { f.Decision = some("decision").Decision })
	maybe("status", func() { f.Status = rapid.IntRange(0, 3).Draw(t, "status") * 100 })
	maybe("limit", func() { f.Limit = rapid.IntRange(1, 400).Draw(t, "limit") })
	maybe("kind", func() { f.Kind = rapid.SampledFrom([]audit.Kind{audit.KindCall, audit.KindAct}).Draw(t, "kind") })
	maybe("before", func() { f.Before = rapid.Uint64Range(1, uint64(len(records))+2).Draw(t, "before") })
	maybe("text", func() {
		r := some("text")
		f.Text = rapid.SampledFrom([]string{r.ID, r.TraceID, r.Path, r.QueryNames[0], r.QueryNames[1], r.Region + r.ID}).Draw(t, "in")
		from := rapid.IntRange(0, len(f.Text)).Draw(t, "from")
		f.Text = f.Text[from:rapid.IntRange(from, len(f.Text)).Draw(t, "to")]
		if rapid.Bool().Draw(t, "upper case") {
			f.Text = strings.ToUpper(f.Text)
		}
	})
	return f
}
