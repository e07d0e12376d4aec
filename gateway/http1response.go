package gateway

import (
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"golang.org/x/net/http/httpguts"
)

// response is the http.ResponseWriter of an http1Conn, for one answer after the other. It
// gathers what is written until Flush, so that an answer that is there at once leaves in one
// TLS record.
type response struct {
	conn   *http1Conn
	header http.Header
	names  []string // of header, in order

	minor    int  // of the request's version
	noBody   bool // the answer has none whatever is written: to HEAD, or by its status
	status   int  // 0 until the head is written
	chunked  bool
	length   int64 // that the header says; -1 where it says nothing
	written  int64
	closes   bool // the connection closes with this answer
	failed   error
	out      *[]byte // of outs; nil while there is nothing
	deadline time.Time
}

// outs are buffers for answers. gathered is the size from which one is written out.
var outs = sync.Pool{New: func() any { b := make([]byte, 0, gathered); return &b }}

const gathered = 8 << 10

// begin makes the response that of another request.
func (w *response) begin(r *http.Request, minor int) {
	clear(w.header)
	*w = response{conn: w.conn, header: w.header, names: w.names, deadline: w.deadline, minor: minor, length: -1, noBody: r.Method == http.MethodHead}
	connection := r.Header["Connection"]
	w.closes = httpguts.HeaderValuesContainsToken(connection, "close") ||
		minor == 0 && !httpguts.HeaderValuesContainsToken(connection, "keep-alive")
}

func (w *response) Header() http.Header { return w.header }

// WriteHeader implements http.ResponseWriter. It sends no informational answers: those of
// Jira stay here, and the gateway has one of its own only, see goOn.
func (w *response) WriteHeader(status int) {
	if w.status != 0 || status < 200 {
		return
	}
	w.status = status
	// What is left of the request's body is not waited for; and a client that was not
	// told to send it may do so or not: who knows what the next bytes are?
	w.closes = w.closes || !w.conn.request.body.over()
	w.noBody = w.noBody || status == http.StatusNoContent || status == http.StatusNotModified
	if said := w.header["Content-Length"]; len(said) == 1 {
		if n, err := strconv.ParseInt(said[0], 10, 64); err == nil && n >= 0 {
			w.length = n
		}
	}
	w.chunked = w.length < 0 && !w.noBody && w.minor > 0
	if w.length < 0 && !w.noBody && w.minor == 0 {
		w.closes = true // that is how its end is told
	}
	w.closes = w.closes || httpguts.HeaderValuesContainsToken(w.header["Connection"], "close")
	w.appendHead()
}

func (w *response) appendHead() {
	b := append(w.buffer(), "HTTP/1.1 "...)
	b = strconv.AppendInt(b, int64(w.status), 10)
	b = append(append(append(b, ' '), http.StatusText(w.status)...), "\r\n"...)
	w.names = w.names[:0]
	for name, values := range w.header {
		if len(values) > 0 && httpguts.ValidHeaderFieldName(name) {
			w.names = append(w.names, name)
		}
	}
	slices.Sort(w.names)
	for _, name := range w.names {
		switch {
		case name == "Connection", name == "Transfer-Encoding", name == "Content-Length" && w.length < 0:
			continue // said below
		}
		for _, value := range w.header[name] {
			b = appendField(b, name, value)
		}
	}
	if len(w.header["Date"]) == 0 {
		b = append(time.Now().UTC().AppendFormat(append(b, "Date: "...), http.TimeFormat), "\r\n"...)
	}
	if w.chunked {
		b = append(b, "Transfer-Encoding: chunked\r\n"...)
	}
	switch {
	case w.closes:
		b = append(b, "Connection: close\r\n"...)
	case w.minor == 0:
		b = append(b, "Connection: keep-alive\r\n"...)
	}
	w.keep(append(b, "\r\n"...))
}

// appendField writes a field line, in which a value can't end (RFC 9112 section 11.1).
func appendField(b []byte, name, value string) []byte {
	b = append(append(b, name...), ": "...)
	begin := len(b)
	b = append(b, strings.Trim(value, " \t\r\n")...)
	for i, c := range b[begin:] {
		if c == '\r' || c == '\n' {
			b[begin+i] = ' '
		}
	}
	return append(b, "\r\n"...)
}

// Write implements http.ResponseWriter.
func (w *response) Write(p []byte) (int, error) {
	if w.status == 0 {
		w.WriteHeader(http.StatusOK)
	}
	switch {
	case w.failed != nil:
		return 0, w.failed
	case w.noBody:
		if w.status == http.StatusNoContent || w.status == http.StatusNotModified {
			return 0, http.ErrBodyNotAllowed
		}
		return len(p), nil
	case len(p) == 0:
		return 0, nil
	case w.length >= 0 && w.written+int64(len(p)) > w.length:
		return 0, http.ErrContentLength
	}
	w.written += int64(len(p))
	b := w.buffer()
	if w.chunked {
		b = append(strconv.AppendInt(b, int64(len(p)), 16), "\r\n"...)
	}
	rest := p
	if len(b)+len(p) > oneRecord {
		b, rest = w.long(b, p)
	}
	b = append(b, rest...)
	if w.chunked {
		b = append(b, "\r\n"...)
	}
	w.keep(b)
	if len(b) >= gathered {
		if err := w.FlushError(); err != nil {
			return 0, err
		}
	}
	return len(p), w.failed
}

// long writes out what fills records of TLS, of what was gathered and a long p. Most of
// p is not copied for it. It returns what is left of both.
func (w *response) long(b, p []byte) (gathered, rest []byte) {
	n := 0
	if len(b) > 0 {
		if cap(b) < oneRecord {
			b = append(make([]byte, 0, oneRecord), b...)
		}
		n = max(0, oneRecord-len(b)) // a long head leaves no room
		w.write(append(b, p[:n]...))
	}
	whole := (len(p) - n) / oneRecord * oneRecord
	if whole > 0 {
		w.write(p[n : n+whole])
	}
	return b[:0], p[n+whole:]
}

func (w *response) write(p []byte) {
	if w.failed == nil {
		_, w.failed = w.conn.framed.Conn.Write(p)
	}
}

// Flush implements http.Flusher.
func (w *response) Flush() { _ = w.FlushError() }

// FlushError writes out what was gathered.
func (w *response) FlushError() error {
	if w.status == 0 {
		w.WriteHeader(http.StatusOK)
	}
	return w.send()
}

func (w *response) send() error {
	if w.out == nil || w.failed != nil {
		return w.failed
	}
	if len(*w.out) > 0 {
		w.write(*w.out)
	}
	w.release()
	return w.failed
}

// SetReadDeadline and SetWriteDeadline are for http.ResponseController.
func (w *response) SetReadDeadline(t time.Time) error {
	w.conn.deadline = time.Time{} // to be set anew when the connection rests
	return w.conn.framed.SetReadDeadline(t)
}

// SetWriteDeadline leaves one as it is that is only a moment earlier.
func (w *response) SetWriteDeadline(t time.Time) error {
	const moment = time.Second
	if early := t.Sub(w.deadline); early >= 0 && early < moment {
		return nil
	}
	w.deadline = t
	return w.conn.framed.SetWriteDeadline(t)
}

// goOn tells a client that waits for it to send the body (RFC 9110 section 10.1.1).
func (w *response) goOn() error {
	if w.status != 0 {
		return errBodyNotAsked
	}
	_ = w.SetWriteDeadline(time.Now().Add(writeTimeout))
	w.keep(append(w.buffer(), "HTTP/1.1 100 Continue\r\n\r\n"...))
	return w.send()
}

// end finishes the answer, and reports whether its client has it whole.
func (w *response) end() (whole bool) {
	if w.status == 0 {
		w.header["Content-Length"] = []string{"0"}
		w.WriteHeader(http.StatusOK)
	}
	if w.chunked {
		w.keep(append(w.buffer(), "0\r\n\r\n"...))
	}
	if w.out != nil {
		_ = w.SetWriteDeadline(time.Now().Add(writeTimeout))
	}
	return w.send() == nil && (w.noBody || w.length < 0 || w.written == w.length)
}

// drop forgets what was not sent: the answer ends here, and its client sees it.
func (w *response) drop() {
	w.release()
	w.failed = http.ErrAbortHandler
}

func (w *response) buffer() []byte {
	if w.out == nil {
		w.out = outs.Get().(*[]byte)
	}
	return *w.out
}

func (w *response) keep(b []byte) { *w.out = b }

// release gives the buffer back, unless a long piece has made it large.
func (w *response) release() {
	if w.out == nil {
		return
	}
	if cap(*w.out) <= oneRecord {
		*w.out = (*w.out)[:0]
		outs.Put(w.out)
	}
	w.out = nil
}
