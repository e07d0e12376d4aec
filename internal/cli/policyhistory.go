package cli

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"jiragate/gateway/admin"
	"jiragate/policy"
	"jiragate/policy/history"
)

// policyHistory is where every policy that decided something is kept: beside the
// records that name it.
func policyHistory(c Config) *history.History {
	return history.New(policiesOf(c.auditDir()))
}

// policiesOf is where the policies of a log are, in its directory.
func policiesOf(dir string) string { return filepath.Join(dir, "policies") }

// keepPolicy keeps a policy before it decides anything. One that can't be kept
// must not come into force.
func keepPolicy(c Config, p *policy.Policy) error {
	if err := policyHistory(c).Put(p); err != nil {
		return fmt.Errorf("a policy that can't be kept doesn't come into force: %w", err)
	}
	return nil
}

// How `policy show` and `policy diff` name policies, besides their hashes.
const (
	currentPolicy = "current"
	namingHelp    = `A policy is named by its SHA-256, as it stands in the field policy_sha256 of call records, or by the
first 8 or more digits of it; by "current", which is the policy that JIRAGATE_POLICY_FILE makes now;
or by the path of a file of rules, with a slash in it or ending in .yaml or .yml.`
)

// archivedPolicy returns the archive of the policy that an argument names.
func (a *app) archivedPolicy(name string) ([]byte, error) {
	switch {
	case name == currentPolicy:
		p, err := loadPolicy(a.config.PolicyFile)
		if err != nil {
			return nil, err
		}
		return p.Archive(), nil
	case strings.Contains(name, "/") || strings.HasSuffix(name, ".yaml") || strings.HasSuffix(name, ".yml"):
		rules, err := os.ReadFile(name)
		if err != nil {
			return nil, err
		}
		p, err := policy.New(rules)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		return p.Archive(), nil
	}
	archive, err := policyHistory(a.config).Bytes(name)
	if errors.Is(err, history.ErrNotHash) {
		return nil, usage("%v; or %q; or the path of a file of rules, as ./rules.yaml", err, currentPolicy)
	}
	return archive, err
}

// compilePolicy makes a policy of the archive that was found under a name.
func compilePolicy(name string, archive []byte) (*policy.Policy, error) {
	p, err := policy.FromArchive(archive)
	if err != nil {
		return nil, hint(fmt.Errorf("policy %s: %w", name, err), "policy show %s --format rules shows the operator's rules all the same", name)
	}
	return p, nil
}

// Formats of `policy show` that are what was kept, byte for byte.
const (
	asRules     = "rules"
	asCatalogue = "catalogue"
	asArchive   = "archive"
)

func newPolicyShow(a *app) *cobra.Command {
	formats := append(policy.ExportFormats(), asRules, asCatalogue, asArchive)
	var format string
	cmd := &cobra.Command{
		Use:   "show POLICY",
		Short: "Show a policy that decided calls, by the hash that their records name",
		Long: `Show a policy that decided calls. The formats of "policy export" show what it meant; rules is the
text of the operator's rules as it was, catalogue that of the documented operations, and archive
both as they are kept: the bytes whose SHA-256 names the policy.

` + namingHelp,
		Example: `  jiragate policy show b917c65f --format rules
  jiragate policy show b917c65f --format archive | sha256sum`,
		Args: cobra.ExactArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			if !slices.Contains(formats, format) {
				return usage("--format %q is unknown: use %s", format, strings.Join(formats, ", "))
			}
			archive, err := a.archivedPolicy(args[0])
			if err != nil {
				return err
			}
			if slices.Contains(policy.ExportFormats(), format) {
				return a.exportPolicy(args[0], archive, format)
			}
			return a.writeKept(args[0], archive, format)
		},
	}
	cmd.Flags().StringVar(&format, "format", "md", strings.Join(formats, ", "))
	return cmd
}

func (a *app) exportPolicy(name string, archive []byte, format string) error {
	p, err := compilePolicy(name, archive)
	if err != nil {
		return err
	}
	// The text of a catalogue that was kept is not that of this program.
	var b bytes.Buffer
	if err := p.Export(&b, format); err != nil {
		return err
	}
	_, err = a.out.Write(escapeLines(b.Bytes()))
	return err
}

// writeKept writes texts as they were, unless that could steer a terminal.
func (a *app) writeKept(name string, archive []byte, format string) error {
	catalogue, rules, err := policy.ArchiveTexts(archive)
	if err != nil {
		return err
	}
	text := archive
	switch format {
	case asCatalogue:
		text = catalogue
	case asRules:
		if rules == nil {
			return hint(fmt.Errorf("policy %s has no rules: the catalogue alone decided", name), "--format md shows what it allowed")
		}
		text = rules
	}
	if isTerminal(a.out) {
		if format == asArchive {
			return usage("an archive is for programs: write it to a file or a pipe")
		}
		text = escapeLines(text)
	}
	_, err = a.out.Write(text)
	return err
}

func isTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}

func newPolicyHistory(a *app) *cobra.Command {
	var output outputFormat
	cmd := &cobra.Command{
		Use:   "history",
		Short: "List the policies that decided calls, oldest first",
		Long: `List every policy that came into force, oldest first, as they are kept in the folder audit/policies
of the data directory, and check that each still has the SHA-256 that it is named for. If one
hasn't, the exit code is 1. The time is that of the file. When a policy was in force is on record:
"audit query --operation admin.policy.load".`,
		Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			list, err := policyHistory(a.config).List()
			if err != nil {
				return err
			}
			if output == asJSON {
				err = a.writeHistoryJSON(list)
			} else {
				err = a.writeHistory(list)
			}
			if err != nil {
				return err
			}
			for _, e := range list {
				if !e.Verified {
					err = errors.Join(err, e.Err)
				}
			}
			return err
		},
	}
	outputFlag(cmd, &output)
	return cmd
}

func (a *app) writeHistory(list []history.Entry) error {
	if len(list) == 0 {
		return a.printf("no policy is kept yet: the gateway keeps each before it comes into force\n")
	}
	var rows [][]string
	for _, e := range list {
		is := "verified"
		if !e.Verified {
			is = "NOT VERIFIED"
		} else if e.Err != nil {
			is = "verified, not readable by this program"
		}
		rows = append(rows, []string{timeText(e.Made), e.SHA256, e.Version, is})
	}
	return writeTable(a.out, []string{"KEPT", "SHA-256", "CATALOGUE", "IS"}, rows)
}

func (a *app) writeHistoryJSON(list []history.Entry) error {
	entries := []admin.KeptPolicy{}
	for _, e := range list {
		entries = append(entries, admin.KeptPolicyOf(e))
	}
	return writeJSON(a.out, entries)
}
