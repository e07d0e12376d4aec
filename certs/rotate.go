package certs

import (
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// Prepare makes the root that is to follow the present one, for clients to trust before
// anything is signed by it: from then on ca.pem holds both. Where one is prepared
// already, that stays, and is what Prepare returns.
//
// It fails with [ErrBrought] where the present root is an operator's, and with
// [ErrFilesDisagree] if the directory has got another root since it was opened. After an
// error or a crash a root is prepared or is not; Prepare again.
func (a *Authority) Prepare() (next *x509.Certificate, err error) {
	a.changing.Lock()
	defer a.changing.Unlock()
	dir, r, err := a.own()
	if err != nil {
		return nil, err
	}
	defer dir.Close()
	if err := a.prepare(dir, &r); err != nil {
		return nil, err
	}
	return r.next.cert, nil
}

// prepare is Prepare for one who has read the roots.
func (a *Authority) prepare(dir *os.Root, r *roots) error {
	if r.next == nil {
		next, err := makeRoot(nextKeyFile, r.present.sealer, a.now())
		if err != nil {
			return err
		}
		r.next = next
		if err := a.steps(
			step{"write " + nextKeyFile, func() error { return writeFile(dir, nextKeyFile, next.encodeKeyFile(), 0o600) }},
			step{"write " + nextCertFile, func() error { return publishNext(dir, next) }},
			step{"write " + certFile, func() error { return writeFile(dir, certFile, encodeCertificates(r.certs()), 0o644) }},
		); err != nil {
			return err
		}
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.next = r.next.cert
	return nil
}

// Rotate has the root that is prepared sign everything from then on, and destroys the
// key of the one before. What that has signed is shown no more. With atOnce, one is made
// that no client trusts yet; what is prepared is given up, since its key lay beside the
// one that may have been stolen.
//
// It fails with [ErrNotPrepared], and as [Authority.Prepare]; then nothing has changed,
// but that a root may be prepared. After [ErrUnfinished] the new root signs: what is left
// to do comes with the next [Authority.Reload] or [Open], except that the sealed key of
// the old root may still be readable where its file was. A crash leaves one of the two
// roots in force, and everything else as after one of these errors.
func (a *Authority) Rotate(atOnce bool) error {
	a.changing.Lock()
	defer a.changing.Unlock()
	dir, r, err := a.own()
	if err != nil {
		return err
	}
	defer dir.Close()
	switch {
	case atOnce:
		r.next = nil
		if err := a.prepare(dir, &r); err != nil {
			return err
		}
	case r.next == nil:
		return fmt.Errorf("certs: %w in %s", ErrNotPrepared, a.dir)
	}
	if err := checkAuthority(r.next.cert, a.now()); err != nil {
		return fmt.Errorf("certs: the certificate in %s %w: remove %s, and prepare another", nextCertFile, err, filepath.Join(a.dir, nextKeyFile))
	}
	// Held open past its last name, to be overwritten when nothing needs it any more.
	old, err := dir.OpenFile(keyFile, os.O_RDWR, 0)
	if err != nil {
		return fmt.Errorf("certs: %w", err)
	}
	defer old.Close()
	// One rename decides which root it is.
	if err := a.steps(step{"rename", func() error { return dir.Rename(nextKeyFile, keyFile) }}); err != nil {
		return fmt.Errorf("certs: rotate: %w", err)
	}
	now := roots{present: &root{cert: r.next.cert, sealer: r.next.sealer, sealed: r.next.sealed, file: keyFile}}
	a.mu.Lock()
	a.use(now)
	a.mu.Unlock()
	err = a.steps(
		step{"sync", func() error { return syncDir(dir) }}, // before that, a power failure may need the old key
		step{"overwrite", func() error { return overwrite(old) }},
		step{"write " + certFile, func() error { return writeFile(dir, certFile, encodeCertificates(now.certs()), 0o644) }},
		step{"remove " + nextCertFile, func() error { return publishNext(dir, nil) }},
	)
	if err != nil {
		return fmt.Errorf("certs: %w: %w", ErrUnfinished, err)
	}
	return nil
}

// MayRotate returns the error that [Authority.Prepare] (where atOnce is set) or
// [Authority.Rotate] would be refused with, without doing anything.
func (a *Authority) MayRotate(atOnce bool) error {
	present, next := a.Roots()
	switch {
	case !made(present):
		return fmt.Errorf("certs: %w", ErrBrought)
	case !atOnce && next == nil:
		return fmt.Errorf("certs: %w in %s", ErrNotPrepared, a.dir)
	}
	return nil
}

// own reads the roots, of which the present one must be that in use, and made here. The
// caller closes the directory.
func (a *Authority) own() (*os.Root, roots, error) {
	present := a.present()
	dir, err := openDir(a.dir)
	if err != nil {
		return nil, roots{}, err
	}
	r, err := loadRoots(dir, present.sealer)
	switch {
	case err != nil:
	case r.present == nil:
		err = fmt.Errorf("certs: %w: there is no root in %s any more: restore %s from a backup", fs.ErrNotExist, a.dir, keyFile)
	case !r.present.cert.Equal(present.cert):
		err = fmt.Errorf("certs: %w: %s holds another root than the one in use: jiragate reload puts it in force", ErrFilesDisagree, keyFile)
	case !made(present.cert):
		err = fmt.Errorf("certs: %w", ErrBrought)
	}
	if err != nil {
		return nil, roots{}, errors.Join(err, dir.Close())
	}
	return dir, r, nil
}

// step is one change on disk. Tests stop in front of each.
type step struct {
	name string
	do   func() error
}

func (a *Authority) steps(list ...step) error {
	for _, s := range list {
		if a.before != nil {
			if err := a.before(s.name); err != nil {
				return err
			}
		}
		if err := s.do(); err != nil {
			return err
		}
	}
	return nil
}

// overwrite leaves nothing to read of a file that nobody needs any more. What a file
// system or an SSD keeps of it elsewhere is out of reach.
func overwrite(f *os.File) error {
	info, err := f.Stat()
	if err != nil {
		return err
	}
	if _, err := f.WriteAt(make([]byte, info.Size()), 0); err != nil {
		return err
	}
	return f.Sync()
}
