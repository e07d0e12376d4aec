package admin_test

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"jiragate/gateway/admin"
)

// textSigner signs so that a test can read what was signed.
type textSigner struct{ signed []string }

func (s *textSigner) Sign(text []byte) ([]byte, error) {
	s.signed = append(s.signed, string(text))
	return append(text, "\n— jiragate/us AAAA\n"...), nil
}
func (*textSigner) Verifier() string        { return "jiragate/us+00000000+AAAA" }
func (s *textSigner) Verifiers() []string   { return []string{s.Verifier()} }
func (*textSigner) PublicPEM() []byte       { return nil }
func (*textSigner) Rotate() (string, error) { return "", nil }

const aHash = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

// The key signs texts that the API makes, whatever it is asked for.
func TestOnlyReportsAreSigned(t *testing.T) {
	signer := &textSigner{}
	o := options(t, aStore(t))
	o.Now = func() time.Time { return time.Date(2026, 11, 23, 0, 0, 0, 0, time.UTC) }
	o.AuditKey.Open = func() (admin.Signer, error) { return signer, nil }
	h := local(t, o)
	for _, tt := range []struct {
		path, body string
		status     int
	}{
		{"signature", `{"connection": "acme", "month": "2026-10", "sha256": "` + aHash + `"}`, 200},
		{"signature", `{"connection": "acme", "month": "2026-11", "sha256": "` + aHash + `"}`, 200}, // under way
		{"signature", `{"connection": "acme", "month": "2026-12", "sha256": "` + aHash + `"}`, 400},
		{"signature", `{"connection": "acme", "month": "2026-1", "sha256": "` + aHash + `"}`, 400},
		{"signature", `{"connection": "acme", "month": "2026-10\nx", "sha256": "` + aHash + `"}`, 400},
		{"signature", `{"connection": "acme 2026-10\n\nforged", "month": "2026-10", "sha256": "` + aHash + `"}`, 400},
		{"signature", `{"connection": "", "month": "2026-10", "sha256": "` + aHash + `"}`, 400},
		{"signature", `{"connection": "acme", "month": "2026-10", "sha256": "` + aHash + `\n"}`, 400},
		{"signature", `{"connection": "acme", "month": "2026-10", "sha256": "` + strings.ToUpper(aHash) + `"}`, 400},
		{"signature", `{"connection": "acme", "month": "2026-10", "sha256": "` + aHash + `", "text": "x"}`, 400},
		{"signature", `{}`, 400},
		{"checksums", `{"html": "` + aHash + `", "csv": "` + aHash + `", "json": "` + aHash + `"}`, 200},
		{"checksums", `{"html": "` + aHash + `", "csv": "` + aHash + `"}`, 400},
		{"checksums", `{"html": "` + aHash + `\n", "csv": "` + aHash + `", "json": "` + aHash + `"}`, 400},
	} {
		before := len(signer.signed)
		status, body := call(t, h, "POST", "/v1/audit/report/"+tt.path, tt.body)
		if status != tt.status || (len(signer.signed) > before) != (tt.status == 200) {
			t.Errorf("%s %s: %d %s", tt.path, tt.body, status, body)
		}
		var answer admin.SignedNote
		if status == 200 && (json.Unmarshal([]byte(body), &answer) != nil || !strings.HasPrefix(answer.Note, signer.signed[before])) {
			t.Errorf("%s: %s is no note of what was signed", tt.path, body)
		}
	}
	if want := "jiragate audit report\nsha256 " + aHash + "\nconnection acme 2026-10\n"; signer.signed[0] != want {
		t.Errorf("signed %q, want %q", signer.signed[0], want)
	}
	if want := aHash + "  report.csv\n" + aHash + "  report.html\n" + aHash + "  report.json\n"; signer.signed[2] != want {
		t.Errorf("signed %q, want %q", signer.signed[2], want)
	}
}

func TestReportsAreNotSignedWithoutAKey(t *testing.T) {
	h := local(t, options(t, aStore(t)))
	status, body := call(t, h, "POST", "/v1/audit/report/signature", `{"connection": "acme", "month": "2020-10", "sha256": "`+aHash+`"}`)
	if wantCode(t, body, admin.CodeUnavailable); status != 503 {
		t.Errorf("%d", status)
	}
}
