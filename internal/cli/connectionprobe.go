package cli

import (
	"net/http"
	"strconv"

	"github.com/spf13/cobra"

	"jiragate/gateway/admin"
)

func newConnectionTest(a *app) *cobra.Command {
	var output outputFormat
	cmd := &cobra.Command{
		Use:   "test ID",
		Short: "Call Jira over a connection and say whose account answers",
		Long: `Make the documented call "Get authorized user info, test connectivity" over a connection, by the
way of every other call: decided, recorded (as client "jiragate"), sent from the egress address.
Exits with 1 if Jira did not answer with the account.`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			var result admin.ProbeResult
			err := a.withSession(cmd.Context(), existingStore, func(s *session) error {
				return s.call(cmd.Context(), http.MethodPost, connectionPath(args[0], "test"), nil, &result)
			})
			if err != nil {
				return err
			}
			if err := a.writeProbe(result, output); err != nil {
				return err
			}
			if !result.OK {
				return errReported
			}
			return nil
		},
	}
	outputFlag(cmd, &output)
	return cmd
}

func (a *app) writeProbe(r admin.ProbeResult, output outputFormat) error {
	if output == asJSON {
		return writeJSON(a.out, r)
	}
	verdict, status := "ok", ""
	if !r.OK {
		verdict = "failed"
	}
	if r.Status != 0 {
		status = strconv.Itoa(r.Status) + " " + http.StatusText(r.Status)
	}
	return writeFields(a.out, [][2]string{
		{"connection", r.Connection},
		{"result", verdict},
		{"status", status},
		{"account", r.Account},
		{"code", r.Code},
		{"detail", r.Detail},
		{"egress ip", r.EgressIP},
		{"record", r.Record},
		{"time", strconv.FormatFloat(r.DurationMS, 'f', 1, 64) + " ms"},
	})
}
