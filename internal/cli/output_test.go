package cli

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func TestTableCannotSteerTheTerminal(t *testing.T) {
	var b strings.Builder
	err := writeTable(&b, []string{"ID", "TEXT"}, [][]string{{"a", "red \x1b[31m and \u202eback\u009b\n2nd line\ttab"}, {"b", ""}})
	if err != nil {
		t.Fatal(err)
	}
	want := "ID  TEXT\na   red \\u001b[31m and \\u202eback\\u009b\\u000a2nd line\\u0009tab\nb   -\n"
	if b.String() != want {
		t.Errorf("got:\n%s\nwant:\n%s", b.String(), want)
	}
}

// What is written as JSON is the same value for a program, and holds nothing
// but line breaks that a terminal obeys.
func TestJSONKeepsItsMeaning(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		in := map[string]string{rapid.String().Draw(t, "name"): rapid.String().Draw(t, "value")}
		var b strings.Builder
		if err := writeJSON(&b, in); err != nil {
			t.Fatal(err)
		}
		if rest := strings.ReplaceAll(b.String(), "\n", ""); escapeText(rest) != rest {
			t.Fatalf("steers: %q", rest)
		}
		var out map[string]string
		if err := json.Unmarshal([]byte(b.String()), &out); err != nil {
			t.Fatal(err)
		}
		for k, v := range in {
			if got, ok := out[k]; !ok || got != v {
				t.Fatalf("%q: wrote %q, read %q", k, v, got)
			}
		}
	})
}

func TestErrorsAreOneLine(t *testing.T) {
	var b strings.Builder
	a := &app{err: &b}
	a.report(errors.Join(
		errors.New("first\n\n\tpart"),
		hint(errors.New("second \x1b[2J"), "do %s", "this"),
		fmt.Errorf("third: %w: %w", errors.New("cause"), errors.New("other")),
	))
	want := "jiragate: first; part\njiragate: second \\u001b[2J\njiragate: hint: do this\njiragate: third: cause: other\n"
	if b.String() != want {
		t.Errorf("got %q, want %q", b.String(), want)
	}
}
