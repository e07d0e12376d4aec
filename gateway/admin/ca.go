package admin

import (
	"errors"
	"io/fs"
	"net/http"

	"jiragate/certs"
)

// CA is the gateway's certificate authority, as far as the API tells of it and changes
// it. All functions go with Keys. Where there is no root yet, they fail with
// fs.ErrNotExist.
type CA struct {
	// Roots are those that clients are to trust.
	Roots func() (CARoots, error)
	// Prepare makes the next root, or leaves the one that is prepared.
	Prepare func() (CARoots, error)
	// Rotate has the next root sign from now on; with atOnce, one that is made
	// now. MayRotate returns what it, or with atOnce Prepare, would be refused with.
	Rotate    func(atOnce bool) (CARoots, error)
	MayRotate func(atOnce bool) error
	// Reseal seals the keys of the roots under the primary key, if they aren't, and
	// SealedUnder tells under which they are.
	Reseal      func() (changed bool, err error)
	SealedUnder func() (ids []uint32, err error)
}

func (c *CA) complete() bool {
	return c.Roots != nil && c.Prepare != nil && c.Rotate != nil && c.MayRotate != nil && c.Reseal != nil && c.SealedUnder != nil
}

// CARoots are the roots that clients are to trust.
type CARoots struct {
	Present CARoot  `json:"present"`        // it signs
	Next    *CARoot `json:"next,omitempty"` // it is prepared, and signs nothing yet
}

// CARoot is a root certificate.
type CARoot struct {
	Subject     string `json:"subject"`
	NotBefore   string `json:"not_before"` // as RFC 3339 has it
	NotAfter    string `json:"not_after"`
	Fingerprint string `json:"sha256_fingerprint"` // upper-case hex with colons
	PEM         string `json:"pem"`
}

// CARotation asks for another root.
type CARotation struct {
	// AtOnce: a root is made and used that was not prepared, although no client trusts it.
	AtOnce bool `json:"at_once,omitempty"`
}

func (a *API) showCA(w http.ResponseWriter, _ *http.Request) error {
	roots, err := a.o.CA.Roots()
	if err != nil {
		return a.caProblem(err)
	}
	return writeJSON(w, http.StatusOK, roots)
}

// prepareCA makes a root that signs nothing before a rotation.
func (a *API) prepareCA(_ http.ResponseWriter, _ *http.Request, t *task) (answer, error) {
	if a.o.Keys == nil {
		return answer{}, noKeys()
	}
	if err := a.o.CA.MayRotate(true); err != nil {
		return answer{}, a.caProblem(err)
	}
	ctx, err := t.begin()
	if err != nil {
		return answer{}, err
	}
	roots, err := a.o.CA.Prepare()
	if err != nil {
		return answer{}, a.caProblem(err)
	}
	a.o.Logger.InfoContext(ctx, "root prepared", "sha256", roots.Next.Fingerprint, "not_after", roots.Next.NotAfter)
	return answer{status: http.StatusOK, body: roots}, nil
}

// rotateCA has the root sign that is prepared.
func (a *API) rotateCA(w http.ResponseWriter, r *http.Request, t *task) (answer, error) {
	if a.o.Keys == nil {
		return answer{}, noKeys()
	}
	var body CARotation
	if err := decodeOptional(w, r, &body); err != nil {
		return answer{}, err
	}
	if err := a.o.CA.MayRotate(body.AtOnce); err != nil {
		return answer{}, a.caProblem(err)
	}
	ctx, err := t.begin()
	if err != nil {
		return answer{}, err
	}
	roots, err := a.o.CA.Rotate(body.AtOnce)
	if err != nil {
		if errors.Is(err, certs.ErrUnfinished) {
			a.o.Logger.ErrorContext(ctx, "root rotated, and something is left to do", "error", err, "hint", "mend what it says, and then jiragate reload")
		}
		return answer{}, a.caProblem(err)
	}
	a.o.Logger.InfoContext(ctx, "root rotated", "sha256", roots.Present.Fingerprint, "not_after", roots.Present.NotAfter)
	return answer{status: http.StatusOK, body: roots}, nil
}

func (a *API) caProblem(err error) error {
	status, code, hint := http.StatusConflict, CodeConflict, ""
	switch {
	case errors.Is(err, certs.ErrNotPrepared) && a.o.SharedStore:
		hint = "if another gateway has prepared one, copy its ca-next-key.pem here, and if it has rotated, its ca-key.pem and ca.pem; then jiragate reload. Otherwise jiragate ca rotate --prepare on one gateway alone. With --at-once where clients may lose their trust, as when the key was stolen"
	case errors.Is(err, certs.ErrNotPrepared):
		hint = "jiragate ca rotate --prepare, and give ca.pem to every client; then rotate. With --at-once where clients may lose their trust, as when the key was stolen"
	case errors.Is(err, certs.ErrBrought):
		hint = "make the next one as this one was made, give it to every client beside this one, and then jiragate ca init --replace --cert-file FILE --key-file FILE"
	case errors.Is(err, certs.ErrFilesDisagree), errors.Is(err, certs.ErrWrongSealer): // they say what to do
	case errors.Is(err, fs.ErrNotExist):
		hint = "jiragate ca init makes a root, and so does jiragate serve"
	case errors.Is(err, certs.ErrUnfinished):
		status, code, hint = http.StatusInternalServerError, CodeInternal, "mend what it says, and then jiragate reload"
	default:
		return err
	}
	p := refuse(status, code, "%v", err)
	p.Hint = hint
	return p
}
