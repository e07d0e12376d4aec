package certs

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"time"
)

// Import brings an operator's own authority into o.Dir, in place of the one
// that [Open] would make: a self-signed root, or a subordinate of one. certPEM
// is the one certificate; keyPEM its private key, not encrypted, as PKCS #8,
// PKCS #1 or SEC 1. The key is stored sealed; what the operator brought is not
// touched. A root that was prepared is given up.
//
// It fails with [ErrRootExists] where o.Dir has a root and o.Replace is not
// set, and with a plain error where the authority cannot do its work: it must
// be valid now, be allowed to sign an intermediate, and have an RSA key of at
// least 2048 bits or an ECDSA key on P-256, P-384 or P-521.
func Import(o Options, certPEM, keyPEM []byte) error {
	if err := o.check(); err != nil {
		return err
	}
	cert, err := parseCertificateFile(certPEM)
	if err != nil {
		return fmt.Errorf("certs: import: the certificate: %w", err)
	}
	if err := checkAuthority(cert, o.Now()); err != nil {
		return fmt.Errorf("certs: import: the certificate %w", err)
	}
	key, err := parsePrivateKey(keyPEM)
	if err != nil {
		return fmt.Errorf("certs: import: the private key: %w", err)
	}
	if !samePublicKey(key.Public(), cert.PublicKey) {
		return errors.New("certs: import: the private key is not that of the certificate")
	}
	r, err := sealRoot(keyFile, cert, key, o.Sealer)
	if err != nil {
		return fmt.Errorf("certs: import: %w", err)
	}

	dir, err := openDir(o.Dir)
	if err != nil {
		return err
	}
	defer dir.Close()
	for _, name := range []string{keyFile, certFile} {
		_, err := dir.Lstat(name)
		switch {
		case err == nil && !o.Replace:
			return fmt.Errorf("certs: import: %w in %s; replacing it means that every client must be given the new one", ErrRootExists, filepath.Join(o.Dir, name))
		case err != nil && !errors.Is(err, fs.ErrNotExist):
			return fmt.Errorf("certs: import: %w", err)
		}
	}
	if err := removeNext(dir); err != nil {
		return fmt.Errorf("certs: import: give up the root that was prepared: %w", err)
	}
	return storeRoot(dir, r)
}

// checkAuthority completes the sentence "the certificate …".
func checkAuthority(cert *x509.Certificate, now time.Time) error {
	switch key := cert.PublicKey.(type) {
	case *rsa.PublicKey:
		if key.N.BitLen() < 2048 {
			return fmt.Errorf("has an RSA key of %d bits: at least 2048 are needed", key.N.BitLen())
		}
	case *ecdsa.PublicKey:
		if key.Curve == elliptic.P224() {
			return errors.New("has an ECDSA key on P-224: use P-256, P-384 or P-521")
		}
	default:
		return fmt.Errorf("has a key of a kind (%s) that not every client verifies: use RSA or ECDSA", cert.PublicKeyAlgorithm)
	}
	switch {
	case !cert.BasicConstraintsValid || !cert.IsCA:
		return errors.New("is not that of an authority: its basic constraints do not say CA:TRUE")
	case cert.MaxPathLen == 0 && cert.MaxPathLenZero:
		return errors.New("allows no intermediate below it (path length 0): the gateway needs a path length of 1 or more")
	case cert.KeyUsage != 0 && cert.KeyUsage&x509.KeyUsageCertSign == 0:
		return errors.New("may not sign certificates: its key usage lacks keyCertSign")
	case len(cert.ExtKeyUsage)+len(cert.UnknownExtKeyUsage) > 0 &&
		!slices.Contains(cert.ExtKeyUsage, x509.ExtKeyUsageServerAuth) && !slices.Contains(cert.ExtKeyUsage, x509.ExtKeyUsageAny):
		return errors.New("is not for TLS servers: its extended key usage lacks serverAuth")
	case len(cert.UnhandledCriticalExtensions) > 0:
		return fmt.Errorf("has a critical extension (%s) that is not known here", cert.UnhandledCriticalExtensions[0])
	case now.Before(cert.NotBefore) || !now.Before(cert.NotAfter):
		return fmt.Errorf("is valid from %s to %s, which does not include now", cert.NotBefore.Format(time.RFC3339), cert.NotAfter.Format(time.RFC3339))
	}
	if bytes.Equal(cert.RawIssuer, cert.RawSubject) {
		if err := cert.CheckSignature(cert.SignatureAlgorithm, cert.RawTBSCertificate, cert.Signature); err != nil {
			return fmt.Errorf("names itself as issuer, but its signature does not verify: %w", err)
		}
	}
	return nil
}

// parsePrivateKey never quotes what it read.
func parsePrivateKey(data []byte) (crypto.Signer, error) {
	for {
		block, rest := pem.Decode(data)
		if block == nil {
			return nil, errors.New("no PEM block of a private key found")
		}
		data = rest
		var (
			key any
			err error
		)
		switch {
		case block.Type == "EC PARAMETERS": // precedes the key in "openssl ecparam -genkey"
			continue
		case block.Type == "ENCRYPTED PRIVATE KEY" || block.Headers["DEK-Info"] != "":
			return nil, errors.New("it is encrypted: decrypt it first, e.g. with openssl pkey, and pass it without storing it")
		case block.Type == "PRIVATE KEY":
			key, err = x509.ParsePKCS8PrivateKey(block.Bytes)
		case block.Type == "EC PRIVATE KEY":
			key, err = x509.ParseECPrivateKey(block.Bytes)
		case block.Type == "RSA PRIVATE KEY":
			key, err = x509.ParsePKCS1PrivateKey(block.Bytes)
		default:
			return nil, fmt.Errorf("a PEM block %q is not a private key", block.Type)
		}
		signer, ok := key.(crypto.Signer)
		if err != nil || !ok {
			return nil, fmt.Errorf("the PEM block %q is damaged or of an unknown kind", block.Type)
		}
		if len(bytes.TrimSpace(rest)) != 0 {
			return nil, errors.New("there is more after the private key")
		}
		return signer, nil
	}
}
