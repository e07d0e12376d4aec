package certs

import (
	"bytes"
	"crypto/rand"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"
)

const (
	certFile = "ca.pem"     // for clients: the root and, while one is prepared, the next
	keyFile  = "ca-key.pem" // the root that signs

	// Of the root that is prepared. nextCertFile has it alone, for clients that take one
	// certificate at a time.
	nextCertFile = "ca-next.pem"
	nextKeyFile  = "ca-next-key.pem"

	// maxFile is far above an RSA-16384 root with its key.
	maxFile = 64 << 10
)

// ReadRoots reads the certificates that clients trust from ca.pem in dir: that of the
// root, and that of the next one, which is nil where none is prepared. It needs no
// sealer: it is for showing them, also while a gateway runs.
func ReadRoots(dir string) (present, next *x509.Certificate, err error) {
	d, err := os.OpenRoot(dir)
	if err != nil {
		return nil, nil, fmt.Errorf("certs: %w", err)
	}
	defer d.Close()
	data, err := readFile(d, certFile, 0)
	if err != nil {
		return nil, nil, fmt.Errorf("certs: %w", err)
	}
	list, err := parseBundle(data)
	switch {
	case err != nil:
		return nil, nil, fmt.Errorf("certs: %s: %w", filepath.Join(dir, certFile), err)
	case len(list) > 1:
		next = list[1]
	}
	return list[0], next, nil
}

// roots are those of a directory.
type roots struct {
	present *root
	next    *root // nil where none is prepared
}

// certs are what clients are to trust, in the order of ca.pem.
func (r roots) certs() []*x509.Certificate {
	if r.next == nil {
		return []*x509.Certificate{r.present.cert}
	}
	return []*x509.Certificate{r.present.cert, r.next.cert}
}

func (r roots) nextCert() *x509.Certificate {
	if r.next == nil {
		return nil
	}
	return r.next.cert
}

// loadOrCreateRoot makes a root only where neither file exists.
func loadOrCreateRoot(o Options) (roots, error) {
	dir, err := openDir(o.Dir)
	if err != nil {
		return roots{}, err
	}
	defer dir.Close()

	r, err := loadRoots(dir, o.Sealer)
	if err != nil || r.present != nil {
		return r, err
	}
	if r.present, err = makeRoot(keyFile, o.Sealer, o.Now()); err != nil {
		return roots{}, err
	}
	return r, storeRoot(dir, r.present)
}

func makeRoot(file string, sealer Sealer, now time.Time) (*root, error) {
	cert, key, err := newRoot(now)
	if err != nil {
		return nil, fmt.Errorf("certs: make a root: %w", err)
	}
	r, err := sealRoot(file, cert, key, sealer)
	if err != nil {
		return nil, fmt.Errorf("certs: %w", err)
	}
	return r, nil
}

// loadRoots reads both roots, or neither where there is none. What else there is for
// clients is written again where it lags behind the key files, as after a crash.
func loadRoots(dir *os.Root, sealer Sealer) (roots, error) {
	present, shown, err := loadRoot(dir, sealer)
	if err != nil || present == nil {
		return roots{}, err
	}
	r := roots{present: present}
	if r.next, err = loadNext(dir, present, sealer); err != nil {
		return roots{}, err
	}
	// What crashes and changes of the key files leave behind are roots of ours alone.
	for _, c := range shown {
		if !c.Equal(present.cert) && !made(c) {
			return roots{}, fmt.Errorf("certs: %s: %s in it is no root of this directory: remove the file, and it is written again from %s",
				filepath.Join(dir.Name(), certFile), Fingerprint(c), keyFile)
		}
	}
	if !slices.EqualFunc(shown, r.certs(), (*x509.Certificate).Equal) {
		if err := writeFile(dir, certFile, encodeCertificates(r.certs()), 0o644); err != nil {
			return roots{}, err
		}
	}
	return r, publishNext(dir, r.next)
}

// loadNext returns nil where no root is prepared. One that signs already was brought
// from a gateway that has rotated, and is prepared no more.
func loadNext(dir *os.Root, present *root, sealer Sealer) (*root, error) {
	data, err := readFile(dir, nextKeyFile, 0o077)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("certs: %w", err)
	}
	path := filepath.Join(dir.Name(), nextKeyFile)
	r, err := parseKeyFile(nextKeyFile, data, sealer)
	if err != nil {
		return nil, fmt.Errorf("certs: %s: %w: bring it again, or remove it to have no root prepared", path, err)
	}
	if _, err := r.unseal(); err != nil {
		return nil, fmt.Errorf("certs: the root that is prepared: %w; or remove %s to have none prepared", err, path)
	}
	if r.cert.Equal(present.cert) {
		return nil, removeNext(dir)
	}
	return r, nil
}

// publishNext has ca-next.pem hold the root that is prepared, or not be there.
func publishNext(dir *os.Root, next *root) error {
	there, err := readFile(dir, nextCertFile, 0)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("certs: %w", err)
	}
	switch {
	case next == nil && err == nil:
		if err := dir.Remove(nextCertFile); err != nil {
			return fmt.Errorf("certs: %w", err)
		}
		return syncDir(dir)
	case next != nil && (err != nil || !bytes.Equal(there, encodeCertificate(next.cert))):
		return writeFile(dir, nextCertFile, encodeCertificate(next.cert), 0o644)
	}
	return nil
}

// removeNext leaves no root prepared.
func removeNext(dir *os.Root) error {
	for _, name := range []string{nextKeyFile, nextCertFile} {
		if err := dir.Remove(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("certs: %w", err)
		}
	}
	return syncDir(dir)
}

// loadRoot returns nil where there is no root, and what ca.pem shows, which is nothing
// where that is missing.
func loadRoot(dir *os.Root, sealer Sealer) (*root, []*x509.Certificate, error) {
	// No bit for group or others: the seal is a second lock, not the only one.
	keyData, keyErr := readFile(dir, keyFile, 0o077)
	certData, certErr := readFile(dir, certFile, 0)
	keyPath, certPath := filepath.Join(dir.Name(), keyFile), filepath.Join(dir.Name(), certFile)
	noKey, noCert := errors.Is(keyErr, fs.ErrNotExist), errors.Is(certErr, fs.ErrNotExist)
	switch {
	case noKey && noCert:
		return nil, nil, nil
	case keyErr != nil && !noKey:
		return nil, nil, fmt.Errorf("certs: %w", keyErr)
	case certErr != nil && !noCert:
		return nil, nil, fmt.Errorf("certs: %w", certErr)
	case noKey:
		return nil, nil, fmt.Errorf("certs: %w: %s exists but %s does not: restore the latter from a backup; or move the former away, to start with a new root that every client must be given",
			ErrFilesDisagree, certPath, keyPath)
	}

	r, err := parseKeyFile(keyFile, keyData, sealer)
	if err != nil {
		return nil, nil, fmt.Errorf("certs: %s: %w: restore it from a backup", keyPath, err)
	}
	if _, err := r.unseal(); err != nil {
		return nil, nil, fmt.Errorf("certs: %w", err)
	}
	if noCert {
		return r, nil, nil
	}
	shown, err := parseBundle(certData)
	if err != nil {
		return nil, nil, fmt.Errorf("certs: %s: %w: remove it, and it is written again from %s", certPath, err, keyFile)
	}
	if !slices.ContainsFunc(shown, r.cert.Equal) {
		return nil, nil, fmt.Errorf("certs: %w: %s holds %s, but %s holds %s: remove the former to have it written again from the latter, if that is the root which clients trust; otherwise restore the latter from a backup",
			ErrFilesDisagree, certPath, Fingerprint(shown[0]), keyPath, Fingerprint(r.cert))
	}
	return r, shown, nil
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
