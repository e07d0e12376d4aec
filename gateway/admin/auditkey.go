package admin

import "net/http"

// Signer is what the API needs of the audit key.
type Signer interface {
	// Sign makes a signed note of text.
	Sign(text []byte) ([]byte, error)
	// Verifier is the public key in the form of signed notes.
	Verifier() string
	// PublicPEM is the public key for OpenSSL.
	PublicPEM() []byte
}

// AuditKey is the public half of the key that signs what the gateway publishes.
type AuditKey struct {
	Verifier string `json:"verifier"` // as C2SP's signed-note has it
	PEM      string `json:"pem"`      // SubjectPublicKeyInfo
}

func (a *API) showAuditKey(w http.ResponseWriter, _ *http.Request) error {
	if a.o.AuditKey.Open == nil {
		return refuse(http.StatusServiceUnavailable, CodeUnavailable, "there is no audit key here")
	}
	key, err := a.o.AuditKey.Open()
	if err != nil {
		return err
	}
	return writeJSON(w, http.StatusOK, AuditKey{Verifier: key.Verifier(), PEM: string(key.PublicPEM())})
}
