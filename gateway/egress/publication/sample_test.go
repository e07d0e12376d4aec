package publication_test

import (
	"bytes"
	"net/netip"
	"testing"
	"time"

	"jiragate/gateway/egress/publication"
	"jiragate/gateway/egress/register"
	"jiragate/policy"
)

func at(s string) time.Time {
	t, err := time.Parse(time.RFC3339, s)
	if err != nil {
		panic(err)
	}
	return t
}

// sample is the US environment while it gets a third address and IPv6: one
// address is announced, one is retired.
func sample() *publication.Document {
	var (
		first  = netip.MustParseAddr("52.54.159.237")
		second = netip.MustParseAddr("52.73.143.252")
		third  = netip.MustParseAddr("54.144.10.21")
		six    = netip.MustParseAddr("2a05:d018::1")
		old    = netip.MustParseAddr("54.90.200.7")
	)
	return &publication.Document{
		Region:    "us",
		Created:   at("2026-11-27T06:30:00Z"),
		SyncToken: "1795761000",
		Entries: []register.Entry{
			{Address: six, From: at("2026-06-01T00:00:00Z")},
			{Address: second, From: at("2024-03-01T00:00:00Z"), Until: at("2027-03-31T22:00:00Z")},
			{Address: old, From: at("2021-05-04T00:00:00Z"), Until: at("2024-04-01T00:00:00Z")},
			{Address: third, From: at("2026-12-15T09:00:00Z")},
			{Address: first, From: at("2021-05-04T00:00:00Z")},
		},
		History: []register.Change{
			{Announced: at("2021-05-04T00:00:00Z"), Address: first, Action: register.ActionUse, Effective: at("2021-05-04T00:00:00Z")},
			{Announced: at("2021-05-04T00:00:00Z"), Address: old, Action: register.ActionUse, Effective: at("2021-05-04T00:00:00Z")},
			{Announced: at("2024-01-15T10:00:00Z"), Address: second, Action: register.ActionUse, Effective: at("2024-03-01T00:00:00Z")},
			{Announced: at("2024-01-15T10:00:00Z"), Address: old, Action: register.ActionRetire, Effective: at("2024-04-01T00:00:00Z")},
			{Announced: at("2026-04-20T08:00:00Z"), Address: six, Action: register.ActionUse, Effective: at("2026-06-01T00:00:00Z")},
			{Announced: at("2026-11-02T14:30:00Z"), Address: third, Action: register.ActionUse, Effective: at("2026-12-15T09:00:00Z")},
			{Announced: at("2026-11-20T09:00:00Z"), Address: second, Action: register.ActionRetire, Effective: at("2027-03-31T22:00:00Z")},
		},
		Policy: policy.Default(),
	}
}

// unpinned is a region without an address.
func unpinned() *publication.Document {
	return &publication.Document{Region: "eu", Created: at("2026-11-27T06:30:00Z"), SyncToken: "1795761000", Policy: policy.Default()}
}

func written(t testing.TB, d *publication.Document, format string) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := d.Write(&b, format); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}
