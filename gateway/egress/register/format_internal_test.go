package register

import (
	"bytes"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// written is a file as it is written.
const written = `{
  "version": 1,
  "region": "us",
  "changes": [
    {"announced":"2026-10-01T12:00:00Z","address":"52.54.159.237","action":"use","effective":"2026-10-01T12:00:00Z"},
    {"announced":"2026-10-02T12:00:00Z","address":"2600:1f18::1","action":"use","effective":"2026-11-01T12:00:00Z"},
    {"announced":"2026-10-02T12:00:00Z","address":"52.54.159.237","action":"retire","effective":"2026-12-01T12:00:00Z"}
  ]
}
`

func TestFormat(t *testing.T) {
	h, err := parse([]byte(written), "us")
	if err != nil {
		t.Fatal(err)
	}
	if got, err := h.format("us"); err != nil || string(got) != written {
		t.Errorf("it is written as %s (%v)", got, err)
	}
	want := []Entry{{
		Address: netip.MustParseAddr("52.54.159.237"),
		From:    time.Date(2026, time.October, 1, 12, 0, 0, 0, time.UTC),
		Until:   time.Date(2026, time.December, 1, 12, 0, 0, 0, time.UTC),
	}}
	if got := h.entries[want[0].Address]; !slices.Equal(got, want) {
		t.Errorf("entries %v, want %v", got, want)
	}
}

func TestParseLeavesWhiteSpaceFree(t *testing.T) {
	for name, content := range map[string]string{
		"none":    strings.Join(strings.Fields(written), ""),
		"Windows": strings.ReplaceAll(written, "\n", "\r\n"),
		"more":    strings.NewReplacer(`":`, "\" :\n", `",`, "\" ,\t").Replace(written),
	} {
		h, err := parse([]byte(content), "us")
		if err != nil {
			t.Errorf("%s: %v", name, err)
		} else if got, _ := h.format("us"); string(got) != written {
			t.Errorf("%s: it is read as %s", name, got)
		}
	}
}

func TestParseRefuses(t *testing.T) {
	for _, test := range []struct{ name, old, new, says string }{
		{"an unknown name", `"version": 1,`, `"version": 1, "owner": "me",`, `unknown field "owner"`},
		{"an unknown name in a change", `"action":"retire"`, `"action":"retire","why":"moved"`, `unknown field "why"`},
		{"a newer version", `"version": 1`, `"version": 2, "more": {}`, "format version is 2, and this jiragate knows 1: use the jiragate that wrote it"},
		{"no version", `"version": 1,`, ``, "format version is 0"},
		{"a version in words", `"version": 1`, `"version": "1"`, "not the JSON it should be"},
		{"another region", `"us"`, `"eu"`, `it is of region "eu", and this gateway's is "us": give each region a data directory of its own`},
		{"something after it", "}\n", "}\n{}", "not the JSON it should be"},
		{"half of it", "  ]\n}\n", "", "not the JSON it should be"},
		{"nothing", written, "", "not the JSON it should be"},
		{"zeros, as after a power failure", written, strings.Repeat("\x00", len(written)), "not the JSON it should be"},
		{"null", written, "null", "format version is 0"},
		{"no changes", `"changes": [`, `"changes": null, "x": [`, `unknown field "x"`},
		{"null for changes", written, `{"version":1,"region":"us","changes":null}`, `jiragate writes`},
		{"a name twice", `"version": 1,`, `"version": 1, "version": 1,`, "jiragate writes"},
		{"a name twice, the last of which counts", `"action":"retire"`, `"action":"use","action":"retire"`, "jiragate writes"},
		{"a name in capitals", `"region"`, `"Region"`, "jiragate writes"},
		{"another order", `"version": 1,
  "region": "us"`, `"region": "us", "version": 1`, "jiragate writes"},
		{"an escape that isn't needed", `"us"`, `"\u0075s"`, "jiragate writes"},
		{"UTF-8 that isn't", `"us"`, "\"us\xff\"", "is of region"},
		{"a byte order mark", "{\n  \"version", "\ufeff{\n  \"version", "not the JSON it should be"},

		{"out of order", `"announced":"2026-10-01T12`, `"announced":"2026-10-03T12`, "change 1, of 52.54.159.237: not acceptable: it takes effect at 2026-10-01T12:00:00Z, before it was announced"},
		{"announced before its predecessor", `"announced":"2026-10-02T12:00:00Z","address":"52`, `"announced":"2026-09-02T12:00:00Z","address":"52`, "change 3, of 52.54.159.237: not acceptable: it was announced at 2026-09-02T12:00:00Z, before the change that it follows"},
		{"parts of a second", "10-01T12:00:00Z", "10-01T12:00:00.5Z", "times are whole seconds"},
		{"a fraction of zero", "10-01T12:00:00Z", "10-01T12:00:00.0Z", "jiragate writes"},
		{"another time zone", "10-01T12:00:00Z", "10-01T12:00:00+00:00", "jiragate writes"},
		{"no time", `"effective":"2026-12-01T12:00:00Z"`, `"effective":"0001-01-01T00:00:00Z"`, "times are whole seconds"},
		{"a missing time", `,"effective":"2026-12-01T12:00:00Z"`, ``, "times are whole seconds"},
		{"too far ahead", "2026-12-01", "2062-12-01", "check the year"},
		{"the unspecified address", "2600:1f18::1", "::", "unspecified"},
		{"a multicast address", "2600:1f18::1", "ff02::1", "multicast"},
		{"a zone", "2600:1f18::1", "fe80::1%eth0", "zone"},
		{"IPv4 inside IPv6", "2600:1f18::1", "::ffff:52.73.143.252", "write 52.73.143.252"},
		{"IPv4 inside IPv6, spelled otherwise", "2600:1f18::1", "::ffff:3449:8ffc", "write 52.73.143.252"},
		{"IPv6 in capitals", "2600:1f18::1", "2600:1F18::1", `"address":"2600:1F18::1\"`},
		{"IPv6 in full", "2600:1f18::1", "2600:1f18:0::1", "jiragate writes"},
		{"no address", "2600:1f18::1", "", "there is no address"},
		{"a network", "2600:1f18::1", "2600:1f18::/32", "not the JSON it should be"},
		{"an unknown action", `"retire"`, `"forget"`, `the action is "forget"; it must be "use" or "retire"`},
		{"a change that changes nothing", `"action":"retire"`, `"action":"use"`, "change 3, of 52.54.159.237: nothing changes"},
		{"a retirement out of the blue", `"address":"52.54.159.237","action":"retire"`, `"address":"52.73.143.252","action":"retire"`, "unknown address"},
	} {
		t.Run(test.name, func(t *testing.T) {
			content := strings.ReplaceAll(written, test.old, test.new)
			if content == written {
				t.Fatal("nothing was spoilt")
			}
			_, err := parse([]byte(content), "us")
			if err == nil {
				t.Fatalf("it is read: %s", content)
			}
			if !strings.Contains(strings.ReplaceAll(err.Error(), `\"`, `"`), strings.ReplaceAll(test.says, `\"`, `"`)) {
				t.Errorf("error %q does not say %q", err, test.says)
			}
			if !strings.Contains(err.Error(), "restore the file from a backup") && !strings.Contains(err.Error(), ": use ") && !strings.Contains(err.Error(), ": give ") {
				t.Errorf("error %q does not say what to do", err)
			}
		})
	}
}

// A full register of the longest changes can be written, read again and added to
// no more.
func TestBounds(t *testing.T) {
	h := &history{}
	c := Change{Announced: time.Date(2026, time.October, 1, 12, 0, 0, 0, time.UTC), Action: ActionUse}
	address := netip.MustParseAddr("2600:1f18:1111:2222:3333:4444:5555:6666")
	for i := range maxChanges {
		c.Address, c.Effective = address, c.Announced
		if c.Action = ActionUse; i%2 == 1 {
			c.Action, c.Effective = ActionRetire, c.Announced.Add(time.Second)
			c.Announced = c.Effective
			address = address.Next()
		}
		if err := h.apply(c); err != nil {
			t.Fatal(err)
		}
	}
	content, err := h.format("us")
	if err != nil {
		t.Fatal(err)
	}
	again, err := parse(content, "us")
	if err != nil {
		t.Fatal(err)
	}
	c.Address = netip.MustParseAddr("52.54.159.237")
	if _, err := again.extended([]Change{c}); err == nil || !strings.Contains(err.Error(), "is full") {
		t.Errorf("one more: %v", err)
	}
	if _, err := parse(append(content, bytes.Repeat([]byte{' '}, maxSize)...), "us"); err == nil || !strings.Contains(err.Error(), "larger than") {
		t.Errorf("a larger file: %v", err)
	}
}

// FuzzParse: what is read is written as something that is read as the same, and
// that something is the same again; and the history in it is sound.
func FuzzParse(f *testing.F) {
	seeds := []string{written, strings.Join(strings.Fields(written), ""), `{"version":1,"region":"us","changes":[]}`}
	for _, seed := range seeds {
		if _, err := parse([]byte(seed), "us"); err != nil {
			f.Fatal(err)
		}
		f.Add([]byte(seed))
	}
	for _, spoilt := range []string{
		"", "null", `{"version":2}`, written + "x",
		strings.Replace(written, "us", "eu", 1),
		strings.Replace(written, "retire", "use", 1),
		strings.Replace(written, "2600:1f18::1", "::ffff:52.73.143.252", 1),
		strings.ReplaceAll(written, "2026-12-01T12:00:00Z", "2026-10-02T12:00:00Z"),
		strings.ReplaceAll(written, "2600:1f18::1", "52.54.159.237"),
	} {
		f.Add([]byte(spoilt))
	}
	f.Fuzz(func(t *testing.T, content []byte) {
		h, err := parse(content, "us")
		if err != nil {
			return
		}
		once, err := h.format("us")
		if err != nil {
			t.Fatal(err)
		}
		again, err := parse(once, "us")
		if err != nil {
			t.Fatalf("%s is written as %s: %v", content, once, err)
		}
		if !slices.Equal(again.changes, h.changes) || again.token != h.token {
			t.Errorf("%v (%d) is read again as %v (%d)", h.changes, h.token, again.changes, again.token)
		}
		if twice, err := again.format("us"); err != nil || !bytes.Equal(once, twice) {
			t.Errorf("%s is written as %s (%v)", once, twice, err)
		}
		if err := sound(h); err != nil {
			t.Errorf("%s: %v", content, err)
		}
	})
}

// sound checks what holds for every history.
func sound(h *history) error {
	for a, entries := range h.entries {
		for i, e := range entries {
			if e.Address != a || !e.Until.IsZero() && !e.From.Before(e.Until) {
				return fmt.Errorf("%s: entry %v", a, e)
			}
			if i > 0 && (entries[i-1].Until.IsZero() || e.From.Before(entries[i-1].Until)) {
				return fmt.Errorf("%s: %v follows %v", a, e, entries[i-1])
			}
		}
	}
	for i, c := range h.changes {
		if c.Effective.Before(c.Announced) || i > 0 && c.Announced.Before(h.changes[i-1].Announced) {
			return fmt.Errorf("change %s out of order", strconv.Itoa(i))
		}
	}
	return nil
}
