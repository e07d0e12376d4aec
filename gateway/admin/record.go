package admin

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"github.com/google/uuid"

	"jiragate/gateway/audit"
	"jiragate/gateway/audit/checkpoint"
)

// How far the time of a record may be from that in its id: a call arrives before it
// gets one, and its record may be written when it is over.
const (
	beforeID = 10 * time.Minute
	afterID  = time.Hour
)

// proofTimeout is how long a proof may take: where the trees beside the log don't
// help, all of it is read.
const proofTimeout = 5 * time.Minute

// AuditRecord is one record.
type AuditRecord struct {
	Record  json.RawMessage `json:"record"`  // see [audit.Record]
	Line    string          `json:"line"`    // exactly as in the log, which hashes are made of
	Segment string          `json:"segment"` // file of the log
	Covered bool            `json:"covered"` // by a signed checkpoint, so that there is a proof
}

// showRecord answers with the record that is named by its seq or its id.
func (a *API) showRecord(w http.ResponseWriter, r *http.Request) error {
	if err := paramsOf(r).err; err != nil {
		return err
	}
	e, err := a.find(r)
	if err != nil {
		return err
	}
	covered := false
	if a.o.Log.Newest != nil {
		newest, err := a.o.Log.Newest()
		if err != nil && !errors.Is(err, audit.ErrNoCheckpoint) && !errors.Is(err, checkpoint.ErrUnsigned) {
			return logProblem(err)
		}
		covered = err == nil && e.Seq <= newest.Size
	}
	return writeJSON(w, http.StatusOK, AuditRecord{Record: e.Raw, Line: string(e.Raw), Segment: e.Segment, Covered: covered})
}

// proveRecord answers with the proof that a record is in the log (C2SP tlog-proof).
func (a *API) proveRecord(w http.ResponseWriter, r *http.Request) error {
	if err := paramsOf(r).err; err != nil {
		return err
	}
	a.allow(w, proofTimeout)
	e, err := a.find(r)
	if err != nil {
		return err
	}
	_, done, err := a.ask(r)
	if err != nil {
		return err
	}
	defer done()
	proof, err := a.o.Log.Prove(e.Seq)
	switch {
	case errors.Is(err, audit.ErrNotCovered):
		w.Header().Set("Retry-After", "1")
		p := refuse(http.StatusConflict, CodeConflict, "%v", err)
		p.Hint = "a gateway that runs makes a checkpoint within a second: try again"
		return p
	case errors.Is(err, audit.ErrNoRecord):
		return noRecord(fmt.Sprintf("with the seq %d", e.Seq))
	case err != nil:
		return logProblem(err)
	}
	writeDocument(w, "text/plain; charset=utf-8", fmt.Sprintf("record-%d.tlog-proof", e.Seq), proof.Marshal())
	return nil
}

// writeDocument answers with what is to be kept as a file. name is of a form that
// needs no quoting.
func writeDocument(w http.ResponseWriter, mediaType, name string, content []byte) {
	h := w.Header()
	h.Set("Content-Type", mediaType)
	h.Set("Content-Disposition", `attachment; filename="`+name+`"`)
	h.Set("Content-Length", strconv.Itoa(len(content)))
	h.Set("Cache-Control", "no-store")
	w.WriteHeader(http.StatusOK)
	_, _ = w.Write(content) // who has gone can't be told anything more
}

// find finds the record that the path of r names.
func (a *API) find(r *http.Request) (audit.Entry, error) {
	ref := r.PathValue("ref")
	f, is, err := refersTo(ref)
	if err != nil {
		return audit.Entry{}, err
	}
	ctx, done, err := a.ask(r)
	if err != nil {
		return audit.Entry{}, err
	}
	defer done()
	return a.first(ctx, f, is)
}

func (a *API) first(ctx context.Context, f audit.Filter, is func(*audit.Entry) bool) (audit.Entry, error) {
	for e, err := range a.o.Log.Query(ctx, f) {
		if _, ok := errors.AsType[*audit.DefectError](err); ok {
			continue // it is none
		}
		if err != nil {
			return audit.Entry{}, logProblem(err)
		}
		if is(&e) {
			return e, nil
		}
	}
	if f.Text != "" {
		return audit.Entry{}, noRecord("with this id, near the time that is in it")
	}
	return audit.Entry{}, noRecord(fmt.Sprintf("with the seq %d", f.Before-1))
}

func noRecord(which string) error {
	p := refuse(http.StatusNotFound, CodeNotFound, "the audit log holds no record %s", which)
	p.Hint = "a call gets its record when it is over, and records are removed when their retention ends"
	return p
}

// refersTo says how to look for a record, and which of what is found it is.
func refersTo(ref string) (audit.Filter, func(*audit.Entry) bool, error) {
	if seq, err := strconv.ParseUint(ref, 10, 63); err == nil && seq > 0 && seq < maxSeq {
		// More than one, since broken lines may follow it.
		return audit.Filter{Before: seq + 1, Limit: 16}, func(e *audit.Entry) bool { return e.Seq == seq }, nil
	}
	id, err := uuid.Parse(ref)
	if err != nil || len(ref) != len(id.String()) || id.Version() != 7 {
		return audit.Filter{}, nil, invalid("a record is named by its seq, a number from 1, or by its id, as 0199d3a0-7c11-7abc-8def-0123456789ab")
	}
	ms := binary.BigEndian.Uint64(id[:8]) >> 16 // RFC 9562 section 5.7
	at := time.UnixMilli(int64(ms)).UTC()
	f := audit.Filter{Since: at.Add(-beforeID), Until: at.Add(afterID), Text: id.String()}
	return f, func(e *audit.Entry) bool { return e.ID == f.Text }, nil
}
