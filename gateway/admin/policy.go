package admin

import (
	"encoding/json"
	"net/http"
)

// PolicyView is the policy that is in force: the catalogue with the operator's
// narrowing, and what identifies both in call records.
type PolicyView struct {
	Version string `json:"version"`
	SHA256  string `json:"sha256"`
	// Operations are as policy.Operation writes itself, in catalogue order.
	Operations []json.RawMessage `json:"operations"`
}

// ExplainRequest asks what would be decided about a call. Nothing is sent.
type ExplainRequest struct {
	Method     string `json:"method"`
	URL        string `json:"url"`
	Connection string `json:"connection,omitempty"` // empty: found by the URL
	Client     string `json:"client,omitempty"`     // empty: the operator, who may use each connection
}

// Explanation is the decision about an [ExplainRequest].
type Explanation struct {
	Decision     string   `json:"decision"` // "allow" or "deny"
	Code         string   `json:"code"`     // why it is denied; empty if it is allowed
	Operation    string   `json:"operation"`
	Connection   string   `json:"connection"`
	Edition      string   `json:"edition"`
	Detail       string   `json:"detail"`
	Sent         string   `json:"sent,omitempty"`     // the URL that would be called upstream
	Reported     []string `json:"reported,omitempty"` // codes of rules in report mode
	PolicySHA256 string   `json:"policy_sha256"`
}

func (a *API) showPolicy(w http.ResponseWriter, _ *http.Request) error {
	p := a.o.Policy()
	operations, err := operationsOf(p)
	if err != nil {
		return err
	}
	return writeJSON(w, http.StatusOK, PolicyView{Version: p.Version(), SHA256: p.SHA256(), Operations: operations})
}

func (a *API) explain(w http.ResponseWriter, r *http.Request) error {
	var q ExplainRequest
	if err := decode(w, r, &q); err != nil {
		return err
	}
	answer, err := a.o.Explain(q)
	if err != nil {
		return err
	}
	return writeJSON(w, http.StatusOK, answer)
}
