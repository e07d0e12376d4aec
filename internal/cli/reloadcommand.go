package cli

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	"github.com/spf13/cobra"

	"jiragate/gateway/admin"
)

func newReload(a *app) *cobra.Command {
	var output outputFormat
	cmd := &cobra.Command{
		Use:   "reload",
		Short: "Let the gateway that runs read its files again",
		Long: `Let the gateway that runs read again what its settings name files for: policy, egress addresses,
certificates and keys of the listeners, CAs, keyset and secrets; as SIGHUP does. Each part is checked
first. If one of them is broken, all stay as they were, each problem is told, and the exit code is 1.
Calls that are under way end as they began.

The environment of a process can't be changed from outside: other values of JIRAGATE_ variables need a
restart.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			done, err := a.reload(cmd.Context())
			if err != nil {
				return err
			}
			if output == asJSON {
				err = writeJSON(a.out, done)
			} else {
				err = writeReloaded(a, done)
			}
			if err == nil && !done.OK {
				return errReported
			}
			return err
		},
	}
	outputFlag(cmd, &output)
	return cmd
}

// reload asks the gateway that runs.
func (a *app) reload(ctx context.Context) (admin.Reloaded, error) {
	var done admin.Reloaded
	running, err := gatewayRuns(ctx, a.config.DataDir)
	if err != nil {
		return done, err
	}
	if !running {
		return done, hint(fmt.Errorf("no gateway runs in %s", a.config.DataDir), "it reads everything when it starts: jiragate serve")
	}
	s := socketSession(a.config.DataDir)
	err = errors.Join(s.call(ctx, http.MethodPost, "/v1/reload", nil, &done), s.close())
	return done, err
}

func writeReloaded(a *app, done admin.Reloaded) error {
	var rows [][]string
	for _, p := range done.Parts {
		result := p.Result
		switch {
		case p.Reason != "":
			result += ": " + p.Reason
		case p.Result == admin.PartKept:
			result += ": it is in order, and waits for what isn't"
		}
		rows = append(rows, []string{p.Part, result})
	}
	return writeTable(a.out, []string{"PART", "RESULT"}, rows)
}
