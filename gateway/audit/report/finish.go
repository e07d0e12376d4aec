package report

import (
	"cmp"
	"net/netip"
	"slices"
	"strings"
	"time"

	"jiragate/policy"
)

// report puts together what was counted.
func (c *collector) report() *Report {
	r := c.cover()
	r.Totals = c.totals
	r.Headline = c.headline(r)
	r.Findings = c.list()
	r.Days = c.listDays()
	r.Operations = c.listOperations()
	r.Refusals = c.listRefusals()
	r.Addresses = c.listAddresses()
	r.Clients = c.listClients()
	r.Acts = append([]Act{}, c.acts...)
	r.Unknown = append([]Call{}, c.unknown...)
	r.Policies = c.listPolicies()
	r.Published = c.listPublished()
	v := c.overall()
	r.Verification, r.Logs = verified(&v), c.listLogs()
	r.cells = c.cells.list()
	return r
}

func (c *collector) listDays() []Day {
	days := []Day{}
	for t := c.in.From.UTC(); t.Before(c.in.Until); t = t.AddDate(0, 0, 1) {
		d := Day{Day: t.Format(time.DateOnly)}
		if counted := c.days[d.Day]; counted != nil {
			d.Allowed, d.Refused = counted.Allowed, counted.Refused
		}
		days = append(days, d)
	}
	return days
}

// listOperations gives the documented operations in the order of their table, those
// of the newest policy first, and then what else was called.
func (c *collector) listOperations() []Operation {
	list := []Operation{}
	at := map[operationKey]int{}
	for _, p := range slices.Backward(c.in.Policies) {
		for i := range p.Operations {
			o := &p.Operations[i]
			k := operationKey{o.ID, string(o.Edition)}
			if n, ok := at[k]; ok {
				list[n].Enabled = list[n].Enabled || o.Enabled
				continue
			}
			at[k] = len(list)
			list = append(list, c.counted(k, documented(o)))
		}
	}
	var others []Operation
	for k := range c.operations {
		if _, ok := at[k]; !ok {
			others = append(others, c.counted(k, Operation{ID: plain(k.id), Edition: plain(k.edition)}))
		}
	}
	slices.SortFunc(others, func(a, b Operation) int { return cmp.Or(cmp.Compare(a.ID, b.ID), cmp.Compare(a.Edition, b.Edition)) })
	return append(list, others...)
}

func documented(o *policy.Operation) Operation {
	return Operation{ID: o.ID, Edition: string(o.Edition), Documented: true, Enabled: o.Enabled,
		Purpose: o.Purpose, Method: o.Method, Path: o.Path, When: o.When, Scope: o.Scope}
}

func (c *collector) counted(k operationKey, o Operation) Operation {
	o.Statuses, o.Codes = []Count{}, []Count{}
	if t := c.operations[k]; t != nil {
		o.Allowed, o.Refused, o.Failed, o.BytesIn, o.BytesOut = t.allowed, t.refused, t.failed, t.bytesIn, t.bytesOut
		o.Statuses, o.Codes = t.statuses.list(), t.codes.mostFirst()
	}
	return o
}

func (c *collector) listRefusals() []Refusal {
	list := []Refusal{}
	for _, code := range c.refusals.names() {
		t := c.refusals.byName[code]
		list = append(list, Refusal{plain(code), meaning(code), t.n, t.first, t.last, t.clients.mostFirst()})
	}
	slices.SortStableFunc(list, func(a, b Refusal) int { return cmp.Compare(b.Count, a.Count) })
	return list
}

func (c *collector) listAddresses() []Address {
	list := []Address{}
	for _, address := range c.addresses.names() {
		t := c.addresses.byName[address]
		list = append(list, Address{plain(address), t.n, t.unpublished, t.first, t.last})
	}
	slices.SortStableFunc(list, func(a, b Address) int { return cmp.Compare(b.Calls, a.Calls) })
	return list
}

func (c *collector) listClients() []Client {
	list := []Client{}
	for _, name := range c.clients.names() {
		t := c.clients.byName[name]
		list = append(list, Client{plain(name), t.allowed, t.refused, t.first, t.last})
	}
	slices.SortStableFunc(list, func(a, b Client) int { return cmp.Compare(b.Allowed+b.Refused, a.Allowed+a.Refused) })
	return list
}

func (c *collector) listPolicies() []Policy {
	list := []Policy{}
	for _, p := range c.in.Policies {
		list = append(list, Policy{plain(p.SHA256), plain(p.Version), p.From.UTC(), p.Until.UTC(), c.promise.policies[p.SHA256].allowed, plainAll(p.Changes), p.Missing, p.Altered})
	}
	return list
}

// listPublished leaves out periods that were over before the month, or begin later.
func (c *collector) listPublished() []Published {
	list := []Published{}
	for _, p := range c.in.Published {
		if !p.From.Before(c.in.Until) || !p.Until.IsZero() && !p.Until.After(c.in.From) {
			continue
		}
		list = append(list, Published{p.Address.String(), plain(p.Region), p.From.UTC(), optional(p.Until)})
	}
	slices.SortStableFunc(list, func(a, b Published) int {
		return cmp.Or(netip.MustParseAddr(a.Address).Compare(netip.MustParseAddr(b.Address)), a.From.Compare(b.From))
	})
	return list
}

func verified(v *Verification) Verified {
	return Verified{v.OK, plain(strings.TrimSpace(v.Failure)), v.Records, v.Segments, v.Last, plain(v.Head),
		v.CheckpointSize, plain(v.CheckpointRoot), plainAll(v.Signed), v.UnsignedTail, v.RetainedFrom, optional(v.RetainedSince)}
}

func optional(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	t = t.UTC()
	return &t
}
