package audit

import (
	"bytes"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
	"unicode/utf16"
	"unicode/utf8"
)

// errNotCanonical says that a line can be read but is not spelled as the log
// spells it.
var errNotCanonical = errors.New("the record is not in its canonical spelling")

// ParseLine reads a line of the log, without its newline. The error says how it is
// not what the log writes; so what is read is safe to print.
func ParseLine(line []byte) (Record, error) {
	if len(line) > maxLine {
		return Record{}, fmt.Errorf("the line is longer than the %d bytes of any record", maxLine)
	}
	return decode(line)
}

// decode reads the line of a record. A line is good only if it is exactly what
// [appendRecord] makes of the record: one record, one spelling. So what decode
// accepts is safe to print, too.
func decode(line []byte) (Record, error) {
	r, err := scan(line)
	if err != nil {
		return Record{}, err
	}
	c := r.canonical()
	if c.check() != nil { // whose error quotes the line, which may be about anybody
		return Record{}, fmt.Errorf("decision is neither %q nor %q", DecisionAllow, DecisionDeny)
	}
	if !bytes.Equal(appendRecord(make([]byte, 0, len(line)), &c), line) {
		return Record{}, errNotCanonical
	}
	return r, nil
}

// scan takes the values out of a line. It knows only the keys, their order and
// the escapes that [appendText] makes; an error names the key at which the line
// ceases to be that.
func scan(line []byte) (Record, error) {
	d := decoder{rest: string(line)} // the texts of the record are parts of this one string
	r := Record{
		Seq:          d.uint(`{"seq":`),
		Time:         d.time(`,"time":`),
		ID:           d.text(`,"id":`),
		Client:       d.text(`,"client":`),
		ClientAddr:   d.text(`,"client_addr":`),
		Connection:   d.text(`,"connection":`),
		Edition:      d.text(`,"edition":`),
		Region:       d.text(`,"region":`),
		Method:       d.text(`,"method":`),
		Operation:    d.text(`,"operation":`),
		Path:         d.text(`,"path":`),
		QueryNames:   d.texts(`,"query_names":`),
		Decision:     d.text(`,"decision":`),
		Code:         d.text(`,"code":`),
		PolicySHA256: d.text(`,"policy_sha256":`),
		Credential:   d.text(`,"credential":`),
		EgressIP:     d.text(`,"egress_ip":`),
		UpstreamAddr: d.text(`,"upstream_addr":`),
		Status:       int(d.int(`,"status":`)),
		BytesIn:      d.int(`,"bytes_in":`),
		BytesOut:     d.int(`,"bytes_out":`),
		DurationMS:   d.float(`,"duration_ms":`),
		TraceID:      d.text(`,"trace_id":`),
		Prev:         d.text(`,"prev":`),
	}
	d.key("}")
	if d.err == nil && len(d.rest) > 0 {
		d.err = errors.New("the line goes on after the record")
	}
	if d.err != nil {
		return Record{}, d.err
	}
	return r, nil
}

// decoder takes a line apart from the left. After the first error it does
// nothing more.
type decoder struct {
	rest string
	err  error
}

func (d *decoder) fail(key, what string) {
	if d.err == nil {
		d.err = fmt.Errorf("at %s: %s", key, what)
	}
}

// key takes the literal text key; everything between two values is one.
func (d *decoder) key(key string) bool {
	if d.err != nil {
		return false
	}
	rest, ok := strings.CutPrefix(d.rest, key)
	if !ok {
		d.fail(key, "the key is not where it must be")
		return false
	}
	d.rest = rest
	return true
}

// number takes the digits, and the point if there is one, after key.
func (d *decoder) number(key string) string {
	if !d.key(key) {
		return ""
	}
	n := 0
	for n < len(d.rest) && (d.rest[n] >= '0' && d.rest[n] <= '9' || d.rest[n] == '.') {
		n++
	}
	s := d.rest[:n]
	d.rest = d.rest[n:]
	return s
}

func (d *decoder) uint(key string) uint64 {
	v, err := strconv.ParseUint(d.number(key), 10, 64)
	if err != nil {
		d.fail(key, "the value is not a whole number")
	}
	return v
}

func (d *decoder) int(key string) int64 {
	v, err := strconv.ParseInt(d.number(key), 10, 64)
	if err != nil {
		d.fail(key, "the value is not a whole number")
	}
	return v
}

func (d *decoder) float(key string) float64 {
	v, err := strconv.ParseFloat(d.number(key), 64)
	if err != nil {
		d.fail(key, "the value is not a number")
	}
	return v
}

func (d *decoder) time(key string) time.Time {
	t, err := time.Parse(timeLayout, d.text(key))
	if err != nil {
		d.fail(key, "the value is not a UTC time with microseconds")
	}
	return t
}

func (d *decoder) texts(key string) []string {
	if !d.key(key) || !d.key("[") {
		return nil
	}
	if len(d.rest) > 0 && d.rest[0] == ']' {
		d.rest = d.rest[1:]
		return nil
	}
	list := []string{d.text("")}
	for d.err == nil && len(d.rest) > 0 && d.rest[0] == ',' && len(list) <= maxQueryNames {
		list = append(list, d.text(","))
	}
	d.key("]")
	return list
}

// text takes the string after key.
func (d *decoder) text(key string) string {
	if !d.key(key) || !d.key(`"`) {
		return ""
	}
	var unescaped []byte
	for {
		n := strings.IndexByte(d.rest, '"')
		if n < 0 {
			d.fail(key, "the text does not end")
			return ""
		}
		escape := strings.IndexByte(d.rest[:n], '\\')
		if escape < 0 { // nearly always at once
			s := d.rest[:n]
			d.rest = d.rest[n+1:]
			if unescaped == nil {
				return s
			}
			return string(append(unescaped, s...))
		}
		unescaped = append(unescaped, d.rest[:escape]...)
		d.rest = d.rest[escape+1:]
		r, ok := d.escape()
		if !ok {
			d.fail(key, "the text holds an escape that the log does not write")
			return ""
		}
		unescaped = utf8.AppendRune(unescaped, r)
	}
}

// escape takes what follows a backslash: a quote, a backslash, or u and four
// digits, twice for a surrogate pair.
func (d *decoder) escape() (rune, bool) {
	if len(d.rest) == 0 {
		return 0, false
	}
	if c := d.rest[0]; c == '"' || c == '\\' {
		d.rest = d.rest[1:]
		return rune(c), true
	}
	r, ok := d.unit("u")
	if !ok || !utf16.IsSurrogate(r) {
		return r, ok
	}
	low, ok := d.unit(`\u`)
	if !ok {
		return 0, false
	}
	r = utf16.DecodeRune(r, low)
	return r, r != utf8.RuneError
}

// unit takes one \uXXXX, of which prefix is still there.
func (d *decoder) unit(prefix string) (rune, bool) {
	end := len(prefix) + 4
	if len(d.rest) < end || d.rest[:len(prefix)] != prefix {
		return 0, false
	}
	v, err := strconv.ParseUint(d.rest[len(prefix):end], 16, 16)
	d.rest = d.rest[end:]
	return rune(v), err == nil
}
