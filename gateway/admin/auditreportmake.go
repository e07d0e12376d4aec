package admin

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"net/http"
	"time"

	"jiragate/gateway/audit/report"
)

// reportTimeout bounds the making of a report.
const reportTimeout = 10 * time.Minute

// ReportRequest asks for the report on a connection and a month. The answer is the
// document itself.
type ReportRequest struct {
	Connection string `json:"connection"` // id; the connection may be gone by now
	Month      string `json:"month"`      // "2026-11"; one that has begun
	Format     string `json:"format"`     // "html", which is signed, "csv" or "json"
}

// reportTypes are the media types of the formats.
var reportTypes = map[string]string{
	"html": "text/html; charset=utf-8",
	"csv":  "text/csv; charset=utf-8",
	"json": "application/json",
}

// makeReport makes a report as "jiragate audit report" does. Whatever the format, that
// is an act on record, with the hash of what is handed out: the page without its seal.
func (a *API) makeReport(w http.ResponseWriter, r *http.Request, t *task) (answer, error) {
	var body ReportRequest
	if err := decode(w, r, &body); err != nil {
		return answer{}, err
	}
	t.record.Connection = knownID(body.Connection)
	if err := a.checkReport(body); err != nil {
		return answer{}, err
	}
	if a.o.Log.Report == nil {
		return answer{}, noLog("a report")
	}
	key, err := a.openAuditKey()
	if err != nil {
		return answer{}, err
	}
	select {
	case a.reading.reports <- struct{}{}:
		defer func() { <-a.reading.reports }()
	default:
		w.Header().Set("Retry-After", "30")
		p := refuse(http.StatusServiceUnavailable, CodeUnavailable, "another report is being made")
		p.Hint = "try again in a minute: one is made at a time"
		return answer{}, p
	}
	a.allow(w, reportTimeout+writeTimeout)
	about := report.About{Connection: body.Connection, Month: body.Month}
	made, err := a.gather(r.Context(), about, key)
	if err != nil {
		return answer{}, err
	}
	content, err := formatted(made, body.Format)
	if err != nil {
		return answer{}, err
	}
	sum := sha256.Sum256(content)
	t.record.Path += "#sha256=" + hex.EncodeToString(sum[:])
	if _, err := t.begin(); err != nil {
		if p := problemOf(err); p.Code == CodeRecordUnavailable && p.Hint == "" {
			p.Hint = "jiragate audit report makes a report that is not signed, and says so on it"
		}
		return answer{}, err
	}
	if body.Format == "html" {
		if content, err = report.Seal(content, about, key.Sign); err != nil {
			return answer{}, err
		}
	}
	writeDocument(w, reportTypes[body.Format], body.Connection+"-"+body.Month+"."+body.Format, content)
	return answer{status: http.StatusOK, sent: true}, nil
}

func (a *API) checkReport(q ReportRequest) error {
	if knownID(q.Connection) == "" {
		return invalid("connection: it must be the id of a connection")
	}
	from, _, err := report.Month(q.Month)
	switch {
	case err != nil:
		return invalid("month: use one as 2026-11")
	case from.After(a.o.Now()):
		return invalid("month: %s has not begun", q.Month)
	case reportTypes[q.Format] == "":
		return invalid("format: use html, csv or json")
	}
	return nil
}

// gather makes the report, as long as its caller waits for it.
func (a *API) gather(ctx context.Context, about report.About, key Signer) (*report.Report, error) {
	ctx, cancel := context.WithTimeout(ctx, reportTimeout)
	defer cancel()
	source := *a.o.Log.Report
	source.Connection = func(_ context.Context, id string) (edition, region string, err error) {
		c, err := a.present(id)
		if err != nil {
			return "", "", err
		}
		return string(c.Edition), string(c.Region), nil
	}
	source.Keys = func(context.Context) ([]string, error) { return key.Verifiers(), nil }
	made, err := source.Make(ctx, about, a.o.Now())
	if errors.Is(err, context.DeadlineExceeded) {
		p := refuse(http.StatusServiceUnavailable, CodeUnavailable, "making the report took longer than %v, and was given up", reportTimeout)
		p.Hint = "jiragate audit report takes as long as it needs"
		return nil, p
	}
	if err != nil {
		return nil, logProblem(err)
	}
	return made, nil
}

// formatted is the report in a format, not signed.
func formatted(r *report.Report, format string) ([]byte, error) {
	var b bytes.Buffer
	switch format {
	case "html":
		err := r.WriteHTML(&b)
		return b.Bytes(), err
	case "csv":
		err := r.WriteCSV(&b)
		return b.Bytes(), err
	}
	return r.JSON()
}
