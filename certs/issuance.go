package certs

import (
	"crypto/tls"
	"fmt"
	"slices"
	"time"

	"golang.org/x/sync/singleflight"
)

// issuance is one set of hosts with all that was issued for it. It is replaced
// as a whole, so that no leaf outlasts its intermediate in the cache and none
// made under the old set slips into the new one's.
type issuance struct {
	validity
	hosts  []string // sorted
	by     map[string]*intermediate
	leaves *leafCache
	flight singleflight.Group
}

// newIssuance needs the root's key, which is unsealed for the time of the call.
func newIssuance(r *root, hosts []string, now time.Time, cacheSize int) (*issuance, error) {
	is := &issuance{hosts: hosts}
	if len(hosts) == 0 {
		return is, nil
	}
	if now.Before(r.cert.NotBefore) || !now.Before(r.cert.NotAfter) {
		return nil, fmt.Errorf("%w: it is valid from %s to %s and the clock says %s; correct the clock, or bring in a new root and give it to the clients",
			ErrRootNotValid, r.cert.NotBefore.Format(time.RFC3339), r.cert.NotAfter.Format(time.RFC3339), now.UTC().Format(time.RFC3339))
	}
	signer, err := r.unseal()
	if err != nil {
		return nil, err
	}
	is.validity = validityWithin(r.cert, now, intermediateLife)
	is.by = make(map[string]*intermediate, len(hosts))
	is.leaves = newLeafCache(cacheSize)
	for some := range slices.Chunk(hosts, hostsPerIntermediate) {
		im, err := newIntermediate(r, signer, some, is.validity)
		if err != nil {
			return nil, err
		}
		for _, h := range some {
			is.by[h] = im
		}
	}
	return is, nil
}

func (is *issuance) permits(host string) bool {
	_, found := slices.BinarySearch(is.hosts, host)
	return found
}

func (is *issuance) leaf(host string, now time.Time) (*tls.Certificate, error) {
	if cert := is.leaves.get(host, now); cert != nil {
		return cert, nil
	}
	v, err, _ := is.flight.Do(host, func() (any, error) {
		// A flight may have landed between the look above and this one's start.
		if cert := is.leaves.get(host, now); cert != nil {
			return cert, nil
		}
		im := is.by[host]
		if im == nil {
			return nil, ErrHostNotPermitted
		}
		cert, v, err := im.leaf(host, now)
		if err != nil {
			return nil, err
		}
		is.leaves.put(host, cert, v)
		return cert, nil
	})
	if err != nil {
		return nil, err
	}
	return v.(*tls.Certificate), nil
}
