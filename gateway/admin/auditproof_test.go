package admin_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"jiragate/gateway/admin"
	"jiragate/gateway/audit"
	"jiragate/gateway/audit/checkpoint"
	"jiragate/gateway/audit/offsite"
	"jiragate/gateway/audit/report"
	"jiragate/gateway/audit/signer"
)

// A proof holds with the public key alone.
func TestProofOfARecord(t *testing.T) {
	lab := newAuditLab(t)
	written := lab.write(t, make([]func(*audit.Record), 9)...)
	lab.sign(t)
	h := asRole(t, lab.options, admin.RoleCompliance)
	status, body := call(t, h, "GET", "/v1/audit/records/4/proof", "")
	trust, err := lab.trust()
	if err != nil {
		t.Fatal(err)
	}
	p, err := checkpoint.ParseProof([]byte(body))
	if err != nil || status != 200 || p.Index != 3 || string(p.Line) != string(written[3].Line()) {
		t.Fatalf("%d, %v: %s", status, err, body)
	}
	if _, err := p.Verify(trust); err != nil {
		t.Error(err)
	}
	if status, _ := call(t, h, "GET", "/v1/audit/records/10/proof", ""); status != 404 {
		t.Errorf("of a record that isn't there: %d", status)
	}
}

// Viewers get no proofs and no reports; that they asked for a report is on record.
func TestViewersGetNoProofsAndReports(t *testing.T) {
	lab := newAuditLab(t)
	lab.write(t, nil)
	lab.sign(t)
	h := asRole(t, lab.options, admin.RoleViewer)
	for _, request := range []string{"GET /v1/audit/records/1/proof", "POST /v1/audit/report"} {
		method, path, _ := strings.Cut(request, " ")
		status, body := call(t, h, method, path, `{"connection": "acme", "month": "2025-11", "format": "html"}`)
		if wantCode(t, body, admin.CodeForbidden); status != 403 {
			t.Errorf("%s: %d", request, status)
		}
	}
	_, body := call(t, h, "GET", "/v1/audit/records?kind=act", "")
	_, page := seqs(t, body)
	var r audit.Record
	if len(page.Records) != 1 || json.Unmarshal(page.Records[0], &r) != nil || r.Operation != "admin.audit.report" ||
		r.Decision != audit.DecisionDeny || r.Client != "person:viewer" || r.Status != 403 {
		t.Errorf("on record is %s", body)
	}
	nobody := asRole(t, lab.options, admin.RoleNone)
	for _, path := range []string{"records", "records/1", "checkpoint"} {
		if status, _ := call(t, nobody, "GET", "/v1/audit/"+path, ""); status != 403 {
			t.Errorf("%s for everybody: %d", path, status)
		}
	}
}

func TestCheckpointIsShown(t *testing.T) {
	lab := newAuditLab(t)
	h := asRole(t, lab.options, admin.RoleViewer)
	show := func() (c admin.AuditCheckpoint) {
		status, body := call(t, h, "GET", "/v1/audit/checkpoint", "")
		if err := json.Unmarshal([]byte(body), &c); err != nil || status != 200 {
			t.Fatalf("%d %s", status, body)
		}
		return c
	}
	if c := show(); c.Note != "" || c.Made != nil || c.Records != 0 || c.Copies == nil {
		t.Errorf("of an empty log: %+v", c)
	}
	lab.write(t, nil, nil, nil)
	lab.sign(t)
	c := show()
	if c.Size != 3 || c.Records != 3 || c.Covered != 3 || c.Made == nil || len(c.Copies) != 0 {
		t.Errorf("%+v", c)
	}
	if _, err := signer.Verify([]byte(c.Note), lab.key.Verifiers()...); err != nil {
		t.Error(err)
	}
	places, err := offsite.ParsePlaces("https://collector.example/S3cret-token,/mnt/worm")
	if err != nil {
		t.Fatal(err)
	}
	lab.options.Log.Copies = func() []offsite.Status {
		return []offsite.Status{{Place: places[0], FailingSince: labStart, Problem: "it answered 500"}, {Place: places[1], Size: 2, Delivered: labStart}}
	}
	h = asRole(t, lab.options, admin.RoleViewer)
	c = show()
	if len(c.Copies) != 2 || c.Copies[0].Place != "https://collector.example/…" || c.Copies[0].Problem != "it answered 500" ||
		!c.Copies[0].FailingSince.Equal(labStart) || c.Copies[0].Delivered != nil {
		t.Errorf("%+v", c.Copies)
	}
	if c.Copies[1].Place != "/mnt/worm" || c.Copies[1].Size != 2 || !c.Copies[1].Delivered.Equal(labStart) || c.Copies[1].FailingSince != nil {
		t.Errorf("%+v", c.Copies)
	}
}

const reportOfNovember = `{"connection": "acme", "month": "2025-11", "format": "%s"}`

func TestReportIsMadeSignedAndOnRecord(t *testing.T) {
	lab := newAuditLab(t)
	lab.write(t, nil, nil)
	lab.sign(t)
	h := asRole(t, lab.options, admin.RoleCompliance)
	for format, want := range map[string]struct{ mediaType, holds string }{
		"html": {"text/html; charset=utf-8", "<html"},
		"csv":  {"text/csv; charset=utf-8", "acme"},
		"json": {"application/json", `"acme"`},
	} {
		r := httptest.NewRequest("POST", "/v1/audit/report", strings.NewReader(fmt.Sprintf(reportOfNovember, format)))
		r.Header.Set("Content-Type", "application/json")
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		body := w.Body.String()
		if w.Code != 200 || w.Header().Get("Content-Type") != want.mediaType || !strings.Contains(body, want.holds) ||
			w.Header().Get("Content-Disposition") != `attachment; filename="acme-2025-11.`+format+`"` {
			t.Errorf("%s: %d %v %.200s", format, w.Code, w.Header(), body)
		}
		if format != "html" {
			continue
		}
		_, about, err := report.Open([]byte(body), func(note []byte) ([]byte, error) { return signer.Verify(note, lab.key.Verifiers()...) })
		if err != nil || about != (report.About{Connection: "acme", Month: "2025-11"}) {
			t.Errorf("the page is of %+v, %v", about, err)
		}
	}
	acts := 0
	for e, err := range audit.Query(lab.dir, audit.Filter{Kind: audit.KindAct}) {
		if err != nil {
			t.Fatal(err)
		}
		acts++
		if e.Operation != "admin.audit.report" || e.Connection != "acme" || e.Status != 200 || e.Decision != audit.DecisionAllow ||
			!strings.HasPrefix(e.Path, "/v1/audit/report#sha256=") || len(e.Path) != len("/v1/audit/report#sha256=")+64 {
			t.Errorf("on record is %s", e.Raw)
		}
	}
	if acts != 3 {
		t.Errorf("%d acts are on record", acts)
	}
}

func TestReportsThatAreNotMade(t *testing.T) {
	lab := newAuditLab(t)
	lab.write(t, nil)
	lab.options.Now = func() time.Time { return labStart.AddDate(0, 0, 1) } // refusals are on record in November
	h := asRole(t, lab.options, admin.RoleCompliance)
	for _, tt := range []struct {
		body   string
		status int
	}{
		{`{}`, 400},
		{`{"connection": "../acme", "month": "2025-11", "format": "html"}`, 400},
		{`{"connection": "acme", "month": "2025-1", "format": "html"}`, 400},
		{`{"connection": "acme", "month": "9000-01", "format": "html"}`, 400},
		{`{"connection": "acme", "month": "2025-11", "format": "pdf"}`, 400},
		{`{"connection": "acme", "month": "2025-11", "format": "html", "x": 1}`, 400},
		{`{"connection": "nobody", "month": "2025-11", "format": "html"}`, 404},
		{`{"connection": "nobody", "month": "2025-11", "format": "html"}`, 404}, // it has records now, of the refusal
	} {
		status, body := call(t, h, "POST", "/v1/audit/report", tt.body)
		if status != tt.status || status == 404 && !strings.Contains(body, `there is no connection \"nobody\"`) {
			t.Errorf("%s: %d %s", tt.body, status, body)
		}
	}
	// One at a time, and only as long as its caller waits.
	ctx, leave := context.WithCancel(t.Context())
	entered := make(chan struct{})
	lab.options.Log.Report.Published = func() ([]report.PublishedAddress, error) {
		close(entered)
		<-ctx.Done()
		return nil, nil
	}
	h = asRole(t, lab.options, admin.RoleCompliance)
	first := make(chan int)
	go func() {
		status, _ := call(t, h, "POST", "/v1/audit/report", fmt.Sprintf(reportOfNovember, "html"), func(r *http.Request) { *r = *r.WithContext(ctx) })
		first <- status
	}()
	<-entered
	r := httptest.NewRequest("POST", "/v1/audit/report", strings.NewReader(fmt.Sprintf(reportOfNovember, "html")))
	r.Header.Set("Content-Type", "application/json")
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	if w.Code != 503 || w.Header().Get("Retry-After") == "" {
		t.Errorf("a second one: %d %s", w.Code, w.Body)
	}
	leave()
	if status := <-first; status != 503 {
		t.Errorf("of a caller who has gone: %d", status)
	}
	lab.options.Log.Report = nil
	if status, _ := call(t, local(t, lab.options), "POST", "/v1/audit/report", fmt.Sprintf(reportOfNovember, "html")); status != 503 {
		t.Errorf("without a log: %d", status)
	}
}

// What is read of the log of another key is not called covered.
func TestCheckpointOfAnotherKey(t *testing.T) {
	lab, other := newAuditLab(t), newAuditLab(t)
	lab.write(t, nil)
	lab.sign(t)
	lab.options.Log.Newest = func() (audit.Signed, error) {
		trust, err := checkpoint.NewTrust(other.key.Verifiers()...)
		if err != nil {
			return audit.Signed{}, err
		}
		return audit.NewestCheckpoint(lab.dir, trust)
	}
	h := asRole(t, lab.options, admin.RoleViewer)
	if status, body := call(t, h, "GET", "/v1/audit/records/1", ""); status != 200 || !strings.Contains(body, `"covered":false`) {
		t.Errorf("%d %s", status, body)
	}
	if status, _ := call(t, h, "GET", "/v1/audit/checkpoint", ""); status != 500 {
		t.Errorf("the checkpoint: %d", status)
	}
	if names, err := filepath.Glob(filepath.Join(lab.dir, "*.checkpoint")); err != nil || len(names) == 0 {
		t.Errorf("checkpoints: %v, %v", names, err)
	}
}
