// Package signin finds out who a browser is of, for the console: by OpenID Connect,
// by the admin token, or both.
//
// Start with [New]. A [Signin] serves the paths that it [Signin.Serves]:
//
//	GET  /console/signin           the page, by Options.Show
//	POST /console/signin           the admin token
//	GET  /console/signin/oidc      on to the provider
//	GET  /console/signin/callback  back from there
//	POST /console/signout          the end of the session
//
// Pages of the console ask [Signin.Session] who is there, and [Signin.CheckCSRF]
// whether a form is their own.
//
// # What holds a sign-in together (OpenID Connect Core 1.0 section 3.1, RFC 9700)
//
// The code flow, with PKCE (RFC 7636, S256), a state and a nonce. The state is good
// for ten minutes, once, whoever brings it, and only in the browser that began: that
// one has a cookie. Everything about the ID token is checked: signature by an
// asymmetric algorithm, issuer, audience, authorised party, expiry, nonce. What the
// provider gave is dropped when it has been read; nothing of it outlives the request.
//
// # Names
//
// Records name somebody "operator:oidc:ada@example.com" if the provider says that it
// has verified the address, and "operator:oidc:sub:248289761001" otherwise: an address
// that is not verified, a preferred_username and a name are what people say of
// themselves, and could be somebody else's. No address has a colon, so neither form
// can be taken for the other, nor for "operator:admin-token" or "operator:root".
//
// # Sessions
//
// They are in memory, and end with the process, after 30 minutes without use, and
// after 12 hours. The cookie holds 256 random bits, of which the digest is kept; each
// sign-in gets new ones. Cookies are SameSite=Lax, not Strict: with Strict, a browser
// that the provider sends back, or that follows a link from a chat, would come as a
// stranger. What changes something is a POST with a CSRF token all the same.
//
// # Guessing the admin token
//
// Ten wrong tokens are free for an address, and then one each ten seconds; all
// addresses together have a hundred, and then ten a second. Nobody is locked out for
// longer than that, but behind a reverse proxy all addresses are one, and somebody who
// never stops trying could take every turn. So a browser that has signed in with the
// token before has turns of its own, known by a cookie; and the admin API and the
// commands have no such limit.
//
// # What it may not know
//
// It renders no pages, and knows neither connections nor calls.
//
// # Caveats
//
// The role is that of the moment of the sign-in: somebody who loses it at the provider
// keeps it here until the session ends. Signing out here is none at the provider.
// Cookies have no ports: over plain http, which is for this machine only, another
// program of this machine that somebody's browser visits gets them, too.
package signin
