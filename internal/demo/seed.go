package demo

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"jiragate/certs/baseline"
	"jiragate/internal/privatefile"
)

// What demo seed adds: the same names as the demo has.
const (
	seededCloud      = "acme"
	seededDataCenter = "acme-dc2"
	seededClient     = "demo"
)

// How long demo seed waits for a simulator that is starting, and how often it looks.
const (
	simulatorPatience = time.Minute
	simulatorPause    = 100 * time.Millisecond
)

func newSeed() *cobra.Command {
	var dir string
	c := &cobra.Command{
		Use:   "seed",
		Short: "Connect a gateway to the simulator of demo simulator",
		Long: `Wait until the simulator answers that has left its files in the folder of --simulator, and give the
gateway of JIRAGATE_DATA_DIR, which may run or not, two connections to it, acme (Cloud) and acme-dc2 (Data
Center), and a client that may use both, demo. The client's token is in the file client-token of that
folder, and stays the same.

It can be repeated: what is there stays as it is. After another start of the simulator, which knows
nothing of earlier grants, the connections get new credentials.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			ctx, cancel := context.WithTimeout(cmd.Context(), simulatorPatience)
			defer cancel()
			h, err := awaitSimulator(ctx, dir)
			if err != nil {
				return err
			}
			s := seed{stage: &stage{out: cmd.OutOrStdout(), environ: os.Environ()}, dir: dir, handout: h}
			return s.plant(cmd.Context())
		},
	}
	c.Flags().StringVar(&dir, "simulator", "jira", "the folder that demo simulator has written")
	return c
}

// awaitSimulator returns what the simulator has left in dir as soon as it can be
// reached by that. The last thing that went wrong is in the error.
func awaitSimulator(ctx context.Context, dir string) (handout, error) {
	for {
		h, err := readHandout(dir)
		if err == nil {
			err = reach(ctx, h.APIURL, h.ca)
		}
		if err == nil {
			return h, nil
		}
		select {
		case <-ctx.Done():
			return h, fmt.Errorf("no simulator answers that has left its files in %s (start one with jiragate demo simulator --dir): %w", dir, err)
		case <-time.After(simulatorPause):
		}
	}
}

// reach makes sure that the server at address is the one with that CA, not the one
// before it.
func reach(ctx context.Context, address string, ca []byte) error {
	u, err := url.Parse(address)
	if err != nil {
		return err
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(ca) {
		return errors.New("there is no certificate in " + caName)
	}
	d := tls.Dialer{Config: baseline.TLS(&tls.Config{RootCAs: roots})}
	conn, err := d.DialContext(ctx, "tcp", u.Host)
	if err != nil {
		return err
	}
	return conn.Close()
}

// seed is what a gateway is to be given of a simulator.
type seed struct {
	stage   *stage // whose commands are used; it holds nothing else here
	dir     string
	handout handout
}

// plant adds what is missing, and gives new credentials to what was there before this
// start of the simulator.
func (s *seed) plant(ctx context.Context) error {
	// By its CA, since another may start while this one is planted.
	simulator := fmt.Appendf(nil, "%x\n", sha256.Sum256(s.handout.ca))
	seeded, err := os.ReadFile(s.path(seededName))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	known := bytes.Equal(seeded, simulator)
	if err := s.connections(ctx, !known); err != nil {
		return err
	}
	if err := s.client(ctx, !known); err != nil {
		return err
	}
	if known {
		return nil
	}
	if err := os.Remove(s.path(seededName)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return privatefile.Create(s.path(seededName), simulator)
}

func (s *seed) connections(ctx context.Context, renew bool) error {
	h := s.handout
	for _, c := range []struct {
		id              string
		add, credential []string
	}{
		{seededCloud, []string{"--edition", "cloud", "--site-url", h.SiteURL, "--cloud-id", h.CloudID},
			[]string{"--oauth-token-file", s.path(grantName)}},
		{seededDataCenter, []string{"--edition", "datacenter", "--base-url", h.DataCenterURL},
			[]string{"--auth", "basic", "--username", h.Username, "--secret-file", s.path(passwordName)}},
	} {
		args := slices.Concat([]string{"connection", "add", c.id}, c.add, c.credential)
		// Whatever else is wrong when it can't be shown, adding it will say so.
		if _, err := s.stage.command(ctx, "connection", "show", c.id); err == nil {
			if !renew {
				s.say("connection %s is there\n", c.id)
				continue
			}
			args = slices.Concat([]string{"connection", "credential", c.id}, c.credential)
		}
		said, err := s.stage.command(ctx, args...)
		if err != nil {
			return err
		}
		s.say("%s", said)
	}
	return nil
}

// client adds the client with the token of the file, which is made where there is none.
func (s *seed) client(ctx context.Context, renew bool) error {
	listed, err := s.stage.command(ctx, "client", "list", "--text", seededClient, "--output", "json")
	if err != nil {
		return err
	}
	var clients []struct{ Name string }
	if err := json.Unmarshal(listed, &clients); err != nil {
		return fmt.Errorf("reading the list of clients: %w", err)
	}
	there := false
	for _, c := range clients {
		there = there || c.Name == seededClient
	}
	token, err := exists(s.path(clientTokenName))
	if err != nil {
		return err
	}
	if !token {
		if err := privatefile.Create(s.path(clientTokenName), []byte("jgc_demo_"+rand.Text())); err != nil {
			return err
		}
	}
	args := []string{"client", "add", seededClient, "--connection", seededCloud, "--connection", seededDataCenter}
	switch {
	case there && token && !renew:
		s.say("client %s is there\n", seededClient)
		return nil
	case there:
		args = []string{"client", "rotate", seededClient}
	}
	if _, err := s.stage.command(ctx, append(args, "--token-file", s.path(clientTokenName))...); err != nil {
		return err
	}
	s.say("client %s has the token in %s\n", seededClient, s.path(clientTokenName))
	return nil
}

func (s *seed) path(name string) string { return filepath.Join(s.dir, name) }

func (s *seed) say(format string, args ...any) {
	_, _ = fmt.Fprintf(s.stage.out, format, args...) // who doesn't read it doesn't matter
}

func exists(path string) (bool, error) {
	_, err := os.Lstat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	return err == nil, err
}
