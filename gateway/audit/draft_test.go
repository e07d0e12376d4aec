package audit

import (
	"bytes"
	"reflect"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// TestDraft: the body of a record is the same whether its intent helps to make it or
// not, and whatever the memory held before; so is what the record becomes.
func TestDraft(t *testing.T) {
	var d draft
	rapid.Check(t, func(t *rapid.T) {
		begun := anyRecord(t)
		r := begun
		intent := begun
		intent.Seq, intent.Prev = 0, ""
		d.begin(&begun)
		if want := string(appendRecord(nil, &intent)) + "\n"; string(d.line) != want {
			t.Fatalf("the intent's line is\n%s, want\n%s", d.line, want)
		}
		r.Status, r.BytesOut, r.UpstreamAddr = 200, 12, "198.51.100.9:443"
		texts := r.texts()
		for _, i := range rapid.SliceOfN(rapid.IntRange(0, len(texts)-1), 0, 2).Draw(t, "changed") {
			*texts[i] = rapid.String().Draw(t, "text")
		}
		if rapid.Bool().Draw(t, "another path") {
			r.Path += "\xff"
		}
		if rapid.Bool().Draw(t, "another name") {
			r.QueryNames = append(r.QueryNames[:len(r.QueryNames):len(r.QueryNames)], "x")
		}
		r.Time = begun.Time
		want := r.canonical()
		body := d.finish(&r)
		if !reflect.DeepEqual(r, want) {
			t.Fatalf("the record became\n%+v, want\n%+v", r, want)
		}
		if wantBody := appendBody(nil, &want); !bytes.Equal(body, wantBody) {
			t.Fatalf("body is\n%s, want\n%s", body, wantBody)
		}
	})
}

// TestDraftNoticesEachChange of a text since the intent.
func TestDraftNoticesEachChange(t *testing.T) {
	for i := range (&Record{}).texts() {
		var d draft
		r := outcome(intent("GET"))
		d.begin(&r)
		*r.texts()[i] = "another"
		if body, want := d.finish(&r), appendBody(nil, &r); !bytes.Equal(body, want) {
			t.Errorf("text %d: body is\n%s, want\n%s", i, body, want)
		}
	}
}

// TestRecordsShareNothingWithTheCaller: names that change later are not those of the
// record.
func TestRecordsShareNothingWithTheCaller(t *testing.T) {
	var seen []Record
	l := mustOpen(t, Options{Dir: auditDir(t), Observe: func(r Record) { seen = append(seen, r) }})
	r := intent("GET")
	p := mustBegin(t, l, r)
	written := mustComplete(t, p, outcome(r))
	r.QueryNames[0] = "changed"
	mustComplete(t, mustBegin(t, l, intent("GET")), intent("GET")) // uses the memory of the first
	if written.QueryNames[0] != "project" || seen[0].QueryNames[0] != "project" {
		t.Errorf("names are %q, observed %q", written.QueryNames, seen[0].QueryNames)
	}
}

// TestDraftsOfLongLinesAreNotKept, so that who sends long texts fills no memory; and
// those that are kept hold no texts.
func TestDraftsOfLongLinesAreNotKept(t *testing.T) {
	var p drafts
	d := p.get()
	r := intent("GET")
	r.Path = strings.Repeat("\x00", maxPath)
	d.begin(&r)
	p.put(d)
	if d.intent.Path == "" {
		t.Error("a draft of a long line is used again")
	}
	d = p.get()
	r = intent("GET")
	d.begin(&r)
	p.put(d)
	if !reflect.DeepEqual(d.intent, Record{}) {
		t.Errorf("a draft that waits holds %+v", d.intent)
	}
}
