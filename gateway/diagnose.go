package gateway

import (
	"net/http"

	"jiragate/gateway/diagnosis"
)

// diagnose notes what Jira's refusal is about, where neither credential nor token
// has told already. The answer itself is passed on as it is.
func (c *Call) diagnose(a *answer) {
	if c.noted == "" {
		c.noted = Code(c.reason(a))
	}
}

func (c *Call) reason(a *answer) diagnosis.Reason {
	if a.response.StatusCode < http.StatusBadRequest {
		return ""
	}
	return diagnosis.Of(diagnosis.Edition(c.connection.Edition), a.response.StatusCode, a.response.Header, a.first)
}
