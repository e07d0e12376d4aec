package certs

import (
	"os/exec"
	"strings"
	"testing"
)

func TestTrustInstructions(t *testing.T) {
	got := TrustInstructions("/srv/jira gate/ca.pem", "")
	for _, want := range []string{
		"curl --cacert '/srv/jira gate/ca.pem'", "CURL_CA_BUNDLE='/srv", "SSL_CERT_FILE='/srv", "NODE_EXTRA_CA_CERTS='/srv",
		"REQUESTS_CA_BUNDLE='/srv", "keytool -importcert", "-Djavax.net.ssl.trustStore=", "Never add it to the trust store of a system",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("no %q in\n%s", want, got)
		}
	}
	if strings.Contains(got, "CAFILE") || strings.Contains(got, "next") {
		t.Errorf("a placeholder is left, or there is word of a next root:\n%s", got)
	}
}

func TestTrustInstructionsForTwoRoots(t *testing.T) {
	got := TrustInstructions("data/ca.pem", "data/ca-next.pem")
	if !strings.HasPrefix(got, TrustInstructions("data/ca.pem", "")) {
		t.Error("the instructions for one root are not part of it")
	}
	for _, want := range []string{"data/ca.pem holds two roots", "-alias jiragate-next -file data/ca-next.pem"} {
		if !strings.Contains(got, want) {
			t.Errorf("no %q in\n%s", want, got)
		}
	}
	if strings.Contains(got, "CAFILE") || strings.Contains(got, "NEXTFILE") {
		t.Errorf("a placeholder is left:\n%s", got)
	}
}

// TestShellQuote asks a real shell.
func TestShellQuote(t *testing.T) {
	for _, s := range []string{"data/ca.pem", "", "a b", "it's", "$HOME", "`id`", "a;b", "!x", "*", "a\nb", `\`, "~/ca.pem", "bücher"} {
		out, err := exec.Command("/bin/sh", "-c", "printf %s "+shellQuote(s)).Output()
		if err != nil || string(out) != s {
			t.Errorf("shellQuote(%q) = %s, which a shell reads as %q (%v)", s, shellQuote(s), out, err)
		}
	}
}
