package cli

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"log/slog"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"jiragate/gateway/audit"
	"jiragate/gateway/audit/checkpoint"
	"jiragate/gateway/audit/fleet"
	"jiragate/gateway/audit/signer"
)

// logsFlag adds --log, which names other audit logs than that of the data directory.
func logsFlag(cmd *cobra.Command, to *[]string) {
	cmd.Flags().StringArrayVar(to, "log", nil, "directory of an audit log, [NODE=]DIR (default: audit in the data directory); several times for those of several gateways")
}

// logs are those that --log names, or that of the data directory. A single one has no
// Node, as long as none is given: what is said of it is what was always said.
func (a *app) logs(given []string) ([]fleet.Log, error) {
	logs := []fleet.Log{{Dir: a.config.auditDir()}}
	if len(given) > 0 {
		logs = nil
	}
	for _, text := range given {
		l := fleet.Log{Dir: text}
		// A directory with an equals sign in its name is written ./a=b.
		if node, dir, ok := strings.Cut(text, "="); ok && nodeForm.MatchString(node) {
			l = fleet.Log{Node: node, Dir: dir}
		}
		if l.Dir == "" {
			return nil, usage("--log %q names no directory", text)
		}
		logs = append(logs, l)
	}
	if len(logs) == 1 && logs[0].Node == "" {
		if len(given) == 0 {
			return logs, nil // where there is none yet is said by those who read it
		}
		_, err := audit.Origin(logs[0].Dir)
		return logs, noLog(err)
	}
	for i := range logs {
		if logs[i].Node == "" {
			logs[i].Node = a.config.nodeBeside(logs[i])
		}
	}
	found, err := fleet.Open(logs...)
	if err != nil {
		return nil, noLog(err)
	}
	if len(found) == 1 {
		found[0].Node = ""
	}
	return found, nil
}

// noLog says what --log is to name: a directory without a log would verify, with no records.
func noLog(err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, audit.ErrNoLog):
		return hint(fmt.Errorf("--log: %w", err), "name the directory that holds the .jsonl files: audit in the data directory of a gateway, or a copy of it")
	}
	return fmt.Errorf("--log: %w", err)
}

// nodeBeside is the node that the audit key beside a log is named for, where there is no
// checkpoint yet that tells; empty where that is not known.
func (c Config) nodeBeside(l fleet.Log) string {
	if origin, err := audit.Origin(l.Dir); err != nil || origin != "" {
		return ""
	}
	trust, err := trustFrom(c.beside(l, c.auditKeyFile()))
	if err != nil || trust == nil {
		return ""
	}
	return checkpoint.Node(trust.Name())
}

// beside is a file of the data directory that a log is in, or was copied with.
func (c Config) beside(l fleet.Log, own string) string {
	if sameFile(l.Dir, c.auditDir()) {
		return own
	}
	return filepath.Join(filepath.Dir(filepath.Clean(l.Dir)), filepath.Base(own))
}

func sameFile(a, b string) bool {
	infoA, errA := os.Stat(a)
	infoB, errB := os.Stat(b)
	return a == b || errA == nil && errB == nil && os.SameFile(infoA, infoB)
}

// queryLogs asks the index of each log, or the log where there is none, and merges the
// answers. done is called when the records were read.
func (a *app) queryLogs(ctx context.Context, logs []fleet.Log, f audit.Filter, noIndex bool) (records iter.Seq2[audit.Entry, error], done func() error) {
	var closers []func() error
	answers := map[string]iter.Seq2[audit.Entry, error]{}
	for _, l := range logs {
		if noIndex || !asksForSome(f) {
			answers[l.Dir] = audit.Query(l.Dir, f)
			continue
		}
		answer, done := a.queryIndex(ctx, l, f)
		answers[l.Dir], closers = answer, append(closers, done)
	}
	done = func() error {
		var all []error
		for _, c := range closers {
			all = append(all, c())
		}
		return errors.Join(all...)
	}
	return merged(logs, f.Limit, func(l fleet.Log) iter.Seq2[audit.Entry, error] { return answers[l.Dir] }), done
}

// merged are the records of all logs; those of a single one as they are.
func merged(logs []fleet.Log, limit int, ask func(fleet.Log) iter.Seq2[audit.Entry, error]) iter.Seq2[audit.Entry, error] {
	if len(logs) == 1 {
		return ask(logs[0])
	}
	return fleet.Merge(logs, limit, ask)
}

// indexFile is where the index of a log is, and whether one may be made there: beside
// a log elsewhere only what is there is used.
func (a *app) indexFile(l fleet.Log) (path string, err error) {
	path = a.config.beside(l, a.config.auditIndexFile())
	if path != a.config.auditIndexFile() {
		_, err = os.Stat(path)
	}
	return path, err
}

// trustIn are the public keys to believe the checkpoints of a log from, of the files
// that are given, or else of the data directory that the log is in and of this one. It is
// the first that has signed the newest checkpoint. nil, without files: there is no
// checkpoint, nor a key beside the log.
func (a *app) trustIn(l fleet.Log, files []string) (*checkpoint.Trust, error) {
	var candidates []*checkpoint.Trust
	for _, file := range files {
		trust, err := a.trust(file)
		if err != nil {
			return nil, err
		}
		candidates = append(candidates, trust)
	}
	beside := false
	if len(files) == 0 {
		for i, path := range []string{a.config.beside(l, a.config.auditKeyFile()), a.config.auditKeyFile()} {
			trust, err := trustFrom(path)
			if err != nil {
				return nil, err
			}
			if trust != nil {
				beside = beside || i == 0
				candidates = append(candidates, trust)
			}
		}
	}
	var failed error
	for _, trust := range candidates {
		_, err := audit.NewestCheckpoint(l.Dir, trust)
		switch {
		case errors.Is(err, checkpoint.ErrUnsigned):
			failed = err
		case errors.Is(err, audit.ErrNoCheckpoint) && len(files) == 0 && !beside:
			return nil, nil // that of another log
		default: // what is wrong with it, verifying tells
			return trust, nil
		}
	}
	if failed != nil {
		return candidates[0], nil // as verifying tells
	}
	origin, err := audit.Origin(l.Dir)
	if err == nil && origin != "" {
		err = hint(fmt.Errorf("the log in %s has checkpoints, and there is no public key to check them with", l.Dir), "give the file with the keys that jiragate audit key prints at that gateway: --public-key FILE")
	}
	return nil, err
}

// trustFrom are the public keys of an audit key file; nil if there is none.
func trustFrom(path string) (*checkpoint.Trust, error) {
	verifiers, err := signer.Verifiers(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return checkpoint.NewTrust(verifiers...)
}

// queryIndex asks the index, or the log where there can be none. done is called when
// the records were read.
func (a *app) queryIndex(ctx context.Context, l fleet.Log, f audit.Filter) (records iter.Seq2[audit.Entry, error], done func() error) {
	logger := a.logger(slog.LevelDebug)
	x, err := a.openIndex(l, logger)
	if err != nil { // of another user, on a disk that is full or not to be written, or no log at all
		logger.Debug("audit query: reading the log without an index", "error", err)
		return audit.Query(l.Dir, f), func() error { return nil }
	}
	if _, err := x.UpdateSince(ctx, f.Since); err != nil && ctx.Err() == nil {
		logger.Debug("audit query: the index is not up to date; what it lacks is read from the log", "error", err)
	}
	return x.Query(ctx, f), x.Close
}
