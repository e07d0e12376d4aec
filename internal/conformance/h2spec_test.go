package conformance

import (
	"encoding/xml"
	"errors"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"jiragate/gateway/audit"
)

// h2specCases is how many cases h2spec has, so that none goes missing unnoticed.
const h2specCases = 146

// deviations are the cases of h2spec that the gateway fails, each with its reason.
var deviations = map[string]string{
	"http2/8.1.2.2: Sends a HEADERS frame that contains the connection-specific header field":                       "the gateway answers 400 before it ends the stream, which RFC 9113 section 8.1.1 allows; nothing goes on to Jira",
	"http2/8.1.2.2: Sends a HEADERS frame that contains the TE header field with any value other than \"trailers\"": "the same",
}

// What a client meets inside a tunnel is HTTP/2 by the book, as far as h2spec has it.
func TestH2spec(t *testing.T) {
	program := h2spec(t)
	w := newWorld(t)
	host, port, _ := net.SplitHostPort(w.tunnels)
	file := filepath.Join(t.TempDir(), "report.xml")
	// A documented operation, so that the calls go all the way to Jira.
	cmd := exec.CommandContext(t.Context(), program, "--tls", "--insecure", "--strict", "--host", host, "--port", port,
		"--path", "/rest/api/3/myself", "--junit-report", file, "generic", "http2", "hpack")
	out, err := cmd.CombinedOutput()
	// The exit code is 1 where cases failed.
	if exit := (*exec.ExitError)(nil); err != nil && !(errors.As(err, &exit) && exit.ExitCode() == 1) {
		t.Fatalf("run h2spec: %v\n%s", err, out)
	}
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatalf("read h2spec's report: %v\n%s", err, out)
	}
	var report struct {
		Cases []struct {
			Section string  `xml:"package,attr"`
			Name    string  `xml:"classname,attr"`
			Failure *string `xml:"failure"`
			Error   *string `xml:"error"`
			Skipped *string `xml:"skipped"`
		} `xml:"testsuite>testcase"`
	}
	if err := xml.Unmarshal(b, &report); err != nil {
		t.Fatal(err)
	}
	if len(report.Cases) != h2specCases {
		t.Errorf("h2spec ran %d cases, not %d", len(report.Cases), h2specCases)
	}
	failed := map[string]bool{}
	for _, c := range report.Cases {
		name := c.Section + ": " + c.Name
		switch {
		case c.Skipped != nil:
			t.Errorf("%s was skipped", name)
		case c.Failure == nil && c.Error == nil:
		case deviations[name] == "":
			t.Errorf("%s: failed, and is not among the deviations", name)
		default:
			failed[name] = true
		}
	}
	for name := range deviations {
		if !failed[name] {
			t.Errorf("%s: did not fail; take it off the deviations", name)
		}
	}
	if t.Failed() {
		t.Logf("%s", out)
	}
	w.checkRecords(t)
}

// checkRecords looks that what reached Jira is on record, and that the log verifies.
func (w *world) checkRecords(t *testing.T) {
	t.Helper()
	dir := filepath.Join(filepath.Dir(w.caFile), "audit")
	if _, err := audit.Verify(dir, audit.VerifyOptions{}); err != nil {
		t.Errorf("the audit log does not verify: %v", err)
	}
	allowed := strings.Count(string(w.command(t, "audit", "query", "--output", "json")), `"decision":"allow"`)
	reached := len(w.sim.Requests())
	if reached == 0 || allowed < reached {
		t.Errorf("%d calls reached Jira, %d records allow one", reached, allowed)
	}
}

// h2spec builds the program, in the version that h2spec.mod and h2spec.sum name.
func h2spec(t *testing.T) string {
	t.Helper()
	program := filepath.Join(t.TempDir(), "h2spec")
	out, err := exec.CommandContext(t.Context(), "go", "build", "-modfile=h2spec.mod", "-o", program, "github.com/summerwind/h2spec/cmd/h2spec").CombinedOutput()
	if err != nil {
		without(t, "h2spec", "it is built with the go command and its module proxy: "+strings.TrimSpace(string(out)), err)
	}
	return program
}
