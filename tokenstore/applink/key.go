package applink

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"strings"

	"jiragate/tokenstore/secret"
)

// The sizes of keys, in bits. Below the least, RSA is not safe any more (NIST SP
// 800-131A); above the most, a call takes too long to sign. New keys are of the
// least size, for each call is signed: one of 3072 bits takes over twice as long.
const (
	minKeyBits = 2048
	maxKeyBits = 8192
	newKeyBits = 2048
)

// ErrKey is what every error about a private key is, by [errors.Is].
var ErrKey = errors.New("the private key of the application link can't be used")

// Consumer is the gateway's side of an application link: what Jira's administrator
// enters under "incoming authentication".
type Consumer struct {
	Key        string        // the consumer key, a name for the gateway
	PrivateKey secret.Secret // RSA, PEM: PKCS#8 ("PRIVATE KEY") or PKCS#1 ("RSA PRIVATE KEY")
}

// NewKey makes a private key of 2048 bits, in PKCS#8, PEM.
func NewKey() (secret.Secret, error) {
	key, err := rsa.GenerateKey(rand.Reader, newKeyBits)
	if err != nil {
		return secret.Secret{}, fmt.Errorf("make a private key: %w", err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return secret.Secret{}, errors.New("encode the new private key")
	}
	return secret.New(string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))), nil
}

// PublicKey returns the public half of a private key as PEM (PKIX, "PUBLIC KEY"),
// which is what Jira's administrator pastes. The error is [ErrKey].
func PublicKey(private secret.Secret) (string, error) {
	key, err := parseKey(private)
	if err != nil {
		return "", err
	}
	der, err := x509.MarshalPKIXPublicKey(&key.PublicKey)
	if err != nil {
		return "", fmt.Errorf("%w: its public half can't be encoded", ErrKey)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})), nil
}

// CheckKey reports whether a private key can be used: one RSA key of 2048 to 8192
// bits in PEM, PKCS#8 or PKCS#1, not encrypted. The error is [ErrKey].
func CheckKey(private secret.Secret) error {
	_, err := parseKey(private)
	return err
}

// parseKey's errors quote nothing, for what is no key may still be a secret.
func parseKey(private secret.Secret) (*rsa.PrivateKey, error) {
	block, rest := pem.Decode([]byte(private.Reveal()))
	switch {
	case block == nil:
		return nil, fmt.Errorf("%w: it is not in PEM", ErrKey)
	case strings.TrimSpace(string(rest)) != "":
		return nil, fmt.Errorf("%w: there is something after its PEM block", ErrKey)
	case block.Headers["DEK-Info"] != "", block.Type == "ENCRYPTED PRIVATE KEY":
		return nil, fmt.Errorf("%w: it is encrypted: give it without a passphrase", ErrKey)
	}
	var parsed any
	var err error
	switch block.Type {
	case "PRIVATE KEY":
		parsed, err = x509.ParsePKCS8PrivateKey(block.Bytes)
	case "RSA PRIVATE KEY":
		parsed, err = x509.ParsePKCS1PrivateKey(block.Bytes)
	default:
		return nil, fmt.Errorf("%w: its PEM block is neither PRIVATE KEY nor RSA PRIVATE KEY", ErrKey)
	}
	if err != nil {
		return nil, fmt.Errorf("%w: it is damaged, or not what its PEM block says", ErrKey)
	}
	key, ok := parsed.(*rsa.PrivateKey)
	if !ok {
		return nil, fmt.Errorf("%w: it is not RSA, the only kind that Jira takes", ErrKey)
	}
	if bits := key.N.BitLen(); bits < minKeyBits || bits > maxKeyBits {
		return nil, fmt.Errorf("%w: it has %d bits: use %d to %d", ErrKey, bits, minKeyBits, maxKeyBits)
	}
	return key, nil
}
