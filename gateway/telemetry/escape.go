package telemetry

import (
	"bytes"
	"fmt"
	"io"
	"unicode"
	"unicode/utf16"
	"unicode/utf8"
)

// EscapeControls returns line with every character that could steer a terminal
// or make a text look like another one written as \uXXXX: C0 and C1 controls
// and DEL, line and paragraph separators, bidirectional controls and all other
// invisible format characters (Unicode categories Cc, Cf, Zl, Zp), and bytes that
// are not UTF-8. Inside a JSON string, that is the same string as before.
func EscapeControls(line []byte) []byte {
	if !bytes.ContainsFunc(line, steers) {
		return line
	}
	escaped := make([]byte, 0, len(line)+64)
	for len(line) > 0 {
		r, size := utf8.DecodeRune(line)
		switch {
		case !steers(r) || r == utf8.RuneError && size > 1:
			escaped = append(escaped, line[:size]...)
		case r > 0xffff:
			high, low := utf16.EncodeRune(r)
			escaped = fmt.Appendf(escaped, `\u%04x\u%04x`, high, low)
		default:
			escaped = fmt.Appendf(escaped, `\u%04x`, r)
		}
		line = line[size:]
	}
	return escaped
}

// steers reports whether r must not be written as it is. utf8.RuneError stands
// for bytes that are not UTF-8; the character itself is told apart by its size.
func steers(r rune) bool {
	return r == utf8.RuneError || unicode.In(r, unicode.Cc, unicode.Cf, unicode.Zl, unicode.Zp)
}

// escapingWriter escapes lines on their way to w. Each Write is one line with
// its newline, as slog's handlers make them.
type escapingWriter struct{ w io.Writer }

func (e *escapingWriter) Write(p []byte) (int, error) {
	line, newline := bytes.CutSuffix(p, []byte("\n"))
	if !bytes.ContainsFunc(line, steers) {
		return e.w.Write(p)
	}
	out := EscapeControls(line)
	if newline {
		out = append(out, '\n')
	}
	if _, err := e.w.Write(out); err != nil {
		return 0, err
	}
	return len(p), nil
}
