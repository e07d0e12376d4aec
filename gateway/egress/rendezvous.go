package egress

import (
	"cmp"
	"crypto/sha256"
	"encoding/binary"
	"net/netip"
	"slices"
)

// rank returns addresses in the order in which connection prefers them, by
// rendezvous hashing: each pair of connection and address has a score that
// depends on nothing else, and the highest score comes first. So an address
// that comes or goes moves no connection between the others, and every gateway
// of a region comes to the same order.
//
// The score is part of the outside contract: changing it moves customers to
// other addresses.
func rank(connection string, addresses []Address) []Address {
	ranked := slices.Clone(addresses)
	scores := make(map[netip.Addr]uint64, len(addresses))
	for _, a := range addresses {
		scores[a.Public] = score(connection, a.Public)
	}
	slices.SortFunc(ranked, func(a, b Address) int {
		return cmp.Or(cmp.Compare(scores[b.Public], scores[a.Public]), a.Public.Compare(b.Public))
	})
	return ranked
}

func score(connection string, public netip.Addr) uint64 {
	ip := public.As16()
	sum := sha256.Sum256(append(ip[:], connection...))
	return binary.BigEndian.Uint64(sum[:])
}
