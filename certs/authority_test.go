package certs

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// TestHandshake: a client that trusts nothing but ca.pem accepts each kind of
// host, and nothing else.
func TestHandshake(t *testing.T) {
	hosts := []string{"api.atlassian.com", "acme.atlassian.net", "jira", "xn--bcher-kva.example", "192.0.2.7", "2001:db8::7"}
	sets := map[string][]string{
		"all together": hosts,
		"names only":   {"api.atlassian.com", "acme.atlassian.net", "jira", "xn--bcher-kva.example"},
		"IPv4 only":    {"192.0.2.7"},
		"IPv6 only":    {"2001:db8::7"},
		"both IPs":     {"192.0.2.7", "2001:db8::7"},
	}
	for name, set := range sets {
		t.Run(name, func(t *testing.T) {
			a := newAuthority(t, set...)
			for _, host := range hosts {
				cert, err := a.Leaf(host)
				if !slices.Contains(set, host) {
					if !errors.Is(err, ErrHostNotPermitted) || cert != nil {
						t.Errorf("Leaf(%q) = %v, %v; want ErrHostNotPermitted", host, cert, err)
					}
					continue
				}
				if err != nil {
					t.Errorf("Leaf(%q): %v", host, err)
					continue
				}
				if err := handshake(a, cert, host); err != nil {
					t.Errorf("handshake with %q: %v", host, err)
				}
				if err := handshake(a, cert, "other.example"); err == nil {
					t.Errorf("the certificate of %q passed for other.example", host)
				}
			}
		})
	}
}

func TestLeafRefusesWhatIsNotInTheSet(t *testing.T) {
	a := newAuthority(t, "acme.atlassian.net", "192.0.2.7")
	for _, host := range []string{
		"", "evil.example", "atlassian.net", "sub.acme.atlassian.net", "*.atlassian.net",
		"ACME.atlassian.net", "acme.atlassian.net.", "acme.atlassian.net:443", "acme.atlassian.net\x00.evil.example",
		"192.0.2.8", "192.0.2.07", "::ffff:192.0.2.7", "invalid",
	} {
		if cert, err := a.Leaf(host); !errors.Is(err, ErrHostNotPermitted) || cert != nil {
			t.Errorf("Leaf(%q) = %v, %v; want ErrHostNotPermitted", host, cert, err)
		}
	}
}

// TestChainMentionsNoOtherHost: a client must not learn from a handshake which
// other connections there are, or were.
func TestChainMentionsNoOtherHost(t *testing.T) {
	hosts := []string{
		"api.atlassian.com", "acme.atlassian.net", "globex.atlassian.net", "jira.initech.example",
		"198.51.100.7", "203.0.113.9", "2001:db8::7", "2001:db8:1::9",
	}
	mentions := func(der []byte, host string) bool {
		addr, err := netip.ParseAddr(host)
		return bytes.Contains(der, []byte(host)) || err == nil && bytes.Contains(der, addr.AsSlice())
	}
	a := mustOpen(t, newOptions(t))
	for _, set := range [][]string{hosts, hosts[2:6], hosts} {
		if err := a.SetHosts(set); err != nil {
			t.Fatal(err)
		}
		for _, host := range set {
			chain := slices.Concat(mustLeaf(t, a, host).Certificate, [][]byte{a.Root().Raw})
			for i, der := range chain {
				for _, other := range hosts {
					// Leaf and intermediate name their host, the root names none.
					if got, want := mentions(der, other), other == host && i < 2; got != want {
						t.Errorf("certificate %d of the chain of %s: mentions %s: %v, want %v", i, host, other, got, want)
					}
				}
			}
		}
	}
}

// TestCertificates looks at each level's fields.
func TestCertificates(t *testing.T) {
	a := newAuthority(t, "acme.atlassian.net", "192.0.2.7")
	root := a.Root()
	name, addr := mustLeaf(t, a, "acme.atlassian.net"), mustLeaf(t, a, "192.0.2.7")
	nameIm, addrIm := intermediateOf(t, a, "acme.atlassian.net").cert, intermediateOf(t, a, "192.0.2.7").cert
	for _, chain := range [][][]byte{name.Certificate, addr.Certificate} {
		if len(chain) != 2 {
			t.Errorf("the chain has %d certificates, want leaf and intermediate", len(chain))
		}
	}

	serials := map[string]bool{}
	for _, c := range []*x509.Certificate{root, nameIm, addrIm, name.Leaf, addr.Leaf} {
		if c.PublicKeyAlgorithm != x509.ECDSA || c.SignatureAlgorithm != x509.ECDSAWithSHA256 {
			t.Errorf("%s: %v, %v", c.Subject, c.PublicKeyAlgorithm, c.SignatureAlgorithm)
		}
		if bits := c.SerialNumber.BitLen(); bits < 96 || bits > 159 {
			t.Errorf("%s: serial number of %d bits", c.Subject, bits)
		}
		serials[c.SerialNumber.String()] = true
	}
	if len(serials) != 5 {
		t.Error("serial numbers repeat")
	}

	if !root.IsCA || root.MaxPathLen != 1 || root.KeyUsage != x509.KeyUsageCertSign|x509.KeyUsageCRLSign {
		t.Errorf("root: CA %v, path length %d, usage %v", root.IsCA, root.MaxPathLen, root.KeyUsage)
	}
	for _, im := range []*x509.Certificate{nameIm, addrIm} {
		if !im.IsCA || im.MaxPathLen != 0 || !im.MaxPathLenZero || !im.PermittedDNSDomainsCritical {
			t.Errorf("intermediate: CA %v, path length %d, critical constraints %v", im.IsCA, im.MaxPathLen, im.PermittedDNSDomainsCritical)
		}
		if im.NotAfter.Sub(im.NotBefore) > intermediateLife || im.NotAfter.After(root.NotAfter) || im.NotBefore.Before(root.NotBefore) {
			t.Errorf("intermediate lives from %v to %v", im.NotBefore, im.NotAfter)
		}
	}
	if !slices.Equal(nameIm.PermittedDNSDomains, []string{"acme.atlassian.net"}) || len(nameIm.PermittedIPRanges) != 0 || len(nameIm.ExcludedIPRanges) != 2 {
		t.Errorf("the name's intermediate permits %v and %v, excludes %v", nameIm.PermittedDNSDomains, nameIm.PermittedIPRanges, nameIm.ExcludedIPRanges)
	}
	if !slices.Equal(addrIm.PermittedDNSDomains, []string{"invalid"}) || len(addrIm.PermittedIPRanges) != 1 || addrIm.PermittedIPRanges[0].String() != "192.0.2.7/32" {
		t.Errorf("the address's intermediate permits %v and %v", addrIm.PermittedDNSDomains, addrIm.PermittedIPRanges)
	}

	if !slices.Equal(name.Leaf.DNSNames, []string{"acme.atlassian.net"}) || len(name.Leaf.IPAddresses) != 0 {
		t.Errorf("leaf names %v, %v", name.Leaf.DNSNames, name.Leaf.IPAddresses)
	}
	if len(addr.Leaf.DNSNames) != 0 || len(addr.Leaf.IPAddresses) != 1 || !addr.Leaf.IPAddresses[0].Equal(net.IPv4(192, 0, 2, 7)) {
		t.Errorf("leaf names %v, %v", addr.Leaf.DNSNames, addr.Leaf.IPAddresses)
	}
	for l, im := range map[*x509.Certificate]*x509.Certificate{name.Leaf: nameIm, addr.Leaf: addrIm} {
		if l.IsCA || l.KeyUsage != x509.KeyUsageDigitalSignature || !slices.Equal(l.ExtKeyUsage, []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}) {
			t.Errorf("leaf: CA %v, usage %v, %v", l.IsCA, l.KeyUsage, l.ExtKeyUsage)
		}
		if l.Subject.String() != "" {
			t.Errorf("leaf has the subject %q", l.Subject)
		}
		if l.NotAfter.Sub(l.NotBefore) > leafLife || l.NotBefore.Before(im.NotBefore) || l.NotAfter.After(im.NotAfter) {
			t.Errorf("leaf lives from %v to %v", l.NotBefore, l.NotAfter)
		}
		if lag := time.Since(l.NotBefore); lag < backdate-time.Minute {
			t.Errorf("leaf is back-dated by %v only", lag)
		}
	}
	keys := []any{root.PublicKey, nameIm.PublicKey, addrIm.PublicKey, name.Leaf.PublicKey, addr.Leaf.PublicKey}
	for i, key := range keys {
		for _, other := range keys[:i] {
			if samePublicKey(key, other) {
				t.Error("two certificates share a key")
			}
		}
	}
}

// TestConcurrentCallersShareOneLeaf: all callers stand at the same point, where
// they ask for the time, before any of them goes on to look into the cache.
func TestConcurrentCallersShareOneLeaf(t *testing.T) {
	const callers = 16
	var together atomic.Pointer[sync.WaitGroup]
	o := newOptions(t)
	o.Now = func() time.Time {
		if wg := together.Load(); wg != nil {
			wg.Done()
			wg.Wait()
		}
		return time.Now()
	}
	a, sealer := newWatched(t, o)
	var hosts []string
	for i := range 20 {
		hosts = append(hosts, fmt.Sprintf("h%d.example", i))
	}
	if err := a.SetHosts(hosts); err != nil {
		t.Fatal(err)
	}
	for _, host := range hosts {
		got := make([]*tls.Certificate, callers)
		var barrier, done sync.WaitGroup
		barrier.Add(callers)
		together.Store(&barrier)
		for i := range got {
			done.Go(func() { got[i], _ = a.Leaf(host) })
		}
		done.Wait()
		for i, cert := range got {
			if cert == nil || cert != got[0] {
				t.Fatalf("%s: caller %d got a certificate of its own", host, i)
			}
		}
	}
	if n := sealer.unsealed.Load(); n != int64(len(hosts)) {
		t.Errorf("the root's key was unsealed %d times for %d hosts", n, len(hosts))
	}
}

// TestLateCallerMakesNoSecondLeaf: who looked in vain before a flight landed,
// and comes to start the next, gets what the first one made.
func TestLateCallerMakesNoSecondLeaf(t *testing.T) {
	a := newAuthority(t, "a.example")
	first := mustLeaf(t, a, "a.example")
	late, err := a.renew("a.example", time.Now())
	if err != nil || late.leaf != first {
		t.Errorf("a leaf of its own, or an error: %v", err)
	}
}

// TestHostsChangeUnderLoad: whatever the moment, a caller gets a chain that
// verifies or ErrHostNotPermitted.
func TestHostsChangeUnderLoad(t *testing.T) {
	a := newAuthority(t, "a.example", "b.example")
	stop := make(chan struct{})
	var wg sync.WaitGroup
	for _, host := range []string{"a.example", "b.example", "c.example"} {
		wg.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				cert, err := a.Leaf(host)
				if err == nil {
					err = handshake(a, cert, host)
				}
				if err != nil && !errors.Is(err, ErrHostNotPermitted) {
					t.Errorf("%s: %v", host, err)
				}
			}
		})
	}
	for i := range 50 {
		hosts := []string{"a.example", "b.example", "c.example"}
		if err := a.SetHosts(hosts[:1+i%3]); err != nil {
			t.Error(err)
		}
	}
	close(stop)
	wg.Wait()
}

func TestCacheIsBounded(t *testing.T) {
	o := newOptions(t)
	o.CacheSize = 2
	a := mustOpen(t, o)
	if err := a.SetHosts([]string{"a.example", "b.example", "c.example"}); err != nil {
		t.Fatal(err)
	}
	first, second := mustLeaf(t, a, "a.example"), mustLeaf(t, a, "b.example")
	mustLeaf(t, a, "a.example") // now b is the one used longest ago
	mustLeaf(t, a, "c.example")
	if list, index := a.cache.recent.Len(), len(a.cache.byHost); list != 2 || index != 2 {
		t.Errorf("%d and %d hosts cached, want 2", list, index)
	}
	if mustLeaf(t, a, "a.example") != first {
		t.Error("the leaf used last was dropped")
	}
	if again := mustLeaf(t, a, "b.example"); again == second || bytes.Equal(again.Certificate[1], second.Certificate[1]) {
		t.Error("the leaf used longest ago, or its intermediate, was kept")
	}
}

func TestFingerprint(t *testing.T) {
	got := Fingerprint(&x509.Certificate{Raw: []byte("abc")})
	// SHA-256 of "abc": FIPS 180-2, appendix B.1.
	want := "BA:78:16:BF:8F:01:CF:EA:41:41:40:DE:5D:AE:22:23:B0:03:61:A3:96:17:7A:9C:B4:10:FF:61:F2:00:15:AD"
	if got != want {
		t.Errorf("Fingerprint = %s, want %s", got, want)
	}
}

// TestLeafExactlyForTheSet: after any sequence of sets, a host has a
// certificate exactly if it is in the last one.
func TestLeafExactlyForTheSet(t *testing.T) {
	all := []string{"a.example", "b.a.example", "b.example", "192.0.2.1", "2001:db8::1"}
	a := mustOpen(t, newOptions(t))
	rapid.Check(t, func(t *rapid.T) {
		set := rapid.SliceOfN(rapid.SampledFrom(all), 0, 6).Draw(t, "set")
		if err := a.SetHosts(set); err != nil {
			t.Fatal(err)
		}
		for _, host := range all {
			cert, err := a.Leaf(host)
			if slices.Contains(set, host) != (err == nil) {
				t.Fatalf("set %v: Leaf(%q) = %v", set, host, err)
			}
			if err == nil && cert.Leaf.VerifyHostname(host) != nil {
				t.Fatalf("set %v: Leaf(%q) is for %v", set, host, cert.Leaf.DNSNames)
			}
		}
	})
}
