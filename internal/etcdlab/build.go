package etcdlab

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"

	"github.com/rogpeppe/go-internal/lockedfile"
)

// build returns the path of the member's program, which it builds unless the same one
// has been built before. Test processes that want it at the same time wait for the one
// that builds.
func build(ctx context.Context) (string, error) {
	source, err := memberModule(ctx)
	if err != nil {
		return "", err
	}
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", fmt.Errorf("find a directory to keep the etcd member in: %w; set HOME or XDG_CACHE_HOME", err)
	}
	cache = filepath.Join(cache, "jiragate-etcdlab")
	if err := os.MkdirAll(cache, 0o700); err != nil {
		return "", fmt.Errorf("make a directory to keep the etcd member in: %w; set XDG_CACHE_HOME to where one can be made", err)
	}
	version, err := versionOf(source)
	if err != nil {
		return "", fmt.Errorf("read the module of the etcd member: %w", err)
	}
	program := filepath.Join(cache, "member-"+version)
	unlock, err := lockedfile.MutexAt(program + ".lock").Lock()
	if err != nil {
		return "", fmt.Errorf("wait for whoever else builds the etcd member: %w", err)
	}
	defer unlock()
	if _, err := os.Stat(program); err == nil {
		return program, nil
	} else if !errors.Is(err, fs.ErrNotExist) {
		return "", fmt.Errorf("look for the etcd member: %w; delete %s", err, program)
	}
	unfinished := program + ".new"
	cmd := exec.CommandContext(ctx, "go", "build", "-C", source, "-o", unfinished, ".")
	cmd.Env = append(os.Environ(), "GOWORK=off")
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("build the etcd member: %w\n%s\nThe first build needs the go command and etcd's modules: "+
			"run `go mod download` in %s where there is a network, or give the tests a GOPROXY that has them", err, out, source)
	}
	if err := os.Rename(unfinished, program); err != nil {
		return "", fmt.Errorf("keep the etcd member: %w", err)
	}
	return program, nil
}

// memberModule finds the nested module. Tests run in the directory of their package.
func memberModule(ctx context.Context) (string, error) {
	out, err := exec.CommandContext(ctx, "go", "env", "GOMOD").Output()
	if err != nil {
		return "", fmt.Errorf("find the module that the test is of: go env GOMOD: %w; the go command must be in PATH", err)
	}
	return filepath.Join(filepath.Dir(strings.TrimSpace(string(out))), "internal", "etcdlab", "member"), nil
}

// versionOf is the hash of all that makes the program what it is.
func versionOf(source string) (string, error) {
	h := sha256.New()
	fmt.Fprintln(h, runtime.Version(), runtime.GOOS, runtime.GOARCH)
	for _, name := range []string{"go.mod", "go.sum", "main.go"} {
		b, err := os.ReadFile(filepath.Join(source, name))
		if err != nil {
			return "", err
		}
		fmt.Fprintf(h, "%s %d\n%s", name, len(b), b)
	}
	return hex.EncodeToString(h.Sum(nil)[:8]), nil
}
