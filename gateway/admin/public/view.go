package public

import (
	"html/template"
	"net/http"
	"slices"
	"strings"
	"time"

	"jiragate/gateway/egress/publication"
	"jiragate/gateway/egress/register"
	"jiragate/policy"
)

// view is what the page shows.
type view struct {
	face
	Region      string
	Environment string // the region as customers' documents name it, e.g. "US"
	Created     time.Time
	SyncToken   string

	InUse, Announced, Retired []publication.Address
	All                       string             // addresses to allow, one a line
	History                   []register.Change  // last announced first
	Files                     []publication.File // of the publication
	Signed                    bool

	PolicyVersion, PolicySHA256 string
	Documented, Successors      []publication.Purpose
	Scopes                      []scope

	Log     log
	Version string
	Made    time.Time
}

// face is what every page of the handler needs.
type face struct {
	Base  string
	Title string
}

// scope is a scope with the purposes that need it.
type scope struct {
	publication.Scope
	Purposes []string
}

func (h *Handler) view(p *published, l log, now time.Time) view {
	d := p.document
	v := view{
		face: face{h.o.Base, "Jira integration security, " + strings.ToUpper(d.Region) + " environment"}, Region: d.Region, Environment: strings.ToUpper(d.Region),
		Created: d.Created, SyncToken: d.SyncToken,
		Retired: p.retired, History: slices.Clone(d.History), Files: p.files, Signed: p.has(publication.SignedName),
		PolicyVersion: d.Policy.Version(), PolicySHA256: d.Policy.SHA256(), Scopes: scopes(d.Policy),
		Log: l, Version: h.o.Version, Made: now,
	}
	slices.Reverse(v.History)
	v.Documented, v.Successors = publication.Purposes(d.Policy)
	var all []string
	for _, a := range p.listed {
		all = append(all, a.Address.String())
		if a.State == register.StateAnnounced {
			v.Announced = append(v.Announced, a)
		} else {
			v.InUse = append(v.InUse, a)
		}
	}
	v.All = strings.Join(all, "\n")
	return v
}

// Listed is how many addresses there are to allow.
func (v view) Listed() int { return len(v.InUse) + len(v.Announced) }

// scopes lists the scopes with the purposes of the operations that need them.
func scopes(p *policy.Policy) []scope {
	var list []scope
	for _, s := range publication.Scopes(p) {
		row := scope{Scope: s}
		for _, o := range p.Operations() {
			if o.Scope == s.Name && o.SuccessorOf == "" {
				row.Purposes = append(row.Purposes, o.Purpose)
			}
		}
		list = append(list, row)
	}
	return list
}

// other is what a page says that is there instead of another.
type other struct {
	face
	Text string
}

func refusals(base string, status int) other {
	switch status {
	case http.StatusMethodNotAllowed:
		return other{face{base, "Only for reading"}, "This address answers GET and HEAD."}
	case http.StatusServiceUnavailable:
		return other{face{base, "Not available at the moment"}, "The page can’t be made just now. Try again in a few seconds; if it stays so, tell your contact."}
	}
	return other{face{base, "Nothing is here"}, "There is no page or file at this address."}
}

// functions are what the templates can call beside those of package page.
var functions = template.FuncMap{
	"segments": segments,
	"action":   action,
	"about":    about,
	"day":      func(t time.Time) string { return t.UTC().Format("2 Jan 2006, 15:04 UTC") },
	"body":     body,
}

// segments is the operation's path with the query that tells it from others, cut where
// a line may break.
func segments(o *policy.Operation) []string {
	list := strings.SplitAfter(o.Path, "/")
	if o.When != "" {
		list = append(list, "?"+o.When)
	}
	return list
}

// body says what an operation may carry, where it may; else "".
func body(o *policy.Operation) string {
	if o.Body == policy.BodyIssue {
		return "required: a JSON object with “fields”, at most 1 MiB"
	}
	return ""
}

func action(a register.Action) string {
	if a == register.ActionUse {
		return "comes into use"
	}
	return "is retired"
}

// about says what a file is for. What the publication calls this page is another here.
func about(f publication.File) string {
	if f.Name == publication.FileName("html") {
		return "Addresses, history, operations and scopes on one page of its own: to keep, or to pass on."
	}
	return f.About
}
