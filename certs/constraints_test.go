package certs

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"net"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// forge is what a thief does who has the intermediate of host with its key.
func forge(t interface{ Fatal(...any) }, a *Authority, host string, template *x509.Certificate) *tls.Certificate {
	im := intermediateOf(t, a, host)
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template.NotBefore, template.NotAfter = im.cert.NotBefore, im.cert.NotAfter
	template.KeyUsage |= x509.KeyUsageDigitalSignature
	if template.ExtKeyUsage == nil {
		template.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}
	}
	der, err := x509.CreateCertificate(rand.Reader, template, im.cert, &key.PublicKey, im.key)
	if err != nil {
		t.Fatal(err)
	}
	return &tls.Certificate{Certificate: append([][]byte{der}, im.chain()...), PrivateKey: key}
}

func named(host string) *x509.Certificate {
	if addr, err := netip.ParseAddr(host); err == nil {
		return &x509.Certificate{IPAddresses: []net.IP{addr.AsSlice()}}
	}
	return &x509.Certificate{DNSNames: []string{host}}
}

// TestStolenIntermediateKey: with an intermediate's key one can pose as the host
// it was made for, and as nothing else, the other hosts of the set included.
func TestStolenIntermediateKey(t *testing.T) {
	hosts := []string{"acme.atlassian.net", "globex.atlassian.net", "192.0.2.7", "192.0.2.8", "2001:db8::7", "2001:db8::8"}
	evil := []string{
		"evil.example", "atlassian.net", "evilacme.atlassian.net", "net", "localhost",
		"192.0.2.6", "10.0.0.1", "127.0.0.1", "2001:db8::6", "::1",
	}
	a := newAuthority(t, hosts...)
	for _, host := range hosts {
		t.Run(host, func(t *testing.T) {
			if err := handshake(a, forge(t, a, host, named(host)), host); err != nil {
				t.Errorf("the forgery itself is at fault, %s is refused: %v", host, err)
			}
			for _, other := range slices.Concat(hosts, evil) {
				if other == host {
					continue
				}
				if err := handshake(a, forge(t, a, host, named(other)), other); err == nil {
					t.Errorf("a forged certificate for %s was accepted", other)
				}
			}
		})
	}
}

func TestStolenIntermediateKeyOtherUses(t *testing.T) {
	a := newAuthority(t, "acme.atlassian.net")
	for name, test := range map[string]struct {
		template   *x509.Certificate
		serverName string
	}{
		"wildcard above":         {&x509.Certificate{DNSNames: []string{"*.atlassian.net"}}, "evil.atlassian.net"},
		"one good name, one bad": {&x509.Certificate{DNSNames: []string{"acme.atlassian.net", "evil.example"}}, "acme.atlassian.net"},
		"common name only":       {&x509.Certificate{Subject: pkix.Name{CommonName: "evil.example"}}, "evil.example"},
	} {
		if err := handshake(a, forge(t, a, "acme.atlassian.net", test.template), test.serverName); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}

	// A client certificate, and an authority below the intermediate.
	verify := func(cert *tls.Certificate, usage x509.ExtKeyUsage) error {
		leaf, err := x509.ParseCertificate(cert.Certificate[0])
		if err != nil {
			t.Fatal(err)
		}
		opts := intermediateOf(t, a, "acme.atlassian.net").verifyOptions()
		opts.KeyUsages = []x509.ExtKeyUsage{usage}
		_, err = leaf.Verify(opts)
		return err
	}
	if err := verify(forge(t, a, "acme.atlassian.net", named("acme.atlassian.net")), x509.ExtKeyUsageServerAuth); err != nil {
		t.Errorf("the check itself is at fault: %v", err)
	}
	client := named("acme.atlassian.net")
	client.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}
	if verify(forge(t, a, "acme.atlassian.net", client), x509.ExtKeyUsageClientAuth) == nil {
		t.Error("a forged client certificate was accepted")
	}
	below := forge(t, a, "acme.atlassian.net", &x509.Certificate{
		Subject: pkix.Name{CommonName: "below"}, IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	})
	belowCert, err := x509.ParseCertificate(below.Certificate[0])
	if err != nil {
		t.Fatal(err)
	}
	leaf := named("acme.atlassian.net")
	leaf.NotBefore, leaf.NotAfter = time.Now().Add(-time.Minute), time.Now().Add(time.Hour)
	der, err := x509.CreateCertificate(rand.Reader, leaf, belowCert, below.PrivateKey.(*ecdsa.PrivateKey).Public(), below.PrivateKey)
	if err != nil {
		t.Fatal(err)
	}
	chain := &tls.Certificate{Certificate: append([][]byte{der}, below.Certificate...), PrivateKey: below.PrivateKey}
	if err := handshake(a, chain, "acme.atlassian.net"); err == nil {
		t.Error("an authority below the intermediate was accepted")
	}
}

// TestConstraintsMeanTheHost: whatever the set, a forgery under the intermediate
// of one of its hosts passes exactly if its name is that host or a subdomain.
func TestConstraintsMeanTheHost(t *testing.T) {
	a := mustOpen(t, newOptions(t))
	label := rapid.SampledFrom([]string{"a", "b", "ab", "invalid"})
	host := rapid.Custom(func(t *rapid.T) string {
		if rapid.Bool().Draw(t, "address") {
			return rapid.SampledFrom([]string{"192.0.2.1", "192.0.2.2", "0.0.0.0", "::", "2001:db8::1", "2001:db8::2"}).Draw(t, "ip")
		}
		return strings.Join(rapid.SliceOfN(label, 1, 3).Draw(t, "labels"), ".")
	})
	rapid.Check(t, func(t *rapid.T) {
		set := rapid.SliceOfN(host, 1, 4).Draw(t, "set")
		if err := a.SetHosts(set); err != nil {
			t.Fatal(err)
		}
		victim := rapid.SampledFrom(set).Draw(t, "victim")
		name := rapid.OneOf(host, rapid.SampledFrom(set)).Draw(t, "name")
		_, notAddress := netip.ParseAddr(victim)
		above := victim
		if notAddress == nil {
			above = "invalid" // the domain that stands for no domain
		}
		_, notAddress = netip.ParseAddr(name)
		want := name == victim || notAddress != nil && (name == above || strings.HasSuffix(name, "."+above))
		leaf, err := x509.ParseCertificate(forge(t, a, victim, named(name)).Certificate[0])
		if err != nil {
			t.Fatal(err)
		}
		if _, err := leaf.Verify(intermediateOf(t, a, victim).verifyOptions()); (err == nil) != want {
			t.Fatalf("set %v, intermediate of %s, forged %q: %v, want accepted %v", set, victim, name, err, want)
		}
	})
}
