package publication

import (
	"cmp"
	"errors"
	"fmt"
	"net/netip"
	"regexp"
	"slices"
	"strings"
	"time"

	"jiragate/gateway/egress/register"
	"jiragate/policy"
)

// Document is what is published about one region. It is not changed by anything
// here and may be written from many goroutines.
type Document struct {
	Region    string            // e.g. "us": lower case letters, digits and single hyphens, at most 16
	Created   time.Time         // whose states of the addresses it shows; to the second
	SyncToken string            // tells publications apart: letters, digits, ".", "_" and "-", at most 64, no hyphen first
	Entries   []register.Entry  // periods of use, in any order
	History   []register.Change // in the order in which they were announced
	Policy    *policy.Policy
}

// maxHistory bounds a document's changes and its periods of use, of which there
// are never more than changes. A region has a handful of addresses.
const maxHistory = 10000

// The texts that stand in comments, in names of chains and sets and in cells. What
// these let through cannot end any of them, nor begin a formula.
var (
	regionForm    = regexp.MustCompile(`^[a-z][a-z0-9]*(-[a-z0-9]+)*$`)
	syncTokenForm = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]*$`)
)

// Address is an address in one period of use, with its state when the document
// was created.
type Address struct {
	register.Entry
	State register.State
}

// content is a document that was checked, as the formats show it.
type content struct {
	Region    string
	Created   time.Time
	SyncToken string
	Listed    []Address // in use and announced, one an address, IPv4 first, in order of address
	Retired   []Address // past periods of addresses that are not listed, in the same order
	History   []register.Change
	Policy    *policy.Policy
}

// check returns what d says. Errors name the field that is wrong.
func (d *Document) check() (*content, error) {
	switch {
	case len(d.Region) > 16 || !regionForm.MatchString(d.Region):
		return nil, fmt.Errorf("the region %q is not lower case letters, digits and single hyphens, at most 16", clip(d.Region))
	case len(d.SyncToken) > 64 || !syncTokenForm.MatchString(d.SyncToken):
		return nil, fmt.Errorf("the sync token %q is not letters, digits, dots, underscores and hyphens, at most 64", clip(d.SyncToken))
	case d.Policy == nil:
		return nil, errors.New("there is no policy, whose operations it lists")
	case len(d.Entries) > maxHistory:
		return nil, fmt.Errorf("there are %d periods of use, more than %d", len(d.Entries), maxHistory)
	case len(d.History) > maxHistory:
		return nil, fmt.Errorf("there are %d changes, more than %d", len(d.History), maxHistory)
	}
	if err := checkTime("time of creation", d.Created); err != nil {
		return nil, err
	}
	c := &content{Region: d.Region, Created: d.Created.UTC().Truncate(time.Second), SyncToken: d.SyncToken, History: d.History, Policy: d.Policy}
	if err := c.addEntries(d.Entries); err != nil {
		return nil, err
	}
	for _, h := range d.History {
		if err := checkChange(h); err != nil {
			return nil, err
		}
	}
	return c, nil
}

// Addresses returns the addresses in use and announced, one an address, and the past
// periods of those that are neither: both in the order of the page. Errors are about a
// field of the document.
func (d *Document) Addresses() (listed, retired []Address, err error) {
	c, err := d.check()
	if err != nil {
		return nil, nil, fmt.Errorf("publication of egress addresses: %w", err)
	}
	return c.Listed, c.Retired, nil
}

// addEntries sorts the periods by what becomes of the address. One that came back
// after its retirement is to be allowed again, so its past is left to the history.
func (c *content) addEntries(entries []register.Entry) error {
	listed := make(map[netip.Addr]bool, len(entries))
	for _, e := range entries {
		if err := checkEntry(e); err != nil {
			return err
		}
		a := Address{e, e.State(c.Created)}
		switch {
		case a.State == register.StateRetired:
			c.Retired = append(c.Retired, a)
		case listed[e.Address]:
			return fmt.Errorf("%s has two periods of use that are not over: the document was created at %s, before its register", e.Address, stamp(c.Created))
		default:
			listed[e.Address] = true
			c.Listed = append(c.Listed, a)
		}
	}
	c.Retired = slices.DeleteFunc(c.Retired, func(a Address) bool { return listed[a.Address] })
	for _, list := range [][]Address{c.Listed, c.Retired} {
		slices.SortFunc(list, func(a, b Address) int { // Compare puts IPv4 before IPv6
			return cmp.Or(a.Address.Compare(b.Address), a.From.Compare(b.From), a.Until.Compare(b.Until))
		})
	}
	return nil
}

func checkEntry(e register.Entry) error {
	if err := checkAddress(e.Address); err != nil {
		return err
	}
	if err := checkTime("start of "+e.Address.String(), e.From); err != nil {
		return err
	}
	if e.Until.IsZero() {
		return nil
	}
	return checkTime("end of "+e.Address.String(), e.Until)
}

func checkChange(c register.Change) error {
	if err := checkAddress(c.Address); err != nil {
		return fmt.Errorf("the history: %w", err)
	}
	if c.Action != register.ActionUse && c.Action != register.ActionRetire {
		return fmt.Errorf("the history: %q of %s is neither %q nor %q", clip(string(c.Action)), c.Address, register.ActionUse, register.ActionRetire)
	}
	return cmp.Or(
		checkTime("announcement about "+c.Address.String(), c.Announced),
		checkTime("change of "+c.Address.String(), c.Effective))
}

// checkAddress lets one spelling of an address through, so that two periods of one
// address are seen. A zone would be free text.
func checkAddress(a netip.Addr) error {
	switch {
	case !a.IsValid():
		return errors.New("an address is missing")
	case a.Zone() != "" || a.Is4In6():
		return fmt.Errorf("%q is not a plain IPv4 or IPv6 address", clip(a.String()))
	}
	return nil
}

// checkTime lets through what RFC 3339 can show: years of four digits.
func checkTime(what string, t time.Time) error {
	if t.IsZero() {
		return fmt.Errorf("the %s is missing", what)
	}
	if y := t.UTC().Year(); y < 1 || y > 9999 {
		return fmt.Errorf("the %s is in the year %d", what, y)
	}
	return nil
}

// clip keeps an error short whatever it quotes.
func clip(s string) string {
	if len(s) > 64 {
		return s[:64] + "…"
	}
	return s
}

// pinned reports whether calls come from published addresses.
func (c *content) pinned() bool {
	return slices.ContainsFunc(c.Listed, func(a Address) bool { return a.State == register.StateInUse })
}

// prefix is the address alone, as a range: a /32 or a /128.
func (a Address) prefix() netip.Prefix { return netip.PrefixFrom(a.Address, a.Address.BitLen()) }

// remark says in a comment when calls come from the address.
func (a Address) remark() string {
	var b strings.Builder
	if a.State == register.StateAnnounced {
		b.WriteString("announced, calls from " + stamp(a.From))
	} else {
		b.WriteString("in use since " + stamp(a.From))
	}
	if !a.Until.IsZero() {
		b.WriteString(", until " + stamp(a.Until))
	}
	return b.String()
}

// stamp is a time as every format writes it: RFC 3339, UTC, to the second.
func stamp(t time.Time) string { return t.UTC().Truncate(time.Second).Format(time.RFC3339) }

// family returns the listed addresses of one family.
func (c *content) family(f family) []Address {
	return slices.DeleteFunc(slices.Clone(c.Listed), func(a Address) bool { return a.Address.Is4() != (f == ipv4) })
}

// family is the version of the Internet protocol.
type family int

const (
	ipv4 family = 4
	ipv6 family = 6
)
