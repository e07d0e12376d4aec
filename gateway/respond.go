package gateway

import (
	"errors"
	"io"
	"net/http"
	"strconv"
	"sync"
	"time"
)

// respond passes Jira's answer to the client, piece by piece as it comes,
// while looking for the injected credential in it. Trailers and 1xx answers
// stay here.
func (g *Gateway) respond(w http.ResponseWriter, c *Call, a *answer) {
	defer a.body.Close()
	status := a.response.StatusCode
	c.record.Status = status
	h := w.Header()
	for name, values := range a.header {
		h[name] = values
	}
	if len(h["Content-Type"]) == 0 {
		h["Content-Type"] = nil // net/http would guess one
	}
	c.say(h, 1, "Via", via(a.response.ProtoMajor))
	proxyStatus := proxyName + "; received-status=" + strconv.Itoa(status)
	if c.noted != "" {
		c.record.Code = string(c.noted)
		proxyStatus += `; details="` + string(c.noted) + `"`
	}
	c.say(h, 2, "Proxy-Status", proxyStatus)
	// The answer is data for a program, whatever it says of itself.
	h["X-Content-Type-Options"] = noSniff
	c.nameTrace(h)

	if a.whole {
		if status != http.StatusNoContent && status != http.StatusNotModified {
			c.say(h, 0, "Content-Length", strconv.Itoa(len(a.first)))
		}
		c.record.BytesOut = int64(len(a.first))
		// The record first, so that whoever has the answer finds the record.
		g.complete(c)
		writeWhole(w, status, a.first)
		return
	}
	// No Content-Length: its client sees the end of a long answer only when
	// the record is complete and this function has returned.
	w.WriteHeader(status)
	code := g.stream(w, c, a)
	if code != "" {
		c.record.Code, c.cut = string(code), code
	}
	g.complete(c)
	if code != "" {
		// The client must see that the answer is not whole.
		panic(http.ErrAbortHandler)
	}
}

var noSniff = []string{"nosniff"}

// say sets a field of the answer, whose value is the i-th of those that the call says.
func (c *Call) say(h http.Header, i int, name, value string) {
	c.said[i] = value
	h[name] = c.said[i : i+1 : i+1]
}

// writeWhole writes all there is of an answer, up to the client: what a server writes by
// itself, once the call has left its place, nothing would bound. The client may be gone;
// the record stands.
func writeWhole(w http.ResponseWriter, status int, p []byte) {
	control := http.NewResponseController(w)
	_ = control.SetWriteDeadline(time.Now().Add(writeTimeout))
	w.WriteHeader(status)
	_, _ = w.Write(p)
	_ = control.Flush()
}

// streamBuffers are for answers, one after the other: with one of its own for each, the
// garbage collector would be busy with nothing else.
var streamBuffers = sync.Pool{New: func() any { return new([streamBuffer]byte) }}

// stream copies the answer until its end, and returns a code if it was cut.
func (g *Gateway) stream(w http.ResponseWriter, c *Call, a *answer) Code {
	control := http.NewResponseController(w)
	var reader reader
	pass := func(p []byte) bool {
		if len(p) == 0 {
			return true
		}
		now := time.Now()
		defer c.away(now)
		_ = control.SetWriteDeadline(now.Add(reader.patience()))
		n, err := w.Write(p)
		c.record.BytesOut += int64(n)
		if err == nil {
			err = control.Flush()
		}
		reader.took(n, time.Since(now))
		return err == nil
	}
	if !pass(a.first) {
		return CodeClientDisconnected
	}
	buffer := streamBuffers.Get().(*[streamBuffer]byte)
	defer streamBuffers.Put(buffer)
	for {
		piece, ok, err := a.scanner.read(&a.body, buffer[:])
		if !ok {
			return CodeResponseWithheld
		}
		if !pass(piece) {
			return CodeClientDisconnected
		}
		switch {
		case errors.Is(err, io.EOF):
			if !pass(a.scanner.rest()) {
				return CodeClientDisconnected
			}
			return ""
		case err != nil && c.in.Context().Err() != nil:
			return CodeClientDisconnected
		case err != nil && !time.Now().Before(a.body.end):
			return CodeUpstreamTimeout
		case err != nil:
			return CodeUpstreamResponseCut
		}
	}
}
