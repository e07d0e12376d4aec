// Package egress opens the sockets on which calls leave for Jira. A socket
// leaves from one of the region's egress addresses, to an address that was
// judged at the moment of connecting, or it is not opened at all: there is no
// other route to fall back to (guarantee G8).
//
// Start with [ParseAddresses] and [ParseAllowPrivate], which read the
// configuration, [New], and [Egress.DialContext], which is made to be the
// DialContext of an [net/http.Transport]. [Egress.DialFrom] leaves from one address,
// to find out what the other side sees. [Classify] names what an address is.
//
// # Where from
//
// An egress address is bound locally, or a static-IP provider's proxy is asked
// for the connection ([Proxy]): by CONNECT over TCP or TLS, or by SOCKS5.
// Rendezvous hashing ranks the addresses for each connection (a customer's Jira),
// so that a customer sees one stable address, and adding or removing an address
// moves only the connections that must move. Which addresses are in use at a time is
// for [Options].InUse to say: one that is not is never dialled from.
//
// A failing address is passed over for a while: by everybody when it cannot be
// bound or its proxy fails, by one connection when only that connection's Jira did
// not answer it. A proxy that fails is not asked until its cool-down is over, and
// then by one dial alone; each failure doubles the cool-down, up to two minutes.
//
// # Where to
//
// Only global unicast addresses may be dialled. Each address of a DNS answer
// is judged when the name is resolved, and the address given to connect(2) is
// judged again inside the socket's control hook. An answer may mix allowed and
// forbidden addresses, as a rebinding attack does and as split-horizon DNS
// does too: the forbidden ones are dropped and logged, the others are tried. A
// proxy is asked for the judged address, never for a name.
//
// # Caveats
//
//   - DNS queries are not bound to an egress address, nor are connections to
//     proxies. They go to the system's resolver and to the provider, not to the
//     customer.
//   - That a proxy calls from the address that its provider promised is not seen
//     here; package echo finds out.
//   - Through a proxy the address is judged once, when the name is resolved: what
//     the proxy is asked for is that address itself.
//   - NAT64 with a network-specific prefix (RFC 6052, section 2.2) looks like any
//     global IPv6 address. Where the gateway's network translates that way, only a
//     firewall can keep it from internal IPv4 hosts.
//   - Where net.ipv4.ip_nonlocal_bind is set, the system binds addresses it does
//     not have, so New cannot tell that one is missing; calls then time out. They
//     still do not leave from another address.
//   - Proxy settings in the environment are neither read nor obeyed.
//
// The package knows nothing of calls, Jira's credentials or policy.
package egress
