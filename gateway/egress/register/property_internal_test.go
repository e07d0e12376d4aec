package register

import (
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"testing"
	"time"

	"pgregory.net/rapid"

	"jiragate/internal/privatefile"
)

// horizon is how many seconds the model knows of.
const horizon = 120

// model is a register that any child could keep: a box for each second of each
// address, ticked where it is in use.
type model map[netip.Addr]*[horizon]bool

// next returns the first second from now on at which the box is ticked, and the
// first after that at which it is not; horizon for never.
func (m model) next(a netip.Addr, now int) (from, until int) {
	for from = now; from < horizon && !m[a][from]; from++ {
	}
	for until = from; until < horizon && m[a][until]; until++ {
	}
	return from, until
}

// tick makes the boxes from now on say: in use from from to until.
func (m model) tick(a netip.Addr, now, from, until int) {
	for s := now; s < horizon; s++ {
		m[a][s] = from <= s && s < until
	}
}

func (m model) announce(a netip.Addr, effective, now int) error {
	from, until := m.next(a, now)
	inUse := from == now
	switch {
	case inUse && until == horizon, !inUse && from == effective && until == horizon:
		return ErrNoChange
	case inUse && effective > until:
		return ErrInvalid
	case inUse:
		m.tick(a, now, now, horizon)
	default:
		m.tick(a, now, effective, horizon)
	}
	return nil
}

func (m model) retire(a netip.Addr, effective, now int) error {
	from, until := m.next(a, now)
	switch {
	case from == horizon && slices.Contains(m[a][:now], true):
		return ErrNoChange
	case from == horizon:
		return ErrUnknown
	case effective == until:
		return ErrNoChange
	}
	m.tick(a, now, from, effective)
	return nil
}

// However a register is used, it only appends, what it says agrees with itself and
// with the boxes at each instant, and the file says the same.
func TestRegisterKeepsItsWord(t *testing.T) {
	addresses := []netip.Addr{first, later, netip.MustParseAddr("2600:1f18::1")}
	dir := t.TempDir()
	rapid.Check(t, func(t *rapid.T) {
		r := openEmpty(t, dir)
		at := func(second int) time.Time { return noon.Add(time.Duration(second) * time.Second) }
		var history []Change
		boxes := model{}
		for _, a := range addresses {
			boxes[a] = new([horizon]bool)
		}
		now, heard := 0, map[netip.Addr]bool{}

		// plan draws an address and a time, and says what the register will make of the
		// latter.
		plan := func(t *rapid.T) (a netip.Addr, asked, effective int) {
			asked = rapid.OneOf(rapid.IntRange(now-90, now+3), rapid.IntRange(now, now+40)).Draw(t, "effective")
			return rapid.SampledFrom(addresses).Draw(t, "address"), asked, max(asked, now)
		}
		expect := func(t *rapid.T, c Change, err, want error, asked int) {
			if asked < now-60 {
				want = ErrInvalid
			}
			if !errors.Is(err, want) {
				t.Fatalf("at %d for %d: error %v, want %v", now, asked, err, want)
			}
			if err == nil {
				history = append(history, c)
				heard[c.Address] = true
			}
		}
		t.Repeat(map[string]func(*rapid.T){
			"announce": func(t *rapid.T) {
				a, asked, effective := plan(t)
				var want error
				if asked >= now-60 {
					want = boxes.announce(a, effective, now)
				}
				c, err := r.Announce(a, at(asked), at(now))
				expect(t, c, err, want, asked)
			},
			"retire": func(t *rapid.T) {
				a, asked, effective := plan(t)
				var want error
				if asked >= now-60 {
					want = boxes.retire(a, effective, now)
				}
				c, err := r.Retire(a, at(asked), at(now))
				expect(t, c, err, want, asked)
			},
			"observe": func(t *rapid.T) {
				configured := rapid.SliceOfN(rapid.SampledFrom(addresses), 0, 3).Draw(t, "configured")
				added, err := r.Observe(configured, at(now))
				if err != nil {
					t.Fatal(err)
				}
				history = append(history, added...)
				for _, a := range configured {
					if !heard[a] {
						heard[a] = true
						boxes.tick(a, now, now, horizon)
					}
				}
			},
			"wait": func(t *rapid.T) {
				now = min(now+rapid.IntRange(0, 15).Draw(t, "seconds"), horizon-45)
			},
			"": func(t *rapid.T) {
				again, err := Open(r.path, "us")
				if err != nil {
					t.Fatal(err)
				}
				for _, r := range []*Register{r, again} {
					if got := r.History(); !slices.Equal(got, history) {
						t.Fatalf("history %v, want %v", got, history)
					}
				}
				if err := agree(again, boxes, at); err != nil {
					t.Fatal(err)
				}
				for _, a := range addresses { // the rest of them is the same by its entries
					if r.InUse(a, at(now)) != again.InUse(a, at(now)) {
						t.Fatalf("%s: in use %t, and not when opened again", a, r.InUse(a, at(now)))
					}
				}
				if !slices.Equal(r.Entries(), again.Entries()) || r.SyncToken() != again.SyncToken() {
					t.Fatalf("opened again: %v (%s), not %v (%s)", again.Entries(), again.SyncToken(), r.Entries(), r.SyncToken())
				}
			},
		})
	})
}

// agree compares at each second, and between two, what is said in three ways.
func agree(r *Register, boxes model, at func(int) time.Time) error {
	entries := r.Entries()
	for a, ticked := range boxes {
		for s := -1; s < horizon; s++ {
			want := s >= 0 && ticked[s]
			for _, t := range []time.Time{at(s), at(s).Add(time.Second - 1)} {
				listed := 0
				for _, e := range entries {
					if e.Address == a && e.State(t) == StateInUse {
						listed++
					}
				}
				if got := r.InUse(a, t); got != want || listed > 1 || (listed == 1) != want {
					return fmt.Errorf("%s at %d: in use %t, in %d entries, want %t", a, s, got, listed, want)
				}
			}
		}
	}
	return nil
}

// The token grows with each change, however many there are in one second.
func TestSyncTokenGrows(t *testing.T) {
	dir := t.TempDir()
	rapid.Check(t, func(t *rapid.T) {
		r := openEmpty(t, dir)
		now, last := noon, int64(0)
		for i, wait := range rapid.SliceOfN(rapid.IntRange(0, 2), 1, 12).Draw(t, "seconds between") {
			now = now.Add(time.Duration(wait) * time.Second)
			if _, err := r.Announce(first, noon.Add(time.Duration(i+1)*time.Hour), now); err != nil {
				t.Fatal(err)
			}
			token, err := strconv.ParseInt(r.SyncToken(), 10, 64)
			if err != nil || token <= last || token < now.Unix() {
				t.Fatalf("token %q (%v) at %d, after %d", r.SyncToken(), err, now.Unix(), last)
			}
			if _, err := r.Announce(first, noon.Add(time.Duration(i+1)*time.Hour), now); !errors.Is(err, ErrNoChange) || r.SyncToken() != fmt.Sprint(token) {
				t.Fatalf("token %s without a change (%v), want %d", r.SyncToken(), err, token)
			}
			last = token
		}
	})
}

// openEmpty opens an empty register whose file is written plainly: nothing crashes
// here, and flushing it to the disk takes most of the time.
func openEmpty(t *rapid.T, dir string) *Register {
	path := filepath.Join(dir, "f")
	if err := os.RemoveAll(path); err != nil {
		t.Fatal(err)
	}
	r, err := Open(path, "us")
	if err != nil {
		t.Fatal(err)
	}
	r.put = func(path string, _ privatefile.Sum, content []byte) error {
		return os.WriteFile(path, content, privatefile.Mode)
	}
	return r
}
