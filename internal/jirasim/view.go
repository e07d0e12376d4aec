package jirasim

import (
	"fmt"
	"net/url"
	"strings"
)

// view is how an edition shows the world: where its links lead, in which version
// of the API, and who is named how.
type view struct {
	base    string // https://acme.atlassian.net, or Data Center's base URL
	version string
	cloud   bool
}

// link returns a URL below the REST API.
func (v view) link(format string, args ...any) string {
	return v.base + "/rest/api/" + v.version + fmt.Sprintf(format, args...)
}

// avatars returns the four sizes that Jira gives for everything with a face.
func (v view) avatars(path string) obj {
	out := make(obj, 4)
	for size, name := range map[string]string{"16x16": "xsmall", "24x24": "small", "32x32": "medium", "48x48": "large"} {
		out[size] = v.base + path + "&size=" + name
	}
	return out
}

func (v view) user(u *user) obj {
	out := obj{
		"displayName": u.displayName,
		"active":      !u.inactive,
		"timeZone":    u.zone,
		"avatarUrls":  v.avatars("/secure/useravatar?avatarId=10122"),
	}
	if u.email != "" {
		out["emailAddress"] = u.email
	}
	if v.cloud {
		out["self"] = v.link("/user?accountId=%s", url.QueryEscape(u.accountID))
		out["accountId"], out["accountType"] = u.accountID, "atlassian"
	} else {
		out["self"] = v.link("/user?username=%s", url.QueryEscape(u.name))
		out["key"], out["name"], out["deleted"] = u.key, u.name, false
	}
	return out
}

// person is the short form of a user, as leads and assignees are shown.
func (v view) person(u *user) obj {
	out := v.user(u)
	delete(out, "emailAddress")
	delete(out, "timeZone")
	return out
}

// myself is the caller, with what expand asks for.
func (v view) myself(u *user, expand []string) obj {
	out := v.user(u)
	out["locale"] = "en_GB"
	out["expand"] = "groups,applicationRoles"
	groups, roles := obj{"size": 2, "items": []obj{}}, obj{"size": 1, "items": []obj{}}
	for _, e := range expand {
		switch e {
		case "groups":
			groups["items"] = []obj{
				{"name": "jira-software-users", "self": v.link("/group?groupname=jira-software-users")},
				{"name": "integrations", "self": v.link("/group?groupname=integrations")},
			}
		case "applicationRoles":
			roles["items"] = []obj{{"key": "jira-software", "name": "Jira Software"}}
		}
	}
	out["groups"], out["applicationRoles"] = groups, roles
	return out
}

func (v view) issueType(t *issueType) obj {
	out := obj{
		"self":        v.link("/issuetype/%s", t.id),
		"id":          t.id,
		"name":        t.name,
		"description": t.description,
		"subtask":     t.subtask,
		"iconUrl":     fmt.Sprintf("%s/secure/viewavatar?size=xsmall&avatarId=%d&avatarType=issuetype", v.base, t.avatar),
		"avatarId":    t.avatar,
	}
	if v.cloud {
		out["hierarchyLevel"] = t.level
		out["untranslatedName"] = t.name
	}
	return out
}

func (v view) issueTypes(types []*issueType) []obj {
	out := make([]obj, len(types))
	for i, t := range types {
		out[i] = v.issueType(t)
	}
	return out
}

func (v view) priority(p priority) obj {
	return obj{
		"self":        v.link("/priority/%s", p.id),
		"id":          p.id,
		"name":        p.name,
		"statusColor": p.colour,
		"description": p.description,
		"iconUrl":     v.base + "/images/icons/priorities/" + strings.ToLower(p.name) + ".svg",
	}
}

func (v view) component(p *project, c component) obj {
	out := obj{
		"self":                v.link("/component/%s", c.id),
		"id":                  c.id,
		"name":                c.name,
		"assigneeType":        "PROJECT_DEFAULT",
		"realAssigneeType":    "PROJECT_DEFAULT",
		"isAssigneeTypeValid": false,
		"project":             p.key,
		"projectId":           atoi(p.id),
	}
	if c.description != "" {
		out["description"] = c.description
	}
	if c.lead != nil {
		out["assigneeType"], out["realAssigneeType"], out["isAssigneeTypeValid"] = "COMPONENT_LEAD", "COMPONENT_LEAD", true
		lead := v.person(c.lead)
		out["lead"], out["assignee"], out["realAssignee"] = lead, lead, lead
	}
	if !v.cloud {
		out["archived"], out["deleted"] = false, false
	}
	return out
}

func (v view) components(p *project) []obj {
	out := make([]obj, len(p.components))
	for i, c := range p.components {
		out[i] = v.component(p, c)
	}
	return out
}

// project is the short form, as lists show it.
func (v view) project(p *project) obj {
	out := obj{
		"self":           v.link("/project/%s", p.id),
		"id":             p.id,
		"key":            p.key,
		"name":           p.name,
		"projectTypeKey": p.typeKey,
		"avatarUrls":     v.avatars("/secure/projectavatar?pid=" + p.id),
	}
	if p.category != "" {
		id := "10000"
		if p.category != "Products" {
			id = "10001"
		}
		out["projectCategory"] = obj{"self": v.link("/projectCategory/%s", id), "id": id, "name": p.category, "description": p.category}
	}
	if v.cloud {
		out["simplified"], out["style"], out["isPrivate"], out["properties"] = false, "classic", false, obj{}
		out["entityId"] = "1f7d2a5c-0000-4000-8000-0000000" + p.id
		out["uuid"] = out["entityId"]
	}
	if p.archived {
		out["archived"] = true
	}
	return out
}

// expandProject adds to the short form what expand asks for.
func (v view) expandProject(out obj, p *project, expand []string) {
	for _, e := range expand {
		switch e {
		case "description":
			out["description"] = p.description
		case "lead":
			out["lead"] = v.person(p.lead)
		case "issueTypes":
			out["issueTypes"] = v.issueTypes(p.issueTypes)
		case "url":
			out["url"] = "https://wiki.acme.example/" + p.key
		case "projectKeys":
			out["projectKeys"] = []string{p.key}
		case "insight":
			out["insight"] = obj{"totalIssueCount": 3, "lastIssueUpdateTime": "2026-01-15T09:30:00.000+0000"}
		}
	}
}

// fullProject is one project with its details.
func (v view) fullProject(p *project, expand []string) obj {
	out := v.project(p)
	out["expand"] = "description,lead,issueTypes,url,projectKeys,permissions,insight"
	out["assigneeType"] = "UNASSIGNED"
	out["components"] = v.components(p)
	out["versions"] = []obj{}
	out["roles"] = obj{"Administrators": v.link("/project/%s/role/10002", p.id)}
	v.expandProject(out, p, append([]string{"description", "lead", "issueTypes"}, expand...))
	return out
}
