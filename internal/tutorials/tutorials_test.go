package tutorials

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

// tutorial is a page of docs/tutorials, and how what stands there is run.
type tutorial struct {
	page   string
	needs  string            // a command that succeeds where the language is there
	blocks map[string]string // by the language of its block, the file that a program goes into
	env    []string          // what the page has its reader export, besides HTTPS_PROXY and JIRA
	run    string            // as on the page
}

var tutorials = []tutorial{
	{
		page: "curl.md", needs: "curl --version", blocks: map[string]string{"sh": "main.sh"},
		env: []string{"CURL_CA_BUNDLE=ca.pem", "PROJECT=ACME"}, run: "sh -eu main.sh",
	},
	{
		page: "go.md", needs: "go version", blocks: map[string]string{"go": "main.go"},
		env: []string{"SSL_CERT_FILE=ca.pem", "SSL_CERT_DIR=/nonexistent"}, run: "go run main.go",
	},
	{
		page: "node.md", needs: "node --input-type=module --eval 'import \"undici\"'", blocks: map[string]string{"js": "main.mjs"},
		env: []string{"NODE_EXTRA_CA_CERTS=ca.pem"}, run: "node main.mjs",
	},
	{
		page: "python.md", needs: "python3 -c 'import requests'", blocks: map[string]string{"python": "main.py"},
		env: []string{"REQUESTS_CA_BUNDLE=ca.pem"}, run: "python3 main.py",
	},
	{
		page: "java.md", needs: "javac --version", blocks: map[string]string{"java": "Main.java", "sh": "truststore.sh"},
		run: "sh -eu truststore.sh && java -Djdk.http.auth.tunneling.disabledSchemes= " +
			"-Djavax.net.ssl.trustStore=jiragate-truststore.p12 -Djavax.net.ssl.trustStorePassword=changeit Main.java",
	},
}

// Each program of the tutorials does what its page says: it publishes an issue and
// deletes it, is refused what is not documented, and each of its calls is on record.
func TestTutorials(t *testing.T) {
	for _, tt := range tutorials {
		t.Run(strings.TrimSuffix(tt.page, ".md"), func(t *testing.T) {
			page, err := os.ReadFile(filepath.Join("../../docs/tutorials", tt.page))
			if err != nil {
				t.Fatal(err)
			}
			s := newStage(t)
			path := tt.prepare(t, s)
			for language, file := range tt.blocks {
				program := blocks(string(page), language)
				if program == "" {
					t.Fatalf("%s has no block of %s", tt.page, language)
				}
				s.write(t, file, []byte(program))
			}
			said := tt.shell(t, s, tt.run, append(tt.env, "PATH="+path, "HTTPS_PROXY="+s.proxy, "JIRA="+s.site)...)
			for _, want := range []string{`ACME-\d+`, `deleted ACME-\d+`, `operation_not_documented`} {
				if !regexp.MustCompile(want).MatchString(said) {
					t.Errorf("it does not say %s:\n%s", want, said)
				}
			}
			record := regexp.MustCompile(`[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}`).FindString(said)
			var made []string
			for line := range strings.Lines(s.command(t, "audit", "query", "--client", "billing", "--output", "json")) {
				var r struct{ ID, Operation, Decision, Code string }
				if err := json.Unmarshal([]byte(line), &r); err != nil {
					t.Fatal(err)
				}
				made = append(made, r.Operation+" "+r.Decision)
				if r.Code == "operation_not_documented" && r.ID != record {
					t.Errorf("the refusal's record is %s, and the program told of %q", r.ID, record)
				}
			}
			if got, want := strings.Join(made, ", "), "myself.get allow, project.list allow, issue.create allow, issue.delete allow,  deny"; got != want {
				t.Errorf("on record: %s\nwant       %s\n%s", got, want, said)
			}
		})
	}
}

// prepare returns the PATH that has the language of the page, or skips the test where
// it is not there.
func (tt *tutorial) prepare(t *testing.T, s *stage) string {
	t.Helper()
	modules := os.Getenv("TUTORIALS_NODE_MODULES")
	if strings.HasPrefix(tt.needs, "node") && modules != "" {
		if err := os.Symlink(modules, filepath.Join(s.dir, "node_modules")); err != nil {
			t.Fatal(err)
		}
	}
	var problem error
	// Of two Pythons, the system's is the one that has the system's packages.
	for _, path := range []string{os.Getenv("PATH"), "/usr/bin:" + os.Getenv("PATH")} {
		c := exec.Command("sh", "-c", tt.needs)
		c.Dir, c.Env = s.dir, append(os.Environ(), "PATH="+path)
		out, err := c.CombinedOutput()
		if err == nil {
			return path
		}
		problem = fmt.Errorf("%s: %w\n%s", tt.needs, err, out)
	}
	if os.Getenv("CI_REQUIRE_TUTORIALS") == "1" {
		t.Fatal(problem)
	}
	t.Skipf("the page is not run, since its language is not installed: %v", problem)
	return ""
}

// shell runs a command line where the files are, and returns what it said. There is
// no more in its environment than its reader has.
func (tt *tutorial) shell(t *testing.T, s *stage, command string, env ...string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	c := exec.CommandContext(ctx, "sh", "-c", command)
	c.Dir = s.dir
	c.Env = append(env, "HOME="+os.Getenv("HOME"))
	out, err := c.CombinedOutput()
	if err != nil {
		t.Fatalf("%s: %v\n%s", command, err, out)
	}
	return string(out)
}

// blocks joins the blocks of a language on a page.
func blocks(page, language string) string {
	var all strings.Builder
	for _, m := range regexp.MustCompile("(?ms)^```"+language+"\n(.*?)^```$").FindAllStringSubmatch(page, -1) {
		all.WriteString(m[1] + "\n")
	}
	return all.String()
}
