package cli

import (
	"runtime"
	"runtime/debug"
	"strings"

	"github.com/spf13/cobra"
)

// versionInfo is what the program knows of its own making.
type versionInfo struct {
	Version  string `json:"version"`
	Revision string `json:"revision,omitempty"`
	Time     string `json:"time,omitempty"` // of the revision
	Modified bool   `json:"modified,omitempty"`
	Go       string `json:"go"`
	Platform string `json:"platform"`
}

// programVersion comes from what the Go toolchain stamps into the binary.
func programVersion() versionInfo {
	v := versionInfo{Version: "devel", Go: runtime.Version(), Platform: runtime.GOOS + "/" + runtime.GOARCH}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return v
	}
	if info.Main.Version != "" {
		v.Version = strings.Trim(info.Main.Version, "()") // "(devel)" is no token for a User-Agent
	}
	for _, s := range info.Settings {
		switch s.Key {
		case "vcs.revision":
			v.Revision = s.Value
		case "vcs.time":
			v.Time = s.Value
		case "vcs.modified":
			v.Modified = s.Value == "true"
		}
	}
	return v
}

func newVersion(a *app) *cobra.Command {
	var output outputFormat
	cmd := &cobra.Command{
		Use:   "version",
		Short: "Say which version this is",
		Args:  cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			v := programVersion()
			if output == asJSON {
				return writeJSON(a.out, v)
			}
			modified := ""
			if v.Modified {
				modified = "yes: built from a changed working tree"
			}
			return writeFields(a.out, [][2]string{
				{"jiragate", v.Version}, {"revision", v.Revision}, {"of", v.Time}, {"modified", modified}, {"go", v.Go}, {"platform", v.Platform},
			})
		},
	}
	outputFlag(cmd, &output)
	return cmd
}
