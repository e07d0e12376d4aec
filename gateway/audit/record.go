package audit

import (
	"fmt"
	"math"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/google/uuid"
)

// Values of [Record.Decision].
const (
	DecisionAllow = "allow"
	DecisionDeny  = "deny"
)

// CodeInterrupted is the [Record.Code] of a call whose outcome is not known,
// because the process ended while the call was under way. Jira may have
// carried it out.
const CodeInterrupted = "interrupted"

// Bounds of what one record holds, in bytes of UTF-8. Longer text is cut, and
// ends in "…" instead.
const (
	maxPath       = 2 << 10
	maxText       = 256
	maxQueryName  = 64
	maxQueryNames = 100 // entries; of more, the first 99 and "…"
)

// maxLine is more than any record needs: with every byte escaped as \u00xx, the
// bounds above make less than 80 KiB.
const maxLine = 128 << 10

// maxRecords is more than any log ever holds; with it, no sum of two numbers of
// records overflows.
const maxRecords = 1 << 62

// maxDurationMS is about 31 years; it keeps the number short and exact.
const maxDurationMS = 1e12

// cutMark ends a text that was cut.
const cutMark = "…"

// genesis is the Prev of the first record.
var genesis = strings.Repeat("0", 64)

// Record is one call record. The order of the fields is the order of the keys
// in the log. Unknown text is empty, unknown numbers are 0. The log sets Seq and
// Prev, and Time and ID where they are zero. The comments of the fields are their
// meanings in docs/reference.
//
// Text that comes from clients may hold anything: it is made valid UTF-8 (what
// is not becomes U+FFFD) and cut at 256 bytes, Path at 2 KiB, QueryNames at 100
// entries of 64 bytes.
type Record struct {
	Seq          uint64    `json:"seq"`           // place in the log, from 1, without gaps
	Time         time.Time `json:"time"`          // when the call arrived; UTC, microseconds
	ID           string    `json:"id"`            // id of the record, a UUID of version 7
	Client       string    `json:"client"`        // name of the client; with a colon in it, who administered
	ClientAddr   string    `json:"client_addr"`   // its address and port; less where addresses are not kept
	Connection   string    `json:"connection"`    // id of the connection
	Edition      string    `json:"edition"`       // "cloud" or "datacenter"
	Region       string    `json:"region"`        // region of the connection
	Method       string    `json:"method"`        // HTTP method as sent; GET is a read, the rest are writes
	Operation    string    `json:"operation"`     // id of the operation that matched; admin.… for an act of administration
	Path         string    `json:"path"`          // canonical path below the connection, without the query; of a refused call as it was sent
	QueryNames   []string  `json:"query_names"`   // names of the query parameters, never values
	Decision     string    `json:"decision"`      // "allow" or "deny", nothing else
	Code         string    `json:"code"`          // stable reason code; empty if all went well
	PolicySHA256 string    `json:"policy_sha256"` // the policy that decided
	Credential   string    `json:"credential"`    // kind of the credential, never its value
	EgressIP     string    `json:"egress_ip"`     // the address that Jira sees; "unpinned" if none is configured
	UpstreamAddr string    `json:"upstream_addr"` // the address of Jira that was dialled
	Status       int       `json:"status"`        // HTTP status that the client got
	BytesIn      int64     `json:"bytes_in"`      // body of the request, in bytes
	BytesOut     int64     `json:"bytes_out"`     // body of the answer, in bytes
	DurationMS   float64   `json:"duration_ms"`   // milliseconds, to three decimals
	TraceID      string    `json:"trace_id"`      // OpenTelemetry trace id
	Prev         string    `json:"prev"`          // hex SHA-256 of the line before; 64 zeros in the first
}

// NewID returns a new id for a record: a version 7 UUID (RFC 9562 section 5.7),
// unique, and sorting by the time it was made.
func NewID() string {
	id := uuid.Must(uuid.NewV7())
	var text [36]byte // as id.String makes it, in a third of the time
	for i, at := range [...]int{0, 2, 4, 6, 9, 11, 14, 16, 19, 21, 24, 26, 28, 30, 32, 34} {
		text[at], text[at+1] = hexDigits[id[i]>>4], hexDigits[id[i]&0xf]
	}
	text[8], text[13], text[18], text[23] = '-', '-', '-', '-'
	return string(text[:])
}

// IsAct reports whether r is of an act of administration, the gateway's own included,
// and not of a call.
func (r *Record) IsAct() bool { return strings.HasPrefix(r.Operation, "admin.") }

// texts gives the text fields of r that share the common bound.
func (r *Record) texts() [15]*string {
	return [15]*string{
		&r.ID, &r.Client, &r.ClientAddr, &r.Connection, &r.Edition, &r.Region, &r.Method, &r.Operation,
		&r.Decision, &r.Code, &r.PolicySHA256, &r.Credential, &r.EgressIP, &r.UpstreamAddr, &r.TraceID,
	}
}

// canonical returns r as it can be written: within all bounds, in valid UTF-8.
// A canonical record is read back from its line exactly as it was.
func (r Record) canonical() Record {
	r.makeCanonical()
	return r
}

func (r *Record) makeCanonical() {
	r.Time = canonicalTime(r.Time)
	for _, s := range r.texts() {
		if !isCanonical(*s, maxText) { // nearly all are, and needn't be written again
			*s = canonicalText(*s, maxText)
		}
	}
	r.Path = canonicalText(r.Path, maxPath)
	r.QueryNames = canonicalNames(r.QueryNames)
	r.makeNumbersCanonical()
}

func (r *Record) makeNumbersCanonical() {
	r.Status = min(max(r.Status, 0), 999)
	r.BytesIn = max(r.BytesIn, 0)
	r.BytesOut = max(r.BytesOut, 0)
	r.DurationMS = canonicalDuration(r.DurationMS)
}

// check returns an error for a record that must not be written as it is: a
// mistake of the caller, which no retry mends.
func (r *Record) check() error {
	if !r.isDecided() {
		return fmt.Errorf("call record %s: decision is %q: it must be %q or %q", shown(r.ID), shown(r.Decision), DecisionAllow, DecisionDeny)
	}
	return nil
}

func (r *Record) isDecided() bool { return r.Decision == DecisionAllow || r.Decision == DecisionDeny }

// shown is a text as a record would have it.
func shown(s string) string { return canonicalText(s, maxText) }

func canonicalTime(t time.Time) time.Time {
	t = t.UTC().Truncate(time.Microsecond)
	switch y := t.Year(); {
	case y < 1:
		return time.Time{}
	case y > 9999:
		return time.Date(9999, 12, 31, 23, 59, 59, 999_999_000, time.UTC)
	}
	return t
}

func canonicalDuration(ms float64) float64 {
	if !(ms > 0) { // negative, zero of either sign, or not a number
		return 0
	}
	return math.Round(min(ms, maxDurationMS)*1000) / 1000
}

func isCanonical(s string, limit int) bool { return len(s) <= limit && utf8.ValidString(s) }

func canonicalText(s string, limit int) string {
	if isCanonical(s, limit) {
		return s
	}
	s = strings.ToValidUTF8(s, string(utf8.RuneError))
	if len(s) <= limit {
		return s
	}
	end := limit - len(cutMark)
	for !utf8.RuneStart(s[end]) {
		end--
	}
	return s[:end] + cutMark
}

// canonicalNames returns a copy; no names are nil, so that records compare.
func canonicalNames(names []string) []string {
	if len(names) == 0 {
		return nil
	}
	out := make([]string, 0, min(len(names), maxQueryNames))
	for i, n := range names {
		if i == maxQueryNames-1 && len(names) > maxQueryNames {
			return append(out, cutMark)
		}
		out = append(out, canonicalText(n, maxQueryName))
	}
	return out
}
