package cli

import (
	"cmp"
	"fmt"
	"iter"
	"strings"
)

// helpWidth is where the meaning of a variable is wrapped, in columns.
const helpWidth = 96

// environmentHelp lists each variable with type, default and meaning, from the
// tags of [Config].
func environmentHelp() string {
	var b strings.Builder
	b.WriteString("Environment:\n")
	for f := range configFields() {
		fmt.Fprintf(&b, "\n  %s\n      type: %s; default: %s\n", variableOf(f), f.Tag.Get("type"), cmp.Or(defaultOf(f), "none"))
		for line := range wrapped(f.Tag.Get("meaning"), helpWidth-6) {
			fmt.Fprintf(&b, "      %s\n", line)
		}
	}
	b.WriteString(`
  OTEL_*
      As OpenTelemetry specifies them: exporters (none by default), sampling, resource.

An unknown JIRAGATE_ variable, or a value that is not allowed, is refused at start.`)
	return b.String()
}

// wrapped cuts text into lines of at most width columns, at spaces.
func wrapped(text string, width int) iter.Seq[string] {
	return func(yield func(string) bool) {
		line := ""
		for _, word := range strings.Fields(text) {
			if line != "" && len(line)+1+len(word) > width {
				if !yield(line) {
					return
				}
				line = ""
			}
			if line != "" {
				line += " "
			}
			line += word
		}
		if line != "" {
			yield(line)
		}
	}
}
