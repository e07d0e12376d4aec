package cli

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"
)

// dashboard is Grafana's JSON, as far as it is looked at here.
type dashboard struct {
	UID           string
	SchemaVersion int
	Templating    struct{ List []struct{ Name, Type string } }
	Annotations   struct{ List []struct{ Expr string } }
	Panels        []struct {
		ID                       int
		Type, Title, Description string
		GridPos                  gridPosition
		Datasource               struct{ UID string }
		FieldConfig              struct{ Defaults struct{ Unit string } }
		Targets                  []struct{ Expr, LegendFormat string }
	}
}

type gridPosition struct{ X, Y, W, H int }

func (p gridPosition) overlaps(q gridPosition) bool {
	return p.X < q.X+q.W && q.X < p.X+p.W && p.Y < q.Y+q.H && q.Y < p.Y+p.H
}

func readDashboard(t *testing.T) (d dashboard) {
	t.Helper()
	text, err := os.ReadFile("../../deploy/grafana/jiragate.json")
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(text, &d); err != nil {
		t.Fatal(err)
	}
	return d
}

// The dashboard asks for what is measured, of the chosen gateways alone; each panel says
// what it shows and in which unit, and has a place of its own.
func TestDashboard(t *testing.T) {
	d := readDashboard(t)
	c := measuredAndRecorded(t)
	if d.UID != "jiragate" || d.SchemaVersion != 42 {
		t.Errorf("uid %q, schema %d", d.UID, d.SchemaVersion)
	}
	var variables, rows []string
	for _, v := range d.Templating.List {
		variables = append(variables, v.Name)
	}
	if want := []string{"datasource", "region", "instance"}; !slices.Equal(variables, want) {
		t.Errorf("the variables are %q, want %q", variables, want)
	}
	ids := map[int]bool{}
	legend := regexp.MustCompile(`{{(\w+)}}`)
	for i, p := range d.Panels {
		if ids[p.ID] || p.ID == 0 {
			t.Errorf("%s: another panel has its id %d, or it has none", p.Title, p.ID)
		}
		ids[p.ID] = true
		if p.GridPos.W < 1 || p.GridPos.H < 1 || p.GridPos.X < 0 || p.GridPos.X+p.GridPos.W > 24 {
			t.Errorf("%s is at %+v", p.Title, p.GridPos)
		}
		for _, q := range d.Panels[:i] {
			if p.GridPos.overlaps(q.GridPos) {
				t.Errorf("%s and %s overlap", p.Title, q.Title)
			}
		}
		if p.Type == "row" {
			rows = append(rows, p.Title)
			continue
		}
		if p.Title == "" || p.Description == "" || p.FieldConfig.Defaults.Unit == "" || p.Datasource.UID != "${datasource}" || len(p.Targets) == 0 {
			t.Errorf("panel %d %q lacks something: %+v", p.ID, p.Title, p)
		}
		for _, target := range p.Targets {
			e, labels := c.check(t, p.Title, target.Expr)
			if len(e.grouped) > 0 && !strings.Contains(target.Expr, "group_right") {
				labels = map[string]bool{}
				for _, l := range e.grouped {
					labels[l] = true
				}
			}
			for _, l := range legend.FindAllStringSubmatch(target.LegendFormat, -1) {
				if !labels[l[1]] {
					t.Errorf("%s: the legend %s has a label that the expression does not leave", p.Title, target.LegendFormat)
				}
			}
			for _, s := range e.selectors {
				for _, want := range []labelMatcher{{"job", "=", "jiragate"}, {"region", "=~", "$region"}, {"instance", "=~", "$instance"}} {
					if !slices.Contains(s.matchers, want) {
						t.Errorf("%s: %s is not chosen by %s", p.Title, s.metric, want.label)
					}
				}
			}
		}
	}
	if want := []string{"At a glance", "Calls", "Latency", "Refusals", "Connections and credentials", "Egress", "Limits and tunnels", "Audit", "Process"}; !slices.Equal(rows, want) {
		t.Errorf("the rows are %q, want %q", rows, want)
	}
	for _, a := range d.Annotations.List {
		c.check(t, "annotation", a.Expr)
	}
}

// Prometheus takes the expressions, as rules that nobody else sees.
func TestDashboardExpressions(t *testing.T) {
	var rules ruleFile
	file := struct {
		Groups []map[string]any `yaml:"groups"`
	}{}
	var list []map[string]string
	for _, p := range readDashboard(t).Panels {
		for i, target := range p.Targets {
			list = append(list, map[string]string{
				"record": fmt.Sprintf("panel_%d:target_%d", p.ID, i),
				"expr":   strings.NewReplacer("$__rate_interval", "1m").Replace(target.Expr),
			})
		}
	}
	file.Groups = append(file.Groups, map[string]any{"name": "dashboard", "rules": list})
	text, err := yaml.Marshal(file)
	if err != nil {
		t.Fatal(err)
	}
	if err := yaml.Unmarshal(text, &rules); err != nil || len(rules.Groups[0].Rules) < 40 {
		t.Fatalf("%v, %d expressions", err, len(list))
	}
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "dashboard.yml"), text, 0o600); err != nil {
		t.Fatal(err)
	}
	promtool(t, dir, "check", "rules", "dashboard.yml")
}
