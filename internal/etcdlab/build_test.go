package etcdlab

import (
	"os"
	"strings"
	"testing"
)

// A member that can't be built is an error that says what to do, on a machine without
// the go command and on one without a network.
func TestBuildSaysWhatIsMissing(t *testing.T) {
	tests := map[string]struct {
		environ map[string]string
		want    string
	}{
		"no go command": {map[string]string{"PATH": t.TempDir()}, "go command must be in PATH"},
		"no modules":    {map[string]string{"GOMODCACHE": t.TempDir(), "GOPROXY": "off", "GOFLAGS": "-modcacherw"}, "go mod download"},
		"no cache":      {map[string]string{"XDG_CACHE_HOME": os.DevNull}, "XDG_CACHE_HOME"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Setenv("GOCACHE", t.TempDir())
			t.Setenv("XDG_CACHE_HOME", t.TempDir())
			for key, value := range test.environ {
				t.Setenv(key, value)
			}
			if program, err := build(t.Context()); err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("build: %q, %v", program, err)
			}
		})
	}
}
