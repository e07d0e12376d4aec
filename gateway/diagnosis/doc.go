// Package diagnosis names why the customer's side says no: from the status, the
// header and the beginning of the body of an answer that is on its way to the
// client.
//
// Start with [Of], which is a pure function, and [Reason.Advice], which says
// whose administrator has to change what. [SeenAddress] tells from which address
// the call arrived, where a page names it.
//
// # What counts
//
// Error statuses alone are looked at, and Jira's own words only where they
// cannot be a client's: an error answer may repeat what the client sent ("errors"
// of Jira's ErrorCollection, a quoted value in a message). A message therefore
// counts as a whole or not at all, and of a JSON object only the members in which
// Jira puts messages of its own are read. Of a page it is title, headings and the
// marks of its maker.
//
// The answer of Jira is believed before that of something in front of it: pages
// of proxies and firewalls count only if no header field of Jira's is there.
//
// When in doubt the reason is empty. A 401 is: whether the credential is no good is
// for those to judge who know it. So is a 404 of Jira's, which it gives as well for
// what the account may not see.
//
// # Caveats
//
//   - Jira words most of its refusals in the language of the account, and they are
//     known in English here. In Data Center a refusal of the account is recognised
//     in every language, since Seraph's header says that the login was good.
//   - Some firewalls (F5's by default) refuse with the status 200.
//   - An address that is dropped on the way is answered by nobody.
//
// The package knows no calls, credentials or rules of the gateway.
package diagnosis
