package cli

import (
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"jiragate/gateway/admin"
)

// Each check says what it means and what to do, without naming anything of the
// installation.
func TestEachCheckIsExplained(t *testing.T) {
	c, _ := testConfig(t)
	s, _ := startServer(t, c)
	resp, err := http.Get("http://" + s.AdminAddr() + "/readyz")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	defer http.DefaultClient.CloseIdleConnections()
	var r admin.Readiness
	if err := json.NewDecoder(resp.Body).Decode(&r); err != nil || r.Status != "ready" || len(r.Dependencies) != 6 {
		t.Fatalf("%v %+v", err, r)
	}
	names := []string{"egress_verified"}
	for _, d := range r.Dependencies {
		names = append(names, d.Name)
	}
	for _, name := range names {
		if m := meanings[name]; m.reason == "" || m.hint == "" {
			t.Errorf("%s is not explained", name)
		}
	}
	if len(meanings) != len(names) {
		t.Errorf("there are %d checks, and %d are explained", len(names), len(meanings))
	}
}

// status tells people what holds now: since when the gateway runs, what may not be
// meant, and what to do.
func TestStatusWarns(t *testing.T) {
	dir := t.TempDir()
	rules := filepath.Join(dir, "rules.yaml")
	if err := os.WriteFile(rules, []byte("version: 1\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	c, environ := testConfig(t, "JIRAGATE_DELETE=any", "JIRAGATE_POLICY_FILE="+rules)
	s, log := startServer(t, c)
	status := func() (code int, r statusReport, text string) {
		_, stdout, _ := run(t, environ, "", "status", "--output", "json")
		if err := json.Unmarshal([]byte(stdout), &r); err != nil {
			t.Fatalf("%v: %s", err, stdout)
		}
		code, text, _ = run(t, environ, "", "status")
		return code, r, text
	}
	code, r, text := status()
	codes := map[string]bool{}
	for _, w := range r.Warnings {
		codes[w.Code] = true
		if w.Message == "" || w.Hint == "" || !strings.Contains(text, w.Hint) {
			t.Errorf("%+v is not in full in\n%s", w, text)
		}
		if !strings.Contains(log.String(), "warning="+w.Code) {
			t.Errorf("%s is not in the log", w.Code)
		}
	}
	for _, want := range []string{"egress_unpinned", "delete_any", "audit_only_here"} {
		if !codes[want] {
			t.Errorf("no warning %s", want)
		}
	}
	if codes["proxy_plaintext"] || codes["certificate_ends"] || codes["reload_failed"] || r.Started == nil || time.Since(*r.Started) > time.Hour || r.Reload != nil {
		t.Errorf("%+v", r.Overview)
	}
	if code != 0 || !strings.Contains(text, "  since ") {
		t.Errorf("code %d: %s", code, text)
	}

	if err := os.WriteFile(rules, []byte("rules: 7\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := s.Reload(); err == nil {
		t.Fatal("a broken policy was loaded")
	}
	if _, r, text = status(); r.Reload == nil || r.Reload.Error == "" || !strings.Contains(fmt.Sprint(r.Warnings), "reload_failed") || !strings.Contains(text, "stayed as it was") {
		t.Errorf("%s", text)
	}
	if err := os.WriteFile(rules, []byte("version: 1\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := s.Reload(); err != nil {
		t.Fatal(err)
	}
	if _, r, text = status(); r.Reload == nil || r.Reload.Error != "" || strings.Contains(fmt.Sprint(r.Warnings), "reload_failed") || strings.Contains(text, "stayed") {
		t.Errorf("%s", text)
	}
}

func TestCertificatesThatEnd(t *testing.T) {
	c, _ := testConfig(t)
	s, _ := startServer(t, c)
	now := time.Now()
	if list := s.expiring(now); len(list) != 0 {
		t.Errorf("%+v", list)
	}
	if list := s.expiring(now.AddDate(50, 0, 0)); len(list) != 1 || list[0].name != "ca.pem" || !strings.HasPrefix(list[0].what, "has ended, on ") || list[0].hint == "" {
		t.Errorf("%+v", list)
	}
	s.config.ProxyTLSCert = filepath.Join(t.TempDir(), "gone.pem")
	if list := s.expiring(now); len(list) != 1 || list[0].name != "JIRAGATE_PROXY_TLS_CERT" || !strings.Contains(list[0].what, "can't be read") {
		t.Errorf("%+v", list)
	}
	// The same certificate as the root's, looked at shortly before its end.
	s.config.ProxyTLSCert = c.caFile()
	for _, tt := range []struct {
		before time.Duration
		listed int
	}{{91 * 24 * time.Hour, 0}, {89 * 24 * time.Hour, 1}, {20 * 24 * time.Hour, 2}} {
		list := s.expiring(rootEnds(t, s).Add(-tt.before))
		if len(list) != tt.listed {
			t.Errorf("%s before: %+v", tt.before, list)
		}
		for _, e := range list {
			if !strings.HasPrefix(e.what, "ends on ") {
				t.Errorf("%+v", e)
			}
		}
	}
}

func TestFewOpenFiles(t *testing.T) {
	for files, few := range map[uint64]bool{0: false, 1024: true, wantedFiles - 1: true, wantedFiles: false, 1 << 20: false} {
		if got := (limits{files: files}).fewFiles(); got != few {
			t.Errorf("%d: %v", files, got)
		}
	}
	if processLimits().files == 0 {
		t.Error("the limit of open files is not known")
	}
}

// What fails says since when, why and what to do.
func TestFailingCheckInStatus(t *testing.T) {
	since := time.Date(2026, 11, 2, 9, 0, 0, 0, time.UTC)
	r := statusReport{Overview: admin.Overview{Checks: []admin.CheckResult{
		{Name: "store", Status: "ok", Since: since},
		{Name: "audit", Status: "failing", Reason: "no records", Error: "no space left", Hint: "free the disk", Since: since},
	}}}
	got := fmt.Sprint(r.fields())
	for _, part := range []string{"[store ok]", "[audit failing since 2026-11-02T09:00:00Z: no records]", "[  error no space left]", "[  do free the disk]"} {
		if !strings.Contains(got, part) {
			t.Errorf("no %s in %s", part, got)
		}
	}
	if r.well() {
		t.Error("all is well")
	}
}

func rootEnds(t *testing.T, s *Server) time.Time {
	t.Helper()
	block, _ := pem.Decode(s.RootPEM())
	cert, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	return cert.NotAfter
}
