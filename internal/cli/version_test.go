package cli

import (
	"encoding/json"
	"maps"
	"runtime"
	"runtime/debug"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"jiragate/policy"
)

// releasedBuild is what Go stamps into a release.
var releasedBuild = debug.BuildInfo{
	GoVersion: "go1.26.8",
	Main:      debug.Module{Path: "jiragate", Version: "v1.2.3"},
	Deps: []*debug.Module{
		{Path: "example.com/a", Version: "v1.0.0", Sum: "h1:a"},
		{Path: "example.com/b", Version: "v1.0.0", Sum: "h1:b", Replace: &debug.Module{Path: "example.com/fork", Version: "v1.0.1", Sum: "h1:fork"}},
	},
	Settings: []debug.BuildSetting{
		{Key: "-trimpath", Value: "true"}, {Key: "CGO_ENABLED", Value: "0"}, {Key: "GOAMD64", Value: "v1"}, {Key: "-compiler", Value: "gc"},
		{Key: "vcs", Value: "git"}, {Key: "vcs.revision", Value: "abc"}, {Key: "vcs.time", Value: "2026-11-28T10:00:00Z"}, {Key: "vcs.modified", Value: "true"},
	},
}

func TestVersionTellsWhatTheToolchainStamped(t *testing.T) {
	b := builtVersionOf(&releasedBuild)
	want := versionInfo{Version: "v1.2.3", Revision: "abc", Time: "2026-11-28T10:00:00Z", Modified: true,
		Go: runtime.Version(), Platform: runtime.GOOS + "/" + runtime.GOARCH}
	if diff := cmp.Diff(want, b.versionInfo); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff(map[string]string{"-trimpath": "true", "CGO_ENABLED": "0", "GOAMD64": "v1", "-compiler": "gc"}, b.Build); diff != "" {
		t.Error(diff)
	}
	modules := []builtModule{
		{Path: "example.com/a", Version: "v1.0.0", Sum: "h1:a"},
		{Path: "example.com/b", Version: "v1.0.1", Sum: "h1:fork", ReplacedBy: "example.com/fork"},
	}
	if diff := cmp.Diff(modules, b.Modules); diff != "" {
		t.Error(diff)
	}
	rows := [][]string{{"example.com/a", "v1.0.0", "h1:a"}, {"example.com/fork", "v1.0.1", "h1:fork"}}
	if diff := cmp.Diff(rows, b.moduleRows()); diff != "" {
		t.Error(diff)
	}
	if p := policy.Default(); b.Policy.Version != p.Version() || b.Policy.SHA256 != p.SHA256() {
		t.Errorf("policy %+v, want %s, %s", b.Policy, p.Version(), p.SHA256())
	}

	lines := map[string]string{}
	for _, f := range b.fields() {
		lines[f[0]] = f[1]
	}
	for name, text := range map[string]string{
		"jiragate": "v1.2.3", "modified": "yes: built from a changed working tree",
		"build": "CGO_ENABLED=0 -trimpath=true GOAMD64=v1", "store": "schema 2", "modules": "2, listed by --modules",
	} {
		if lines[name] != text {
			t.Errorf("%s: got %q, want %q", name, lines[name], text)
		}
	}
}

func TestVersionWhereNothingIsStamped(t *testing.T) {
	if b := builtVersionOf(nil); b.Version != "devel" || b.Revision != "" || b.Policy.SHA256 == "" || b.Modules == nil {
		t.Errorf("got %+v", b)
	}
	devel := debug.BuildInfo{Main: debug.Module{Version: "(devel)"}}
	if v := versionOf(&devel); v.Version != "devel" {
		t.Errorf("version %q: parentheses are no part of a product's name in a User-Agent", v.Version)
	}
}

// Programs read the JSON: its keys are part of the public interface.
func TestVersionAsJSON(t *testing.T) {
	var got map[string]json.RawMessage
	if err := json.Unmarshal([]byte(mustRun(t, nil, "", "version", "--output", "json")), &got); err != nil {
		t.Fatal(err)
	}
	// Whether a revision is stamped into a test program depends on the environment.
	for _, key := range []string{"revision", "time", "modified"} {
		delete(got, key)
	}
	want := []string{"build", "fips140", "formats", "go", "modules", "platform", "policy", "version"}
	if diff := cmp.Diff(want, slices.Sorted(maps.Keys(got))); diff != "" {
		t.Error(diff)
	}
}
