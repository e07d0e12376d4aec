package tokenstore

import (
	"context"
	"crypto/sha256"
	"io"
)

// MaxImport is how many issues can be imported in one change.
const MaxImport = 1000

// Store is what a backend must do. All methods may be called from several
// goroutines at once.
//
// Every change is validated first ([ErrInvalid]), made as a whole or not at all,
// and on disk when the method returns nil. From then on every [Directory] that is
// asked for shows it. A context that has ended by the time a method is called
// makes it fail without effect; once a change has begun it is carried through.
//
// Beside the errors named below, each method may return [ErrCorrupt].
type Store interface {
	// Directory returns the present connections and clients. It never blocks and
	// never returns nil.
	Directory() *Directory

	// AddConnection stores a new connection with its credential. It is a new
	// incarnation, whatever had its id before, and the credential is of its first
	// generation ([FirstGeneration]). The store sets the times, and where no state is
	// given, active; or needs_reauthorisation with [ReasonAwaitsConsent], if the
	// credential is not [Credential.Consented]. Errors: ErrExists.
	AddConnection(ctx context.Context, c Connection, cred Credential) error
	// UpdateConnection lets change edit a copy of the connection, and stores it.
	// ID, CredentialKind, Edition, Incarnation, CreatedAt and the state can't be
	// changed so (ErrInvalid). An error of change is returned as it is, without
	// effect. change must not use the store.
	//
	// One that leads elsewhere now, in SiteURL, CloudID, BaseURL or UpstreamCA, is a
	// new incarnation: it keeps its credential, at a first generation, with the note
	// of its rotation if there is one, which is of that generation then, its
	// invitation, its announcement and its grants. A claim of the rotation stays with
	// whoever has it, until it ends: the refresh token that is on its way is the same.
	// But what is known of its
	// published issues goes, since who answers now may be another Jira, with other
	// issues of the same keys.
	// Errors: ErrNotFound.
	UpdateConnection(ctx context.Context, id string, change func(*Connection) error) error
	// RemoveConnection removes a connection, if it is still of this incarnation, its
	// credential, the grants that clients have to it, and all else that is known of
	// it. The credential is shredded: the key under which it and all before it were
	// sealed is destroyed, and no trace of either is left in the store. While a
	// backup is being made that takes until its end.
	// Errors: ErrNotFound; ErrConflict if the stored incarnation is another one, be it
	// because the connection leads elsewhere now or because another has its id. Another
	// error may mean that the connection is removed, which the Directory shows, but
	// not shredded yet; opening the store does that.
	RemoveConnection(ctx context.Context, id string, incarnation uint64) error
	// SetState changes the state of a connection, and says why in one line.
	// StateSince changes only if the state does. A connection whose credential
	// nobody has consented to can't be made active or expiring (ErrInvalid).
	// Errors: ErrNotFound.
	SetState(ctx context.Context, id string, s State, reason string) error
	// RequireReauthorisation changes an active or expiring connection to
	// needs_reauthorisation because of its credential, if that is still the one of
	// this generation. In another state it stays as it is. In each, the note of a
	// rotation goes, and the claim of it: that the credential is refused is a definite
	// answer.
	// Errors: ErrNotFound; ErrConflict if the stored generation is another one;
	// ErrClaimed if another process is refreshing that credential, whose outcome
	// counts.
	RequireReauthorisation(ctx context.Context, id string, generation uint64, reason string) error
	// AnnounceEnd changes an active connection to expiring because of its credential,
	// or the reason of one that is expiring, under the same condition and with the
	// same errors.
	AnnounceEnd(ctx context.Context, id string, generation uint64, reason string) error

	// Credential returns the present credential of a connection.
	// Errors: ErrNotFound.
	Credential(ctx context.Context, id string) (Credential, error)
	// ReplaceCredential stores c in place of the credential that has this
	// generation, and increments the generation (that of c is not looked at). c must
	// be [Credential.Consented]. In the same transaction the scopes of an oauth2
	// credential become those of its connection, the note of a rotation goes, and a
	// connection in state needs_reauthorisation becomes active (ErrInvalid if it is
	// not [Connection.Located]), as does one that is expiring unless c is
	// [Credential.Ending] too; a disabled one stays disabled. It needs no claim, and
	// ends that of any process, which gets ErrConflict for what it has exchanged: this
	// is for consents and imports; what a refresh gave is for FinishRotation.
	// Errors: ErrNotFound; ErrConflict if the stored generation is another one.
	ReplaceCredential(ctx context.Context, id string, generation uint64, c Credential) error

	// BeginRotation notes that the refresh token of this generation is about to be
	// sent, and takes the claim of that for this process: no other may send it
	// meanwhile. The note is that of the first time, if it was noted before. The
	// claim ends with FinishRotation, EndRotation, YieldRotation, ReplaceCredential
	// and RequireReauthorisation, with the connection, or when its lease lapses,
	// because the process was killed, or paused, or cut off from the store; the note
	// stands then. Taking it again in the process that has it gives another claim,
	// and makes the one before void.
	// Errors: ErrNotFound; ErrConflict if the stored generation is another one;
	// ErrClaimed if another process has the claim.
	BeginRotation(ctx context.Context, id string, generation uint64) (Claim, error)
	// AwaitRotation waits for another process's claim. It returns nil when it makes
	// sense to look again: the stored generation is another one, the connection is
	// gone, or no other process has a claim of it. What this store returns from then
	// on shows that. Its error is that of ctx, or says that the store can't be watched.
	// It takes nothing, and another process may be faster to.
	AwaitRotation(ctx context.Context, id string, generation uint64) error
	// FinishRotation is ReplaceCredential, for the generation of the claim and under
	// its fence. A claim that has lapsed but that no other has followed is good
	// enough: the pair would be lost otherwise. With nil, ErrNotFound, ErrConflict and
	// ErrLapsed the claim has ended; after another error it may be tried again.
	// Errors: those of ReplaceCredential; ErrLapsed, without effect, if the claim was
	// taken again since, and the stored generation is still that of the claim.
	FinishRotation(ctx context.Context, claim Claim, c Credential) error
	// EndRotation takes the note back, if it is of the claim's generation, because
	// the token was not exchanged for certain, and gives the claim up. If the claim
	// was taken again since, nothing changes, which is no error.
	EndRotation(ctx context.Context, claim Claim) error
	// YieldRotation gives the claim up and leaves the note, because the token may
	// have been exchanged: whoever takes the claim next repeats that. If the claim has
	// ended, or was taken again since, nothing changes, which is no error.
	YieldRotation(ctx context.Context, claim Claim) error
	// Rotations returns the notes that stand, sorted by connection.
	Rotations(ctx context.Context) ([]Rotation, error)

	// Invite stores an invitation, in place of any earlier one of its connection.
	// It has a token and an end. The store sets CreatedAt. Errors: ErrNotFound for
	// the connection.
	Invite(ctx context.Context, i Invitation) error
	// Invitation returns the invitation of a connection, which may have expired.
	// Errors: ErrNotFound if there is none.
	Invitation(ctx context.Context, connection string) (Invitation, error)
	// WithdrawInvitation removes the invitation with this digest, if it is still
	// that of the connection. Errors: ErrNotFound if it is not: a caller that gets
	// nil is the only one that ever does.
	WithdrawInvitation(ctx context.Context, connection string, token [sha256.Size]byte) error

	// Announced returns what the product was told of last, sorted by connection.
	Announced(ctx context.Context) ([]Announcement, error)
	// SetAnnounced stores an announcement in place of the last one of its
	// connection. Where the connection is no more, nothing changes.
	SetAnnounced(ctx context.Context, a Announcement) error

	// AddClient stores a new client; its grants need not be sorted. The store
	// sets the times. Errors: ErrExists for its name or its token; ErrNotFound for
	// a connection that it is granted.
	AddClient(ctx context.Context, c Client) error
	// RemoveClient removes a client with its grants. Errors: ErrNotFound.
	RemoveClient(ctx context.Context, name string) error
	// SetClientToken replaces a client's token; the old one ends at once. A digest
	// of all zeros takes the token away. Errors: ErrNotFound, ErrExists.
	SetClientToken(ctx context.Context, name string, sum [sha256.Size]byte) error
	// Grant lets a client use a connection; it may already. Errors: ErrNotFound
	// for either.
	Grant(ctx context.Context, client, connection string) error
	// Revoke ends a grant. Errors: ErrNotFound for the client, and for the grant
	// if there is none.
	Revoke(ctx context.Context, client, connection string) error

	// RecordIssue remembers an issue created through the gateway. Recording it
	// again changes nothing; the newest record of an id or a key is the one that
	// counts. The store sets CreatedAt where it is zero. Errors: ErrNotFound for the
	// connection, also where it is of another incarnation by now.
	RecordIssue(ctx context.Context, i PublishedIssue) error
	// ImportIssues remembers issues that were published before there was a gateway,
	// in one change: all or none, at most [MaxImport]. Their Incarnation is not
	// looked at. What is known already stays as it is, but of an issue of which only
	// the id or only the key was known, the other is known then. It returns how many
	// were new, these not counted.
	// Errors: ErrNotFound for the connection; ErrInvalid for an issue of another one.
	ImportIssues(ctx context.Context, connection string, issues []PublishedIssue) (int, error)
	// IssuePublished reports whether the issue with this id or key was created
	// over this connection, in its present incarnation. An unknown connection has
	// no issues.
	IssuePublished(ctx context.Context, connection, idOrKey string) (bool, error)
	// ForgetIssue removes an issue, known by id or key. Forgetting one that isn't
	// known changes nothing.
	ForgetIssue(ctx context.Context, connection, idOrKey string) error

	// KeyUse counts the sealed records under each key of the keyset, by key id.
	KeyUse(ctx context.Context) (map[uint32]int, error)
	// Rewrap seals up to limit records anew that are not under the primary key of
	// the keyset, each under a data key of its own that is new, and returns how many
	// are left. Generations stay. Calls and changes go on meanwhile; to be called
	// until none is left, or there is an error. When none is left, no trace of what
	// was sealed before is, as after RemoveConnection. Errors: ErrCorrupt for records
	// that don't open; all others are sealed anew nevertheless.
	Rewrap(ctx context.Context, limit int) (left int, err error)

	// Backup writes a consistent copy of the store as of now, while changes go on,
	// and returns its length in bytes.
	Backup(ctx context.Context, w io.Writer) (int64, error)
	// Check reads everything there is: that every record opens and is valid, and
	// that they fit together. Its error names the records, never their contents.
	Check(ctx context.Context) error
	// Close ends the use of the store, after the calls in progress. Calling it
	// again changes nothing.
	Close() error
}
