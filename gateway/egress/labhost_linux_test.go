package egress

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"sync"
	"testing"
	"time"

	"jiragate/internal/netlab"
)

// The addresses of the lab. The gateway's first one is what its kernel chooses
// where nobody binds; it is not published.
var (
	labDefault = netip.MustParseAddr("52.0.0.99")
	labEast    = netip.MustParseAddr("52.54.159.237")
	labWest    = netip.MustParseAddr("52.73.143.252")
	labJira    = netip.MustParseAddrPort("104.192.141.1:443")
)

func whole(a netip.Addr) string { return netip.PrefixFrom(a, a.BitLen()).String() }

func labAddresses() []Address {
	return []Address{{Public: labEast, Local: labEast}, {Public: labWest, Local: labWest}}
}

// lab is a gateway and a Jira, with all that leaves and enters them recorded.
type lab struct {
	*netlab.Lab
	gateway, jira *netlab.Host
	came          *arrivals
}

func newLab(t *testing.T) *lab {
	t.Helper()
	l := &lab{Lab: netlab.New(t)}
	l.gateway = l.Host("gateway", whole(labDefault), whole(labEast), whole(labWest), "2600:1f18::99/128")
	l.jira = l.Host("jira", whole(labJira.Addr()), "2401:1d80:3000::1/128")
	l.came = arrive(t, l.jira, ":443")
	return l
}

// egress is one that opens its sockets in the gateway's host.
func (l *lab) egress(t *testing.T, o Options) *Egress {
	t.Helper()
	e, err := newOn(system{
		connect: func(ctx context.Context, local netip.Addr, target netip.AddrPort, check checkFunc) (conn net.Conn, err error) {
			err = l.gateway.Run(func() error {
				conn, err = connectTCP(ctx, local, target, check)
				return err
			})
			return conn, err
		},
		bindable: func(local netip.Addr) error {
			return l.gateway.Run(func() error { return bindable(local) })
		},
		interfaces: func() (list []net.Addr, err error) {
			err = l.gateway.Run(func() error {
				list, err = net.InterfaceAddrs()
				return err
			})
			return list, err
		},
	}, o)
	if err != nil {
		t.Fatal(err)
	}
	return e
}

// resolver asks a name server of the lab as the program asks the system's.
func (l *lab) resolver(t *testing.T, at string, answer func(netlab.DNSQuestion) netlab.DNSAnswer) (Resolver, *netlab.DNS) {
	t.Helper()
	socket, err := l.Host("dns", at+"/32").ListenPacket("udp", at+":53")
	if err != nil {
		t.Fatal(err)
	}
	d := netlab.ServeDNS(socket, answer)
	t.Cleanup(func() { d.Close() })
	return &systemResolver{net.Resolver{PreferGo: true, Dial: d.Resolver(l.gateway.DialContext).Dial}}, d
}

// arrivals is a listener that notes who comes, and waits for each to leave.
type arrivals struct {
	mu   sync.Mutex
	from []netip.Addr
}

func arrive(t *testing.T, h *netlab.Host, at string) *arrivals {
	t.Helper()
	l, err := h.Listen("tcp", at)
	if err != nil {
		t.Fatal(err)
	}
	a := &arrivals{}
	var running sync.WaitGroup
	running.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			from := netip.MustParseAddrPort(conn.RemoteAddr().String()).Addr().Unmap()
			a.mu.Lock()
			a.from = append(a.from, from)
			a.mu.Unlock()
			fmt.Fprintln(conn, from)
			conn.Close()
		}
	})
	t.Cleanup(func() { l.Close(); running.Wait() })
	return a
}

func (a *arrivals) all() []netip.Addr {
	a.mu.Lock()
	defer a.mu.Unlock()
	return append([]netip.Addr(nil), a.from...)
}

// call connects, and returns where Jira says that the connection comes from.
func call(t *testing.T, e *Egress, connection, target string) (seen string, err error) {
	t.Helper()
	conn, err := e.DialContext(t.Context(), connection, "tcp", target)
	if err != nil {
		return "", err
	}
	defer conn.Close()
	_ = conn.SetReadDeadline(time.Now().Add(10 * time.Second))
	if _, err := fmt.Fscanln(conn, &seen); err != nil {
		t.Errorf("Jira says nothing: %v", err)
	}
	if public := conn.(*Conn).PublicIP(); public != seen {
		t.Errorf("the connection says %s, Jira saw %s", public, seen)
	}
	return seen, nil
}

// expectSources fails the test unless what left, left from these addresses and
// each of them was used.
func expectSources(t *testing.T, packets []netlab.Packet, want ...netip.Addr) {
	t.Helper()
	got := netlab.Sources(packets)
	for _, a := range want {
		if got[a] == 0 {
			t.Errorf("nothing left from %s", a)
		}
		delete(got, a)
	}
	if len(got) != 0 {
		t.Errorf("packets left from %v, want none but from %v", got, want)
	}
}

// to are the packets with an address as their destination, of any kind.
func to(packets []netlab.Packet, a netip.Addr) (list []netlab.Packet) {
	for _, p := range packets {
		if p.Dst.Addr() == a {
			list = append(list, p)
		}
	}
	return list
}
