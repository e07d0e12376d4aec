package cli

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"jiragate/gateway/admin"
	"jiragate/policy"
)

func newPolicy(a *app) *cobra.Command {
	return group("policy", "Policy: which calls are allowed, and why",
		newPolicyList(a), newPolicyExplain(a), newPolicyCheck(a), newPolicyReplay(a), newPolicyExport(a),
		newPolicyShow(a), newPolicyDiff(a), newPolicyHistory(a))
}

func newPolicyList(a *app) *cobra.Command {
	var output outputFormat
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List the operations of both editions",
		Long: `List the operations of both editions, as the running gateway has them; while none runs, with the
narrowing of JIRAGATE_POLICY_FILE. What is not in the list is refused.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			var view admin.PolicyView
			err := a.withSession(cmd.Context(), noStore, func(s *session) error {
				return s.call(cmd.Context(), http.MethodGet, "/v1/policy", nil, &view)
			})
			if err != nil {
				return err
			}
			if output == asJSON {
				return writeJSON(a.out, view.Operations)
			}
			return a.writeOperations(view)
		},
	}
	outputFlag(cmd, &output)
	return cmd
}

func (a *app) writeOperations(view admin.PolicyView) error {
	var rows [][]string
	for _, raw := range view.Operations {
		var o struct {
			ID, Edition, Purpose, Method, Path, Scope string
			Enabled                                   bool
		}
		if err := json.Unmarshal(raw, &o); err != nil {
			return fmt.Errorf("reading an operation: %w", err)
		}
		enabled := "on"
		if !o.Enabled {
			enabled = "off"
		}
		rows = append(rows, []string{o.ID, o.Edition, enabled, o.Method, o.Path, o.Scope, o.Purpose})
	}
	if err := writeTable(a.out, []string{"ID", "EDITION", "IS", "METHOD", "PATH", "SCOPE", "PURPOSE"}, rows); err != nil {
		return err
	}
	return a.printf("\npolicy version %s, SHA-256 %s\n", escapeText(view.Version), escapeText(view.SHA256))
}

func newPolicyExplain(a *app) *cobra.Command {
	var (
		request admin.ExplainRequest
		output  outputFormat
	)
	cmd := &cobra.Command{
		Use:   "explain METHOD URL",
		Short: "Say what the gateway would decide about a call, and why; nothing is sent",
		Long: `Say what the gateway would decide about a call, and why, by the code that decides calls. Nothing is
sent. The exit code is 0 for either decision. The body of a POST, and whether an issue was
published through this gateway, are looked at only when a call is made.`,
		Example: `  jiragate policy explain GET https://acme.atlassian.net/rest/api/3/myself
  jiragate policy explain DELETE https://jira.acme.com/jira/rest/api/2/issue/ACME-1 --client billing --output json`,
		Args: cobra.ExactArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			request.Method, request.URL = args[0], args[1]
			body, err := json.Marshal(request)
			if err != nil {
				return err
			}
			var e admin.Explanation
			err = a.withSession(cmd.Context(), existingStore, func(s *session) error {
				return s.call(cmd.Context(), http.MethodPost, "/v1/policy/explain", body, &e)
			})
			if err != nil {
				return err
			}
			if output == asJSON {
				return writeJSON(a.out, e)
			}
			return writeFields(a.out, [][2]string{
				{"decision", e.Decision},
				{"code", e.Code},
				{"because", e.Detail},
				{"operation", e.Operation},
				{"connection", e.Connection},
				{"edition", e.Edition},
				{"sends", e.Sent},
				{"reported", strings.Join(e.Reported, " ")},
				{"policy", e.PolicySHA256},
			})
		},
	}
	cmd.Flags().StringVar(&request.Connection, "connection", "", "the connection that the client chooses (default: found by the URL)")
	cmd.Flags().StringVar(&request.Client, "client", "", "the client that calls (default: one that may use each connection)")
	outputFlag(cmd, &output)
	return cmd
}

func newPolicyCheck(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "check FILE",
		Short: "Check narrowing rules before JIRAGATE_POLICY_FILE names them",
		Long: `Check a file of narrowing rules. What is wrong with it is said with line and column, and the exit
code is 1. Warnings name what is allowed but may not do what it seems to.`,
		Args: cobra.ExactArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			rules, err := os.ReadFile(args[0])
			if err != nil {
				return err
			}
			warnings, err := policy.Check(rules)
			if err != nil {
				return fmt.Errorf("%s: %w", args[0], err)
			}
			for _, w := range warnings {
				a.warn(w)
			}
			p, err := policy.New(rules)
			if err != nil {
				return fmt.Errorf("%s: %w", args[0], err)
			}
			return a.printf("%s is in order; with it the policy has SHA-256 %s\n", escapeText(args[0]), p.SHA256())
		},
	}
}

func newPolicyExport(a *app) *cobra.Command {
	var format string
	cmd := &cobra.Command{
		Use:   "export",
		Short: "Print the policy as customers' security teams read it",
		Long: `Print the table of documented operations with purposes, parameters and scopes, and the narrowing of
JIRAGATE_POLICY_FILE if there is any, with version and SHA-256 of the policy.`,
		Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			if !slices.Contains(policy.ExportFormats(), format) {
				return usage("--format %q is unknown: use %s", format, strings.Join(policy.ExportFormats(), ", "))
			}
			p, err := loadPolicy(a.config.PolicyFile)
			if err != nil {
				return err
			}
			return p.Export(a.out, format)
		},
	}
	cmd.Flags().StringVar(&format, "format", "md", strings.Join(policy.ExportFormats(), ", "))
	return cmd
}
