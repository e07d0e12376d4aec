package register

import (
	"errors"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"jiragate/internal/privatefile"
)

// A second register of the same file, which would be another process's, doesn't
// undo what the first has written.
func TestConflict(t *testing.T) {
	for _, test := range []struct {
		name  string
		empty bool
		says  string
		spoil func(t *testing.T, dir string)
	}{
		{"both start from nothing", true, "since it was read", announceElsewhere},
		{"both start from a file", false, "since it was read", announceElsewhere},
		{"the file is gone", false, "it is gone", func(t *testing.T, dir string) {
			if err := os.Remove(filepath.Join(dir, "f")); err != nil {
				t.Fatal(err)
			}
		}},
		{"a space was added", false, "since it was read", func(t *testing.T, dir string) {
			content, err := os.ReadFile(filepath.Join(dir, "f"))
			if err = errors.Join(err, os.WriteFile(filepath.Join(dir, "f"), append(content, ' '), privatefile.Mode)); err != nil {
				t.Fatal(err)
			}
		}},
		{"another is at work", false, "since it was read", func(t *testing.T, dir string) {
			f, err := os.OpenFile(filepath.Join(dir, "f"), os.O_RDWR, 0)
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { f.Close() })
			if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX); err != nil {
				t.Fatal(err)
			}
		}},
	} {
		t.Run(test.name, func(t *testing.T) {
			dir := t.TempDir()
			r := openIn(t, dir)
			if !test.empty {
				if _, err := r.Announce(first, noon, noon); err != nil {
					t.Fatal(err)
				}
			}
			history, token := r.History(), r.SyncToken()
			test.spoil(t, dir)
			before, _ := os.ReadFile(r.path)
			if c, err := r.Retire(first, noon.Add(time.Hour), noon); !errors.Is(err, ErrConflict) && !test.empty {
				t.Errorf("retired: %v, %v", c, err)
			}
			if c, err := r.Observe([]netip.Addr{later, first.Next()}, noon); !errors.Is(err, ErrConflict) || !strings.Contains(err.Error(), test.says+"; start again") {
				t.Errorf("observed: %v, %v", c, err)
			}
			if after, _ := os.ReadFile(r.path); string(after) != string(before) {
				t.Errorf("the file holds %q", after)
			}
			if !slices.Equal(r.History(), history) || r.SyncToken() != token {
				t.Errorf("the register has %v", r.History())
			}
		})
	}
}

func announceElsewhere(t *testing.T, dir string) {
	if _, err := openIn(t, dir).Announce(later, noon, noon); err != nil {
		t.Fatal(err)
	}
}

// Of many registers that change the same file at once, one wins; and one register
// takes the changes of many callers, while others read it.
func TestRaces(t *testing.T) {
	dir := t.TempDir()
	registers := make([]*Register, 8)
	for i := range registers {
		registers[i] = openIn(t, dir)
	}
	address := first
	for range 2 { // once with no file, once with one
		var wg sync.WaitGroup
		var mu sync.Mutex
		var winners []*Register
		for _, r := range registers {
			own := address
			address = address.Next()
			wg.Go(func() {
				if _, err := r.Announce(own, noon, noon); err == nil {
					mu.Lock()
					winners = append(winners, r)
					mu.Unlock()
				} else if !errors.Is(err, ErrConflict) {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		if len(winners) != 1 {
			t.Fatalf("%d think they won", len(winners))
		}
		onlyFiles(t, dir, "f")
		r := openIn(t, dir)
		if !slices.Equal(r.History(), winners[0].History()) {
			t.Errorf("the file has %v, the winner %v", r.History(), winners[0].History())
		}
		for i := range registers {
			registers[i] = openIn(t, dir)
		}
	}

	r := openIn(t, dir)
	had := len(r.History())
	var wg sync.WaitGroup
	for range 8 {
		own := address
		address = address.Next()
		wg.Go(func() {
			if _, err := r.Announce(own, noon, noon); err != nil || !r.InUse(own, noon) {
				t.Error(own, err)
			}
		})
		wg.Go(func() {
			if n := len(r.History()); n < had || len(r.Entries()) > n || r.SyncToken() == "0" {
				t.Errorf("%d changes, %d entries", n, len(r.Entries()))
			}
		})
	}
	wg.Wait()
	if got := len(openIn(t, dir).History()); got != had+8 {
		t.Errorf("%d changes, want %d", got, had+8)
	}
}
