package cli

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"jiragate/gateway/telemetry"
)

const planted = "S3cret"

// plantings are values with a secret where somebody might put it, valid or not.
func plantings(kind string, secret bool) []string {
	values := []string{
		"https://user:S3cret@host.example/",
		"https://user:pass@S3cret/x@host.example",
		"https://host.example/?token=S3cret",
		"http://localhost/hook?token=S3cret",
		"https://S3cret/x@host.example",
		"203.0.113.7=http://user:S3cret@proxy.example:3128",
		"-----BEGIN PRIVATE KEY-----\nS3cret\n-----END PRIVATE KEY-----",
	}
	if secret {
		values = append(values, "https://host.example/hooks/S3cret", "http://host.example/S3cret", "https://a.example/S3cret,https://b.example/S3cret", planted)
	}
	switch kind {
	case "file":
		values = append(values, planted, "/"+planted, "S3cret/S3cret=")
	case "key URI":
		values = append(values, planted, "env:S3cret", `{"key": "S3cret"}`, "env:{S3cret}", "file:S3cret", "file:https://user:S3cret@host.example/", "hcvault://S3cret@host.example/x")
	}
	return values
}

// No output has a secret that was put into any variable, in whatever form.
func TestNoSecretIsShown(t *testing.T) {
	check := func(t *testing.T, set string) {
		t.Helper()
		for _, format := range []string{"table", "json"} {
			_, stdout, stderr := run(t, []string{set}, "", "config", "--output", format)
			if strings.Contains(stdout+stderr, planted) {
				t.Errorf("%q as %s: %s%s", set, format, grepped(stdout), grepped(stderr))
			}
		}
		c, err := ParseConfig([]string{set})
		var log bytes.Buffer
		announceConfiguration(telemetry.NewLogger(&log, slog.LevelDebug, telemetry.Text), settings(c, []string{set}, err))
		if strings.Contains(log.String(), planted) {
			t.Errorf("%q in the log: %s", set, grepped(log.String()))
		}
	}
	for f := range configFields() {
		t.Run(f.Name, func(t *testing.T) {
			for _, value := range plantings(f.Tag.Get("type"), f.Tag.Get("secret") != "") {
				check(t, variableOf(f)+"="+value)
			}
		})
	}
	for _, set := range []string{
		"OTEL_EXPORTER_OTLP_HEADERS=api-key=S3cret",
		"OTEL_EXPORTER_OTLP_TRACES_HEADERS=x=S3cret",
		"OTEL_EXPORTER_OTLP_ENDPOINT=https://user:S3cret@collector.example:4318",
		"OTEL_EXPORTER_OTLP_ENDPOINT=https://collector.example:4318/S3cret",
		"OTEL_EXPORTER_OTLP_ENDPOINT=https://collector.example:4318?k=S3cret",
		"OTEL_EXPORTER_OTLP_CLIENT_KEY=S3cret",
		"OTEL_SOME_TOKEN=S3cret", "OTEL_PASSWORD=S3cret", "OTEL_some_secret=S3cret",
		"OTEL_RESOURCE_ATTRIBUTES=authorization=Bearer S3cret",
		"JIRAGATE_OAUTH_CLIENT_SECRET=S3cret",
		"jiragate_region=S3cret",
	} {
		t.Run(set, func(t *testing.T) { check(t, set) })
	}
}

func grepped(text string) string {
	var lines []string
	for line := range strings.Lines(text) {
		if strings.Contains(line, planted) {
			lines = append(lines, line)
		}
	}
	return strings.Join(lines, "")
}

// The keyset may be in a variable, which can have any name.
func TestKeysetInAVariableIsNotShown(t *testing.T) {
	for _, keyset := range []string{"OTEL_RING", "JIRAGATE_RING"} {
		environ := []string{"JIRAGATE_KEY_URI=env:" + keyset, keyset + "=S3cret"}
		code, stdout, stderr := run(t, environ, "", "config")
		if strings.Contains(stdout+stderr, planted) || !strings.Contains(stdout, "env:"+keyset) || code != 0 {
			t.Errorf("code %d: %s%s", code, stdout, stderr)
		}
	}
}

func TestSettings(t *testing.T) {
	dir := t.TempDir()
	file := func(name, content string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	there := file("there", "S3cret")
	addresses := file("addresses", "203.0.113.7=socks5://user:S3cret@proxy.example:1080\n203.0.113.8\n")
	for _, tt := range []struct{ set, name, value, source string }{
		{"", "JIRAGATE_REGION", "us", "default"},
		{"JIRAGATE_REGION=", "JIRAGATE_REGION", "us", "default"},
		{"JIRAGATE_REGION=eu", "JIRAGATE_REGION", "eu", "environment"},
		{"JIRAGATE_REGION=us", "JIRAGATE_REGION", "us", "environment"},
		{"JIRAGATE_REGION=mars", "JIRAGATE_REGION", "(not allowed)", "environment"},
		{"", "JIRAGATE_EGRESS", "", "default"},
		{"", "JIRAGATE_ADMIN_TOKEN_FILE", "admin-token in DATA_DIR", "default"},
		{"JIRAGATE_DATA_DIR=data", "JIRAGATE_DATA_DIR", "data", "environment"},
		{"JIRAGATE_EGRESS=203.0.113.7=http://user:S3cret@proxy.example:3128", "JIRAGATE_EGRESS", "203.0.113.7=http://proxy.example:3128", "environment"},
		{"JIRAGATE_EGRESS_FILE=" + addresses, "JIRAGATE_EGRESS", "203.0.113.7=socks5://proxy.example:1080,203.0.113.8", "file " + addresses},
		{"JIRAGATE_EGRESS_FILE=" + addresses, "JIRAGATE_EGRESS_FILE", addresses, "environment"},
		{"JIRAGATE_AUDIT_CHECKPOINT_TO=/mnt/worm, https://witness.example/S3cret", "JIRAGATE_AUDIT_CHECKPOINT_TO", "/mnt/worm,https://witness.example/…", "environment"},
		{"JIRAGATE_EGRESS_ECHO=https://a.example,https://b.example/S3cret", "JIRAGATE_EGRESS_ECHO", "https://a.example,https://b.example/…", "environment"},
		{"JIRAGATE_UPSTREAM_CA_FILE=" + there, "JIRAGATE_UPSTREAM_CA_FILE", there, "environment"},
		{"JIRAGATE_ADMIN_TOKEN_FILE=" + filepath.Join(dir, "later"), "JIRAGATE_ADMIN_TOKEN_FILE", filepath.Join(dir, "later"), "environment"},
		{"JIRAGATE_KEY_URI=aws-kms://arn:aws:kms:eu-west-1:1:key/k", "JIRAGATE_KEY_URI", "aws-kms://arn:aws:kms:eu-west-1:1:key/k", "environment"},
		{"JIRAGATE_KEY_URI=file:" + there, "JIRAGATE_KEY_URI", "file:" + there, "environment"},
		{"JIRAGATE_ATLASSIAN_API_URL=https://sim.example/api", "JIRAGATE_ATLASSIAN_API_URL", "https://sim.example/api", "environment"},
		{"OTEL_EXPORTER_OTLP_ENDPOINT=https://collector.example:4318/", "OTEL_EXPORTER_OTLP_ENDPOINT", "https://collector.example:4318/", "environment"},
		{"OTEL_TRACES_SAMPLER=traceidratio", "OTEL_TRACES_SAMPLER", "traceidratio", "environment"},
		{"OTEL_EXPORTER_OTLP_HEADERS=x=S3cret", "OTEL_EXPORTER_OTLP_HEADERS", "(redacted)", "environment"},
	} {
		t.Run(tt.set+" "+tt.name, func(t *testing.T) {
			environ := []string{tt.set, "PATH=/bin"}
			c, err := ParseConfig(environ)
			for _, s := range settings(c, environ, err) {
				if s.Name == "PATH" {
					t.Error("a variable of others is shown")
				}
				if s.Name == tt.name {
					if s.Value != tt.value || s.Source != tt.source {
						t.Errorf("%q from %q, want %q from %q", s.Value, s.Source, tt.value, tt.source)
					}
					return
				}
			}
			t.Error("it is not there")
		})
	}
}

// At start each setting is in the log once, set or not.
func TestEachSettingIsAnnouncedOnce(t *testing.T) {
	environ := []string{"JIRAGATE_REGION=eu", "OTEL_SERVICE_NAME=gate"}
	c, err := ParseConfig(environ)
	if err != nil {
		t.Fatal(err)
	}
	for _, format := range []telemetry.Format{telemetry.Text, telemetry.JSON} {
		var log bytes.Buffer
		announceConfiguration(telemetry.NewLogger(&log, slog.LevelInfo, format), settings(c, environ, nil))
		for _, name := range append(variables(), "OTEL_SERVICE_NAME") {
			text := name + "="
			if format == telemetry.JSON {
				text = fmt.Sprintf("%q:", name)
			}
			if name == "JIRAGATE_REGION" || name == "OTEL_SERVICE_NAME" {
				text = "msg=setting name=" + name
				if format == telemetry.JSON {
					text = fmt.Sprintf(`"name":%q`, name)
				}
			}
			if n := strings.Count(log.String(), text); n != 1 {
				t.Errorf("%s: %s is there %d times:\n%s", format, name, n, &log)
			}
		}
		for _, part := range []string{"gomaxprocs", "gomemlimit", "open_files", programVersion().Go} {
			if !strings.Contains(log.String(), part) {
				t.Errorf("%s: the log does not tell %s", format, part)
			}
		}
	}
}

func TestConfigCommand(t *testing.T) {
	dir := t.TempDir()
	broken := filepath.Join(dir, "policy.yaml")
	if err := os.WriteFile(broken, []byte("rules: 7\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	data := "JIRAGATE_DATA_DIR=" + filepath.Join(dir, "data")
	for _, tt := range []struct {
		name, set string
		code      int
		problem   string // the variable, or a part of the detail
	}{
		{"in order", "JIRAGATE_REGION=eu", 0, ""},
		{"no such value", "JIRAGATE_REGION=mars", 2, "JIRAGATE_REGION"},
		{"no such variable", "JIRAGATE_REGIO=us", 2, "JIRAGATE_REGIO"},
		{"broken policy", "JIRAGATE_POLICY_FILE=" + broken, 1, "JIRAGATE_POLICY_FILE"},
		{"no such file", "JIRAGATE_UPSTREAM_CA_FILE=" + filepath.Join(dir, "none"), 1, filepath.Join(dir, "none") + ": no such file"},
		{"token made at first start", "JIRAGATE_ADMIN_TOKEN_FILE=" + filepath.Join(dir, "token"), 0, ""},
		{"content of a file", "JIRAGATE_PROXY_TLS_KEY=-----BEGIN\nx", 2, "JIRAGATE_PROXY_TLS_KEY"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			code, stdout, stderr := run(t, []string{data, tt.set}, "", "config", "--output", "json")
			var view configView
			if err := json.Unmarshal([]byte(stdout), &view); err != nil {
				t.Fatalf("%v: %s", err, stdout)
			}
			if code != tt.code || view.OK != (code == 0) || len(view.Settings) != len(variables()) || (stderr == "") != (code == 0) {
				t.Errorf("code %d, ok %v, %d settings: %s", code, view.OK, len(view.Settings), stderr)
			}
			problems := fmt.Sprint(view.Problems)
			if tt.problem != "" && (!strings.Contains(problems, tt.problem) || !strings.Contains(stderr, tt.problem)) || tt.problem == "" && len(view.Problems) > 0 {
				t.Errorf("problems %s, stderr %s", problems, stderr)
			}
			if _, table, _ := run(t, []string{data, tt.set}, "", "config"); !strings.Contains(table, "JIRAGATE_REGION") {
				t.Errorf("table: %s", table)
			}
		})
	}
	if _, err := os.Stat(filepath.Join(dir, "data")); err == nil {
		t.Error("the data directory was made")
	}
}
