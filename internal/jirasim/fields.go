package jirasim

// Field ids of the customer's own fields.
const (
	fieldTeam     = "customfield_10010" // single select, required on bugs
	fieldReviewer = "customfield_10011" // user picker
	fieldPoints   = "customfield_10016" // number
)

var teams = []obj{{"id": "10100", "value": "Red"}, {"id": "10101", "value": "Blue"}, {"id": "10102", "value": "Green"}}

// fields returns the fields of the create screen, as createmeta describes them.
func (w *world) fields(v view, p *project, t *issueType) []obj {
	field := func(id, name string, required bool, schema obj) obj {
		out := obj{"fieldId": id, "name": name, "required": required, "hasDefaultValue": false, "schema": schema, "operations": []string{"set"}}
		if v.cloud {
			out["key"] = id
		}
		return out
	}
	with := func(f obj, more obj) obj {
		for k, x := range more {
			f[k] = x
		}
		return f
	}
	system := func(typ, name string) obj { return obj{"type": typ, "system": name} }
	custom := func(typ, plugin string, id int) obj {
		return obj{"type": typ, "custom": "com.atlassian.jira.plugin.system.customfieldtypes:" + plugin, "customId": id}
	}
	users := v.base + "/rest/api/" + v.version + "/user/search?query="
	if !v.cloud {
		users = v.base + "/rest/api/latest/user/search?username="
	}
	priorities := make([]obj, len(w.priorities))
	for i, pr := range w.priorities {
		priorities[i] = v.priority(pr)
	}
	components := make([]obj, len(p.components))
	for i, c := range p.components {
		components[i] = obj{"self": v.link("/component/%s", c.id), "id": c.id, "name": c.name}
	}
	options := make([]obj, len(teams))
	for i, team := range teams {
		options[i] = with(obj{"self": v.link("/customFieldOption/%s", team["id"])}, team)
	}

	out := []obj{
		field("summary", "Summary", true, system("string", "summary")),
		with(field("issuetype", "Issue Type", true, system("issuetype", "issuetype")), obj{"operations": []string{}, "allowedValues": []obj{v.issueType(t)}}),
		with(field("project", "Project", true, system("project", "project")), obj{"allowedValues": []obj{v.project(p)}}),
		field("description", "Description", false, system("string", "description")),
		with(field("assignee", "Assignee", false, system("user", "assignee")), obj{"autoCompleteUrl": v.link("/user/assignable/search?project=%s&query=", p.key)}),
		with(field("reporter", "Reporter", true, system("user", "reporter")), obj{"hasDefaultValue": true, "autoCompleteUrl": users}),
		with(field("priority", "Priority", false, system("priority", "priority")),
			obj{"hasDefaultValue": true, "allowedValues": priorities, "defaultValue": priorities[2]}),
		with(field("labels", "Labels", false, obj{"type": "array", "items": "string", "system": "labels"}),
			obj{"operations": []string{"add", "set", "remove"}, "autoCompleteUrl": v.base + "/rest/api/1.0/labels/suggest?query="}),
		field("duedate", "Due date", false, system("date", "duedate")),
		with(field("components", "Components", false, obj{"type": "array", "items": "component", "system": "components"}),
			obj{"operations": []string{"add", "set", "remove"}, "allowedValues": components}),
		with(field(fieldTeam, "Team", t.name == "Bug", custom("option", "select", 10010)), obj{"allowedValues": options}),
		with(field(fieldReviewer, "Reviewer", false, custom("user", "userpicker", 10011)), obj{"autoCompleteUrl": users}),
		field(fieldPoints, "Story point estimate", false, custom("number", "float", 10016)),
	}
	if t.subtask {
		out = append(out, field("parent", "Parent", true, system("issuelink", "parent")))
	}
	return out
}
