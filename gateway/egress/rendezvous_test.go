package egress

import (
	"fmt"
	"net/netip"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

func genAddresses(t *rapid.T) []Address {
	hosts := rapid.SliceOfNDistinct(rapid.Uint16(), 1, 8, rapid.ID[uint16]).Draw(t, "hosts")
	var addresses []Address
	for _, h := range hosts {
		ip := netip.AddrFrom4([4]byte{52, 54, byte(h >> 8), byte(h)})
		addresses = append(addresses, Address{Public: ip, Local: ip})
	}
	return addresses
}

func TestRankSticks(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		addresses := genAddresses(t)
		connection := rapid.String().Draw(t, "connection")
		shuffled := rapid.Permutation(addresses).Draw(t, "shuffled")
		ranked := rank(connection, addresses)
		if again := rank(connection, shuffled); !slices.Equal(again, ranked) {
			t.Fatalf("the order of the configuration changes the rank: %v, then %v", ranked, again)
		}
		for _, a := range addresses {
			if !slices.Contains(ranked, a) {
				t.Fatalf("%v is lost in %v", a, ranked)
			}
		}
	})
}

func TestRemovingAnAddressMovesOnlyItsOwnConnections(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		addresses := genAddresses(t)
		connection := rapid.String().Draw(t, "connection")
		removed := rapid.IntRange(0, len(addresses)-1).Draw(t, "removed")
		ranked := rank(connection, addresses)
		left := rank(connection, slices.Delete(slices.Clone(addresses), removed, removed+1))
		want := slices.DeleteFunc(slices.Clone(ranked), func(a Address) bool { return a == addresses[removed] })
		if !slices.Equal(left, want) {
			t.Fatalf("without %v the order is %v, want %v", addresses[removed], left, want)
		}
	})
}

func TestRankSpreads(t *testing.T) {
	addresses, err := ParseAddresses("52.54.159.237,52.73.143.252")
	if err != nil {
		t.Fatal(err)
	}
	const connections = 1000
	used := map[Address]int{}
	for i := range connections {
		used[rank(fmt.Sprintf("customer-%d", i), addresses)[0]]++
	}
	for _, a := range addresses {
		if used[a] < connections*2/5 {
			t.Errorf("%v serves %d of %d connections", a, used[a], connections)
		}
	}
}

// A release must not move a customer to another address.
func TestRankIsTheSameInEveryRelease(t *testing.T) {
	us, err := ParseAddresses("52.54.159.237=10.0.0.5,52.73.143.252=10.0.0.6")
	if err != nil {
		t.Fatal(err)
	}
	for connection, want := range map[string]string{
		"acme":     "52.73.143.252",
		"initech":  "52.54.159.237",
		"umbrella": "52.73.143.252",
		"demo-dc":  "52.54.159.237",
	} {
		if got := rank(connection, us)[0].Public.String(); got != want {
			t.Errorf("connection %q leaves from %s, want %s", connection, got, want)
		}
	}
}

func BenchmarkRank(b *testing.B) {
	addresses, err := ParseAddresses("52.54.159.237,52.73.143.252")
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		rank("acme", addresses)
	}
}
