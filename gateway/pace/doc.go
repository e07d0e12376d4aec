// Package pace keeps customers from starving one another, and the gateway from
// pressing a Jira that asks for rest. A call passes it before it goes out, and
// what Jira's answer says comes back to it.
//
// Start with [New], [Pacer.Enter], [Pass.Leave], and [ReadSignal] with
// [Pacer.Heed]. A call is looked at in this order: pauses that Jira has asked for,
// its connection's request budget, its connection's share of the app's points, a
// free slot. A call that is refused has used up nothing. One that got its slot
// looks once more for pauses when it goes out ([Pass.Ready]), pays again for a
// repetition ([Pass.Again]), and gives back what it paid if it is not sent
// ([Pass.Cancel]).
//
// # Pauses
//
// A 429 pauses what it is about, for as long as it says, at most an hour (see
// [Reach]). So does an answer of Data Center that spent the user's last token: its
// Retry-After is more than 0 only then. A 503 pauses nothing: it may be about one
// endpoint, and says nothing of limits. Options.Paused and [Pacer.Pause] carry pauses
// from one gateway to the others of the same connections.
//
// # The app's points
//
// Atlassian counts points for the whole app, over all its customers, by the UTC
// hour (https://developer.atlassian.com/cloud/jira/platform/rate-limiting/). The
// hour's points are in three heaps, and each is measured against the part of the
// hour that is left:
//
//   - Shares. 90 % of the hour's points, divided evenly among the connections
//     known, belong to them alone. What is left of a share is what was not used
//     of it, but no more than the part that belongs to the rest of the hour,
//     which is cut off every ten seconds. A call that weighs no more than what is
//     left is never refused on account of others. So a connection that uses its
//     share evenly is served, but for the rest at the hour's end that does not
//     pay for a whole call; and none of this holds of a call that weighs more
//     than what is left of the share: it depends on what is free. Shares shrink
//     only when connections come new, and while Jira tells of less than was
//     counted here.
//   - The reserve. 10 %, shrinking evenly to nothing at the hour's end, are for
//     connections that come new. Such a one may take of it at once, as long as it
//     leaves as much as it has taken, and gets a share within ten seconds, if need
//     be out of half the reserve.
//   - What is free: what shares and reserve hold beyond the part of the hour that
//     is left, and what nobody owned. Every ten seconds half of it is offered to
//     whoever asks for more than its share, first to those that have had least
//     this hour (max-min fairness). The other half stays for those that come
//     later, so who comes ten seconds late finds as much as was taken.
//
// So one connection alone can use 90 % of the hour's points as fast as it likes,
// and nearly all the rest by the hour's end. What goes out never exceeds the
// hour's points, as far as [Weight] estimates them.
//
// # Bounds
//
// A connection that made no call for an hour is forgotten, its share with it. At
// most 65,536 are known; a call of one more is refused ([ReasonTooMany]) until
// one is forgotten.
//
// # Caveats
//
//   - The count is this process's own. One that starts within an hour takes the
//     part of the points that belongs to the time before as used, but never more
//     than nine tenths. Several gateways of one app must divide the points among
//     them.
//   - What Jira tells of the app's remainder is taken over where it is less: what
//     it said last, until the time that it names; for a minute if it names none. A
//     remainder of nothing stops all calls of the app for that long
//     ([ReasonAppPaused]), unless one that is under way brings another. That there is
//     nothing left is told to other gateways, as a pause is; how much there is, is not.
//   - Points are counted in the hour in which a call entered.
//   - The hour is the wall clock's; pauses and waits are not disturbed if it is set.
//
// The package knows nothing of HTTP messages but header fields, and nothing of
// policy but the ids of operations.
package pace
