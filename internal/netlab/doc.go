// Package netlab is a network for tests: hosts with addresses of their own, on
// one Ethernet segment, and the machines that an outbound gateway meets there.
// It is for proving what leaves a gateway, from which address and to where.
//
// On Linux [New] makes a lab and [Lab.Host] puts a host into it: a network
// namespace of the kernel with the given addresses. [Host.Start] runs a process
// in a host, [Host.Listen] and [Host.DialContext] give the test itself sockets
// there, and [Host.Capture] is the judge: it sees every packet that leaves or
// enters the host. [Host.RemoveAddress] takes an address away while calls run.
//
// On every system there are doubles, each on any listener, so of the loopback
// interface or of a lab's host: [ServeConnect] and [ServeSOCKS5] are forward
// proxies as providers of static addresses run them, which [Proxy.Misbehave]
// makes fail in many ways; [ServeDNS] is a name server whose answers change
// between lookups; [NewCertificate] is what a proxy behind TLS shows.
//
// # Public addresses
//
// Nothing in a lab reaches the machine's network or the internet, and every
// address is on the one segment, whatever its prefix. So hosts can bear the very
// addresses that matter, a gateway 52.54.159.237/32 and a Jira 104.192.141.1/32,
// and the code under test needs no permission for private ones.
//
// # What a lab needs
//
// Root (CAP_SYS_ADMIN, CAP_NET_ADMIN and CAP_NET_RAW), a kernel with bridges and
// veth pairs, a writable /proc/sys/net, and the ip command of iproute2. Where one
// is missing, New skips the test and says which; where [RequireVariable] is set
// in the environment, it fails the test instead.
//
// # Caveats
//
// A namespace belongs to threads, and Go moves goroutines between threads. Inside
// [Host.Run] only what the calling goroutine itself opens is in the host. What
// net/http or a resolver opens in goroutines of its own is not; start a process
// for those.
//
// Namespaces have no names, so `ip netns list` does not show them, and they end
// with the test process even if it is killed.
//
// The package is for tests alone and imports no other package of this module.
package netlab
