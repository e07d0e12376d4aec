package policy

import (
	"encoding/json"
	"slices"
)

// Operation is one documented thing that may be done in one edition: a row of
// the table that customers read. Its fields are for reading only.
type Operation struct {
	ID          string // e.g. "project.get"; the same in both editions
	Edition     Edition
	Purpose     string // in the words of the customers' security document
	Method      string // "GET", "POST" or "DELETE"
	Path        string // template below the connection's base, e.g. "/rest/api/3/project/{projectIdOrKey}"
	When        string // "expand=issueTypes": only meant when the query contains this; or empty
	Query       []QueryParameter
	Body        BodyRule
	Projects    ProjectSource
	Scope       string // OAuth 2.0 scope it needs; empty for Data Center and Server
	SuccessorOf string // id of the deprecated operation it succeeds; or empty
	Enabled     bool   // false: a successor not switched on, or switched off for every call
}

// QueryParameter is a query parameter that an operation may be sent.
type QueryParameter struct {
	Name       string        `json:"name"`
	Type       ParameterType `json:"type"`
	Values     []string      `json:"values,omitempty"` // of a choice or a list
	Repeatable bool          `json:"repeatable,omitempty"`

	names reference // what a value names, for project limits
}

// ParameterType says which values a query parameter takes.
type ParameterType string

// The types of query parameters.
const (
	TypeText    ParameterType = "text"    // any text
	TypeInteger ParameterType = "integer" // decimal, optionally negative
	TypeBoolean ParameterType = "boolean" // true or false, in any case
	TypeChoice  ParameterType = "choice"  // one of Values
	TypeList    ParameterType = "list"    // some of Values, comma-separated or repeated
)

// BodyRule says what becomes of a request body.
type BodyRule string

// The body rules.
const (
	BodyDropped BodyRule = "dropped" // none is forwarded, whatever the client sends
	BodyIssue   BodyRule = "issue"   // required: a JSON object with "fields"
)

// ProjectSource says where a call of an operation names the projects it is
// about, which is what a project limit looks at.
type ProjectSource string

// The places where a call can name its projects.
const (
	ProjectsNone  ProjectSource = "none"  // it is about no project; limits leave it alone
	ProjectsPath  ProjectSource = "path"  // a project or an issue in the path
	ProjectsQuery ProjectSource = "query" // parameters of the query
	ProjectsBody  ProjectSource = "body"  // fields.project of the body
	ProjectsAll   ProjectSource = "all"   // it lists all projects; limits refuse it
)

// reference is what the value of a parameter names.
type reference string

const (
	referenceNone    reference = ""
	referenceProject reference = "project"
	referenceIssue   reference = "issue"
)

// MarshalJSON writes the operation as `policy list` and `policy export` show
// it: "query" holds the names alone, "parameters" the details.
func (o Operation) MarshalJSON() ([]byte, error) {
	parameters := o.Query
	if parameters == nil {
		parameters = []QueryParameter{}
	}
	return json.Marshal(struct {
		ID          string           `json:"id"`
		Edition     Edition          `json:"edition"`
		Purpose     string           `json:"purpose"`
		Method      string           `json:"method"`
		Path        string           `json:"path"`
		When        string           `json:"when,omitempty"`
		Query       []string         `json:"query"`
		Parameters  []QueryParameter `json:"parameters"`
		Body        BodyRule         `json:"body"`
		Projects    ProjectSource    `json:"projects"`
		Scope       string           `json:"scope"`
		SuccessorOf string           `json:"successor_of,omitempty"`
		Enabled     bool             `json:"enabled"`
	}{o.ID, o.Edition, o.Purpose, o.Method, o.Path, o.When, o.QueryNames(), parameters, o.Body, o.Projects, o.Scope, o.SuccessorOf, o.Enabled})
}

// QueryNames lists the names of the query parameters, in catalogue order;
// empty, not nil, where there are none.
func (o *Operation) QueryNames() []string {
	names := make([]string, len(o.Query))
	for i, q := range o.Query {
		names[i] = q.Name
	}
	return names
}

// parameter returns the query parameter of that name, or nil.
func (o *Operation) parameter(name string) *QueryParameter {
	if i := o.parameterIndex(name); i >= 0 {
		return &o.Query[i]
	}
	return nil
}

// parameterIndex returns the place of the query parameter of that name, or -1.
func (o *Operation) parameterIndex(name string) int {
	for i := range o.Query {
		if o.Query[i].Name == name {
			return i
		}
	}
	return -1
}

// clone returns a copy that shares nothing with o.
func (o *Operation) clone() Operation {
	c := *o
	c.Query = slices.Clone(o.Query)
	for i := range c.Query {
		c.Query[i].Values = slices.Clone(c.Query[i].Values)
	}
	return c
}
