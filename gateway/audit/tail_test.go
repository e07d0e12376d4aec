package audit

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"
)

// next reads on, and gives the seqs.
func next(t *testing.T, tail *Tail, f Filter) (seqs []uint64) {
	t.Helper()
	for e, err := range tail.Next(f) {
		if err != nil {
			t.Fatal(err)
		}
		if r, err := ParseLine(e.Raw); err != nil || r.Seq != e.Seq {
			t.Errorf("the line of %d: %s, %v", e.Seq, e.Raw, err)
		}
		seqs = append(seqs, e.Seq)
	}
	return seqs
}

// TestTail follows a log over segments, compression, retention and another start.
func TestTail(t *testing.T) {
	dir := auditDir(t)
	hour := 0
	l := mustOpen(t, Options{Dir: dir})
	write := func(client string) {
		t.Helper()
		r := refusal()
		r.Time, r.Client = start.Add(time.Duration(hour)*time.Hour), client
		mustAppend(t, l, r)
	}
	expect := func(what string, tail *Tail, f Filter, want ...uint64) {
		t.Helper()
		if got := next(t, tail, f); !slices.Equal(got, want) {
			t.Errorf("%s: %v, want %v", what, got, want)
		}
	}
	write("billing") // 1
	hour++
	write("billing") // 2
	tail, err := NewTail(dir)
	if err != nil || tail.Last() != 2 {
		t.Fatal(tail.Last(), err)
	}
	write("billing") // 3
	expect("after the second", tail, Filter{}, 3)
	expect("nothing new", tail, Filter{})
	write("billing") // 4
	write("Other")   // 5
	write("billing") // 6
	expect("a filter", tail, Filter{Client: "billing"}, 4, 6)
	expect("what a filter held back is not given later", tail, Filter{})
	write("Other") // 7
	hour++
	write("Other") // 8, in the next segment
	hour++
	write("billing") // 9
	write("Other")   // 10
	expect("text in two more segments", tail, Filter{Text: "OTHER"}, 7, 8, 10)

	write("billing") // 11
	segment := filepath.Join(dir, tail.segment.name)
	hour++
	write("billing") // 12
	if err := compressSegment(disk{}, dir, tail.segment); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(segment); err == nil {
		t.Fatal("the segment is not compressed")
	}
	expect("a segment that was compressed halfway", tail, Filter{}, 11, 12)

	mustClose(t, l)
	l = mustOpen(t, Options{Dir: dir})
	write("billing") // 13
	for e, err := range tail.Next(Filter{}) {
		if e.Seq != 13 || err != nil {
			t.Error(e.Seq, err)
		}
		write("billing") // 14
		write("billing") // 15
		break
	}
	expect("where it stopped early", tail, Filter{}, 14, 15)
	mustClose(t, l)
}

// TestTailOfWhatIsBeingWritten: half a line is not there yet, and what the log takes
// back is not given twice.
func TestTailOfWhatIsBeingWritten(t *testing.T) {
	dir := auditDir(t)
	l := mustOpen(t, Options{Dir: dir})
	mustAppend(t, l, refusal())
	mustAppend(t, l, refusal())
	mustClose(t, l)
	path := glob(t, dir, "*.jsonl")[0]
	whole := readFile(t, path)
	first := slices.Index(whole, '\n') + 1

	writeTestFile(t, path, nil)
	tail, err := NewTail(dir)
	if err != nil || tail.Last() != 0 {
		t.Fatal(tail.Last(), err)
	}
	writeTestFile(t, path, whole[:first+20])
	if got := next(t, tail, Filter{}); !slices.Equal(got, []uint64{1}) {
		t.Errorf("half a line: %v", got)
	}
	writeTestFile(t, path, whole)
	if got := next(t, tail, Filter{}); !slices.Equal(got, []uint64{2}) {
		t.Errorf("the rest of it: %v", got)
	}
	if again, err := NewTail(dir); err != nil || again.Last() != 2 {
		t.Error(again.Last(), err)
	}
	writeTestFile(t, path, whole[:first])
	if again, err := NewTail(dir); err != nil || again.Last() != 1 {
		t.Error(again.Last(), err)
	}
	next(t, tail, Filter{})
	writeTestFile(t, path, whole)
	if got := next(t, tail, Filter{}); len(got) > 0 {
		t.Errorf("again: %v", got)
	}

	later := filepath.Join(dir, "2026-11-23T11.jsonl")
	writeTestFile(t, later, nil)
	if empty, err := NewTail(dir); err != nil || empty.Last() != 2 || empty.offset != 0 {
		t.Error(empty.Last(), empty.offset, err)
	}
	if err := os.Remove(later); err != nil {
		t.Fatal(err)
	}

	writeTestFile(t, path, slices.Concat(whole, []byte("garbage\n")))
	var defects []*DefectError
	for range 2 {
		for _, err := range tail.Next(Filter{}) {
			defect, ok := errors.AsType[*DefectError](err)
			if !ok {
				t.Fatal(err)
			}
			defects = append(defects, defect)
		}
	}
	if len(defects) != 1 || defects[0].Line != 3 {
		t.Errorf("a line that is none: %v", defects)
	}
	if behind, err := NewTail(dir); err != nil || behind.Last() != 2 || len(next(t, behind, Filter{})) > 0 {
		t.Errorf("behind a line that is none: %d, %v", behind.Last(), err)
	}
	writeTestFile(t, path, whole)
}

func TestTailOfNoLog(t *testing.T) {
	if _, err := NewTail(auditDir(t)); !errors.Is(err, os.ErrNotExist) {
		t.Error(err)
	}
}

// TestFoundIsWhatObserveIsNotGiven: what was there before, and nothing of what Open
// writes.
func TestFoundIsWhatObserveIsNotGiven(t *testing.T) {
	dir := auditDir(t)
	l := mustOpen(t, Options{Dir: dir})
	if l.Found() != 0 {
		t.Errorf("a new log: %d", l.Found())
	}
	mustAppend(t, l, refusal())
	mustAppend(t, l, refusal())
	mustBegin(t, l, intent("GET"))
	mustClose(t, l)
	var seen []uint64
	l = mustOpen(t, Options{Dir: dir, Observe: func(r Record) { seen = append(seen, r.Seq) }})
	mustAppend(t, l, refusal())
	if l.Found() != 2 || !slices.Equal(seen, []uint64{3, 4}) {
		t.Errorf("found %d, observed %v", l.Found(), seen)
	}
}
