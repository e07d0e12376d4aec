package certs

import (
	"bytes"
	"crypto/x509"
	"fmt"
	"io/fs"
	"slices"
)

// Reload reads the roots in the directory again, as [Open] does; it makes none. The
// root must be able to do its work for each host of the Authority. put, which is nil
// where nothing has changed, then lets it sign everything from then on, and what the
// one before has signed is shown no more. Until then, and after an error, nothing
// has changed. Between Reload and put nothing else may change the Authority or its files.
func (a *Authority) Reload() (put func(), err error) {
	a.changing.Lock()
	defer a.changing.Unlock()
	dir, err := openDir(a.dir)
	if err != nil {
		return nil, err
	}
	defer dir.Close()
	present := a.present()
	read, err := loadRoots(dir, present.sealer)
	next := read.present
	switch {
	case err != nil:
		return nil, err
	case next == nil:
		return nil, fmt.Errorf("certs: %w: there is no root in %s any more: restore %s from a backup", fs.ErrNotExist, a.dir, keyFile)
	case next.cert.Equal(present.cert):
		return a.nextChanged(read.nextCert(), a.sealedAnew(present, next.sealed)), nil
	}
	if err := checkAuthority(next.cert, a.now()); err != nil {
		return nil, fmt.Errorf("certs: the certificate in %s %w", certFile, err)
	}
	for _, host := range a.permitted() {
		im, err := newIntermediate(next, host, a.now())
		if err == nil {
			_, err = im.issue(a.now())
		}
		if err != nil {
			return nil, fmt.Errorf("certs: the root in %s can't be used for %q: %w", certFile, host, err)
		}
	}
	return func() {
		a.mu.Lock()
		defer a.mu.Unlock()
		a.use(read)
	}, nil
}

// use has other roots in force. The caller has the lock.
func (a *Authority) use(r roots) {
	a.root, a.next = r.present, r.nextCert()
	a.cache.retain(hostSet(nil))
}

// nextChanged is put, which may be nil, for another root that is prepared, or for none.
func (a *Authority) nextChanged(next *x509.Certificate, put func()) func() {
	if sameCertificate(a.Next(), next) {
		return put
	}
	return func() {
		if put != nil {
			put()
		}
		a.mu.Lock()
		defer a.mu.Unlock()
		a.next = next
	}
}

// sameCertificate is also true of nil and nil.
func sameCertificate(a, b *x509.Certificate) bool {
	return a == b || a != nil && b != nil && a.Equal(b)
}

// sealedAnew is for the same root, whose key the file has under another seal.
func (a *Authority) sealedAnew(r *root, sealed []byte) (put func()) {
	r.mu.RLock()
	defer r.mu.RUnlock()
	if bytes.Equal(r.sealed, sealed) {
		return nil
	}
	return func() {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.sealed = sealed
	}
}

// present is the root that signs.
func (a *Authority) present() *root {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.root
}

// permitted lists the hosts, each once.
func (a *Authority) permitted() []string {
	a.mu.Lock()
	hosts := a.hosts
	a.mu.Unlock()
	return slices.Compact(slices.Sorted(hosts.All()))
}
