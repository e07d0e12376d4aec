package main

import (
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/moby/buildkit/frontend/dockerfile/instructions"
	"github.com/moby/buildkit/frontend/dockerfile/parser"
	"github.com/moby/buildkit/frontend/dockerfile/shell"
)

// The Containerfile makes the image that this program makes.
func TestContainerfile(t *testing.T) {
	f, err := os.Open("../Containerfile")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	parsed, err := parser.Parse(f)
	if err != nil {
		t.Fatal(err)
	}
	if len(parsed.Warnings) > 0 {
		t.Errorf("warnings %+v", parsed.Warnings)
	}
	stages, _, err := instructions.Parse(parsed.AST, nil)
	if err != nil {
		t.Fatal(err)
	}
	if len(stages) != 2 || stages[1].BaseName != "scratch" {
		t.Fatalf("stages %+v", stages)
	}
	mod, err := os.ReadFile(filepath.Join(repository, "go.mod"))
	if err != nil {
		t.Fatal(err)
	}
	// As for a release: `make vuln` judges programs of that version of Go.
	version := regexp.MustCompile(`(?m)^toolchain go(\S+)$`).FindStringSubmatch(string(mod))[1]
	check(t, "builder", stages[0].BaseName, "golang:"+version+"-bookworm")

	want := settings()
	seen, env, lex := map[string]int{}, []string{}, shell.NewLex('\\')
	for _, command := range stages[1].Commands {
		seen[command.Name()]++
		switch c := command.(type) {
		case *instructions.CopyCommand:
			check(t, "copied", c.From, "build")
		case *instructions.LabelCommand:
			got := map[string]string{}
			for _, l := range c.Labels {
				if got[l.Key], _, err = lex.ProcessWord(l.Value, shell.EnvsFromSlice(nil)); err != nil {
					t.Fatal(err)
				}
			}
			if !maps.Equal(got, want.Labels) {
				t.Errorf("labels %v, want %v", got, want.Labels)
			}
		case *instructions.EnvCommand:
			for _, e := range c.Env {
				env = append(env, e.Key+"="+e.Value)
			}
		case *instructions.UserCommand:
			check(t, "user", c.User, want.User)
		case *instructions.WorkdirCommand:
			check(t, "working directory", c.Path, want.WorkingDir)
		case *instructions.VolumeCommand:
			check(t, "volumes", strings.Join(c.Volumes, " "), strings.Join(slices.Sorted(maps.Keys(want.Volumes)), " "))
		case *instructions.ExposeCommand:
			check(t, "ports", strings.Join(c.Ports, " "), strings.Join(slices.Sorted(maps.Keys(want.ExposedPorts)), " "))
		case *instructions.StopSignalCommand:
			check(t, "stop signal", c.Signal, want.StopSignal)
		case *instructions.EntrypointCommand:
			check(t, "entrypoint", strings.Join(c.CmdLine, " "), strings.Join(want.Entrypoint, " "))
		case *instructions.CmdCommand:
			check(t, "command", strings.Join(c.CmdLine, " "), strings.Join(want.Cmd, " "))
		case *instructions.HealthCheckCommand:
			h, w := c.Health, want.Healthcheck
			check(t, "health check", strings.Join(h.Test, " "), strings.Join(w.Test, " "))
			if h.Interval != w.Interval || h.Timeout != w.Timeout || h.StartPeriod != w.StartPeriod || h.Retries != w.Retries {
				t.Errorf("health check %+v, want %+v", h, w)
			}
		default:
			t.Errorf("the image of this program knows nothing of %s", command.Name())
		}
	}
	if !slices.Equal(env, want.Env) {
		t.Errorf("environment %v, want %v", env, want.Env)
	}
	for _, name := range []string{"COPY", "LABEL", "ENV", "USER", "WORKDIR", "VOLUME", "EXPOSE", "STOPSIGNAL", "HEALTHCHECK", "ENTRYPOINT", "CMD"} {
		if seen[strings.ToLower(name)]+seen[name] != 1 {
			t.Errorf("%s is there %d times: %v", name, seen[name], seen)
		}
	}
}

func check(t *testing.T, what, got, want string) {
	t.Helper()
	if got != want {
		t.Errorf("%s %q, want %q", what, got, want)
	}
}

// What git does not know is not sent to the daemon, and all that it knows is: what is made in
// folders further below has keysets and keys.
func TestIgnored(t *testing.T) {
	rules := func(file, below string) []string {
		b, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		var list []string
		for line := range strings.Lines(string(b)) {
			if line = strings.TrimSpace(line); line != "" && !strings.HasPrefix(line, "#") {
				if !strings.Contains(line, "/") {
					line = "**/" + line // git looks for it anywhere
				}
				list = append(list, below+line)
			}
		}
		return list
	}
	var git []string
	err := filepath.WalkDir(repository, func(path string, entry fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case entry.IsDir() && slices.Contains([]string{".git", ".tools"}, entry.Name()):
			return fs.SkipDir
		case entry.Name() != ".gitignore":
			return nil
		}
		below, err := filepath.Rel(repository, filepath.Dir(path))
		if err != nil || below == "." {
			git = append(git, rules(path, "")...)
			return err
		}
		git = append(git, rules(path, "/"+filepath.ToSlash(below))...)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	ignored := rules("../Containerfile.dockerignore", "")
	slices.Sort(git)
	slices.Sort(ignored)
	if !slices.Equal(git, ignored) {
		t.Errorf(".gitignore %v, Containerfile.dockerignore %v", git, ignored)
	}
}
