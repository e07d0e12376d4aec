package publication

import (
	"bytes"
	"encoding/csv"
	"fmt"
	"strings"

	"jiragate/gateway/egress/register"
)

// heading begins a format that allows comments: what it is, when it was made and
// the given lines, each behind "# ".
func (c *content) heading(b *bytes.Buffer, lines ...string) {
	fmt.Fprintf(b, "# jiragate egress addresses, region %s\n# created %s, sync token %s\n", c.Region, stamp(c.Created), c.SyncToken)
	switch {
	case len(c.Listed) == 0:
		b.WriteString("# No address is published: calls are unpinned and may come from any address.\n# This file allows nothing.\n")
	case !c.pinned():
		b.WriteString("# No address is in use yet: calls are unpinned and may come from any address.\n")
	}
	b.WriteString("#\n")
	for _, line := range lines {
		b.WriteString(strings.TrimRight("# "+line, " ") + "\n")
	}
}

// csv writes a row for each listed address. A cell is an address, a time, a state,
// or the region or sync token, whose grammars begin with a letter or a digit: a
// cell begins with a letter, a digit or a colon (::1), and none of these begins a
// formula. So nothing is quoted or escaped for spreadsheets.
func (c *content) csv(b *bytes.Buffer) error {
	rows := [][]string{{"address", "cidr", "region", "state", "from", "until", "created", "sync_token"}}
	for _, a := range c.Listed {
		until := ""
		if !a.Until.IsZero() {
			until = stamp(a.Until)
		}
		rows = append(rows, []string{a.Address.String(), a.prefix().String(), c.Region, string(a.State), stamp(a.From), until, stamp(c.Created), c.SyncToken})
	}
	return csv.NewWriter(b).WriteAll(rows)
}

// txt writes a listed address a line; what else is to say of it is in the comments
// at the top, so that the lines can be taken as they are.
func (c *content) txt(b *bytes.Buffer) error {
	c.heading(b, "One address a line. Allow all of them; addresses that are announced must be allowed", "before the time from which calls come from them.")
	for _, a := range c.Listed {
		if a.State == register.StateAnnounced || !a.Until.IsZero() {
			fmt.Fprintf(b, "# %s: %s\n", a.Address, a.remark())
		}
	}
	b.WriteString("\n")
	for _, a := range c.Listed {
		fmt.Fprintf(b, "%s\n", a.Address)
	}
	return nil
}

// atlassian writes what the form at admin.atlassian.com takes: addresses and
// ranges "separated by commas"
// (support.atlassian.com/security-and-access-policies/docs/specify-ip-addresses-for-product-access),
// here one a line. The form has no comments. Nothing is written where no address
// is listed: an allowlist is empty or is not there, and neither can be told here.
func (c *content) atlassian(b *bytes.Buffer) error {
	for i, a := range c.Listed {
		if i > 0 {
			b.WriteString(",\n")
		}
		b.WriteString(a.prefix().String())
	}
	if len(c.Listed) > 0 {
		b.WriteString("\n")
	}
	return nil
}
