package upstream

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/textproto"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/net/http/httpguts"
)

// oneRecord is what fits into a record of TLS. So much goes out by one system call, and
// into the send buffer of any socket, so that it can be written without reading: a server
// that answers before it has taken the whole request can't stall it.
const oneRecord = 16 << 10

// message is a request as it is written.
type message struct {
	request *http.Request
	buffers *buffers
	buffer  *[]byte
	head    int  // bytes of buffer; 0: not built
	more    bool // the body is not in buffer, but still to be read
}

// build puts the head into the buffer, and the body behind it where both fit into
// oneRecord. It does so once. The order of the fields is that of net/http.
func (m *message) build() error {
	if m.head > 0 {
		return nil
	}
	if m.buffer, _ = m.buffers.requests.Get().(*[]byte); m.buffer == nil {
		m.buffer = new([]byte)
	}
	b, err := appendHead((*m.buffer)[:0], m.request)
	*m.buffer = b
	if err != nil {
		return fmt.Errorf("write the request's head: %w", err)
	}
	m.head = len(b)
	length := int(m.request.ContentLength)
	if m.more = m.head+length > oneRecord; m.more || length == 0 {
		return nil
	}
	b = slices.Grow(b, length+1)
	n, _ := io.ReadFull(m.request.Body, b[m.head:m.head+length+1])
	if n != length {
		return errLength
	}
	*m.buffer = b[:m.head+length]
	return nil
}

// again is the request for net/http, with a body that was not read yet.
func (m *message) again() *http.Request {
	if m.head == 0 || m.more || m.request.ContentLength == 0 {
		return m.request
	}
	r := *m.request
	r.Body = io.NopCloser(bytes.NewReader(bytes.Clone((*m.buffer)[m.head:])))
	return &r
}

// free gives the buffer back. Whoever still writes it keeps it, and sets it to nil.
func (m *message) free() {
	if m.buffer != nil && cap(*m.buffer) <= 2*oneRecord {
		clear(*m.buffer) // there is a credential in it
		m.buffers.requests.Put(m.buffer)
	}
	m.buffer = nil
}

var (
	errLength   = errors.New("the request's body is not as long as its header says")
	errNotASCII = errors.New("the request's target has a control character, a space or a byte outside ASCII")
	errHost     = errors.New("the request's host is none")
	errFraming  = errors.New("only a body of known length can be sent, and nothing that changes the connection")
)

// appendHead writes a request's head. Nothing in it may end a line: this is the last
// place where that can be found.
func appendHead(b []byte, r *http.Request) ([]byte, error) {
	if !httpguts.ValidHeaderFieldName(r.Method) || r.Method == http.MethodConnect {
		return b, fmt.Errorf("%q is no method that can be sent", r.Method)
	}
	noBody := r.Body == nil || r.Body == http.NoBody
	if r.ContentLength < 0 || noBody != (r.ContentLength == 0) || len(r.TransferEncoding) > 0 || len(r.Trailer) > 0 {
		return b, errFraming
	}
	b = append(append(b, r.Method...), ' ')
	from := len(b)
	if path := r.URL.EscapedPath(); r.URL.Opaque != "" || path != "" && path[0] != '/' {
		return b, errNotASCII
	} else if path == "" {
		b = append(b, '/')
	} else {
		b = append(b, path...)
	}
	if r.URL.ForceQuery || r.URL.RawQuery != "" {
		b = append(append(b, '?'), r.URL.RawQuery...)
	}
	for _, c := range b[from:] {
		if c <= ' ' || c >= 0x7f {
			return b, errNotASCII
		}
	}
	host := r.Host
	if host == "" {
		host = r.URL.Host
	}
	if !httpguts.ValidHostHeader(host) || strings.ContainsRune(host, '%') {
		return b, errHost
	}
	b = append(b, " HTTP/1.1\r\n"...)
	b, err := appendField(b, "Host", host)
	if err != nil {
		return b, err
	}
	if agent := r.Header.Get("User-Agent"); agent != "" { // no other is made up
		if b, err = appendField(b, "User-Agent", agent); err != nil {
			return b, err
		}
	}
	if r.Close {
		b = append(b, "Connection: close\r\n"...)
	}
	if r.ContentLength > 0 || r.Method == http.MethodPost || r.Method == http.MethodPut || r.Method == http.MethodPatch {
		b = append(strconv.AppendInt(append(b, "Content-Length: "...), r.ContentLength, 10), "\r\n"...)
	}
	var room [16]string
	names := room[:0]
	for name := range r.Header {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		switch textproto.CanonicalMIMEHeaderKey(name) {
		case "Host", "User-Agent", "Content-Length":
			continue
		case "Connection", "Expect", "Trailer", "Transfer-Encoding", "Upgrade":
			return b, errFraming
		}
		for _, value := range r.Header[name] {
			if b, err = appendField(b, name, value); err != nil {
				return b, err
			}
		}
	}
	return append(b, "\r\n"...), nil
}

func appendField(b []byte, name, value string) ([]byte, error) {
	if !httpguts.ValidHeaderFieldName(name) || !httpguts.ValidHeaderFieldValue(value) {
		return b, fmt.Errorf("the field %q can't be sent", name) // its value may be a secret
	}
	b = append(append(b, name...), ": "...)
	return append(append(b, textproto.TrimString(value)...), "\r\n"...), nil
}
