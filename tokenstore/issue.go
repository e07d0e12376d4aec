package tokenstore

import "time"

// PublishedIssue is an issue that was created through the gateway, or imported because
// it was published before there was one. Only these
// can be deleted through it, unless the operator says otherwise.
type PublishedIssue struct {
	// Connection is the id of the connection it was created over.
	Connection string
	// Incarnation is that of the connection which the creating call was made over.
	// Only issues of the present one are known, so it is compared, but not kept.
	Incarnation uint64
	// ID and Key are Jira's: "10042" and "ACME-17". One of them is empty where an
	// issue was imported of which only the other is known.
	ID, Key   string
	CreatedAt time.Time
	// Client is the name of the client that created it; empty for an imported one.
	Client string
	// Record is the id of the call record of the creating call; empty likewise.
	Record string
}
