package audit

import (
	"bytes"
	"errors"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"
)

// chainedLog is a good log of six records in two segments, as files by name. It
// is made without a Log, so that it is the same each time.
func chainedLog() (files map[string][]byte, names []string) {
	files = make(map[string][]byte)
	prev := genesis
	for n := range 6 {
		r := refusal()
		if n%2 == 0 {
			r = outcome(intent("POST"))
		}
		r.ID = "019ab0c4-5a00-7000-8000-00000000000" + string(rune('1'+n))
		r.Time = start.Add(time.Duration(n/3) * time.Hour)
		r.Seq, r.Prev = uint64(n+1), prev
		r = r.canonical()
		line := appendRecord(nil, &r)
		prev = hashLine(line)
		name := segmentFor(r.Time).name
		files[name] = append(append(files[name], line...), '\n')
	}
	return files, slices.Sorted(maps.Keys(files))
}

func writeLog(t testing.TB, files map[string][]byte) string {
	t.Helper()
	dir := auditDir(t)
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	for name, content := range files {
		writeTestFile(t, filepath.Join(dir, name), content)
	}
	return dir
}

// TestVerifyNamesTheLine: each row tampers in one way.
func TestVerifyNamesTheLine(t *testing.T) {
	type lines = [][]byte
	edit := func(n int, old, new string) func(lines) lines {
		return func(l lines) lines {
			l[n] = bytes.Replace(l[n], []byte(old), []byte(new), 1)
			return l
		}
	}
	const first, second = "2026-11-23T10.jsonl", "2026-11-23T11.jsonl"
	for _, row := range []struct {
		name   string
		tamper func(lines) lines // of all six lines; the last three become the second segment
		file   string
		line   int
	}{
		{"a value changed", edit(1, "operation_not_documented", "not_granted"), first, 3},
		{"a value changed in the last record of a segment", edit(2, `"status":200`, `"status":404`), second, 1},
		{"a space", edit(1, `,"code"`, `, "code"`), first, 2},
		{"an escape", edit(0, "billing", `\u0062illing`), first, 1},
		{"carriage returns", func(l lines) lines {
			for i := range l {
				l[i] = append(l[i], '\r')
			}
			return l
		}, first, 1},
		{"the first record removed", func(l lines) lines { return slices.Delete(l, 0, 1) }, first, 1},
		{"a record removed", func(l lines) lines { return slices.Delete(l, 1, 2) }, first, 2},
		{"a record repeated", func(l lines) lines { return slices.Insert(l, 2, l[1]) }, first, 3},
		{"two records exchanged", func(l lines) lines { l[1], l[2] = l[2], l[1]; return l }, first, 2},
		{"an empty line", func(l lines) lines { return slices.Insert(l, 1, nil) }, first, 2},
		{"a record added, chained on its side", func(l lines) lines {
			r, _ := decode(l[1])
			r.Seq, r.Prev = 3, hashLine(l[1])
			return slices.Insert(l, 2, appendRecord(nil, &r))
		}, first, 4},
		{"a record renumbered", edit(1, `"seq":2`, `"seq":3`), first, 2},
		{"a chain begun afresh half-way", func(l lines) lines {
			r, _ := decode(l[3])
			r.Seq, r.Prev = 1, genesis
			l[3] = appendRecord(nil, &r)
			return l
		}, second, 1},
		{"a later record in an earlier segment", func(l lines) lines {
			r, _ := decode(l[2])
			r.Time = r.Time.Add(time.Hour)
			l[2] = appendRecord(nil, &r)
			return l
		}, first, 3},
	} {
		t.Run(row.name, func(t *testing.T) {
			files, names := chainedLog()
			all := slices.Concat(bytes.Split(bytes.TrimSuffix(files[names[0]], []byte("\n")), []byte("\n")),
				bytes.Split(bytes.TrimSuffix(files[names[1]], []byte("\n")), []byte("\n")))
			all = row.tamper(all)
			files[first] = append(bytes.Join(all[:len(all)-3], []byte("\n")), '\n')
			files[second] = append(bytes.Join(all[len(all)-3:], []byte("\n")), '\n')
			_, err := Verify(writeLog(t, files), VerifyOptions{})
			var defect *DefectError
			if !errors.As(err, &defect) || defect.Segment != row.file || defect.Line != row.line {
				t.Errorf("verify says %v, want %s line %d", err, row.file, row.line)
			}
		})
	}
}

// TestVerifyFiles tampers with whole files.
func TestVerifyFiles(t *testing.T) {
	const first, second = "2026-11-23T10.jsonl", "2026-11-23T11.jsonl"
	for _, row := range []struct {
		name   string
		tamper func(map[string][]byte)
		file   string // of the defect; empty if there is none
		line   int
	}{
		{"nothing", func(map[string][]byte) {}, "", 0},
		{"files of other names", func(f map[string][]byte) { f["notes.txt"], f["2026-11-23T9.jsonl"] = []byte("x"), []byte("y") }, "", 0},
		{"an empty newest segment", func(f map[string][]byte) { f["2026-11-23T12.jsonl"] = nil }, "", 0},
		{"an unfinished last line", func(f map[string][]byte) { f[second] = append(f[second], `{"seq":7`...) }, "", 0},
		{"the first segment removed", func(f map[string][]byte) { delete(f, first) }, second, 1},
		{"segments exchanged", func(f map[string][]byte) { f[first], f[second] = f[second], f[first] }, first, 1},
		{"a segment copied", func(f map[string][]byte) { f["2026-11-23T12.jsonl"] = f[second] }, "2026-11-23T12.jsonl", 1},
		{"an unfinished line before the last segment", func(f map[string][]byte) { f[first] = append(f[first], 'x') }, first, 4},
		{"a newline missing before the last segment", func(f map[string][]byte) { f[first] = f[first][:len(f[first])-1] }, first, 3},
		{"an endless line", func(f map[string][]byte) { f[first] = append(bytes.Repeat([]byte("x"), 1<<20), '\n') }, first, 1},
	} {
		t.Run(row.name, func(t *testing.T) {
			files, _ := chainedLog()
			row.tamper(files)
			report, err := Verify(writeLog(t, files), VerifyOptions{})
			if row.file == "" {
				if err != nil || report.Records != 6 {
					t.Errorf("verify says %+v, %v", report, err)
				}
				return
			}
			var defect *DefectError
			if !errors.As(err, &defect) || defect.Segment != row.file || defect.Line != row.line {
				t.Errorf("verify says %v, want %s line %d", err, row.file, row.line)
			}
		})
	}
}

// TestEveryByteCounts changes one bit of each byte of a log in turn.
func TestEveryByteCounts(t *testing.T) {
	files, _ := chainedLog()
	dir := writeLog(t, files)
	offset := 0
	for _, name := range []string{"2026-11-23T10.jsonl", "2026-11-23T11.jsonl"} {
		for i := range files[name] {
			checkFlip(t, dir, files, name, i, 1<<(offset%8))
			offset++
		}
	}
}

// FuzzVerify changes any byte of a good log into any other. Verify must notice,
// except in the last line, where it may take the change for the truth: that is
// the limit of a chain.
func FuzzVerify(f *testing.F) {
	f.Add(uint(0), byte(1))
	f.Add(uint(1999), byte(0x20))
	f.Add(uint(1<<20), byte(0x80))
	files, names := chainedLog()
	f.Fuzz(func(t *testing.T, offset uint, flip byte) {
		if flip == 0 {
			return
		}
		name := names[offset%2]
		checkFlip(t, writeLog(t, files), files, name, int(offset/2)%len(files[name]), flip)
	})
}

func checkFlip(t *testing.T, dir string, files map[string][]byte, name string, i int, flip byte) {
	t.Helper()
	content := files[name]
	changed := bytes.Clone(content)
	changed[i] ^= flip
	writeTestFile(t, filepath.Join(dir, name), changed)
	defer writeTestFile(t, filepath.Join(dir, name), content)
	report, err := Verify(dir, VerifyOptions{})
	lastLine := name == "2026-11-23T11.jsonl" && i > bytes.LastIndexByte(content[:len(content)-1], '\n')
	if err == nil && !lastLine {
		t.Errorf("byte %d of %s changed from %q to %q unnoticed", i, name, content[i], changed[i])
	}
	if lastLine && report.Records < 5 {
		t.Errorf("byte %d of the last line spoils the records before it: %+v, %v", i, report, err)
	}
}
