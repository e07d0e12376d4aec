package published

import (
	"fmt"
	"slices"
	"strconv"
	"time"

	"jiragate/gateway/audit"
	"jiragate/gateway/audit/checkpoint"
)

// Checkpoint is a signed checkpoint as it was published.
type Checkpoint struct {
	Size      uint64    `json:"size"`      // how many records it covers
	Published time.Time `json:"published"` // by the clock of the gateway that published it
	Note      string    `json:"note"`      // as it is signed (C2SP tlog-checkpoint)
}

// Retirement is that a gateway, and so its log, has ended on purpose.
type Retirement struct {
	At time.Time `json:"at"`
	By string    `json:"by,omitempty"` // the node where that was said
}

// Log is what a gateway has published of its audit log.
type Log struct {
	Node   string     `json:"node"`   // the name of the gateway
	Origin string     `json:"origin"` // the name of the log, as jiragate/us/zone-a
	Newest Checkpoint `json:"newest"`
	// Kept are older ones: the first of each day, and those that a later one has
	// contradicted. The oldest comes first.
	Kept []Checkpoint `json:"kept,omitempty"`
	// Retired is missing where the gateway has not ended on purpose, or has published
	// something since.
	Retired *Retirement `json:"retired,omitempty"`
}

// Read names the node of l by its origin, and fails where a checkpoint is not one of that log
// and of its size. Their signatures are not looked at.
func Read(l Log) (Log, error) {
	if l.Node = checkpoint.Node(l.Origin); l.Node == "" {
		return Log{}, fmt.Errorf("what is published as the log %q has no name of a node: a gateway did not write it", l.Origin)
	}
	for _, c := range l.all() {
		claimed, err := checkpoint.Claimed([]byte(c.Note))
		if err == nil && (claimed.Origin != l.Origin || claimed.Size != c.Size) {
			err = fmt.Errorf("it is of %d records of %s, and stands for %d of %s", claimed.Size, claimed.Origin, c.Size, l.Origin)
		}
		if err != nil {
			return Log{}, fmt.Errorf("%s: %w: a gateway did not write it", l.name(c), err)
		}
	}
	return l, nil
}

// all are the checkpoints, each once.
func (l Log) all() []Checkpoint {
	all := slices.Clone(l.Kept)
	if !slices.ContainsFunc(all, func(c Checkpoint) bool { return c.Note == l.Newest.Note }) {
		all = append(all, l.Newest)
	}
	return all
}

func (l Log) name(c Checkpoint) string {
	return "the checkpoint that " + strconv.Quote(l.Node) + " published on " + c.Published.UTC().Format(time.RFC3339)
}

// Checkpoints are all of them, for [audit.VerifyOptions], with names that say where they are from.
func (l Log) Checkpoints() []audit.Elsewhere {
	var all []audit.Elsewhere
	for _, c := range l.all() {
		all = append(all, audit.Elsewhere{Name: l.name(c), Signed: []byte(c.Note)})
	}
	return all
}

// Of finds the log of that name.
func Of(logs []Log, origin string) (Log, bool) {
	i := slices.IndexFunc(logs, func(l Log) bool { return l.Origin == origin })
	if i < 0 {
		return Log{}, false
	}
	return logs[i], true
}

// Absent are those whose names are not among the origins.
func Absent(logs []Log, origins []string) []Log {
	return slices.DeleteFunc(slices.Clone(logs), func(l Log) bool { return slices.Contains(origins, l.Origin) })
}
