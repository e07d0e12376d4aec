package etcd

import (
	"errors"
	"net/url"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"jiragate/tokenstore"
)

// FuzzPublished: whatever is below the prefix of checkpoints, it is damage that names its
// key, or a log with a name of its own, whose checkpoint is the same when it is written again.
func FuzzPublished(f *testing.F) {
	c := Checkpoint{Size: 7, Root: []byte("root"), Signed: []byte("note"), Published: time.Date(2026, 11, 23, 10, 0, 0, 0, time.UTC)}
	value := encodeCheckpoint(c)
	for _, rest := range []string{"jiragate%2Fus/newest", "a/days/2026-11-23", "a/contradicted/2026-11-23", "a/other", "/newest", "a", "%61/newest", "a%0Ab/newest"} {
		f.Add(rest, []byte(value))
	}
	f.Add("a/retired", []byte(`{"size":7,"at":"2026-11-23T10:00:00Z","by":"zone-a"}`))
	for _, bad := range []string{value + "}", value + "]", value + value, value + "x", value[:len(value)-1], `null`, `{}`, `{"size":-1}`, `{"size":1,"signed":"bm90ZQ==","more":1}`} {
		f.Add("a/newest", []byte(bad))
	}
	f.Add("a/retired", []byte(`null`))
	f.Fuzz(func(t *testing.T, rest string, value []byte) {
		key := []byte("/jiragate/checkpoints/" + rest)
		logs, err := addPublished(nil, rest, key, value)
		if err != nil {
			if !errors.Is(err, tokenstore.ErrCorrupt) || strings.ContainsFunc(err.Error(), func(r rune) bool { return r < ' ' || r == 0x7f }) {
				t.Errorf("error %q", err)
			}
			return
		}
		if len(logs) != 1 || logs[0].Name == "" || !strings.HasPrefix(rest, url.PathEscape(logs[0].Name)+"/") {
			t.Fatalf("%q is %+v", rest, logs)
		}
		for _, c := range slices.Concat([]Checkpoint{logs[0].Newest}, logs[0].Kept) {
			if c.Signed == nil {
				continue
			}
			if len(c.Signed) > MaxCheckpoint {
				t.Errorf("a checkpoint of %d bytes", len(c.Signed))
			}
			var again Checkpoint
			if err := decodeCheckpoint(key, []byte(encodeCheckpoint(c)), &again); err != nil || !again.Published.Equal(c.Published) {
				t.Fatalf("%q written again: %+v, %v", value, again, err)
			}
			if again.Published = c.Published; !reflect.DeepEqual(again, c) {
				t.Errorf("%+v has become %+v", c, again)
			}
		}
		if r := logs[0].Retired; r != nil && r.At.IsZero() && r.By == "" && r.Size == 0 && !strings.Contains(string(value), "{") {
			t.Errorf("%q has ended the log", value)
		}
	})
}

// TestPublishedIsOneObject: what follows it somebody else has written, and null is none.
func TestPublishedIsOneObject(t *testing.T) {
	const whole = `{"size":7,"at":"2026-11-23T10:00:00Z","by":"zone-a"}`
	for value, ok := range map[string]bool{
		whole: true, whole + "\n": true, whole + "}": false, whole + "]": false, whole + whole: false, whole + "x": false, "null": false, "": false,
	} {
		_, err := addPublished(nil, "a/retired", []byte("a/retired"), []byte(value))
		if (err == nil) != ok {
			t.Errorf("%s: %v", value, err)
		}
	}
}
