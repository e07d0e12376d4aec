package admin

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"jiragate/policy"
	"jiragate/policy/history"
)

// currentPolicy names the policy in force where the API takes the hash of one.
const currentPolicy = "current"

// KeptPolicy is a policy that has decided, as it is kept.
type KeptPolicy struct {
	SHA256  string `json:"sha256"`
	Version string `json:"version"` // of its catalogue; empty where that can't be read
	// Kept is when the file was made, by its own account. Records of the operation
	// admin.policy.load tell when the policy was in force.
	Kept     time.Time `json:"kept"`
	Verified bool      `json:"verified"` // what is kept has this SHA-256
	Problem  string    `json:"problem"`  // why it can't be had, or compiled; or empty
	Current  bool      `json:"current,omitempty"`
}

// KeptPolicyOf is an entry of the history as the API shows it.
func KeptPolicyOf(e history.Entry) KeptPolicy {
	kept := KeptPolicy{SHA256: e.SHA256, Version: e.Version, Kept: e.Made.UTC(), Verified: e.Verified}
	if e.Err != nil {
		kept.Problem = e.Err.Error()
	}
	return kept
}

// KeptPolicyView is a policy that has decided, with what it meant.
type KeptPolicyView struct {
	KeptPolicy
	// Rules is the text of the operator's rules as it was; empty means that there were
	// none.
	Rules string `json:"rules"`
	// Operations are those of the policy as this program compiles it, as in
	// [PolicyView]; none if it can't.
	Operations []json.RawMessage `json:"operations"`
}

func (a *API) history() (*history.History, error) {
	if a.o.Policies == nil {
		return nil, refuse(http.StatusServiceUnavailable, CodeUnavailable, "no policies are kept here")
	}
	return a.o.Policies, nil
}

// listPolicies lists the policies that have decided, the newest first.
func (a *API) listPolicies(w http.ResponseWriter, _ *http.Request) error {
	kept, err := a.history()
	if err != nil {
		return err
	}
	entries, err := kept.List()
	if err != nil {
		return err
	}
	current := a.o.Policy().SHA256()
	list := make([]KeptPolicy, 0, len(entries))
	for _, e := range slices.Backward(entries) {
		shown := KeptPolicyOf(e)
		shown.Current = e.SHA256 == current
		list = append(list, shown)
	}
	return writeJSON(w, http.StatusOK, list)
}

// showKeptPolicy shows what is there, also of a policy that was altered or that this
// program can't compile: its problem says so.
func (a *API) showKeptPolicy(w http.ResponseWriter, r *http.Request) error {
	kept, err := a.history()
	if err != nil {
		return err
	}
	entry, err := kept.Entry(r.PathValue("sha256"))
	if err != nil {
		return historyProblem(err)
	}
	view := KeptPolicyView{KeptPolicy: KeptPolicyOf(entry), Operations: []json.RawMessage{}}
	view.Current = entry.SHA256 == a.o.Policy().SHA256()
	if !entry.Verified {
		return writeJSON(w, http.StatusOK, view)
	}
	archive, err := kept.Bytes(entry.SHA256)
	if err != nil {
		return historyProblem(err)
	}
	_, rules, err := policy.ArchiveTexts(archive)
	if err != nil {
		return writeJSON(w, http.StatusOK, view)
	}
	view.Rules = strings.ToValidUTF8(string(rules), "\ufffd")
	if p, err := policy.FromArchive(archive); err == nil {
		if view.Operations, err = operationsOf(p); err != nil {
			return err
		}
	}
	return writeJSON(w, http.StatusOK, view)
}

// PolicyDiff says what changed from one policy to another, in what they mean.
type PolicyDiff struct {
	From    PolicyName      `json:"from"`
	To      PolicyName      `json:"to"`
	Effect  policy.Effect   `json:"effect"`  // of all changes together
	Summary string          `json:"summary"` // a sentence without a full stop
	Changes []policy.Change `json:"changes"`
}

// DiffPolicies compares two policies.
func DiffPolicies(from, to *policy.Policy) PolicyDiff {
	changes := policy.Diff(from, to)
	d := PolicyDiff{
		From:    PolicyName{from.SHA256(), from.Version()},
		To:      PolicyName{to.SHA256(), to.Version()},
		Effect:  policy.TotalEffect(changes),
		Changes: append([]policy.Change{}, changes...),
	}
	switch {
	case d.From.SHA256 == d.To.SHA256:
		d.Summary = "the two are one policy"
	case len(changes) == 0:
		d.Summary = "the texts differ, and mean the same"
	case d.Effect == policy.EffectNone:
		d.Summary = "the same calls are allowed"
	case d.Effect == policy.EffectLess:
		d.Summary = "calls may be refused that were allowed before, and none is allowed that was refused"
	case d.Effect == policy.EffectMore:
		d.Summary = "calls may be allowed that were refused before, and none is refused that was allowed"
	default:
		d.Summary = "calls may be allowed that were refused before, and others refused that were allowed"
	}
	return d
}

func (a *API) diffPolicies(w http.ResponseWriter, r *http.Request) error {
	p := paramsOf(r, "from", "to")
	sides := [2]string{p.text("from"), p.text("to")}
	if slices.Contains(sides[:], "") {
		p.fail("from and to are needed: each the SHA-256 of a policy, the first %d or more digits of it, or %q", history.MinPrefix, currentPolicy)
	}
	if p.err != nil {
		return p.err
	}
	var policies [2]*policy.Policy
	for i, name := range sides {
		var err error
		if policies[i], err = a.namedPolicy(name); err != nil {
			return err
		}
	}
	return writeJSON(w, http.StatusOK, DiffPolicies(policies[0], policies[1]))
}

// namedPolicy finds a policy by its hash, or the beginning of it, or the one in force.
func (a *API) namedPolicy(name string) (*policy.Policy, error) {
	if name == currentPolicy {
		return a.o.Policy(), nil
	}
	kept, err := a.history()
	if err != nil {
		return nil, err
	}
	p, err := kept.Get(name)
	if err != nil {
		return nil, historyProblem(err)
	}
	return p, nil
}

func historyProblem(err error) error {
	var uncompiled *policy.DocumentError
	switch {
	case errors.Is(err, history.ErrNotHash):
		return invalid("%v", err)
	case errors.Is(err, history.ErrNotKept):
		return refuse(http.StatusNotFound, CodeNotFound, "%v", err)
	case errors.Is(err, history.ErrAmbiguous), errors.Is(err, history.ErrAltered), errors.Is(err, policy.ErrArchive), errors.As(err, &uncompiled):
		return refuse(http.StatusConflict, CodeConflict, "%v", err)
	}
	return err
}

// operationsOf are the operations of a policy, as each writes itself.
func operationsOf(p *policy.Policy) ([]json.RawMessage, error) {
	list := []json.RawMessage{}
	for _, o := range p.Operations() {
		b, err := json.Marshal(o)
		if err != nil {
			return nil, fmt.Errorf("writing operation %s: %w", o.ID, err)
		}
		list = append(list, b)
	}
	return list, nil
}

// Code is a reason why calls are refused, or fail, as call records have it.
type Code struct {
	Code    string `json:"code"`
	Status  int    `json:"status"` // HTTP, the usual one; 0 where there is no answer
	Title   string `json:"title"`
	Meaning string `json:"meaning,omitempty"` // more about it
}

func (a *API) listCodes(w http.ResponseWriter, _ *http.Request) error {
	return writeJSON(w, http.StatusOK, append([]Code{}, a.o.Codes...))
}
