package certs

import "testing"

// BenchmarkSetHosts replaces a large set by itself, as any change of one
// connection does.
func BenchmarkSetHosts(b *testing.B) {
	hosts := manyHosts(100_000)
	a := newAuthority(b, hosts...)
	b.ReportAllocs()
	for b.Loop() {
		if err := a.SetHosts(hosts); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkFirstLeaf makes an intermediate and a leaf each time, because the
// cache has room for one host.
func BenchmarkFirstLeaf(b *testing.B) {
	o := newOptions(b)
	o.CacheSize = 1
	a := mustOpen(b, o)
	hosts := []string{"a.example", "b.example"}
	if err := a.SetHosts(hosts); err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		mustLeaf(b, a, hosts[i%2])
	}
}

func BenchmarkCachedLeaf(b *testing.B) {
	a := newAuthority(b, manyHosts(100_000)...)
	host := "customer-with-a-long-name-050000.atlassian.net"
	b.ReportAllocs()
	for b.Loop() {
		mustLeaf(b, a, host)
	}
}
