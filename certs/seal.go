package certs

import (
	"bytes"
	"crypto"
	"crypto/sha256"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"slices"
	"sync"
)

// Sealer encrypts and authenticates a few hundred bytes together with
// associated data, as Tink's AEAD does. Decrypt must fail where the key, the
// ciphertext or the associated data is not the one of Encrypt. It is called
// each time an intermediate is issued, for several hosts at once if need be, and
// must be safe for that.
type Sealer interface {
	Encrypt(plaintext, associatedData []byte) ([]byte, error)
	Decrypt(ciphertext, associatedData []byte) ([]byte, error)
}

const (
	blockCertificate = "CERTIFICATE"
	blockSealedKey   = "JIRAGATE SEALED PRIVATE KEY"
)

// root is a root certificate with its key, which stays sealed.
type root struct {
	cert   *x509.Certificate
	sealer Sealer
	file   string // that has it, for errors

	// mu is held for reading until a key is open, so that who changes sealed knows
	// that nobody needs the old one any more.
	mu     sync.RWMutex
	sealed []byte // PKCS #8 under associatedData(cert)
}

// associatedData binds a sealed key to its purpose and to its public half, so
// that neither another secret of the keyset nor another root's key passes for it.
func associatedData(cert *x509.Certificate) []byte {
	sum := sha256.Sum256(cert.RawSubjectPublicKeyInfo)
	return append([]byte("jiragate certs root-private-key v1\x00"), sum[:]...)
}

func sealRoot(file string, cert *x509.Certificate, key crypto.Signer, sealer Sealer) (*root, error) {
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, fmt.Errorf("encode the root key: %w", err)
	}
	defer clear(der)
	sealed, err := sealer.Encrypt(der, associatedData(cert))
	if err != nil {
		return nil, fmt.Errorf("seal the root key: %w", err)
	}
	return &root{cert: cert, sealed: sealed, sealer: sealer, file: file}, nil
}

// unseal gives the key for a signature. The caller does not keep it.
func (r *root) unseal() (crypto.Signer, error) {
	r.mu.RLock()
	defer r.mu.RUnlock()
	der, err := r.sealer.Decrypt(r.sealed, associatedData(r.cert))
	if err != nil {
		return nil, fmt.Errorf("%w: %s was sealed under another keyset or is damaged: use the keyset of this data directory, or restore both from one backup: %w",
			ErrWrongSealer, r.file, err)
	}
	defer clear(der)
	parsed, err := x509.ParsePKCS8PrivateKey(der)
	if err != nil {
		// Not wrapped: the text of a parse error may quote what it read.
		return nil, fmt.Errorf("%s: what is sealed in it is not a private key", r.file)
	}
	key, ok := parsed.(crypto.Signer)
	if !ok || !samePublicKey(key.Public(), r.cert.PublicKey) {
		return nil, fmt.Errorf("%w: the key sealed in %s is not that of the certificate beside it", ErrFilesDisagree, r.file)
	}
	return key, nil
}

// selfSigned tells a root proper from an operator's subordinate authority.
func (r *root) selfSigned() bool { return bytes.Equal(r.cert.RawIssuer, r.cert.RawSubject) }

func samePublicKey(a, b crypto.PublicKey) bool {
	comparable, ok := a.(interface{ Equal(crypto.PublicKey) bool })
	return ok && comparable.Equal(b)
}

// encodeKeyFile is the form of ca-key.pem and ca-next-key.pem: the certificate, then the
// sealed key.
func (r *root) encodeKeyFile() []byte {
	return append(encodeCertificate(r.cert), pem.EncodeToMemory(&pem.Block{Type: blockSealedKey, Bytes: r.sealed})...)
}

func parseKeyFile(file string, data []byte, sealer Sealer) (*root, error) {
	blocks, err := decodePEM(data, blockCertificate, blockSealedKey)
	if err != nil {
		return nil, err
	}
	cert, err := x509.ParseCertificate(blocks[0])
	if err != nil {
		return nil, fmt.Errorf("its certificate: %w", err)
	}
	return &root{cert: cert, sealed: blocks[1], sealer: sealer, file: file}, nil
}

func parseCertificateFile(data []byte) (*x509.Certificate, error) {
	blocks, err := decodePEM(data, blockCertificate)
	if err != nil {
		return nil, err
	}
	return x509.ParseCertificate(blocks[0])
}

// parseBundle reads one certificate or several, and nothing else.
func parseBundle(data []byte) ([]*x509.Certificate, error) {
	n := max(1, bytes.Count(data, []byte("-----BEGIN ")))
	blocks, err := decodePEM(data, slices.Repeat([]string{blockCertificate}, n)...)
	if err != nil {
		return nil, err
	}
	list := make([]*x509.Certificate, n)
	for i, b := range blocks {
		if list[i], err = x509.ParseCertificate(b); err != nil {
			return nil, err
		}
	}
	return list, nil
}

// decodePEM wants exactly the blocks of the given types, in that order, without
// headers and with nothing after them.
func decodePEM(data []byte, types ...string) ([][]byte, error) {
	var blocks [][]byte
	for _, want := range types {
		block, rest := pem.Decode(data)
		switch {
		case block == nil:
			return nil, fmt.Errorf("a PEM block %q is missing or damaged", want)
		case block.Type != want:
			return nil, fmt.Errorf("a PEM block %q stands where %q should", block.Type, want)
		case len(block.Headers) != 0:
			return nil, fmt.Errorf("the PEM block %q has headers", want)
		}
		blocks = append(blocks, block.Bytes)
		data = rest
	}
	if len(bytes.TrimSpace(data)) != 0 {
		return nil, errors.New("there is more after the last PEM block expected")
	}
	return blocks, nil
}
