package cli

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/spf13/cobra"
	"go.opentelemetry.io/otel"

	"jiragate/gateway/telemetry"
)

// drainTimeout is how long calls in flight may take to finish when the gateway
// is told to stop. It is below the 90 seconds of systemd (TimeoutStopSec), and
// with a grace period of 30 seconds Kubernetes ends it a little earlier.
const drainTimeout = 30 * time.Second

func newServe(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "serve",
		Short: "Run the gateway",
		Long: `Run the gateway until it is told to stop. SIGINT and SIGTERM let the calls in flight finish first;
a second one ends it at once. SIGHUP reads the policy file again; if it is broken, the policy stays
as it was.

` + environmentHelp(),
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return a.serve(cmd.Context()) },
	}
}

func (a *app) serve(ctx context.Context) error {
	logger := a.logger(slog.LevelDebug)
	otel.SetErrorHandler(telemetry.ErrorHandler(logger)) // the one handler of the process
	server, err := Start(ctx, a.config, StartOptions{Logger: logger, Stdout: a.out})
	if err != nil {
		return err
	}
	var ended error
	for stop := false; !stop; {
		select {
		case <-ctx.Done():
			stop = true
		case ended = <-server.Failed():
			stop = true
		case <-a.hangup:
			if err := server.ReloadPolicy(); err != nil {
				logger.Error("the policy stays as it was", "error", err)
			}
		}
	}
	logger.Info("shutting down", "at_most", drainTimeout.String())
	drain, cancel := context.WithTimeout(context.WithoutCancel(ctx), drainTimeout)
	defer cancel()
	err = errors.Join(ended, server.Close(drain))
	if err == nil {
		logger.Info("stopped")
	}
	return err
}
