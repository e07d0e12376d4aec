package cli

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"jiragate/gateway/audit"
	"jiragate/policy"
)

// A log of all kinds of records, as the gateway writes them and as a setting for
// privacy leaves them, decided again under a project limit.
func TestReplayOfALog(t *testing.T) {
	dir := t.TempDir()
	logDir, rules := filepath.Join(dir, "audit"), filepath.Join(dir, "rules.yaml")
	if err := os.WriteFile(rules, []byte("version: 1\nrules:\n  - {name: acme-only, connections: [acme], projects: [ACME]}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	log, err := audit.Open(audit.Options{Dir: logDir, Sync: audit.SyncBatch})
	if err != nil {
		t.Fatal(err)
	}
	before := policy.Default().SHA256()
	write := func(method, operation, path, decision, code string, names ...string) {
		t.Helper()
		_, err := log.Append(audit.Record{
			Client: "billing", Connection: "acme", Edition: "cloud", Method: method, Operation: operation, Path: path,
			QueryNames: names, Decision: decision, Code: code, PolicySHA256: before,
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	write("GET", "project.get", "/rest/api/3/project/ACME", "allow", "upstream_timeout")
	write("GET", "project.get", "/rest/api/3/project/OPS", "allow", "")
	write("GET", "project.get", "/rest/api/3/project/~c0ffee", "allow", "")
	write("DELETE", "issue.delete", "/rest/api/3/issue/{issueIdOrKey}", "allow", "")
	write("POST", "issue.create", "/rest/api/3/issue", "allow", "")
	write("GET", "user.assignable", "/rest/api/3/user/assignable/search", "allow", "", "project", "query")
	write("GET", "component.list", "/rest/api/3/project/OPS/components", "deny", "operation_switched_off")
	write("GET", "component.list", "/rest/api/3/project/ACME/components", "deny", "operation_switched_off")
	write("DELETE", "issue.delete", "/rest/api/3/issue/OPS-1", "deny", "issue_not_published")
	write("GET", "", "/rest/api/3/search\u202e\x1b[31m", "deny", "path_malformed")
	write("GET", "filter.get", "/rest/api/3/filter/~\u202e\x1b[31m"+strings.Repeat("x", 200), "allow", "")
	if err := log.Close(); err != nil {
		t.Fatal(err)
	}

	code, stdout, stderr := run(t, []string{"JIRAGATE_DATA_DIR=" + dir}, "", "policy", "replay", "--log", logDir, "--policy", rules)
	if code != 0 || stderr != "" {
		t.Fatalf("code %d, %s", code, stderr)
	}
	for _, line := range []string{
		"refused acme billing project.get allowed project_not_allowed acme-only 2 /rest/api/3/project/OPS -",
		"could be allowed acme billing component.list operation_switched_off - - 8 /rest/api/3/project/ACME/components -",
		"other reason acme billing component.list operation_switched_off project_not_allowed acme-only 7 /rest/api/3/project/OPS/components -",
		"undecidable acme billing project.get allowed project_not_allowed acme-only 3 /rest/api/3/project/~c0ffee a project limit looks at the identifiers of the path, which were kept out of the record",
		"undecidable acme billing issue.delete allowed project_not_allowed acme-only 4 /rest/api/3/issue/{issueIdOrKey} a project limit looks at the identifiers of the path, which were kept out of the record",
		"undecidable acme billing issue.create allowed project_not_allowed acme-only 5 /rest/api/3/issue a project limit looks at the body, which is not recorded",
		"undecidable acme billing user.assignable allowed project_not_allowed acme-only 6 /rest/api/3/user/assignable/search a project limit looks at the value of project, which is not recorded",
		"Of 10 calls that a policy decided, 1 would be refused, 1 could be allowed, 5 cannot be decided from their records, and 3 stay as they are (1 refused for another reason). Not decided by the policy: 1 refused call. Could be allowed:",
	} {
		if !strings.Contains(withoutTimes(stdout), line) {
			t.Errorf("no line %q in\n%s", line, stdout)
		}
	}
	if strings.ContainsAny(stdout, "\x1b\u202e") {
		t.Errorf("a client's text reaches the terminal:\n%q", stdout)
	}
	for line := range strings.Lines(stdout) {
		if strings.Contains(line, strings.Repeat("x", 80)) {
			t.Errorf("a client made a line as long as it liked: %s", line)
		}
	}
}

// withoutTimes takes times and counts out of a table, and its padding.
func withoutTimes(table string) string {
	var lines []string
	for line := range strings.Lines(table) {
		var words []string
		for i, word := range strings.Fields(line) {
			isTime := len(word) == 20 && word[10] == 'T' && word[19] == 'Z'
			isCount := word == "1" && i < 4 && !strings.HasPrefix(line, "Of ")
			if !isTime && !isCount {
				words = append(words, word)
			}
		}
		lines = append(lines, strings.Join(words, " "))
	}
	return strings.Join(lines, "\n")
}
