package cli

import (
	"cmp"
	"crypto/fips140"
	"runtime"
	"runtime/debug"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"jiragate/policy"
	"jiragate/tokenstore/records"
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

// builtVersion is all that `jiragate version` says: of what the program was made,
// and which forms of data it reads and writes.
type builtVersion struct {
	versionInfo
	FIPS140 bool        `json:"fips140"` // Go's validated cryptography is in use
	Policy  builtPolicy `json:"policy"`
	// Formats has the version of each form of data that has one of its own. Call
	// records, checkpoints and the handover have none: the program's stands for them.
	Formats map[string]string `json:"formats"`
	// Build has the settings of the Go toolchain, named as `go version -m` names them.
	Build   map[string]string `json:"build"`
	Modules []builtModule     `json:"modules"` // linked into the program, sorted by path
}

// builtPolicy is the catalogue without an operator's rules.
type builtPolicy struct {
	Version string `json:"version"`
	SHA256  string `json:"sha256"`
}

// builtModule is a linked module. Sum is the hash of its files as in go.sum, e.g.
// "h1:…"; of a module that was replaced, all but Path are the replacement's.
type builtModule struct {
	Path       string `json:"path"`
	Version    string `json:"version"`
	Sum        string `json:"sum,omitempty"`
	ReplacedBy string `json:"replaced_by,omitempty"`
}

// programVersion comes from what the Go toolchain stamps into the binary.
func programVersion() versionInfo {
	info, _ := debug.ReadBuildInfo()
	return versionOf(info)
}

// versionOf takes nil for a program in which nothing is stamped.
func versionOf(info *debug.BuildInfo) versionInfo {
	v := versionInfo{Version: "devel", Go: runtime.Version(), Platform: runtime.GOOS + "/" + runtime.GOARCH}
	if info == nil {
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

func builtVersionOf(info *debug.BuildInfo) builtVersion {
	p := policy.Default()
	b := builtVersion{
		versionInfo: versionOf(info),
		FIPS140:     fips140.Enabled(),
		Policy:      builtPolicy{Version: p.Version(), SHA256: p.SHA256()},
		Formats:     map[string]string{"store": strconv.Itoa(records.Schema)},
		Build:       map[string]string{},
		Modules:     []builtModule{},
	}
	if info == nil {
		return b
	}
	for _, s := range info.Settings {
		if !strings.HasPrefix(s.Key, "vcs") { // they have fields of their own
			b.Build[s.Key] = s.Value
		}
	}
	for _, d := range info.Deps {
		m := builtModule{Path: d.Path, Version: d.Version, Sum: d.Sum}
		if r := d.Replace; r != nil {
			m.Version, m.Sum, m.ReplacedBy = r.Version, r.Sum, r.Path
		}
		b.Modules = append(b.Modules, m)
	}
	return b
}

// shownSettings are the settings that people look for; JSON has all.
var shownSettings = []string{"CGO_ENABLED", "-trimpath", "-tags", "GOAMD64", "GOARM64", "GOEXPERIMENT", "GOFIPS140", "DefaultGODEBUG"}

func (b builtVersion) fields() [][2]string {
	modified := ""
	if b.Modified {
		modified = "yes: built from a changed working tree"
	}
	var settings []string
	for _, key := range shownSettings {
		if value, ok := b.Build[key]; ok {
			settings = append(settings, key+"="+value)
		}
	}
	fips := "off"
	if b.FIPS140 {
		fips = "on"
	}
	return [][2]string{
		{"jiragate", b.Version}, {"revision", b.Revision}, {"of", b.Time}, {"modified", modified},
		{"go", b.Go}, {"platform", b.Platform}, {"build", strings.Join(settings, " ")}, {"fips140", fips},
		{"policy", b.Policy.Version + ", SHA-256 " + b.Policy.SHA256},
		{"store", "schema " + b.Formats["store"]},
		{"modules", strconv.Itoa(len(b.Modules)) + ", listed by --modules"},
	}
}

func (b builtVersion) moduleRows() [][]string {
	var rows [][]string
	for _, m := range b.Modules {
		rows = append(rows, []string{cmp.Or(m.ReplacedBy, m.Path), m.Version, m.Sum})
	}
	return rows
}

func newVersion(a *app) *cobra.Command {
	var output outputFormat
	var modules bool
	cmd := &cobra.Command{
		Use:   "version",
		Short: "Say which version this is, and what it was made of",
		Long: `Say which version this is, and what it was made of.

Version, build and modules are what the Go toolchain wrote into the program, so
that "go version -m" says the same of the file. The policy's SHA-256 is that of
the catalogue alone, as call records have it where the operator has no rules.`,
		Example: `  jiragate version
  jiragate version --modules         # each linked module, with its sum as in go.sum
  jiragate version --output json     # everything`,
		Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			info, _ := debug.ReadBuildInfo()
			b := builtVersionOf(info)
			if output == asJSON {
				return writeJSON(a.out, b)
			}
			if modules {
				return writeTable(a.out, []string{"MODULE", "VERSION", "SUM"}, b.moduleRows())
			}
			return writeFields(a.out, b.fields())
		},
	}
	cmd.Flags().BoolVar(&modules, "modules", false, "list the linked modules; JSON always has them")
	outputFlag(cmd, &output)
	return cmd
}
