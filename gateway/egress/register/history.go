package register

import (
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"time"
)

const (
	// grace is how far a time may lie behind: what was "now" when it was typed,
	// and a clock that was set back a little.
	grace = time.Minute
	// maxAhead is how far ahead something may be planned. Beyond it the year is
	// more likely mistyped than meant.
	maxAhead = 10 * 366 * 24 * time.Hour
	// maxChanges bounds the history.
	maxChanges = 10_000
)

// history is a list of changes and what follows from it. Its zero value is the
// empty one. Once published it isn't changed.
type history struct {
	changes []Change
	// entries has the periods of each address that was ever named, maybe none,
	// in order and apart. Only the last can lie ahead or have no end.
	entries map[netip.Addr][]Entry
	token   int64 // see Register.SyncToken
}

// newChange returns what is to be appended to h for what is asked at now.
func (h *history) newChange(action Action, address netip.Addr, effective, now time.Time) (Change, error) {
	if err := checkAddress(address); err != nil {
		return Change{}, err
	}
	c := Change{Announced: wholeSeconds(now), Address: address, Action: action, Effective: wholeSeconds(effective)}
	if c.Effective.Before(c.Announced.Add(-grace)) {
		return Change{}, fmt.Errorf("%w: it is %s now, and the past can't be changed; give the present time or a later one", ErrInvalid, timeText(now))
	}
	if last := h.last(); c.Announced.Before(last) {
		if c.Announced.Before(last.Add(-grace)) {
			return Change{}, fmt.Errorf("the clock says %s, but the last change was made at %s: set the clock", timeText(now), timeText(last))
		}
		c.Announced = last
	}
	if c.Effective.Before(c.Announced) {
		c.Effective = c.Announced
	}
	return c, nil
}

// extended returns h with changes appended, and leaves h as it is.
func (h *history) extended(changes []Change) (*history, error) {
	longer := &history{changes: slices.Clip(h.changes), entries: maps.Clone(h.entries), token: h.token}
	for _, c := range changes {
		if entries, ok := longer.entries[c.Address]; ok {
			longer.entries[c.Address] = slices.Clone(entries)
		}
		if err := longer.apply(c); err != nil {
			return nil, err
		}
	}
	return longer, nil
}

// apply appends a change, or refuses one that doesn't fit. It is the one judge of
// what may be in a history, be it asked for or read from a file.
func (h *history) apply(c Change) error {
	if err := checkAddress(c.Address); err != nil {
		return err
	}
	if err := h.checkTimes(c); err != nil {
		return err
	}
	if len(h.changes) == maxChanges {
		return fmt.Errorf("the register is full: it holds %d changes; move the file away and announce the addresses anew", maxChanges)
	}
	var entries []Entry
	var err error
	switch c.Action {
	case ActionUse:
		entries, err = use(h.entries[c.Address], c)
	case ActionRetire:
		entries, err = retire(h.entries[c.Address], c)
	default:
		err = fmt.Errorf("%w: the action is %q; it must be %q or %q", ErrInvalid, c.Action, ActionUse, ActionRetire)
	}
	if err != nil {
		return err
	}
	if h.entries == nil {
		h.entries = make(map[netip.Addr][]Entry)
	}
	h.entries[c.Address] = entries
	h.changes = append(h.changes, c)
	h.token = max(h.token+1, c.Announced.Unix())
	return nil
}

// last returns when the last change was announced.
func (h *history) last() time.Time {
	if len(h.changes) == 0 {
		return time.Time{}
	}
	return h.changes[len(h.changes)-1].Announced
}

func (h *history) checkTimes(c Change) error {
	for _, t := range []time.Time{c.Announced, c.Effective} {
		if t.Unix() <= 0 || t.Year() > 9999 || t.Nanosecond() != 0 {
			return fmt.Errorf("%w: %s is no time for it; times are whole seconds from 1970 to 9999", ErrInvalid, t.Format(time.RFC3339Nano))
		}
	}
	switch {
	case c.Announced.Before(h.last()):
		return fmt.Errorf("%w: it was announced at %s, before the change that it follows (%s)", ErrInvalid, timeText(c.Announced), timeText(h.last()))
	case c.Effective.Before(c.Announced):
		return fmt.Errorf("%w: it takes effect at %s, before it was announced (%s)", ErrInvalid, timeText(c.Effective), timeText(c.Announced))
	case c.Effective.After(c.Announced.Add(maxAhead)):
		return fmt.Errorf("%w: that is more than ten years ahead; check the year", ErrInvalid)
	}
	return nil
}

// checkAddress refuses what no socket could come from, and all but one form of
// each address. Private and loopback addresses pass: they serve simulators and
// tests.
func checkAddress(a netip.Addr) error {
	var found string
	switch {
	case !a.IsValid():
		found = "there is no address"
	case a.Zone() != "":
		found = "an address with a zone is of one link only (RFC 4007, section 11)"
	case a.Is4In6():
		found = fmt.Sprintf("IPv4 inside IPv6; write %s", a.Unmap())
	case a.IsUnspecified():
		found = "the unspecified address is nobody's"
	case a.IsMulticast():
		found = "nothing comes from a multicast address"
	case a.IsLinkLocalUnicast():
		found = "a link-local address is of one link only"
	default:
		return nil
	}
	return fmt.Errorf("%w: %s; give the public IP address that Jira sees", ErrInvalid, found)
}

// use returns the periods of an address after c. It may change entries.
func use(entries []Entry, c Change) ([]Entry, error) {
	next := Entry{Address: c.Address, From: c.Effective}
	if len(entries) == 0 {
		return append(entries, next), nil
	}
	last := &entries[len(entries)-1]
	switch last.State(c.Announced) {
	case StateRetired:
		return append(entries, next), nil
	case StateAnnounced:
		if *last == next {
			return nil, fmt.Errorf("%w: it is announced for that time already", ErrNoChange)
		}
		*last = next
	case StateInUse:
		if last.Until.IsZero() {
			return nil, fmt.Errorf("%w: it is in use since %s already", ErrNoChange, timeText(last.From))
		}
		// Two things could be meant, and one of them breaks what customers were told.
		if c.Effective.After(last.Until) {
			return nil, fmt.Errorf("%w: it will be retired before, at %s; call that off by announcing it for now, or announce it again once it is retired", ErrInvalid, timeText(last.Until))
		}
		last.Until = time.Time{}
	}
	return entries, nil
}

// retire returns the periods of an address after c. It may change entries.
func retire(entries []Entry, c Change) ([]Entry, error) {
	if len(entries) == 0 {
		return nil, fmt.Errorf("%w: it is neither announced nor in use; see the list of addresses", ErrUnknown)
	}
	last := &entries[len(entries)-1]
	switch {
	case last.State(c.Announced) == StateRetired:
		return nil, fmt.Errorf("%w: it is retired since %s already", ErrNoChange, timeText(last.Until))
	case last.Until.Equal(c.Effective):
		return nil, fmt.Errorf("%w: it will be retired at that time already", ErrNoChange)
	case !c.Effective.After(last.From): // called off, before anything came from it
		return entries[:len(entries)-1], nil
	}
	last.Until = c.Effective
	return entries, nil
}

// wholeSeconds cuts a time to what the file can hold.
func wholeSeconds(t time.Time) time.Time { return t.UTC().Truncate(time.Second) }
