package cli

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"jiragate/gateway/admin"
)

const (
	// outcomePatience is longer than a gateway tries to hand over, and the new one may
	// take to serve; outcomePause is how often it is asked.
	outcomePatience = yieldAttempts*(http2Patience+yieldPatience+yieldAgain) + retirePatience + servePatience
	outcomePause    = 100 * time.Millisecond
)

func newUpgrade(a *app) *cobra.Command {
	var output outputFormat
	cmd := &cobra.Command{
		Use:   "upgrade",
		Short: "Have the program that is on disk now take over from the gateway that runs",
		Long: `Have the gateway that runs hand over to a new process with the program that is on disk now, without
losing a call, as SIGUSR2 does, and say what came of it. Where the new program doesn't start, or calls take
too long to wait for, the gateway goes on, nothing has changed, and the exit code is 1.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			running, err := gatewayRuns(cmd.Context(), a.config.DataDir)
			switch {
			case err != nil:
				return err
			case !running:
				return hint(errNoGateway, "there is nothing to hand over: start it with jiragate serve; is JIRAGATE_DATA_DIR the right directory?")
			}
			s := socketSession(a.config.DataDir)
			done, err := s.upgrade(cmd.Context())
			if err = errors.Join(err, s.close()); err != nil {
				return err
			}
			if output == asJSON {
				return writeJSON(a.out, done)
			}
			return writeFields(a.out, [][2]string{
				{"pid", strconv.Itoa(done.PID)}, {"version", done.Version},
				{"pause", milliseconds(done.PauseMS)}, {"connections passed on", strconv.Itoa(done.Connections)},
			})
		},
	}
	outputFlag(cmd, &output)
	return cmd
}

func milliseconds(ms float64) string { return fmt.Sprintf("%.0f ms", ms) }

// upgrade asks for a handover, and waits for its end.
func (s *session) upgrade(ctx context.Context) (admin.Upgrade, error) {
	var next admin.Prepared
	if err := s.call(ctx, http.MethodPost, "/v1/upgrade", nil, &next); err != nil {
		return admin.Upgrade{}, err
	}
	for deadline := time.Now().Add(outcomePatience); ; {
		var o admin.Overview
		err := s.call(ctx, http.MethodGet, "/v1/overview", nil, &o)
		switch {
		case err == nil && o.Upgrade != nil && o.Upgrade.PID == next.PID:
			if o.Upgrade.Error != "" {
				return *o.Upgrade, hint(fmt.Errorf("no handover to a new program: %s", o.Upgrade.Error), "the log says more; mend it, then try again; meanwhile nothing has changed")
			}
			return *o.Upgrade, nil
		case errors.Is(err, errNoGateway): // its socket is open all the time
			return admin.Upgrade{}, hint(err, "the gateway has ended: see its log, and start it again")
		case time.Now().After(deadline):
			return admin.Upgrade{}, hint(errors.Join(fmt.Errorf("process %d, which is to take over, has nothing to say", next.PID), err), "see jiragate status and the log")
		}
		select {
		case <-ctx.Done():
			return admin.Upgrade{}, ctx.Err()
		case <-time.After(outcomePause):
		}
	}
}
