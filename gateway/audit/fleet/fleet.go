package fleet

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"jiragate/gateway/audit"
	"jiragate/gateway/audit/checkpoint"
)

// Log is the log of one gateway.
type Log struct {
	Node string // see the package; no two of a fleet have the same
	Dir  string
}

// Errors of [Open], for errors.Is, beside [audit.ErrNoLog] and [os.ErrNotExist].
var (
	// ErrOtherNode: the log is not that of the node that the caller named.
	ErrOtherNode = errors.New("the log is of another node")
	// ErrSameNode: two logs are of one node, or can't be told apart.
	ErrSameNode = errors.New("two logs are of one node")
	// ErrSameLog: two directories hold one log, or copies of one.
	ErrSameLog = errors.New("two directories hold the same log")
)

// Open finds out whose logs these are, and gives them by node. The Node of a log may be
// empty; if it isn't, it must be the one that the log itself names, if it names one.
func Open(logs ...Log) ([]Log, error) {
	named := slices.Clone(logs)
	for i := range named {
		if err := named[i].identify(); err != nil {
			return nil, err
		}
	}
	slices.SortStableFunc(named, func(a, b Log) int { return cmp.Compare(a.Node, b.Node) })
	// Whoever copied a log gave it its name, too: so that comes first.
	if err := refuseCopies(named); err != nil {
		return nil, err
	}
	for i := 1; i < len(named); i++ {
		if a, b := named[i-1], named[i]; a.Node == b.Node {
			return nil, fmt.Errorf("%w, %s: %s and %s: if they are of different gateways without a name, say which is which (NODE=DIR)", ErrSameNode, a.Node, a.Dir, b.Dir)
		}
	}
	return named, nil
}

func (l *Log) identify() error {
	info, err := os.Stat(l.Dir)
	if err == nil && !info.IsDir() {
		return fmt.Errorf("read the audit log in %s: %w: it is a file; name its directory", l.Dir, audit.ErrNoLog)
	}
	origin, err := audit.Origin(l.Dir)
	if errors.Is(err, audit.ErrNoLog) {
		if inside := filepath.Join(l.Dir, "audit"); isDir(inside) {
			err = fmt.Errorf("%w; it may be %s", err, inside)
		}
	}
	if err != nil {
		return err
	}
	node := checkpoint.Node(origin)
	switch {
	case node != "" && l.Node != "" && node != l.Node:
		return fmt.Errorf("%w: %s is named %s by its checkpoint, not %s", ErrOtherNode, l.Dir, node, l.Node)
	case node != "":
		l.Node = node
	case l.Node == "":
		l.Node, err = nameOf(l.Dir)
	}
	return err
}

func isDir(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.IsDir()
}

// nameOf is what a log in dir is called that has no name.
func nameOf(dir string) (string, error) {
	path, err := filepath.Abs(dir)
	if err != nil {
		return "", fmt.Errorf("read the audit log in %s: %w", dir, err)
	}
	if name := filepath.Base(path); name != "audit" {
		return name, nil
	}
	return filepath.Base(filepath.Dir(path)), nil
}

// refuseCopies fails where two directories are one, or hold the same record.
func refuseCopies(logs []Log) error {
	infos, firsts := make([]os.FileInfo, len(logs)), make([]audit.Entry, len(logs))
	for i, l := range logs {
		var err error
		if infos[i], err = os.Stat(l.Dir); err != nil {
			return err
		}
		if firsts[i], err = audit.First(l.Dir); err != nil {
			return fmt.Errorf("read the audit log in %s: %w", l.Dir, err)
		}
		for j := range i {
			if os.SameFile(infos[j], infos[i]) {
				return fmt.Errorf("%w: %s and %s are one directory: name it once", ErrSameLog, logs[j].Dir, l.Dir)
			}
			// Retention may have taken more from one of the two.
			first, dir := firsts[i], logs[j].Dir
			if firsts[j].Seq > first.Seq {
				first, dir = firsts[j], l.Dir
			}
			if first.Seq == 0 {
				continue
			}
			same, err := audit.Holds(dir, first)
			if err != nil {
				return fmt.Errorf("compare the audit logs in %s and %s: %w", logs[j].Dir, l.Dir, err)
			}
			if same {
				return fmt.Errorf("%w: record %d is in %s and in %s: one is a copy of the other; name only the one that went on", ErrSameLog, first.Seq, logs[j].Dir, l.Dir)
			}
		}
	}
	return nil
}
