package tokenstore

import "time"

// PublishedIssue is an issue that was created through the gateway. Only these
// can be deleted through it, unless the operator says otherwise.
type PublishedIssue struct {
	// Connection is the id of the connection it was created over.
	Connection string
	// ID and Key are Jira's: "10042" and "ACME-17".
	ID, Key   string
	CreatedAt time.Time
	// Client is the name of the client that created it.
	Client string
	// Record is the id of the call record of the creating call.
	Record string
}
