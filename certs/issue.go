package certs

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"fmt"
	"net"
	"net/netip"
	"time"
)

const (
	rootLife         = 10 * 365 * 24 * time.Hour
	intermediateLife = 30 * 24 * time.Hour
	leafLife         = 7 * 24 * time.Hour

	// backdate is how far a client's clock may lag behind ours.
	backdate = time.Hour
)

// validity gives a certificate made now its times: back-dated, no longer than
// life, and within its issuer's. It is to be renewed after two thirds of what
// is ahead, or not before the end where the issuer's end is what limits it.
type validity struct{ notBefore, notAfter, renewAt time.Time }

func validityWithin(issuer *x509.Certificate, now time.Time, life time.Duration) validity {
	v := validity{notBefore: now.Add(-backdate).UTC().Truncate(time.Second)}
	if v.notBefore.Before(issuer.NotBefore) {
		v.notBefore = issuer.NotBefore
	}
	v.notAfter = v.notBefore.Add(life)
	if !v.notAfter.Before(issuer.NotAfter) {
		v.notAfter = issuer.NotAfter
		v.renewAt = v.notAfter
		return v
	}
	v.renewAt = now.Add(v.notAfter.Sub(now) * 2 / 3)
	return v
}

// fresh also fails before notBefore, which happens when the clock was wrong at
// issue and has been set back since.
func (v validity) fresh(now time.Time) bool {
	return !now.Before(v.notBefore) && now.Before(v.renewAt)
}

// newRoot makes a self-signed root and its key.
func newRoot(now time.Time) (*x509.Certificate, *ecdsa.PrivateKey, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, nil, err
	}
	notBefore := now.Add(-backdate).UTC().Truncate(time.Second)
	template := &x509.Certificate{
		Subject:               subject("root", &key.PublicKey),
		NotBefore:             notBefore,
		NotAfter:              notBefore.Add(rootLife),
		BasicConstraintsValid: true,
		IsCA:                  true,
		MaxPathLen:            1,
		KeyUsage:              x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
	}
	cert, err := sign(template, template, &key.PublicKey, key)
	return cert, key, err
}

// made reports whether a root is one of newRoot, rather than brought: its name is that of
// its key.
func made(cert *x509.Certificate) bool {
	key, ok := cert.PublicKey.(*ecdsa.PublicKey)
	return ok && key.Curve == elliptic.P256() && bytes.Equal(cert.RawIssuer, cert.RawSubject) &&
		cert.Subject.String() == subject("root", key).String()
}

// intermediate signs the leaves of one host. Its key is never stored.
type intermediate struct {
	validity
	root *root
	host string
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

func newIntermediate(r *root, host string, now time.Time) (*intermediate, error) {
	if now.Before(r.cert.NotBefore) || !now.Before(r.cert.NotAfter) {
		return nil, fmt.Errorf("%w: it is valid from %s to %s and the clock says %s; correct the clock, or bring in a new root and give it to the clients",
			ErrRootNotValid, r.cert.NotBefore.Format(time.RFC3339), r.cert.NotAfter.Format(time.RFC3339), now.UTC().Format(time.RFC3339))
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	v := validityWithin(r.cert, now, intermediateLife)
	template := &x509.Certificate{
		Subject:               subject("intermediate", &key.PublicKey),
		NotBefore:             v.notBefore,
		NotAfter:              v.notAfter,
		BasicConstraintsValid: true,
		IsCA:                  true,
		MaxPathLenZero:        true,
		KeyUsage:              x509.KeyUsageCertSign,
		ExtKeyUsage:           []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	constrain(template, host)
	signer, err := r.unseal()
	if err != nil {
		return nil, err
	}
	cert, err := sign(template, r.cert, &key.PublicKey, signer)
	if err != nil {
		return nil, err
	}
	return &intermediate{validity: v, root: r, host: host, cert: cert, key: key}, nil
}

// chain is what follows the leaf in a handshake.
func (im *intermediate) chain() [][]byte {
	if im.root.selfSigned() {
		return [][]byte{im.cert.Raw}
	}
	// An operator's subordinate: clients may trust what stands above it.
	return [][]byte{im.cert.Raw, im.root.cert.Raw}
}

// verifyOptions are those of a client that trusts the root alone.
func (im *intermediate) verifyOptions() x509.VerifyOptions {
	opts := x509.VerifyOptions{Roots: x509.NewCertPool(), Intermediates: x509.NewCertPool()}
	opts.Roots.AddCert(im.root.cert)
	opts.Intermediates.AddCert(im.cert)
	return opts
}

// constrain permits host and its subdomains alone. A kind of name for which
// nothing is said would be free, so that both kinds have an entry.
func constrain(template *x509.Certificate, host string) {
	template.PermittedDNSDomainsCritical = true
	if addr, err := netip.ParseAddr(host); err == nil {
		template.PermittedIPRanges = []*net.IPNet{ipNet(netip.PrefixFrom(addr, addr.BitLen()))}
		// A domain that never exists (RFC 6761, section 6.4). Excluding the
		// zero-length name would say the same, but not all TLS libraries read
		// it so: Java's DNSName.constrains does not match it.
		template.PermittedDNSDomains = []string{"invalid"}
		return
	}
	template.PermittedDNSDomains = []string{host}
	// As the CA/Browser Forum's baseline requirements exclude addresses.
	template.ExcludedIPRanges = []*net.IPNet{
		ipNet(netip.PrefixFrom(netip.IPv4Unspecified(), 0)),
		ipNet(netip.PrefixFrom(netip.IPv6Unspecified(), 0)),
	}
}

func ipNet(p netip.Prefix) *net.IPNet {
	return &net.IPNet{IP: p.Addr().AsSlice(), Mask: net.CIDRMask(p.Bits(), p.Addr().BitLen())}
}

// issued is what a host has: a leaf, and the intermediate that signed it and may
// sign the next.
type issued struct {
	validity // of the leaf
	leaf     *tls.Certificate
	by       *intermediate
}

// fresh says whether the leaf may be shown; nil is never fresh. The intermediate
// is not asked: it outlasts its leaves, and is renewed when the next one is due.
func (is *issued) fresh(now time.Time) bool { return is != nil && is.validity.fresh(now) }

// issue makes a leaf and proves it against the root before anyone sees it: an
// operator's root may forbid what the intermediate permits.
func (im *intermediate) issue(now time.Time) (*issued, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	v := validityWithin(im.cert, now, leafLife)
	// No subject: the name stands in the alternative names only, which are
	// critical then (RFC 5280, section 4.2.1.6).
	template := &x509.Certificate{
		NotBefore:             v.notBefore,
		NotAfter:              v.notAfter,
		BasicConstraintsValid: true,
		KeyUsage:              x509.KeyUsageDigitalSignature,
		ExtKeyUsage:           []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	if addr, err := netip.ParseAddr(im.host); err == nil {
		template.IPAddresses = []net.IP{addr.AsSlice()}
	} else {
		template.DNSNames = []string{im.host}
	}
	cert, err := sign(template, im.cert, &key.PublicKey, im.key)
	if err != nil {
		return nil, err
	}
	opts := im.verifyOptions()
	opts.DNSName = im.host
	opts.CurrentTime = now
	if _, err := cert.Verify(opts); err != nil {
		return nil, fmt.Errorf("the root does not vouch for it: %w", err)
	}
	leaf := &tls.Certificate{Certificate: append([][]byte{cert.Raw}, im.chain()...), PrivateKey: key, Leaf: cert}
	return &issued{validity: v, leaf: leaf, by: im}, nil
}

// sign leaves the serial number to x509, which draws it at random, longer than
// 128 bits.
func sign(template, issuer *x509.Certificate, public crypto.PublicKey, signer crypto.Signer) (*x509.Certificate, error) {
	der, err := x509.CreateCertificate(rand.Reader, template, issuer, public, signer)
	if err != nil {
		return nil, err
	}
	return x509.ParseCertificate(der)
}

// subject tells the authorities of several installations, and the successive
// ones of an installation, apart for a reader of a trust store.
func subject(role string, key *ecdsa.PublicKey) pkix.Name {
	point, err := key.Bytes()
	if err != nil {
		panic("certs: a P-256 key made here has no encoding: " + err.Error())
	}
	sum := sha256.Sum256(point)
	return pkix.Name{Organization: []string{"jiragate"}, CommonName: fmt.Sprintf("jiragate %s %x", role, sum[:6])}
}
