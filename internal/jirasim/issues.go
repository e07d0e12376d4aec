package jirasim

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"mime"
	"net/http"
	"slices"
	"strings"
	"sync"
)

// Issue is an issue that a simulated Jira holds.
type Issue struct {
	ID, Key   string
	Project   string // key
	IssueType string // name
	Summary   string
	Parent    string // id; empty unless a sub-task
	Fields    map[string]json.RawMessage
}

// tracker holds the issues of one edition.
type tracker struct {
	mu     sync.Mutex
	world  *world
	issues map[string]*Issue // by id
	keys   map[string]string // key → id, former keys of moved issues included
	last   map[string]int    // project key → number of its newest issue
	nextID int
}

// newTracker holds a few issues that were there before anyone called: a story
// with a sub-task, one that moved from ACME-4 to OPS-1, one nobody may delete.
func newTracker(w *world) *tracker {
	t := &tracker{world: w, issues: make(map[string]*Issue), keys: make(map[string]string), last: make(map[string]int), nextID: 10100}
	t.add(Issue{Project: "ACME", IssueType: "Task", Summary: "Renew the certificate"})
	story := t.add(Issue{Project: "ACME", IssueType: "Story", Summary: "As a team we see our actions in Jira"})
	t.add(Issue{Project: "ACME", IssueType: "Sub-task", Summary: "Draw it", Parent: story.ID})
	moved := t.add(Issue{Project: "ACME", IssueType: "Bug", Summary: "Pager is silent"})
	moved.Project, moved.Key = "OPS", "OPS-1"
	t.keys["OPS-1"], t.last["OPS"] = moved.ID, 1
	t.add(Issue{Project: "LEGAL", IssueType: "Task", Summary: "Contract"})
	return t
}

// add gives the issue its id and key. t.mu is held, or nobody else knows t.
func (t *tracker) add(i Issue) *Issue {
	t.last[i.Project]++
	i.ID = fmt.Sprint(t.nextID)
	i.Key = fmt.Sprintf("%s-%d", i.Project, t.last[i.Project])
	t.nextID++
	t.issues[i.ID], t.keys[i.Key] = &i, i.ID
	return &i
}

// get finds an issue by id or by (any) key, in whatever case. t.mu is held.
func (t *tracker) get(idOrKey string) *Issue {
	if i := t.issues[idOrKey]; i != nil {
		return i
	}
	return t.issues[t.keys[strings.ToUpper(idOrKey)]]
}

// id returns the id of the issue with that id or key, or nothing.
func (t *tracker) id(idOrKey string) string {
	t.mu.Lock()
	defer t.mu.Unlock()
	if i := t.get(idOrKey); i != nil {
		return i.ID
	}
	return ""
}

func (t *tracker) has(idOrKey string) bool { return t.id(idOrKey) != "" }

// Issues returns the issues that an edition ([CloudAPI] or [DataCenter]) holds,
// oldest first, those that were there from the start included.
func (s *Sim) Issues(o Origin) []Issue {
	t := s.trackers[o]
	t.mu.Lock()
	defer t.mu.Unlock()
	out := []Issue{}
	for _, id := range slices.SortedFunc(maps.Keys(t.issues), func(a, b string) int { return atoi(a) - atoi(b) }) {
		i := *t.issues[id]
		i.Fields = maps.Clone(i.Fields)
		out = append(out, i)
	}
	return out
}

// HasIssue says whether an edition holds an issue, by id or key.
func (s *Sim) HasIssue(o Origin, idOrKey string) bool { return s.trackers[o].has(idOrKey) }

func noIssue(c *call) reply {
	if c.view.cloud {
		return failure(http.StatusNotFound, "Issue does not exist or you do not have permission to see it.")
	}
	return failure(http.StatusNotFound, "Issue Does Not Exist")
}

// createIssue publishes an issue.
func createIssue(c *call) reply {
	if mediaType, _, err := mime.ParseMediaType(c.header.Get("Content-Type")); err != nil || mediaType != "application/json" {
		return htmlReply(http.StatusUnsupportedMediaType, "Unsupported Media Type", "<h1>415</h1>")
	}
	var in struct {
		Fields map[string]json.RawMessage `json:"fields"`
	}
	if err := json.Unmarshal(c.body, &in); err != nil {
		return failure(http.StatusBadRequest, "There was an error parsing JSON. Check that your request body is valid.")
	}
	draft, errors := c.draft(in.Fields)
	if len(errors) > 0 {
		return fieldFailure(errors)
	}
	if p := c.sim.world.project(draft.Project); p.readOnly || p.archived {
		return failure(http.StatusForbidden, "You do not have permission to create issues in this project.")
	}
	t := c.sim.trackers[c.origin]
	t.mu.Lock()
	defer t.mu.Unlock()
	i := t.add(draft)
	return jsonReply(http.StatusCreated, obj{"id": i.ID, "key": i.Key, "self": c.view.link("/issue/%s", i.ID)})
}

// draft reads the fields of a new issue and says, per field, what is wrong.
func (c *call) draft(in map[string]json.RawMessage) (Issue, map[string]string) {
	out := Issue{Fields: in}
	errors := make(map[string]string)

	var ref struct{ ID, Key, Name string }
	read := func(name string) bool {
		ref = struct{ ID, Key, Name string }{}
		return json.Unmarshal(in[name], &ref) == nil
	}
	var p *project
	if read("project") && ref.ID+ref.Key != "" {
		p = c.sim.world.project(ref.ID + ref.Key)
	}
	if p == nil {
		errors["project"] = "Specify a valid project ID or key"
		return out, errors
	}
	var t *issueType
	if read("issuetype") {
		t = p.issueType(func(t *issueType) bool { return t.id == ref.ID || ref.ID == "" && t.name == ref.Name })
	}
	if t == nil {
		errors["issuetype"] = "Specify a valid issue type"
		return out, errors
	}
	out.Project, out.IssueType = p.key, t.name

	var summary string
	_ = json.Unmarshal(in["summary"], &summary)
	out.Summary = summary
	switch {
	case strings.TrimSpace(summary) == "":
		errors["summary"] = "You must specify a summary of the issue."
	case len([]rune(summary)) > 255:
		errors["summary"] = "Summary can't exceed 255 characters."
	case strings.ContainsAny(summary, "\r\n"):
		errors["summary"] = "The summary is invalid because it contains newline characters."
	}
	if text, given := in["description"]; given && !null(text) {
		// REST v3 takes the Atlassian Document Format, v2 wiki markup.
		if document := text[0] == '{'; c.version == "3" && !document {
			errors["description"] = "Operation value must be an Atlassian Document (see the Atlassian Document Format)"
		} else if c.version != "3" && text[0] != '"' {
			errors["description"] = "Operation value must be a string"
		}
	}
	if t.subtask {
		if read("parent") {
			out.Parent = c.sim.trackers[c.origin].id(ref.ID + ref.Key)
		}
		if out.Parent == "" {
			errors["parent"] = "Could not find issue by id or key."
		}
	}
	known := make(map[string]bool)
	for _, f := range c.sim.world.fields(c.view, p, t) {
		id := f["fieldId"].(string)
		known[id] = true
		values, limited := f["allowedValues"].([]obj)
		value, given := in[id]
		switch _, blamed := errors[id]; {
		case blamed || id == "project" || id == "issuetype":
		case !given || null(value):
			if f["required"] == true && f["hasDefaultValue"] == false {
				errors[id] = fmt.Sprintf("%s is required.", f["name"])
			}
		case limited && !allowed(values, value):
			errors[id] = fmt.Sprintf("The value given for %s is not valid.", f["name"])
		}
	}
	for id := range in {
		if !known[id] {
			errors[id] = fmt.Sprintf("Field '%s' cannot be set. It is not on the appropriate screen, or unknown.", id)
		}
	}
	return out, errors
}

func null(raw json.RawMessage) bool { return len(raw) == 0 || bytes.Equal(raw, []byte("null")) }

// allowed says whether a value, or each of a list, names one of the allowed
// values by id, name or value.
func allowed(values []obj, raw json.RawMessage) bool {
	type choice struct{ ID, Name, Value string }
	var list []choice
	if json.Unmarshal(raw, &list) != nil {
		var one choice
		if json.Unmarshal(raw, &one) != nil {
			return false
		}
		list = []choice{one}
	}
	for _, c := range list {
		if !slices.ContainsFunc(values, func(v obj) bool {
			return c.ID != "" && v["id"] == c.ID || c.Name != "" && v["name"] == c.Name || c.Value != "" && v["value"] == c.Value
		}) {
			return false
		}
	}
	return true
}

// deleteIssue removes an issue, and its sub-tasks if asked.
func deleteIssue(c *call) reply {
	t := c.sim.trackers[c.origin]
	t.mu.Lock()
	defer t.mu.Unlock()
	i := t.get(c.params["issue"])
	if i == nil {
		return noIssue(c)
	}
	if c.sim.world.project(i.Project).readOnly {
		return failure(http.StatusForbidden, "You do not have permission to delete issues in this project.")
	}
	var children []string
	for id, child := range t.issues {
		if child.Parent == i.ID {
			children = append(children, id)
		}
	}
	if len(children) > 0 && c.query.Get("deleteSubtasks") != "true" {
		return failure(http.StatusBadRequest, fmt.Sprintf("The issue '%s' has subtasks. You must specify the 'deleteSubtasks' parameter to delete this issue and all its subtasks.", i.Key))
	}
	for _, id := range append(children, i.ID) {
		delete(t.issues, id)
	}
	return empty(http.StatusNoContent)
}
