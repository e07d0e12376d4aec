package audit

import (
	"fmt"
	"strconv"
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
func TestDurationIsWrittenShortest(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		ms := canonicalDuration(rapid.OneOf(
			rapid.Float64(), rapid.Float64Range(0, maxDurationMS), rapid.Float64Range(0, 2),
			rapid.Map(rapid.Int64Range(0, maxDurationMS*1000), func(n int64) float64 { return float64(n) / 1000 }),
		).Draw(t, "milliseconds"))
		if got, want := string(appendDuration(nil, ms)), strconv.FormatFloat(ms, 'f', -1, 64); got != want {
			t.Fatalf("%s, want %s", got, want)
		}
	})
}

// BenchmarkDuration is the duration in a line.
func BenchmarkDuration(b *testing.B) {
	var buf []byte
	b.ReportAllocs()
	for b.Loop() {
		buf = appendDuration(buf[:0], 12.345)
	}
}

// BenchmarkDurationShortest is what appendDuration is instead of.
func BenchmarkDurationShortest(b *testing.B) {
	var buf []byte
	b.ReportAllocs()
	for b.Loop() {
		buf = strconv.AppendFloat(buf[:0], 12.345, 'f', -1, 64)
	}
}
