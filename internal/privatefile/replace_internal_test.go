package privatefile

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
)

var errStep = errors.New("the disk is gone")

// Whichever step fails, the old content or the new one is there, whole, nothing
// else is, and the caller is told.
func TestReplaceFailingAtEachStep(t *testing.T) {
	for _, test := range []struct{ step, want string }{
		{"create", "old"},
		{"write", "old"},
		{"sync", "old"},
		{"rename", "old"},
		{"sync the folder", "new"},
	} {
		t.Run(test.step, func(t *testing.T) {
			dir := t.TempDir()
			path := filepath.Join(dir, "f")
			if err := Create(path, []byte("old")); err != nil {
				t.Fatal(err)
			}
			asked := false
			r := replacer{step: func(name string) error {
				if name != test.step {
					return nil
				}
				asked = true
				return errStep
			}}
			if err := r.replace(path, SumOf([]byte("old")), []byte("new")); !errors.Is(err, errStep) || !asked {
				t.Errorf("error %v, want that of the step", err)
			}
			if got, err := os.ReadFile(path); err != nil || string(got) != test.want {
				t.Errorf("it holds %q, %v; want %q", got, err, test.want)
			}
			if entries, _ := os.ReadDir(dir); len(entries) != 1 {
				t.Errorf("the folder holds %v, want f alone", entries)
			}
			if err := Replace(path, SumOf([]byte(test.want)), []byte("newer")); err != nil {
				t.Errorf("afterwards it can't be replaced: %v", err)
			}
		})
	}
}

// The file is never in a state in between: before the rename it is the old one
// to the last byte, although the new one lies beside it.
func TestReplaceOrder(t *testing.T) {
	path := filepath.Join(t.TempDir(), "f")
	if err := Create(path, []byte("old")); err != nil {
		t.Fatal(err)
	}
	var steps []string
	r := replacer{step: func(name string) error {
		steps = append(steps, name)
		want := "old"
		if name == "sync the folder" {
			want = "new"
		}
		if got, err := os.ReadFile(path); err != nil || string(got) != want {
			t.Errorf("before %q it holds %q, %v; want %q", name, got, err, want)
		}
		if name == "rename" {
			if got, err := os.ReadFile(path + ".next"); err != nil || string(got) != "new" {
				t.Errorf("what is about to take its place holds %q, %v", got, err)
			}
		}
		return nil
	}}
	if err := r.replace(path, SumOf([]byte("old")), []byte("new")); err != nil {
		t.Fatal(err)
	}
	if want := []string{"create", "write", "sync", "rename", "sync the folder"}; len(steps) != len(want) {
		t.Errorf("steps %q, want %q", steps, want)
	} else {
		for i := range want {
			if steps[i] != want[i] {
				t.Errorf("steps %q, want %q", steps, want)
				break
			}
		}
	}
}

// While one is at work, another is refused rather than made to wait, also if it
// has opened the file before the first one replaced it.
func TestReplaceWhileAnotherReplaces(t *testing.T) {
	path := filepath.Join(t.TempDir(), "f")
	if err := Create(path, []byte("old")); err != nil {
		t.Fatal(err)
	}
	stale, err := Open(path, os.O_RDWR)
	if err != nil {
		t.Fatal(err)
	}
	defer stale.Close()
	r := replacer{step: func(name string) error {
		if name == "rename" {
			if err := Replace(path, SumOf([]byte("old")), []byte("other")); !errors.Is(err, ErrChanged) {
				t.Errorf("in the middle of it: error %v, want ErrChanged", err)
			}
		}
		return nil
	}}
	if err := r.replace(path, SumOf([]byte("old")), []byte("new")); err != nil {
		t.Fatal(err)
	}
	if err := lock(stale, path); !errors.Is(err, ErrChanged) {
		t.Errorf("locking what the path named before: error %v, want ErrChanged", err)
	}
	if got, _ := os.ReadFile(path); string(got) != "new" {
		t.Errorf("it holds %q", got)
	}
}
