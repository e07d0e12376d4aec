package gateway

import (
	"net/http"

	"jiragate/gateway/diagnosis"
)

// diagnose notes what Jira's refusal is about, where neither credential nor token
// has told already. The answer itself is passed on as it is.
func (g *Gateway) diagnose(c *Call, a *answer) {
	if c.noted == "" {
		c.noted = Code(c.reason(a))
	}
	if c.noted != CodeIPRefused && c.noted != CodeFirewallRefused {
		return
	}
	if seen, ok := diagnosis.SeenAddress(a.first); ok && seen.String() != c.record.EgressIP {
		g.log.WarnContext(c.context(), "a customer's firewall says that the call came from another address than the egress address: jiragate egress verify",
			"connection", c.connection.ID, "egress_ip", c.record.EgressIP, "seen", seen.String(), "record", c.record.ID,
			"hint", "compare with jiragate egress verify; publish the address that is seen, or mend the route or the provider's proxy")
	}
}

func (c *Call) reason(a *answer) diagnosis.Reason {
	if a.response.StatusCode < http.StatusBadRequest {
		return ""
	}
	return diagnosis.Of(diagnosis.Edition(c.connection.Edition), a.response.StatusCode, a.response.Header, a.first)
}
