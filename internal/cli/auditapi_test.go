package cli

import (
	"bufio"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"jiragate/gateway/admin"
	"jiragate/gateway/audit"
	"jiragate/gateway/audit/activity"
	"jiragate/gateway/audit/checkpoint"
	"jiragate/gateway/audit/report"
	"jiragate/gateway/audit/signer"
)

// apiClient asks the admin API over TCP.
type apiClient struct {
	ctx        context.Context
	url, token string
}

func newAPIClient(t *testing.T, s *Server) apiClient {
	t.Helper()
	token, err := os.ReadFile(s.config.adminTokenFile())
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	t.Cleanup(cancel)
	return apiClient{ctx, "http://" + s.AdminAddr(), strings.TrimSpace(string(token))}
}

// open sends a request; the answer is to be closed.
func (c apiClient) open(t *testing.T, method, path, body string) *http.Response {
	t.Helper()
	r, err := http.NewRequestWithContext(c.ctx, method, c.url+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+c.token)
	if body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = resp.Body.Close() }) // only read
	return resp
}

func (c apiClient) ask(t *testing.T, method, path, body string) (int, string) {
	t.Helper()
	resp := c.open(t, method, path, body)
	answer, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatalf("%s %s: %v", method, path, err)
	}
	return resp.StatusCode, string(answer)
}

func (c apiClient) get(t *testing.T, path string, answer any) {
	t.Helper()
	if status, body := c.ask(t, "GET", path, ""); status != 200 || json.Unmarshal([]byte(body), answer) != nil {
		t.Fatalf("GET %s: %d %s", path, status, body)
	}
}

// A call is everywhere in the API where it should be: in the list of records, in the
// stream, in the counts, as the last call of its connection, in a proof, and in a report
// like that of the command line.
func TestACallInTheAuditAPI(t *testing.T) {
	s, environ, log, sim := startWithJira(t)
	jira, _ := clientOf(t, s, environ, sim)
	api := newAPIClient(t, s)
	stream := bufio.NewScanner(api.open(t, "GET", "/v1/audit/records/stream?client=billing&kind=call", "").Body)
	for _, path := range []string{"/rest/api/2/serverInfo", "/rest/api/2/myself"} { // refused, and allowed
		resp, err := jira.Get(sim.DataCenterURL() + path)
		if err != nil {
			t.Fatalf("%s: %v\n%s", path, err, log)
		}
		_ = resp.Body.Close()
	}

	var refused, allowed audit.Record
	for _, r := range []*audit.Record{&refused, &allowed} {
		line := nextRecord(t, stream)
		if err := json.Unmarshal([]byte(line), r); err != nil {
			t.Fatal(err)
		}
		var one admin.AuditRecord
		if api.get(t, "/v1/audit/records/"+r.ID, &one); one.Line != line {
			t.Errorf("streamed\n%s, and the record is\n%s", line, one.Line)
		}
	}
	if refused.Code != "operation_not_documented" || allowed.Operation != "myself.get" || allowed.Connection != "globex" || allowed.Status != 200 {
		t.Errorf("streamed %+v and %+v", refused, allowed)
	}
	var list admin.AuditRecords
	api.get(t, "/v1/audit/records?client=billing&kind=call", &list)
	if len(list.Records) != 2 || string(list.Records[0]) != string(allowed.Line()) || string(list.Records[1]) != string(refused.Line()) {
		t.Errorf("records %s", list.Records)
	}

	for _, query := range []string{"", "?connection=globex", "?since=1h&step=60"} {
		var counted admin.Activity
		api.get(t, "/v1/audit/activity"+query, &counted)
		if counted.Total.Calls != 1 || counted.Total.Refused != 1 || counted.Total.P50 == nil ||
			!slices.Equal(counted.Refusals, []activity.CodeCount{{Code: "operation_not_documented", Calls: 1}}) {
			t.Errorf("activity%s: %+v, refused %v", query, counted.Total, counted.Refusals)
		}
	}
	var connections []admin.Connection
	api.get(t, "/v1/connections?limit=10", &connections)
	if len(connections) != 1 || connections[0].LastCall == nil || connections[0].LastCall.Seq != allowed.Seq || connections[0].LastCall.Operation != "myself.get" {
		t.Errorf("connections %+v", connections)
	}

	var key admin.AuditKey
	api.get(t, "/v1/audit/key", &key)
	checkProof(t, api, allowed, key)
	checkReports(t, api, environ, allowed.Time.Format("2006-01"), key)
}

// nextRecord reads a stream up to the data of the next record.
func nextRecord(t *testing.T, stream *bufio.Scanner) string {
	t.Helper()
	for event := ""; stream.Scan(); {
		if line, ok := strings.CutPrefix(stream.Text(), "data: "); ok && event == "record" {
			return line
		}
		if name, ok := strings.CutPrefix(stream.Text(), "event: "); ok {
			event = name
		}
	}
	t.Fatalf("the stream has ended: %v", stream.Err())
	return ""
}

func checkProof(t *testing.T, api apiClient, r audit.Record, key admin.AuditKey) {
	t.Helper()
	trust, err := checkpoint.NewTrust(key.Verifiers...)
	if err != nil {
		t.Fatal(err)
	}
	status, body := 0, ""
	// The checkpoint that covers a record comes within a second.
	for deadline := time.Now().Add(20 * time.Second); status != 200; time.Sleep(20 * time.Millisecond) {
		if status, body = api.ask(t, "GET", "/v1/audit/records/"+r.ID+"/proof", ""); status != 200 && (status != 409 || time.Now().After(deadline)) {
			t.Fatalf("proof: %d %s", status, body)
		}
	}
	p, err := checkpoint.ParseProof([]byte(body))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := p.Verify(trust); err != nil || string(p.Line) != string(r.Line()) || p.Index+1 != r.Seq {
		t.Errorf("the proof is of %d, %s: %v", p.Index, p.Line, err)
	}
}

// checkReports holds the reports of the API against those of the command line.
func checkReports(t *testing.T, api apiClient, environ []string, month string, key admin.AuditKey) {
	t.Helper()
	byAPI := func(connection, format string) (int, string) {
		return api.ask(t, "POST", "/v1/audit/report", `{"connection": "`+connection+`", "month": "`+month+`", "format": "`+format+`"}`)
	}
	byCommand := func(connection, format string) (out, problem string) {
		_, out, problem = run(t, environ, "", "audit", "report", "--connection", connection, "--month", month, "--format", format)
		return out, problem
	}
	// That the one before is on record, and has no checkpoint yet, is left out.
	facts := func(text string) (r report.Report) {
		if err := json.Unmarshal([]byte(text), &r); err != nil {
			t.Fatalf("%v: %.300s", err, text)
		}
		r.Made, r.Headline, r.Acts, r.Totals.Acts, r.Verification, r.Checkpoint = time.Time{}, nil, nil, 0, report.Verified{}, ""
		r.Findings = slices.DeleteFunc(r.Findings, func(f report.Finding) bool { return f.Code == report.FindingTail })
		return r
	}
	_, body := byAPI("globex", "json")
	out, _ := byCommand("globex", "json")
	a, c := facts(body), facts(out)
	if diff := cmp.Diff(a, c, cmpopts.IgnoreUnexported(report.Report{})); diff != "" || a.Totals.Allowed != 1 {
		t.Errorf("of %+v; the command has it otherwise:\n%s", a.Totals, diff)
	}
	_, body = byAPI("globex", "html")
	out, _ = byCommand("globex", "html")
	for by, page := range map[string]string{"the API": body, "the command": out} {
		_, about, err := report.Open([]byte(page), func(note []byte) ([]byte, error) { return signer.Verify(note, key.Verifiers...) })
		if err != nil || about != (report.About{Connection: "globex", Month: month}) {
			t.Errorf("the page by %s is of %+v: %v", by, about, err)
		}
	}
	status, body := byAPI("nobody", "html")
	out, problem := byCommand("nobody", "html")
	if status != 404 || !strings.Contains(body, `no connection \"nobody\"`) || out != "" || !strings.Contains(problem, `no connection "nobody"`) {
		t.Errorf("of no connection: %d %s; %s %s", status, body, out, problem)
	}
}
