package gateway

import (
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"html"
	"net/url"
	"strings"
)

// shortSecret is the length below which a password is looked for only together
// with its user name: a short one may be an ordinary word of the answer.
const shortSecret = 8

// plainRun is the length from which a run of characters that no encoding
// touches is looked for by itself: with it the secret is found in escapes that
// are not listed. A shorter run may be an ordinary word.
const plainRun = 16

// forms are the byte strings in which a secret is looked for, each once. None is
// empty.
type forms [][]byte

// add adds a secret and its usual encodings.
func (f *forms) add(value string) {
	f.addBase64(value)
	f.append(value, hex.EncodeToString([]byte(value)))
	if url.QueryEscape(value) == value {
		return // no encoding below changes it
	}
	f.append(
		url.QueryEscape(value), url.PathEscape(value),
		lowerEscapes(url.QueryEscape(value)), lowerEscapes(url.PathEscape(value)),
		html.EscapeString(value), strings.ReplaceAll(html.EscapeString(value), "/", "&#47;"),
		jsonEscape(value, false), jsonEscape(value, true),
		strings.ReplaceAll(jsonEscape(value, false), "/", `\/`), strings.ReplaceAll(jsonEscape(value, true), "/", `\/`),
	)
}

// addBase64 adds the base64 of a value, in both alphabets.
func (f *forms) addBase64(value string) {
	f.append(base64.RawStdEncoding.EncodeToString([]byte(value)), base64.RawURLEncoding.EncodeToString([]byte(value)))
}

func (f *forms) append(texts ...string) {
	for _, text := range texts {
		if !f.has(text) {
			*f = append(*f, []byte(text))
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

// plain are the characters that none of the encodings here touches.
var plain = func() (t [256]bool) {
	for c := range t {
		b := byte(c)
		t[c] = 'a' <= b && b <= 'z' || 'A' <= b && b <= 'Z' || '0' <= b && b <= '9' || b == '-' || b == '_'
	}
	return t
}()

// longestRun is the longest part of s that is letters, digits, "-" and "_", the first
// of those where there are more.
func longestRun(s string) string {
	longest := ""
	for from := 0; from+len(longest) < len(s); {
		// A longer run that begins here reaches further than the longest one.
		reach := from + len(longest)
		at := reach
		for at >= from && plain[s[at]] {
			at--
		}
		if at >= from {
			from = at + 1
			continue
		}
		end := reach + 1
		for end < len(s) && plain[s[end]] {
			end++
		}
		longest, from = s[from:end], end+1
	}
	return longest
}

func (f forms) has(form string) bool {
	for _, known := range f {
		if string(known) == form {
			return true
		}
	}
	return false
}
