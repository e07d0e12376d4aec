// Package certs is the gateway's certificate authority: it answers an
// intercepted TLS handshake with a certificate for the host that the client
// asked for, and for no other host than those of the connections.
//
// Start with [Open], which reads the root of a data directory or makes it at
// first start, [Authority.SetHosts] or [Authority.Permit], which says for whom
// certificates may be made, and [Authority.Leaf], which gives a TLS server its certificate.
//
// # Three levels
//
//   - The root is what clients trust (ca.pem). It is made per installation, or
//     brought by the operator with [Import]. Its key signs intermediates only;
//     at rest it is sealed, in memory it exists for the moment of a signature.
//   - Intermediates live for 30 days at most and in memory only, one a host, made
//     with the host's first leaf. Critical name constraints (RFC 5280, section
//     4.2.1.10) tie each to its host: a stolen intermediate key can pose as
//     nothing else, and a client, which sees the chain of the host that it
//     called, learns of no other connection.
//   - Leaves live for 7 days at most and name one host.
//
// What a host has, leaf and intermediate, is cached and dropped as one: when
// the host leaves the set, or when more hosts are in use than the cache holds.
//
// # Files
//
// ca-key.pem (mode 0600) holds the root's certificate and its sealed key, and
// is the truth; ca.pem (mode 0644) is a copy of the certificate for clients to
// read. Both are replaced atomically, ca-key.pem first: a crash between the two
// leaves a missing or old ca.pem, which [Open] writes again. Everything else that does
// not fit together is reported, never repaired by making a new root.
//
// When the sealer's keys are changed, [Authority.Reseal] seals the root's key
// under the present one, in ca-key.pem and in memory. [SealedUnder] tells which
// keys are needed.
//
// # Rotation
//
// Clients must trust a root before it signs. [Authority.Prepare] makes the next one, in
// ca-next-key.pem, and has ca.pem hold both, the present one first, so that whatever
// distributes that file distributes both; ca-next.pem has the next one alone.
// [Authority.Rotate] gives ca-next-key.pem the name ca-key.pem, which is the one moment
// that decides, overwrites what the old one held, and leaves the new root alone in ca.pem.
// No old certificate is kept: nothing is signed under it any more, and nothing can be.
//
// There is no cross certificate by which the old root would vouch for the new one, to
// clients that trust the old one alone. Roots have a path length of one, and so such a
// chain, with the new root between the old one and an intermediate, is refused. Without
// that limit, or with intermediates that both roots sign, whoever has the old key could
// still pose as any site to all clients, which rotation is to end.
//
// # Caveats
//
// Name constraints permit a host's subdomains as well as the host itself: RFC
// 5280 has no form for one DNS name alone.
//
// Two processes must not make or import a root in one directory at the same
// time; the lock of the store, which lies in the same directory, sees to that.
//
// The package knows nothing of connections, stores or HTTP.
package certs
