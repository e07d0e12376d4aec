package jirasim

import (
	"cmp"
	"fmt"
	"html"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
)

// The documented reads, in both editions.

// multi returns the values of a parameter that may be repeated or separated by
// commas.
func multi(q url.Values, name string) []string {
	var out []string
	for _, value := range q[name] {
		for part := range strings.SplitSeq(value, ",") {
			if part = strings.TrimSpace(part); part != "" {
				out = append(out, part)
			}
		}
	}
	return out
}

func intParam(q url.Values, name string, otherwise int) (int, *reply) {
	if !q.Has(name) {
		return otherwise, nil
	}
	n, err := strconv.Atoi(q.Get(name))
	if err != nil || n < 0 {
		return 0, new(failure(http.StatusBadRequest, fmt.Sprintf("Parameter '%s' must be a non-negative integer.", name)))
	}
	return n, nil
}

func atoi(s string) int {
	n, _ := strconv.Atoi(s) // of our own data
	return n
}

// window cuts a page out of all.
func window[T any](all []T, start, size int) []T {
	start = min(start, len(all))
	return all[start:min(len(all), start+min(size, len(all)))]
}

// pageParams reads startAt and maxResults; no more than most are given out.
func (c *call) pageParams(otherwise, most int) (start, size int, bad *reply) {
	if start, bad = intParam(c.query, "startAt", 0); bad != nil {
		return 0, 0, bad
	}
	if size, bad = intParam(c.query, "maxResults", otherwise); bad != nil {
		return 0, 0, bad
	}
	return start, min(size, most), nil
}

func getMyself(c *call) reply {
	return jsonReply(http.StatusOK, c.view.myself(c.user, multi(c.query, "expand")))
}

// project finds the project of the path; the answer of Jira if there is none.
func (c *call) project() (*project, *reply) {
	idOrKey := c.params["project"]
	if p := c.sim.world.project(idOrKey); p != nil {
		return p, nil
	}
	if _, err := strconv.Atoi(idOrKey); err == nil {
		return nil, new(failure(http.StatusNotFound, fmt.Sprintf("No project could be found with id '%s'.", idOrKey)))
	}
	return nil, new(failure(http.StatusNotFound, fmt.Sprintf("No project could be found with key '%s'.", idOrKey)))
}

func getProject(c *call) reply {
	p, bad := c.project()
	if bad != nil {
		return *bad
	}
	return jsonReply(http.StatusOK, c.view.fullProject(p, multi(c.query, "expand")))
}

func getComponents(c *call) reply {
	p, bad := c.project()
	if bad != nil {
		return *bad
	}
	return jsonReply(http.StatusOK, c.view.components(p))
}

// listProjects is Data Center's unpaged list (and Cloud's, undocumented here).
func listProjects(c *call) reply {
	out := []obj{}
	expand := multi(c.query, "expand")
	for _, p := range c.sim.world.projects {
		if p.archived && c.query.Get("includeArchived") != "true" {
			continue
		}
		o := c.view.project(p)
		o["expand"] = "description,lead,url,projectKeys"
		c.view.expandProject(o, p, expand)
		out = append(out, o)
	}
	if recent, bad := c.intParam("recent", len(out)); bad == nil {
		out = window(out, 0, recent)
	}
	return jsonReply(http.StatusOK, out)
}

// projectOrders are the fields of orderBy; "-" before one turns it around.
var projectOrders = map[string]func(a, b *project) int{
	"key":      func(a, b *project) int { return strings.Compare(a.key, b.key) },
	"name":     func(a, b *project) int { return strings.Compare(a.name, b.name) },
	"category": func(a, b *project) int { return strings.Compare(a.category, b.category) },
	"owner":    func(a, b *project) int { return strings.Compare(a.lead.displayName, b.lead.displayName) },
}

// searchProjects is Cloud's paged search. Links keep the caller's filters.
func searchProjects(c *call) reply {
	start, size, bad := c.pageParams(50, 100)
	if bad != nil {
		return *bad
	}
	statuses := multi(c.query, "status")
	if len(statuses) == 0 {
		statuses = []string{"live"}
	}
	ids, keys, types := multi(c.query, "id"), multi(c.query, "keys"), multi(c.query, "typeKey")
	text := strings.ToLower(c.query.Get("query"))
	changing := slices.Contains([]string{"edit", "create"}, c.query.Get("action"))
	var found []*project
	for _, p := range c.sim.world.projects {
		status := "live"
		if p.archived {
			status = "archived"
		}
		if slices.Contains(statuses, status) &&
			(len(ids) == 0 || slices.Contains(ids, p.id)) &&
			(len(keys) == 0 || slices.Contains(keys, p.key)) &&
			(len(types) == 0 || slices.Contains(types, p.typeKey)) &&
			(!changing || !p.readOnly) &&
			(strings.Contains(strings.ToLower(p.key), text) || strings.Contains(strings.ToLower(p.name), text)) {
			found = append(found, p)
		}
	}
	order := strings.TrimSpace(cmp.Or(c.query.Get("orderBy"), "key")) // "+key" arrives as " key"
	compare, ok := projectOrders[strings.TrimLeft(order, "+-")]
	if !ok {
		return failure(http.StatusBadRequest, fmt.Sprintf("The value '%s' is not a valid order by field.", order))
	}
	slices.SortStableFunc(found, func(a, b *project) int {
		if strings.HasPrefix(order, "-") {
			a, b = b, a
		}
		return compare(a, b)
	})

	values := []obj{}
	expand := multi(c.query, "expand")
	for _, p := range window(found, start, size) {
		o := c.view.project(p)
		o["expand"] = "description,lead,issueTypes,url,projectKeys,permissions,insight"
		c.view.expandProject(o, p, expand)
		values = append(values, o)
	}
	out := obj{
		"self":       c.pageLink("/project/search", start, size),
		"startAt":    start,
		"maxResults": size,
		"total":      len(found),
		"isLast":     start+len(values) >= len(found),
		"values":     values,
	}
	if start+len(values) < len(found) {
		out["nextPage"] = c.pageLink("/project/search", start+len(values), size)
	}
	return jsonReply(http.StatusOK, out)
}

func (c *call) pageLink(path string, start, size int) string {
	q := make(url.Values)
	for name, values := range c.query {
		q[name] = values
	}
	q.Set("startAt", strconv.Itoa(start))
	q.Set("maxResults", strconv.Itoa(size))
	return c.view.link("%s", path) + "?" + q.Encode()
}

func getPriorities(c *call) reply {
	out := make([]obj, len(c.sim.world.priorities))
	for i, p := range c.sim.world.priorities {
		out[i] = c.view.priority(p)
	}
	return jsonReply(http.StatusOK, out)
}

// pickUsers is the user picker: matches with the matching part in bold, as HTML.
func pickUsers(c *call) reply {
	size, bad := c.intParam("maxResults", 50)
	if bad != nil {
		return *bad
	}
	query := c.query.Get("query")
	excluded := append(multi(c.query, "exclude"), multi(c.query, "excludeAccountIds")...)
	if c.view.cloud && c.query.Has("exclude") && c.query.Has("excludeAccountIds") {
		return failure(http.StatusBadRequest, "The parameters 'exclude' and 'excludeAccountIds' cannot be used together.")
	}
	if c.view.cloud && !c.query.Has("query") {
		return failure(http.StatusBadRequest, "The query parameter 'query' is required.")
	}
	found := c.sim.world.find(func(u *user) bool {
		return query != "" && !u.inactive && u.starts(query) && !slices.Contains(excluded, u.name) && !slices.Contains(excluded, u.accountID)
	})
	users := []obj{}
	for _, u := range window(found, 0, min(size, 1000)) {
		o := obj{"displayName": u.displayName, "html": bold(u.displayName, query) + " - " + bold(u.email, query)}
		if c.view.cloud {
			o["accountId"], o["accountType"] = u.accountID, "atlassian"
		} else {
			o["name"], o["key"] = u.name, u.key
			o["html"] = o["html"].(string) + " (" + bold(u.name, query) + ")"
		}
		if c.query.Get("showAvatar") == "true" {
			o["avatarUrl"] = c.view.base + "/secure/useravatar?size=xsmall&avatarId=10122"
		}
		users = append(users, o)
	}
	return jsonReply(http.StatusOK, obj{
		"users":  users,
		"total":  len(found),
		"header": fmt.Sprintf("Showing %d of %d matching users", len(users), len(found)),
	})
}

// bold escapes text and marks its words that begin with query.
func bold(text, query string) string {
	words := strings.Split(text, " ")
	for i, word := range words {
		if n := len(query); query != "" && len(word) >= n && strings.EqualFold(word[:n], query) {
			words[i] = "<strong>" + html.EscapeString(word[:n]) + "</strong>" + html.EscapeString(word[n:])
		} else {
			words[i] = html.EscapeString(word)
		}
	}
	return strings.Join(words, " ")
}

// searchAssignable finds who can be given an issue of a project.
func searchAssignable(c *call) reply {
	start, size, bad := c.pageParams(50, 1000)
	if bad != nil {
		return *bad
	}
	q := c.query
	if !q.Has("project") && !q.Has("issueKey") && !q.Has("issueId") {
		return failure(http.StatusBadRequest, "Either the 'project' or the 'issueKey' query parameter must be provided.")
	}
	text := q.Get("username")
	if c.view.cloud {
		if q.Has("query") && q.Has("accountId") {
			return failure(http.StatusBadRequest, "The parameters 'query' and 'accountId' cannot be used together.")
		}
		text = q.Get("query")
	}
	if key := cmp.Or(q.Get("issueKey"), q.Get("issueId")); key != "" {
		if !c.sim.trackers[c.origin].has(key) {
			return noIssue(c)
		}
	} else if c.sim.world.project(q.Get("project")) == nil {
		return failure(http.StatusNotFound, fmt.Sprintf("No project could be found with key '%s'.", q.Get("project")))
	}
	out := []obj{}
	for _, u := range window(c.sim.world.find(func(u *user) bool {
		return !u.inactive && u.starts(text) && (q.Get("accountId") == "" || q.Get("accountId") == u.accountID)
	}), start, size) {
		out = append(out, c.view.user(u))
	}
	return jsonReply(http.StatusOK, out)
}
