// Package handover lets one process of a program take over from another: the sockets
// that it listens to, then the work, then the connections that are open.
//
// The two talk by a [Line], a socket pair that only they have. [Start] starts the
// successor and returns the predecessor's end; the successor finds its own with
// [Inherited]. Either sends what is JSON, with open files beside it.
//
//	predecessor                         successor
//	Sockets + files            ──▶
//	                           ◀──      Prepared: it could start
//	  … ends its work …
//	Released                   ──▶
//	                           ◀──      Serving, or Failed
//	Connection + file, …       ──▶
//	Done                       ──▶
//
// At Withdrawn, or the end of the line, before Released the successor just ends.
//
// The package knows nothing of what is handed over.
package handover
