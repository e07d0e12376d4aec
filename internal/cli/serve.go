package cli

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"time"

	"github.com/coreos/go-systemd/v22/daemon"
	"github.com/spf13/cobra"
	"go.opentelemetry.io/otel"

	"jiragate/gateway/telemetry"
	"jiragate/internal/handover"
)

func newServe(a *app) *cobra.Command {
	var successor bool
	cmd := &cobra.Command{
		Use:   "serve",
		Short: "Run the gateway",
		Long: `Run the gateway until it is told to stop. SIGINT and SIGTERM let the calls in flight finish first;
a second one ends it at once. SIGHUP reads the files again that the settings name, as "jiragate reload"
does: if one of them is broken, everything stays as it was. SIGUSR2 hands over to a new process with
the program that is on disk then, without losing a call, as "jiragate upgrade" does. Sockets that
systemd has opened are taken (FileDescriptorName=proxy, admin or public).

` + environmentHelp(),
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return a.serve(cmd.Context(), successor) },
	}
	cmd.Flags().BoolVar(&successor, strings.TrimLeft(handover.Flag, "-"), false, "take over from the gateway that has started this process")
	_ = cmd.Flags().MarkHidden(strings.TrimLeft(handover.Flag, "-")) // it is there
	return cmd
}

func (a *app) serve(ctx context.Context, successor bool) error {
	logger := a.logger(slog.LevelDebug)
	otel.SetErrorHandler(telemetry.ErrorHandler(logger)) // the one handler of the process
	announceConfiguration(logger, settings(a.config, a.environ, nil))
	defer tuneCollector()()
	if a.config.MemoryLock {
		if err := lockMemory(); err != nil {
			return err
		}
		logger.Info("memory locked")
	}
	defer economise(logger)()
	options := StartOptions{Logger: logger, Stdout: a.out, upgraded: &lastUpgrade{}}
	server, err := a.begin(ctx, options, successor)
	if err != nil {
		return err
	}
	notifyManager(daemon.SdNotifyReady)
	handOver := func(ask *upgradeAsk) { server, err = a.succession(options).attempt(ctx, server, ask) }
	var ended error
	for stop := false; !stop; {
		err = nil
		select {
		case <-ctx.Done():
			stop = true
		case ended = <-server.Failed():
			stop = true
		case <-a.hangup:
			_ = server.Reload() // which logs what came of it
		case <-a.upgrade:
			handOver(nil)
		case ask := <-server.upgrades:
			handOver(ask)
		}
		switch {
		case errors.Is(err, errHandedOver):
			return nil
		case server == nil:
			return err
		}
	}
	notifyManager(daemon.SdNotifyStopping)
	logger.Info("shutting down", "at_most", time.Duration(a.config.DrainTimeout).String())
	drain, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Duration(a.config.DrainTimeout))
	defer cancel()
	err = errors.Join(ended, server.Close(drain))
	if err == nil {
		logger.Info("stopped")
	}
	return err
}

// begin starts the gateway, in the place of another or by itself.
func (a *app) begin(ctx context.Context, o StartOptions, successor bool) (*Server, error) {
	if successor {
		return a.takeOver(ctx, o)
	}
	var err error
	if o.sockets, err = activated(); err != nil {
		return nil, err
	}
	server, err := Start(ctx, a.config, o)
	if err != nil {
		return nil, errors.Join(err, o.sockets.close())
	}
	return server, nil
}
