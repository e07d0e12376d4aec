// Package upstream is the client that calls one server over TLS: HTTP/1.1 by its own
// hand, HTTP/2 by net/http's.
//
// A [Transport] is for one connection's Jira. It dials by the function it is given,
// makes the TLS handshake, and learns from it which protocol the server speaks. Over
// HTTP/1.1 the goroutine that calls writes the request, in one record of TLS where it
// is small, and reads the answer; [net/http.Transport] would hand both to others,
// which takes more processor time than the rest of a call. An idle connection is no
// goroutine, no buffer and no timer of its own.
//
// # Using a connection again
//
// A connection is used again only after its answer was read to the end, no byte beyond
// that had come, and neither side had said that it is the last (RFC 9112 section 9.3).
// Before it is, it is read once without waiting: one that the server has closed is
// dropped before anything is sent by it, and so is one on which something was said
// unasked, which might be taken for the next answer (response smuggling). That is done
// each time, however short the connection was idle: it costs one system call, and what
// it finds nothing else would. The request is written right behind that, and the wait for
// the answer is that of the look: nothing is read once more in between, and nothing that
// comes meanwhile is missed.
//
// # Sending again
//
// A request is sent again only if it is a read without a body, by a connection that was
// used before, and no byte of an answer has come (RFC 9110 section 9.2.2). Anything else
// is sent once.
//
// # Protocols
//
// While it isn't known what the server speaks, or it speaks HTTP/2 and there is no
// connection, calls wait for the first one's handshake, so that HTTP/2 takes one socket
// and not one for each. Should that fail, each of the others tries for itself. A server
// may speak another protocol with each handshake: the latest one counts.
//
// The package knows HTTP and TLS only, neither connections nor credentials.
package upstream
