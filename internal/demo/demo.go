package demo

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"go.opentelemetry.io/otel/exporters/stdout/stdouttrace"

	"jiragate/internal/cli"
	"jiragate/internal/jirasim"
	"jiragate/tokenstore/secret"
)

// Command makes the demo command.
func Command() *cobra.Command {
	var once bool
	c := &cobra.Command{
		Use:   "demo",
		Short: "Show the gateway at work against a Jira simulator",
		Long: `Start the Jira simulator (Cloud and Data Center over TLS, with an OAuth server) and a gateway with its
store, CA and audit log in a temporary directory; make every documented call through the proxy as an
ordinary HTTPS client, and then a dozen that must be refused. Stays up until interrupted, with a few
calls a second, so that there is something to see in the console, whose address is printed.

The customers are made up, and so are the records of the 35 days before the start: what they tell of never
happened. They are written as the gateway writes its own, and verify.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return run(cmd.Context(), cmd.OutOrStdout(), once) },
	}
	c.Flags().BoolVar(&once, "once", false, "end after the calls; the exit code is 1 if any did not do what it should")
	c.AddCommand(newSimulator(), newSeed())
	return c
}

// stage is the demo's world: a simulator, a gateway, and where they keep things.
type stage struct {
	out     io.Writer
	dir     string
	environ []string
	sim     *jirasim.Sim
	server  *cli.Server
	token   string                   // of the client
	tokens  map[string]secret.Secret // of those of the past
	files   []func()                 // to be closed

	consents bool // a browser can come back from a consent
}

func run(ctx context.Context, out io.Writer, once bool) (err error) {
	s := &stage{out: out}
	defer func() { err = errors.Join(err, s.close()) }()
	listeners := anyListeners
	if !once {
		listeners = usualListeners()
	}
	if err := s.set(ctx, listeners); err != nil {
		return fmt.Errorf("setting the demo up: %w", err)
	}
	failed, err := s.play(ctx)
	if err != nil {
		return err
	}
	if err := s.tellWhereThingsAre(); err != nil {
		return err
	}
	switch {
	case failed > 0:
		return fmt.Errorf("%d calls did not do what they should", failed)
	case once:
		return nil
	}
	fmt.Fprintln(out, "\nThe gateway is up until interrupted (Ctrl-C), with a few calls a second.")
	return s.keepCalling(ctx)
}

// set starts the simulator, makes up the past, and starts the gateway. Then it adds
// connections and client by the same commands that an operator would use.
func (s *stage) set(ctx context.Context, on listeners) (err error) {
	if s.dir, err = os.MkdirTemp("", "jiragate-demo-"); err != nil {
		return err
	}
	if s.sim, err = jirasim.Start(jirasim.Options{}); err != nil {
		return err
	}
	s.sim.SetSites(sites()...)
	caFile, err1 := s.file(caName, s.sim.CAPEM())
	secretFile, err2 := s.file(clientSecretName, []byte(jirasim.DefaultClientSecret))
	passwordFile, err3 := s.file(passwordName, []byte(jirasim.DefaultPassword))
	tokenFile, err4 := s.grantFile()
	if err := errors.Join(err1, err2, err3, err4); err != nil {
		return err
	}
	s.environ = []string{
		"JIRAGATE_DATA_DIR=" + filepath.Join(s.dir, "data"),
		"JIRAGATE_PROXY_LISTEN=" + on.proxy,
		"JIRAGATE_ADMIN_LISTEN=" + on.admin,
		"JIRAGATE_EGRESS=" + egressAddresses(),
		"JIRAGATE_EGRESS_ALLOW_PRIVATE=127.0.0.0/8",
		"JIRAGATE_ATLASSIAN_API_URL=" + s.sim.APIURL(),
		"JIRAGATE_ATLASSIAN_AUTH_URL=" + s.sim.AuthURL(),
		"JIRAGATE_OAUTH_CLIENT_ID=" + jirasim.DefaultClientID,
		"JIRAGATE_OAUTH_CLIENT_SECRET_FILE=" + secretFile,
		"JIRAGATE_UPSTREAM_CA_FILE=" + caFile,
	}
	if redirect := on.redirectURL(); redirect != "" {
		s.consents = true
		s.environ = append(s.environ, "JIRAGATE_OAUTH_REDIRECT_URL="+redirect)
	}
	if err := s.serve(ctx); err != nil {
		return err
	}
	for _, args := range [][]string{
		{"connection", "add", "acme", "--edition", "cloud", "--site-url", s.sim.SiteURL(), "--cloud-id", s.sim.CloudID(), "--oauth-token-file", tokenFile},
		{"connection", "add", "acme-dc2", "--edition", "datacenter", "--base-url", s.sim.DataCenterURL(),
			"--auth", "basic", "--username", jirasim.DefaultUsername, "--secret-file", passwordFile, "--upstream-ca-file", caFile},
	} {
		if _, err := s.command(ctx, args...); err != nil {
			return err
		}
	}
	answer, err := s.command(ctx, "client", "add", "demo", "--connection", "acme", "--connection", "acme-dc2", "--output", "json")
	if err != nil {
		return err
	}
	var client struct{ Token string }
	if err := json.Unmarshal(answer, &client); err != nil {
		return fmt.Errorf("reading the new client's token: %w", err)
	}
	s.token = client.Token
	_, err1 = s.command(ctx, "client", "grant", "action-items", "acme")
	_, err2 = s.command(ctx, "client", "grant", "action-items", "acme-dc2")
	return errors.Join(err1, err2)
}

// serve makes up the past and starts the gateway, its log and its traces in files.
func (s *stage) serve(ctx context.Context) error {
	config, err := cli.ParseConfig(s.environ)
	if err != nil {
		return err
	}
	if s.tokens, err = writePast(ctx, config, s.sim, time.Now()); err != nil {
		return err
	}
	log, err := s.create("gateway.log")
	if err != nil {
		return err
	}
	traces, err := s.create("traces.jsonl")
	if err != nil {
		return err
	}
	spans, err := stdouttrace.New(stdouttrace.WithWriter(traces))
	if err != nil {
		return err
	}
	s.server, err = cli.Start(ctx, config, cli.StartOptions{Logger: slog.New(slog.NewTextHandler(log, nil)), Spans: spans})
	return err
}

// command runs a command of the program against the running gateway.
func (s *stage) command(ctx context.Context, args ...string) ([]byte, error) {
	var out, problems bytes.Buffer
	system := cli.System{In: strings.NewReader(""), Out: &out, Err: &problems, Environ: s.environ}
	if code := cli.Main(ctx, args, system); code != 0 {
		return nil, fmt.Errorf("jiragate %s: %s", strings.Join(args[:2], " "), strings.TrimSpace(problems.String()))
	}
	return out.Bytes(), nil
}

// grantFile writes what an OAuth consent would have given.
func (s *stage) grantFile() (string, error) {
	b, err := grantOf(s.sim)
	if err != nil {
		return "", err
	}
	return s.file(grantName, b)
}

// grantOf is the content of an OAuth token file, of a new grant.
func grantOf(sim *jirasim.Sim) ([]byte, error) {
	grant := sim.IssueGrant(jirasim.DefaultScopes()...)
	return json.Marshal(map[string]string{
		"access_token": grant.AccessToken, "refresh_token": grant.RefreshToken,
		"expiry": grant.Expiry.UTC().Format(time.RFC3339), "scope": strings.Join(jirasim.DefaultScopes(), " "),
	})
}

func (s *stage) file(name string, content []byte) (string, error) {
	path := filepath.Join(s.dir, name)
	return path, os.WriteFile(path, content, 0o600)
}

func (s *stage) create(name string) (*os.File, error) {
	f, err := os.OpenFile(filepath.Join(s.dir, name), os.O_CREATE|os.O_WRONLY|os.O_EXCL, 0o600)
	if err == nil {
		s.files = append(s.files, func() { _ = f.Close() })
	}
	return f, err
}

// egressAddresses pins the documented public addresses of the US region to
// loopback addresses, two where the system has them (Linux has all of
// 127.0.0.0/8), so that the simulator sees different callers.
func egressAddresses() string {
	for _, local := range []string{"127.0.0.2", "127.0.0.3"} {
		l, err := net.Listen("tcp", local+":0")
		if err != nil {
			return "52.54.159.237=127.0.0.1"
		}
		_ = l.Close()
	}
	return "52.54.159.237=127.0.0.2,52.73.143.252=127.0.0.3"
}

func (s *stage) close() error {
	var err error
	if s.server != nil {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		err = s.server.Close(ctx)
	}
	if s.sim != nil {
		err = errors.Join(err, s.sim.Close())
	}
	for _, closeFile := range s.files {
		closeFile()
	}
	return err
}
