package egress

import (
	"net/netip"
	"syscall"
	"testing"
)

// A connection that is kept open from an address that the machine has lost must not
// be used again, so it counts as one from an address that is not in use.
func TestLostAddressChangesWhatIsInUse(t *testing.T) {
	var failure error
	n := &fakeNetwork{onBindable: func(local netip.Addr) error {
		if local == usEast.Local {
			return failure
		}
		return nil
	}}
	e, err := newOn(n.system(), Options{Addresses: []Address{usEast, usWest, viaProxy("3.33.186.135", proxyEast)}})
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		name    string
		failure error
		want    uint64
	}{
		{"all there", nil, 0b111},
		{"one is lost", failing("bind", syscall.EADDRNOTAVAIL), 0b110},
		{"too many open files say nothing about it", failing("socket", syscall.EMFILE), 0b111},
		{"back again", nil, 0b111},
	} {
		failure = test.failure
		e.current.Load().lostSeen.Store(nil) // some time later
		if got := e.InUse().set; got != test.want {
			t.Errorf("%s: in use %03b, want %03b", test.name, got, test.want)
		}
	}
}
