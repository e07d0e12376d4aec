package cli

import (
	"fmt"
	"maps"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"jiragate/gateway"
)

// expression is what an expression of PromQL names. It is read, not understood: whether
// Prometheus takes it is promtool's to say.
type expression struct {
	selectors []selector
	grouped   []string // labels of by, without, on, ignoring, group_left and group_right
}

type selector struct {
	metric   string
	matchers []labelMatcher
}

type labelMatcher struct{ label, operator, value string }

var (
	promqlToken = regexp.MustCompile(`"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*'|[0-9][0-9a-zA-Z.]*|\$?[a-zA-Z_:][a-zA-Z0-9_:]*|=~|!~|!=|[^\s]`)
	promqlName  = regexp.MustCompile(`^[a-zA-Z_:]`)
)

var groupings = []string{"by", "without", "on", "ignoring", "group_left", "group_right"}

func readExpression(text string) (e expression, err error) {
	tokens := promqlToken.FindAllString(text, -1)
	token := func(i int) string {
		if i < len(tokens) {
			return tokens[i]
		}
		return ""
	}
	braces := func(i int) (all []labelMatcher, end int, err error) { // from behind the brace
		for token(i) != "}" {
			if !promqlName.MatchString(token(i)) || len(token(i+2)) < 2 {
				return nil, 0, fmt.Errorf("%q is no matcher in %s", token(i), text)
			}
			value := token(i + 2)
			all = append(all, labelMatcher{token(i), token(i + 1), value[1 : len(value)-1]})
			if i += 3; token(i) == "," {
				i++
			}
		}
		return all, i, nil
	}
	for i := 0; i < len(tokens); i++ {
		switch t := tokens[i]; {
		case t == "[": // a range, whatever it is
			for token(i) != "]" && i < len(tokens) {
				i++
			}
		case t == "{":
			return e, fmt.Errorf("a selector without a metric in %s", text)
		case !promqlName.MatchString(t):
		case slices.Contains(groupings, t) && token(i+1) == "(":
			for i += 2; token(i) != ")" && i < len(tokens); i++ {
				if tokens[i] != "," {
					e.grouped = append(e.grouped, tokens[i])
				}
			}
		case slices.Contains([]string{"and", "or", "unless", "offset", "bool"}, t):
		case slices.Contains([]string{"(", "by", "without"}, token(i+1)): // a function
		default:
			s := selector{metric: t}
			if token(i+1) == "{" {
				if s.matchers, i, err = braces(i + 2); err != nil {
					return e, err
				}
			}
			e.selectors = append(e.selectors, s)
		}
	}
	return e, nil
}

func TestReadExpression(t *testing.T) {
	e, err := readExpression(`(sum by (job, le) (rate(a_total{x="1",y=~"b|c"}[5m])) > 0.8 * b:c) and on (job) time() - d{z!=""} offset 15m < 5`)
	if err != nil {
		t.Fatal(err)
	}
	want := expression{[]selector{
		{"a_total", []labelMatcher{{"x", "=", "1"}, {"y", "=~", "b|c"}}}, {"b:c", nil}, {"d", []labelMatcher{{"z", "!=", ""}}},
	}, []string{"job", "le", "job"}}
	if fmt.Sprint(e) != fmt.Sprint(want) {
		t.Errorf("%v, want %v", e, want)
	}
}

// catalogue is what expressions may name: metrics with their labels, and the values
// that labels of the gateway can have.
type catalogue struct {
	labels map[string]map[string]bool // by metric
	values map[string]bool
}

// targetLabels are what Prometheus puts on each series of a target.
var targetLabels = []string{"job", "instance", "region"}

// measured is the catalogue of what the gateway is documented to measure, and the
// libraries in it do.
func measured(t *testing.T) catalogue {
	t.Helper()
	c := catalogue{map[string]map[string]bool{}, map[string]bool{}}
	for _, row := range metricsPage(t) {
		var labels []string
		for _, a := range row.attributes {
			labels = append(labels, strings.ReplaceAll(a, ".", "_"))
		}
		if row.kind != "histogram" {
			c.add(row.prometheus, labels...)
			continue
		}
		c.add(row.prometheus+"_bucket", append(labels, "le")...)
		c.add(row.prometheus+"_sum", labels...)
		c.add(row.prometheus+"_count", labels...)
	}
	config, _ := testConfig(t)
	s, _ := startServer(t, config)
	for name, m := range scrape(t, s) {
		if strings.HasPrefix(name, "go_") || strings.HasPrefix(name, "process_") {
			c.add(name, slices.Collect(maps.Keys(m.labels))...)
		}
	}
	c.add("up")
	c.add("ALERTS", "alertname", "alertstate", "severity")
	page, err := os.ReadFile("../../docs/metrics.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, word := range regexp.MustCompile("`([a-z0-9_]+)`").FindAllStringSubmatch(string(page), -1) {
		c.values[word[1]] = true
	}
	for _, code := range gateway.Codes() {
		c.values[string(code.Code)] = true
	}
	return c
}

func (c catalogue) add(metric string, labels ...string) {
	c.labels[metric] = map[string]bool{}
	for _, l := range append(labels, targetLabels...) {
		c.labels[metric][l] = true
	}
}

// check checks what an expression names, and returns the labels that its metrics have.
func (c catalogue) check(t *testing.T, where, text string) (e expression, labels map[string]bool) {
	t.Helper()
	e, err := readExpression(text)
	if err != nil {
		t.Errorf("%s: %v", where, err)
	}
	labels = map[string]bool{}
	for _, s := range e.selectors {
		own := c.labels[s.metric]
		if own == nil {
			t.Errorf("%s: there is no metric %s", where, s.metric)
			continue
		}
		maps.Copy(labels, own)
		for _, m := range s.matchers {
			if !own[m.label] {
				t.Errorf("%s: %s has no label %s", where, s.metric, m.label)
			}
			for value := range strings.SplitSeq(m.value, "|") {
				// A version, hash or address may be anything.
				if fixed := !slices.Contains([]string{"jiragate_policy_sha256", "jiragate_egress_ip", "jiragate_place_index", "jiragate_part"}, m.label); fixed &&
					strings.HasPrefix(m.label, "jiragate_") && value != "" && !c.values[value] {
					t.Errorf("%s: %s can't be %q", where, m.label, value)
				}
			}
		}
	}
	for _, l := range e.grouped {
		if !labels[l] {
			t.Errorf("%s: no metric in it has the label %s", where, l)
		}
	}
	return e, labels
}
