package admin_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"jiragate/gateway/admin"
	"jiragate/policy"
	"jiragate/policy/history"
)

const rulesText = "version: 1\nrules:\n  - {name: no-deletes, deny: [issue.delete]}\n"

// keeping returns options with a history of two policies: the default one, which is
// in force, and before it one with rules.
func keeping(t *testing.T) (o admin.Options, ruled *policy.Policy, dir string) {
	t.Helper()
	store, _ := openStore(t)
	o = options(t, store)
	dir = filepath.Join(t.TempDir(), "audit", "policies")
	o.Policies = history.New(dir)
	ruled, err := policy.New([]byte(rulesText))
	if err != nil {
		t.Fatal(err)
	}
	for i, p := range []*policy.Policy{ruled, o.Policy()} {
		if err := o.Policies.Put(p); err != nil {
			t.Fatal(err)
		}
		at := time.Date(2026, 11, 1+i, 12, 0, 0, 0, time.UTC)
		if err := os.Chtimes(filepath.Join(dir, p.SHA256()+".policy"), at, at); err != nil {
			t.Fatal(err)
		}
	}
	return o, ruled, dir
}

func TestPolicyHistory(t *testing.T) {
	o, ruled, dir := keeping(t)
	h := local(t, o)
	var list []admin.KeptPolicy
	get(t, h, "/v1/policy/history", &list)
	if len(list) != 2 || list[0].SHA256 != o.Policy().SHA256() || !list[0].Current || list[1].SHA256 != ruled.SHA256() || list[1].Current ||
		!list[1].Verified || list[1].Problem != "" || list[1].Version != ruled.Version() || list[1].Kept.Day() != 1 {
		t.Errorf("%+v", list)
	}

	var view admin.KeptPolicyView
	get(t, h, "/v1/policy/history/"+ruled.SHA256()[:8], &view)
	if view.SHA256 != ruled.SHA256() || !view.Verified || view.Current || view.Rules != rulesText || len(view.Operations) != len(ruled.Operations()) {
		t.Errorf("%+v", view)
	}
	var op struct {
		ID      string
		Enabled bool
	}
	for _, raw := range view.Operations {
		if json.Unmarshal(raw, &op) != nil || op.ID == "issue.delete" && op.Enabled {
			t.Errorf("%s", raw)
		}
	}
	get(t, h, "/v1/policy/history/"+o.Policy().SHA256(), &view)
	if view.Rules != "" || !view.Current {
		t.Errorf("%+v", view.KeptPolicy)
	}

	for _, tt := range []struct {
		path   string
		status int
		code   string
	}{
		{"/v1/policy/history/1234", 400, admin.CodeInvalid},
		{"/v1/policy/history/" + ruled.SHA256() + "00", 400, admin.CodeInvalid},
		{"/v1/policy/history/..%2f..%2fstore.db", 400, admin.CodeInvalid},
		{"/v1/policy/history/01234567", 404, admin.CodeNotFound},
		{"/v1/policy/history/" + strings.Repeat("0", 64), 404, admin.CodeNotFound},
	} {
		status, body := call(t, h, "GET", tt.path, "")
		if wantCode(t, body, tt.code); status != tt.status {
			t.Errorf("%s: %d %s", tt.path, status, body)
		}
	}

	// What was altered is shown as that, and nothing of its content.
	if err := os.WriteFile(filepath.Join(dir, ruled.SHA256()+".policy"), o.Policy().Archive(), 0o600); err != nil {
		t.Fatal(err)
	}
	view = admin.KeptPolicyView{}
	get(t, h, "/v1/policy/history/"+ruled.SHA256(), &view)
	if view.Verified || view.Problem == "" || view.Rules != "" || len(view.Operations) != 0 {
		t.Errorf("%+v", view.KeptPolicy)
	}
	status, body := call(t, h, "GET", "/v1/policy/diff?from=current&to="+ruled.SHA256(), "")
	if wantCode(t, body, admin.CodeConflict); status != 409 {
		t.Errorf("%d %s", status, body)
	}
}

func TestPolicyDiff(t *testing.T) {
	o, ruled, _ := keeping(t)
	h := local(t, o)
	for _, tt := range []struct {
		from, to string
		effect   policy.Effect
		summary  string
		changes  bool
	}{
		{ruled.SHA256(), "current", policy.EffectMore, "calls may be allowed", true},
		{"current", ruled.SHA256()[:12], policy.EffectLess, "calls may be refused", true},
		{"current", o.Policy().SHA256(), policy.EffectNone, "the two are one policy", false},
	} {
		var d admin.PolicyDiff
		get(t, h, "/v1/policy/diff?from="+tt.from+"&to="+tt.to, &d)
		if d.Effect != tt.effect || !strings.HasPrefix(d.Summary, tt.summary) || len(d.Changes) > 0 != tt.changes || d.Changes == nil {
			t.Errorf("%s to %s: %+v", tt.from, tt.to, d)
		}
	}
	for path, want := range map[string]int{
		"/v1/policy/diff":                              400,
		"/v1/policy/diff?from=current":                 400,
		"/v1/policy/diff?from=current&to=":             400,
		"/v1/policy/diff?from=current&to=./rules.yaml": 400,
		"/v1/policy/diff?from=current&to=01234567":     404,
		"/v1/policy/diff?from=current&to=current&x=1":  400,
	} {
		if status, body := call(t, h, "GET", path, ""); status != want {
			t.Errorf("%s: %d %s", path, status, body)
		}
	}
}

// Where no policies are kept, the one in force can be looked at all the same.
func TestWithoutPolicyHistory(t *testing.T) {
	h := local(t, options(t, nil))
	for path, want := range map[string]int{
		"/v1/policy/history":                       503,
		"/v1/policy/history/01234567":              503,
		"/v1/policy/diff?from=current&to=01234567": 503,
		"/v1/policy/diff?from=current&to=current":  200,
		"/v1/policy": 200,
	} {
		if status, body := call(t, h, "GET", path, ""); status != want {
			t.Errorf("%s: %d %s", path, status, body)
		}
	}
}

func TestCodes(t *testing.T) {
	o := options(t, nil)
	o.Codes = []admin.Code{{Code: "not_granted", Status: 403, Title: "The connection is not granted to this client"}}
	var got []admin.Code
	get(t, local(t, o), "/v1/policy/codes", &got)
	if len(got) != 1 || got[0] != o.Codes[0] {
		t.Errorf("%+v", got)
	}
	if _, body := call(t, local(t, options(t, nil)), "GET", "/v1/policy/codes", ""); body != "[]\n" {
		t.Errorf("none: %s", body)
	}
}
