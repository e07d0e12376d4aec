package gateway

import (
	"testing"

	"jiragate/gateway/audit/privacy"
	"jiragate/policy"
)

// TestRecordIsMaskedOnce: the intent and the record of a call have the same masked
// identifiers, which are made once, and anew when what they are of has changed.
func TestRecordIsMaskedOnce(t *testing.T) {
	masker, err := privacy.Open(privacy.Options{Identifiers: privacy.Drop, ClientAddr: privacy.Drop})
	if err != nil {
		t.Fatal(err)
	}
	masked := 0
	rs := &records{privacy: masker, policy: func() *policy.Policy {
		masked++
		return &policy.Policy{}
	}}
	c := &Call{}
	for i, change := range []func(){
		func() {}, // nothing is known yet
		func() { c.record.Path = "/rest/api/3/issue/LEAKY-1" },
		func() { c.record.ClientAddr = "192.0.2.7:50312" },
		func() { c.record.Connection = "acme" },
		func() { c.record.Edition = "cloud" },
		func() { c.record.Operation = "issue.get" },
		func() { c.record.Path = "/rest/api/3/issue/LEAKY-2" },
	} {
		change()
		for range 2 {
			if r := rs.of(c); r.ClientAddr != "" || i > 0 && (r.Path == "" || r.Path == c.record.Path) {
				t.Errorf("change %d: path %q, address %q", i, r.Path, r.ClientAddr)
			}
		}
		if masked != i+1 {
			t.Errorf("change %d: masked %d times, want %d", i, masked, i+1)
		}
		c.record.Status++ // what is not masked costs no masking
		if got := rs.of(c).Status; got != c.record.Status {
			t.Errorf("change %d: status %d, want %d", i, got, c.record.Status)
		}
	}
}
