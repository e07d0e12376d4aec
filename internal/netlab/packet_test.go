package netlab

import (
	"encoding/binary"
	"encoding/hex"
	"net/netip"
	"strings"
	"testing"
)

// frame builds an Ethernet frame from hexadecimal, spaces and line ends ignored.
func frame(t testing.TB, ethertype string, payload ...string) []byte {
	t.Helper()
	text := "020000000001" + "020000000002" + ethertype + strings.Join(payload, "")
	b, err := hex.DecodeString(strings.ReplaceAll(text, " ", ""))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

const (
	ipv4TCP  = "45000028 00000000 40060000 0a000005 0a000009"
	ipv4UDP  = "45000028 00000000 40110000 0a000005 0a000009"
	ipv6Head = "60000000 0014"
	ipv6Ends = "40 260000000000000000000000000000 05 260000000000000000000000000000 09"
	tcpSYN   = "a000 01bb 00000000 00000000 5002 ffff 00000000"
	tcpACK   = "a000 01bb 00000000 00000000 5012 ffff 00000000"
)

func TestParseFrame(t *testing.T) {
	v4, v6 := [2]string{"10.0.0.5:40960", "10.0.0.9:443"}, [2]string{"[2600::5]:40960", "[2600::9]:443"}
	none4, none6 := [2]string{"10.0.0.5:0", "10.0.0.9:0"}, [2]string{"[2600::5]:0", "[2600::9]:0"}
	tests := []struct {
		name     string
		frame    []byte
		protocol Protocol
		ends     [2]string
		syn      bool
	}{
		{"SYN", frame(t, "0800", ipv4TCP, tcpSYN), TCP, v4, true},
		{"SYN with ACK opens nothing", frame(t, "0800", ipv4TCP, tcpACK), TCP, v4, false},
		{"UDP", frame(t, "0800", ipv4UDP, "a000 01bb 0008 0000"), UDP, v4, false},
		{"IPv4 with options", frame(t, "0800", "46000028 00000000 40060000 0a000005 0a000009 01010101", tcpSYN), TCP, v4, true},
		{"first fragment", frame(t, "0800", "45000028 00002000 40060000 0a000005 0a000009", tcpSYN), TCP, v4, true},
		{"later fragment, whose bytes are no ports", frame(t, "0800", "45000028 00002001 40060000 0a000005 0a000009", tcpSYN), TCP, none4, false},
		{"ICMP", frame(t, "0800", "4500001c 00000000 40010000 0a000005 0a000009 0800"), ICMP, none4, false},
		{"SCTP", frame(t, "0800", "4500001c 00000000 40840000 0a000005 0a000009", tcpSYN), "ip-132", none4, false},
		{"TCP cut off before its flags", frame(t, "0800", ipv4TCP, "a000 01bb"), Malformed, none4, false},
		{"header length below the minimum", frame(t, "0800", "44000028 00000000 40060000 0a000005 0a000009", tcpSYN), Malformed, none4, false},
		{"header length beyond the end", frame(t, "0800", "4f000028 00000000 40060000 0a000005 0a000009"), Malformed, none4, false},

		{"IPv6", frame(t, "86dd", ipv6Head, "06", ipv6Ends, tcpSYN), TCP, v6, true},
		{"neighbour discovery", frame(t, "86dd", ipv6Head, "3a", ipv6Ends, "8700"), ICMPv6, none6, false},
		{"hop-by-hop options", frame(t, "86dd", ipv6Head, "00", ipv6Ends, "0600000000000000", tcpSYN), TCP, v6, true},
		{"two extensions", frame(t, "86dd", ipv6Head, "3c", ipv6Ends, "2b01 000000000000 0000000000000000", "0600000000000000", tcpSYN), TCP, v6, true},
		{"first fragment, IPv6", frame(t, "86dd", ipv6Head, "2c", ipv6Ends, "0600000100000000", tcpSYN), TCP, v6, true},
		{"later fragment, IPv6", frame(t, "86dd", ipv6Head, "2c", ipv6Ends, "0600000800000000", tcpSYN), TCP, none6, false},
		{"extension beyond the end", frame(t, "86dd", ipv6Head, "00", ipv6Ends, "06ff000000000000", tcpSYN), Malformed, none6, false},
		{"extensions without end", frame(t, "86dd", ipv6Head, "00", ipv6Ends, strings.Repeat("0000000000000000", 20)), Malformed, none6, false},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			got, ok := parseFrame(test.frame)
			want := Packet{Protocol: test.protocol, Src: netip.MustParseAddrPort(test.ends[0]), Dst: netip.MustParseAddrPort(test.ends[1]), SYN: test.syn}
			if !ok || got != want {
				t.Errorf("%v, %v; want %v", got, ok, want)
			}
		})
	}
}

func TestParseFrameWithoutAddresses(t *testing.T) {
	tests := []struct {
		name     string
		frame    []byte
		protocol Protocol
	}{
		{"empty", nil, Malformed},
		{"no payload", frame(t, "0800"), Malformed},
		{"IPv6 that says it is IPv4", frame(t, "0800", ipv6Head, "06", ipv6Ends, tcpSYN), Malformed},
		{"IPv4 that says it is IPv6", frame(t, "86dd", ipv4TCP, tcpSYN, tcpSYN), Malformed},
		{"LLDP", frame(t, "88cc", "0207"), "ethertype-0x88cc"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			got, ok := parseFrame(test.frame)
			if want := (Packet{Protocol: test.protocol}); !ok || got != want {
				t.Errorf("%v, %v; want %v", got, ok, want)
			}
			got.Outgoing = true
			if counts := Sources([]Packet{got}); counts[netip.Addr{}] != 1 {
				t.Errorf("the judge does not see it: %v", counts)
			}
		})
	}
	if got, ok := parseFrame(frame(t, "0806", "0001080006040001")); ok {
		t.Errorf("ARP is a packet: %v", got)
	}
}

// FuzzParseFrame: what is read of a frame is what is in it. A frame built from
// the packet reads the same, and no cut-off end makes another address of it.
func FuzzParseFrame(f *testing.F) {
	f.Add(frame(f, "0800", ipv4TCP, tcpSYN), 3)
	f.Add(frame(f, "86dd", ipv6Head, "06", ipv6Ends, tcpACK), 20)
	f.Add(frame(f, "86dd", ipv6Head, "2c", ipv6Ends, "0600000800000000", tcpSYN), 1)
	f.Add(frame(f, "0806", "0001"), 0)
	f.Fuzz(func(t *testing.T, b []byte, cut int) {
		p, ok := parseFrame(b)
		if ok != (len(b) < 14 || binary.BigEndian.Uint16(b[12:]) != 0x0806) {
			t.Fatalf("kept: %v", ok)
		}
		if (p.Protocol == TCP || p.Protocol == UDP) && p.Src.Port() != 0 {
			if again, _ := parseFrame(buildFrame(p)); again != p {
				t.Errorf("%v was rebuilt as %v", p, again)
			}
		}
		if cut >= 0 && cut <= len(b) {
			short, ok := parseFrame(b[:len(b)-cut])
			if ok && short.Src.IsValid() && (short.Src.Addr() != p.Src.Addr() || short.Dst.Addr() != p.Dst.Addr()) {
				t.Errorf("%v, cut off %v", p, short)
			}
			if ok && short.Protocol != Malformed && short != p {
				t.Errorf("%v, cut off %v", p, short)
			}
		}
	})
}

func buildFrame(p Packet) []byte {
	number := byte(17)
	if p.Protocol == TCP {
		number = 6
	}
	b := make([]byte, 12)
	if p.Src.Addr().Is4() {
		b = append(b, 0x08, 0x00)
		b = append(b, 0x45, 0, 0, 40, 0, 0, 0, 0, 64, number, 0, 0)
	} else {
		b = append(b, 0x86, 0xdd)
		b = append(b, 0x60, 0, 0, 0, 0, 20, number, 64)
	}
	b = append(b, p.Src.Addr().AsSlice()...)
	b = append(b, p.Dst.Addr().AsSlice()...)
	b = binary.BigEndian.AppendUint16(b, p.Src.Port())
	b = binary.BigEndian.AppendUint16(b, p.Dst.Port())
	rest := make([]byte, 16)
	if p.SYN {
		rest[9] = 0x02
	}
	return append(b, rest...)
}
