package cli

import (
	"errors"
	"io/fs"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"jiragate/gateway/audit"
)

func newAudit(a *app) *cobra.Command {
	return group("audit", "Audit: the call records",
		newAuditQuery(a), newAuditReport(a), newAuditVerify(a), newAuditProve(a), newAuditKey(a), newAuditPseudonym(a))
}

func newAuditQuery(a *app) *cobra.Command {
	var (
		filter       audit.Filter
		since, until string
		output       outputFormat
	)
	cmd := &cobra.Command{
		Use:   "query",
		Short: "Show call records, newest last",
		Long: `Show call records, newest last. As JSON, one record a line, byte for byte as in the log. A time is
RFC 3339 (2026-01-31T12:00:00Z), a date, or so long ago (90m, 24h). The records are read from
the data directory, whether the gateway runs or not. The chain is not checked: see audit verify.`,
		Example: `  jiragate audit query --since 24h --decision deny
  jiragate audit query --connection acme --operation issue.create --output json`,
		Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			now := time.Now()
			var err error
			if filter.Since, err = parseTime(since, now); err != nil {
				return usage("--since %q: %v", since, err)
			}
			if filter.Until, err = parseTime(until, now); err != nil {
				return usage("--until %q: %v", until, err)
			}
			if filter.Limit < 0 {
				return usage("--limit must be positive, or 0 for all")
			}
			return a.queryAudit(filter, output)
		},
	}
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
	flags.IntVar(&filter.Limit, "limit", 0, "the last so many (0: all)")
	outputFlag(cmd, &output)
	return cmd
}

// queryAudit writes as it reads. Lines that are no records are reported, and
// make the command fail in the end.
func (a *app) queryAudit(f audit.Filter, output outputFormat) error {
	damaged := false
	var rows [][]string
	for entry, err := range audit.Query(a.config.auditDir(), f) {
		if defect, ok := errors.AsType[*audit.DefectError](err); ok {
			a.report(defect)
			damaged = true
			continue
		}
		if err != nil {
			return auditError(err)
		}
		if output == asJSON {
			if err := a.printf("%s\n", entry.Raw); err != nil {
				return err
			}
			continue
		}
		r := entry.Record
		what := r.Operation
		if what == "" {
			what = r.Path
		}
		rows = append(rows, []string{
			timeText(r.Time), r.Client, r.Connection, r.Method, what, r.Decision, r.Code,
			strconv.Itoa(r.Status), r.EgressIP, strconv.FormatFloat(r.DurationMS, 'f', 0, 64), r.ID,
		})
	}
	if output == asTable {
		heading := []string{"TIME", "CLIENT", "CONNECTION", "METHOD", "OPERATION", "DECISION", "CODE", "STATUS", "EGRESS", "MS", "ID"}
		if err := writeTable(a.out, heading, rows); err != nil {
			return err
		}
	}
	if damaged {
		return hint(errors.New("the log has lines that are no records"), "jiragate audit verify names the first one that fails")
	}
	return nil
}

func auditError(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return hint(err, "the gateway makes the log when it first starts; is JIRAGATE_DATA_DIR the right directory?")
	}
	return err
}

// parseTime reads RFC 3339, a date (its beginning in UTC), or a duration before now.
func parseTime(s string, now time.Time) (time.Time, error) {
	if s == "" {
		return time.Time{}, nil
	}
	if d, err := time.ParseDuration(s); err == nil && d > 0 && !strings.HasPrefix(s, "+") {
		return now.Add(-d), nil
	}
	for _, layout := range []string{time.RFC3339, time.DateOnly} {
		if t, err := time.Parse(layout, s); err == nil {
			return t, nil
		}
	}
	return time.Time{}, errors.New("use a time like 2026-01-31T12:00:00Z, a date like 2026-01-31, or a duration like 24h")
}
