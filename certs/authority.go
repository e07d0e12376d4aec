package certs

import (
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// defaultCacheSize bounds the cached leaves: about 2 kB each.
const defaultCacheSize = 1024

// Options say where the root lives and how its key is sealed.
type Options struct {
	// Dir holds ca.pem and ca-key.pem. It is made (mode 0700) if missing.
	Dir string

	// Sealer seals the root's private key at rest.
	Sealer Sealer

	// Now is the clock; nil means [time.Now].
	Now func() time.Time

	// CacheSize bounds the number of leaves kept; 0 means 1024.
	CacheSize int

	// Replace lets [Import] overwrite the root of Dir, after which every
	// client must be given the new one. [Open] ignores it.
	Replace bool
}

// check fills in the defaults and refuses what cannot work.
func (o *Options) check() error {
	if o.Dir == "" {
		return errors.New("certs: no directory for the root")
	}
	if o.Sealer == nil {
		return errors.New("certs: no sealer for the root key")
	}
	if o.CacheSize < 0 {
		return fmt.Errorf("certs: cache size %d is negative", o.CacheSize)
	}
	if o.CacheSize == 0 {
		o.CacheSize = defaultCacheSize
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	return nil
}

// Authority makes certificates for the hosts it was given. It is safe for
// concurrent use. Before the first [Authority.SetHosts] it refuses every host.
type Authority struct {
	root      *root
	now       func() time.Time
	cacheSize int

	mu      sync.Mutex // held while current is replaced
	current atomic.Pointer[issuance]
}

// Open reads the root in o.Dir, or makes one where there is none.
//
// It fails with [ErrFilesDisagree], [ErrWrongSealer], or an error naming the
// file that cannot be read, is not in the form written here, or may be read by
// others than its owner.
func Open(o Options) (*Authority, error) {
	if err := o.check(); err != nil {
		return nil, err
	}
	r, err := loadOrCreateRoot(o)
	if err != nil {
		return nil, err
	}
	a := &Authority{root: r, now: o.Now, cacheSize: o.CacheSize}
	a.current.Store(&issuance{})
	return a, nil
}

// SetHosts says for which hosts certificates may be made: DNS names in lower
// case without a trailing dot, or IP literals as [net/netip] prints them; no
// ports. Order and repetition do not matter. When the set changes, new
// intermediates are issued and the cached leaves are dropped.
//
// A host in another form is refused and changes nothing. Any other error, such
// as [ErrRootNotValid], comes after the change: hosts that are gone are refused
// from then on, and [Authority.Leaf] tries again to issue for the others.
func (a *Authority) SetHosts(hosts []string) error {
	for _, h := range hosts {
		if err := checkHost(h); err != nil {
			return fmt.Errorf("certs: host %q: %w", h, err)
		}
	}
	set := slices.Clone(hosts)
	slices.Sort(set)
	set = slices.Compact(set)

	a.mu.Lock()
	defer a.mu.Unlock()
	now := a.now()
	cur := a.current.Load()
	if slices.Equal(cur.hosts, set) && cur.fresh(now) {
		return nil
	}
	// Stored before it is issued, so that failing to issue fails closed.
	a.current.Store(&issuance{hosts: set})
	_, err := a.reissue(set, now)
	return err
}

// Leaf returns the certificate of host, with the chain that a client needs
// which trusts the root alone. It is made when first asked for and renewed
// after two thirds of its life; concurrent callers share one signature. The
// host must be in the form of [Authority.SetHosts], or it is not found there.
// Callers must not modify what they get.
//
// The error is [ErrHostNotPermitted] for a host outside the set, without any
// work done, or says why none can be made, e.g. [ErrRootNotValid].
func (a *Authority) Leaf(host string) (*tls.Certificate, error) {
	now := a.now()
	cur := a.current.Load()
	if !cur.permits(host) {
		return nil, fmt.Errorf("certs: %w: %q", ErrHostNotPermitted, host)
	}
	if !cur.fresh(now) {
		var err error
		if cur, err = a.renew(now); err != nil {
			return nil, err
		}
	}
	cert, err := cur.leaf(host, now)
	if err != nil {
		return nil, fmt.Errorf("certs: certificate for %q: %w", host, err)
	}
	return cert, nil
}

// renew issues again for the hosts of the day, unless another caller just did.
func (a *Authority) renew(now time.Time) (*issuance, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	cur := a.current.Load()
	if cur.fresh(now) {
		return cur, nil
	}
	return a.reissue(cur.hosts, now)
}

// reissue replaces the current issuance. The caller holds a.mu.
func (a *Authority) reissue(hosts []string, now time.Time) (*issuance, error) {
	next, err := newIssuance(a.root, hosts, now, a.cacheSize)
	if err != nil {
		return nil, fmt.Errorf("certs: issue an intermediate: %w", err)
	}
	a.current.Store(next)
	return next, nil
}

// RootPEM returns the root's certificate as in ca.pem.
func (a *Authority) RootPEM() []byte { return encodeCertificate(a.root.cert) }

// Root returns the root's certificate. Callers must not modify it.
func (a *Authority) Root() *x509.Certificate { return a.root.cert }

// Fingerprint returns the SHA-256 of a certificate in the form of
// "openssl x509 -fingerprint -sha256": upper-case hex with colons.
func Fingerprint(cert *x509.Certificate) string {
	sum := sha256.Sum256(cert.Raw)
	return strings.ReplaceAll(fmt.Sprintf("% X", sum), " ", ":")
}

func encodeCertificate(cert *x509.Certificate) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: blockCertificate, Bytes: cert.Raw})
}
