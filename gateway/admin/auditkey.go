package admin

import (
	"errors"
	"net/http"

	"jiragate/gateway/audit/signer"
)

// Signer is what the API needs of the audit key.
type Signer interface {
	// Sign makes a signed note of text.
	Sign(text []byte) ([]byte, error)
	// Verifier is the public key in the form of signed notes.
	Verifier() string
	// Verifiers are those of all keys, the newest last.
	Verifiers() []string
	// PublicPEM is the public key for OpenSSL.
	PublicPEM() []byte
	// Rotate makes a new key, which signs from now on.
	Rotate() (verifier string, err error)
}

// AuditKey is the public half of the key that signs checkpoints and publications.
type AuditKey struct {
	Verifier  string   `json:"verifier"`  // as C2SP's signed-note has it
	Verifiers []string `json:"verifiers"` // of all keys, that which signs last
	PEM       string   `json:"pem"`       // SubjectPublicKeyInfo of that which signs
}

func (a *API) showAuditKey(w http.ResponseWriter, _ *http.Request) error {
	key, err := a.openAuditKey()
	if err != nil {
		return err
	}
	return writeJSON(w, http.StatusOK, publicHalf(key))
}

func (a *API) openAuditKey() (Signer, error) {
	if a.o.AuditKey.Open == nil {
		return nil, refuse(http.StatusServiceUnavailable, CodeUnavailable, "there is no audit key here")
	}
	return a.o.AuditKey.Open()
}

func publicHalf(key Signer) AuditKey {
	return AuditKey{Verifier: key.Verifier(), Verifiers: key.Verifiers(), PEM: string(key.PublicPEM())}
}

// rotateAuditKey makes a new audit key, which the one before endorses. The log's next
// checkpoint is signed with it: the record of this act brings it about.
func (a *API) rotateAuditKey(_ http.ResponseWriter, _ *http.Request, t *task) (answer, error) {
	key, err := a.openAuditKey()
	if err != nil {
		return answer{}, err
	}
	ctx, err := t.begin()
	if err != nil {
		return answer{}, err
	}
	verifier, err := key.Rotate()
	if errors.Is(err, signer.ErrFull) || errors.Is(err, signer.ErrChanged) {
		return answer{}, refuse(http.StatusConflict, CodeConflict, "%v", err)
	}
	if err != nil {
		return answer{}, err
	}
	a.o.Logger.InfoContext(ctx, "audit key rotated", "verifier", verifier)
	return answer{status: http.StatusOK, body: publicHalf(key)}, nil
}
