package records

// Bucket is a set of records of one kind, under keys of their own.
type Bucket string

// The buckets, their keys and values.
const (
	// Meta has "schema", "canary" and "canary_sha256"; and [MarkKey] and [OriginKey] of
	// a store that is or was moved.
	Meta Bucket = "meta"
	// Connections: id → connectionRecord. Its sequence is the incarnation begun last.
	Connections Bucket = "connections"
	// DataKeys: id of a connection → data key, sealed under the keyset.
	DataKeys Bucket = "data_keys"
	// Credentials: id of a connection → credentialRecord, sealed under the data key.
	Credentials Bucket = "credentials"
	// Clients: name → clientRecord.
	Clients Bucket = "clients"
	// ClientTokens: SHA-256 (32 bytes) → name of the client.
	ClientTokens Bucket = "client_tokens"
	// Rotations: id of a connection → rotationRecord.
	Rotations Bucket = "rotations"
	// Invitations: id of a connection → invitationRecord.
	Invitations Bucket = "invitations"
	// Announcements: id of a connection → announcementRecord.
	Announcements Bucket = "announcements"
	// Issues: connection "/" id, or key where the id isn't known → issueRecord.
	Issues Bucket = "issues"
	// IssueKeys: connection "/" key → id of the issue, where both are known.
	IssueKeys Bucket = "issue_keys"
	// Claims: id of a connection → who refreshes its credential. It is no part of the store:
	// an engine that several processes share has it, and forgets the claims of one that is
	// gone.
	Claims Bucket = "claims"
)

// Buckets are those of a store.
func Buckets() []Bucket {
	return []Bucket{
		Meta, Connections, DataKeys, Credentials, Clients,
		ClientTokens, Rotations, Invitations, Announcements,
		Issues, IssueKeys,
	}
}
