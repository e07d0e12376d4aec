package cli

import (
	"cmp"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/spf13/cobra"
)

// Root is the program's tree of commands.
func Root(more ...*cobra.Command) *cobra.Command {
	root := newRoot(&app{})
	root.AddCommand(more...)
	return root
}

// Variable is a setting as `serve --help` shows it.
type Variable struct{ Name, Type, Default, Meaning string }

// Variables lists all settings.
func Variables() []Variable {
	var all []Variable
	for f := range configFields() {
		all = append(all, Variable{variableOf(f), f.Tag.Get("type"), cmp.Or(defaultOf(f), "none"), f.Tag.Get("meaning")})
	}
	return all
}

// Metric is one that a gateway exposes, as a scraper sees it.
type Metric struct {
	Name, Type, Help string
	Labels           []string // sorted
}

// Metrics lists those of a gateway that everything has happened to, but for those of
// libraries, by name.
func Metrics(t *testing.T) []Metric {
	exposed := scrape(t, startBusy(t))
	var all []Metric
	for _, name := range slices.Sorted(maps.Keys(exposed)) {
		if ofLibrary(name) {
			continue
		}
		m := exposed[name]
		delete(m.labels, "le")
		all = append(all, Metric{name, m.kind, strings.TrimSpace(m.help), slices.Sorted(maps.Keys(m.labels))})
	}
	return all
}
