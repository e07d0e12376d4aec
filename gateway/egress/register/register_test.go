package register_test

import (
	"errors"
	"net/netip"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"jiragate/gateway/egress/register"
)

// The addresses and days of the tests. Nothing happens before the first of October.
var (
	east = netip.MustParseAddr("52.54.159.237")
	west = netip.MustParseAddr("52.73.143.252")
	six  = netip.MustParseAddr("2600:1f18::1")
)

func october(day int) time.Time { return time.Date(2026, time.October, day, 12, 0, 0, 0, time.UTC) }

func open(t *testing.T) (r *register.Register, path string) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "egress-addresses.json")
	return reopen(t, path), path
}

func reopen(t *testing.T, path string) *register.Register {
	t.Helper()
	r, err := register.Open(path, "us")
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// act is one thing that is done to a register.
type act struct {
	day       int // when it is done
	do        func(*register.Register, netip.Addr, time.Time, time.Time) (register.Change, error)
	address   netip.Addr
	effective int   // a day, too
	is        error // nil: it is done
	says      string
}

var (
	announce = (*register.Register).Announce
	retire   = (*register.Register).Retire
)

// used is a period of use, in days; an end of 0 is none.
type used struct {
	address     netip.Addr
	from, until int
}

func TestWhatIsSaidOfAnAddress(t *testing.T) {
	for _, test := range []struct {
		name string
		acts []act
		want []used
	}{
		{"nothing", nil, nil},
		{"announced", []act{{day: 1, do: announce, address: east, effective: 15}}, []used{{east, 15, 0}}},
		{"used at once", []act{{day: 1, do: announce, address: east, effective: 1}}, []used{{east, 1, 0}}},
		{"one replaces the other", []act{
			{day: 1, do: announce, address: east, effective: 1},
			{day: 2, do: announce, address: west, effective: 15},
			{day: 2, do: retire, address: east, effective: 20},
		}, []used{{east, 1, 20}, {west, 15, 0}}},
		{"an order of its own, by time and then by address", []act{
			{day: 1, do: announce, address: six, effective: 3},
			{day: 1, do: announce, address: west, effective: 3},
			{day: 1, do: announce, address: east, effective: 4},
		}, []used{{west, 3, 0}, {six, 3, 0}, {east, 4, 0}}},

		{"announced for a later day", []act{
			{day: 1, do: announce, address: east, effective: 15},
			{day: 2, do: announce, address: east, effective: 20},
		}, []used{{east, 20, 0}}},
		{"announced for an earlier day", []act{
			{day: 1, do: announce, address: east, effective: 15},
			{day: 2, do: announce, address: east, effective: 10},
		}, []used{{east, 10, 0}}},
		{"announced for the same day again", []act{
			{day: 1, do: announce, address: east, effective: 15},
			{day: 2, do: announce, address: east, effective: 15, is: register.ErrNoChange, says: "for that time already"},
		}, []used{{east, 15, 0}}},
		{"announced while in use", []act{
			{day: 1, do: announce, address: east, effective: 1},
			{day: 2, do: announce, address: east, effective: 15, is: register.ErrNoChange, says: "since 2026-10-01T12:00:00Z already"},
		}, []used{{east, 1, 0}}},

		{"called off on its first day", []act{
			{day: 1, do: announce, address: east, effective: 15},
			{day: 2, do: retire, address: east, effective: 15},
		}, nil},
		{"called off at once", []act{
			{day: 1, do: announce, address: east, effective: 15},
			{day: 2, do: retire, address: east, effective: 2},
			{day: 3, do: retire, address: east, effective: 3, is: register.ErrUnknown, says: "neither announced nor in use"},
		}, nil},
		{"called off, and announced again", []act{
			{day: 1, do: announce, address: east, effective: 15},
			{day: 2, do: retire, address: east, effective: 2},
			{day: 3, do: announce, address: east, effective: 15},
		}, []used{{east, 15, 0}}},
		{"announced for a few days", []act{
			{day: 1, do: announce, address: east, effective: 15},
			{day: 2, do: retire, address: east, effective: 20},
			{day: 3, do: retire, address: east, effective: 20, is: register.ErrNoChange, says: "at that time already"},
		}, []used{{east, 15, 20}}},
		{"announced for a few days, then without end", []act{
			{day: 1, do: announce, address: east, effective: 15},
			{day: 2, do: retire, address: east, effective: 20},
			{day: 3, do: announce, address: east, effective: 15},
		}, []used{{east, 15, 0}}},
		{"announced for a few days, then for after them", []act{
			{day: 1, do: announce, address: east, effective: 15},
			{day: 2, do: retire, address: east, effective: 20},
			{day: 3, do: announce, address: east, effective: 25},
		}, []used{{east, 25, 0}}},

		{"retired sooner, then later", []act{
			{day: 1, do: announce, address: east, effective: 1},
			{day: 2, do: retire, address: east, effective: 20},
			{day: 3, do: retire, address: east, effective: 10},
			{day: 4, do: retire, address: east, effective: 25},
		}, []used{{east, 1, 25}}},
		{"the retirement called off", []act{
			{day: 1, do: announce, address: east, effective: 1},
			{day: 2, do: retire, address: east, effective: 20},
			{day: 3, do: announce, address: east, effective: 3},
		}, []used{{east, 1, 0}}},
		{"the retirement called off on its day", []act{
			{day: 1, do: announce, address: east, effective: 1},
			{day: 2, do: retire, address: east, effective: 20},
			{day: 3, do: announce, address: east, effective: 20},
		}, []used{{east, 1, 0}}},
		{"called off, or brought back after a pause?", []act{
			{day: 1, do: announce, address: east, effective: 1},
			{day: 2, do: retire, address: east, effective: 20},
			{day: 3, do: announce, address: east, effective: 25, is: register.ErrInvalid, says: "it will be retired before, at 2026-10-20T12:00:00Z"},
		}, []used{{east, 1, 20}}},
		{"retired twice", []act{
			{day: 1, do: announce, address: east, effective: 1},
			{day: 2, do: retire, address: east, effective: 2},
			{day: 3, do: retire, address: east, effective: 10, is: register.ErrNoChange, says: "is retired since 2026-10-02T12:00:00Z already"},
		}, []used{{east, 1, 2}}},
		{"back after its retirement", []act{
			{day: 1, do: announce, address: east, effective: 1},
			{day: 2, do: retire, address: east, effective: 2},
			{day: 3, do: announce, address: east, effective: 10},
		}, []used{{east, 1, 2}, {east, 10, 0}}},
		{"back at the very moment", []act{
			{day: 1, do: announce, address: east, effective: 1},
			{day: 2, do: retire, address: east, effective: 2},
			{day: 2, do: announce, address: east, effective: 2},
		}, []used{{east, 1, 2}, {east, 2, 0}}},
		{"the return called off", []act{
			{day: 1, do: announce, address: east, effective: 1},
			{day: 2, do: retire, address: east, effective: 2},
			{day: 3, do: announce, address: east, effective: 10},
			{day: 4, do: retire, address: east, effective: 5},
			{day: 5, do: retire, address: east, effective: 5, is: register.ErrNoChange, says: "is retired since 2026-10-02T12:00:00Z already"},
		}, []used{{east, 1, 2}}},

		{"retired unheard of", []act{
			{day: 1, do: retire, address: east, effective: 1, is: register.ErrUnknown, says: "retire egress address 52.54.159.237 at 2026-10-01T12:00:00Z: unknown address"},
		}, nil},
		{"used since before it was said", []act{
			{day: 3, do: announce, address: east, effective: 2, is: register.ErrInvalid, says: "the past can't be changed"},
		}, nil},
		{"retired since before it was said", []act{
			{day: 1, do: announce, address: east, effective: 1},
			{day: 3, do: retire, address: east, effective: 2, is: register.ErrInvalid, says: "the past can't be changed"},
		}, []used{{east, 1, 0}}},
		{"a mistyped year", []act{
			{day: 1, do: announce, address: east, effective: 365 * 36, is: register.ErrInvalid, says: "check the year"},
		}, nil},
		{"a clock that was set back by days", []act{
			{day: 10, do: announce, address: east, effective: 15},
			{day: 9, do: announce, address: west, effective: 15, is: errAny, says: "the clock says 2026-10-09T12:00:00Z"},
		}, []used{{east, 15, 0}}},
	} {
		t.Run(test.name, func(t *testing.T) {
			r, path := open(t)
			var history []register.Change
			for _, a := range test.acts {
				c, err := a.do(r, a.address, october(a.effective), october(a.day))
				if a.is != nil {
					if err == nil || a.is != errAny && !errors.Is(err, a.is) || !strings.Contains(err.Error(), a.says) {
						t.Errorf("day %d: error %v, want %v that says %q", a.day, err, a.is, a.says)
					}
					continue
				}
				if err != nil {
					t.Fatalf("day %d: %v", a.day, err)
				}
				history = append(history, c)
			}
			var want []register.Entry
			for _, u := range test.want {
				e := register.Entry{Address: u.address, From: october(u.from)}
				if u.until != 0 {
					e.Until = october(u.until)
				}
				want = append(want, e)
			}
			for _, r := range []*register.Register{r, reopen(t, path)} {
				if got := r.Entries(); !slices.Equal(got, want) {
					t.Errorf("entries %v, want %v", got, want)
				}
				if got := r.History(); !slices.Equal(got, history) {
					t.Errorf("history %v, want %v", got, history)
				}
			}
		})
	}
}

// errAny stands for an error that no caller tells apart.
var errAny = errors.New("any error")

func TestAddressesThatCannotBePublished(t *testing.T) {
	r, path := open(t)
	for address, says := range map[netip.Addr]string{
		{}:                                        "there is no address",
		netip.MustParseAddr("0.0.0.0"):            "unspecified",
		netip.MustParseAddr("::"):                 "unspecified",
		netip.MustParseAddr("224.0.0.1"):          "multicast",
		netip.MustParseAddr("ff02::1"):            "multicast",
		netip.MustParseAddr("169.254.169.254"):    "link-local",
		netip.MustParseAddr("fe80::1"):            "link-local",
		netip.MustParseAddr("fe80::1%eth0"):       "zone",
		netip.MustParseAddr("::ffff:192.0.2.1"):   "write 192.0.2.1",
		netip.MustParseAddr("2600::1%evil\nline"): "zone",
	} {
		_, announced := r.Announce(address, october(2), october(1))
		_, retired := r.Retire(address, october(2), october(1))
		_, observed := r.Observe([]netip.Addr{east, address}, october(1))
		for _, err := range []error{announced, retired, observed} {
			if !errors.Is(err, register.ErrInvalid) || !strings.Contains(err.Error(), says) {
				t.Errorf("%q: error %v, want %v that says %q", address, err, register.ErrInvalid, says)
			} else if strings.Contains(err.Error(), "\n") {
				t.Errorf("%q: the error has two lines", address)
			}
		}
	}
	if got := reopen(t, path).History(); len(got) != 0 {
		t.Errorf("recorded %v", got)
	}
}

func TestObserve(t *testing.T) {
	r, path := open(t)
	do := func(a act) {
		t.Helper()
		if _, err := a.do(r, a.address, october(a.effective), october(a.day)); err != nil {
			t.Fatal(err)
		}
	}
	observe := func(day int, want ...netip.Addr) {
		t.Helper()
		added, err := r.Observe([]netip.Addr{east, west, six, east}, october(day))
		if err != nil {
			t.Fatal(err)
		}
		var got []netip.Addr
		for _, c := range added {
			if c.Action != register.ActionUse || !c.Announced.Equal(october(day)) || !c.Effective.Equal(october(day)) {
				t.Errorf("added %v, want use from day %d on", c, day)
			}
			got = append(got, c.Address)
		}
		if !slices.Equal(got, want) {
			t.Errorf("day %d: added %v, want %v", day, got, want)
		}
		r = reopen(t, path)
	}
	do(act{day: 1, do: announce, address: west, effective: 15})
	observe(2, east, six) // but not what is announced for later
	if r.InUse(west, october(14)) || !r.InUse(east, october(2)) || r.InUse(east, october(1)) {
		t.Error("observing made a difference to what was announced, or to the past")
	}
	observe(3)
	do(act{day: 4, do: retire, address: east, effective: 4})
	do(act{day: 4, do: retire, address: west, effective: 4})
	observe(5) // neither what was retired, nor what was called off
	if r.InUse(east, october(30)) || r.InUse(west, october(30)) || !r.InUse(six, october(30)) {
		t.Error("observing brought back what was retired")
	}
	// A clock that is behind keeps no gateway from starting that has nothing to add.
	observe(1)
	do(act{day: 5, do: announce, address: west, effective: 20})
	if !r.InUse(west, october(20)) {
		t.Error("what was called off can't be announced")
	}
}

// What a caller does with its copies is its own affair.
func TestCopies(t *testing.T) {
	r, _ := open(t)
	if _, err := r.Announce(east, october(2), october(1)); err != nil {
		t.Fatal(err)
	}
	r.History()[0].Address = west
	r.Entries()[0].Address = west
	if r.History()[0].Address != east || r.Entries()[0].Address != east || !r.InUse(east, october(2)) {
		t.Error("the register has changed")
	}
}

func TestOpenNeedsARegion(t *testing.T) {
	if r, err := register.Open(filepath.Join(t.TempDir(), "f"), ""); err == nil {
		t.Errorf("opened %v", r)
	}
}
