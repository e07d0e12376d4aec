package cli

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"
)

const prometheusDir = "../../deploy/prometheus"

// ruleFile and ruleTests are the files of Prometheus's rules and of promtool's tests of
// them, as far as they are used here.
type ruleFile struct {
	Groups []struct {
		Name  string
		Rules []struct {
			Record, Alert, Expr, For string
			Labels, Annotations      map[string]string
		}
	}
}

type ruleTests struct {
	RuleFiles          []string `yaml:"rule_files"`
	EvaluationInterval string   `yaml:"evaluation_interval"`
	Tests              []struct {
		Name, Interval string
		InputSeries    []struct{ Series, Values string } `yaml:"input_series"`
		Expressions    []struct {
			Expr     string
			EvalTime string `yaml:"eval_time"`
			Samples  []struct {
				Labels string
				Value  float64
			} `yaml:"exp_samples"`
		} `yaml:"promql_expr_test"`
	}
}

func readStrictly(t *testing.T, file string, into any) {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if err := yaml.NewDecoder(bytes.NewReader(text), yaml.Strict()).Decode(into); err != nil {
		t.Fatalf("%s: %v", file, err)
	}
}

func readRules(t *testing.T) (rules ruleFile) {
	t.Helper()
	readStrictly(t, filepath.Join(prometheusDir, "alerts.yml"), &rules)
	return rules
}

// measuredAndRecorded is the catalogue of what is measured and of the recording rules,
// which are checked on the way.
func measuredAndRecorded(t *testing.T) catalogue {
	t.Helper()
	c := measured(t)
	for _, g := range readRules(t).Groups {
		for _, r := range g.Rules {
			if r.Record != "" {
				e, _ := c.check(t, r.Record, r.Expr)
				c.add(r.Record, e.grouped...)
			}
		}
	}
	return c
}

// Alerts ask for what is measured, say what to do, and have a page in the runbook, which
// has no others.
func TestAlerts(t *testing.T) {
	c := measuredAndRecorded(t)
	page, err := os.ReadFile("../../docs/runbooks.md")
	if err != nil {
		t.Fatal(err)
	}
	explained := map[string]bool{}
	for _, heading := range regexp.MustCompile(`(?m)^### (Jiragate\w+)$`).FindAllStringSubmatch(string(page), -1) {
		explained[heading[1]] = true
	}
	shown := regexp.MustCompile(`\$labels\.(\w+)`)
	alerts := 0
	for _, g := range readRules(t).Groups {
		for _, r := range g.Rules {
			if r.Alert == "" {
				continue
			}
			alerts++
			_, labels := c.check(t, r.Alert, r.Expr)
			if severity := r.Labels["severity"]; severity != "critical" && severity != "warning" || len(r.Labels) != 1 {
				t.Errorf("%s has the labels %v", r.Alert, r.Labels)
			}
			if want := "docs/runbooks.md#" + strings.ToLower(r.Alert); r.Annotations["runbook_url"] != want || !explained[r.Alert] {
				t.Errorf("%s is explained at %q; want %s, and a heading there (%v)", r.Alert, r.Annotations["runbook_url"], want, explained[r.Alert])
			}
			if len(r.Annotations) != 3 {
				t.Errorf("%s has the annotations %v", r.Alert, r.Annotations)
			}
			for _, name := range []string{"summary", "description"} {
				text := r.Annotations[name]
				if text == "" {
					t.Errorf("%s has no %s", r.Alert, name)
				}
				for _, l := range shown.FindAllStringSubmatch(text, -1) {
					if !labels[l[1]] {
						t.Errorf("%s shows the label %s in its %s, which it does not have", r.Alert, l[1], name)
					}
				}
			}
		}
	}
	if alerts == 0 || alerts != len(explained) {
		t.Errorf("there are %d alerts, and %d are explained", alerts, len(explained))
	}
}

// The tests of the alerts are about series that there can be, and each alert has one in
// which it fires and one, or an earlier time, in which it doesn't.
func TestAlertsAreTested(t *testing.T) {
	c := measuredAndRecorded(t)
	var tests ruleTests
	readStrictly(t, filepath.Join(prometheusDir, "alerts_test.yml"), &tests)
	named := regexp.MustCompile(`alertname="(\w+)"`)
	fires, quiet := map[string]bool{}, map[string]bool{}
	for _, test := range tests.Tests {
		name, _, _ := strings.Cut(test.Name, ",")
		for _, s := range test.InputSeries {
			c.check(t, "the test of "+test.Name, s.Series)
		}
		for _, e := range test.Expressions {
			found := false
			for _, s := range e.Samples {
				if m := named.FindStringSubmatch(s.Labels); m != nil && m[1] == name {
					found = true
				}
			}
			if found {
				fires[name] = true
			} else {
				quiet[name] = true
			}
		}
	}
	for _, g := range readRules(t).Groups {
		for _, r := range g.Rules {
			if r.Alert != "" && (!fires[r.Alert] || !quiet[r.Alert]) {
				t.Errorf("alerts_test.yml does not show that %s fires (%v), or that it doesn't always (%v)", r.Alert, fires[r.Alert], quiet[r.Alert])
			}
		}
	}
}

// The example names the job as the alerts do.
func TestScrapeExample(t *testing.T) {
	var config struct {
		RuleFiles     []string `yaml:"rule_files"`
		ScrapeConfigs []struct {
			JobName string                               `yaml:"job_name"`
			Static  []struct{ Labels map[string]string } `yaml:"static_configs"`
		} `yaml:"scrape_configs"`
	}
	text, err := os.ReadFile(filepath.Join(prometheusDir, "prometheus.yml"))
	if err != nil {
		t.Fatal(err)
	}
	if err := yaml.Unmarshal(text, &config); err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(config.RuleFiles, []string{"alerts.yml"}) || len(config.ScrapeConfigs) != 1 || config.ScrapeConfigs[0].JobName != "jiragate" {
		t.Errorf("%+v", config)
	}
	for _, s := range config.ScrapeConfigs[0].Static {
		if s.Labels["region"] == "" {
			t.Errorf("a target has no region: %v", s.Labels)
		}
	}
}

// requirePromtool names the environment variable that makes promtool a must: if it is set
// (to 1, by custom), a test fails that would be skipped without. It is for CI, where a
// skipped test would go unnoticed.
const requirePromtool = "CI_REQUIRE_PROMTOOL"

// promtool runs Prometheus's own tool in a directory.
func promtool(t *testing.T, dir string, args ...string) {
	t.Helper()
	program, err := exec.LookPath("promtool")
	switch {
	case err == nil:
	case os.Getenv(requirePromtool) == "":
		t.Skipf("no promtool here (set %s=1 to make this a failure; Debian's package is prometheus): %v", requirePromtool, err)
	default:
		t.Fatalf("run promtool (Debian's package is prometheus): %v", err)
	}
	command := exec.CommandContext(t.Context(), program, args...)
	command.Dir = dir
	if out, err := command.CombinedOutput(); err != nil {
		t.Errorf("promtool %s: %v\n%s", strings.Join(args, " "), err, out)
	}
}

// Prometheus takes the rules and the example, and each alert fires when it should and
// not before.
func TestPromtool(t *testing.T) {
	for _, args := range [][]string{
		{"check", "rules", "alerts.yml"},
		{"test", "rules", "alerts_test.yml"},
		{"check", "config", "--syntax-only", "prometheus.yml"},
	} {
		t.Run(strings.Join(args[:2], " "), func(t *testing.T) { promtool(t, prometheusDir, args...) })
	}
}
