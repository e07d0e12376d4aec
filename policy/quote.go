package policy

import (
	"strconv"
	"unicode/utf8"
)

// maxQuoted bounds, in bytes, what is shown of a client's text.
const maxQuoted = 64

// quote makes text that came from outside safe to show in a detail: in double
// quotes, printable ASCII only, at most maxQuoted bytes, an ellipsis where it
// was cut. Every other part of a detail is our own text.
func quote(s string) string {
	const ellipsis = `..."`
	quoted := make([]byte, 1, maxQuoted)
	quoted[0] = '"'
	for s != "" {
		_, n := utf8.DecodeRuneInString(s)
		piece := strconv.QuoteToASCII(s[:n])
		piece = piece[1 : len(piece)-1]
		if len(quoted)+len(piece)+len(ellipsis) > maxQuoted {
			return string(append(quoted, ellipsis...))
		}
		quoted = append(quoted, piece...)
		s = s[n:]
	}
	return string(append(quoted, '"'))
}
