package gateway

import (
	"errors"
	"io"
	"net/http"
	"os"
	"time"

	"jiragate/policy"
)

// readBody reads the request body whole, within its limits of size and time.
// Trailers that come with it are dropped.
func readBody(w http.ResponseWriter, c *Call) ([]byte, *refusal) {
	if c.in.Body == nil || c.in.Body == http.NoBody {
		return nil, nil
	}
	defer c.away(time.Now())
	control := http.NewResponseController(w)
	_ = control.SetReadDeadline(time.Now().Add(readBodyTimeout))
	defer control.SetReadDeadline(time.Time{})
	tooLarge := refuse(CodeBodyTooLarge, "The body of a request may have 1 MiB at most.")
	if c.in.ContentLength > policy.MaxBody {
		return nil, tooLarge
	}
	body, err := io.ReadAll(io.LimitReader(c.in.Body, policy.MaxBody+1))
	c.record.BytesIn = int64(len(body))
	switch {
	case errors.Is(err, os.ErrDeadlineExceeded):
		return nil, &refusal{code: CodeRequestTimeout, detail: "The request body did not arrive in time.", cause: err}
	case c.in.Context().Err() != nil:
		return nil, &refusal{code: CodeClientDisconnected, detail: "The client went away.", cause: err}
	case err != nil:
		return nil, &refusal{code: CodeRequestMalformed, detail: "The request body ended early or was not framed as its header says.", cause: err}
	case len(body) > policy.MaxBody:
		return nil, tooLarge
	}
	return body, nil
}

// dropBody reads what is left of a refused request's body, within limits of its own, before
// it is answered. A client that still waits for "100
// Continue" is not asked for its body any more.
func dropBody(w http.ResponseWriter, c *Call) {
	if c.in.Body == nil || c.in.Body == http.NoBody {
		return
	}
	_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(refusedBodyTimeout))
	if len(c.in.Header["Expect"]) == 0 || c.record.BytesIn > 0 {
		_, _ = io.CopyN(io.Discard, c.in.Body, maxRefusedBody)
	}
}
