package published_test

import (
	"crypto/rand"
	"strings"
	"testing"
	"time"

	"golang.org/x/mod/sumdb/note"

	"jiragate/gateway/audit/checkpoint"
	"jiragate/gateway/audit/published"
)

var day = time.Date(2026, 11, 28, 0, 0, 0, 0, time.UTC)

// at is a checkpoint of a log, as it is stored.
func at(t *testing.T, origin string, size uint64) published.Checkpoint {
	t.Helper()
	private, _, err := note.GenerateKey(rand.Reader, origin)
	if err != nil {
		t.Fatal(err)
	}
	s, err := note.NewSigner(private)
	if err != nil {
		t.Fatal(err)
	}
	signed, err := note.Sign(&note.Note{Text: string(checkpoint.Checkpoint{Origin: origin, Size: size}.Text())}, s)
	if err != nil {
		t.Fatal(err)
	}
	return published.Checkpoint{Size: size, Published: day.Add(time.Duration(size) * time.Hour), Note: string(signed)}
}

func TestRead(t *testing.T) {
	const zoneA, zoneB = "jiragate/us/zone-a", "jiragate/us/zone-b"
	one, two := at(t, zoneA, 1), at(t, zoneA, 2)
	l, err := published.Read(published.Log{Origin: zoneA, Newest: two, Kept: []published.Checkpoint{one, two}})
	if err != nil || l.Node != "zone-a" {
		t.Fatalf("%+v, %v", l, err)
	}
	all := l.Checkpoints() // that which is the first of a day and the newest, once
	if len(all) != 2 || string(all[1].Signed) != two.Note || all[1].Name != `the checkpoint that "zone-a" published on 2026-11-28T02:00:00Z` {
		t.Errorf("%q", all)
	}
	other := two
	other.Size = 3
	for name, l := range map[string]published.Log{
		"no node":          {Origin: "jiragate/us", Newest: at(t, "jiragate/us", 1)},
		"another log's":    {Origin: zoneB, Newest: one},
		"another size":     {Origin: zoneA, Newest: other},
		"a kept one is":    {Origin: zoneA, Newest: two, Kept: []published.Checkpoint{at(t, zoneB, 1)}},
		"no checkpoint":    {Origin: zoneA, Newest: published.Checkpoint{Note: "\x1b[2J"}},
		"a name of others": {Origin: "\x1b[2J", Newest: one},
	} {
		if _, err := published.Read(l); err == nil || strings.Contains(err.Error(), "\x1b") || !strings.Contains(err.Error(), "a gateway did not write it") {
			t.Errorf("%s: %v", name, err)
		}
	}
	logs := []published.Log{l, {Node: "zone-b", Origin: zoneB}}
	if absent := published.Absent(logs, []string{zoneA, "jiragate/us"}); len(absent) != 1 || absent[0].Node != "zone-b" || len(logs) != 2 {
		t.Errorf("%+v", absent)
	}
}
