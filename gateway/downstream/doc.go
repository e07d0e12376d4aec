// Package downstream is a server of HTTP/2 (RFC 9113) for connections that somebody else
// has accepted, made the TLS handshake of and found to speak it.
//
// A [Server] has an [net/http.HandlerFunc] for each connection, which is given the same
// requests as net/http's server would give it. Frames are read by x/net/http2's Framer,
// headers compressed and unpacked by its hpack.
//
// # Goroutines
//
// One goroutine for each connection reads frames and answers what is the connection's own
// business. Each request is served by one of its own; at most MaxStreams run at a time, those
// included whose stream was reset. Nobody is there to write: what is to be sent is added to
// a batch under the connection's lock, and who finds nobody writing writes it, with what
// others have added. So many answers leave in one record of TLS. The end of an answer is said
// when its handler has ended. A connection without
// streams sleeps: its goroutine waits for the socket on a small stack, and keeps the tables
// of header compression only.
//
// # Bounds
//
// Bodies are taken up to ReceiveBuffer for the whole connection, and the client may send
// more as handlers read. What is gathered for it is 64 KiB, once while it is being written
// and once more; a handler that has more waits, as it does for the client's windows. A client
// that makes the server say more than it reads (PING, SETTINGS, faults) is not read any
// further until it does. One that takes nothing for WriteTimeout is cut. Who gives requests
// up faster than their handlers notice is told to calm down, and cut.
//
// # Caveats
//
// A setting that HTTP/2 clients may send twice is taken twice. Priorities change nothing:
// answers take turns. There is no push, no extended CONNECT, no informational answer but
// 100, no trailers of answers, and no guessing of Content-Type. Expect stays in a request's
// header, so that a handler can leave the body unasked for. Request.TLS is nil: whoever
// hands a connection over knows of its handshake, and is to allow no version and no cipher
// suite that HTTP/2 doesn't (section 9.2).
package downstream
