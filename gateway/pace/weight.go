package pace

// Weight is the estimate of what a call of this Cloud operation costs the app, in
// points: 1, and for a read 1 more for each core object and 2 for each user that
// the answer holds (https://developer.atlassian.com/cloud/jira/platform/rate-limiting/).
// It is 1 for an operation that is not known.
func Weight(operation string) int {
	if w, ok := weights[operation]; ok {
		return w
	}
	return 1
}

// weights are by operation id of the catalogue (policy/jira.yaml). How many
// objects an answer holds is known only once it is there, and the points are
// reserved before; so these are typical counts. Whether configuration (issue
// types, fields, priorities) counts as objects is not documented: it is counted
// here, for to count too much only leaves points unused. Objects inside other
// objects, such as a project's lead, are not counted.
var weights = map[string]int{
	"myself.get":     1 + 2*1, // one user
	"project.list":   1 + 25,  // a page holds up to 50 projects; most sites have fewer
	"project.get":    1 + 1,   // one project
	"issuetype.list": 1 + 1,   // the same endpoint, expanded
	// One project, filtered as integrations do it, with its five or so issue types.
	"field.list":     1 + 1 + 5,
	"component.list": 1 + 10,   // unpaged; most projects have few components or none
	"user.picker":    1 + 2*10, // a page holds up to 50 users; the text typed leaves few
	// The same page, but often asked without text, to fill a list.
	"user.assignable":       1 + 2*20,
	"priority.list":         1 + 5, // Jira comes with five
	"issue.create":          1,     // writes cost no more
	"issue.delete":          1,
	"createmeta.issuetypes": 1 + 5,  // as in field.list
	"createmeta.fields":     1 + 20, // the fields of an ordinary create screen
}

// heaviest is the highest weight of all.
func heaviest() int {
	most := 1
	for _, w := range weights {
		most = max(most, w)
	}
	return most
}
