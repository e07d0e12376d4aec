package cli

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"jiragate/gateway/audit"
	"jiragate/policy"
	"jiragate/policy/replay"
)

func newPolicyReplay(a *app) *cobra.Command {
	var (
		filter       audit.Filter
		since, until string
		dir, file    string
		failOnChange bool
		output       outputFormat
	)
	cmd := &cobra.Command{
		Use:   "replay --policy FILE",
		Short: "Decide the recorded calls again under other rules, and say what would change",
		Long: `Decide the recorded calls again under other narrowing rules, and say what would change, so that a
tightening is known before it is enforced. Nothing is sent, and no rules come into force.

The records hold neither values of queries nor bodies. A call is called undecidable where they
would matter, with the reason; it is never guessed. Rules in mode report refuse nothing here
either. The catalogue is this program's: records of a release with another one are undecidable
where that shows. The exit code is 0 whether or not anything changes, unless --fail-on-change
is given: then it is 1 unless every call is certain to be decided as it was.`,
		Example: `  jiragate policy replay --policy tightened.yaml --since 720h
  jiragate policy replay --policy tightened.yaml --connection acme --output json --fail-on-change`,
		Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			if file == "" {
				return usage("--policy FILE is needed: the rules to decide by")
			}
			now := time.Now()
			var err error
			if filter.Since, err = audit.ParseTime(since, now); err != nil {
				return usage("--since %q: %v", since, err)
			}
			if filter.Until, err = audit.ParseTime(until, now); err != nil {
				return usage("--until %q: %v", until, err)
			}
			rules, err := os.ReadFile(file)
			if err != nil {
				return err
			}
			p, err := policy.New(rules)
			if err != nil {
				return fmt.Errorf("%s: %w", file, err)
			}
			if dir == "" {
				dir = a.config.auditDir()
			}
			return a.replay(p, dir, filter, output, failOnChange)
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&file, "policy", "", "the narrowing rules, as JIRAGATE_POLICY_FILE")
	flags.StringVar(&dir, "log", "", "the directory of the records (default: that of the data directory)")
	flags.StringVar(&since, "since", "", "records of this time and later")
	flags.StringVar(&until, "until", "", "records before this time")
	flags.StringVar(&filter.Connection, "connection", "", "of this connection")
	flags.BoolVar(&failOnChange, "fail-on-change", false, "exit code 1 if a call would, or could, be decided otherwise")
	outputFlag(cmd, &output)
	return cmd
}

func (a *app) replay(p *policy.Policy, dir string, f audit.Filter, output outputFormat, failOnChange bool) error {
	r := replay.New(p)
	damage := a.eachRecord(audit.Query(dir, f), func(e *audit.Entry) error {
		r.Add(recordedCall(&e.Record))
		return nil
	})
	if damage != nil && !errors.Is(damage, errDamagedLines) {
		return damage
	}
	report := r.Report()
	write := a.writeReplay
	if output == asJSON {
		write = func(report *replay.Report) error { return writeJSON(a.out, report) }
	}
	if err := write(&report); err != nil {
		return err
	}
	switch {
	case damage != nil:
		return damage
	case failOnChange && !report.Unchanged():
		return fmt.Errorf("with these rules calls could be decided otherwise: %d would be refused, %d could be allowed, %d cannot be decided", report.Refused, report.Allowed, report.Undecidable)
	}
	return nil
}

// recordedCall is what the policy can make use of in a record.
func recordedCall(r *audit.Record) replay.Call {
	return replay.Call{Seq: r.Seq, ID: r.ID, Time: r.Time, Act: r.IsAct(), Recorded: policy.Recorded{
		Edition: policy.Edition(r.Edition), Method: r.Method, Operation: r.Operation, Path: r.Path, QueryNames: r.QueryNames,
		Client: r.Client, Connection: r.Connection, PolicySHA256: r.PolicySHA256,
		Allowed: r.Decision == audit.DecisionAllow, Code: policy.Code(r.Code),
	}}
}

// writeReplay writes one line a group, and what it comes to.
func (a *app) writeReplay(r *replay.Report) error {
	if len(r.Groups) > 0 {
		var rows [][]string
		for i := range r.Groups {
			rows = append(rows, replayRow(&r.Groups[i]))
		}
		heading := []string{"CHANGE", "CALLS", "CONNECTION", "CLIENT", "OPERATION", "WAS", "CODE", "RULE", "FIRST", "LAST", "EXAMPLE", "BECAUSE"}
		if err := writeTable(a.out, heading, rows); err != nil {
			return err
		}
		if err := a.printf("\n"); err != nil {
			return err
		}
	}
	return a.printf("%s\npolicy version %s, SHA-256 %s\n", replaySummary(r), escapeText(r.PolicyVersion), r.PolicySHA256)
}

func replayRow(g *replay.Group) []string {
	change := map[replay.Change]string{
		replay.Refused: "refused", replay.Allowed: "could be allowed", replay.Undecidable: "undecidable", replay.OtherReason: "other reason",
	}[g.Change]
	was := string(g.WasCode)
	if was == "" {
		was = "allowed"
	}
	return []string{
		change, strconv.FormatUint(g.Calls, 10), g.Connection, g.Client, g.Operation, was, string(g.Code), g.Rule,
		timeText(g.First), timeText(g.Last), strconv.FormatUint(g.Example.Seq, 10) + " " + shortened(g.Example.Path), g.Why,
	}
}

// shortened cuts a path that a client may have made as long as it liked.
func shortened(path string) string {
	const most = 80
	if r := []rune(path); len(r) > most {
		return string(r[:most-1]) + "…"
	}
	return path
}

// replaySummary says in sentences what a replay comes to.
func replaySummary(r *replay.Report) string {
	if r.Records == 0 {
		return "There are no records of this time."
	}
	var b strings.Builder
	decided := r.Records - r.NotByPolicy - r.Acts
	fmt.Fprintf(&b, "Of %s that a policy decided, %d would be refused, %d could be allowed, %d cannot be decided from their records, and %d stay as they are",
		plural(decided, "call"), r.Refused, r.Allowed, r.Undecidable, r.Same)
	if r.OtherReason > 0 {
		fmt.Fprintf(&b, " (%d refused for another reason)", r.OtherReason)
	}
	b.WriteString(".")
	if r.NotByPolicy > 0 {
		fmt.Fprintf(&b, " Not decided by the policy: %s.", plural(r.NotByPolicy, "refused call"))
	}
	if r.Acts > 0 {
		fmt.Fprintf(&b, " Left alone: %s of administration.", plural(r.Acts, "act"))
	}
	if r.Allowed > 0 {
		b.WriteString(" Could be allowed: the policy would let the call pass; grants, published issues and limits, which are asked after it, might not.")
	}
	if r.Ungrouped > 0 {
		fmt.Fprintf(&b, " The table leaves out %s, which it has no room for.", plural(r.Ungrouped, "call"))
	}
	return b.String()
}

// plural counts things whose name takes an s.
func plural(n uint64, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return strconv.FormatUint(n, 10) + " " + what + "s"
}
