package gateway

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"net/url"
)

// secrets are the byte strings that must not come back in an answer: the
// credential that was injected, in the forms in which it is likely to be
// reflected (G4, threat H7).
type secrets [][]byte

// shortSecret is the length below which a password is looked for only together
// with its user name: a short one may be an ordinary word of the answer.
const shortSecret = 8

// add adds a secret and its usual encodings.
func (s *secrets) add(value string) {
	if value == "" {
		return
	}
	forms := []string{value, url.QueryEscape(value), url.PathEscape(value), base64.StdEncoding.EncodeToString([]byte(value))}
	if quoted, err := json.Marshal(value); err == nil {
		forms = append(forms, string(quoted[1:len(quoted)-1]))
	}
	for _, f := range forms {
		if !s.has(f) {
			*s = append(*s, []byte(f))
		}
	}
}

func (s secrets) has(form string) bool {
	for _, known := range s {
		if string(known) == form {
			return true
		}
	}
	return false
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
