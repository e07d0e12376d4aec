// Package oauth keeps the access tokens of Jira Cloud connections alive.
//
// Start with [New] and [Manager.AccessToken], which returns the token to inject
// into a call, and renews it early, once for all callers, where it is about to
// end. [Store] is what it needs of tokenstore.
//
// # Incarnations
//
// A token is asked for, renewed and stored for one incarnation of a connection,
// and never crosses over to another: who asked for it has resolved where the
// incarnation leads, and the next one may lead to another Jira. Callers share a
// refresh with their own incarnation only, and a new pair is stored if the
// credential is still the one that was exchanged.
//
// # Rotation
//
// Atlassian replaces the refresh token at each use. The old one may be used
// again for 10 minutes; after that its use ends the whole grant, and a person
// must consent anew
// (https://developer.atlassian.com/cloud/oauth/getting-started/refresh-tokens;
// the leeway: https://community.developer.atlassian.com/t/54172). Hence:
//
//   - One refresh at a time for each incarnation of a connection, carried through
//     although the callers that asked for it go away.
//   - The new pair is on disk before anyone gets its access token. A pair that
//     could not be stored is kept, and storing it is tried again first.
//   - A refresh without a clear answer is repeated with the old token, by the
//     Manager itself if need be, while the leeway lasts.
//   - Only the error "invalid_grant" in the answer's body ends a grant: the
//     connection becomes needs_reauthorisation, if the refused credential is still
//     its own, and Atlassian isn't asked again. Everything else is taken to pass,
//     and backed off.
//
// Tokens are opaque: nothing here looks into one.
//
// # Caveats
//
// A crash between Atlassian's answer and the store's commit loses the new pair.
// The stored refresh token still works if the program comes back, and the
// connection is called, within the leeway. So it is for a connection that is made
// to lead elsewhere while its token is renewed, and takes the old pair along.
//
// The package knows no backend of the store, and how the token endpoint is
// reached is the business of the transport that it is given.
package oauth
