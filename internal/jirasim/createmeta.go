package jirasim

import (
	"fmt"
	"net/http"
	"slices"
)

// getCreateMeta is the deprecated whole: projects, their issue types, and, with
// expand, their fields. Ids that do not exist are left out without an error.
func getCreateMeta(c *call) reply {
	ids, keys := multi(c.query, "projectIds"), multi(c.query, "projectKeys")
	typeIDs, typeNames := multi(c.query, "issuetypeIds"), multi(c.query, "issuetypeNames")
	withFields := slices.Contains(multi(c.query, "expand"), "projects.issuetypes.fields")
	projects := []obj{}
	for _, p := range c.sim.world.projects {
		if p.archived || p.readOnly || len(ids)+len(keys) > 0 && !slices.Contains(ids, p.id) && !slices.Contains(keys, p.key) {
			continue
		}
		types := []obj{}
		for _, t := range p.issueTypes {
			if len(typeIDs)+len(typeNames) > 0 && !slices.Contains(typeIDs, t.id) && !slices.Contains(typeNames, t.name) {
				continue
			}
			o := c.view.issueType(t)
			if withFields {
				fields := make(obj)
				for _, f := range c.sim.world.fields(c.view, p, t) {
					f["key"] = f["fieldId"]
					fields[f["fieldId"].(string)] = f
				}
				o["expand"], o["fields"] = "fields", fields
			}
			types = append(types, o)
		}
		projects = append(projects, obj{
			"expand": "issuetypes", "self": c.view.link("/project/%s", p.id), "id": p.id, "key": p.key, "name": p.name,
			"avatarUrls": c.view.avatars("/secure/projectavatar?pid=" + p.id), "issuetypes": types,
		})
	}
	return jsonReply(http.StatusOK, obj{"expand": "projects", "projects": projects})
}

// getCreateMetaTypes lists the issue types that can be created in a project.
func getCreateMetaTypes(c *call) reply {
	p, bad := c.createProject()
	if bad != nil {
		return *bad
	}
	return c.createMetaPage("issueTypes", c.view.issueTypes(p.issueTypes))
}

// getCreateMetaFields lists the fields of the create screen.
func getCreateMetaFields(c *call) reply {
	p, bad := c.createProject()
	if bad != nil {
		return *bad
	}
	t := p.issueType(func(t *issueType) bool { return t.id == c.params["type"] })
	if t == nil {
		return failure(http.StatusBadRequest, fmt.Sprintf("Issue type with id '%s' does not exist in project '%s'.", c.params["type"], p.key))
	}
	return c.createMetaPage("fields", c.sim.world.fields(c.view, p, t))
}

// createProject finds the project of the path; one that the caller may not
// create issues in is as good as none.
func (c *call) createProject() (*project, *reply) {
	p := c.sim.world.project(c.params["project"])
	if p == nil || p.archived || p.readOnly {
		return nil, new(failure(http.StatusBadRequest, "The project does not exist, or you do not have permission to create issues in it."))
	}
	return p, nil
}

// createMetaPage has the caller's edition's shape of a page: Cloud names the
// list (its OpenAPI document), Data Center calls it values.
func (c *call) createMetaPage(name string, all []obj) reply {
	if n, bad := c.intParam("maxResults", 50); bad != nil {
		return *bad
	} else if n > 200 && c.view.cloud {
		return failure(http.StatusBadRequest, "Parameter 'maxResults' must not exceed the limit '200'")
	}
	start, size, bad := c.pageParams(50, 200)
	if bad != nil {
		return *bad
	}
	page := window(all, start, size)
	out := obj{"startAt": start, "maxResults": size, "total": len(all)}
	if c.view.cloud {
		out[name] = page
	} else {
		out["values"], out["isLast"] = page, start+len(page) >= len(all)
	}
	return jsonReply(http.StatusOK, out)
}
