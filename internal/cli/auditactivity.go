package cli

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"math"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"jiragate/gateway/admin"
	"jiragate/gateway/audit"
	"jiragate/gateway/audit/activity"
	"jiragate/gateway/pace"
)

func newAuditActivity(a *app) *cobra.Command {
	var (
		since, until, connection string
		step                     time.Duration
		output                   outputFormat
		given                    []string
	)
	cmd := &cobra.Command{
		Use:   "activity",
		Short: "Count calls, refusals, rate limits and latency over time",
		Long: `Count the call records from step to step, in UTC: calls that were allowed, refused ones, those that
failed on the way or that Jira answered with 5xx, those that Jira answered with 429, those that the
gateway answered with 429 itself, the points of Atlassian's budget, and how long the allowed calls
took (percentiles, within 4.4 %). Last come the refused calls by code.

A time is as in audit query. Steps are of whole minutes, and begin at multiples of their length; the
first and the last are whole. They are of whole hours where the window is longer than 25 hours; the
longest is of 32 days. The records are read from the data directory, whether the
gateway runs or not. With --log for each of several gateways, the calls of all are counted together.`,
		Example: `  jiragate audit activity --since 1h --step 1m
  jiragate audit activity --since 2026-11-01 --until 2026-12-01 --step 24h --connection acme --output json`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			now := time.Now()
			from, err := audit.ParseTime(since, now)
			if err == nil && from.IsZero() {
				err = errors.New("a time is needed")
			}
			if err != nil {
				return usage("--since %q: %v", since, err)
			}
			end, err := audit.ParseTime(until, now)
			if err != nil {
				return usage("--until %q: %v", until, err)
			}
			if until == "" {
				end = now
			}
			logs, err := a.logs(given)
			if err != nil {
				return err
			}
			var dirs []string
			for _, l := range logs {
				dirs = append(dirs, l.Dir)
			}
			var done func() error
			counted, damage := countActivity(cmd.Context(), dirs, admin.ActivityRequest{Since: from, Until: end, Step: step, Connection: connection}, atOnce,
				func(ctx context.Context, f audit.Filter) iter.Seq2[audit.Entry, error] {
					var records iter.Seq2[audit.Entry, error]
					records, done = a.queryLogs(ctx, logs, f, false)
					return a.reportingDamage(records)
				})
			if done != nil {
				if err := done(); err != nil {
					return err
				}
			}
			switch {
			case errors.Is(damage, activity.ErrWindow):
				return usage("--since, --until, --step: %v", damage)
			case damage != nil && !isDamage(damage):
				return auditError(damage)
			}
			return errors.Join(a.writeActivity(counted, output), damage)
		},
	}
	logsFlag(cmd, &given)
	flags := cmd.Flags()
	flags.StringVar(&since, "since", "24h", "from this time on")
	flags.StringVar(&until, "until", "", "before this time (now)")
	flags.DurationVar(&step, "step", 15*time.Minute, "how long a step is")
	flags.StringVar(&connection, "connection", "", "of this connection alone")
	outputFlag(cmd, &output)
	return cmd
}

// query is a question to the audit log, as [audit.Query] answers it.
type query = func(context.Context, audit.Filter) iter.Seq2[audit.Entry, error]

// countActivity counts the records that ask finds in a window, in the parts that begin
// where parts says. Damage in the log, and that ctx ended, are errors beside what was
// counted; other errors are in its place.
func countActivity(ctx context.Context, dirs []string, q admin.ActivityRequest, parts func(from, until time.Time) []time.Time, ask query) (admin.Activity, error) {
	board, window, err := activityWindow(q.Since, q.Until, q.Step)
	if err != nil {
		return admin.Activity{}, err
	}
	whole := window.From
	for _, dir := range dirs { // whole is what all logs have
		if whole, err = logBegins(dir, whole); err != nil {
			return admin.Activity{}, err
		}
	}
	past := activity.Past{Since: whole, Found: math.MaxUint64}
	failed := countBack(ctx, board, past, parts(window.From, window.Until), audit.Filter{Until: window.Until, Connection: q.Connection}, ask)
	if failed != nil && !isDamage(failed) && ctx.Err() == nil {
		return admin.Activity{}, failed
	}
	counted, err := seriesOf(board, window.From, window.Until, q.Step)
	return counted, errors.Join(err, failed)
}

// countBack counts the records that f lets through in parts, which begin at these times,
// the newest first: so the counts of what was lately are whole while, or even if, the
// rest is not. past is about all of them. Damage in the log does not end it.
func countBack(ctx context.Context, board *activity.Board, past activity.Past, begins []time.Time, f audit.Filter, ask query) error {
	var damage error
	for _, f.Since = range begins {
		part := past
		if f.Since.After(past.Since) {
			part.Since = f.Since
		}
		err := board.Load(ctx, part, ask(ctx, f))
		if err != nil && !isDamage(err) {
			return err
		}
		// An older part is read to the end of the log, too, and finds the same damage.
		damage = err
		f.Until = f.Since
	}
	return damage
}

// atOnce is one part.
func atOnce(from, _ time.Time) []time.Time { return []time.Time{from} }

// doubling are parts of which each reaches twice as far back as the one before; the
// first is of an hour.
func doubling(from, until time.Time) []time.Time {
	var begins []time.Time
	for long := time.Hour; ; long *= 2 {
		begin := until.Add(-long)
		if !begin.After(from) {
			return append(begins, from)
		}
		begins = append(begins, begin)
	}
}

// seriesOf is what a board has counted.
func seriesOf(b *activity.Board, from, until time.Time, step time.Duration) (admin.Activity, error) {
	series, err := b.Series(from, until, step)
	if err != nil {
		return admin.Activity{}, err
	}
	return admin.Activity{Series: series, Refusals: b.Refusals(from, until)}, nil
}

// activityWindow makes the board for a window of whole steps. A board shows what was
// lately; for this one, the end of the window is now.
func activityWindow(from, until time.Time, step time.Duration) (*activity.Board, *activity.Series, error) {
	boardAt := func(now time.Time) *activity.Board {
		return activity.New(activity.Options{Now: func() time.Time { return now }, Weight: pace.Weight})
	}
	window, err := boardAt(until).Series(from, until, step)
	if err != nil {
		return nil, nil, err
	}
	if window.Until.Sub(window.From) > activity.Horizon {
		return nil, nil, fmt.Errorf("%w: whole steps of %s from %s to %s are more than 32 days", activity.ErrWindow, step, timeText(window.From), timeText(window.Until))
	}
	board := boardAt(window.Until)
	window, err = board.Series(window.From, window.Until, step)
	return board, window, err
}

// logBegins is since, or where the log begins after it because its beginning was
// removed.
func logBegins(dir string, since time.Time) (time.Time, error) {
	for e, err := range audit.Query(dir, audit.Filter{}) {
		if isDamage(err) {
			break
		}
		if err != nil {
			return time.Time{}, err
		}
		if e.Seq > 1 && e.Time.After(since) {
			return e.Time, nil
		}
		break
	}
	return since, nil
}

func isDamage(err error) bool {
	_, ok := errors.AsType[*audit.DefectError](err)
	return ok
}

// reportingDamage says of lines that are no records as they are found.
func (a *app) reportingDamage(records iter.Seq2[audit.Entry, error]) iter.Seq2[audit.Entry, error] {
	return func(yield func(audit.Entry, error) bool) {
		for e, err := range records {
			if isDamage(err) {
				a.report(err)
			}
			if !yield(e, err) {
				return
			}
		}
	}
}

func (a *app) writeActivity(r admin.Activity, output outputFormat) error {
	if output == asJSON {
		return writeJSON(a.out, r)
	}
	heading := []string{"START", "CALLS", "REFUSED", "FAILED", "RATE LIMITED", "PACED", "POINTS", "P50 MS", "P95 MS", "P99 MS", "ACTS"}
	var rows [][]string
	for _, p := range r.Points {
		rows = append(rows, activityRow(timeText(p.Start), p.Measures))
	}
	rows = append(rows, activityRow("total", r.Total))
	if err := writeTable(a.out, heading, rows); err != nil {
		return err
	}
	if r.CompleteSince.After(r.From) {
		a.warn("the log lacks records before " + timeText(r.CompleteSince) + ": what is counted before is not all")
	}
	if len(r.Refusals) == 0 {
		return nil
	}
	rows = nil
	for _, c := range r.Refusals {
		rows = append(rows, []string{c.Code, strconv.FormatUint(c.Calls, 10)})
	}
	if err := a.printf("\n"); err != nil {
		return err
	}
	return writeTable(a.out, []string{"CODE", "REFUSED"}, rows)
}

func activityRow(name string, m activity.Measures) []string {
	row := []string{name}
	for _, n := range []uint64{m.Calls, m.Refused, m.Failed, m.RateLimited, m.Paced, m.BudgetPoints} {
		row = append(row, strconv.FormatUint(n, 10))
	}
	for _, ms := range []*float64{m.P50, m.P95, m.P99} {
		cell := ""
		if ms != nil {
			cell = strconv.FormatFloat(*ms, 'g', 3, 64)
			if *ms >= 100 {
				cell = strconv.FormatFloat(*ms, 'f', 0, 64)
			}
		}
		row = append(row, cell)
	}
	return append(row, strconv.FormatUint(m.Acts, 10))
}
