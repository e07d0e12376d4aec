package audit

import (
	"bytes"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
)

// journalOf are intents as a journal has them.
func journalOf(records ...Record) []byte {
	var content []byte
	for _, r := range records {
		r = r.canonical()
		content = append(appendRecord(content, &r), '\n')
	}
	return content
}

// FuzzReadJournal reads any file as a journal: each intent is a line of it, as it stands
// there; what is neither that nor room that was made ready is kept as torn.
func FuzzReadJournal(f *testing.F) {
	whole := journalOf(intent("POST"), intent("GET"))
	f.Add(whole)
	f.Add(whole[:len(whole)-20])
	f.Add(append(bytes.Clone(whole), make([]byte, 100)...))
	f.Add(append(make([]byte, 100), whole...))
	f.Add([]byte("\x00\n\x00"))
	f.Add([]byte("{}\n\n"))
	path := filepath.Join(f.TempDir(), journalName(1))
	f.Fuzz(func(t *testing.T, content []byte) {
		writeTestFile(t, path, content)
		intents, torn, err := readJournal(path)
		if err != nil {
			t.Fatal(err)
		}
		rest := content
		for _, r := range intents {
			line := appendRecord(nil, &r)
			at := bytes.Index(rest, line)
			if at < 0 {
				t.Fatalf("the intent %s is not in %q, or not in that order", line, content)
			}
			rest = rest[at+len(line):]
		}
		if again, none, err := reread(t, path, torn); err != nil || len(again) > 0 || !bytes.Equal(none, bytes.TrimRight(torn, "\x00")) {
			t.Errorf("of %q, which is torn, %d are intents and %q is torn: %v", torn, len(again), none, err)
		}
		if lost := visible(content) - visible(torn) - visible(journalOf(intents...)); lost != 0 {
			t.Errorf("%d bytes of %q are in no intent, nor kept as torn", lost, content)
		}
	})
}

func reread(t *testing.T, path string, content []byte) ([]Record, []byte, error) {
	writeTestFile(t, path, content)
	return readJournal(path)
}

// visible is how many bytes are something: room is made of zeros, and lines end.
func visible(content []byte) int {
	return len(content) - bytes.Count(content, []byte{0}) - bytes.Count(content, []byte{'\n'})
}

// FuzzReadEnd looks for the end of any segment: what is before it ends in the record that
// is told, and behind it there is no other.
func FuzzReadEnd(f *testing.F) {
	files, names := chainedLog()
	whole := files[names[0]]
	f.Add(whole)
	f.Add(whole[:len(whole)-10])
	f.Add(append(bytes.Clone(whole), "torn"...))
	f.Add(append(bytes.Clone(whole), "torn\n{}\n"...))
	f.Add(append([]byte("torn\n"), whole...))
	f.Add([]byte{})
	f.Add([]byte("\n"))
	path := filepath.Join(f.TempDir(), segmentFor(start).name)
	f.Fuzz(func(t *testing.T, content []byte) {
		writeTestFile(t, path, content)
		end, err := readEnd(path)
		if err != nil {
			t.Fatal(err)
		}
		if end.size < 0 || end.size > int64(len(content)) || !bytes.Equal(end.torn, content[end.size:]) {
			t.Fatalf("%q ends at %d, and %q is torn", content, end.size, end.torn)
		}
		for line := range bytes.Lines(end.torn) {
			if text, whole := bytes.CutSuffix(line, []byte("\n")); whole {
				if r, err := decode(text); err == nil {
					t.Errorf("record %d is behind the end", r.Seq)
				}
			}
		}
		if end.size == 0 {
			return
		}
		before, last := lastLine(content[:end.size])
		r, err := decode(last)
		if err != nil || r.Seq != end.seq || hashLine(last) != end.hash {
			t.Errorf("%q has become record %d with hash %s: %v", last, end.seq, end.hash, err)
		}
		if end.chained && len(before) > 0 {
			if _, previous := lastLine(before); r.Prev != hashLine(previous) {
				t.Errorf("record %d does not follow %q", r.Seq, previous)
			}
		}
	})
}

// FuzzNames: what a directory holds is the log's if the log gives it that name, and means
// what the log meant by it.
func FuzzNames(f *testing.F) {
	for _, name := range []string{
		"2026-11-23T10.jsonl", "2026-11-23T10_0002.jsonl", "2026-11-23T10_0001.jsonl", "2026-11-23T10_9999.jsonl", "2026-11-23T24.jsonl",
		"2026-11-23T10_+002.jsonl", "2026-11-23T10_0002x.jsonl", "pending-00000001.journal", "pending-99999999999999999999.journal", "pending- 0000001.journal",
		"2026-11-23T10.jsonl#1-20", "#-", "x#5-18446744073709551616",
	} {
		f.Add(name)
	}
	f.Fuzz(func(t *testing.T, name string) {
		if s, ok := parseSegment(name); ok {
			if again := newSegment(s.hour, s.part); again != s || s.name != name || s.part < 1 || s.part > maxPart || s.hour.Truncate(time.Hour) != s.hour {
				t.Errorf("%q is read as %+v", name, s)
			}
			if next := s.next(s.hour); s.part < maxPart && (next.compare(s) <= 0 || next.name <= s.name) {
				t.Errorf("%s does not follow %s", next.name, s.name)
			}
			if isJournal(name) {
				t.Errorf("%q is a journal, too", name)
			}
		}
		if isJournal(name) {
			digits := strings.TrimSuffix(strings.TrimPrefix(name, "pending-"), ".journal")
			if n, err := strconv.ParseUint(digits, 10, 64); err != nil || journalName(n) != name {
				t.Errorf("%q is a journal", name)
			}
		}
		r := Record{Operation: OperationDelete, Client: ClientLog, Decision: DecisionAllow, Path: name}
		last := removedUpTo(&r)
		if last > 0 && !strings.Contains(name, "#") {
			t.Errorf("%q tells of records up to %d", name, last)
		}
		r.Path = removedPath(segmentFor(start).name, 1, last)
		if again := removedUpTo(&r); again != last {
			t.Errorf("%q tells of records up to %d, not %d", r.Path, again, last)
		}
	})
}

// FuzzParseTime: a time is understood as Go's own package does, or refused in words that
// repeat nothing of it.
func FuzzParseTime(f *testing.F) {
	for _, s := range []string{"", "24h", "-1h", "+1h", "0s", "1ns", "2026-01-31", "2026-02-31", "2026-01-31T12:00:00Z", "2026-01-31T12:00:00.5+02:00", "9999-12-31", "2562047h", "\x1b[31m"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		at, err := ParseTime(s, start)
		if err != nil {
			if !at.IsZero() || err.Error() != "use a time like 2026-01-31T12:00:00Z, a date like 2026-01-31, or a duration like 24h" {
				t.Errorf("%q: %v, %v", s, at, err)
			}
			return
		}
		if s == "" {
			if !at.IsZero() {
				t.Errorf("nothing is %v", at)
			}
			return
		}
		if exact, err := time.Parse(time.RFC3339, s); err == nil && !at.Equal(exact) {
			t.Errorf("%q is %v", s, at)
		} else if day, err := time.Parse(time.DateOnly, s); err == nil && !at.Equal(day) {
			t.Errorf("%q is %v", s, at)
		} else if ago, err := time.ParseDuration(s); err == nil && (ago <= 0 || at.After(start)) {
			t.Errorf("%q before %v is %v", s, start, at)
		}
	})
}
