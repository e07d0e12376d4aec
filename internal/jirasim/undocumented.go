package jirasim

import (
	"fmt"
	"net/http"
)

// What a real Jira serves besides the documented operations. A gateway must not
// let any of it through; it is served with data so that a leak is plain to see.

// undocumentedRoutes are the same in both editions; v is the REST version.
func undocumentedRoutes(v string) []route {
	api := "/rest/api/" + v
	return []route{
		{"GET", api + "/serverInfo", "read:jira-work", getServerInfo},
		{"GET", api + "/project/type", "read:jira-work", getProjectTypes},
		{"GET", api + "/issue/{issue}", "read:jira-work", getIssue},
		{"PUT", api + "/issue/{issue}", "write:jira-work", changeIssue},
		{"GET", api + "/issue/{issue}/comment", "read:jira-work", getIssue},
		{"POST", api + "/issue/{issue}/comment", "write:jira-work", changeIssue},
		{"POST", api + "/issue/bulk", "write:jira-work", changeIssue},
		{"PUT", api + "/project/{project}", "write:jira-work", changeIssue},
		{"DELETE", api + "/project/{project}", "write:jira-work", changeIssue},
		{"GET", api + "/user", "read:jira-user", getUsers},
		{"GET", api + "/user/search", "read:jira-user", getUsers},
		{"GET", api + "/mypermissions", "read:jira-work", getPermissions},
		{"GET", api + "/issuetype", "read:jira-work", getIssueTypes},
		{"GET", "/rest/agile/1.0/board", "read:jira-work", getBoards},
		{"GET", "/rest/auth/1/session", "read:jira-user", getSession},
	}
}

func getServerInfo(c *call) reply {
	kind, version := "Cloud", "1001.0.0-SNAPSHOT"
	if !c.view.cloud {
		kind, version = "Server", "10.3.24"
	}
	return jsonReply(http.StatusOK, obj{
		"baseUrl": c.view.base, "version": version, "deploymentType": kind, "serverTitle": "Acme Jira",
		"serverTime": c.sim.o.Now().UTC().Format("2006-01-02T15:04:05.000-0700"),
	})
}

func getProjectTypes(c *call) reply {
	return jsonReply(http.StatusOK, []obj{{"key": "software", "formattedKey": "Software"}, {"key": "business", "formattedKey": "Business"}})
}

// issueBody is an issue as GET gives it.
func issueBody(c *call, i *Issue) obj {
	fields := obj{"summary": i.Summary, "issuetype": obj{"name": i.IssueType}, "project": obj{"key": i.Project}}
	for id, value := range i.Fields {
		fields[id] = value
	}
	return obj{"id": i.ID, "key": i.Key, "self": c.view.link("/issue/%s", i.ID), "fields": fields}
}

func getIssue(c *call) reply {
	t := c.sim.trackers[c.origin]
	t.mu.Lock()
	defer t.mu.Unlock()
	i := t.get(c.params["issue"])
	if i == nil {
		return noIssue(c)
	}
	return jsonReply(http.StatusOK, issueBody(c, i))
}

// changeIssue pretends: what matters is that the request got here.
func changeIssue(*call) reply { return empty(http.StatusNoContent) }

// searchIssues answers every JQL with every issue.
func searchIssues(c *call) reply {
	issues := []obj{}
	for _, i := range c.sim.Issues(c.origin) {
		issues = append(issues, issueBody(c, &i))
	}
	return jsonReply(http.StatusOK, obj{"issues": issues, "isLast": true, "startAt": 0, "maxResults": 50, "total": len(issues)})
}

func getUsers(c *call) reply {
	out := []obj{}
	for _, u := range c.sim.world.users {
		out = append(out, c.view.user(u))
	}
	return jsonReply(http.StatusOK, out)
}

func getPermissions(*call) reply {
	return jsonReply(http.StatusOK, obj{"permissions": obj{"ADMINISTER": obj{"id": "0", "key": "ADMINISTER", "havePermission": false}}})
}

func getIssueTypes(c *call) reply {
	return jsonReply(http.StatusOK, c.view.issueTypes(c.sim.world.types))
}

func getBoards(c *call) reply {
	return jsonReply(http.StatusOK, obj{"startAt": 0, "maxResults": 50, "total": 1, "isLast": true,
		"values": []obj{{"id": 1, "name": "ACME board", "type": "scrum", "self": c.view.base + "/rest/agile/1.0/board/1"}}})
}

func getSession(c *call) reply {
	return jsonReply(http.StatusOK, obj{"self": c.view.link("/user?username=%s", c.user.name), "name": c.user.name,
		"loginInfo": obj{"failedLoginCount": 0, "loginCount": 42}})
}

// getTokens lists the personal access tokens of the caller (Data Center).
func getTokens(c *call) reply {
	return jsonReply(http.StatusOK, []obj{{"id": 1, "name": "gateway", "createdAt": "2026-01-01T00:00:00.000+0000"}})
}

// makeToken makes a personal access token: a credential that would outlive any
// gateway.
func makeToken(c *call) reply {
	token := c.sim.accounts.newPAT(c.user)
	return jsonReply(http.StatusCreated, obj{"id": 2, "name": "made", "rawToken": token})
}

func getPrioritiesPaged(c *call) reply {
	all := make([]obj, len(c.sim.world.priorities))
	for i, p := range c.sim.world.priorities {
		all[i] = c.view.priority(p)
		all[i]["isDefault"] = i == 2
	}
	start, size, bad := c.pageParams(50, 50)
	if bad != nil {
		return *bad
	}
	page := window(all, start, size)
	return jsonReply(http.StatusOK, obj{"startAt": start, "maxResults": size, "total": len(all), "isLast": start+len(page) >= len(all), "values": page})
}

func gone(c *call) reply {
	return failure(http.StatusGone, fmt.Sprintf("The requested API has been removed. Please migrate to the %s API.", "/rest/api/3/search/jql"))
}
