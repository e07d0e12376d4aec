package bolt

import "jiragate/tokenstore/records"

// Entry is a connection with its credential, for [Store.AddAll].
type Entry = records.Entry
