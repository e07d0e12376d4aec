package main

import (
	"context"
	"crypto"
	"crypto/ed25519"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"os"

	"github.com/secure-systems-lab/go-securesystemslib/dsse"
)

// payloadType of an in-toto statement in an envelope.
const payloadType = "application/vnd.in-toto+json"

// signingKey signs an envelope: it is a [dsse.Signer].
type signingKey ed25519.PrivateKey

func (k signingKey) Sign(_ context.Context, text []byte) ([]byte, error) {
	return ed25519.Sign(ed25519.PrivateKey(k), text), nil
}

func (k signingKey) KeyID() (string, error) { return keyID(ed25519.PrivateKey(k).Public()) }

// verifyingKey checks one: it is a [dsse.Verifier].
type verifyingKey ed25519.PublicKey

var errSignature = errors.New("the signature is not of this key")

func (k verifyingKey) Verify(_ context.Context, text, signature []byte) error {
	if !ed25519.Verify(ed25519.PublicKey(k), text, signature) {
		return errSignature
	}
	return nil
}

func (k verifyingKey) KeyID() (string, error)   { return keyID(k.Public()) }
func (k verifyingKey) Public() crypto.PublicKey { return ed25519.PublicKey(k) }

// keyID is the SHA-256 of the public key in DER, in hex.
func keyID(public crypto.PublicKey) (string, error) {
	der, err := x509.MarshalPKIXPublicKey(public)
	if err != nil {
		return "", err
	}
	sum := sha256.Sum256(der)
	return hex.EncodeToString(sum[:]), nil
}

// sign puts statement into an envelope (https://github.com/secure-systems-lab/dsse).
func sign(ctx context.Context, key signingKey, statement []byte) ([]byte, error) {
	signer, err := dsse.NewEnvelopeSigner(key)
	if err != nil {
		return nil, fmt.Errorf("sign the provenance: %w", err)
	}
	envelope, err := signer.SignPayload(ctx, payloadType, statement)
	if err != nil {
		return nil, fmt.Errorf("sign the provenance: %w", err)
	}
	text, err := json.MarshalIndent(envelope, "", "  ")
	if err != nil {
		return nil, fmt.Errorf("sign the provenance: %w", err)
	}
	return append(text, '\n'), nil
}

// statementIn gives the statement in the envelope in a file. With the name of a
// public key, that key must have signed it; without one, nothing is checked.
func statementIn(ctx context.Context, name, keyFile string) ([]byte, error) {
	text, err := os.ReadFile(name)
	if err != nil {
		return nil, fmt.Errorf("the provenance: %w", err)
	}
	var envelope dsse.Envelope
	if err := json.Unmarshal(text, &envelope); err != nil {
		return nil, fmt.Errorf("the provenance is no envelope: %w", err)
	}
	if envelope.PayloadType != payloadType {
		return nil, fmt.Errorf("the provenance is %q, not %s", envelope.PayloadType, payloadType)
	}
	if keyFile != "" {
		key, err := readPublicKey(keyFile)
		if err != nil {
			return nil, err
		}
		verifier, err := dsse.NewEnvelopeVerifier(key)
		if err != nil {
			return nil, fmt.Errorf("verify the provenance: %w", err)
		}
		if _, err := verifier.Verify(ctx, &envelope); err != nil {
			return nil, fmt.Errorf("the provenance is not signed by the given key: %w", err)
		}
	}
	return envelope.DecodeB64Payload()
}

// readSigningKey reads a private key as `openssl genpkey -algorithm ed25519` writes
// it. Errors hold nothing of the file.
func readSigningKey(name string) (signingKey, error) {
	der, err := readPEM(name, "PRIVATE KEY")
	if err != nil {
		return nil, err
	}
	key, err := x509.ParsePKCS8PrivateKey(der)
	private, ok := key.(ed25519.PrivateKey)
	if err != nil || !ok {
		return nil, fmt.Errorf("%s is no Ed25519 key in PKCS #8: make one by openssl genpkey -algorithm ed25519", name)
	}
	return signingKey(private), nil
}

// readPublicKey reads one as `openssl pkey -pubout` writes it.
func readPublicKey(name string) (verifyingKey, error) {
	der, err := readPEM(name, "PUBLIC KEY")
	if err != nil {
		return nil, err
	}
	key, err := x509.ParsePKIXPublicKey(der)
	public, ok := key.(ed25519.PublicKey)
	if err != nil || !ok {
		return nil, fmt.Errorf("%s is no public Ed25519 key: write it by openssl pkey -pubout", name)
	}
	return verifyingKey(public), nil
}

func readPEM(name, kind string) ([]byte, error) {
	text, err := os.ReadFile(name)
	if err != nil {
		return nil, fmt.Errorf("the key: %w", err)
	}
	block, _ := pem.Decode(text)
	if block == nil || block.Type != kind {
		return nil, fmt.Errorf("%s has no PEM block %q", name, kind)
	}
	return block.Bytes, nil
}
