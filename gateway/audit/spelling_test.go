package audit

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// TestIsPlain: each byte is told at each place, whatever is beside it.
func TestIsPlain(t *testing.T) {
	for c := range 256 {
		want := c >= ' ' && c < 0x7f && c != '"' && c != '\\'
		for length := 1; length <= 18; length++ {
			for at := range length {
				for _, beside := range []string{" ", "~", "!", "a", "]"} {
					text := []byte(strings.Repeat(beside, length))
					text[at] = byte(c)
					if isPlain(string(text)) != want {
						t.Fatalf("%q is plain: %v", text, !want)
					}
				}
			}
		}
	}
	if !isPlain("") {
		t.Error("nothing is not plain")
	}
}

func TestTimeIsWrittenAsItsLayoutSays(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		at := canonicalTime(time.Unix(rapid.Int64Range(-70_000_000_000, 260_000_000_000).Draw(t, "seconds"), rapid.Int64Range(0, 999_999_999).Draw(t, "nanoseconds")))
		if got, want := string(appendTime(nil, at)), fmt.Sprintf("%q", at.Format(timeLayout)); got != want {
			t.Fatalf("%s, want %s", got, want)
		}
	})
}
