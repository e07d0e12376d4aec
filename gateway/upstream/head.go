package upstream

import (
	"bufio"
	"bytes"
	"io"
	"net/http"
	"net/textproto"
	"strconv"
	"strings"

	"golang.org/x/net/http/httpguts"
)

// readResponse is [http.ReadResponse], in a third of its time for what nearly all answers
// are: a head that fits into the buffer and has one Content-Length, no coding, and nothing
// that could be read in two ways. Anything else is left to that.
func readResponse(r *bufio.Reader, req *http.Request) (*http.Response, error) {
	end, err := awaitHead(r)
	if err != nil {
		return http.ReadResponse(r, req) // it tells what is wrong
	}
	if end > 0 {
		b, _ := r.Peek(end)
		if response := parsePlain(string(b), req); response != nil {
			_, _ = r.Discard(end)
			response.Body = http.NoBody
			if response.ContentLength > 0 {
				response.Body = &plainBody{r, response.ContentLength}
			}
			return response, nil
		}
	}
	return http.ReadResponse(r, req)
}

// awaitHead reads until a whole head is in the buffer, and returns its length; 0 where it
// does not fit. An error is one of reading.
func awaitHead(r *bufio.Reader) (end int, _ error) {
	for seen := 0; ; {
		have := r.Buffered()
		b, _ := r.Peek(have)
		if i := bytes.Index(b[seen:], []byte("\r\n\r\n")); i >= 0 {
			return seen + i + 4, nil
		}
		if have == r.Size() {
			return 0, nil
		}
		seen = max(0, have-3)
		if _, err := r.Peek(have + 1); err != nil {
			return 0, err
		}
	}
}

// parsePlain returns nil for a head that is not plain.
func parsePlain(head string, req *http.Request) *http.Response {
	line, rest, _ := strings.Cut(head, "\r\n")
	code, ok := strings.CutPrefix(line, "HTTP/1.1 ")
	if !ok || len(code) < 4 || code[3] != ' ' || !httpguts.ValidHeaderFieldValue(code) || req.Method == http.MethodHead {
		return nil
	}
	status, err := strconv.ParseUint(code[:3], 10, 16)
	if err != nil || status < 200 || status == http.StatusNoContent || status == http.StatusNotModified {
		return nil
	}
	fields := strings.Count(rest, "\r\n") - 1
	header, values := make(http.Header, fields), make([]string, 0, fields)
	length := int64(-1)
	for len(rest) > 2 {
		line, rest, _ = strings.Cut(rest, "\r\n")
		name, value, ok := strings.Cut(line, ":")
		value = strings.Trim(value, " \t")
		if !ok || !httpguts.ValidHeaderFieldName(name) || !httpguts.ValidHeaderFieldValue(value) {
			return nil
		}
		name = textproto.CanonicalMIMEHeaderKey(name)
		switch name {
		case "Transfer-Encoding", "Trailer", "Pragma", "Upgrade":
			return nil
		case "Connection":
			if !strings.EqualFold(value, "keep-alive") {
				return nil
			}
		case "Content-Length":
			n, err := strconv.ParseUint(value, 10, 63)
			if err != nil || length >= 0 {
				return nil
			}
			length = int64(n)
		}
		if have := header[name]; have != nil {
			header[name] = append(have, value)
			continue
		}
		values = append(values, value)
		header[name] = values[len(values)-1 : len(values) : len(values)]
	}
	if length < 0 {
		return nil
	}
	return &http.Response{
		Status: code, StatusCode: int(status), Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: header, ContentLength: length, Request: req,
	}
}

// plainBody is a body of known length.
type plainBody struct {
	r    *bufio.Reader
	left int64
}

// Read implements [io.Reader]. The end is said with the last byte.
func (b *plainBody) Read(p []byte) (int, error) {
	if b.left == 0 {
		return 0, io.EOF
	}
	n, err := b.r.Read(p[:min(int64(len(p)), b.left)])
	switch b.left -= int64(n); {
	case b.left == 0:
		err = io.EOF
	case err == io.EOF:
		err = io.ErrUnexpectedEOF
	}
	return n, err
}

// Close implements [io.Closer]; the connection is its exchange's.
func (b *plainBody) Close() error { return nil }
