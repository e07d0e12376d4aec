package report

import (
	"fmt"
	"strings"
	"time"
	"unicode"
)

// plain shows what could steer a terminal, hide, or turn text around as \u202e. The
// rest is escaped by each format in its own way.
func plain(s string) string {
	if strings.IndexFunc(s, steers) < 0 {
		return strings.ToValidUTF8(s, "�")
	}
	var b strings.Builder
	for _, r := range s { // what is not UTF-8 comes as U+FFFD
		switch {
		case !steers(r):
			b.WriteRune(r)
		case r > 0xffff:
			fmt.Fprintf(&b, `\U%08x`, r)
		default:
			fmt.Fprintf(&b, `\u%04x`, r)
		}
	}
	return b.String()
}

func steers(r rune) bool {
	return unicode.In(r, unicode.Cc, unicode.Cf, unicode.Zl, unicode.Zp, unicode.Co)
}

// plainLines is plain for text of several lines, whose newlines stay.
func plainLines(s string) string {
	lines := strings.Split(s, "\n")
	for i := range lines {
		lines[i] = plain(lines[i])
	}
	return strings.Join(lines, "\n")
}

func plainAll(list []string) []string {
	out := make([]string, 0, len(list))
	for _, s := range list {
		out = append(out, plain(s))
	}
	return out
}

// quoted is text of unknown origin in an error.
func quoted(s string) string {
	const most = 80
	if len(s) > most {
		s = s[:most] + "…"
	}
	return fmt.Sprintf("%q", s)
}

func stamp(t time.Time) string { return t.UTC().Format(time.RFC3339) }

// grouped writes a count with a comma at each thousand.
func grouped(n uint64) string {
	s := fmt.Sprint(n)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

// many is a count in words: "1 call", "2,000 calls".
func many(n uint64, one string) string {
	if n == 1 {
		return "1 " + one
	}
	return grouped(n) + " " + one + "s"
}

func calls(n uint64) string { return many(n, "call") }

func orElse(s, otherwise string) string {
	if s == "" {
		return otherwise
	}
	return s
}
