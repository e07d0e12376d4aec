package netlab

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"time"
)

// Protocol is what a packet carries. Protocols without a constant here are named
// by number, such as "ip-132", and frames of other networks than IP by theirs,
// such as "ethertype-0x88cc".
type Protocol string

// The protocols that tests ask for.
const (
	TCP       Protocol = "tcp"
	UDP       Protocol = "udp"
	ICMP      Protocol = "icmp"
	ICMPv6    Protocol = "icmpv6"    // neighbour discovery too
	Malformed Protocol = "malformed" // headers that end early or contradict themselves
)

// Packet is one packet on a host's interface.
type Packet struct {
	Time     time.Time // when the kernel sent or received it, on the wall clock
	Outgoing bool      // it left the host
	Protocol Protocol
	Src, Dst netip.AddrPort // port 0 for what has none and for later fragments; zero for what is not IP
	SYN      bool           // TCP's request for a connection: SYN without ACK
}

// String returns the packet on one line, for a failing test.
func (p Packet) String() string {
	direction, syn := "in ", ""
	if p.Outgoing {
		direction = "out"
	}
	if p.SYN {
		syn = " SYN"
	}
	return fmt.Sprintf("%s %s %s %s > %s%s", p.Time.Format("15:04:05.000000"), direction, p.Protocol, p.Src, p.Dst, syn)
}

// Sources counts the packets that left, by source address. ICMP and ICMPv6 are
// left out: they are the kernel's own, answers and neighbour discovery. What
// has no readable address is counted under the zero Addr, so that it cannot pass
// unseen.
func Sources(packets []Packet) map[netip.Addr]int {
	counts := map[netip.Addr]int{}
	for _, p := range packets {
		if p.Outgoing && p.Protocol != ICMP && p.Protocol != ICMPv6 {
			counts[p.Src.Addr()]++
		}
	}
	return counts
}

// EtherTypes, from IANA's registry of IEEE 802 numbers.
const (
	etherIPv4 = 0x0800
	etherARP  = 0x0806
	etherIPv6 = 0x86dd
)

const etherHeader = 14 // bytes: two addresses and the EtherType

// parseFrame reads the headers of an Ethernet frame, of which the end may be cut
// off. It reports false for ARP, which is about the segment and not a packet.
func parseFrame(frame []byte) (Packet, bool) {
	if len(frame) < etherHeader {
		return Packet{Protocol: Malformed}, true
	}
	payload := frame[etherHeader:]
	switch kind := binary.BigEndian.Uint16(frame[12:]); kind {
	case etherARP:
		return Packet{}, false
	case etherIPv4:
		return parseIPv4(payload), true
	case etherIPv6:
		return parseIPv6(payload), true
	default:
		return Packet{Protocol: Protocol(fmt.Sprintf("ethertype-%#04x", kind))}, true
	}
}

// parseIPv4 reads a header of RFC 791, section 3.1.
func parseIPv4(b []byte) Packet {
	if len(b) < 20 || b[0]>>4 != 4 {
		return Packet{Protocol: Malformed}
	}
	src, dst := netip.AddrFrom4([4]byte(b[12:])), netip.AddrFrom4([4]byte(b[16:]))
	header := int(b[0]&0x0f) * 4
	if header < 20 || len(b) < header {
		return unported(Malformed, src, dst)
	}
	fragment := binary.BigEndian.Uint16(b[6:])&0x1fff != 0
	return parseTransport(b[9], fragment, b[header:], src, dst)
}

// maxExtensions bounds the extension headers that are followed; more are
// malformed.
const maxExtensions = 8

// parseIPv6 reads a header of RFC 8200, section 3, and the extensions of section 4.
func parseIPv6(b []byte) Packet {
	if len(b) < 40 || b[0]>>4 != 6 {
		return Packet{Protocol: Malformed}
	}
	src, dst := netip.AddrFrom16([16]byte(b[8:])), netip.AddrFrom16([16]byte(b[24:]))
	next, b := b[6], b[40:]
	for range maxExtensions {
		size, fragment := 8, false
		switch next {
		case 0, 43, 60: // hop-by-hop options, routing, destination options
			if len(b) >= size {
				size = (int(b[1]) + 1) * 8
			}
		case 44: // fragment, with an offset but for the first
			fragment = len(b) >= size && binary.BigEndian.Uint16(b[2:])&^7 != 0
		default:
			return parseTransport(next, false, b, src, dst)
		}
		if len(b) < size {
			return unported(Malformed, src, dst)
		}
		next, b = b[0], b[size:]
		if fragment {
			return parseTransport(next, true, b, src, dst)
		}
	}
	return unported(Malformed, src, dst)
}

// parseTransport reads the ports. Later fragments have none.
func parseTransport(number byte, fragment bool, b []byte, src, dst netip.Addr) Packet {
	var protocol Protocol
	var need int // bytes up to what is read
	switch number {
	case 6:
		protocol, need = TCP, 14
	case 17:
		protocol, need = UDP, 4
	case 1:
		protocol = ICMP
	case 58:
		protocol = ICMPv6
	default:
		protocol = Protocol(fmt.Sprintf("ip-%d", number))
	}
	switch {
	case fragment || need == 0:
		return unported(protocol, src, dst)
	case len(b) < need:
		return unported(Malformed, src, dst)
	}
	return Packet{
		Protocol: protocol,
		Src:      netip.AddrPortFrom(src, binary.BigEndian.Uint16(b)),
		Dst:      netip.AddrPortFrom(dst, binary.BigEndian.Uint16(b[2:])),
		SYN:      protocol == TCP && b[13]&0x12 == 0x02, // SYN without ACK (RFC 9293, section 3.1)
	}
}

func unported(protocol Protocol, src, dst netip.Addr) Packet {
	return Packet{Protocol: protocol, Src: netip.AddrPortFrom(src, 0), Dst: netip.AddrPortFrom(dst, 0)}
}
