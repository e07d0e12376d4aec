package notify

import (
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"jiragate/tokenstore/secret"
)

// Standard Webhooks, "Signature scheme": a symmetric secret has 24 to 64 bytes.
const (
	secretPrefix = "whsec_"
	minSecret    = 24
	maxSecret    = 64
	newSecret    = 32

	// maxSecrets sign at a time: the present one, and the one before it or after.
	maxSecrets = 2
)

// NewSecret makes a signing secret, in the form that the receiver's library takes.
func NewSecret() secret.Secret {
	var b [newSecret]byte
	_, _ = rand.Read(b[:]) // never fails, see its documentation
	return secret.New(secretPrefix + base64.StdEncoding.EncodeToString(b[:]))
}

// CheckSecret reports what keeps s from signing webhooks. It must be "whsec_" and
// the base64 of 24 to 64 random bytes; or two of these, separated by white space,
// while one takes over from the other: then both sign each message, and the
// receiver accepts either. White space around them, such as the line break at the
// end of a file, does no harm. The error quotes nothing.
func CheckSecret(s secret.Secret) error {
	secrets := strings.Fields(s.Reveal())
	switch {
	case len(secrets) == 0:
		return errors.New("the webhook secret is empty")
	case len(secrets) > maxSecrets:
		return fmt.Errorf("there are more than %d webhook secrets: leave the present one, and while the receiver changes over the one before it", maxSecrets)
	}
	for _, one := range secrets {
		encoded, ok := strings.CutPrefix(one, secretPrefix)
		if !ok {
			return fmt.Errorf("a webhook secret doesn't begin with %s", secretPrefix)
		}
		key, err := base64.StdEncoding.DecodeString(encoded)
		if err != nil {
			return fmt.Errorf("a webhook secret is not %s and base64 with padding (RFC 4648 section 4)", secretPrefix)
		}
		if len(key) < minSecret || len(key) > maxSecret {
			return fmt.Errorf("a webhook secret has %d bytes: use %d to %d random ones", len(key), minSecret, maxSecret)
		}
	}
	return nil
}

// sign returns the webhook-signature: one signature by each secret, separated by
// spaces.
func sign(s secret.Secret, id string, at time.Time, body []byte) (string, error) {
	var signatures []string
	for _, one := range strings.Fields(s.Reveal()) {
		signer, err := standardwebhooks.NewWebhook(one)
		if err != nil {
			return "", errors.New("read the webhook secret")
		}
		signature, err := signer.Sign(id, at, body)
		if err != nil {
			return "", fmt.Errorf("sign the webhook %s: %w", id, err)
		}
		signatures = append(signatures, signature)
	}
	return strings.Join(signatures, " "), nil
}
