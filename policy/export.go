package policy

import (
	"bytes"
	_ "embed"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"html/template"
	"io"
	"strconv"
	"strings"
)

// ExportFormats lists the formats that [Policy.Export] writes.
func ExportFormats() []string { return []string{"md", "json", "csv", "html"} }

// Export writes the policy as customers' security teams read it: purposes and
// what they mean in each edition, what each call may carry, and the operator's
// narrowing, with version and hash. The format is one of [ExportFormats]; csv
// holds the operations alone, one a row. Errors are about the format or from w.
func (p *Policy) Export(w io.Writer, format string) error {
	var b bytes.Buffer
	var err error
	switch format {
	case "md":
		p.exported().markdown(&b)
	case "json":
		encoder := json.NewEncoder(&b)
		encoder.SetIndent("", "  ")
		err = encoder.Encode(p.exported())
	case "csv":
		err = p.exported().csv(&b)
	case "html":
		err = exportPage.Execute(&b, p.exported())
	default:
		return fmt.Errorf("policy export: the format %q is unknown: use %s", format, strings.Join(ExportFormats(), ", "))
	}
	if err == nil {
		_, err = b.WriteTo(w)
	}
	if err != nil {
		return fmt.Errorf("policy export as %s: %w", format, err)
	}
	return nil
}

// export is the policy as it is shown.
type export struct {
	Version    string       `json:"version"`
	SHA256     string       `json:"sha256"`
	Operations []Operation  `json:"operations"`
	Rules      []exportRule `json:"rules"`

	Documented []purpose `json:"-"`
	Successors []purpose `json:"-"`
}

// exportRule is an operator's rule as it is shown. Absent lists mean every
// connection or client, no operation, no limit.
type exportRule struct {
	Name        string   `json:"name"`
	Connections []string `json:"connections,omitempty"`
	Clients     []string `json:"clients,omitempty"`
	Deny        []string `json:"deny,omitempty"`
	Projects    []string `json:"projects,omitempty"`
	Mode        Mode     `json:"mode"`
}

// purpose is a row of the table that customers know. An operation is nil where
// the edition has none for the purpose.
type purpose struct {
	Text              string
	DataCenter, Cloud *Operation
}

func (p *Policy) exported() *export {
	e := &export{Version: p.version, SHA256: p.sha256, Operations: p.Operations(), Rules: []exportRule{}}
	rows := make(map[string]*purpose)
	for i := range e.Operations {
		o := &e.Operations[i]
		row := rows[o.ID]
		if row == nil {
			row = &purpose{Text: o.Purpose}
			rows[o.ID] = row
		}
		if o.Edition == Cloud {
			row.Cloud = o
		} else {
			row.DataCenter = o
		}
	}
	for _, id := range p.ids {
		row := rows[id]
		if row.Cloud != nil && row.Cloud.SuccessorOf != "" || row.DataCenter != nil && row.DataCenter.SuccessorOf != "" {
			e.Successors = append(e.Successors, *row)
		} else {
			e.Documented = append(e.Documented, *row)
		}
	}
	for i := range p.rules {
		ru := &p.rules[i]
		e.Rules = append(e.Rules, exportRule{ru.name, ru.connections, ru.clients, ru.deny, ru.projects, ru.mode})
	}
	return e
}

// call is the operation's path with the query that tells it from others.
func (o *Operation) call() string {
	if o.When == "" {
		return o.Path
	}
	return o.Path + "?" + o.When
}

// status says in a word why an operation is not available; "" if it is.
func (o *Operation) status() string {
	switch {
	case o.Enabled:
		return ""
	case o.SuccessorOf != "":
		return "off"
	}
	return "switched off"
}

func (e *export) markdown(b *bytes.Buffer) {
	row := func(cells ...string) {
		for _, c := range cells {
			b.WriteString("| " + markdownCell.Replace(c) + " ")
		}
		b.WriteString("|\n")
	}
	fmt.Fprintf(b, "# Jira APIs used\n\nPolicy version %s, SHA-256 `%s`. Every other call is refused.\n\n", e.Version, e.SHA256)
	table := func(purposes []purpose) {
		row("Purpose", "Data Center edition and Server edition", "Cloud edition")
		row("---", "---", "---")
		for _, p := range purposes {
			row(p.Text, markdownCall(p.DataCenter), markdownCall(p.Cloud))
		}
	}
	table(e.Documented)
	b.WriteString("\n## Successors of deprecated calls\n\nOff unless switched on.\n\n")
	table(e.Successors)
	b.WriteString("\n## What each call may carry\n\n")
	row("Operation", "Edition", "Query parameters", "Body", "Scope")
	row("---", "---", "---", "---", "---")
	for i := range e.Operations {
		o := &e.Operations[i]
		row(o.ID, o.Edition.title(), describeQuery(o), o.Body.describe(), o.Scope)
	}
	if len(e.Rules) == 0 {
		return
	}
	b.WriteString("\n## Narrowing by the operator\n\n")
	row("Rule", "Connections", "Clients", "Switched off", "Only the projects", "Mode")
	row("---", "---", "---", "---", "---", "---")
	for _, r := range e.Rules {
		row(r.Name, orAll(r.Connections), orAll(r.Clients), strings.Join(r.Deny, ", "), strings.Join(r.Projects, ", "), string(r.Mode))
	}
}

// markdownCell keeps text from ending its cell or row.
var markdownCell = strings.NewReplacer("|", `\|`, "\n", " ", "\r", " ")

func markdownCall(o *Operation) string {
	if o == nil {
		return ""
	}
	s := fmt.Sprintf("`%s` (%s)", o.call(), o.Method)
	if status := o.status(); status != "" {
		s += ", " + status
	}
	return s
}

func orAll(names []string) string {
	if names == nil {
		return "all"
	}
	return strings.Join(names, ", ")
}

// csv writes the operations. No cell holds the operator's text, so none can
// begin a formula.
func (e *export) csv(b *bytes.Buffer) error {
	w := csv.NewWriter(b)
	rows := [][]string{{"id", "edition", "purpose", "method", "path", "query", "body", "scope", "enabled", "successor_of", "policy_version", "policy_sha256"}}
	for i := range e.Operations {
		o := &e.Operations[i]
		rows = append(rows, []string{o.ID, string(o.Edition), o.Purpose, o.Method, o.call(), strings.Join(o.QueryNames(), " "),
			string(o.Body), o.Scope, strconv.FormatBool(o.Enabled), o.SuccessorOf, e.Version, e.SHA256})
	}
	return w.WriteAll(rows)
}

//go:embed export.html
var exportHTML string

var exportPage = template.Must(template.New("export").Funcs(template.FuncMap{
	"call":   (*Operation).call,
	"status": (*Operation).status,
	"query":  func(o Operation) string { return describeQuery(&o) },
	"body":   BodyRule.describe,
	"title":  Edition.title,
	"all":    orAll,
	"join":   func(s []string) string { return strings.Join(s, ", ") },
}).Parse(exportHTML))
