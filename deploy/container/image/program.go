package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
)

// commit is what of the source's history goes into an image.
type commit struct {
	time     time.Time
	revision string // empty where there is no repository
}

// commitOf is what SOURCE_DATE_EPOCH and the repository say of source
// (https://reproducible-builds.org/specs/source-date-epoch/).
func commitOf(ctx context.Context, source string, environ []string) (commit, error) {
	var c commit
	out, gitErr := command(ctx, source, environ, "git", "log", "-1", "--format=%H %ct")
	revision, seconds, _ := strings.Cut(strings.TrimSpace(string(out)), " ")
	if gitErr == nil {
		c.revision = revision
	}
	if epoch := lookup(environ, "SOURCE_DATE_EPOCH"); epoch != "" {
		seconds = epoch
	} else if gitErr != nil {
		return c, fmt.Errorf("no commit has a time for the image, set SOURCE_DATE_EPOCH: %w", gitErr)
	}
	n, err := strconv.ParseInt(seconds, 10, 64)
	if err != nil {
		return c, fmt.Errorf("SOURCE_DATE_EPOCH must be seconds since 1970: %w", err)
	}
	c.time = time.Unix(n, 0).UTC()
	return c, nil
}

// program is the program for a platform: brought, or built as the Containerfile does.
// Nothing of this machine is in it: no paths, no C library, no features of its
// processor.
func (o *order) program(ctx context.Context, p v1.Platform, environ []string) (binary []byte, err error) {
	if file := o.binaries[p.OS+"/"+p.Architecture]; file != "" {
		return os.ReadFile(file)
	}
	dir, err := os.MkdirTemp("", "jiragate-image-")
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	file := filepath.Join(dir, "jiragate")
	environ = append(environ[:len(environ):len(environ)], "CGO_ENABLED=0", "GOOS="+p.OS, "GOARCH="+p.Architecture,
		"GOAMD64=v1", "GOARM64=v8.0", "GOFLAGS=", "GOEXPERIMENT=", "GOFIPS140=off", "GOWORK=off")
	if _, err := command(ctx, o.source, environ, "go", "build", "-trimpath", "-buildvcs=auto", "-o", file, "."); err != nil {
		return nil, fmt.Errorf("building jiragate for %s: %w", p.String(), err)
	}
	return os.ReadFile(file)
}

// command runs a program in dir and returns what it prints. What it complains of is in
// the error.
func command(ctx context.Context, dir string, environ []string, name string, args ...string) ([]byte, error) {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir, cmd.Env = dir, environ
	out, err := cmd.Output()
	if exit, ok := errors.AsType[*exec.ExitError](err); ok {
		err = fmt.Errorf("%s %s: %w: %s", name, args[0], err, strings.TrimSpace(string(exit.Stderr)))
	}
	return out, err
}

// lookup is the value of a variable, the last one where there are several.
func lookup(environ []string, name string) (value string) {
	for _, v := range environ {
		if rest, ok := strings.CutPrefix(v, name+"="); ok {
			value = rest
		}
	}
	return value
}
