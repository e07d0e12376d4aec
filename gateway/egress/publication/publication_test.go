package publication_test

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"jiragate/gateway/egress/publication"
	"jiragate/gateway/egress/register"
	"jiragate/policy"
)

// listed are the addresses that a customer has to allow.
func listed(d *publication.Document) []netip.Addr {
	var list []netip.Addr
	for _, e := range d.Entries {
		if e.State(d.Created) != register.StateRetired {
			list = append(list, e.Address)
		}
	}
	slices.SortFunc(list, netip.Addr.Compare)
	return list
}

// drawn is a document about any addresses in any states.
func drawn(t *rapid.T) *publication.Document {
	d := sample()
	d.Region = rapid.StringMatching(`[a-z][a-z0-9]{0,4}(-[a-z0-9]{1,4}){0,2}`).Draw(t, "region")
	d.Entries = nil
	addresses := rapid.OneOf(
		rapid.Custom(func(t *rapid.T) netip.Addr {
			return netip.AddrFrom4([4]byte(rapid.SliceOfN(rapid.Byte(), 4, 4).Draw(t, "IPv4")))
		}),
		rapid.Custom(func(t *rapid.T) netip.Addr {
			b := [16]byte(rapid.SliceOfN(rapid.Byte(), 16, 16).Draw(t, "IPv6"))
			b[0] |= 0x20 // not IPv4-mapped
			return netip.AddrFrom16(b)
		}))
	seconds := rapid.IntRange(-3, 3)
	for _, a := range rapid.SliceOfNDistinct(addresses, 0, 12, rapid.ID).Draw(t, "addresses") {
		e := register.Entry{Address: a, From: d.Created.Add(time.Duration(seconds.Draw(t, "from")) * time.Second)}
		if rapid.Bool().Draw(t, "ends") {
			e.Until = d.Created.Add(time.Duration(seconds.Draw(t, "until")) * time.Second)
		}
		d.Entries = append(d.Entries, e)
		if rapid.Bool().Draw(t, "was here before") {
			d.Entries = append(d.Entries, register.Entry{Address: a, From: at("2020-01-01T00:00:00Z"), Until: at("2021-01-01T00:00:00Z")})
		}
	}
	return d
}

func TestEveryMachineFormatListsWhatIsToBeAllowedAndNothingElse(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		d := drawn(t)
		want := listed(d)
		for name, read := range readers {
			var b bytes.Buffer
			if err := d.Write(&b, name); err != nil {
				t.Fatal(err)
			}
			got, err := read(b.Bytes())
			if err != nil {
				t.Fatalf("%s: %v\n%s", name, err, &b)
			}
			if !slices.Equal(got, want) {
				t.Fatalf("%s lists %v, want %v:\n%s", name, got, want, &b)
			}
		}
	})
}

// What must be allowed must not be shown as something to take off an allowlist.
func TestAnAddressThatCameBackIsNotRetired(t *testing.T) {
	d := unpinned()
	back := netip.MustParseAddr("192.0.2.1")
	d.Entries = []register.Entry{
		{Address: back, From: at("2020-01-01T00:00:00Z"), Until: at("2021-01-01T00:00:00Z")},
		{Address: back, From: at("2027-01-01T00:00:00Z")},
	}
	root := parsed(t, d)
	want := []string{"192.0.2.1", "announced", "1 Jan 2027, 00:00 UTC", "no end is known"}
	if got := rows(t, root, "Addresses in use and announced")[1:]; len(got) != 1 || !slices.Equal(got[0], want) {
		t.Errorf("the page lists %q, want %q", got, want)
	}
	if !strings.Contains(text(root), "No address has been retired.") {
		t.Error("the address is shown as retired")
	}
}

func TestEveryFormatButThePageHasAReader(t *testing.T) {
	names := map[string]bool{}
	for _, name := range publication.Formats() {
		file := publication.FileName(name)
		if file == "" || names[file] {
			t.Errorf("%s is the file %q, which is none or another's", name, file)
		}
		names[file] = true
		if _, ok := readers[name]; !ok && name != "html" {
			t.Errorf("%s is read by no test", name)
		}
	}
	if got := publication.FileName("pdf"); got != "" {
		t.Errorf("an unknown format has the file %q", got)
	}
}

func TestEqualDocumentsGiveEqualBytes(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		d := drawn(t)
		other := *d
		other.Entries = rapid.Permutation(d.Entries).Draw(t, "order")
		other.Created = d.Created.In(time.FixedZone("elsewhere", 3600)).Add(300 * time.Millisecond)
		a, err := d.Files()
		if err != nil {
			t.Fatal(err)
		}
		b, err := other.Files()
		if err != nil {
			t.Fatal(err)
		}
		for i := range a {
			if a[i].Name != b[i].Name || !bytes.Equal(a[i].Content, b[i].Content) {
				t.Fatalf("%s differs", a[i].Name)
			}
		}
	})
}

func TestEveryFormatWithCommentsSaysWhatItIs(t *testing.T) {
	for _, name := range []string{"txt", "nftables", "iptables", "nginx"} {
		got := string(written(t, sample(), name))
		want := "# jiragate egress addresses, region us\n# created 2026-11-27T06:30:00Z, sync token 1795761000\n"
		if !strings.HasPrefix(got, want) {
			t.Errorf("%s does not begin with\n%s\n%s", name, want, got)
		}
	}
}

func TestAnUnpinnedRegionIsSaidToBeOne(t *testing.T) {
	retired := unpinned()
	retired.Entries = []register.Entry{{Address: netip.MustParseAddr("192.0.2.1"), From: at("2020-01-01T00:00:00Z"), Until: at("2021-01-01T00:00:00Z")}}
	for _, d := range []*publication.Document{unpinned(), retired} {
		for name, want := range map[string]string{
			"html":               "No address is published for this region: calls are unpinned.",
			"json":               `"pinned": false,`,
			"txt":                "# No address is published: calls are unpinned and may come from any address.\n",
			"nftables":           "# No address is published: calls are unpinned and may come from any address.\n",
			"iptables":           "# No address is published: calls are unpinned and may come from any address.\n",
			"nginx":              "# No address is published: calls are unpinned and may come from any address.\n",
			"aws-security-group": "[]\n",
			"cloudflare":         "[]\n",
		} {
			if got := string(written(t, d, name)); !strings.Contains(got, want) {
				t.Errorf("%s lacks %q:\n%s", name, want, got)
			}
		}
	}
	early := sample()
	early.Created = at("2021-05-03T00:00:00Z")
	early.Entries = early.Entries[3:]
	for name, want := range map[string]string{
		"html": "No address is in use yet: calls are unpinned.",
		"json": `"pinned": false,`,
		"txt":  "# No address is in use yet: calls are unpinned",
	} {
		if got := string(written(t, early, name)); !strings.Contains(got, want) {
			t.Errorf("%s lacks %q:\n%s", name, want, got)
		}
	}
	for _, name := range publication.Formats() {
		if got := string(written(t, sample(), name)); strings.Contains(got, "npinned") || strings.Contains(got, `"pinned": false`) {
			t.Errorf("%s: a region with addresses is not unpinned", name)
		}
	}
}

func TestChecksumsAreOfEveryOtherFileSortedByName(t *testing.T) {
	files, err := sample().Files()
	if err != nil {
		t.Fatal(err)
	}
	last := files[len(files)-1]
	if last.Name != publication.ChecksumsName || len(files) != len(publication.Formats())+1 {
		t.Fatalf("%d files, the last is %s", len(files), last.Name)
	}
	var want []string
	for _, f := range files[:len(files)-1] {
		want = append(want, fmt.Sprintf("%x  %s\n", sha256.Sum256(f.Content), f.Name))
	}
	slices.SortFunc(want, func(a, b string) int { return strings.Compare(a[66:], b[66:]) })
	if got := string(last.Content); got != strings.Join(want, "") {
		t.Errorf("the checksums are\n%swant\n%s", got, strings.Join(want, ""))
	}
}

// No document carries text that could end a comment, a cell or a command.
func TestWhatCannotBePublishedIsRefused(t *testing.T) {
	one := netip.MustParseAddr("192.0.2.1")
	entry := register.Entry{Address: one, From: at("2026-01-01T00:00:00Z")}
	change := register.Change{Announced: at("2026-01-01T00:00:00Z"), Address: one, Action: register.ActionUse, Effective: at("2026-02-01T00:00:00Z")}
	tests := []struct {
		name   string
		break_ func(*publication.Document)
		want   string
	}{
		{"no region", func(d *publication.Document) { d.Region = "" }, "the region"},
		{"a region with a line of its own", func(d *publication.Document) { d.Region = "us\nallow 0.0.0.0/0;" }, "the region"},
		{"a region with a last line feed", func(d *publication.Document) { d.Region = "us\n" }, "the region"},
		{"a region that begins a formula", func(d *publication.Document) { d.Region = "=us" }, "the region"},
		{"a region in upper case", func(d *publication.Document) { d.Region = "US" }, "the region"},
		{"a region too long for a chain", func(d *publication.Document) { d.Region = strings.Repeat("a", 17) }, "the region"},
		{"no sync token", func(d *publication.Document) { d.SyncToken = "" }, "the sync token"},
		{"a sync token that begins a formula", func(d *publication.Document) { d.SyncToken = "-1" }, "the sync token"},
		{"a sync token with markup", func(d *publication.Document) { d.SyncToken = "<b>" }, "the sync token"},
		{"a long sync token", func(d *publication.Document) { d.SyncToken = strings.Repeat("1", 65) }, "the sync token"},
		{"no time of creation", func(d *publication.Document) { d.Created = time.Time{} }, "time of creation is missing"},
		{"a year of five digits", func(d *publication.Document) { d.Created = d.Created.AddDate(8000, 0, 0) }, "in the year 10026"},
		{"no policy", func(d *publication.Document) { d.Policy = nil }, "no policy"},
		{"no address", func(d *publication.Document) { d.Entries = []register.Entry{{From: entry.From}} }, "an address is missing"},
		{"a zone", func(d *publication.Document) {
			d.Entries = []register.Entry{{Address: netip.MustParseAddr("fe80::1%eth0;reboot"), From: entry.From}}
		}, "not a plain"},
		{"IPv4 as IPv6", func(d *publication.Document) {
			d.Entries = []register.Entry{{Address: netip.MustParseAddr("::ffff:192.0.2.1"), From: entry.From}}
		}, "not a plain"},
		{"no start", func(d *publication.Document) { d.Entries = []register.Entry{{Address: one}} }, "start of 192.0.2.1 is missing"},
		{"an end of five digits", func(d *publication.Document) {
			d.Entries = []register.Entry{{Address: one, From: entry.From, Until: at("2026-01-01T00:00:00Z").AddDate(9000, 0, 0)}}
		}, "end of 192.0.2.1 is in the year"},
		{"in use and yet announced", func(d *publication.Document) {
			d.Entries = []register.Entry{entry, {Address: one, From: at("2027-01-01T00:00:00Z")}}
		}, "192.0.2.1 has two periods of use that are not over"},
		{"too many periods", func(d *publication.Document) { d.Entries = make([]register.Entry, 10001) }, "10001 periods"},
		{"too long a history", func(d *publication.Document) { d.History = make([]register.Change, 10001) }, "10001 changes"},
		{"an unknown action", func(d *publication.Document) { c := change; c.Action = "sell"; d.History = []register.Change{c} }, `"sell" of 192.0.2.1`},
		{"a change of nothing", func(d *publication.Document) {
			c := change
			c.Address = netip.Addr{}
			d.History = []register.Change{c}
		}, "the history: an address"},
		{"a change never announced", func(d *publication.Document) {
			c := change
			c.Announced = time.Time{}
			d.History = []register.Change{c}
		}, "announcement about 192.0.2.1 is missing"},
		{"a change never effective", func(d *publication.Document) {
			c := change
			c.Effective = time.Time{}
			d.History = []register.Change{c}
		}, "change of 192.0.2.1 is missing"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			d := sample()
			tt.break_(d)
			if _, err := d.Files(); err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("Files: %v, want %q", err, tt.want)
			}
			for _, name := range publication.Formats() {
				var b bytes.Buffer
				if err := d.Write(&b, name); err == nil || !strings.Contains(err.Error(), tt.want) || b.Len() > 0 {
					t.Errorf("%s: %v and %d bytes, want %q and none", name, err, b.Len(), tt.want)
				}
			}
		})
	}
}

func TestWriteTellsErrors(t *testing.T) {
	for _, name := range []string{"", "pdf", "HTML"} {
		if err := sample().Write(&bytes.Buffer{}, name); err == nil || !strings.Contains(err.Error(), "use html, json, csv") {
			t.Errorf("format %q: %v", name, err)
		}
	}
	full := errors.New("disk full")
	for _, name := range publication.Formats() {
		if err := sample().Write(failingWriter{full}, name); !errors.Is(err, full) {
			t.Errorf("%s: %v, want %v", name, err, full)
		}
	}
}

type failingWriter struct{ err error }

func (w failingWriter) Write([]byte) (int, error) { return 0, w.err }

// A publication goes to every customer; the rules name the others.
func TestTheOperatorsRulesStayInside(t *testing.T) {
	d := sample()
	p, err := policy.New([]byte("version: 1\nrules:\n" +
		"  - {name: hush-hush, connections: [big-bank], clients: [billing], projects: [MERGER]}\n" +
		"  - {name: never, deny: [issue.delete]}\n"))
	if err != nil {
		t.Fatal(err)
	}
	d.Policy = p
	for _, name := range publication.Formats() {
		got := string(written(t, d, name))
		for _, inside := range []string{"hush-hush", "big-bank", "billing", "MERGER"} {
			if strings.Contains(got, inside) {
				t.Errorf("%s tells %q", name, inside)
			}
		}
		if name == "html" && strings.Count(got, "switched off</span>") != 2 {
			t.Error("the page does not show that issue.delete is switched off in both editions")
		}
	}
}
