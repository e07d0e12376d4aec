package gateway

import (
	"net/url"

	"jiragate/policy"
	"jiragate/tokenstore"
)

// Question is a call that is not sent: what would be decided about it?
type Question struct {
	Method string
	// URL is the absolute URL as a client would name it.
	URL string
	// Client is the name of the client that calls; empty for the operator,
	// who may use every connection.
	Client string
	// Connection is the connection that the client chooses; empty for none.
	Connection string
	// Delete is the rule in force; empty means published.
	Delete DeleteRule
}

// Explanation is the decision about a Question, and why.
type Explanation struct {
	Decision     string   `json:"decision"` // "allow" or "deny"
	Code         Code     `json:"code"`     // empty when allowed
	Operation    string   `json:"operation"`
	Connection   string   `json:"connection,omitempty"`
	Edition      string   `json:"edition,omitempty"`
	Detail       string   `json:"detail,omitempty"`
	Sent         string   `json:"sent,omitempty"`     // the URL that would be called upstream
	Reported     []string `json:"reported,omitempty"` // codes of rules in report mode
	PolicySHA256 string   `json:"policy_sha256"`
}

// Explain tells what the gateway would decide about q, by the code that
// decides calls. The body of a POST is looked at only when a call is made, and
// so is whether an issue was published; the detail says so.
func Explain(dir *tokenstore.Directory, p *policy.Policy, region tokenstore.Region, apiURL string, q Question) (Explanation, error) {
	e := Explanation{Decision: decisionDeny, PolicySHA256: p.SHA256()}
	api, err := url.Parse(apiURL)
	if err != nil {
		return e, err
	}
	s, _ := newResolver(dir, region, api) // what cannot be read is out of reach
	deny := func(r *refusal) (Explanation, error) {
		e.Code, e.Detail = r.code, r.detail
		return e, nil
	}
	var client *tokenstore.Client
	if q.Client != "" {
		var ok bool
		if client, ok = dir.Client(q.Client); !ok {
			return deny(refuse(CodeClientUnidentified, "There is no client of this name."))
		}
	}
	t, refused := splitAbsolute(q.URL)
	if refused != nil {
		return deny(refused)
	}
	c, rest, refused := s.resolve(client, q.Connection, t)
	if c != nil {
		e.Connection, e.Edition = c.ID, string(c.Edition)
	}
	if refused != nil {
		return deny(refused)
	}
	d := p.Decide(policy.Request{Edition: c.Edition, Method: q.Method, Path: rest, RawQuery: t.rawQuery, Client: q.Client, Connection: c.ID})
	if d.Operation != nil {
		e.Operation = d.Operation.ID
	}
	for _, code := range d.Reported {
		e.Reported = append(e.Reported, string(code))
	}
	if !d.Allowed() {
		return deny(policyRefusal(&d))
	}
	if refused := scoped(c, d.Operation); refused != nil {
		return deny(refused)
	}
	if e.Operation == operationDelete {
		switch q.Delete {
		case DeleteNone:
			return deny(deletingIsOff())
		case DeletePublished, "":
			e.Detail = "Only an issue that this connection created through the gateway."
		}
	}
	scheme, host, base := s.upstream(c)
	e.Decision = decisionAllow
	e.Sent = (&url.URL{Scheme: scheme, Host: host, Path: base + d.Path(), RawQuery: d.RawQuery()}).String()
	return e, nil
}
