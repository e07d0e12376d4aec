package admin

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/http"

	"jiragate/gateway/audit/report"
)

// ReportToSign asks for the signature of the page of an audit report. The text that
// is signed is made here, of these three alone: the API signs nothing else.
type ReportToSign struct {
	Connection string `json:"connection"` // id; the connection may be gone by now
	Month      string `json:"month"`      // "2026-11"; one that has begun
	SHA256     string `json:"sha256"`     // of the page, in lower case hexadecimal
}

// ReportFiles asks for the signature of the checksums of a report's files: their
// SHA-256, in lower case hexadecimal.
type ReportFiles struct {
	HTML string `json:"html"`
	CSV  string `json:"csv"`
	JSON string `json:"json"`
}

// SignedNote is the answer: a C2SP signed note.
type SignedNote struct {
	Note string `json:"note"`
}

// signReport signs the page of a report, which is an act on record: the signature is
// the gateway's word that it made the report.
func (a *API) signReport(w http.ResponseWriter, r *http.Request, t *task) (answer, error) {
	var body ReportToSign
	if err := decode(w, r, &body); err != nil {
		return answer{}, err
	}
	t.record.Connection = knownID(body.Connection)
	t.record.Path += "#sha256=" + knownHash(body.SHA256)
	text, err := report.SignedText(report.About{Connection: body.Connection, Month: body.Month}, body.SHA256)
	if err != nil {
		return answer{}, invalid("%v", err)
	}
	if from, _, err := report.Month(body.Month); err != nil || from.After(a.o.Now()) {
		return answer{}, invalid("the month %s has not begun", body.Month)
	}
	return a.signText(t, text)
}

func (a *API) signReportFiles(w http.ResponseWriter, r *http.Request, t *task) (answer, error) {
	var body ReportFiles
	if err := decode(w, r, &body); err != nil {
		return answer{}, err
	}
	t.record.Path += "#sha256=" + knownHash(body.HTML)
	text, err := report.Checksums(report.Hashes{Page: body.HTML, CSV: body.CSV, JSON: body.JSON})
	if err != nil {
		return answer{}, invalid("%v", err)
	}
	return a.signText(t, text)
}

// knownHash is the hash of what is signed, so that every signature can be found by
// it; empty if it is none.
func knownHash(s string) string {
	if b, err := hex.DecodeString(s); err != nil || len(b) != sha256.Size {
		return ""
	}
	return s
}

func (a *API) signText(t *task, text []byte) (answer, error) {
	key, err := a.openAuditKey()
	if err != nil {
		return answer{}, err
	}
	if _, err := t.begin(); err != nil {
		return answer{}, err
	}
	note, err := key.Sign(text)
	if err != nil {
		return answer{}, fmt.Errorf("signing an audit report: %w", err)
	}
	return answer{status: http.StatusOK, body: SignedNote{string(note)}}, nil
}
