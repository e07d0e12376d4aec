package certs

import (
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/singleflight"
)

// defaultCacheSize bounds what is cached: about 9 kB a host.
const defaultCacheSize = 1024

// Options say where the root lives and how its key is sealed.
type Options struct {
	// Dir holds ca.pem, ca-key.pem and, while a root is prepared, ca-next.pem and
	// ca-next-key.pem. It is made (mode 0700) if missing.
	Dir string

	// Sealer seals the root's private key at rest.
	Sealer Sealer

	// Now is the clock; nil means [time.Now].
	Now func() time.Time

	// CacheSize bounds the number of hosts whose leaf and intermediate are
	// kept; 0 means 1024.
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
	dir    string
	now    func() time.Time
	flight singleflight.Group // by host

	changing sync.Mutex              // held while files are changed
	before   func(step string) error // of tests; nil in use

	mu    sync.Mutex
	root  *root
	next  *x509.Certificate // of the root that is prepared, or nil
	hosts Hosts             // replaced as a whole
	cache *cache            // holds nothing for a host outside hosts, and nothing that another root signed
	mint  mint
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
	return &Authority{dir: o.Dir, root: r.present, next: r.nextCert(), now: o.Now, hosts: hostSet(nil), cache: newCache(o.CacheSize)}, nil
}

// SetHosts says for which hosts certificates may be made: DNS names in lower
// case without a trailing dot, or IP literals as [net/netip] prints them; no
// ports. Order and repetition do not matter. A host that is gone is refused
// from then on, and what was issued for it is dropped; nothing changes for a
// host that stays. It signs nothing, and is cheap however many hosts there are.
//
// The one error is that of a host in another form; it changes nothing.
func (a *Authority) SetHosts(hosts []string) error {
	set := make(hostSet, len(hosts))
	for _, h := range hosts {
		if err := checkHost(h); err != nil {
			return fmt.Errorf("certs: host %q: %w", h, err)
		}
		set[h] = struct{}{}
	}
	a.Permit(set)
	return nil
}

// Permit is SetHosts for a set that its caller keeps, so that nothing is copied: it costs
// by the hosts that are in use, not by how many there are. No certificate is made for a
// host of it in another form.
func (a *Authority) Permit(hosts Hosts) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.hosts = hosts
	a.cache.retain(hosts)
}

// Leaf returns the certificate of host, with the chain that a client needs
// which trusts the root alone. It is made, with the host's intermediate, when
// first asked for, and renewed after two thirds of its life; concurrent callers
// share one signature. The host must be in the form of [Authority.SetHosts], or
// it is not found there. Callers must not modify what they get.
//
// The error is [ErrHostNotPermitted] for a host outside the set, without any
// work done, or says why none can be made, e.g. [ErrRootNotValid].
func (a *Authority) Leaf(host string) (*tls.Certificate, error) {
	for {
		now := a.now()
		is, err := a.find(host)
		if err == nil && !is.fresh(now) {
			is, err = a.renew(host, now)
		}
		switch {
		case err != nil:
			return nil, fmt.Errorf("certs: certificate for %q: %w", host, err)
		case is.by.root == a.present():
			return is.leaf, nil
		}
		// Another root has come: nobody is to see what the old one signed.
	}
}

// renew is issue for one caller at a time; the others of the host wait for it.
func (a *Authority) renew(host string, now time.Time) (*issued, error) {
	v, err, _ := a.flight.Do(host, func() (any, error) { return a.issue(host, now) })
	if err != nil {
		return nil, err
	}
	return v.(*issued), nil
}

// issue makes the leaf of host, under the intermediate that the host has or,
// where that is missing or due, under a new one.
func (a *Authority) issue(host string, now time.Time) (*issued, error) {
	// A flight may have landed between the caller's look and this one's start.
	is, err := a.find(host)
	if err != nil || is.fresh(now) {
		return is, err
	}
	if err := checkHost(host); err != nil {
		return nil, err
	}
	if !a.mayMint(now) {
		if is != nil && now.Before(is.leaf.Leaf.NotAfter) {
			return is, nil // due, and good
		}
		return nil, ErrTooMany
	}
	var im *intermediate
	if is != nil && is.by.fresh(now) {
		im = is.by
	} else if im, err = newIntermediate(a.present(), host, now); err != nil {
		return nil, fmt.Errorf("issue an intermediate: %w", err)
	}
	if is, err = im.issue(now); err != nil {
		return nil, err
	}
	return is, a.keep(is)
}

// find returns what was issued for host, fresh or not, or nil.
func (a *Authority) find(host string) (*issued, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if !a.hosts.Has(host) {
		return nil, ErrHostNotPermitted
	}
	return a.cache.get(host), nil
}

// keep refuses what was made for a host that has gone in the meantime, and drops what
// was signed by a root that has.
func (a *Authority) keep(is *issued) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if !a.hosts.Has(is.by.host) {
		return ErrHostNotPermitted
	}
	if is.by.root == a.root {
		a.cache.put(is)
	}
	return nil
}

// RootPEM returns what clients are to trust, as in ca.pem: the root's certificate and,
// while one is prepared, that of the next.
func (a *Authority) RootPEM() []byte {
	present, next := a.Roots()
	if next == nil {
		return encodeCertificate(present)
	}
	return encodeCertificates([]*x509.Certificate{present, next})
}

// Root returns the certificate of the root that signs. Callers must not modify it.
func (a *Authority) Root() *x509.Certificate { return a.present().cert }

// Next returns the certificate of the root that is prepared, or nil. Callers must not
// modify it.
func (a *Authority) Next() *x509.Certificate {
	_, next := a.Roots()
	return next
}

// Roots returns both as they are at one moment.
func (a *Authority) Roots() (present, next *x509.Certificate) {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.root.cert, a.next
}

// Intermediates returns how many intermediates are kept that are still valid, and
// when the first of them ends; the zero time where there is none. Each is renewed
// after two thirds of its life, when its host is asked for next.
func (a *Authority) Intermediates() (n int, ends time.Time) {
	now := a.now()
	a.mu.Lock()
	defer a.mu.Unlock()
	for e := a.cache.recent.Front(); e != nil; e = e.Next() {
		notAfter := e.Value.(*issued).by.notAfter
		if !now.Before(notAfter) {
			continue
		}
		if n++; ends.IsZero() || notAfter.Before(ends) {
			ends = notAfter
		}
	}
	return n, ends
}

// Fingerprint returns the SHA-256 of a certificate in the form of
// "openssl x509 -fingerprint -sha256": upper-case hex with colons.
func Fingerprint(cert *x509.Certificate) string {
	sum := sha256.Sum256(cert.Raw)
	return strings.ReplaceAll(fmt.Sprintf("% X", sum), " ", ":")
}

func encodeCertificates(list []*x509.Certificate) (text []byte) {
	for _, c := range list {
		text = append(text, encodeCertificate(c)...)
	}
	return text
}

func encodeCertificate(cert *x509.Certificate) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: blockCertificate, Bytes: cert.Raw})
}
