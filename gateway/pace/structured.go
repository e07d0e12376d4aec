package pace

import (
	"strings"
	"time"
)

// globalQuota is the item of Beta-RateLimit that is about the whole app.
const globalQuota = `"global-app-quota"`

// appRemainder finds what is left of the app's points, and after which time they
// are reset, in lines such as
//
//	"global-app-quota";r=64000;t=1800, "tenant-app-quota";r=0;t=1800
//
// a List of Structured Fields (RFC 9651 section 3.1). A line that is malformed is
// passed over as a whole (section 4.2). Of several remainders the smallest counts.
func appRemainder(lines []string) (left int64, reset time.Duration, ok bool) {
	for _, line := range bounded(lines) {
		if len(line) > maxFieldBytes || !strings.Contains(line, globalQuota) {
			continue
		}
		for _, item := range items(line) {
			if item.name != globalQuota {
				continue
			}
			n, valid := digits(item.params["r"])
			if !valid || n > maxInteger || ok && n >= left {
				continue
			}
			left, ok = n, true
			reset, _ = seconds(item.params["t"])
		}
	}
	return left, reset, ok
}

// maxInteger is the largest Integer of Structured Fields (RFC 9651 section
// 3.3.1).
const maxInteger = 999_999_999_999_999

// item is a member of a List, its parts as they were written.
type item struct {
	name   string
	params map[string]string
}

// items splits a List. It returns nil if its form is broken; values are not
// looked at beyond their form.
func items(line string) (all []item) {
	for rest := strings.Trim(line, " "); ; {
		var it item
		var ok bool
		if it.name, rest, ok = bare(rest); !ok {
			return nil
		}
		it.params = map[string]string{}
		for strings.HasPrefix(rest, ";") {
			rest = strings.TrimLeft(rest[1:], " ")
			end := strings.IndexFunc(rest, func(r rune) bool { return !keyRune(r) })
			if end < 0 {
				end = len(rest)
			}
			key := rest[:end]
			if key == "" || !(key[0] == '*' || key[0] >= 'a' && key[0] <= 'z') {
				return nil
			}
			value := "?1" // a parameter without value is true
			if rest = rest[end:]; strings.HasPrefix(rest, "=") {
				if value, rest, ok = bare(rest[1:]); !ok {
					return nil
				}
			}
			it.params[key] = value // of two of one name the last counts
		}
		all = append(all, it)
		if rest = strings.TrimLeft(rest, " \t"); rest == "" {
			return all
		}
		if rest[0] != ',' {
			return nil
		}
		rest = strings.TrimLeft(rest[1:], " \t")
	}
}

func keyRune(r rune) bool {
	return r >= 'a' && r <= 'z' || r >= '0' && r <= '9' || strings.ContainsRune("_-.*", r)
}

// bare cuts a bare item off: a string, or anything else up to what ends it.
func bare(s string) (value, rest string, ok bool) {
	if !strings.HasPrefix(s, `"`) {
		end := strings.IndexAny(s, " \t;,\"")
		if end < 0 {
			end = len(s)
		}
		return s[:end], s[end:], end > 0
	}
	for i := 1; i < len(s); i++ {
		switch c := s[i]; {
		case c == '\\':
			i++
		case c == '"':
			return s[:i+1], s[i+1:], true
		case c < ' ' || c > '~':
			return "", "", false
		}
	}
	return "", "", false
}
