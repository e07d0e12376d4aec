package soak

import (
	"bufio"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"sync"
	"time"

	"jiragate/gateway/audit"
)

// outcome is what a client saw of a call.
type outcome struct {
	status int    // 0 without an answer
	code   string // of a refusal
	err    error  // without an answer, or in the middle of one
}

func (o outcome) String() string {
	if o.err != nil {
		return fmt.Sprintf("status %d, %v", o.status, o.err)
	}
	return fmt.Sprintf("status %d %s", o.status, o.code)
}

// made is a call that was made. There may be millions, so it is small.
type made struct {
	status   int16
	anything bool // its record may have any status: the client did not stay
	recorded bool
}

// maxViolations bounds the violations that are told one by one.
const maxViolations = 50

// ledger is the account of all calls, and of what is wrong.
type ledger struct {
	mu         sync.Mutex
	calls      map[[16]byte]*made
	unnamed    int            // calls that cannot carry a trace id and must have a record
	kinds      map[string]int // calls by kind and outcome
	explained  map[string]int // failures by the fault that explains them
	violations []string
	more       int // violations that are not told
}

func newLedger() *ledger {
	return &ledger{calls: map[[16]byte]*made{}, kinds: map[string]int{}, explained: map[string]int{}}
}

// begin enters a call, and returns the traceparent that it carries. One in twenty is
// sampled.
func (l *ledger) begin(anything bool) (id [16]byte, traceparent string) {
	_, _ = rand.Read(id[:]) // never fails
	l.mu.Lock()
	defer l.mu.Unlock()
	l.calls[id] = &made{anything: anything}
	flags := "00"
	if id[15] < 13 {
		flags = "01"
	}
	return id, "00-" + hex.EncodeToString(id[:]) + "-00f067aa0ba902b7-" + flags
}

// end says what the client saw of it.
func (l *ledger) end(id [16]byte, kind string, o outcome) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.calls[id].status = int16(o.status)
	if o.status == 0 {
		l.calls[id].anything = true
	}
	l.kinds[fmt.Sprintf("%s: %d %s", kind, o.status, o.code)]++
}

// unknown enters a call that cannot carry a trace id.
func (l *ledger) unknown(kind string, status int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.unnamed++
	l.kinds[fmt.Sprintf("%s: %d", kind, status)]++
}

func (l *ledger) explain(fault string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.explained[fault]++
}

func (l *ledger) violation(format string, args ...any) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.violations) == maxViolations {
		l.more++
		return
	}
	l.violations = append(l.violations, time.Now().UTC().Format("15:04:05 ")+fmt.Sprintf(format, args...))
}

// count is how many calls were made.
func (l *ledger) count() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.calls) + l.unnamed
}

// wrong is how many violations there are so far.
func (l *ledger) wrong() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.violations) + l.more
}

// reconcile holds the log's call records, one JSON object a line, against the calls.
func (l *ledger) reconcile(records io.Reader) (read int, err error) {
	strangers := 0
	for lines := bufio.NewReader(records); ; read++ {
		line, err := lines.ReadBytes('\n')
		if err == io.EOF {
			break
		} else if err != nil {
			return read, err
		}
		var r audit.Record
		if err := json.Unmarshal(line, &r); err != nil {
			return read, fmt.Errorf("record %d: %w", read+1, err)
		}
		var id [16]byte
		n, _ := hex.Decode(id[:], []byte(r.TraceID))
		call := l.calls[id]
		switch {
		case n != len(id) || call == nil:
			if strangers++; strangers > l.unnamed {
				l.violation("record %d (%s %s %s, client %q, code %q) is of no call that was made", r.Seq, r.Method, r.Connection, r.Path, r.Client, r.Code)
			}
		case call.recorded:
			l.violation("record %d (%s %s %s, client %q, code %q) is the second of its call", r.Seq, r.Method, r.Connection, r.Path, r.Client, r.Code)
		case !call.anything && int(call.status) != r.Status:
			l.violation("record %d (%s %s %s, client %q, code %q) has status %d, the client got %d", r.Seq, r.Method, r.Connection, r.Path, r.Client, r.Code, r.Status, call.status)
			fallthrough
		default:
			call.recorded = true
		}
	}
	missing := 0
	for id, call := range l.calls {
		if !call.recorded {
			if missing++; missing <= 5 {
				l.violation("the call with trace id %x (the client got %d) has no record", id, call.status)
			}
		}
	}
	if missing > 0 || strangers != l.unnamed {
		l.violation("%d of %d calls have no record; of calls without a trace id there are %d records, not %d", missing, len(l.calls), strangers, l.unnamed)
	}
	return read, nil
}
