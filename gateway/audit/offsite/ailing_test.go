package offsite

import (
	"errors"
	"os"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"
)

// ailing is a disk that fails in one step.
type ailing struct {
	disk
	step string // write, full, short, sync, close, dir; empty: it is well
}

var errAiling = errors.New("input/output error")

func (a *ailing) create(path string) (newFile, error) {
	f, err := a.disk.create(path)
	if err != nil {
		return nil, err
	}
	return ailingFile{f, a.step}, nil
}

func (a *ailing) syncDir(dir string) error {
	if a.step == "dir" {
		return errAiling
	}
	return a.disk.syncDir(dir)
}

type ailingFile struct {
	newFile
	step string
}

func (f ailingFile) Write(b []byte) (int, error) {
	switch f.step {
	case "write":
		n, _ := f.newFile.Write(b[:5])
		return n, errAiling
	case "short":
		return f.newFile.Write(b[:5])
	case "full": // what the system says of a full disk
		full, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
		if err != nil {
			return 0, err
		}
		defer full.Close()
		return full.Write(b)
	}
	return f.newFile.Write(b)
}

func (f ailingFile) Sync() error {
	err := f.newFile.Sync()
	if f.step == "sync" {
		return errAiling
	}
	return err
}

func (f ailingFile) Close() error {
	err := f.newFile.Close()
	if f.step == "close" {
		return errAiling
	}
	return err
}

// A checkpoint is delivered when it is on disk. What a failure left is neither
// trusted nor removed.
func TestAnAilingDisk(t *testing.T) {
	for _, step := range []string{"write", "full", "short", "sync", "close", "dir"} {
		t.Run(step, func(t *testing.T) {
			dir, c := t.TempDir(), at(t, 7)
			a := &ailing{step: step}
			d := directoryAt(dir, nil)
			d.storage = a
			for range 2 {
				err := d.carry(t.Context(), c)
				if err == nil {
					t.Fatal("it is said to be delivered")
				}
				if step == "full" && !errors.Is(err, syscall.ENOSPC) {
					t.Errorf("got %v", err)
				}
			}
			left := files(t, dir)
			a.step = ""
			mustCarry(t, d, c)
			if len(left) != 2 {
				t.Errorf("two failures left %q", left)
			}
			left[c.fileName(3)] = string(c.signed)
			wantFiles(t, dir, left)
		})
	}
}

// A file that is there may be one that another process wrote and never synced: it
// counts once it is on disk, and not under a name whose sync has failed.
func TestAnAilingDiskUnderAFileThatExists(t *testing.T) {
	dir, c := t.TempDir(), at(t, 7)
	mustCarry(t, directoryAt(dir, nil), c) // another process
	a := &ailing{step: "dir"}
	d := directoryAt(dir, nil)
	d.storage = a
	if err := d.carry(t.Context(), c); !errors.Is(err, errAiling) {
		t.Errorf("got %v, want %v", err, errAiling)
	}
	wantFiles(t, dir, map[string]string{c.fileName(1): string(c.signed)})
	a.step = ""
	mustCarry(t, d, c)
	wantFiles(t, dir, map[string]string{c.fileName(1): string(c.signed), c.fileName(2): string(c.signed)})
}

func TestRecoversFromAFullDisk(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir := t.TempDir()
		a := &ailing{step: "full"}
		d := directoryAt(dir, nil)
		d.storage = a
		c := courierTo(t, Options{}, d)
		stop := start(t, c)
		c.Offer(signed(t, 7), 7)
		time.Sleep(12 * time.Hour)
		if s := c.Status()[0]; s.FailingSince.IsZero() || !strings.Contains(s.Problem, "no space left") {
			t.Errorf("status %+v", s)
		}
		stop()
		restarted := courierTo(t, Options{}, directoryAt(dir, nil))
		restarted.Offer(signed(t, 7), 7)
		defer start(t, restarted)()
		time.Sleep(time.Second)
		found, err := ReadDir(dir)
		if err != nil {
			t.Fatal(err)
		}
		whole := 0
		for _, f := range found {
			if f.Err == nil {
				whole++
			}
		}
		if whole != 1 || len(found) > 12*12*2 {
			t.Errorf("%d files, %d of them whole", len(found), whole)
		}
	})
}
