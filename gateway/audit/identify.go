package audit

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"jiragate/gateway/audit/checkpoint"
)

// ErrNoLog: there is a directory, and nothing of a log in it.
var ErrNoLog = errors.New("it is not the directory of an audit log")

// Origin is the name of the log in dir by its newest checkpoint, as "jiragate/us", or
// "jiragate/us/zone-a" with the node. It is what stands there: [Verify] tells whether
// it is true. It is empty where there is no checkpoint, or none that can be read. The
// error is [ErrNoLog] or of the file system.
func Origin(dir string) (string, error) {
	names, err := checkpointNames(dir)
	if err != nil {
		return "", err
	}
	if len(names) == 0 {
		return "", isLog(dir)
	}
	signed, err := readSmall(filepath.Join(dir, names[len(names)-1]))
	if err != nil {
		return "", fmt.Errorf("read a checkpoint: %w", err)
	}
	c, err := checkpoint.Claimed(signed)
	if err != nil {
		return "", nil // verifying tells what is wrong with it
	}
	return c.Origin, nil
}

// isLog tells whether a log was ever opened in dir.
func isLog(dir string) error {
	list, err := segments(dir)
	if err != nil {
		return err
	}
	if len(list) > 0 {
		return nil
	}
	if info, err := os.Lstat(filepath.Join(dir, "lock")); err == nil && info.Mode().IsRegular() {
		return nil
	}
	return fmt.Errorf("read the audit log in %s: %w", dir, ErrNoLog)
}

// First is the oldest record of the log in dir that is one; without a Seq where there is
// none.
func First(dir string) (Entry, error) {
	for e, err := range Query(dir, Filter{}) {
		if _, damaged := errors.AsType[*DefectError](err); damaged {
			continue
		}
		return e, err
	}
	return Entry{}, nil
}

// Holds tells whether the log in dir has the record e of a log in another directory, at
// the same place. Then the one is a copy of the other, or was: each record has the hash
// of the one before it, so that all before e are in both, too. A line that was edited,
// but for the id of its record, still counts.
func Holds(dir string, e Entry) (bool, error) {
	s, ok := parseSegment(e.Segment)
	if !ok {
		return false, nil
	}
	for l, err := range s.lines(dir) {
		if _, damaged := errors.AsType[*DefectError](err); damaged || errors.Is(err, fs.ErrNotExist) {
			return false, nil
		}
		if err != nil {
			return false, err
		}
		if l.number == e.Line {
			return bytes.Equal(l.text, e.Raw) || bytes.Contains(l.text, []byte(`"id":"`+e.ID+`"`)), nil
		}
	}
	return false, nil
}
