package report

import (
	"errors"
	"fmt"
	"net/netip"
	"regexp"
	"time"

	"jiragate/policy"
)

// Input is what a report is made from, beside the records.
type Input struct {
	Connection string // id: a name of [a-z0-9][a-z0-9._-]{0,62}
	Edition    string // "cloud" or "datacenter"; may be empty
	Region     string // e.g. "us"; may be empty

	// From and Until bound the month: its first moment and that of the next, in UTC.
	From, Until time.Time
	Made        time.Time // when the records were read
	Version     string    // of jiragate

	Policies  []PolicyInForce    // each policy that decided in the month, the earliest first
	Published []PublishedAddress // of the region, past ones too

	Verification Verification
	Checkpoint   []byte   // the newest signed checkpoint, a C2SP note; empty where there is none
	Keys         []string // public keys that the report is signed with, "name+hash+base64"

	// Logs are given in place of Verification and Checkpoint where the report is of the
	// logs of several gateways: each once, in the order in which they are to be shown.
	// The records have their Node then.
	Logs []Log
	// Absent are gateways whose logs should be among those, and are not.
	Absent []Absent
}

// Absent is a gateway that has published a checkpoint of its log, which is not there.
type Absent struct {
	Node      string
	Size      uint64    // records under its newest checkpoint
	Published time.Time // when that was
	Retired   bool      // the gateway has ended on purpose
}

// PolicyInForce is a policy that decided calls of the connection in the month.
type PolicyInForce struct {
	SHA256      string    // as in the call records
	Version     string    // of the catalogue; empty where Missing
	From, Until time.Time // of the first and the last call that it decided
	// Operations are those of the connection's edition, or of both, Enabled as they
	// are for this connection.
	Operations []policy.Operation
	Changes    []string // in words, each time it came into force in place of another
	Missing    bool     // the policy is not kept: its calls can't be compared
	Altered    bool     // what is kept under its hash is something else
}

// PublishedAddress is an address in one period in which it was published as in use.
type PublishedAddress struct {
	Address netip.Addr
	Region  string
	From    time.Time
	Until   time.Time // exclusive; zero: no end is known
}

// Verification is what the verification of the whole log found.
type Verification struct {
	OK      bool   // all of it is in order
	Failure string // the first bad record, where it is not

	Records  uint64 // good records
	Segments int    // files
	Last     uint64 // seq of the last good record
	Head     string // hex SHA-256 of its line

	CheckpointSize uint64   // records under the newest checkpoint; 0: there is none
	CheckpointRoot string   // hex or base64, as the checkpoint has it
	Signed         []string // verifiers whose signatures of it are good
	UnsignedTail   uint64   // records behind it

	// RetainedFrom is the seq of the oldest record that is kept, RetainedSince its
	// time; 0 or 1 means all are kept.
	RetainedFrom  uint64
	RetainedSince time.Time
}

// maxCheckpoint bounds a checkpoint, in bytes: a note with 16 signatures of 5 kB
// each fits.
const maxCheckpoint = 128 << 10

const monthLayout = "2006-01"

var nameForm = regexp.MustCompile(`^[a-z0-9][a-z0-9._-]{0,62}$`)

// Month returns the first moment of a month written as "2026-11", and that of the
// next, in UTC.
func Month(s string) (from, until time.Time, err error) {
	from, err = time.Parse(monthLayout, s)
	if err != nil || from.Format(monthLayout) != s {
		return time.Time{}, time.Time{}, fmt.Errorf("%s is no month as 2026-11", quoted(s))
	}
	return from, from.AddDate(0, 1, 0), nil
}

func (in *Input) check() error {
	from, until, err := Month(in.From.UTC().Format(monthLayout))
	if err != nil {
		return err
	}
	switch {
	case !nameForm.MatchString(in.Connection):
		return fmt.Errorf("the connection %s is no name of a connection: up to 63 lower case letters, digits, dots, hyphens and underscores", quoted(in.Connection))
	case !in.From.Equal(from) || !in.Until.Equal(until):
		return fmt.Errorf("from %s until %s is no month in UTC", stamp(in.From), stamp(in.Until))
	}
	if err := checkCheckpoint(in.Checkpoint); err != nil {
		return err
	}
	if err := checkLogs(in.Logs); err != nil {
		return err
	}
	seen := map[string]bool{}
	for _, p := range in.Policies {
		if seen[p.SHA256] {
			return fmt.Errorf("the policy %s is given twice", quoted(p.SHA256))
		}
		seen[p.SHA256] = true
	}
	for _, p := range in.Published {
		if !p.Address.IsValid() {
			return fmt.Errorf("a published address from %s on is empty", stamp(p.From))
		}
	}
	return nil
}

func checkCheckpoint(note []byte) error {
	switch {
	case len(note) > maxCheckpoint:
		return fmt.Errorf("the checkpoint is larger than %d bytes", maxCheckpoint)
	case plainLines(string(note)) != string(note):
		return errors.New("the checkpoint is no signed note: it holds control or invisible characters, or is not UTF-8")
	}
	return nil
}
