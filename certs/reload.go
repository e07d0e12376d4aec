package certs

import (
	"bytes"
	"fmt"
	"io/fs"
	"slices"
)

// Reload reads the root in the directory again, as [Open] does; it makes none. The
// root must be able to do its work for each host of the Authority. put, which is nil
// where nothing has changed, then lets it sign everything from then on, and what the
// one before has signed is shown no more. Until then, and after an error, nothing
// has changed. Between Reload and put there may be no [Authority.Reseal].
func (a *Authority) Reload() (put func(), err error) {
	a.resealing.Lock()
	defer a.resealing.Unlock()
	dir, err := openDir(a.dir)
	if err != nil {
		return nil, err
	}
	defer dir.Close()
	present := a.present()
	next, err := loadRoot(dir, present.sealer)
	switch {
	case err != nil:
		return nil, err
	case next == nil:
		return nil, fmt.Errorf("certs: %w: there is no root in %s any more: restore %s from a backup", fs.ErrNotExist, a.dir, keyFile)
	case next.cert.Equal(present.cert):
		return a.sealedAnew(present, next.sealed), nil
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
		a.root = next
		a.cache.retain(hostSet(nil))
	}, nil
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
