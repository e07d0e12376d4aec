package main

import (
	"context"
	"crypto/tls"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := command(ctx, os.Args[1:], os.Stdout)
	stop()
	if errors.Is(err, flag.ErrHelp) {
		return
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

// settings say what is measured, and for how long.
type settings struct {
	length      time.Duration // of one measurement
	rounds      int
	gateway     string
	sections    []string // empty: all
	ways        []string // empty: all
	micro       string
	tunnels     int // idle ones
	connections int // of the large store
	clients     int
	large       int // MiB of the large answer
	settle      time.Duration
}

// command is the program: a run, or one of the roles that a run starts.
func command(ctx context.Context, args []string, out io.Writer) error {
	var s settings
	var only, ways, role, dir, jsonFile, document string
	var check bool
	flags := flag.NewFlagSet("bench", flag.ContinueOnError)
	flags.DurationVar(&s.length, "for", 5*time.Second, "how long each measurement takes")
	flags.IntVar(&s.rounds, "rounds", 3, "how many times each is made")
	flags.StringVar(&s.gateway, "gateway", "", "the program to measure (default: built from this tree)")
	flags.StringVar(&only, "only", "", "the sections to measure, comma-separated: "+strings.Join(sectionNames(), ", "))
	flags.StringVar(&ways, "ways", "", "the ways to measure, comma-separated: "+strings.Join([]string{direct, nginx, goproxyLoop, jiragate}, ", "))
	flags.StringVar(&s.micro, "micro", "", "output of go test -bench, for the goals of single stations")
	flags.IntVar(&s.tunnels, "tunnels", 2000, "idle tunnels; the gateway takes 4,096 of a client")
	flags.IntVar(&s.connections, "connections", 100_000, "connections in the large store")
	flags.IntVar(&s.clients, "clients", 1000, "clients in the large store")
	flags.IntVar(&s.large, "large", 1024, "MiB of the large answer")
	flags.DurationVar(&s.settle, "settle", 3*time.Second, "how long tunnels are idle before memory is measured")
	flags.StringVar(&jsonFile, "json", "", "write raw results to this file")
	flags.StringVar(&document, "write", "", "write the results between the markers of this Markdown file")
	flags.BoolVar(&check, "check", false, "exit with 1 if a goal is missed")
	flags.StringVar(&role, "role", "", "for the processes that this program starts")
	flags.StringVar(&dir, "dir", "", "for the processes that this program starts")
	if err := flags.Parse(args); err != nil {
		return err
	}
	switch role {
	case "":
	case "upstream":
		cert, err := tls.LoadX509KeyPair(filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem"))
		if err != nil {
			return err
		}
		return serveUpstream(cert)
	case "goproxy":
		return serveGoproxy(dir)
	default:
		return fmt.Errorf("there is no role %q", role)
	}
	s.sections, s.ways = list(only), list(ways)
	if err := s.valid(); err != nil {
		return err
	}
	res, err := s.run(ctx, out)
	if err != nil {
		return err
	}
	if jsonFile != "" {
		if err := res.writeJSON(jsonFile); err != nil {
			return err
		}
	}
	if document != "" {
		if err := rewrite(document, res.markdown()); err != nil {
			return err
		}
	}
	if missed := res.missed(); check && len(missed) > 0 {
		return fmt.Errorf("%d goals are missed: %s", len(missed), strings.Join(missed, "; "))
	}
	return nil
}

func list(s string) (all []string) {
	for item := range strings.SplitSeq(s, ",") {
		if item = strings.TrimSpace(item); item != "" {
			all = append(all, item)
		}
	}
	return all
}

func (s *settings) valid() error {
	for _, name := range s.sections {
		if !slices.Contains(sectionNames(), name) {
			return fmt.Errorf("there is no section %q; there are %s", name, strings.Join(sectionNames(), ", "))
		}
	}
	for _, name := range s.ways {
		if !slices.Contains([]string{direct, nginx, goproxyLoop, jiragate}, name) {
			return fmt.Errorf("there is no way %q", name)
		}
	}
	switch {
	case s.rounds < 1 || s.length <= 0:
		return errors.New("-rounds and -for must be positive")
	case s.tunnels < 1 || s.tunnels > 4000:
		return errors.New("-tunnels must be 1 to 4000, since the gateway takes 4,096 of a client")
	case s.clients < live || s.connections < s.clients:
		return fmt.Errorf("-clients must be at least %d, and -connections at least as many as -clients", live)
	}
	return nil
}

// wants reports whether a way is measured.
func (s *settings) wants(way string) bool { return len(s.ways) == 0 || slices.Contains(s.ways, way) }
