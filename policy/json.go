package policy

import (
	"fmt"
	"strconv"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// bodyError is why a body is refused. Its detail is safe to show.
type bodyError struct {
	code   Code
	detail string
}

// jsonRewriter reads one JSON text (RFC 8259) and writes it anew, in one pass.
// It is stricter than [encoding/json], which lets the last of several equal
// names win and replaces broken Unicode, two ways for a gateway and a server to
// read one body differently: names must differ after their escapes are undone,
// surrogates must come in pairs, nesting is bounded.
//
// The input must be valid UTF-8.
type jsonRewriter struct {
	in    []byte
	pos   int
	out   []byte
	depth int
}

// member reads the value of a member called name, and says whether the member
// is to be kept in the output.
type member func(name string) (keep bool, err *bodyError)

// document reads the whole input, which must be one object.
func (j *jsonRewriter) document(m member) *bodyError {
	j.out = make([]byte, 0, len(j.in))
	if err := j.object(m); err != nil {
		return err
	}
	if j.space(); j.pos < len(j.in) {
		return j.fail("text after the end of the object")
	}
	return nil
}

// value reads any value.
func (j *jsonRewriter) value() *bodyError {
	switch {
	case j.at('{'):
		return j.object(func(string) (bool, *bodyError) { return true, j.value() })
	case j.at('['):
		return j.array()
	}
	_, err := j.scalar()
	return err
}

// scalar reads a value that is no container, and returns a string decoded and
// anything else as it is written. A container gives "".
func (j *jsonRewriter) scalar() (string, *bodyError) {
	switch {
	case j.at('{'), j.at('['):
		return "", j.value()
	case j.at('"'):
		s, err := j.text()
		if err == nil {
			j.out = appendJSONString(j.out, s)
		}
		return s, err
	}
	start := j.pos
	for _, word := range []string{"true", "false", "null"} {
		if j.take(word) {
			j.out = append(j.out, word...)
			return word, nil
		}
	}
	if err := j.number(); err != nil {
		return "", err
	}
	j.out = append(j.out, j.in[start:j.pos]...)
	return string(j.in[start:j.pos]), nil
}

// object reads an object, handing each member to m.
func (j *jsonRewriter) object(m member) *bodyError {
	if !j.at('{') {
		return j.fail("something other than an object, where one must be")
	}
	if err := j.enter(); err != nil {
		return err
	}
	j.out = append(j.out, '{')
	empty := len(j.out)
	var names map[string]struct{}
	for !j.at('}') {
		if len(names) > 0 {
			if !j.take(",") {
				return j.fail("an object that goes on without a comma")
			}
		}
		if !j.at('"') {
			return j.fail("an object whose next member has no name in quotes")
		}
		start := len(j.out)
		name, err := j.text()
		if err != nil {
			return err
		}
		if _, twice := names[name]; twice {
			return j.fail("the name " + quote(name) + " a second time in one object")
		}
		if names == nil {
			names = make(map[string]struct{})
		}
		names[name] = struct{}{}
		if j.space(); !j.take(":") {
			return j.fail("a name without a colon")
		}
		j.space()
		if start > empty {
			j.out = append(j.out, ',')
		}
		j.out = append(appendJSONString(j.out, name), ':')
		keep, err := m(name)
		if err != nil {
			return err
		}
		if !keep {
			j.out = j.out[:start]
		}
	}
	j.leave('}')
	return nil
}

// array reads an array.
func (j *jsonRewriter) array() *bodyError {
	if err := j.enter(); err != nil {
		return err
	}
	j.out = append(j.out, '[')
	for first := true; !j.at(']'); first = false {
		if !first {
			if !j.take(",") {
				return j.fail("an array that goes on without a comma")
			}
			j.space()
			j.out = append(j.out, ',')
		}
		if err := j.value(); err != nil {
			return err
		}
	}
	j.leave(']')
	return nil
}

// enter steps over the bracket that opens a container.
func (j *jsonRewriter) enter() *bodyError {
	if j.depth++; j.depth > MaxBodyDepth {
		return j.fail(fmt.Sprintf("more than %d containers inside each other", MaxBodyDepth))
	}
	j.pos++
	return nil
}

// leave steps over the bracket that closes a container.
func (j *jsonRewriter) leave(bracket byte) {
	j.depth--
	j.pos++
	j.out = append(j.out, bracket)
}

// text reads a string and undoes its escapes.
func (j *jsonRewriter) text() (string, *bodyError) {
	j.pos++
	start := j.pos
	var decoded []byte // nil until the first escape
	for j.pos < len(j.in) {
		switch c := j.in[j.pos]; {
		case c == '"':
			s := string(j.in[start:j.pos])
			j.pos++
			if decoded != nil {
				s = string(decoded)
			}
			return s, nil
		case c < ' ':
			return "", j.fail("a control character inside a string")
		case c == '\\':
			if decoded == nil {
				decoded = append(make([]byte, 0, 64), j.in[start:j.pos]...)
			}
			r, err := j.escape()
			if err != nil {
				return "", err
			}
			decoded = utf8.AppendRune(decoded, r)
		default:
			if decoded != nil {
				decoded = append(decoded, c)
			}
			j.pos++
		}
	}
	return "", j.fail("the end of the body inside a string")
}

// escape reads one escape, or the two of a surrogate pair.
func (j *jsonRewriter) escape() (rune, *bodyError) {
	if j.pos+1 < len(j.in) {
		switch c := j.in[j.pos+1]; c {
		case '"', '\\', '/':
			j.pos += 2
			return rune(c), nil
		default:
			if i := strings.IndexByte(shortEscapes, c); i >= 0 {
				j.pos += 2
				return rune(shortEscaped[i]), nil
			}
		}
	}
	r, ok := j.codeUnit()
	if !ok {
		return 0, j.fail("an escape that JSON does not have")
	}
	if !utf16.IsSurrogate(r) {
		return r, nil
	}
	low, ok := j.codeUnit()
	if pair := utf16.DecodeRune(r, low); ok && pair != utf8.RuneError {
		return pair, nil
	}
	return 0, j.fail("half of a surrogate pair")
}

// codeUnit reads \uXXXX.
func (j *jsonRewriter) codeUnit() (rune, bool) {
	if len(j.in)-j.pos < 6 || j.in[j.pos] != '\\' || j.in[j.pos+1] != 'u' {
		return 0, false
	}
	// ParseUint takes no sign, and an underscore only with base 0.
	r, err := strconv.ParseUint(string(j.in[j.pos+2:j.pos+6]), 16, 16)
	if err != nil {
		return 0, false
	}
	j.pos += 6
	return rune(r), true
}

// number steps over a number: RFC 8259, section 6.
func (j *jsonRewriter) number() *bodyError {
	j.take("-")
	if !j.take("0") && !j.digits() {
		return j.fail("something that is no value")
	}
	if j.take(".") && !j.digits() {
		return j.fail("a number without digits after its point")
	}
	if j.take("e") || j.take("E") {
		if !j.take("+") {
			j.take("-")
		}
		if !j.digits() {
			return j.fail("a number without digits in its exponent")
		}
	}
	return nil
}

func (j *jsonRewriter) digits() bool {
	start := j.pos
	for j.pos < len(j.in) && '0' <= j.in[j.pos] && j.in[j.pos] <= '9' {
		j.pos++
	}
	return j.pos > start
}

// at skips space and reports whether c comes next.
func (j *jsonRewriter) at(c byte) bool {
	j.space()
	return j.pos < len(j.in) && j.in[j.pos] == c
}

// space skips insignificant space.
func (j *jsonRewriter) space() {
	for j.pos < len(j.in) {
		switch j.in[j.pos] {
		case ' ', '\t', '\n', '\r':
			j.pos++
		default:
			return
		}
	}
}

// take steps over s if it comes next.
func (j *jsonRewriter) take(s string) bool {
	if len(j.in)-j.pos < len(s) || string(j.in[j.pos:j.pos+len(s)]) != s {
		return false
	}
	j.pos += len(s)
	return true
}

func (j *jsonRewriter) fail(found string) *bodyError {
	return &bodyError{CodeBodyMalformed, fmt.Sprintf("the body is not strict JSON: at byte %d there is %s", j.pos+1, found)}
}

// The control characters that have an escape of two characters, and the second
// of each. Writing them so keeps the output from being longer than the input.
const (
	shortEscaped = "\b\f\n\r\t"
	shortEscapes = "bfnrt"
)

// appendJSONString writes s with no more escapes than JSON needs.
func appendJSONString(out []byte, s string) []byte {
	const hex = "0123456789abcdef"
	out = append(out, '"')
	for i := range len(s) {
		switch c := s[i]; {
		case c == '"' || c == '\\':
			out = append(out, '\\', c)
		case c < ' ':
			if i := strings.IndexByte(shortEscaped, c); i >= 0 {
				out = append(out, '\\', shortEscapes[i])
				continue
			}
			out = append(out, '\\', 'u', '0', '0', hex[c>>4], hex[c&15])
		default:
			out = append(out, c)
		}
	}
	return append(out, '"')
}
