package cli_test

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"os"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/spf13/cobra"

	"jiragate/gateway"
	"jiragate/gateway/audit"
	"jiragate/internal/cli"
	"jiragate/internal/demo"
	"jiragate/policy"
)

// table writes a table in Markdown.
func table(b *bytes.Buffer, head string, rows [][]string) {
	columns := strings.Split(head, ", ")
	fmt.Fprintf(b, "| %s |\n|%s\n", strings.Join(columns, " | "), strings.Repeat(" --- |", len(columns)))
	for _, row := range rows {
		fmt.Fprintf(b, "| %s |\n", strings.Join(row, " | "))
	}
}

func code(s string) string {
	if s == "" {
		return ""
	}
	return "`" + strings.ReplaceAll(s, "|", `\|`) + "`"
}

// text is what a table can hold of plain text.
func text(s string) string {
	return strings.NewReplacer("|", `\|`, "<", "&lt;", "*", `\*`, "\n", " ").Replace(s)
}

func writeVariables(_ *testing.T, b *bytes.Buffer) {
	b.WriteString("What `jiragate serve --help` lists. All settings are environment variables; one that is set to nothing counts as\n" +
		"not set. An unknown `JIRAGATE_` variable, or a value that is not allowed, is refused at start, for every command.\n" +
		"`jiragate config` shows what is in force and where each value comes from. `OTEL_*` variables are read as\n" +
		"OpenTelemetry specifies them. How they are used is in [operators.md](../operators.md).\n\n")
	var rows [][]string
	for _, v := range cli.Variables() {
		rows = append(rows, []string{code(v.Name), text(v.Type), text(v.Default), text(v.Meaning)})
	}
	table(b, "variable, type, default, meaning", rows)
}

func writeCommands(t *testing.T, b *bytes.Buffer) {
	b.WriteString("What each command says with `--help`. Exit codes: 0 done; 1 attempted and failed; 2 wrong arguments or\n" +
		"environment, nothing was attempted.\n")
	root := cli.Root(demo.Command())
	root.InitDefaultHelpCmd()
	var walk func(*cobra.Command)
	walk = func(c *cobra.Command) {
		if c.Hidden || c.Name() == "help" || c.Name() == "completion" {
			return
		}
		var help bytes.Buffer
		c.SetOut(&help)
		if err := c.Help(); err != nil {
			t.Fatal(err)
		}
		said, _, _ := strings.Cut(help.String(), "\nEnvironment:\n") // which variables.md has
		fmt.Fprintf(b, "\n## %s\n\n```\n%s\n```\n", c.CommandPath(), strings.TrimSpace(said))
		for _, sub := range c.Commands() {
			walk(sub)
		}
	}
	walk(root)
}

func writeOperations(t *testing.T, b *bytes.Buffer) {
	b.WriteString("What `jiragate policy export` prints where there are no rules of an operator: what may be called, with which parameters\n" +
		"and scopes.\n\n")
	var exported bytes.Buffer
	if err := policy.Default().Export(&exported, "md"); err != nil {
		t.Fatal(err)
	}
	_, body, _ := strings.Cut(exported.String(), "\n\n") // after its own heading
	b.WriteString(body)
}

func writeCodes(_ *testing.T, b *bytes.Buffer) {
	b.WriteString("The `code` of a refusal, of a call record and of metrics. What a client can do about each is in\n" +
		"[services.md](../services.md#refusals). The status is the usual one; codes that begin with `upstream_…_refused` and\n" +
		"a few others are noted of an answer of Jira's, which keeps its own.\n\n")
	rows := [][]string{{code(audit.CodeInterrupted), "–", "In call records only: the gateway ended while the call was under way"}}
	for _, c := range gateway.Codes() {
		status := "–"
		if c.Status != 0 {
			status = strconv.Itoa(c.Status)
		}
		meaning := c.Title
		if c.Detail != "" {
			meaning = strings.TrimSuffix(c.Detail, ".")
		}
		rows = append(rows, []string{code(string(c.Code)), status, text(meaning)})
	}
	slices.SortFunc(rows, func(a, b []string) int { return cmp.Compare(a[0], b[0]) })
	table(b, "code, status, meaning", rows)
}

// The fields are those of [audit.Record], in their order, which is that of the keys in the
// log, with the comments that stand there.
func writeRecords(t *testing.T, b *bytes.Buffer) {
	b.WriteString("The keys of a line of the audit log, in their order. All are always there: unknown text is `\"\"`, unknown numbers\n" +
		"are 0. More on each is in [compliance.md](../compliance.md#the-record).\n\n")
	file, err := parser.ParseFile(token.NewFileSet(), "../../gateway/audit/record.go", nil, parser.ParseComments)
	if err != nil {
		t.Fatal(err)
	}
	var fields *ast.StructType
	ast.Inspect(file, func(n ast.Node) bool {
		if spec, ok := n.(*ast.TypeSpec); ok && spec.Name.Name == "Record" {
			fields = spec.Type.(*ast.StructType)
		}
		return true
	})
	names := map[reflect.Kind]string{reflect.String: "text", reflect.Struct: "text", reflect.Slice: "list of texts"}
	record := reflect.TypeFor[audit.Record]()
	var rows [][]string
	for _, f := range fields.Fields.List {
		field, ok := record.FieldByName(f.Names[0].Name)
		if !ok {
			t.Fatalf("%s is no field", f.Names[0].Name)
		}
		rows = append(rows, []string{code(field.Tag.Get("json")), cmp.Or(names[field.Type.Kind()], "number"), text(strings.TrimSpace(f.Comment.Text()))})
	}
	table(b, "field, JSON type, meaning", rows)
}

func writeMetrics(t *testing.T, b *bytes.Buffer) {
	b.WriteString("What a gateway exposes on `/metrics` once everything has happened that is counted; those of the Go runtime, the\n" +
		"process and the scrapes themselves left out. [metrics.md](../metrics.md) has OpenTelemetry's names and units, and more on\n" +
		"each; series have the labels `otel_scope_…` besides.\n\n")
	var rows [][]string
	for _, m := range cli.Metrics(t) {
		var labels []string
		for _, l := range m.Labels {
			labels = append(labels, code(l))
		}
		rows = append(rows, []string{code(m.Name), m.Type, strings.Join(labels, ", "), text(m.Help)})
	}
	table(b, "metric, type, labels, meaning", rows)
}

// The description is served at /v1/openapi.json; its own tests see that it is true.
func writeAPI(t *testing.T, b *bytes.Buffer) {
	b.WriteString("What the admin listener serves to programs. `/v1/openapi.json` describes parameters, bodies and answers (OpenAPI\n" +
		"3.1); the bearer token is that of `JIRAGATE_ADMIN_TOKEN_FILE`. The commands reach the same API at the admin socket.\n\n")
	description, err := os.ReadFile("../../gateway/admin/openapi.json")
	if err != nil {
		t.Fatal(err)
	}
	var api struct {
		Paths map[string]map[string]struct {
			Summary string
			Role    string `json:"x-role"`
		}
	}
	if err := json.Unmarshal(description, &api); err != nil {
		t.Fatal(err)
	}
	var rows [][]string
	for _, path := range slices.Sorted(maps.Keys(api.Paths)) {
		for _, method := range slices.Sorted(maps.Keys(api.Paths[path])) {
			o := api.Paths[path][method]
			rows = append(rows, []string{code(strings.ToUpper(method) + " " + path), o.Role, text(o.Summary)})
		}
	}
	table(b, "endpoint, role, what it does", rows)
}
