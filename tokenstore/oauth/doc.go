// Package oauth keeps grants alive: those of Jira Cloud, and of Jira Data Center
// as an OAuth 2.0 provider. And it obtains them, by consent, for application links
// of OAuth 1.0a, too.
//
// Start with [New]. [Manager.AccessToken] gives the token to inject into a call,
// [Manager.Renew] another one when Jira has refused it. [Manager.Run] renews what
// is used and uses what would lapse, so that calls need not wait and grants last.
// [Manager.BeginConsent], [Manager.FinishConsent] and [Manager.Connect] are the
// three legs of a consent; [Manager.Revoke] ends a grant, and [Manager.Status]
// tells of it. [Store] is what all of this needs of tokenstore.
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
// the leeway: https://community.developer.atlassian.com/t/54172). Data Center
// replaces it, too, and documents no leeway. Hence:
//
//   - One refresh at a time for each incarnation of a connection, in the whole fleet
//     of gateways that share the store, carried through although the callers that
//     asked for it go away: see Claims.
//   - That a refresh token will be sent is noted in the store before it is. The note
//     ends with the new pair, in one transaction, or when it is certain that the
//     token was not exchanged. While it stands the rotation is ambiguous, and
//     repeated with the same token until there is a clear answer: by the Manager
//     itself, at once when the program comes back, within the leeway at the pace of
//     any other failure, and slowly after it, since there is nothing to lose.
//   - The new pair is stored before anyone gets its access token. A pair that
//     could not be stored is kept, and storing it is tried again first.
//   - Only the error "invalid_grant" in the answer's body ends a grant: the
//     connection becomes needs_reauthorisation, if the refused credential is still
//     its own, and nobody is asked again. Everything else is taken to pass, and
//     backed off.
//
// Tokens are opaque: nothing here looks into one.
//
// # Claims
//
// With the note the Manager takes the claim of the rotation (tokenstore.Claim). Who
// finds that another gateway has it waits, and as a rule finds a fresh token then.
// The refresh token leaves only while the claim is certainly held, which is looked
// at when the transport reads it; a request that is under way when the claim lapses
// is given up. A new pair is stored under the claim's fence: a gateway that was
// paused, or cut off from the store, for so long that another has taken over stores
// nothing and condemns nothing. If none has, its pair is stored: it would be lost
// otherwise. A refresh whose answer is lost gives its claim up and leaves the note,
// so that any gateway may repeat it; one whose pair could not be stored keeps it.
//
// # Clocks
//
// A refresh token lapses when it isn't used for 90 days, and a grant of Cloud ends
// 365 days after the consent. Both are stored with the credential
// (tokenstore.Credential) and announced before they come. Expiries are compared
// with the clock on the wall, and beside it with one that can't be set, as far as
// a token was obtained by this process.
//
// # Caveats
//
// What a crash between the answer and the store's commit loses can be had again
// within the leeway only. So it is for a connection that is made to lead elsewhere
// while its token is renewed, and takes the old pair along. A request that is on its
// way when the claim of it lapses can be given up, but not called back: an
// authorization server that takes it up after the next holder's has replaced what
// that one stores.
//
// The package knows no backend of the store, and how authorization servers are
// reached is the business of the transport that it is given.
package oauth
