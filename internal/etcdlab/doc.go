// Package etcdlab is a real etcd cluster for tests: one or three members, each a
// process of its own that can be killed, paused and cut off, on loopback addresses. It
// is for proving what a store on etcd does when its cluster is in trouble.
//
// [Start] makes a cluster with TLS, and with etcd's own users and roles where they are
// asked for, and ends it with the test. [Cluster.Client] is a client for the test
// itself. What is under test gets [Cluster.Endpoints], or, to have its connections and
// nobody else's disturbed, those of a [Link].
//
//	c := etcdlab.Start(t, etcdlab.Options{Auth: true, NoFsync: true})
//	link := c.Link(t)
//	gateway := start(t, link.Endpoints(), c.CAFile(), c.User(), c.Password())
//	link.Cut()          // the gateway's connections go dead without a word
//	c.Leader().Pause()  // the others elect another one
//
// # What runs where
//
// A cluster takes a random network 127.A.B.0/24 for itself. Member N is at 127.A.B.1N,
// with etcd's usual ports, 2379 for clients and 2380 for peers, which no system gives to
// outgoing connections: so a member that is started again finds its ports free. Links
// listen at the members' addresses too, from port 2400 on, and the members'
// certificates serve for them.
//
// Peers advertise names that no resolver knows (RFC 6761, section 6.4), and every
// member has an HTTPS_PROXY, which is a [jiragate/internal/netlab.ServeConnect] of the
// lab. That is how the lab knows who dials whom, and why [Member.CutPeers] works in both
// directions: of an address that everybody is told, one can't tell who calls.
//
// # What it needs
//
// Linux: other systems have no whole 127.0.0.0/8, and no signal for orphans. The member
// is the nested module in member, built once and kept in the user's cache directory
// (jiragate-etcdlab, by the hash of the module and the version of Go; it may be
// deleted). The first build needs the go command and etcd's modules, and takes a minute
// or two. Nothing is ever skipped.
//
// The package is for tests alone. It knows nothing of what is stored.
package etcdlab
