// Package notify tells the product when the state of a connection has changed,
// by signed webhooks, so that the product can tell its customer.
//
// Start with [New] and [Notifier.Run]. [Store] is what it needs of tokenstore.
//
// # What is sent
//
// There is no queue of events. The store remembers which state of each
// connection the product has acknowledged (tokenstore.Announcement), and the
// Notifier sends the present state of every connection where that is another
// one. A state is told apart by its name, by when it began, and by the
// incarnation of the connection; a new reason alone is not sent. It follows that
//
//   - nothing is lost while the gateway or the receiver is down, for however long;
//   - a state is sent at least once, always with the same webhook-id, and in a
//     rare case again after it was acknowledged: if the gateway ends before that
//     is on disk;
//   - of states that passed in the meantime only the last is sent;
//   - states of one connection are sent one after the other, the next when the
//     last attempt has ended. A receiver that is slower than the timeout of an
//     attempt may still see them in another order, and tells by "since";
//   - a new connection is sent in whatever state it begins, and all connections
//     once when webhooks are switched on: the product starts with a whole picture;
//   - a connection that leads elsewhere now is sent as a new one is, without a
//     previous state. Removal is not sent: whoever removes a connection asked for
//     it, and what was announced goes with it.
//
// Of gateways that share a store one at a time is on duty and tells (Options.OnDuty). One
// that comes on duty asks the store what was told, so nothing is lost when they change;
// what was being told then may be told twice, with the same webhook-id.
//
// A message is the JSON form of [Message], posted as Standard Webhooks has it
// (https://www.standardwebhooks.com, specification 1.0.0), under symmetric
// signatures (v1, HMAC-SHA256).
//
// # Retries
//
// 2xx acknowledges. Any other answer, and none at all, leads to another attempt,
// without end while there is something to tell: each connection waits for itself,
// twice as long after each failure, up to an hour. What says that the endpoint as
// a whole has a problem (no answer, a redirect, 408, 410, 429, from 501 on) makes
// all wait, up to a minute, and then one go first; 410 Gone makes all wait for a
// day. Retry-After is obeyed up to an hour. Starting the gateway again ends every
// wait.
//
// # What it may not know
//
// The package knows no backend of the store, and nothing of how calls are made or
// connections administered. Nothing secret is in a message. Of the receiver's
// answers only status and Retry-After are used, and only the status is logged.
// The endpoint is the product's own and is reached as the system routes, not from
// the published egress addresses. Its URL may hold a token: it is never logged.
package notify
