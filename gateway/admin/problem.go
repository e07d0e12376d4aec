package admin

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"jiragate/tokenstore"
)

// problemType is the media type of a refusal (RFC 9457 section 3).
const problemType = "application/problem+json"

// Problem is a refusal as it crosses the wire: the server writes it, the
// client returns it as an error. Code is stable; Detail is for a person, and
// Hint, when there is one, says what to do next.
type Problem struct {
	Type   string `json:"type"`
	Title  string `json:"title"`
	Status int    `json:"status"`
	Detail string `json:"detail"`
	Code   string `json:"code"`
	Hint   string `json:"hint,omitempty"`
}

// Codes of the admin API.
const (
	CodeInvalid      = "invalid"
	CodeNotFound     = "not_found"
	CodeExists       = "exists"
	CodeConflict     = "conflict"
	CodeNoStore      = "no_store"
	CodeUnavailable  = "unavailable"
	CodeUnauthorised = "unauthorised"
	CodeTooManyTries = "too_many_tries"
	CodeForbidden    = "forbidden"
	CodeTooLarge     = "too_large"
	CodeMediaType    = "unsupported_media_type"
	CodeInternal     = "internal"

	// CodeNotConfigured: a setting of the gateway is missing; the detail names it.
	CodeNotConfigured = "not_configured"
	// CodeRecordUnavailable: there can be no audit record, so nothing was done.
	CodeRecordUnavailable = "record_unavailable"
)

// Error is the detail alone; a caller that prints the hint does so itself.
func (p *Problem) Error() string {
	if p.Detail != "" {
		return p.Detail
	}
	return fmt.Sprintf("the admin API answered %d %s", p.Status, http.StatusText(p.Status))
}

func refuse(status int, code, format string, args ...any) *Problem {
	return &Problem{Status: status, Code: code, Detail: fmt.Sprintf(format, args...)}
}

func invalid(format string, args ...any) *Problem {
	return refuse(http.StatusBadRequest, CodeInvalid, format, args...)
}

// problemOf is the one place where an error becomes a status. Admin callers
// are authenticated, so they see the cause: errors of the store and of the
// policy carry no secrets by their own contract.
func problemOf(err error) *Problem {
	var p *Problem
	switch {
	case errors.As(err, &p):
		return p
	case errors.Is(err, tokenstore.ErrInvalid):
		return invalid("%v", err)
	case errors.Is(err, tokenstore.ErrNotFound):
		return refuse(http.StatusNotFound, CodeNotFound, "%v", err)
	case errors.Is(err, tokenstore.ErrExists):
		return refuse(http.StatusConflict, CodeExists, "%v", err)
	case errors.Is(err, tokenstore.ErrConflict):
		return refuse(http.StatusConflict, CodeConflict, "%v", err)
	case errors.Is(err, tokenstore.ErrUnavailable):
		return refuse(http.StatusServiceUnavailable, CodeUnavailable, "%v", err)
	}
	return refuse(http.StatusInternalServerError, CodeInternal, "%v", err)
}

func writeProblem(w http.ResponseWriter, err error) {
	p := *problemOf(err)
	p.Type = "about:blank" // RFC 9457 section 4.2.1: the title is that of the status
	p.Title = http.StatusText(p.Status)
	p.Detail = strings.ToValidUTF8(p.Detail, "\ufffd")
	w.Header().Set("Content-Type", problemType)
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(p.Status)
	// The status is out; a client that has gone cannot be told anything more.
	_ = json.NewEncoder(w).Encode(p)
}

func writeJSON(w http.ResponseWriter, status int, v any) error {
	body, err := json.Marshal(v)
	if err != nil {
		return fmt.Errorf("writing the answer: %w", err)
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_, _ = w.Write(append(body, '\n')) // as above
	return nil
}
