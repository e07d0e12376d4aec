// Package console is the pages for operators and for compliance, under /console/ of
// the admin listener: connections and their consents, clients, calls, refused calls,
// policies, addresses, reports.
//
// Start with [New], which makes a [Console]; it satisfies admin.Pages. The console is a
// client of the admin API: each page asks the API, in this process, on behalf of whoever
// is signed in (jiragate/gateway/admin/signin), and what they may not do is refused
// there. So nothing can be done here that the API, and with it the command line, can't
// do; and the audit records of changes are those of the API.
//
// Filters are addresses: a page can be sent to a colleague. Whatever changes something
// is a POST with the session's CSRF token. What is shown once, the token of a client
// and the link to a consent, is in the answer to the POST that made it.
//
// The package may not know how anything is stored, nor how calls are made.
package console
