package gateway

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"html"
	"net/url"
	"strings"
)

// secrets are the byte strings that must not come back in an answer: the
// credential that was injected, in the forms in which it is likely to be
// reflected (G4, threat H7).
type secrets [][]byte

// shortSecret is the length below which a password is looked for only together
// with its user name: a short one may be an ordinary word of the answer.
const shortSecret = 8

// plainRun is the length from which a run of characters that no encoding
// touches is looked for by itself: with it the secret is found in escapes that
// are not listed. A shorter run may be an ordinary word.
const plainRun = 16

// add adds a secret and its usual encodings.
func (s *secrets) add(value string) {
	if value == "" {
		return
	}
	s.addBase64(value)
	s.addForms(value, hex.EncodeToString([]byte(value)))
	if url.QueryEscape(value) == value {
		return // no encoding below changes it
	}
	s.addForms(
		url.QueryEscape(value), url.PathEscape(value),
		lowerEscapes(url.QueryEscape(value)), lowerEscapes(url.PathEscape(value)),
		html.EscapeString(value), strings.ReplaceAll(html.EscapeString(value), "/", "&#47;"),
		jsonEscape(value, false), jsonEscape(value, true),
		strings.ReplaceAll(jsonEscape(value, false), "/", `\/`), strings.ReplaceAll(jsonEscape(value, true), "/", `\/`),
	)
}

// addBase64 adds the base64 of a value, in both alphabets.
func (s *secrets) addBase64(value string) {
	s.addForms(base64.RawStdEncoding.EncodeToString([]byte(value)), base64.RawURLEncoding.EncodeToString([]byte(value)))
}

// addRun adds the longest plain run of a value, which must be secret as a
// whole: of a user name and password it would be the user name, perhaps.
func (s *secrets) addRun(value string) {
	if run := longestRun(value); len(run) >= plainRun {
		s.addForms(run)
	}
}

func (s *secrets) addForms(forms ...string) {
	for _, f := range forms {
		if !s.has(f) {
			*s = append(*s, []byte(f))
		}
	}
}

// lowerEscapes writes percent escapes with lower-case digits.
func lowerEscapes(s string) string {
	b := []byte(s)
	for i := range b {
		if i >= 1 && b[i-1] == '%' || i >= 2 && b[i-2] == '%' {
			b[i] |= b[i] & 0x40 >> 1 // letters only
		}
	}
	return string(b)
}

// jsonEscape is the inside of a JSON string, with HTML's characters escaped
// as encoding/json and others do, or not.
func jsonEscape(s string, escapeHTML bool) string {
	var b strings.Builder
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(escapeHTML)
	if err := e.Encode(s); err != nil {
		return s
	}
	quoted := strings.TrimSuffix(b.String(), "\n")
	return quoted[1 : len(quoted)-1]
}

// longestRun is the longest part of s that is letters, digits, "-" and "_".
func longestRun(s string) string {
	longest := ""
	for run := range strings.FieldsFuncSeq(s, func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && r != '-' && r != '_'
	}) {
		if len(run) > len(longest) {
			longest = run
		}
	}
	return longest
}

func (s secrets) has(form string) bool {
	for _, known := range s {
		if string(known) == form {
			return true
		}
	}
	return false
}

// redact is the text of an error for the log, unless it quotes a secret.
func (s secrets) redact(err error) string {
	if text := err.Error(); !s.in([]byte(text)) {
		return text
	}
	return "withheld: it quotes the credential"
}

// in reports whether b holds a secret.
func (s secrets) in(b []byte) bool {
	for _, form := range s {
		if bytes.Contains(b, form) {
			return true
		}
	}
	return false
}

// tail is the length of the longest end of b with which a secret might begin.
func (s secrets) tail(b []byte) int {
	longest := 0
	for _, form := range s {
		for n := min(len(form)-1, len(b)); n > longest; n-- {
			if bytes.HasPrefix(form, b[len(b)-n:]) {
				longest = n
				break
			}
		}
	}
	return longest
}

// scanner looks for secrets in a stream. It holds back only bytes that may be
// the beginning of one, so an answer flows on as it comes.
type scanner struct {
	secrets secrets
	held    []byte
}

// next takes a piece of the stream and returns what may be passed on, which is
// valid until the next call. ok is false when a secret was found: then nothing
// of it has been passed on, and nothing more may be.
func (s *scanner) next(piece []byte) (pass []byte, ok bool) {
	data := piece
	if len(s.held) > 0 {
		data = append(s.held, piece...)
	}
	if s.secrets.in(data) {
		return nil, false
	}
	n := len(data) - s.secrets.tail(data)
	pass = data[:n]
	s.held = append([]byte(nil), data[n:]...)
	return pass, true
}

// rest returns what was held back, at the end of the stream.
func (s *scanner) rest() []byte { return s.held }
