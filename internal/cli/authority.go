package cli

import (
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"

	"jiragate/certs"
	"jiragate/gateway/admin"
)

// newAdminCA is the CA as the admin API has it. open is asked for it when it is needed;
// alone runs what changes it apart from everything else that does.
func newAdminCA(c Config, open func() (*certs.Authority, error), alone func(func() error) error) admin.CA {
	change := func(do func(*certs.Authority) error) (roots admin.CARoots, err error) {
		err = alone(func() error {
			a, err := open()
			if err != nil {
				return err
			}
			if err := do(a); err != nil {
				return err
			}
			roots = adminRoots(a.Roots())
			return nil
		})
		return roots, err
	}
	return admin.CA{
		Roots: func() (admin.CARoots, error) { return change(func(*certs.Authority) error { return nil }) },
		Prepare: func() (admin.CARoots, error) {
			return change(func(a *certs.Authority) error { _, err := a.Prepare(); return err })
		},
		Rotate: func(atOnce bool) (admin.CARoots, error) {
			return change(func(a *certs.Authority) error { return a.Rotate(atOnce) })
		},
		MayRotate: func(atOnce bool) error {
			_, err := change(func(a *certs.Authority) error { return a.MayRotate(atOnce) })
			return err
		},
		Reseal: func() (changed bool, err error) {
			_, err = change(func(a *certs.Authority) (err error) { changed, err = a.Reseal(); return err })
			return changed, err
		},
		SealedUnder: func() ([]uint32, error) { return certs.SealedUnder(c.DataDir) },
	}
}

// openRoots opens the CA where no gateway runs, and makes none.
func openRoots(c Config, sealer certs.Sealer) (*certs.Authority, error) {
	key, err1 := exists(c.file("ca-key.pem"))
	cert, err2 := exists(c.caFile())
	if err := errors.Join(err1, err2); err != nil {
		return nil, err
	}
	if !key && !cert {
		return nil, fmt.Errorf("there is no root in %s: %w", c.DataDir, fs.ErrNotExist)
	}
	return certs.Open(certs.Options{Dir: c.DataDir, Sealer: sealer})
}

func adminRoots(present, next *x509.Certificate) admin.CARoots {
	roots := admin.CARoots{Present: adminRoot(present)}
	if next != nil {
		r := adminRoot(next)
		roots.Next = &r
	}
	return roots
}

func adminRoot(c *x509.Certificate) admin.CARoot {
	return admin.CARoot{
		Subject: c.Subject.String(), NotBefore: timeText(c.NotBefore), NotAfter: timeText(c.NotAfter),
		Fingerprint: certs.Fingerprint(c), PEM: pemOf(c),
	}
}
