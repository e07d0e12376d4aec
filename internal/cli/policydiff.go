package cli

import (
	"fmt"

	"github.com/spf13/cobra"

	"jiragate/policy"
)

func newPolicyDiff(a *app) *cobra.Command {
	var output outputFormat
	cmd := &cobra.Command{
		Use:   "diff POLICY POLICY",
		Short: "Say in words what changed from one policy to another",
		Long: `Say in words what changed from the first policy to the second, and what each change does to the calls
that are allowed. What is compared is what the policies mean: comments and the order of names make
another SHA-256, and no change. The exit code is 0 whether there are changes or not.

` + namingHelp,
		Example: `  jiragate policy diff b917c65f current
  jiragate policy diff current ./stricter.yaml --output json`,
		Args: cobra.ExactArgs(2),
		RunE: func(_ *cobra.Command, args []string) error {
			var policies [2]*policy.Policy
			for i, name := range args {
				archive, err := a.archivedPolicy(name)
				if err != nil {
					return err
				}
				if policies[i], err = compilePolicy(name, archive); err != nil {
					return err
				}
			}
			return a.writeDiff(policies[0], policies[1], output)
		},
	}
	outputFlag(cmd, &output)
	return cmd
}

func (a *app) writeDiff(from, to *policy.Policy, output outputFormat) error {
	changes := policy.Diff(from, to)
	total := policy.TotalEffect(changes)
	if output == asJSON {
		type side struct {
			SHA256  string `json:"sha256"`
			Version string `json:"version"`
		}
		if changes == nil {
			changes = []policy.Change{}
		}
		return writeJSON(a.out, struct {
			From    side            `json:"from"`
			To      side            `json:"to"`
			Effect  policy.Effect   `json:"effect"`
			Changes []policy.Change `json:"changes"`
		}{side{from.SHA256(), from.Version()}, side{to.SHA256(), to.Version()}, total, changes})
	}
	err := writeFields(a.out, [][2]string{
		{"from", fmt.Sprintf("%s (catalogue %s)", from.SHA256(), from.Version())},
		{"to", fmt.Sprintf("%s (catalogue %s)", to.SHA256(), to.Version())},
		{"in all", inAll(from, to, changes, total)},
	})
	if err != nil || len(changes) == 0 {
		return err
	}
	rows := make([][]string, len(changes))
	for i, c := range changes {
		rows[i] = []string{string(c.Effect), c.Text}
	}
	if err := a.printf("\n"); err != nil {
		return err
	}
	return writeTable(a.out, []string{"EFFECT", "CHANGE"}, rows)
}

// inAll says in a line what the changes come to.
func inAll(from, to *policy.Policy, changes []policy.Change, total policy.Effect) string {
	switch {
	case from.SHA256() == to.SHA256():
		return "the two are one policy"
	case len(changes) == 0:
		return "the texts differ, and mean the same"
	}
	switch total {
	case policy.EffectNone:
		return "the same calls are allowed"
	case policy.EffectLess:
		return "calls may be refused that were allowed before, and none is allowed that was refused"
	case policy.EffectMore:
		return "calls may be allowed that were refused before, and none is refused that was allowed"
	}
	return "calls may be allowed that were refused before, and others refused that were allowed"
}
