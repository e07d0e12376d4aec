package policy

import (
	"fmt"
	"strings"
)

const (
	// MaxPath bounds a request path, in bytes as sent. The longest documented one
	// is under 350, three times that if every byte of an identifier is escaped.
	MaxPath = 4096
	// maxSegments is how many segments of a path are kept. No template has more.
	maxSegments = 10
)

// target is a request path cut at its slashes, still escaped.
type target struct {
	segments [maxSegments]string
	n        int // how many there are, which may be more than are kept
}

// parse cuts path. Whatever two servers might read differently it refuses,
// with a reason that is safe to show, and never cleans up: Jira runs on Tomcat,
// which drops ";parameters" from segments before it matches, and resolves dot
// segments after decoding.
func (t *target) parse(path string) (problem string) {
	if len(path) > MaxPath {
		return fmt.Sprintf("the path has %d bytes; at most %d are read", len(path), MaxPath)
	}
	if path == "" || path[0] != '/' {
		return "the path must begin with a slash"
	}
	for rest, more := path[1:], true; more; {
		var segment string
		segment, rest, more = strings.Cut(rest, "/")
		if problem := checkSegment(segment); problem != "" {
			return problem
		}
		if t.n < maxSegments {
			t.segments[t.n] = segment
		}
		t.n++
	}
	return ""
}

// checkSegment says what makes an escaped path segment ambiguous, or "".
func checkSegment(s string) (problem string) {
	if s == "" {
		return "the path has an empty segment (two slashes in a row, or one at its end); leave it out"
	}
	onlyDots, length := true, 0
	for i := 0; i < len(s); length++ {
		c := s[i]
		if c == '%' {
			decoded, ok := unhex(s[i:])
			if !ok {
				return `the path has a "%" that is not followed by two hexadecimal digits`
			}
			if decoded < ' ' || decoded > '~' || strings.IndexByte(`/\%;?#`, decoded) >= 0 {
				return fmt.Sprintf("the path escapes the byte 0x%02x; identifiers of Jira have no control, non-ASCII or separator bytes", decoded)
			}
			c = decoded
			i += 3
		} else {
			if !pathByte(c) {
				return fmt.Sprintf("the path has the byte 0x%02x, which is not allowed there", c)
			}
			i++
		}
		onlyDots = onlyDots && c == '.'
	}
	if onlyDots && length <= 2 {
		return "the path has a dot segment; write the path that is meant"
	}
	return ""
}

// pathByte reports whether c may stand unescaped in a path segment: pchar of
// RFC 3986, section 3.3, without ";".
func pathByte(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' ||
		strings.IndexByte("-._~!$&'()*+,=:@", c) >= 0
}

// decodeSegment undoes the escapes of a segment that checkSegment has passed,
// once. It allocates only where there are any.
func decodeSegment(s string) string {
	if strings.IndexByte(s, '%') < 0 {
		return s
	}
	decoded := make([]byte, 0, len(s))
	for i := 0; i < len(s); i++ {
		c := s[i]
		if c == '%' {
			c, _ = unhex(s[i:])
			i += 2
		}
		decoded = append(decoded, c)
	}
	return string(decoded)
}

// unhex reads the escape %XX that s begins with.
func unhex(s string) (c byte, ok bool) {
	if len(s) < 3 {
		return 0, false
	}
	high, okHigh := hexDigit(s[1])
	low, okLow := hexDigit(s[2])
	return high<<4 | low, okHigh && okLow
}

func hexDigit(c byte) (byte, bool) {
	switch {
	case '0' <= c && c <= '9':
		return c - '0', true
	case 'a' <= c && c <= 'f':
		return c - 'a' + 10, true
	case 'A' <= c && c <= 'F':
		return c - 'A' + 10, true
	}
	return 0, false
}
