package admin_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"math"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"jiragate/gateway/admin"
	"jiragate/gateway/audit"
	"jiragate/gateway/audit/activity"
)

// From the newest page back, each record is on one page, as it is in the log.
func TestRecordsAreReadPageByPage(t *testing.T) {
	lab := newAuditLab(t)
	written := lab.write(t, make([]func(*audit.Record), 125)...)
	h := asRole(t, lab.options, admin.RoleViewer)
	var got []uint64
	path, pages := "/v1/audit/records", 0
	for {
		status, body := call(t, h, "GET", path, "")
		list, page := seqs(t, body)
		if status != 200 {
			t.Fatalf("%d %s", status, body)
		}
		for i, line := range page.Records {
			if want := written[list[i]-1].Line(); string(line) != string(want) {
				t.Fatalf("the record is\n%s, want\n%s", line, want)
			}
		}
		got = append(got, list...)
		if pages++; page.Next == 0 {
			break
		}
		path = fmt.Sprintf("/v1/audit/records?before=%d", page.Next)
	}
	slices.Reverse(got)
	if pages != 3 || len(got) != 125 || got[0] != 1 || got[124] != 125 || !slices.IsSorted(got) {
		t.Errorf("%d pages with %d", pages, got)
	}
}

func TestRecordsAreFiltered(t *testing.T) {
	lab := newAuditLab(t)
	lab.write(t,
		nil,
		func(r *audit.Record) { r.Connection = "globex" },
		func(r *audit.Record) { r.Decision, r.Code, r.Status = audit.DecisionDeny, "not_granted", 403 },
		func(r *audit.Record) { r.Client = "support" },
		func(r *audit.Record) { r.Operation = "admin.client.grant" },
		func(r *audit.Record) { r.TraceID = "0123456789abcdef0123456789abcdef" },
	)
	lab.options.Now = labStart.AddDate(0, 0, 1).UTC
	h := asRole(t, lab.options, admin.RoleViewer)
	for _, tt := range []struct {
		query string
		want  []uint64
		next  uint64
	}{
		{"", []uint64{6, 5, 4, 3, 2, 1}, 0},
		{"limit=6", []uint64{6, 5, 4, 3, 2, 1}, 0},
		{"limit=5", []uint64{6, 5, 4, 3, 2}, 2},
		{"before=4&limit=2", []uint64{3, 2}, 2},
		{"before=1", nil, 0},
		{"connection=globex", []uint64{2}, 0},
		{"client=support", []uint64{4}, 0},
		{"operation=admin.client.grant", []uint64{5}, 0},
		{"decision=deny", []uint64{3}, 0},
		{"code=not_granted", []uint64{3}, 0},
		{"status=403", []uint64{3}, 0},
		{"text=89ABCDEF0123", []uint64{6}, 0},
		{"kind=act", []uint64{5}, 0},
		{"kind=call&limit=3", []uint64{6, 4, 3}, 3},
		{"since=2025-11-23T10:30:04Z", []uint64{6, 5}, 0},
		{"until=2025-11-23T10:30:01Z", []uint64{1}, 0},
		{"since=2025-11-24", nil, 0},
		{"since=24h", []uint64{6, 5, 4, 3, 2, 1}, 0},
		{"since=23h59m58s", []uint64{6, 5, 4, 3}, 0},
		{"connection=nobody", nil, 0},
		{"since=&until=&connection=&client=&operation=&decision=&code=&status=&text=&kind=&before=&limit=", []uint64{6, 5, 4, 3, 2, 1}, 0}, // an empty form
	} {
		status, body := call(t, h, "GET", "/v1/audit/records?"+tt.query, "")
		got, page := seqs(t, body)
		if status != 200 || !slices.Equal(got, tt.want) || page.Next != tt.next {
			t.Errorf("%s: %d, records %d, next %d; want %d, %d", tt.query, status, got, page.Next, tt.want, tt.next)
		}
		if page.Records == nil {
			t.Errorf("%s: no list of records: %s", tt.query, body)
		}
	}
}

func TestQuestionsThatAreNone(t *testing.T) {
	h := asRole(t, newAuditLab(t).options, admin.RoleViewer)
	for _, tt := range []struct{ query, want string }{
		{"connexion=acme", `there is no query parameter \"connexion\"; use since, until, connection, client, operation, decision, code, status, text, kind, before or limit`},
		{"connection=acme&connection=globex", "connection is there 2 times"},
		{"a;b", "malformed"},
		{"connection=%zz", "malformed"},
		{"connection=%ff", "UTF-8"},
		{"text=" + strings.Repeat("x", 257), "up to 256 bytes"},
		{"decision=maybe", "use allow or deny"},
		{"kind=other", "use call or act"},
		{"status=99", "from 100 to 999"},
		{"status=ok", "from 100 to 999"},
		{"limit=0", "from 1 to 500"},
		{"limit=501", "from 1 to 500"},
		{"limit=-1", "from 1 to 500"},
		{"before=0", "before: use a number"},
		{fmt.Sprintf("before=%d", uint64(math.MaxUint64)), "before: use a number"},
		{"since=yesterday", "since: use a time like"},
		{"until=-1h", "until: use a time like"},
		{"since=2026-01-02&until=2026-01-01", "until: it must be later"},
	} {
		status, body := call(t, h, "GET", "/v1/audit/records?"+tt.query, "")
		if status != 400 || !strings.Contains(body, tt.want) {
			t.Errorf("%s: %d %s", tt.query, status, body)
		}
	}
}

// A line that is no record is told of, and takes no record's place; more than a page of
// them doesn't hide what is before.
func TestBrokenLinesHideNothing(t *testing.T) {
	lab := newAuditLab(t)
	written := lab.write(t, nil, nil, nil)
	broken := 0
	lab.options.Log.Query = func(_ context.Context, f audit.Filter) iter.Seq2[audit.Entry, error] {
		return func(yield func(audit.Entry, error) bool) {
			var all []audit.Entry
			for _, r := range written {
				all = append(all, audit.Entry{Record: r, Raw: r.Line()})
			}
			for i := range broken { // all behind the last record
				all = append(all, audit.Entry{Line: i + 1})
			}
			for _, e := range all[max(0, len(all)-f.Limit):] {
				var err error
				if e.Line > 0 {
					err = &audit.DefectError{Segment: "s", Line: e.Line, Err: errors.New("broken")}
				}
				if !yield(e, err) {
					return
				}
			}
		}
	}
	h := asRole(t, lab.options, admin.RoleViewer)
	for _, tt := range []struct {
		broken  int
		want    []uint64
		next    uint64
		damaged int
	}{
		{0, []uint64{3, 2}, 2, 0},
		{1, []uint64{3, 2}, 2, 1},
		{60, []uint64{3, 2}, 2, 20},
		{1001, []uint64{3, 2}, 2, 20},
		{1002, []uint64{3}, 3, 20},
	} {
		broken = tt.broken
		_, body := call(t, h, "GET", "/v1/audit/records?limit=2", "")
		got, page := seqs(t, body)
		if !slices.Equal(got, tt.want) || page.Next != tt.next || len(page.Damaged) != tt.damaged {
			t.Errorf("%d broken lines: records %d, next %d, %d damaged", tt.broken, got, page.Next, len(page.Damaged))
		}
		if tt.damaged > 0 && page.Damaged[0] != (admin.DamagedLine{Segment: "s", Line: tt.broken, Detail: "broken"}) {
			t.Errorf("the newest is %+v", page.Damaged[0])
		}
	}
	broken = 5000
	status, body := call(t, h, "GET", "/v1/audit/records?limit=2", "")
	if wantCode(t, body, admin.CodeInternal); status != 500 || !strings.Contains(body, "audit verify") {
		t.Errorf("%d %s", status, body)
	}
}

// While the log is written, each answer is of one piece.
func TestRecordsAreReadWhileTheyAreWritten(t *testing.T) {
	lab := newAuditLab(t)
	lab.write(t, nil)
	h := asRole(t, lab.options, admin.RoleViewer)
	done := make(chan error, 1)
	go func() {
		for n := range 300 {
			if _, err := lab.log.Append(aCall(n)); err != nil {
				done <- err
				return
			}
		}
		done <- nil
	}()
	for running := true; running; {
		select {
		case err := <-done:
			if running = false; err != nil {
				t.Fatal(err)
			}
		default:
		}
		status, body := call(t, h, "GET", "/v1/audit/records?limit=20", "")
		list, _ := seqs(t, body)
		for i := range list {
			if list[i] != list[0]-uint64(i) {
				t.Fatalf("%d: %d", status, list)
			}
		}
	}
}

// A question that takes too long ends, and so does one that waits for others.
func TestQuestionsTakeABoundedTime(t *testing.T) {
	lab := newAuditLab(t)
	lab.options.Log.Query = func(ctx context.Context, _ audit.Filter) iter.Seq2[audit.Entry, error] {
		return func(yield func(audit.Entry, error) bool) {
			<-ctx.Done()
			yield(audit.Entry{}, fmt.Errorf("query: %w", ctx.Err()))
		}
	}
	synctest.Test(t, func(t *testing.T) {
		lab.options.Log.Activity = func(context.Context, admin.ActivityRequest) (admin.Activity, error) {
			return admin.Activity{Series: &activity.Series{Points: []activity.Point{}}}, nil
		}
		h := asRole(t, lab.options, admin.RoleViewer)
		answers := make(chan string, 10)
		for range cap(answers) {
			go func() {
				status, body := call(t, h, "GET", "/v1/audit/records?text=x", "")
				answers <- fmt.Sprint(status, body)
			}()
		}
		synctest.Wait()
		began := time.Now()
		if status, body := call(t, h, "GET", "/v1/audit/activity", ""); status != 200 || time.Since(began) > 0 {
			t.Errorf("charts wait for questions: %d %s", status, body)
		}
		slow, busy := 0, 0
		for range cap(answers) {
			body := <-answers
			if strings.HasPrefix(body, "503") && strings.Contains(body, "narrow the time") {
				slow++
			}
			if strings.HasPrefix(body, "503") && strings.Contains(body, "asked too much") {
				busy++
			}
		}
		if slow < 4 || slow+busy != cap(answers) {
			t.Errorf("%d were given up, %d not begun", slow, busy)
		}
	})
}

func TestRecordByNumberAndID(t *testing.T) {
	lab := newAuditLab(t)
	written := lab.write(t, nil, func(r *audit.Record) { r.Time = labStart.AddDate(0, 0, 1) }, func(r *audit.Record) {
		r.Time, r.ID = labStart.AddDate(0, 0, 2), uuidAt(labStart.AddDate(0, 0, 2).UnixMilli()+30)
	}, func(r *audit.Record) { // whose id is of another time
		r.Time, r.ID = labStart.AddDate(0, 0, 2), uuidAt(labStart.UnixMilli())
	})
	lab.sign(t)
	h := asRole(t, lab.options, admin.RoleViewer)
	for _, tt := range []struct {
		ref    string
		status int
		seq    uint64
	}{
		{"1", 200, 1},
		{"2", 200, 2},
		{"3", 200, 3},
		{written[2].ID, 200, 3},
		{strings.ToUpper(written[2].ID), 200, 3},
		{written[3].ID, 404, 0},
		{uuidAt(labStart.UnixMilli() + 1), 404, 0},
		{"5", 404, 0},
		{"0", 400, 0},
		{"-1", 400, 0},
		{"18446744073709551615", 400, 0},
		{"acme", 400, 0},
		{"6ba7b810-9dad-11d1-80b4-00c04fd430c8", 400, 0}, // not of version 7
		{"{" + written[2].ID + "}", 400, 0},
	} {
		status, body := call(t, h, "GET", "/v1/audit/records/"+tt.ref, "")
		if status != tt.status {
			t.Errorf("%s: %d %s", tt.ref, status, body)
			continue
		}
		if status == 404 && !strings.Contains(body, `"hint"`) {
			t.Errorf("%s: no hint: %s", tt.ref, body)
		}
		if status != 200 {
			continue
		}
		var got admin.AuditRecord
		if err := json.Unmarshal([]byte(body), &got); err != nil {
			t.Fatal(err)
		}
		want := written[tt.seq-1]
		if got.Line != string(want.Line()) || string(got.Record) != got.Line || !got.Covered {
			t.Errorf("%s: %+v", tt.ref, got)
		}
		text, err := os.ReadFile(filepath.Join(lab.dir, got.Segment))
		if err == nil && !strings.Contains(string(text), got.Line+"\n") || err != nil && !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s: it is not in %s: %v", tt.ref, got.Segment, err)
		}
	}
	if status, body := call(t, h, "GET", "/v1/audit/records/1?x=1", ""); status != 400 || !strings.Contains(body, "use none") {
		t.Errorf("with a query: %d %s", status, body)
	}
	if status, _ := call(t, h, "HEAD", "/v1/audit/records/1", ""); status != 200 {
		t.Errorf("whether there is one: %d", status)
	}
}

// uuidAt is a UUID of version 7, with the time in milliseconds since 1970.
func uuidAt(ms int64) string {
	return fmt.Sprintf("%08x-%04x-7abc-8def-0123456789ab", ms>>16, ms&0xffff)
}

func TestRecordThatIsNotCovered(t *testing.T) {
	lab := newAuditLab(t)
	lab.write(t, nil)
	lab.close(t)
	lab.open(t, nil) // from now on nothing is signed
	lab.write(t, nil)
	h := asRole(t, lab.options, admin.RoleCompliance)
	for seq, want := range map[int]bool{1: true, 2: false} {
		var got admin.AuditRecord
		_, body := call(t, h, "GET", fmt.Sprintf("/v1/audit/records/%d", seq), "")
		if err := json.Unmarshal([]byte(body), &got); err != nil || got.Covered != want {
			t.Errorf("record %d: %s", seq, body)
		}
	}
	status, body := call(t, h, "GET", "/v1/audit/records/2/proof", "")
	if wantCode(t, body, admin.CodeConflict); status != 409 {
		t.Errorf("%d %s", status, body)
	}
}

// Without a gateway that runs, the routes say so.
func TestNoLogHere(t *testing.T) {
	o := options(t, aStore(t))
	h := local(t, o)
	for _, path := range []string{"records", "records/1", "records/1/proof", "records/stream", "checkpoint", "activity"} {
		status, body := call(t, h, http.MethodGet, "/v1/audit/"+path, "")
		if wantCode(t, body, admin.CodeUnavailable); status != 503 {
			t.Errorf("%s: %d", path, status)
		}
	}
	lab := newAuditLab(t)
	lab.options.Log.Query = func(_ context.Context, f audit.Filter) iter.Seq2[audit.Entry, error] {
		return audit.Query(filepath.Join(lab.dir, "missing"), f)
	}
	status, body := call(t, local(t, lab.options), "GET", "/v1/audit/records", "")
	if wantCode(t, body, admin.CodeUnavailable); status != 503 || !strings.Contains(body, "no audit log yet") {
		t.Errorf("%d %s", status, body)
	}
}
