package main

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"runtime"
	"strings"
)

// The markers of the section of a document that is rewritten.
const (
	beginMarker = "<!-- bench:begin -->"
	endMarker   = "<!-- bench:end -->"
)

// rewrite puts a section between the markers of a file.
func rewrite(file, section string) error {
	b, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	text, err := spliced(string(b), section)
	if err != nil {
		return fmt.Errorf("%s: %w", file, err)
	}
	return os.WriteFile(file, []byte(text), 0o644)
}

// spliced is a document with another section between its markers.
func spliced(document, section string) (string, error) {
	before, rest, ok := strings.Cut(document, beginMarker)
	_, after, ok2 := strings.Cut(rest, endMarker)
	if !ok || !ok2 {
		return "", errors.New("it has no markers " + beginMarker + " and " + endMarker)
	}
	return before + beginMarker + "\n" + strings.Trim(section, "\n") + "\n" + endMarker + after, nil
}

// markdown is what was found, as a section of a document.
func (r *results) markdown() string {
	var b strings.Builder
	fmt.Fprintf(&b, "Measured on %s. Rounds: %d, of %s for each number; tables show medians, and goals are medians of the rounds' ratios.\n\n", r.Machine, r.Rounds, r.Length)
	b.WriteString(r.goalTable(true).markdown())
	for _, sec := range sections() {
		if t := r.table(sec); len(t.rows) > 0 {
			fmt.Fprintf(&b, "\n### %s\n\n%s", sec.title, t.markdown())
			if sec.note != "" {
				fmt.Fprintf(&b, "\n%s\n", sec.note)
			}
		}
	}
	return b.String()
}

// machine is what it is measured on, in one line.
func machine() string {
	model := "an unknown processor"
	if f, err := os.Open("/proc/cpuinfo"); err == nil {
		defer f.Close()
		for lines := bufio.NewScanner(f); lines.Scan(); {
			if name, value, ok := strings.Cut(lines.Text(), ":"); ok && strings.TrimSpace(name) == "model name" {
				model = strings.TrimSpace(value)
				break
			}
		}
	}
	return fmt.Sprintf("%d cores of %s", runtime.NumCPU(), model)
}
