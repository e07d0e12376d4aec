package register

import (
	"cmp"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"jiragate/internal/privatefile"
)

// Register is the register of one region's published egress addresses. It is
// safe for concurrent use. Whatever changes it is on disk when the method
// returns. After an error, register and file are as before; or both have the
// change, which may not outlive a power failure, and the error says so.
type Register struct {
	path, region string
	put          func(path string, old privatefile.Sum, content []byte) error // a seam for tests

	current atomic.Pointer[history]

	mu     sync.Mutex      // held while changing
	onDisk privatefile.Sum // what the file holds
}

// Open reads the register of a region from its file. A missing file is an empty
// register; nothing is written. Errors say what is wrong with the file and what
// to do about it.
func Open(path, region string) (*Register, error) {
	if region == "" {
		return nil, errors.New("open the register of egress addresses: no region is given")
	}
	content, sum, err := read(path)
	if err != nil {
		return nil, fmt.Errorf("read the register of egress addresses: %w", err)
	}
	h := &history{}
	if !noFile(sum) {
		if h, err = parse(content, region); err != nil {
			return nil, fmt.Errorf("read the register of egress addresses: %s: %w", path, err)
		}
	}
	r := &Register{path: path, region: region, put: put, onDisk: sum}
	r.current.Store(h)
	return r, nil
}

// InUse reports whether calls may leave from address at t. They may not if the
// address is unknown, only announced or retired, or not in its normal form. It
// takes no lock, and time that hardly depends on the size of the register.
func (r *Register) InUse(address netip.Addr, t time.Time) bool {
	for _, e := range slices.Backward(r.current.Load().entries[address]) {
		if !t.Before(e.From) {
			return e.State(t) == StateInUse
		}
	}
	return false
}

// Entries returns every period of use, past, present and planned, in order of
// From and then of address. An address that came back after its retirement is in
// it twice; one whose announcement was called off is not.
func (r *Register) Entries() []Entry {
	var all []Entry
	for _, entries := range r.current.Load().entries {
		all = append(all, entries...)
	}
	slices.SortFunc(all, func(a, b Entry) int {
		return cmp.Or(a.From.Compare(b.From), a.Address.Compare(b.Address))
	})
	return all
}

// History returns all changes, oldest first.
func (r *Register) History() []Change { return slices.Clone(r.current.Load().changes) }

// SyncToken identifies the content of the register: it grows with each change
// and stays the same without one. It is the time of the last change in Unix
// seconds, or one more than the token before where that is later; "0" for an
// empty register. It is meant as the syncToken of AWS's and Google Cloud's lists
// of addresses (https://docs.aws.amazon.com/vpc/latest/userguide/aws-ip-syntax.html).
func (r *Register) SyncToken() string {
	return strconv.FormatInt(r.current.Load().token, 10)
}

// Announce says that calls come from address from effective on, with no end. For
// an address that is only announced, this takes the place of what was announced;
// for one in use with its retirement ahead, it calls the retirement off, unless
// effective is later than it. A retired address comes back.
//
// Times are cut to whole seconds. An effective up to a minute before now means
// now; an earlier one, or one more than ten years ahead, matches [ErrInvalid], as
// does an address that can't be published. [ErrNoChange]: the address is in use,
// or announced for that time, without end.
func (r *Register) Announce(address netip.Addr, effective, now time.Time) (Change, error) {
	c, err := r.change(ActionUse, address, effective, now)
	if err != nil {
		return Change{}, fmt.Errorf("announce egress address %s for use from %s on: %w", plain(address), timeText(effective), err)
	}
	return c, nil
}

// Retire says that calls come from address until effective. For an address whose
// retirement is ahead, this takes the place of it. An address that is only
// announced, and not for before effective, will not be used at all.
//
// Times are treated as by [Register.Announce]. [ErrNoChange]: the address is
// retired, or will be at that time. [ErrUnknown]: there is nothing to retire.
func (r *Register) Retire(address netip.Addr, effective, now time.Time) (Change, error) {
	c, err := r.change(ActionRetire, address, effective, now)
	if err != nil {
		return Change{}, fmt.Errorf("retire egress address %s at %s: %w", plain(address), timeText(effective), err)
	}
	return c, nil
}

func (r *Register) change(action Action, address netip.Addr, effective, now time.Time) (Change, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	c, err := r.current.Load().newChange(action, address, effective, now)
	if err != nil {
		return Change{}, err
	}
	return c, r.commit(c)
}

// Observe records each configured address that the register has never heard of
// as in use from now on, and returns what was added. An address that was
// retired, whose announcement was called off, or whose use lies ahead stays as it
// is, although it is configured: only [Register.Announce] changes that. All of
// them are recorded, or none.
func (r *Register) Observe(configured []netip.Addr, now time.Time) ([]Change, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	h := r.current.Load()
	var added []Change
	for _, address := range configured {
		known := func(c Change) bool { return c.Address == address }
		if _, ok := h.entries[address]; ok || slices.ContainsFunc(added, known) {
			continue
		}
		c, err := h.newChange(ActionUse, address, now, now)
		if err != nil {
			return nil, fmt.Errorf("record that egress address %s is in use: %w", plain(address), err)
		}
		added = append(added, c)
	}
	if len(added) == 0 {
		return nil, nil
	}
	if err := r.commit(added...); err != nil {
		return nil, fmt.Errorf("record which egress addresses are in use: %w", err)
	}
	return added, nil
}

// commit appends changes to the file, and then to what readers see. r.mu is held.
func (r *Register) commit(changes ...Change) error {
	h, err := r.current.Load().extended(changes)
	if err != nil {
		return err
	}
	content, err := h.format(r.region)
	if err != nil {
		return err
	}
	stored, err := r.store(r.onDisk, content)
	if stored {
		r.onDisk = privatefile.SumOf(content)
		r.current.Store(h)
	}
	return err
}

// plain is address without its zone, which may be any text.
func plain(address netip.Addr) netip.Addr { return address.WithZone("") }

func timeText(t time.Time) string { return t.UTC().Format(time.RFC3339) }
