package conformance

import (
	"encoding/json"
	"flag"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"
)

var scan = flag.Bool("testssl", false, "also scan all listeners with testssl.sh, which takes minutes")

// finding is one of testssl.sh's.
type finding struct{ ID, Severity, Finding string }

// acceptedFinding is a finding that is neither good nor a mere fact, and stays.
type acceptedFinding struct {
	id      string
	targets []string // nil means all
	why     string
}

func (a acceptedFinding) about(target string) bool {
	return a.targets == nil || slices.Contains(a.targets, target)
}

var acceptedFindings = []acceptedFinding{
	{"TLS_session_ticket", nil, "crypto/tls makes a new ticket key each day and takes those of a week; keys are in memory only"},
	{"cert_expirationStatus", []string{"inside a tunnel"}, "leaves are minted for a week and replaced by themselves"},
	{"cert_notAfter", []string{"inside a tunnel"}, "the same"},
	{"cert_revocation", nil, "leaves live for a week, on the gateway's own machine; the listeners' certificate is the test's"},
}

// testssl.sh, which knows other attacks than the other tests here, finds nothing that
// isn't known.
func TestTestssl(t *testing.T) {
	if !*scan {
		t.Skip("takes minutes: make conformance runs it, or go test ./internal/conformance -testssl")
	}
	program, err := exec.LookPath("testssl")
	if err != nil {
		without(t, "testssl.sh", "Debian's package is testssl.sh", err)
	}
	w := newWorld(t)
	for _, target := range w.targets(t) {
		t.Run(target.name, func(t *testing.T) {
			judge(t, target.name, w.testssl(t, program, target.address))
		})
	}
}

// testssl runs the program with its checks of protocols, of the server's choices and
// certificates, and of attacks; all cipher suites TestTLSBaseline looks for. It asks
// nobody else.
func (w *world) testssl(t *testing.T, program, address string) []finding {
	t.Helper()
	dir := t.TempDir()
	file := filepath.Join(dir, "findings.json")
	cmd := exec.CommandContext(t.Context(), program, "--quiet", "--protocols", "--server-defaults", "--server-preference", "--vulnerable", "--openssl-timeout", "20", "--warnings", "batch", "--nodns", "none", "--color", "0",
		"--add-ca", w.caFile+","+w.ownCA, "--jsonfile", file, address)
	cmd.Env = append(os.Environ(), "TMPDIR="+dir)
	// Its exit code counts findings.
	out, err := cmd.CombinedOutput()
	b, errRead := os.ReadFile(file)
	var findings []finding
	if errRead != nil || json.Unmarshal(b, &findings) != nil {
		t.Fatalf("testssl.sh: %v, report: %v\n%s", err, errRead, out)
	}
	if !slices.ContainsFunc(findings, func(f finding) bool { return f.ID == "scanTime" }) {
		t.Fatalf("testssl.sh did not come to its end: %v\n%s", err, out)
	}
	return findings
}

func judge(t *testing.T, target string, findings []finding) {
	t.Helper()
	seen := map[string]bool{}
	for _, f := range findings {
		seen[f.ID] = seen[f.ID] || f.Severity != "OK" && f.Severity != "INFO"
		known := slices.ContainsFunc(acceptedFindings, func(a acceptedFinding) bool { return a.id == f.ID && a.about(target) })
		if seen[f.ID] && !known {
			t.Errorf("%s, %s: %s", f.ID, f.Severity, f.Finding)
		}
	}
	for _, a := range acceptedFindings {
		if a.about(target) && !seen[a.id] {
			t.Errorf("%s is not found; take it off the accepted findings", a.id)
		}
	}
	for _, id := range attacks {
		if _, ok := seen[id]; !ok {
			t.Errorf("%s was not looked for", id)
		}
	}
}

// attacks must have been looked for.
var attacks = []string{
	"heartbleed", "CCS", "ticketbleed", "ROBOT", "secure_renego", "secure_client_renego", "CRIME_TLS", "BREACH", "POODLE_SSL",
	"fallback_SCSV", "SWEET32", "FREAK", "DROWN", "LOGJAM", "BEAST", "LUCKY13", "RC4",
}
