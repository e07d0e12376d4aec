package audit

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestPrepare: a prepared file is zeros as far as it has room, whatever was there before;
// one for which there is no room is empty, and can be written.
func TestPrepare(t *testing.T) {
	for _, row := range []struct {
		name       string
		size, want int64
	}{
		{"a part of a step", 5000, 5000},
		{"several steps", 2*prepareStep + 1, 2*prepareStep + 1},
		{"more than any disk has", 1 << 60, 0},
	} {
		t.Run(row.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "file")
			writeTestFile(t, path, []byte("from before"))
			f, err := disk{}.prepare(path, row.size)
			if err != nil {
				t.Fatal(err)
			}
			defer f.Close()
			if got := readFile(t, path); !bytes.Equal(got, make([]byte, row.want)) {
				t.Errorf("%d bytes, want %d zeros", len(got), row.want)
			}
			if _, err := f.WriteAt([]byte("line\n"), 0); err != nil {
				t.Error(err)
			}
			if err := f.Sync(); err != nil {
				t.Error(err)
			}
			if got := readFile(t, path); !bytes.HasPrefix(got, []byte("line\n")) || len(got) != int(max(row.want, 5)) {
				t.Errorf("afterwards %d bytes: %.20q", len(got), got)
			}
		})
	}
}

// TestPreparedFileIsNotFollowed: nothing that somebody put in its place is written.
func TestPreparedFileIsNotFollowed(t *testing.T) {
	dir := t.TempDir()
	other, path := filepath.Join(dir, "other"), filepath.Join(dir, "link")
	writeTestFile(t, other, []byte("text"))
	if err := os.Symlink(other, path); err != nil {
		t.Fatal(err)
	}
	if _, err := (disk{}).prepare(path, 10); err == nil || string(readFile(t, other)) != "text" {
		t.Errorf("the link was followed: %v", err)
	}
}

// TestPreparedJournal: what was written to a journal is found among the zeros, wherever a
// crash or a loss of power has left some. What is no line is kept, without them.
func TestPreparedJournal(t *testing.T) {
	killed, call, _ := killedLog(t)
	content := readFile(t, filepath.Join(killed, journalName(1)))
	line := string(content[:bytes.IndexByte(content, '\n')+1])
	zeros := strings.Repeat("\x00", 5000)
	half := line[:len(line)/2]
	for _, row := range []struct {
		name, content string
		intents       int
		torn          string
	}{
		{"nothing was written", zeros, 0, ""},
		{"a line", line + zeros, 1, ""},
		{"the room is full", line + line, 2, ""},
		{"half a line", line + half + zeros, 1, half},
		{"a hole before a line", line + zeros + line + zeros, 2, ""},
		{"a hole at the beginning", zeros + line, 1, ""},
		{"a hole in a line", half + zeros + line[len(half):] + line + zeros, 1, half + zeros + line[len(half):]},
		{"a line whose beginning is in a hole", zeros + line[len(half):] + line, 1, line[len(half):]},
	} {
		t.Run(row.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), journalName(1))
			writeTestFile(t, path, []byte(row.content))
			intents, torn, err := readJournal(path)
			if err != nil || len(intents) != row.intents || string(torn) != row.torn {
				t.Errorf("%d intents, %q, %v", len(intents), torn, err)
			}
			for _, r := range intents {
				if r.ID != call.ID {
					t.Errorf("the intent is %+v", r)
				}
			}
		})
	}
}
