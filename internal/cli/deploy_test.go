package cli

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// The examples in deploy/ are settings that the program takes, with the addresses
// that customers are told of.
func TestDeployExamples(t *testing.T) {
	const dir = "../../deploy/egress"
	documented := map[string][]string{
		"us": {"52.54.159.237", "52.73.143.252"},
		"eu": {"18.200.77.86", "99.81.30.178"},
	}
	files, err := filepath.Glob(filepath.Join(dir, "*.env"))
	if err != nil || len(files) != 4 {
		t.Fatalf("examples %v, %v", files, err)
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		var environ []string
		for line := range strings.Lines(string(text)) {
			line = strings.TrimSpace(line)
			if line == "" || strings.HasPrefix(line, "#") {
				continue
			}
			environ = append(environ, strings.ReplaceAll(line, "/etc/jiragate", dir))
		}
		c, err := ParseConfig(environ)
		if err != nil {
			t.Errorf("%s: %v", file, err)
			continue
		}
		var public []string
		for _, a := range c.Egress {
			public = append(public, a.Public.String())
			if (a.Proxy != nil) != strings.Contains(file, "provider") {
				t.Errorf("%s: %s", file, a)
			}
		}
		if want := documented[string(c.Region)]; !slices.Equal(public, want) {
			t.Errorf("%s: region %s with %v, documented are %v", file, c.Region, public, want)
		}
	}
}
