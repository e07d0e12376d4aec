package nearest

import (
	"strings"
	"testing"
)

func TestTo(t *testing.T) {
	known := []string{"myself.get", "project.get", "issue.create", "issue.delete"}
	for s, want := range map[string]string{
		"issue.destroy":          "issue.delete",
		"projetc.get":            "project.get",
		"issue.create":           "issue.create",
		"":                       "myself.get",
		strings.Repeat("x", 100): "myself.get", // all are equally far: the first
	} {
		if got := To(s, known); got != want {
			t.Errorf("To(%.20q) = %q, want %q", s, got, want)
		}
	}
	if got := To("x", nil); got != "" {
		t.Errorf("nearest of none is %q", got)
	}
}

func TestDistance(t *testing.T) {
	for _, tt := range []struct {
		a, b string
		want int
	}{{"", "", 0}, {"", "abc", 3}, {"abc", "", 3}, {"kitten", "sitting", 3}, {"ab", "ba", 2}} {
		if got := distance(tt.a, tt.b); got != tt.want {
			t.Errorf("distance of %q and %q: %d, want %d", tt.a, tt.b, got, tt.want)
		}
	}
}
