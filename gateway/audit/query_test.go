package audit

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"testing"
	"time"
)

// queryLog writes eight records over three hours. The path of each ends in its
// number, from 0.
func queryLog(t testing.TB) string {
	t.Helper()
	dir := auditDir(t)
	l := mustOpen(t, Options{Dir: dir})
	for n, r := range []Record{
		{Client: "billing", Connection: "acme", Operation: "myself.get", Decision: "allow", Status: 200},
		{Client: "billing", Connection: "globex", Operation: "issue.create", Decision: "allow", Status: 201},
		{Client: "support", Connection: "acme", Decision: "deny", Code: "operation_not_documented", Status: 403},
		{Client: "support", Connection: "acme", Operation: "myself.get", Decision: "allow", Status: 401},
		{Client: "billing", Connection: "acme", Operation: "user.picker", QueryNames: []string{"showAvatar"}, Decision: "allow", Status: 200},
		{Client: "billing", Connection: "acme", Decision: "deny", Code: "not_granted", Status: 403, ClientAddr: "10.9.9.9:1"},
		{Client: "billing", Connection: "acme", Operation: "myself.get", Decision: "allow", Code: "interrupted", Time: start},
		{Client: "billing", Connection: "ACME", Operation: "myself.get", Decision: "allow", Status: 200},
	} {
		if r.Time.IsZero() {
			r.Time = start.Add(time.Duration(n) * 20 * time.Minute)
		}
		r.Path = "/rest/Übung/" + strconv.Itoa(n)
		mustAppend(t, l, r)
	}
	mustClose(t, l)
	return dir
}

func TestQuery(t *testing.T) {
	dir := queryLog(t)
	for _, row := range []struct {
		name   string
		filter Filter
		want   string // numbers of the records
	}{
		{"everything, newest last", Filter{}, "01234567"},
		{"since is inclusive", Filter{Since: start.Add(40 * time.Minute)}, "23457"},
		{"until is exclusive", Filter{Until: start.Add(40 * time.Minute)}, "016"},
		{"a late record is found in its time", Filter{Since: start, Until: start.Add(time.Second)}, "06"},
		{"since the last segment", Filter{Since: start.Add(2 * time.Hour)}, "7"},
		{"since after the end", Filter{Since: start.Add(24 * time.Hour)}, ""},
		{"connection, in this case", Filter{Connection: "acme"}, "023456"},
		{"client", Filter{Client: "support"}, "23"},
		{"operation", Filter{Operation: "myself.get"}, "0367"},
		{"decision", Filter{Decision: DecisionDeny}, "25"},
		{"code", Filter{Code: CodeInterrupted}, "6"},
		{"status", Filter{Status: 200}, "047"},
		{"text in a query name, in any case", Filter{Text: "SHOWavatar"}, "4"},
		{"text in an address", Filter{Text: "10.9"}, "5"},
		{"text in the path, beyond ASCII", Filter{Text: "übung/3"}, "3"},
		{"text that only the line has", Filter{Text: `"code"`}, ""},
		{"several at once", Filter{Connection: "acme", Client: "billing", Decision: "allow", Status: 200}, "04"},
		{"the last one", Filter{Limit: 1}, "7"},
		{"the last, over segments", Filter{Limit: 4}, "4567"},
		{"the last of a kind", Filter{Limit: 2, Operation: "myself.get"}, "67"},
		{"the last of a kind, far back", Filter{Limit: 2, Client: "support"}, "23"},
		{"the last of more in a segment", Filter{Limit: 2, Until: start.Add(time.Hour)}, "26"},
		{"a limit beyond all", Filter{Limit: 100}, "01234567"},
		{"before a seq", Filter{Before: 4}, "012"},
		{"the last before a seq, over segments", Filter{Before: 7, Limit: 4}, "2345"},
		{"before the first", Filter{Before: 1, Limit: 4}, ""},
		{"before one that is to come", Filter{Before: 99, Limit: 2}, "67"},
		{"calls alone", Filter{Kind: KindCall, Limit: 3}, "567"},
		{"acts alone", Filter{Kind: KindAct}, ""},
		{"nothing", Filter{Client: "nobody", Limit: 3}, ""},
	} {
		t.Run(row.name, func(t *testing.T) {
			got := ""
			for e, err := range Query(dir, row.filter) {
				if err != nil {
					t.Fatal(err)
				}
				got += e.Path[len(e.Path)-1:]
				if want := appendRecord(nil, &e.Record); !bytes.Equal(e.Raw, want) {
					t.Errorf("the line of record %d is %s", e.Seq, e.Raw)
				}
			}
			if got != row.want {
				t.Errorf("got %q, want %q", got, row.want)
			}
		})
	}
}

// TestPagesAreTheWholeLog: read from the newest page back, whatever the size of a page,
// each record is on one page, and so is each broken line between two of them.
func TestPagesAreTheWholeLog(t *testing.T) {
	dir := auditDir(t)
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	const records = 1500 // of half a kilobyte: several blocks a segment
	var text []byte
	for n := range records {
		r := refusal().canonical()
		r.Seq, r.Path = uint64(n+1), "/"+string(bytes.Repeat([]byte("x"), 500))
		text = append(appendRecord(text, &r), '\n')
		if n%400 == 399 {
			text = append(text, "broken\n"...)
		}
		if n == records/2 { // the next segment, which is the newest
			writeTestFile(t, filepath.Join(dir, segmentFor(start).name), text)
			text = nil
		}
	}
	writeTestFile(t, filepath.Join(dir, segmentFor(start.Add(time.Hour)).name), text)
	for _, limit := range []int{2, 7, 100, records} {
		t.Run(strconv.Itoa(limit), func(t *testing.T) {
			broken := map[string]int{} // on how many pages
			next, last := uint64(records+1), uint64(0)
			for next > 1 {
				lowest := next
				for e, err := range Query(dir, Filter{Before: next, Limit: limit}) {
					switch {
					case err != nil && string(e.Raw) != "broken":
						t.Fatal(err)
					case err != nil: // on two pages, if it is the first of one
						broken[e.Segment+strconv.Itoa(e.Line)]++
					case lowest == next:
						lowest = e.Seq
					case e.Seq != last+1:
						t.Fatalf("%d follows %d", e.Seq, last)
					}
					if err == nil {
						last = e.Seq
					}
				}
				if last != next-1 || lowest == next {
					t.Fatalf("the page before %d is from %d to %d", next, lowest, last)
				}
				next = lowest
			}
			for where, pages := range broken {
				if pages > 2 {
					t.Errorf("the broken line in %s is on %d pages", where, pages)
				}
			}
			if len(broken) != 3 {
				t.Errorf("broken lines: %v", broken)
			}
		})
	}
}

// TestQueryStops: a caller may leave the loop after any entry.
func TestQueryStops(t *testing.T) {
	dir := queryLog(t)
	for _, f := range []Filter{{}, {Limit: 5}} {
		for stop := 1; stop <= 5; stop++ {
			n := 0
			for range Query(dir, f) {
				if n++; n == stop {
					break
				}
			}
			if n != stop {
				t.Errorf("left after %d, wanted after %d", n, stop)
			}
		}
	}
}

// TestQueryShowsBrokenLines: whatever the filter, and wherever they are.
func TestQueryShowsBrokenLines(t *testing.T) {
	dir := auditDir(t)
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	good := refusal().canonical()
	text := appendRecord(nil, &good)
	text = append(text, "\nbroken \x1b[2J\n"...)
	text = append(text, bytes.Repeat([]byte("long"), maxLine)...)
	text = append(text, '\n')
	text = append(text, appendRecord(nil, &good)...)
	text = append(text, "\n{\"seq\":"...) // being written
	writeTestFile(t, filepath.Join(dir, segmentFor(start).name), text)
	for _, row := range []struct {
		filter Filter
		want   []int
	}{
		{Filter{}, []int{1, -2, -3, 4}},
		{Filter{Client: "nobody"}, []int{-2, -3}},
		{Filter{Limit: 2}, []int{-3, 4}},
	} {
		var got []int
		for e, err := range Query(dir, row.filter) {
			var defect *DefectError
			switch {
			case err == nil:
				got = append(got, e.Line)
			case errors.As(err, &defect):
				got = append(got, -defect.Line)
				if e.Line != defect.Line || len(e.Raw) == 0 {
					t.Errorf("the broken line is not given: %+v", e)
				}
			default:
				t.Fatal(err)
			}
		}
		if !slices.Equal(got, row.want) {
			t.Errorf("%+v: lines %v, want %v", row.filter, got, row.want)
		}
	}
}

func TestNoLog(t *testing.T) {
	missing := filepath.Join(t.TempDir(), "missing")
	for _, err := range Query(missing, Filter{}) {
		if !errors.Is(err, os.ErrNotExist) {
			t.Errorf("query: %v", err)
		}
	}
	if _, err := Verify(missing, VerifyOptions{}); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("verify: %v", err)
	}
	if report, err := Verify(t.TempDir(), VerifyOptions{}); err != nil || report.Records != 0 || report.Head != genesis {
		t.Errorf("an empty log: %+v, %v", report, err)
	}
}
