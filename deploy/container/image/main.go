package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, os.Args[1:], os.Stdout, os.Environ()); err != nil {
		fmt.Fprintln(os.Stderr, "image:", err)
		os.Exit(1)
	}
}

// order is what is asked for.
type order struct {
	source    string // jiragate's module
	out       string
	name      string
	roots     string
	platforms []v1.Platform
	binaries  map[string]string // by platform, as linux/amd64
}

func run(ctx context.Context, args []string, out io.Writer, environ []string) error {
	o, err := parse(args, out)
	if errors.Is(err, flag.ErrHelp) {
		return nil
	}
	if err != nil {
		return err
	}
	if o.roots != "" {
		return os.WriteFile(o.roots, rootsPEM(), 0o644)
	}
	c, err := commitOf(ctx, o.source, environ)
	if err != nil {
		return err
	}
	var images []platformImage
	for _, p := range o.platforms {
		binary, err := o.program(ctx, p, environ)
		if err != nil {
			return err
		}
		img, err := newImage(p, binary, c)
		if err != nil {
			return fmt.Errorf("making the image for %s: %w", p.String(), err)
		}
		images = append(images, platformImage{p, img})
	}
	digest, err := write(o.out, o.name, images, c.time)
	if err != nil {
		return fmt.Errorf("writing the image to %s: %w", o.out, err)
	}
	for _, i := range images {
		d, err := i.image.Digest()
		if err != nil {
			return err
		}
		fmt.Fprintf(out, "%s  %s\n", d, i.platform)
	}
	fmt.Fprintf(out, "%s  index\n", digest)
	return nil
}

func parse(args []string, out io.Writer) (order, error) {
	o := order{binaries: map[string]string{}}
	flags := flag.NewFlagSet("image", flag.ContinueOnError)
	flags.SetOutput(out)
	flags.StringVar(&o.source, "source", "..", "the folder of jiragate's go.mod")
	flags.StringVar(&o.out, "o", "image-results", "the folder for what is made; what is there of an earlier image is replaced")
	flags.StringVar(&o.name, "name", "jiragate:latest", "the name that the image has after \"docker load\"")
	flags.StringVar(&o.roots, "roots", "", "write the CA certificates (PEM) to this file, and nothing else")
	flags.Func("platform", "a platform, as linux/amd64; can be repeated (default linux/amd64 and linux/arm64)", func(s string) error {
		p, err := parsePlatform(s)
		o.platforms = append(o.platforms, p)
		return err
	})
	flags.Func("binary", "PLATFORM=FILE: take this program instead of building it; can be repeated", func(s string) error {
		platform, file, ok := strings.Cut(s, "=")
		if _, err := parsePlatform(platform); err != nil || !ok || file == "" {
			return errors.New("it must be of the form linux/amd64=FILE")
		}
		o.binaries[platform] = file
		return nil
	})
	if err := flags.Parse(args); err != nil {
		return o, err
	}
	if flags.NArg() > 0 {
		return o, fmt.Errorf("unknown argument %q", flags.Arg(0))
	}
	if len(o.platforms) == 0 {
		o.platforms = []v1.Platform{{OS: "linux", Architecture: "amd64"}, {OS: "linux", Architecture: "arm64"}}
	}
	var err error
	if o.source, err = filepath.Abs(o.source); err != nil {
		return o, err
	}
	if _, err := os.Stat(filepath.Join(o.source, "main.go")); err != nil {
		return o, fmt.Errorf("-source is not jiragate's folder: %w", err)
	}
	return o, nil
}

func parsePlatform(s string) (v1.Platform, error) {
	system, arch, ok := strings.Cut(s, "/")
	if !ok || system != "linux" || arch == "" || strings.Contains(arch, "/") {
		return v1.Platform{}, errors.New("it must be of the form linux/amd64")
	}
	return v1.Platform{OS: system, Architecture: arch}, nil
}
