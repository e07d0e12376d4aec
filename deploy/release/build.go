package main

import (
	"bytes"
	"context"
	"debug/buildinfo"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/mod/modfile"
)

// goTool is the go command of one version, in one checkout.
type goTool struct {
	source  string
	version string // e.g. "go1.26.10"
	environ []string
}

// fromOutside are the variables that may differ from machine to machine without
// changing what is built: where tools and caches are, and how modules arrive.
var fromOutside = []string{"PATH", "HOME", "TMPDIR", "GOPATH", "GOCACHE", "GOMODCACHE", "GOPROXY", "GOSUMDB",
	"GONOSUMDB", "GONOPROXY", "GOPRIVATE", "SSL_CERT_FILE", "SSL_CERT_DIR", "HTTPS_PROXY", "HTTP_PROXY", "NO_PROXY"}

// newGoTool takes the version from the line "toolchain" of go.mod, or "go" where there
// is none; the go command fetches it as a module, checked by its checksum database.
func newGoTool(ctx context.Context, source string) (*goTool, error) {
	name := filepath.Join(source, "go.mod")
	text, err := os.ReadFile(name)
	if err != nil {
		return nil, fmt.Errorf("which Go to build with (-source is the root of the checkout): %w", err)
	}
	mod, err := modfile.Parse(name, text, nil)
	if err != nil {
		return nil, fmt.Errorf("which Go to build with: %w", err)
	}
	g := &goTool{source: source}
	switch {
	case mod.Toolchain != nil:
		g.version = mod.Toolchain.Name
	case mod.Go != nil:
		g.version = "go" + mod.Go.Version
	default:
		return nil, fmt.Errorf("%s names no version of Go", name)
	}
	for _, v := range fromOutside {
		if value, ok := os.LookupEnv(v); ok {
			g.environ = append(g.environ, v+"="+value)
		}
	}
	// What would change the program is set here, so that no user's setting does.
	g.environ = append(g.environ, "GOTOOLCHAIN="+g.version, "GOENV=off", "GOWORK=off", "GOFLAGS=", "CGO_ENABLED=0",
		"GOEXPERIMENT=", "GODEBUG=", "GOFIPS140=off", "GOAMD64=v1", "GOARM64=v8.0", "LC_ALL=C", "TZ=UTC")
	out, err := g.run(ctx, platform{}, "env", "GOVERSION")
	if err != nil {
		return nil, err
	}
	if got := strings.TrimSpace(string(out)); got != g.version {
		return nil, fmt.Errorf("the go command is %s, and %s asks for %s: install that version", got, name, g.version)
	}
	return g, nil
}

// run gives what the go command writes. A zero platform is that of this machine.
func (g *goTool) run(ctx context.Context, p platform, args ...string) ([]byte, error) {
	cmd := exec.CommandContext(ctx, "go", args...)
	cmd.Dir = g.source
	cmd.Env = slices.Clone(g.environ)
	if p != (platform{}) {
		cmd.Env = append(cmd.Env, "GOOS="+p.os, "GOARCH="+p.arch)
	}
	var failure bytes.Buffer
	cmd.Stderr = &failure
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("go %s in %s: %w\n%s", strings.Join(args, " "), g.source, err, failure.Bytes())
	}
	return out, nil
}

// binary is a program that was built, and what the toolchain wrote into it.
type binary struct {
	file     string
	platform platform
	info     *buildinfo.BuildInfo
	version  string    // by the tag, e.g. "v1.2.3", or Go's pseudo-version
	revision string    // of the commit
	time     time.Time // see sourceTime
}

// build links the program into dir. These flags and nothing else are what somebody
// needs who builds it again; symbols stay in, so that govulncheck sees which
// functions the file has.
func (g *goTool) build(ctx context.Context, p platform, dir string) (*binary, error) {
	file, err := filepath.Abs(filepath.Join(dir, "jiragate"))
	if err != nil {
		return nil, fmt.Errorf("where to build: %w", err)
	}
	if _, err := g.run(ctx, p, "build", "-trimpath", "-buildvcs=true", "-mod=readonly", "-o", file, "."); err != nil {
		return nil, err
	}
	return readBinary(file, p)
}

var errModified = errors.New("the working tree has changes that are not committed, so nobody could build it again: commit them")

func readBinary(file string, p platform) (*binary, error) {
	info, err := buildinfo.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("what %s was made of: %w", file, err)
	}
	setting := map[string]string{}
	for _, s := range info.Settings {
		setting[s.Key] = s.Value
	}
	b := &binary{file: file, platform: p, info: info, version: info.Main.Version, revision: setting["vcs.revision"]}
	if setting["vcs.modified"] == "true" {
		return nil, errModified
	}
	if b.revision == "" {
		return nil, errors.New("the program has no revision stamped: build it in a Git checkout, with git installed")
	}
	if b.time, err = sourceTime(setting["vcs.time"]); err != nil {
		return nil, err
	}
	return b, nil
}

// sourceTime is SOURCE_DATE_EPOCH (https://reproducible-builds.org/specs/source-date-epoch/)
// if it is set, and the commit's otherwise.
func sourceTime(commit string) (time.Time, error) {
	if epoch := os.Getenv("SOURCE_DATE_EPOCH"); epoch != "" {
		seconds, err := strconv.ParseInt(epoch, 10, 64)
		if err != nil || seconds < 0 {
			return time.Time{}, fmt.Errorf("SOURCE_DATE_EPOCH=%q: give seconds since 1970", epoch)
		}
		return time.Unix(seconds, 0).UTC(), nil
	}
	t, err := time.Parse(time.RFC3339, commit)
	if err != nil {
		return time.Time{}, fmt.Errorf("the program has no time of a commit: %w", err)
	}
	return t.UTC(), nil
}
