package audit

import (
	"errors"
	"fmt"
	"log/slog"
	"time"
)

// SyncMode says who waits until what was written is on disk. In every mode it
// is with the operating system before the call goes on, and on disk about a
// tenth of a second later.
type SyncMode string

const (
	// SyncEach waits for each intent and for each record.
	SyncEach SyncMode = "each"
	// SyncWrites waits for the intents of calls that may change something: all
	// methods but GET. A loss of power can cost the records of the last reads
	// and refusals.
	SyncWrites SyncMode = "writes"
	// SyncBatch waits for nothing. A loss of power can cost the records of the
	// last tenth of a second, although their calls went out.
	SyncBatch SyncMode = "batch"
)

// ParseSyncMode returns the mode named s: "each", "writes" or "batch". Anything
// else is an error that says so.
func ParseSyncMode(s string) (SyncMode, error) {
	switch m := SyncMode(s); m {
	case SyncEach, SyncWrites, SyncBatch:
		return m, nil
	}
	return "", fmt.Errorf("audit sync mode %q is unknown: use %q, %q or %q", s, SyncEach, SyncWrites, SyncBatch)
}

// intentWaits tells whether a call by this method may only go out when its
// intent is on disk.
func (m SyncMode) intentWaits(method string) bool {
	return m == SyncEach || m == SyncWrites && method != "GET"
}

// Signer signs checkpoints. All of its methods must be safe for concurrent use.
type Signer interface {
	// Name is the name of the key, and the origin of the log.
	Name() string
	// Sign returns text as a signed note (C2SP signed-note).
	Sign(text []byte) ([]byte, error)
	// Verifiers are the public keys that have signed so far, in the text form of
	// signed notes.
	Verifiers() []string
	// Successions are the notes by which the later keys were endorsed by those
	// before, oldest first.
	Successions() [][]byte
}

// Options are what [Open] needs.
type Options struct {
	Dir    string           // made with mode 0700 if missing
	Sync   SyncMode         // SyncWrites if empty
	Now    func() time.Time // time.Now if nil; for records that come without a time
	aged   func() time.Time // Now, for the end of a retention
	Logger *slog.Logger     // slog.Default if nil: repairs, and failures to write

	// SegmentSize is when a segment is followed by the next before its hour is
	// over, in bytes, uncompressed; 64 MiB if 0.
	SegmentSize int64
	// Retention is how long a segment is kept after its hour; 0 keeps all.
	Retention time.Duration

	// Signer signs the checkpoints; without one there are none.
	Signer Signer
	// Checkpointed, if set, is given each signed checkpoint once it is on disk,
	// with the number of records that it covers, the latest last. It must not
	// block, change signed, or call the log.
	Checkpointed func(signed []byte, size uint64)
	// Observe, if set, is given each record once it is written, in no certain order;
	// by Open, too, of what it writes. It must not block: calls wait for it.
	Observe func(r Record)

	generationSize int64 // of a journal file, in bytes; tests want small ones
}

// segmentSize is the default of [Options.SegmentSize], in bytes.
const segmentSize = 64 << 20

func (o Options) withDefaults() (Options, error) {
	if o.Dir == "" {
		return o, errors.New("the audit log needs a directory")
	}
	if o.Sync == "" {
		o.Sync = SyncWrites
	}
	if _, err := ParseSyncMode(string(o.Sync)); err != nil {
		return o, err
	}
	if o.SegmentSize < 0 || o.Retention < 0 {
		return o, errors.New("the audit log needs a segment size and a retention that are not negative")
	}
	if o.SegmentSize == 0 {
		o.SegmentSize = segmentSize
	}
	if o.generationSize == 0 {
		o.generationSize = generationSize
	}
	o.aged = o.Now
	if o.Now == nil {
		began := time.Now()
		o.Now, o.aged = time.Now, func() time.Time { return agedBy(time.Now(), began, time.Since(began)) }
	}
	if o.Logger == nil {
		o.Logger = slog.Default()
	}
	return o, nil
}

// Errors of [Open] and [Log], for errors.Is.
var (
	// ErrLocked: another process, or another Log of this one, has the directory.
	ErrLocked = errors.New("the audit log is in use")
	// ErrDamaged: the end of the log is not what a crash leaves behind.
	ErrDamaged = errors.New("the end of the audit log is damaged")
	// ErrContradicted: the log is not the one that its newest checkpoint was signed
	// for. Records were changed or removed.
	ErrContradicted = errors.New("the audit log contradicts its signed checkpoint")
	// ErrUnavailable: the record cannot be written, so the call must not go
	// out. It wraps the cause. The log goes on by itself once it can.
	ErrUnavailable = errors.New("the call record cannot be written")
	// ErrClosed: the log was closed.
	ErrClosed = errors.New("the audit log is closed")
)
