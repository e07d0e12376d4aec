package gateway

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"time"

	"jiragate/gateway/diagnosis"
	"jiragate/policy"
	"jiragate/tokenstore"
)

// ProbeResult is what came of a connection test.
type ProbeResult struct {
	Status   int           // of the answer
	Code     string        // reason code, when the gateway refused or failed, or Jira said no
	Detail   string        // what to do, when they did
	Account  string        // display name of the account that the credential belongs to
	EgressIP string        // public address that Jira saw
	Record   string        // id of the call record
	Duration time.Duration // whole call
}

// Probe tests a connection by "Get authorized user info, test connectivity"
// (myself.get), along the way of every other call: decided, recorded, sent
// from the egress address. In its record the client is "jiragate". An unknown
// connection is an error that matches tokenstore.ErrNotFound.
func (g *Gateway) Probe(ctx context.Context, connection string) (*ProbeResult, error) {
	c, ok := g.directory().Connection(connection)
	if !ok {
		return nil, tokenstore.ErrNotFound
	}
	version := "2"
	if c.Edition == policy.Cloud {
		version = "3"
	}
	path := basePrefix + connection + "/rest/api/" + version + "/myself"
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, path, http.NoBody)
	if err != nil {
		return nil, err
	}
	r.RequestURI = path
	call := &Call{in: r, door: doorBase, operator: true, origin: &origin{private: true}, started: time.Now()}
	w := &memoryResponse{header: make(http.Header)}
	if err := serveAborted(func() { g.serve(w, call) }); err != nil {
		return nil, err
	}
	result := &ProbeResult{
		Status: w.status, EgressIP: call.record.EgressIP, Record: call.record.ID,
		Duration: time.Since(call.started),
	}
	if call.refused != nil {
		result.Code, result.Detail = string(call.refused.code), call.refused.detail
		return result, nil
	}
	if call.noted != "" {
		result.Code, result.Detail = string(call.noted), diagnosis.Reason(call.noted).Advice()
		if now, ok := g.directory().Connection(connection); ok && result.Detail == "" {
			result.Detail = now.StateReason
		}
		return result, nil
	}
	var account struct{ DisplayName string }
	if json.Unmarshal(w.body.Bytes(), &account) == nil {
		result.Account = account.DisplayName
	}
	return result, nil
}

// serveAborted runs serve and returns the http.ErrAbortHandler it panics with
// when an answer cannot be given whole.
func serveAborted(serve func()) (err error) {
	defer func() {
		if p := recover(); p != nil {
			if p != http.ErrAbortHandler {
				panic(p)
			}
			err = http.ErrAbortHandler
		}
	}()
	serve()
	return nil
}

// memoryResponse keeps the beginning of an answer in memory.
type memoryResponse struct {
	status int
	header http.Header
	body   bytes.Buffer
}

func (w *memoryResponse) Header() http.Header    { return w.header }
func (w *memoryResponse) WriteHeader(status int) { w.status = status }
func (w *memoryResponse) Flush()                 {}

func (w *memoryResponse) Write(p []byte) (int, error) {
	w.body.Write(p[:min(len(p), max(0, wholeResponseBytes-w.body.Len()))])
	return len(p), nil
}
