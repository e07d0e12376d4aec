package records

import (
	"bytes"
	"strconv"
	"unicode/utf8"
)

// What this file reads is what this package has written with encoding/json, in the form
// that nearly all of it has: one object of known fields, without a string that has an
// escape. It does so without reflection, and with few allocations. Where it
// reports false, encoding/json has to do it, and to say what is wrong if something is.

// plainFields calls field with the name of each field of an object, and with what
// follows the colon, of which field returns what it has left.
func plainFields(b []byte, field func(name, b []byte) (rest []byte, ok bool)) bool {
	if bytes.IndexByte(b, '\\') >= 0 || !utf8.Valid(b) || len(b) < 2 || b[0] != '{' {
		return false
	}
	if string(b) == "{}" {
		return true
	}
	for more := true; more; {
		name, rest, ok := cutString(b[1:])
		if !ok || len(rest) == 0 || rest[0] != ':' {
			return false
		}
		if b, ok = field(name, rest[1:]); !ok || len(b) == 0 {
			return false
		}
		more = b[0] == ','
	}
	return string(b) == "}"
}

// cutString cuts a JSON string without escapes off b.
func cutString(b []byte) (value, rest []byte, ok bool) {
	if len(b) == 0 || b[0] != '"' {
		return nil, nil, false
	}
	end := bytes.IndexByte(b[1:], '"')
	if end < 0 {
		return nil, nil, false
	}
	return b[1 : 1+end], b[2+end:], true
}

// cutStrings cuts a JSON array of one or more strings without escapes off b.
func cutStrings(b []byte) (values []string, rest []byte, ok bool) {
	if len(b) == 0 || b[0] != '[' {
		return nil, nil, false
	}
	end := bytes.IndexByte(b, ']')
	if end < 0 {
		return nil, nil, false
	}
	// One string for all of them, as a call pays for each.
	all := string(b[:end])
	for at := 0; at < end; {
		value, left, ok := cutString(b[at+1 : end])
		if !ok || len(left) > 0 && left[0] != ',' {
			return nil, nil, false
		}
		values = append(values, all[at+2:at+2+len(value)])
		at = end - len(left)
	}
	return values, b[end+1:], true
}

// cutNumber cuts an unsigned number off b.
func cutNumber(b []byte) (n uint64, rest []byte, ok bool) {
	end := 0
	for end < len(b) && '0' <= b[end] && b[end] <= '9' {
		end++
	}
	if end == 0 || end > 1 && b[0] == '0' {
		return 0, nil, false
	}
	n, err := strconv.ParseUint(string(b[:end]), 10, 64)
	return n, b[end:], err == nil
}

// word returns the one of the known words that value is, so that it isn't kept once for each
// record.
func word[T ~string](value []byte, known ...T) T {
	for _, k := range known {
		if string(value) == string(k) {
			return k
		}
	}
	return T(value)
}
