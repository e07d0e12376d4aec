// Package publication writes what a customer's security team reads about one
// region's egress addresses, and what it loads into firewalls: the addresses,
// their history, the documented operations, and how to check that it is all
// genuine.
//
// Start with [Document] and [Document.Files], which makes every file of a
// publication with its checksums. [Document.Write] writes one format alone.
//
// # What is listed where
//
// An address must be allowed before calls come from it. So every format lists
// the addresses in use and the announced ones, and no format that a machine loads
// lists a retired one. The page for people, "html", shows all three and the
// history; the history is also in "json". States are those at the document's time
// of creation: a file is as old as it says it is.
//
// Equal documents give equal bytes, whatever the order of their entries, so that
// files can be compared, and signed once.
//
// # What is left out
//
// The operator's narrowing rules name customers' connections and the operator's
// services. Publications go to every customer, so they show which operations are
// available to anybody at all and no rule; [policy.Policy.Export] shows the rules.
//
// # Caveats
//
//   - The rules open TCP port 443. A Jira that listens elsewhere needs that changed.
//   - Atlassian documents its IP allowlist for IPv4 alone, and Cloudflare has
//     documented lists that take IPv6 in ranges of at least a /64 alone. The files
//     list the published IPv6 addresses all the same: a list that lacked them would
//     fail without saying so.
//   - Nothing is signed here. The text to sign is the file named [ChecksumsName];
//     the page tells readers to look for the signed note under [SignedName].
//
// The package knows neither where the register comes from nor where the files go;
// it reads no clock and no file.
package publication
