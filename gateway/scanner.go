package gateway

import (
	"bytes"
	"io"
)

// secrets are what must not come back in an answer: the credential that was
// injected, in the forms in which it is likely to be reflected (G4, threat H7). The
// zero value has none. Copies share what they hold, which ends with the call.
//
// The forms are many, and to make them and look for each would cost more than all
// else that is done to a call. So answers are first looked through for anchors: a few
// bytes of which each form holds at least one piece. Only where one is found, or has
// to be reckoned with at the end of a piece, are the forms made and looked for.
type secrets struct{ *hidden }

type hidden struct {
	entries []entry
	usual   [4]entry // where entries begin
	anchors anchors
	forms   forms // nil until they are needed
}

// entry is a value with the forms of it that are looked for.
type entry struct {
	value string
	add   func(f *forms, value string)
}

// add adds a secret and its usual encodings.
func (s *secrets) add(value string) { s.addSince(value, 0) }

// addSince adds a secret of which only what follows at is hard to guess: by that it
// is looked for first, where it is long enough.
func (s *secrets) addSince(value string, at int) {
	if value == "" {
		return
	}
	h := s.enter(value, (*forms).add)
	run := longestRun(value[at:])
	if len(run) < gramSize {
		run = longestRun(value)
	}
	h.anchors.add(run)
	h.anchors.addBase64(value)
	h.anchors.addHex(value)
}

// addBase64 adds the base64 of a value, in both alphabets.
func (s *secrets) addBase64(value string) {
	s.enter(value, (*forms).addBase64).anchors.addBase64(value)
}

// addRun adds the longest plain run of a value, which must be secret as a
// whole: of a user name and password it would be the user name, perhaps.
func (s *secrets) addRun(value string) {
	if run := longestRun(value); len(run) >= plainRun {
		s.enter(run, func(f *forms, run string) { f.append(run) }).anchors.add(run)
	}
}

func (s *secrets) enter(value string, add func(*forms, string)) *hidden {
	if s.hidden == nil {
		s.hidden = &hidden{}
	}
	if s.hidden.entries == nil {
		s.hidden.entries = s.hidden.usual[:0]
	}
	s.hidden.forms = nil
	s.hidden.entries = append(s.hidden.entries, entry{value, add})
	return s.hidden
}

// all makes the forms, once.
func (h *hidden) all() forms {
	if h.forms == nil {
		for _, e := range h.entries {
			e.add(&h.forms, e.value)
		}
	}
	return h.forms
}

// redact is the text of an error for the log, unless it quotes a secret.
func (s secrets) redact(err error) string {
	if text := err.Error(); !s.inText(text) {
		return text
	}
	return "withheld: it quotes the credential"
}

// in reports whether b holds a secret.
func (s secrets) in(b []byte) bool {
	return s.hidden != nil && anchored(&s.anchors, b) && s.all().in(b)
}

// inText is in for a string.
func (s secrets) inText(b string) bool {
	return s.hidden != nil && anchored(&s.anchors, b) && s.all().in([]byte(b))
}

// tail is the length of the longest end of b with which a secret might begin.
func (s secrets) tail(b []byte) int {
	if s.hidden == nil {
		return 0
	}
	return s.all().tail(b)
}

// in reports whether b holds one of the forms.
func (f forms) in(b []byte) bool {
	for _, form := range f {
		if bytes.Contains(b, form) {
			return true
		}
	}
	return false
}

// tail is the length of the longest end of b with which a form begins, that is not
// whole.
func (f forms) tail(b []byte) int {
	longest := 0
	for _, form := range f {
		for from := max(0, len(b)-len(form)+1); len(b)-from > longest; from++ {
			next := bytes.IndexByte(b[from:], form[0])
			if next < 0 {
				break
			}
			if from += next; bytes.HasPrefix(form, b[from:]) {
				longest = max(longest, len(b)-from)
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
	n, ok := s.look(data)
	s.held = bytes.Clone(data[n:])
	return data[:n], ok
}

// read is next for the piece that comes next from r. It is read into buffer, behind what
// is held back, so that a long stream is not copied. What it returns, and what it holds
// back, is in buffer, or in a longer one where a secret is nearly as long.
func (s *scanner) read(r io.Reader, buffer []byte) (pass []byte, ok bool, err error) {
	if most := len(buffer) / 2; len(s.held) > most {
		buffer = make([]byte, most+2*len(s.held))
	}
	held := copy(buffer, s.held)
	read, err := r.Read(buffer[held:])
	data := buffer[:held+read]
	n, ok := s.look(data)
	s.held = data[n:]
	return data[:n], ok, err
}

// look says how much of the data may be passed on.
func (s *scanner) look(data []byte) (n int, ok bool) {
	if s.secrets.in(data) {
		return 0, false
	}
	return len(data) - s.secrets.tail(data), true
}

// rest returns what was held back, at the end of the stream.
func (s *scanner) rest() []byte { return s.held }
