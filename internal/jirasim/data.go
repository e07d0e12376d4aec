package jirasim

import "strings"

// The fixed part of the simulated customer: people, projects, issue types,
// priorities. Both editions show the same; nothing here changes after Start.

type user struct {
	accountID   string // Cloud
	key         string // Data Center: JIRAUSER…
	name        string // Data Center: login name
	displayName string
	email       string
	zone        string
	inactive    bool
}

type issueType struct {
	id, name, description string
	subtask               bool
	level                 int // of the hierarchy: 1 epic, 0 standard, -1 sub-task
	avatar                int
}

type priority struct{ id, name, colour, description string }

type component struct {
	id, name, description string
	lead                  *user // nil: unassigned
}

type project struct {
	id, key, name, description string
	typeKey                    string // software, business
	lead                       *user
	category                   string
	issueTypes                 []*issueType
	components                 []component
	archived                   bool
	readOnly                   bool // browse, but neither create nor delete
}

type world struct {
	users      []*user
	projects   []*project
	priorities []priority
	types      []*issueType
	bot        *user // who calls
}

func newWorld(botName string) *world {
	bot := &user{"712020:7b0c4c1e-6f0a-4a55-9d0e-5c2f1a3b4d6e", "JIRAUSER10100", botName, "Jira Bot", "jira-bot@acme.example", "Etc/UTC", false}
	mia := &user{"5b10a2844c20165700ede21g", "JIRAUSER10101", "mia", "Mia Krystof", "mia@acme.example", "Australia/Sydney", false}
	emma := &user{"5b10ac8d82e05b22cc7d4ef5", "JIRAUSER10102", "emma", "Emma Richards", "emma@acme.example", "Europe/London", false}
	lukas := &user{"712020:0f7c5d1b-93a1-4f63-8f9b-2d7a4c8e6b10", "JIRAUSER10103", "lukas", "Lukas Grün", "lukas.gruen@acme.example", "Europe/Berlin", false}
	brien := &user{"557058:3f8a1c2e-7d4b-4a6f-b0c9-1e2d3f4a5b6c", "JIRAUSER10104", "o'brien", "Siobhán O'Brien <QA>", "siobhan@acme.example", "Europe/Dublin", false}
	otto := &user{"5b10a0effa615349cb016cd8", "JIRAUSER10105", "otto", "Otto Former", "otto@acme.example", "Etc/UTC", true}

	epic := &issueType{"10000", "Epic", "A big user story that needs to be broken down.", false, 1, 10307}
	story := &issueType{"10001", "Story", "Functionality or a feature expressed as a user goal.", false, 0, 10315}
	task := &issueType{"10002", "Task", "A small, distinct piece of work.", false, 0, 10318}
	subtask := &issueType{"10003", "Sub-task", "A small piece of work that's part of a larger task.", true, -1, 10316}
	bug := &issueType{"10004", "Bug", "A problem or error.", false, 0, 10303}
	software := []*issueType{epic, story, task, subtask, bug}
	business := []*issueType{task, subtask}

	return &world{
		users: []*user{bot, mia, emma, lukas, brien, otto},
		bot:   bot,
		types: software,
		priorities: []priority{
			{"1", "Highest", "#d04437", "This problem will block progress."},
			{"2", "High", "#f15C75", "Serious problem that could block progress."},
			{"3", "Medium", "#f79232", "Has the potential to affect progress."},
			{"4", "Low", "#707070", "Minor problem or easily worked around."},
			{"5", "Lowest", "#999999", "Trivial problem with little or no impact on progress."},
		},
		projects: []*project{
			{id: "10000", key: "ACME", name: "Acme Platform", description: "The platform itself.", typeKey: "software", lead: mia, category: "Products", issueTypes: software,
				components: []component{
					{"10000", "API", "Everything behind /api", mia},
					{"10001", "Web", "The browser application", lukas},
					{"10002", "Docs & Help", "", nil},
				}},
			{id: "10001", key: "OPS", name: "Operations", description: "Servers, networks, on-call.", typeKey: "software", lead: emma, category: "Internal", issueTypes: software,
				components: []component{{"10010", "Network", "Egress and DNS", emma}}},
			{id: "10002", key: "WEB_SHOP", name: "Web Shop", description: "Sells things. Its key has an underscore.", typeKey: "software", lead: lukas, category: "Products", issueTypes: software,
				components: []component{{"10020", "Checkout", "", lukas}, {"10021", "Catalogue", "", nil}}},
			{id: "10003", key: "LEGAL", name: "Legal", description: "May be seen, not changed.", typeKey: "business", lead: emma, issueTypes: business, readOnly: true},
			{id: "10004", key: "R2D2", name: "Retrospectives", description: "", typeKey: "business", lead: mia, issueTypes: business},
			{id: "10005", key: "OLD", name: "Old Stuff", description: "Archived.", typeKey: "software", lead: otto, issueTypes: software, archived: true},
		},
	}
}

// project finds a project by id or by key, whose case matters.
func (w *world) project(idOrKey string) *project {
	for _, p := range w.projects {
		if p.id == idOrKey || p.key == idOrKey {
			return p
		}
	}
	return nil
}

func (p *project) issueType(match func(*issueType) bool) *issueType {
	for _, t := range p.issueTypes {
		if match(t) {
			return t
		}
	}
	return nil
}

// find returns the users that match says yes to, in order.
func (w *world) find(match func(*user) bool) []*user {
	var out []*user
	for _, u := range w.users {
		if match(u) {
			out = append(out, u)
		}
	}
	return out
}

// starts says whether a word of the user's display name, the name or the mail
// address begins with query, as Jira's user search does.
func (u *user) starts(query string) bool {
	query = strings.ToLower(query)
	for _, s := range append(strings.Fields(u.displayName), u.displayName, u.name, u.email) {
		if strings.HasPrefix(strings.ToLower(s), query) {
			return true
		}
	}
	return false
}
