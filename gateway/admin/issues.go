package admin

import (
	"net/http"
	"time"

	"jiragate/tokenstore"
)

// ImportIssues asks to remember issues that were published before there was a
// gateway, so that they can be deleted through it; at most tokenstore.MaxImport.
type ImportIssues struct {
	Issues []ImportedIssue `json:"issues"`
}

// ImportedIssue is one of them. Either the id or the key may be missing, and the
// time: then it is that of the import.
type ImportedIssue struct {
	ID        string    `json:"id,omitempty"`
	Key       string    `json:"key,omitempty"`
	CreatedAt time.Time `json:"created_at,omitzero"`
}

// IssuesImported says how many of them were new.
type IssuesImported struct {
	Added int `json:"added"`
}

func (a *API) importIssues(w http.ResponseWriter, r *http.Request, t *task) (answer, error) {
	c, err := a.connection(r)
	if err != nil {
		return answer{}, err
	}
	t.about(c)
	var body ImportIssues
	if err := decode(w, r, &body); err != nil {
		return answer{}, err
	}
	if n := len(body.Issues); n == 0 || n > tokenstore.MaxImport {
		return answer{}, invalid("there are %d issues: send 1 to %d at a time", n, tokenstore.MaxImport)
	}
	issues := make([]tokenstore.PublishedIssue, len(body.Issues))
	for i, issue := range body.Issues {
		issues[i] = tokenstore.PublishedIssue{Connection: c.ID, ID: issue.ID, Key: issue.Key, CreatedAt: issue.CreatedAt}
	}
	ctx, err := t.begin()
	if err != nil {
		return answer{}, err
	}
	added, err := a.o.Store.ImportIssues(ctx, c.ID, issues)
	if err != nil {
		return answer{}, err
	}
	a.o.Logger.InfoContext(ctx, "issues imported", "connection", c.ID, "sent", len(issues), "added", added)
	return answer{status: http.StatusOK, body: IssuesImported{added}}, nil
}
