package audit

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestOrigin(t *testing.T) {
	empty := t.TempDir()
	unsigned := auditDir(t)
	mustClose(t, mustOpen(t, Options{Dir: unsigned}))
	signed := auditDir(t)
	l := mustOpen(t, Options{Dir: signed, Signer: newTestSigner(t, 1)})
	mustAppend(t, l, refusal())
	mustClose(t, l)
	spoilt := snapshot(t, signed)
	for _, name := range glob(t, spoilt, "*.checkpoint") {
		writeTestFile(t, name, []byte("nothing"))
	}
	for name, tt := range map[string]struct {
		dir, want string
		err       error
	}{
		"signed":                    {signed, newTestSigner(t, 1).Name(), nil},
		"without a checkpoint":      {unsigned, "", nil},
		"a checkpoint that is none": {spoilt, "", nil},
		"no log":                    {empty, "", ErrNoLog},
		"no directory":              {filepath.Join(empty, "x"), "", fs.ErrNotExist},
	} {
		if got, err := Origin(tt.dir); got != tt.want || !errors.Is(err, tt.err) {
			t.Errorf("%s: %q, %v", name, got, err)
		}
	}
}

// A record is found in each copy of its log, and in no other log.
func TestHolds(t *testing.T) {
	one, other, empty := queryLog(t), queryLog(t), auditDir(t)
	mustClose(t, mustOpen(t, Options{Dir: empty}))
	edited := snapshot(t, one)
	text := readFile(t, glob(t, edited, "*.jsonl")[0])
	writeTestFile(t, glob(t, edited, "*.jsonl")[0], []byte(strings.Replace(string(text), "billing", "Billing", 1)))
	shortened := snapshot(t, one) // as by retention
	if err := os.Remove(glob(t, shortened, "*.jsonl")[0]); err != nil {
		t.Fatal(err)
	}
	went := snapshot(t, one)
	l := mustOpen(t, Options{Dir: went})
	mustAppend(t, l, refusal())
	mustClose(t, l)
	for name, tt := range map[string]struct {
		first, in string
		seq       uint64
		want      bool
	}{
		"two logs":                      {one, other, 1, false},
		"one without a record":          {one, empty, 1, false},
		"a copy":                        {one, snapshot(t, one), 1, true},
		"a copy that went on":           {one, went, 1, true},
		"a copy that was edited":        {edited, one, 1, true},
		"a copy without the first hour": {shortened, one, 4, true},
		"what the copy does not have":   {one, shortened, 1, false},
	} {
		e, err := First(tt.first)
		if err != nil || e.Seq != tt.seq {
			t.Fatalf("%s: the first is record %d, %v", name, e.Seq, err)
		}
		if got, err := Holds(tt.in, e); got != tt.want || err != nil {
			t.Errorf("%s: %t, %v, want %t", name, got, err, tt.want)
		}
	}
	if e, err := First(empty); e.Seq != 0 || err != nil {
		t.Errorf("an empty log begins with %d, %v", e.Seq, err)
	}
}
