// Command jiragate is the outbound gateway to Jira: it lets internal services
// call exactly the documented operations, through fixed egress addresses, with
// credentials that they never see, and records every call.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"

	"jiragate/internal/cli"
	"jiragate/internal/demo"
)

func main() { os.Exit(run()) }

func run() int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	context.AfterFunc(ctx, stop) // a second signal ends the process at once

	hangup := make(chan os.Signal, 1)
	signal.Notify(hangup, syscall.SIGHUP)
	defer signal.Stop(hangup)
	upgrade := make(chan os.Signal, 1)
	signal.Notify(upgrade, syscall.SIGUSR2)
	defer signal.Stop(upgrade)

	return cli.Main(ctx, os.Args[1:], cli.System{
		In:      os.Stdin,
		Out:     os.Stdout,
		Err:     os.Stderr,
		Environ: os.Environ(),
		Hangup:  hangup,
		Upgrade: upgrade,
		Program: os.Args[0],
		More:    []*cobra.Command{demo.Command()},
	})
}
