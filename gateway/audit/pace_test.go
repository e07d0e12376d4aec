package audit

import (
	"bytes"
	"errors"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"
)

// TestPace: work takes a tenth of the time, and none of it once the log is to end.
func TestPace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		stop := make(chan struct{})
		p := newPace(stop)
		for _, row := range []struct{ work, rest time.Duration }{
			{time.Millisecond, 9 * time.Millisecond},
			{2 * time.Millisecond, 18 * time.Millisecond},
			{0, 0},
			{time.Minute, longestRest}, // the disk was slow
		} {
			time.Sleep(row.work)
			before := time.Now()
			p.rest()
			if got := time.Since(before); got != row.rest {
				t.Errorf("after %s of work a rest of %s, want %s", row.work, got, row.rest)
			}
		}
		close(stop)
		time.Sleep(time.Second)
		before := time.Now()
		if p.rest(); time.Since(before) != 0 {
			t.Error("rests although the log is to end")
		}
	})
}

// TestCompressionRests after each block, as it writes and as it reads again, and still
// makes the same of the log.
func TestCompressionRests(t *testing.T) {
	dir := auditDir(t)
	l := mustOpen(t, Options{Dir: dir, Sync: SyncBatch})
	fill(t, l, 9)
	mustClose(t, l)
	dir = snapshot(t, dir) // what follows is no log any more
	s := segmentFor(start)
	path := filepath.Join(dir, s.name)
	line := readFile(t, path)
	long := bytes.Repeat(line, 5*blockSize/2/len(line))
	writeTestFile(t, path, long)
	rests := 0
	if err := compressSegmentResting(disk{}, dir, s, func() { rests++ }); err != nil {
		t.Fatal(err)
	}
	if rests != 6 {
		t.Errorf("%d rests for three blocks that are written and read", rests)
	}
	if got := s.text(t, dir); !bytes.Equal(got, long) {
		t.Error("the segment holds something else")
	}
}

// TestCompare: what is compressed must hold all of the plain file, and nothing else.
func TestCompare(t *testing.T) {
	text := bytes.Repeat([]byte("a line\n"), blockSize/3)
	changed := bytes.Clone(text)
	changed[len(changed)-2] = 'x'
	for _, row := range []struct {
		name   string
		zipped []byte
		same   bool
	}{
		{"the same", text, true},
		{"its last line changed", changed, false},
		{"a byte more", append(bytes.Clone(text), '\n'), false},
		{"a byte less", text[:len(text)-1], false},
		{"nothing", nil, false},
	} {
		plain, zipped := filepath.Join(t.TempDir(), "plain"), filepath.Join(t.TempDir(), "zipped")
		writeTestFile(t, plain, row.zipped)
		if err := compressFile(disk{}, plain, zipped, func() {}); err != nil {
			t.Fatal(err)
		}
		writeTestFile(t, plain, text)
		err := compare(plain, zipped, func() {})
		if row.same != (err == nil) || err != nil && !errors.Is(err, errDiffers) {
			t.Errorf("%s: %v", row.name, err)
		}
	}
}

// TestTheLastPartOfAnHour takes what is left of it: a name has no room for another.
func TestTheLastPartOfAnHour(t *testing.T) {
	dir := t.TempDir()
	for _, row := range []struct{ part, next int }{{maxPart - 1, maxPart}, {maxPart, maxPart}} {
		s := newSegment(start.Truncate(time.Hour), row.part)
		f, err := openSegment(disk{}, filepath.Join(dir, s.name), 0)
		if err != nil {
			t.Fatal(err)
		}
		c := chain{fs: disk{}, dir: dir, limit: 0, segment: s, file: f}
		if err := c.rotate(start); err != nil || c.segment.part != row.next {
			t.Errorf("after part %d comes %d, %v", row.part, c.segment.part, err)
		}
		if err := c.close(); err != nil {
			t.Fatal(err)
		}
	}
}
