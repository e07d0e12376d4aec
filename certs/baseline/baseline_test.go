package baseline_test

import (
	"crypto/tls"
	"slices"
	"strings"
	"testing"

	"jiragate/certs/baseline"
)

// Of TLS 1.2 there is what is authenticated and forward-secret: all that crypto/tls
// has of it, and nothing else.
func TestSuites(t *testing.T) {
	var want []uint16
	for _, s := range tls.CipherSuites() {
		good := strings.Contains(s.Name, "_GCM_") || strings.Contains(s.Name, "CHACHA20")
		if slices.Contains(s.SupportedVersions, tls.VersionTLS12) && strings.HasPrefix(s.Name, "TLS_ECDHE_") && good {
			want = append(want, s.ID)
		}
	}
	c := baseline.TLS(&tls.Config{ServerName: "jira.example"})
	got := slices.Sorted(slices.Values(c.CipherSuites))
	slices.Sort(want)
	if !slices.Equal(got, want) {
		t.Errorf("suites %x, want %x", got, want)
	}
	if c.MinVersion != tls.VersionTLS12 || c.MaxVersion != 0 || c.CurvePreferences != nil || c.ServerName != "jira.example" {
		t.Errorf("versions %x to %x, curves %v, server name %q", c.MinVersion, c.MaxVersion, c.CurvePreferences, c.ServerName)
	}
}
