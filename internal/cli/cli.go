package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"log/slog"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"jiragate/gateway/admin"
	"jiragate/gateway/telemetry"
)

// System is what a command has of the world around it.
type System struct {
	In       io.Reader
	Out, Err io.Writer
	Environ  []string // as os.Environ
	// Hangup receives a value when settings should be read again (SIGHUP).
	Hangup <-chan os.Signal
	// Upgrade receives a value when a new process should take over (SIGUSR2), which
	// is started by Program.
	Upgrade <-chan os.Signal
	Program string
	// More are commands made elsewhere.
	More []*cobra.Command
}

// Exit codes.
const (
	exitOK      = 0
	exitFailure = 1
	exitUsage   = 2 // wrong arguments or environment: nothing was attempted
)

// Main runs the command that args name, without the program's own name, and
// returns the exit code. It stops what it does when ctx ends.
func Main(ctx context.Context, args []string, sys System) int {
	// net/http quotes what a server sends unasked, credentials perhaps, on the
	// standard logger. Our own messages go by slog.
	log.SetOutput(io.Discard)
	a := &app{in: sys.In, out: sys.Out, err: sys.Err, environ: sys.Environ, hangup: sys.Hangup, upgrade: sys.Upgrade, program: sys.Program, args: args}
	if err := a.harden(); err != nil {
		a.report(err)
		return exitFailure
	}
	root := newRoot(a)
	root.AddCommand(sys.More...)
	root.SetArgs(args)
	root.SetIn(sys.In)
	root.SetOut(sys.Out)
	root.SetErr(sys.Err)
	err := root.ExecuteContext(ctx)
	switch {
	case err == nil:
		return exitOK
	case errors.Is(err, errReported):
		return exitFailure
	}
	a.report(err)
	if !a.begun {
		return exitUsage
	}
	if _, ok := errors.AsType[*usageError](err); ok {
		return exitUsage
	}
	return exitFailure
}

// newRoot puts the commands together. Each is made by a constructor in a file
// of its own.
func newRoot(a *app) *cobra.Command {
	root := &cobra.Command{
		Use:   "jiragate",
		Short: "The outbound gateway to Jira: documented operations only, from fixed addresses, each call recorded",
		Long: `jiragate lets internal services call exactly the documented Jira operations through a forward
proxy with fixed egress addresses. It injects the stored credentials and records every call.

Settings come from the environment; "jiragate serve --help" lists them. Commands work while the
gateway runs and while it is stopped.`,
		SilenceErrors:     true,
		SilenceUsage:      true,
		CompletionOptions: cobra.CompletionOptions{HiddenDefaultCmd: true},
		PersistentPreRunE: func(*cobra.Command, []string) error {
			c, err := ParseConfig(a.environ)
			if err != nil {
				return err
			}
			a.config = c
			a.begun = true
			return nil
		},
	}
	root.AddCommand(
		newServe(a),
		newReload(a),
		newUpgrade(a),
		newStatus(a),
		newConfig(a),
		newConnection(a),
		newClient(a),
		newIssue(a),
		newPolicy(a),
		newEgress(a),
		newAudit(a),
		newKey(a),
		newStore(a),
		newCA(a),
		newVersion(a),
	)
	return root
}

// group is a command that only holds others.
func group(use, short string, commands ...*cobra.Command) *cobra.Command {
	cmd := &cobra.Command{
		Use:   use,
		Short: short,
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			var names []string
			for _, sub := range cmd.Commands() {
				names = append(names, sub.Name())
			}
			return usage("%s needs one of: %s", cmd.CommandPath(), strings.Join(names, ", "))
		},
	}
	cmd.AddCommand(commands...)
	return cmd
}

// app is one run of the program.
type app struct {
	in       io.Reader
	out, err io.Writer
	environ  []string
	hangup   <-chan os.Signal
	upgrade  <-chan os.Signal
	program  string
	args     []string

	config Config
	begun  bool // arguments and environment are in order: the command runs
}

// usageError is a mistake in the arguments that only shows when the command
// looks at them.
type usageError struct{ message string }

func (e *usageError) Error() string { return e.message }

func usage(format string, args ...any) error { return &usageError{fmt.Sprintf(format, args...)} }

// errReported ends a command in failure that has already said why.
var errReported = errors.New("reported")

// hinted adds what to do next to an error.
type hinted struct {
	error
	hint string
}

func (e *hinted) Unwrap() error { return e.error }

func hint(err error, format string, args ...any) error {
	return &hinted{err, fmt.Sprintf(format, args...)}
}

// report writes an error as one line, and its hint as another; joined errors
// one after the other.
func (a *app) report(err error) {
	if parts := joined(err); parts != nil {
		for _, e := range parts {
			a.report(e)
		}
		return
	}
	a.say("", err.Error())
	if h, ok := errors.AsType[*hinted](err); ok {
		a.say("hint: ", h.hint)
	} else if p, ok := errors.AsType[*admin.Problem](err); ok && p.Hint != "" {
		a.say("hint: ", p.Hint)
	} else if c, ok := errors.AsType[*ConfigError](err); ok && c.Hint != "" {
		a.say("hint: ", c.Hint)
	}
}

// joined are the parts of what errors.Join made; nil for any other error, such
// as one that fmt.Errorf made of several, whose own words would be lost.
func joined(err error) []error {
	j, ok := err.(interface{ Unwrap() []error })
	if !ok {
		return nil
	}
	parts := j.Unwrap()
	if again := errors.Join(parts...); again == nil || again.Error() != err.Error() {
		return nil
	}
	return parts
}

func (a *app) warn(message string) { a.say("warning: ", message) }

func (a *app) say(kind, message string) {
	var lines []string
	for line := range strings.Lines(message) {
		if line = strings.TrimSpace(line); line != "" {
			lines = append(lines, line)
		}
	}
	message = strings.Join(lines, "; ")
	// Where standard error is gone, the exit code has to do.
	_, _ = fmt.Fprintf(a.err, "jiragate: %s%s\n", kind, escapeText(message))
}

// printf writes a line of a result. Values are the caller's to escape.
func (a *app) printf(format string, args ...any) error {
	_, err := fmt.Fprintf(a.out, format, args...)
	return err
}

// logger is what the gateway logs to; never below atLeast.
func (a *app) logger(atLeast slog.Level) *slog.Logger {
	return telemetry.NewLogger(a.err, max(atLeast, slog.Level(a.config.LogLevel)), a.config.LogFormat)
}
