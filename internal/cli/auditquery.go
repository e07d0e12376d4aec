package cli

import (
	"errors"
	"iter"
	"log/slog"
	"os"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"jiragate/gateway/audit"
	"jiragate/gateway/audit/fleet"
	"jiragate/gateway/audit/index"
)

func newAuditQuery(a *app) *cobra.Command {
	var (
		filter       audit.Filter
		since, until string
		kind         string
		output       outputFormat
		noIndex      bool
		follow       bool
		given        []string
	)
	cmd := &cobra.Command{
		Use:   "query",
		Short: "Show call records, newest last",
		Long: `Show call records, newest last. A time is RFC 3339 (2026-01-31T12:00:00Z), a date, or so long ago
(90m, 24h). The records are read from the data directory, whether the gateway runs or not. The
chain is not checked: see audit verify.

As JSON, one record a line, byte for byte as in the log. As CSV, a column for each key of a record;
a cell that a spreadsheet would take for a formula begins with an apostrophe.

An index beside the log says which parts of it to read. It is brought up to date first, which takes
minutes if there is none yet and the log is big. The answer is the same without it: with --no-index,
or where the index cannot be written, all of the log in question is read. A --text of 16 bytes or
more, as the id of a record or a trace, is found fast; a shorter one takes reading.

With --follow it goes on with each record that is written, in the order of the log and within about a
second, until it is interrupted.

With --log for each of several gateways, their records come together, by time, each with the node that
it is of: in a column NODE, as the first member of the JSON object, or in the column node of the CSV. The
node is the one that the log names (JIRAGATE_NODE), or that is given, or the name of the directory.
An index is used where there is one beside a log.`,
		Example: `  jiragate audit query --since 24h --decision deny
  jiragate audit query --connection acme --operation issue.create --output json
  jiragate audit query --decision deny --limit 10 --follow
  jiragate audit query --connection acme --since 2026-01-01 --until 2026-02-01 --output csv
  jiragate audit query --log /srv/a/audit --log /srv/b/audit --since 1h`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			now := time.Now()
			var err error
			if filter.Since, err = audit.ParseTime(since, now); err != nil {
				return usage("--since %q: %v", since, err)
			}
			if filter.Until, err = audit.ParseTime(until, now); err != nil {
				return usage("--until %q: %v", until, err)
			}
			switch filter.Kind = audit.Kind(kind); filter.Kind {
			case "", audit.KindCall, audit.KindAct:
			default:
				return usage("--kind %q is unknown; use call or act", kind)
			}
			if filter.Limit < 0 {
				return usage("--limit must be positive, or 0 for all")
			}
			if follow && until != "" {
				return usage("--follow has no end: leave --until out")
			}
			logs, err := a.logs(given)
			if err != nil {
				return err
			}
			if len(logs) > 1 && filter.Before > 0 {
				return usage("--before counts in one log: with several, use --until")
			}
			w := a.newRecordWriter(output, len(logs) > 1)
			ask := func() (iter.Seq2[audit.Entry, error], func() error) {
				return a.queryLogs(cmd.Context(), logs, filter, noIndex)
			}
			if follow {
				return a.followRecords(cmd.Context(), logs, filter, ask, w)
			}
			records, done := ask()
			return errors.Join(a.writeRecords(records, w), done())
		},
	}
	logsFlag(cmd, &given)
	flags := cmd.Flags()
	flags.StringVar(&since, "since", "", "records of this time and later")
	flags.StringVar(&until, "until", "", "records before this time")
	flags.StringVar(&filter.Connection, "connection", "", "of this connection")
	flags.StringVar(&filter.Client, "client", "", "of this client")
	flags.StringVar(&filter.Operation, "operation", "", "of this operation, as issue.create")
	flags.StringVar(&filter.Decision, "decision", "", "allow or deny")
	flags.StringVar(&filter.Code, "code", "", "with this reason code")
	flags.IntVar(&filter.Status, "status", 0, "with this HTTP status")
	flags.StringVar(&filter.Text, "text", "", "with this text in any field")
	flags.StringVar(&kind, "kind", "", "call, or act: an act of administration")
	flags.Uint64Var(&filter.Before, "before", 0, "before the record with this seq, to go on from the last so many")
	flags.IntVar(&filter.Limit, "limit", 0, "the last so many (0: all)")
	flags.BoolVar(&noIndex, "no-index", false, "read the log itself, without the index")
	flags.BoolVar(&follow, "follow", false, "go on with new records as they are written")
	outputFlag(cmd, &output, asCSV)
	return cmd
}

// asksForSome tells whether an index can help: not if all or the last are wanted.
func asksForSome(f audit.Filter) bool {
	f.Limit = 0
	return f != audit.Filter{}
}

// openIndex opens the index of the log, if there is a log. Updates that take long say
// how far they are on standard error.
func (a *app) openIndex(l fleet.Log, logger *slog.Logger) (*index.Index, error) {
	if _, err := os.Stat(l.Dir); err != nil {
		return nil, err
	}
	path, err := a.indexFile(l)
	if err != nil {
		return nil, err
	}
	next := time.Now().Add(time.Second)
	return index.Open(index.Options{
		Path: path, Dir: l.Dir, Logger: logger,
		Report: func(p index.Progress) {
			if now := time.Now(); now.After(next) {
				next = now.Add(5 * time.Second)
				a.say("", "indexing the audit log: "+strconv.Itoa(p.Done)+" of "+strconv.Itoa(p.Segments)+" segments")
			}
		},
	})
}

// writeRecords writes as it reads.
func (a *app) writeRecords(records iter.Seq2[audit.Entry, error], w recordWriter) error {
	damage := a.eachRecord(records, w.record)
	if damage != nil && !errors.Is(damage, errDamagedLines) {
		return damage
	}
	if err := w.end(); err != nil {
		return err
	}
	return damage
}

var errDamagedLines = errors.New("the log has lines that are no records")

// eachRecord calls do for each record. Lines that are none are reported as they are
// found; the error is errDamagedLines then, in the end.
func (a *app) eachRecord(records iter.Seq2[audit.Entry, error], do func(*audit.Entry) error) error {
	damaged := false
	for entry, err := range records {
		if isDamage(err) {
			a.report(err) // with the node, where there are several
			damaged = true
			continue
		}
		if err != nil {
			return auditError(err)
		}
		if err := do(&entry); err != nil {
			return err
		}
	}
	if damaged {
		return hint(errDamagedLines, "jiragate audit verify names the first one that fails")
	}
	return nil
}

func newAuditReindex(a *app) *cobra.Command {
	var output outputFormat
	cmd := &cobra.Command{
		Use:   "reindex",
		Short: "Make the index of the call records anew",
		Long: `Forget the index that audit query uses, and make it anew from the log. That is never needed for an
answer to be right: what the index does not know is read from the log. It may run while the gateway
does. The newest segment is not indexed while it is written.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			x, err := a.openIndex(fleet.Log{Dir: a.config.auditDir()}, a.logger(slog.LevelDebug))
			if err != nil {
				return auditError(err)
			}
			defer x.Close()
			if err := x.Reset(cmd.Context()); err != nil {
				return err
			}
			p, err := x.Update(cmd.Context())
			if err != nil {
				return hint(err, "what was indexed stays; audit query goes on from there")
			}
			if output == asJSON {
				return writeJSON(a.out, struct {
					File     string `json:"file"`
					Segments int    `json:"segments"`
					Records  int64  `json:"records"`
				}{a.config.auditIndexFile(), p.Indexed, p.Records})
			}
			return writeFields(a.out, [][2]string{
				{"file", a.config.auditIndexFile()},
				{"segments", strconv.Itoa(p.Indexed)},
				{"records", strconv.FormatInt(p.Records, 10)},
			})
		},
	}
	outputFlag(cmd, &output)
	return cmd
}
