package certs

import (
	"crypto/rand"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
)

const (
	certFile = "ca.pem"
	keyFile  = "ca-key.pem"

	// maxFile is far above an RSA-16384 root with its key.
	maxFile = 64 << 10
)

// ReadRoot reads the certificate that clients trust from ca.pem in dir. It
// needs no sealer: it is for showing the root, also while a gateway runs.
func ReadRoot(dir string) (*x509.Certificate, error) {
	d, err := os.OpenRoot(dir)
	if err != nil {
		return nil, fmt.Errorf("certs: %w", err)
	}
	defer d.Close()
	data, err := readFile(d, certFile, 0)
	if err != nil {
		return nil, fmt.Errorf("certs: %w", err)
	}
	cert, err := parseCertificateFile(data)
	if err != nil {
		return nil, fmt.Errorf("certs: %s: %w", filepath.Join(dir, certFile), err)
	}
	return cert, nil
}

// loadOrCreateRoot makes a root only where neither file exists.
func loadOrCreateRoot(o Options) (*root, error) {
	dir, err := openDir(o.Dir)
	if err != nil {
		return nil, err
	}
	defer dir.Close()

	r, err := loadRoot(dir, o.Sealer)
	if err != nil || r != nil {
		return r, err
	}
	cert, key, err := newRoot(o.Now())
	if err != nil {
		return nil, fmt.Errorf("certs: make a root: %w", err)
	}
	if r, err = sealRoot(cert, key, o.Sealer); err != nil {
		return nil, fmt.Errorf("certs: %w", err)
	}
	return r, storeRoot(dir, r)
}

// loadRoot returns nil where there is no root, and writes ca.pem again where it
// alone is missing.
func loadRoot(dir *os.Root, sealer Sealer) (*root, error) {
	// No bit for group or others: the seal is a second lock, not the only one.
	keyData, keyErr := readFile(dir, keyFile, 0o077)
	certData, certErr := readFile(dir, certFile, 0)
	keyPath, certPath := filepath.Join(dir.Name(), keyFile), filepath.Join(dir.Name(), certFile)
	noKey, noCert := errors.Is(keyErr, fs.ErrNotExist), errors.Is(certErr, fs.ErrNotExist)
	switch {
	case noKey && noCert:
		return nil, nil
	case keyErr != nil && !noKey:
		return nil, fmt.Errorf("certs: %w", keyErr)
	case certErr != nil && !noCert:
		return nil, fmt.Errorf("certs: %w", certErr)
	case noKey:
		return nil, fmt.Errorf("certs: %w: %s exists but %s does not: restore the latter from a backup; or move the former away, to start with a new root that every client must be given",
			ErrFilesDisagree, certPath, keyPath)
	}

	r, err := parseKeyFile(keyData, sealer)
	if err != nil {
		return nil, fmt.Errorf("certs: %s: %w: restore it from a backup", keyPath, err)
	}
	if _, err := r.unseal(); err != nil {
		return nil, fmt.Errorf("certs: %w", err)
	}
	if noCert {
		return r, writeFile(dir, certFile, encodeCertificate(r.cert), 0o644)
	}
	cert, err := parseCertificateFile(certData)
	if err != nil {
		return nil, fmt.Errorf("certs: %s: %w: remove it, and it is written again from %s", certPath, err, keyFile)
	}
	if !cert.Equal(r.cert) {
		return nil, fmt.Errorf("certs: %w: %s holds %s, but %s holds %s: remove the former to have it written again from the latter, if that is the root which clients trust; otherwise restore the latter from a backup",
			ErrFilesDisagree, certPath, Fingerprint(cert), keyPath, Fingerprint(r.cert))
	}
	return r, nil
}

// storeRoot replaces both files. ca.pem goes first and comes last: a crash in
// between leaves ca-key.pem alone, old or new, from which it is written again.
func storeRoot(dir *os.Root, r *root) error {
	if err := dir.Remove(certFile); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("certs: %w", err)
	}
	if err := syncDir(dir); err != nil {
		return err
	}
	if err := writeFile(dir, keyFile, r.encodeKeyFile(), 0o600); err != nil {
		return err
	}
	return writeFile(dir, certFile, encodeCertificate(r.cert), 0o644)
}

func openDir(path string) (*os.Root, error) {
	if err := os.MkdirAll(path, 0o700); err != nil {
		return nil, fmt.Errorf("certs: %w", err)
	}
	dir, err := os.OpenRoot(path)
	if err != nil {
		return nil, fmt.Errorf("certs: %w", err)
	}
	return dir, nil
}

// readFile reads a small regular file that has none of the forbidden mode bits.
func readFile(dir *os.Root, name string, forbidden fs.FileMode) ([]byte, error) {
	path := filepath.Join(dir.Name(), name)
	// Looked at before it is opened: opening a pipe would wait for a writer.
	info, err := dir.Lstat(name)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%s is not a regular file", path)
	}
	f, err := dir.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	if info, err = f.Stat(); err != nil {
		return nil, err
	}
	if mode := info.Mode().Perm(); mode&forbidden != 0 {
		return nil, fmt.Errorf("%s may be used by others than its owner (mode %04o): run: chmod 600 %s", path, mode, shellQuote(path))
	}
	data, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err != nil {
		return nil, err
	}
	if len(data) > maxFile {
		return nil, fmt.Errorf("%s is larger than %d bytes", path, maxFile)
	}
	return data, nil
}

// writeFile replaces a file so that a crash leaves the old or the new one, and
// the new one is on disk when it returns.
func writeFile(dir *os.Root, name string, data []byte, mode fs.FileMode) (err error) {
	temp := name + "." + rand.Text()[:8] + ".tmp"
	f, err := dir.OpenFile(temp, os.O_CREATE|os.O_EXCL|os.O_WRONLY, mode)
	if err != nil {
		return fmt.Errorf("certs: %w", err)
	}
	defer func() {
		if err != nil {
			err = fmt.Errorf("certs: write %s: %w", filepath.Join(dir.Name(), name), err)
			f.Close()
			dir.Remove(temp)
		}
	}()
	if err := f.Chmod(mode); err != nil { // whatever the umask
		return err
	}
	if _, err := f.Write(data); err != nil {
		return err
	}
	if err := f.Sync(); err != nil {
		return err
	}
	if err := f.Close(); err != nil {
		return err
	}
	if err := dir.Rename(temp, name); err != nil {
		return err
	}
	return syncDir(dir)
}

// syncDir makes renames and removals durable.
func syncDir(dir *os.Root) error {
	d, err := dir.Open(".")
	if err != nil {
		return fmt.Errorf("certs: %w", err)
	}
	defer d.Close()
	if err := d.Sync(); err != nil {
		return fmt.Errorf("certs: sync %s: %w", dir.Name(), err)
	}
	return nil
}
