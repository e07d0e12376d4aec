package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, os.Args[1:], os.Stdout); err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(os.Stderr, "release:", err)
		os.Exit(1)
	}
}

// defaultPlatforms: the gateway runs on Linux. Developers run its commands and the
// demo on a Mac.
const defaultPlatforms = "linux/amd64,linux/arm64,darwin/arm64"

func run(ctx context.Context, args []string, stdout io.Writer) error {
	flags := flag.NewFlagSet("release", flag.ContinueOnError)
	r := release{stdout: stdout}
	flags.StringVar(&r.source, "source", "..", "the root of jiragate's checkout")
	flags.StringVar(&r.out, "out", "../dist", "where the release is written; what another one left there is removed")
	platforms := flags.String("platforms", defaultPlatforms, "GOOS/GOARCH, separated by commas")
	flags.StringVar(&r.keyFile, "key", "", "an Ed25519 key in PEM (PKCS #8) that signs the provenance; without one it is not signed")
	flags.StringVar(&r.builder, "builder", "urn:jiragate:builder:unnamed", "URI of who builds, for the provenance: what a verifier trusts")
	check := flags.String("verify", "", "verify the release in this directory instead of making one")
	publicKey := flags.String("public-key", "", "with -verify: the key, in PEM, that must have signed the provenance")
	program := flags.String("vuln", "", "ask whether this program has known vulnerabilities instead of making a release")
	newest := flags.Bool("newest", false, "with -vuln: by the live database, not by the one that is pinned")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if flags.NArg() > 0 {
		return fmt.Errorf("unexpected arguments %q: run with -help", flags.Args())
	}
	if *check != "" {
		return verify(ctx, *check, *publicKey, stdout)
	}
	if *program != "" {
		return vulnerabilities(ctx, r.source, *program, *newest, stdout)
	}
	for _, p := range strings.Split(*platforms, ",") {
		system, arch, ok := strings.Cut(p, "/")
		if !ok || system == "" || arch == "" {
			return errors.New("-platforms: write GOOS/GOARCH, as linux/amd64, separated by commas")
		}
		r.platforms = append(r.platforms, platform{system, arch})
	}
	return r.make(ctx)
}
