// Package applink is the client side of Jira's application links with OAuth 1.0a
// (RFC 5849): how the gateway becomes a consumer of a customer's Jira Data Center
// or Server, and signs its calls there.
//
// The administrator of Jira makes an incoming application link out of a
// [Consumer]'s key and [PublicKey]. [RequestToken] begins the dance: the person
// whose account is to be used is sent to [Request].AuthorizeURL and comes back
// to the callback with a verifier, which [AccessToken] turns into the token that
// [Sign] signs calls with from then on. Jira refuses calls with a problem, which
// [Problem] reads.
//
// Signatures are RSA-SHA1, the only method that Jira offers to links. There is
// no secret that both sides know: the token secrets of OAuth 1.0a have no part in
// RSA signatures and are not kept. Atlassian's tutorial on all this:
// https://developer.atlassian.com/server/jira/platform/oauth/.
//
// The package knows nothing of connections, stores or calls, and holds no state:
// everything is safe for concurrent use. No error of it, and nothing that it
// returns but what is meant for it, holds a key, a token, or a word of what Jira
// answered that is not on the list of [Problem].
package applink
