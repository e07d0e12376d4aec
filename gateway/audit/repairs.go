package audit

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/google/uuid"
)

// What the log does by itself is on record, too: with this client, and one of these
// operations.
const (
	ClientLog       = "jiragate:audit"
	OperationRepair = "admin.audit.repair" // took an unfinished end off; Path is the file that keeps it, BytesIn its size
	OperationDelete = "admin.audit.delete" // removed a segment at the end of its retention; Path is name#first-last
)

// Bytes that were taken off are kept in torn-ID.bin, where ID is that of the record
// of the repair; until there is that record, the file has another suffix.
const (
	tornPrefix       = "torn-"
	tornSuffix       = ".bin"
	unrecordedSuffix = ".unrecorded"
)

// keepTorn writes bytes that are no record to a file of their own.
func (l *Log) keepTorn(from string, torn []byte) error {
	if len(torn) == 0 {
		return nil
	}
	name := tornPrefix + NewID()
	if err := writeFile(l.fs, filepath.Join(l.options.Dir, name+unrecordedSuffix), torn); err != nil {
		return fmt.Errorf("keep the unfinished end of %s: %w", from, err)
	}
	l.options.Logger.Warn("audit log: took an unfinished line off, as a crash leaves it", "file", from, "bytes", len(torn), "kept_in", name+tornSuffix,
		"hint", "nothing to do after a crash or power failure; jiragate audit verify tells whether the rest is whole")
	return nil
}

// recordRepairs writes a record for each file of bytes taken off that has none, and
// returns the names of those files, without suffix.
func (l *Log) recordRepairs() (names []string, err error) {
	entries, err := os.ReadDir(l.options.Dir)
	if err != nil {
		return nil, err
	}
	var repairs []Record
	for _, e := range entries {
		name, ok := strings.CutSuffix(e.Name(), unrecordedSuffix)
		if !ok || !strings.HasPrefix(name, tornPrefix) {
			continue
		}
		id, err := uuid.Parse(strings.TrimPrefix(name, tornPrefix))
		if err != nil {
			continue // not ours
		}
		info, err := e.Info()
		if err != nil {
			return nil, err
		}
		seconds, nanoseconds := id.Time().UnixTime()
		names = append(names, name)
		repair := Record{
			ID: id.String(), Time: time.Unix(seconds, nanoseconds), Client: ClientLog, Operation: OperationRepair,
			Path: name + tornSuffix, BytesIn: info.Size(), Decision: DecisionAllow,
		}
		l.prepare(&repair)
		repairs = append(repairs, repair)
	}
	recorded, err := l.recorded(repairs) // by an attempt that did not get to its end
	if err != nil {
		return nil, err
	}
	for _, r := range repairs {
		if recorded[r.ID] {
			continue
		}
		if err := l.owe(r); err != nil {
			return nil, fmt.Errorf("record a repair: %w", err)
		}
	}
	return names, nil
}

// markRecorded gives the files of repairs that are on record their lasting names.
func (l *Log) markRecorded(names []string) error {
	for _, name := range names {
		path := filepath.Join(l.options.Dir, name)
		if err := l.fs.rename(path+unrecordedSuffix, path+tornSuffix); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("record a repair: %w", err)
		}
	}
	if len(names) == 0 {
		return nil
	}
	return l.fs.syncDir(l.options.Dir)
}
