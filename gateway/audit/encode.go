package audit

import (
	"crypto/sha256"
	"encoding/hex"
	"math"
	"slices"
	"strconv"
	"time"
	"unicode/utf16"
	"unicode/utf8"
)

// timeLayout is RFC 3339 in UTC with microseconds, always 27 characters, so
// that lines sort as text as their times do.
const timeLayout = "2006-01-02T15:04:05.000000Z"

const hexDigits = "0123456789abcdef"

// appendRecord appends the line of r to b, without a newline, and makes r canonical.
// [decode] is its inverse and has the same list of keys.
func appendRecord(b []byte, r *Record) []byte {
	return appendPrev(appendBody(appendSeq(b, r.Seq), r), r.Prev)
}

func appendSeq(b []byte, seq uint64) []byte {
	return strconv.AppendUint(append(b, `{"seq":`...), seq, 10)
}

func appendPrev(b []byte, prev string) []byte {
	return append(appendText(append(b, `,"prev":`...), prev), '}')
}

// appendBody appends what is between seq and prev: all that does not depend on the
// place of r in the log.
func appendBody(b []byte, r *Record) []byte { return appendOutcome(appendAsked(b, r), r) }

// appendAsked appends what nearly always is the same in an intent and its record;
// asksSame has the same list.
func appendAsked(b []byte, r *Record) []byte {
	r.Time = canonicalTime(r.Time)
	b = appendTime(append(b, `,"time":`...), r.Time)
	b = appendBounded(append(b, `,"id":`...), &r.ID, maxText)
	b = appendBounded(append(b, `,"client":`...), &r.Client, maxText)
	b = appendBounded(append(b, `,"client_addr":`...), &r.ClientAddr, maxText)
	b = appendBounded(append(b, `,"connection":`...), &r.Connection, maxText)
	b = appendBounded(append(b, `,"edition":`...), &r.Edition, maxText)
	b = appendBounded(append(b, `,"region":`...), &r.Region, maxText)
	b = appendBounded(append(b, `,"method":`...), &r.Method, maxText)
	b = appendBounded(append(b, `,"operation":`...), &r.Operation, maxText)
	b = appendBounded(append(b, `,"path":`...), &r.Path, maxPath)
	r.QueryNames = canonicalNames(r.QueryNames)
	b = appendTexts(append(b, `,"query_names":`...), r.QueryNames)
	return appendBounded(append(b, `,"decision":`...), &r.Decision, maxText)
}

// asksSame tells whether [appendAsked] makes the same of both. Texts that were not
// changed are the same memory, so this takes a tenth of the time.
func (r *Record) asksSame(o *Record) bool {
	return r.Time == o.Time && r.ID == o.ID && r.Client == o.Client && r.ClientAddr == o.ClientAddr &&
		r.Connection == o.Connection && r.Edition == o.Edition && r.Region == o.Region && r.Method == o.Method &&
		r.Operation == o.Operation && r.Path == o.Path && slices.Equal(r.QueryNames, o.QueryNames) && r.Decision == o.Decision
}

// appendOutcome appends the rest of the body.
func appendOutcome(b []byte, r *Record) []byte {
	r.makeNumbersCanonical()
	b = appendBounded(append(b, `,"code":`...), &r.Code, maxText)
	b = appendBounded(append(b, `,"policy_sha256":`...), &r.PolicySHA256, maxText)
	b = appendBounded(append(b, `,"credential":`...), &r.Credential, maxText)
	b = appendBounded(append(b, `,"egress_ip":`...), &r.EgressIP, maxText)
	b = appendBounded(append(b, `,"upstream_addr":`...), &r.UpstreamAddr, maxText)
	b = strconv.AppendInt(append(b, `,"status":`...), int64(r.Status), 10)
	b = strconv.AppendInt(append(b, `,"bytes_in":`...), r.BytesIn, 10)
	b = strconv.AppendInt(append(b, `,"bytes_out":`...), r.BytesOut, 10)
	b = appendDuration(append(b, `,"duration_ms":`...), r.DurationMS)
	return appendBounded(append(b, `,"trace_id":`...), &r.TraceID, maxText)
}

// Line is the line of r, which comes from a log, as it is there: without the newline.
func (r Record) Line() []byte {
	return appendRecord(make([]byte, 0, usualLine), &r)
}

// usualLine is what nearly no line is longer than, in bytes.
const usualLine = 1 << 10

// hashLine is what the next record's Prev is.
func hashLine(line []byte) string {
	sum := sha256.Sum256(line)
	var text [2 * sha256.Size]byte
	hex.Encode(text[:], sum[:])
	return string(text[:])
}

// appendDuration appends ms, which must be canonical, as AppendFloat makes it shortest,
// in a third of the time: the thousandths are a whole number that a float64 holds exactly.
func appendDuration(b []byte, ms float64) []byte {
	thousandths := int64(math.Round(ms * 1000))
	b = strconv.AppendInt(b, thousandths/1000, 10)
	rest := int(thousandths % 1000)
	if rest == 0 {
		return b
	}
	b = appendDigits(append(b, '.'), rest, 3)
	for b[len(b)-1] == '0' {
		b = b[:len(b)-1]
	}
	return b
}

// appendTime appends t, which must be canonical, in [timeLayout] as AppendFormat does,
// in a quarter of the time.
func appendTime(b []byte, t time.Time) []byte {
	year, month, day := t.Date()
	hour, minute, second := t.Clock()
	b = appendDigits(append(b, '"'), year, 4)
	b = appendDigits(append(b, '-'), int(month), 2)
	b = appendDigits(append(b, '-'), day, 2)
	b = appendDigits(append(b, 'T'), hour, 2)
	b = appendDigits(append(b, ':'), minute, 2)
	b = appendDigits(append(b, ':'), second, 2)
	b = appendDigits(append(b, '.'), t.Nanosecond()/1000, 6)
	return append(b, 'Z', '"')
}

// appendDigits appends the last digits of n.
func appendDigits(b []byte, n, digits int) []byte {
	b = append(b, "000000"[:digits]...)
	for i := range digits {
		b[len(b)-1-i] += byte(n % 10)
		n /= 10
	}
	return b
}

func appendTexts(b []byte, list []string) []byte {
	b = append(b, '[')
	for i, s := range list {
		if i > 0 {
			b = append(b, ',')
		}
		b = appendText(b, s)
	}
	return append(b, ']')
}

// appendBounded makes s canonical and appends it. One look at a text that needs nothing
// of it, as nearly all are, tells both.
func appendBounded(b []byte, s *string, limit int) []byte {
	if len(*s) <= limit && isPlain(*s) {
		return append(append(append(b, '"'), *s...), '"')
	}
	*s = canonicalText(*s, limit)
	return appendText(b, *s)
}

// appendText appends s as a JSON string (RFC 8259 section 7) in its one
// canonical spelling: backslash before quote and backslash, \u with lower-case
// digits for what [hidden] says, all else as it is.
func appendText(b []byte, s string) []byte {
	b = append(b, '"')
	if isPlain(s) {
		return append(append(b, s...), '"')
	}
	for i := 0; i < len(s); {
		c := s[i]
		if c < utf8.RuneSelf {
			switch {
			case c == '"' || c == '\\':
				b = append(b, '\\', c)
			case c < 0x20 || c == 0x7f:
				b = appendEscape(b, rune(c))
			default:
				b = append(b, c)
			}
			i++
			continue
		}
		r, n := utf8.DecodeRuneInString(s[i:]) // RuneError for what is not UTF-8, and that is hidden
		if hidden(r) {
			b = appendEscape(b, r)
		} else {
			b = append(b, s[i:i+n]...)
		}
		i += n
	}
	return append(b, '"')
}

// isPlain tells whether s stands in a line as it is: printable ASCII without quote and
// backslash, as nearly all text is. It looks at eight bytes at a time.
func isPlain(s string) bool {
	const (
		each = 0x0101010101010101
		high = 0x80 * each
	)
	for ; len(s) >= 8; s = s[8:] {
		x := uint64(s[0]) | uint64(s[1])<<8 | uint64(s[2])<<16 | uint64(s[3])<<24 |
			uint64(s[4])<<32 | uint64(s[5])<<40 | uint64(s[6])<<48 | uint64(s[7])<<56
		// A byte that is less than what is taken from it gets the high bit.
		if (x|(x-' '*each)|((x^'"'*each)-each)|((x^'\\'*each)-each)|((x^0x7f*each)-each))&high != 0 {
			return false
		}
	}
	for i := range len(s) {
		if c := s[i]; c < 0x20 || c >= 0x7f || c == '"' || c == '\\' {
			return false
		}
	}
	return true
}

func appendEscape(b []byte, r rune) []byte {
	if r > 0xffff {
		high, low := utf16.EncodeRune(r)
		return appendEscape(appendEscape(b, high), low)
	}
	return append(b, '\\', 'u', hexDigits[r>>12&0xf], hexDigits[r>>8&0xf], hexDigits[r>>4&0xf], hexDigits[r&0xf])
}

// hidden tells whether r is escaped because a reader would not see it, or would
// see something else because of it. The list is fixed and not taken from the
// Unicode tables of the compiler: those grow, and a line must stay canonical.
func hidden(r rune) bool {
	switch {
	case r < 0x20, 0x7f <= r && r <= 0x9f: // C0, DEL, C1: line ends, terminal sequences
	case r == 0x00ad, r == 0x180e: // soft hyphen, Mongolian vowel separator
	case r == 0x061c, 0x200b <= r && r <= 0x200f: // zero width, Arabic letter mark and direction marks
	case 0x2028 <= r && r <= 0x202e: // line and paragraph separator, bidi embeddings and overrides
	case 0x2060 <= r && r <= 0x206f: // invisible operators, bidi isolates
	case r == 0xfeff: // byte order mark
	case 0xfff9 <= r && r <= 0xffff: // annotations, the replacement character, non-characters
	case 0xe0000 <= r && r <= 0xe0fff: // tags, supplementary variation selectors
	default:
		return false
	}
	return true
}
