// Package consent takes the administrator of a customer's Jira through a consent,
// in the browser.
//
// [NewInvitation] makes the link that an operator sends to the customer. [New]
// makes the [Flow] behind it, which serves the four paths below /oauth/:
//
//	GET  /oauth/start     the link: on to the authorization server
//	GET  /oauth/callback  back from there: the consent is stored, the connection tested
//	POST /oauth/site      the answer to the one question that may be left: which site
//	GET  /oauth/style.css the look of the pages
//
// Every way that this can end is a page of its own, made of an ending with a stable
// code. The pages need no script, and no cookie but one.
//
// # What holds a consent together (RFC 9700 sections 2.1 and 4)
//
// The invitation is 256 random bits, of which the store knows the digest. Opening
// the link doesn't use it up, because programs that look for evil in mail do so.
// The state of a request for consent is good for ten minutes, once, whoever brings
// it, and only in the browser that began: that one has a cookie. An answer that is
// taken is therefore one to a question that this browser asked, about a connection
// that somebody here invited it to.
//
// # An invitation is used once
//
// It is withdrawn after everything that the customer can get wrong, and before the
// connection changes: of all who try at once, the store lets one through. Should
// the change then fail, for reasons that are ours, the invitation is put back,
// unless the connection or its invitation is another by now. A crash in between
// costs the link: an operator makes a new one. The other order would let a link be
// used twice.
//
// # Caveats
//
// What waits for a browser is in memory: after a restart the customer opens the link
// again.
//
// The package knows neither how consents are asked for nor how they are stored:
// see [Consenter]. No page, log or record holds an invitation, a state, a code or
// anything else of a credential.
package consent
