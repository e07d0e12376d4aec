package publication

import (
	"bytes"
	_ "embed"
	"html/template"
	"slices"
	"strings"
	"time"

	"jiragate/gateway/egress/register"
	"jiragate/policy"
)

// page is what the page shows beside the content.
type page struct {
	*content
	InUse, Announced []Address
	Files            []format
	Checksums        string // the name of the file
	Signed           string // the name of the file
	Documented       []Purpose
	Successors       []Purpose // of deprecated operations
	Scopes           []Scope
}

// Purpose is a row of the table that customers know. An operation is nil where
// the edition has none for the purpose.
type Purpose struct {
	id                string
	Text              string
	DataCenter, Cloud *policy.Operation
}

// html writes one page without script, that asks for nothing elsewhere.
func (c *content) html(b *bytes.Buffer) error {
	p := page{content: c, Files: formats(), Checksums: ChecksumsName, Signed: SignedName, Scopes: Scopes(c.Policy)}
	for _, a := range c.Listed {
		if a.State == register.StateAnnounced {
			p.Announced = append(p.Announced, a)
		} else {
			p.InUse = append(p.InUse, a)
		}
	}
	p.Documented, p.Successors = Purposes(c.Policy)
	return pageTemplate.Execute(b, p)
}

// Newest returns the history, last announced first.
func (p page) Newest() []register.Change {
	h := slices.Clone(p.History)
	slices.Reverse(h)
	return h
}

// Environment is the region as customers' documents name it, e.g. "US".
func (p page) Environment() string { return strings.ToUpper(p.Region) }

// Purposes puts the two editions of an operation side by side, in catalogue order:
// the documented ones, and those that succeed deprecated ones.
func Purposes(p *policy.Policy) (documented, successors []Purpose) {
	var rows []Purpose
	operations := p.Operations()
	for i := range operations {
		o := &operations[i]
		at := slices.IndexFunc(rows, func(r Purpose) bool { return r.id == o.ID })
		if at < 0 {
			at = len(rows)
			rows = append(rows, Purpose{id: o.ID, Text: o.Purpose})
		}
		if o.Edition == policy.Cloud {
			rows[at].Cloud = o
		} else {
			rows[at].DataCenter = o
		}
	}
	for _, r := range rows {
		if r.Cloud != nil && r.Cloud.SuccessorOf != "" || r.DataCenter != nil && r.DataCenter.SuccessorOf != "" {
			successors = append(successors, r)
		} else {
			documented = append(documented, r)
		}
	}
	return documented, successors
}

// segments is the operation's path with the query that tells it from others, cut
// where a line may break.
func segments(o *policy.Operation) []string {
	list := strings.SplitAfter(o.Path, "/")
	if o.When != "" {
		list = append(list, "?"+o.When)
	}
	return list
}

// longDate is a time for people: "15 Dec 2026, 09:00 UTC".
func longDate(t time.Time) string { return t.UTC().Format("2 Jan 2006, 15:04 UTC") }

func change(a register.Action) string {
	if a == register.ActionUse {
		return "comes into use"
	}
	return "is retired"
}

//go:embed page.html
var pageHTML string

var pageTemplate = template.Must(template.New("page").Funcs(template.FuncMap{
	"segments": segments, "stamp": stamp, "date": longDate, "change": change,
}).Parse(pageHTML))
