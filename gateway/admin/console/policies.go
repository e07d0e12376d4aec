package console

import (
	"errors"
	"net/http"
	"net/url"
	"strings"

	"jiragate/gateway/admin"
)

// policyPage is a policy as a table of what may be called.
type policyPage struct {
	Version    string
	SHA256     string
	Operations []policyOperation
	Rules      string // the operator's; empty means none
	Verified   bool
	Problem    string // why what is kept can't be had, or compiled; or empty

	InForce bool                 `json:"-"`
	Asked   admin.ExplainRequest `json:"-"` // of the form that asks what would be decided
	Answer  *admin.Explanation   `json:"-"`
	Refused *admin.Problem       `json:"-"` // why there is no answer
	Unread  *admin.Problem       `json:"-"` // why the rules can't be shown
}

// policyOperation is an operation as the API has it.
type policyOperation struct {
	ID, Edition, Purpose, Method, Path string
	When                               string // the query that tells it from others of its path; or empty
	Query                              []string
	Scope                              string
	Enabled                            *bool
}

// Call is the path of the operation, with the query that it is known by, cut where a
// line may break.
func (o policyOperation) Call() []string {
	list := strings.SplitAfter(o.Path, "/")
	if o.When != "" {
		list = append(list, "?"+o.When)
	}
	return list
}

// Off reports whether the operation is switched off.
func (o policyOperation) Off() bool { return o.Enabled != nil && !*o.Enabled }

func policyInForce(v *visit) error { return v.policy(policyPage{}, http.StatusOK) }

func (v *visit) policy(p policyPage, status int) error {
	p.InForce, p.Verified = true, true
	if err := v.get(at("policy"), &p); err != nil {
		return err
	}
	// What is in force is kept, too, with the rules as they were written.
	var kept struct{ Rules string }
	if err := v.get(at("policy", "history", p.SHA256), &kept); err != nil && !errors.As(err, &p.Unread) {
		return err
	}
	p.Rules = kept.Rules
	return v.show(status, "policy", view{Title: "Policy in force", Section: "policy", Data: p})
}

// explain tells what would be decided about a call. It is asked by an address, since
// nothing is changed or sent by it.
func explain(v *visit) error {
	q := v.r.URL.Query()
	p := policyPage{Asked: admin.ExplainRequest{Method: strings.ToUpper(strings.TrimSpace(q.Get("method"))), URL: strings.TrimSpace(q.Get("url")),
		Connection: strings.TrimSpace(q.Get("connection")), Client: strings.TrimSpace(q.Get("client"))}}
	var answer admin.Explanation
	if _, err := v.ask(http.MethodPost, at("policy", "explain"), p.Asked, &answer); err != nil {
		problem, ok := err.(*admin.Problem)
		if !ok || problem.Status >= 500 {
			return err
		}
		p.Refused = problem
		return v.policy(p, problem.Status)
	}
	p.Answer = &answer
	return v.policy(p, http.StatusOK)
}

// historyPage lists the policies that were kept.
type historyPage struct {
	Policies []admin.KeptPolicy
	Current  string
}

func policyHistory(v *visit) error {
	var p historyPage
	var current struct{ SHA256 string }
	if err := v.get(at("policy"), &current); err != nil {
		return err
	}
	if err := v.get(at("policy", "history"), &p.Policies); err != nil {
		return err
	}
	p.Current = current.SHA256
	return v.show(http.StatusOK, "history", view{Title: "Policies that decided", Section: "policy", Data: p})
}

func policyKept(v *visit) error {
	var p policyPage
	if err := v.get(at("policy", "history", v.r.PathValue("sha256")), &p); err != nil {
		return err
	}
	return v.show(http.StatusOK, "policy", view{Title: "Policy " + firstDigits(p.SHA256), Section: "policy", Data: p})
}

func firstDigits(hash string) string {
	if len(hash) > 12 {
		return hash[:12]
	}
	return hash
}

func policyDiff(v *visit) error {
	q := v.r.URL.Query()
	asked := url.Values{"from": {q.Get("from")}, "to": {q.Get("to")}}
	var d admin.PolicyDiff
	if err := v.get(at("policy", "diff")+"?"+asked.Encode(), &d); err != nil {
		return err
	}
	return v.show(http.StatusOK, "diff", view{Title: "What changed", Section: "policy", Data: d})
}
