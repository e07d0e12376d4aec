package jirasim

import "strings"

// servletPath reads the path of a raw request target as Tomcat does before it
// looks for a servlet: path parameters are dropped, the rest is decoded once,
// doubled slashes are folded and dot segments resolved. It reports false for
// what Tomcat answers with 400: encoded slashes (ALLOW_ENCODED_SLASH is off
// since CVE-2007-0450), backslashes, NUL, broken escapes, and paths that climb
// above the root.
//
// See https://tomcat.apache.org/tomcat-9.0-doc/config/systemprops.html#Security.
func servletPath(raw string) (string, bool) {
	raw, _, _ = strings.Cut(raw, "?")
	if !strings.HasPrefix(raw, "/") {
		return "", false
	}
	var out []string
	for segment := range strings.SplitSeq(raw[1:], "/") {
		segment, _, _ = strings.Cut(segment, ";")
		segment, ok := decodeSegment(segment)
		if !ok {
			return "", false
		}
		switch segment {
		case "", ".":
		case "..":
			if len(out) == 0 {
				return "", false
			}
			out = out[:len(out)-1]
		default:
			out = append(out, segment)
		}
	}
	return "/" + strings.Join(out, "/"), true
}

func decodeSegment(s string) (string, bool) {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		c := s[i]
		if c == '%' {
			if i+2 >= len(s) {
				return "", false
			}
			high, low := unhex(s[i+1]), unhex(s[i+2])
			if high < 0 || low < 0 {
				return "", false
			}
			c = byte(high<<4 | low)
			i += 2
		}
		if c == '/' || c == '\\' || c == 0 {
			return "", false
		}
		b.WriteByte(c)
	}
	return b.String(), true
}

func unhex(c byte) int {
	switch {
	case '0' <= c && c <= '9':
		return int(c - '0')
	case 'a' <= c && c <= 'f':
		return int(c-'a') + 10
	case 'A' <= c && c <= 'F':
		return int(c-'A') + 10
	}
	return -1
}
