package downstream

import (
	"context"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"golang.org/x/net/http/httpguts"
	"golang.org/x/net/http2"
)

// opens takes note that the client has opened a stream, or passes it over.
func (c *conn) opens(id uint32) error {
	switch {
	case id%2 == 0:
		return http2.ConnectionError(http2.ErrCodeProtocol)
	case id <= c.lastID && c.wasReset(id):
		return nil // trailers that were on their way
	case id <= c.lastID:
		return http2.ConnectionError(http2.ErrCodeProtocol)
	case !c.leaving: // else it was told that this one isn't served
		c.lastID = id
	}
	return nil
}

// headers deals with a header, which opens a stream, or has trailers.
func (c *conn) headers(f *http2.MetaHeadersFrame) error {
	id := f.StreamID
	if st := c.stream(id); st != nil {
		return c.trailers(st, f)
	}
	fresh := id > c.lastID
	if err := c.opens(id); err != nil || !fresh || c.lastID != id {
		return err
	}
	if c.open >= c.server.config.MaxStreams {
		c.reset(id, http2.ErrCodeRefusedStream)
		return nil
	}
	var st *stream
	if !f.HasPriority() || f.Priority.StreamDep != id {
		st = c.newStream(f)
	}
	if st == nil {
		c.reset(id, http2.ErrCodeProtocol)
		return nil
	}
	c.streams[id] = st
	c.open++
	c.start(st)
	return nil
}

func (c *conn) trailers(st *stream, f *http2.MetaHeadersFrame) error {
	b := &st.body
	switch {
	case st.asked:
		c.reset(st.id, http2.ErrCodeStreamClosed)
		return c.calm()
	case b.trailing || !f.StreamEnded() || len(f.PseudoFields()) > 0:
		c.reset(st.id, http2.ErrCodeProtocol)
		return c.calm()
	}
	b.trailing = true
	if st.request.Trailer != nil {
		b.trailer = make(http.Header)
		for _, field := range f.RegularFields() {
			name := http.CanonicalHeaderKey(field.Name)
			if !httpguts.ValidTrailerHeader(name) {
				c.reset(st.id, http2.ErrCodeProtocol)
				return c.calm()
			}
			b.trailer[name] = append(b.trailer[name], field.Value)
		}
	}
	c.endRequest(st)
	return nil
}

// newStream makes a stream of a header, or nil where that isn't one of a request (RFC 9113
// section 8.3.1).
func (c *conn) newStream(f *http2.MetaHeadersFrame) *stream {
	var method, scheme, authority, path string
	for _, field := range f.PseudoFields() {
		switch field.Name {
		case ":method":
			method = field.Value
		case ":scheme":
			scheme = field.Value
		case ":authority":
			authority = field.Value
		case ":path":
			path = field.Value
		default: // extended CONNECT is not offered
			return nil
		}
	}
	target := &url.URL{Host: authority}
	if method == http.MethodConnect {
		if path != "" || scheme != "" || authority == "" {
			return nil
		}
		path = authority // as over HTTP/1.1
	} else {
		var err error
		if method == "" || scheme != "https" && scheme != "http" || strings.Contains(authority, "@") {
			return nil
		}
		if target, err = url.ParseRequestURI(path); err != nil {
			return nil
		}
	}
	declared, ok := lengthOf(f)
	if !ok {
		return nil
	}
	ctx, cancel := context.WithCancel(context.Background())
	r := (&http.Request{}).WithContext(ctx)
	r.Method, r.URL, r.RequestURI, r.Host = method, target, path, authority
	r.Proto, r.ProtoMajor, r.RemoteAddr = "HTTP/2.0", 2, c.peer
	r.Header, r.Body = headerOf(f), http.NoBody

	st := &stream{conn: c, id: f.StreamID, request: r, handle: c.handle, cancel: cancel, window: c.initial, asked: f.StreamEnded()}
	st.answer.begin(st, method == http.MethodHead)
	b := &st.body
	b.stream, b.declared, b.err = st, -1, io.EOF
	if r.Host == "" {
		r.Host = r.Header.Get("Host")
	}
	st.frame(r, declared)
	switch {
	case f.Truncated:
		st.handle = headerTooLarge
	case !forHTTP2(r.Header):
		st.handle = notForHTTP2
	}
	return st
}

// headerOf is a header with the names that net/http gives to fields.
func headerOf(f *http2.MetaHeadersFrame) http.Header {
	fields := f.RegularFields()
	h := make(http.Header, len(fields))
	values := make([]string, len(fields)) // one array for all
	for i, field := range fields {
		name := http.CanonicalHeaderKey(field.Name)
		if have := h[name]; have != nil {
			h[name] = append(have, field.Value)
			continue
		}
		values[i] = field.Value
		h[name] = values[i : i+1 : i+1]
	}
	return h
}

// lengthOf is what a header says of the body's length, -1 for nothing, and reports whether
// it says that in one way, and may say it: a request is malformed that says another length
// than that of what follows, were it nothing (RFC 9113 section 8.1.1).
func lengthOf(f *http2.MetaHeadersFrame) (declared int64, ok bool) {
	declared = -1
	for _, field := range f.RegularFields() {
		if field.Name != "content-length" {
			continue
		}
		n, err := strconv.ParseUint(field.Value, 10, 63)
		if err != nil || declared >= 0 {
			return 0, false
		}
		declared = int64(n)
	}
	return declared, declared <= 0 || !f.StreamEnded()
}

// frame reads from a header what it says of the body, and of how it is sent. The body's
// length is declared.
func (st *stream) frame(r *http.Request, declared int64) {
	b, h := &st.body, r.Header
	if httpguts.HeaderValuesContainsToken(h["Expect"], "100-continue") {
		b.continues = true
	}
	if crumbs := h["Cookie"]; len(crumbs) > 1 { // RFC 9113 section 8.2.3
		h["Cookie"] = []string{strings.Join(crumbs, "; ")}
	}
	for _, value := range h["Trailer"] {
		for name := range strings.SplitSeq(value, ",") {
			switch name = http.CanonicalHeaderKey(strings.Trim(name, " \t")); name {
			case "Transfer-Encoding", "Trailer", "Content-Length":
			default:
				if r.Trailer == nil {
					r.Trailer = make(http.Header)
				}
				r.Trailer[name] = nil
			}
		}
	}
	delete(h, "Trailer")
	if st.asked {
		return
	}
	r.Body, b.err = b, nil
	all := st.conn.received.all
	b.received = inflow{avail: all, all: all}
	b.declared, r.ContentLength = declared, declared
}

// forHTTP2 reports whether a header has no field that HTTP/2 does without (RFC 9113
// section 8.2.2).
func forHTTP2(h http.Header) bool {
	for _, name := range []string{"Connection", "Keep-Alive", "Proxy-Connection", "Transfer-Encoding", "Upgrade"} {
		if _, ok := h[name]; ok {
			return false
		}
	}
	te := h["Te"]
	return len(te) == 0 || len(te) == 1 && (te[0] == "trailers" || te[0] == "")
}

func headerTooLarge(w http.ResponseWriter, _ *http.Request) {
	http.Error(w, "The header is too large.", http.StatusRequestHeaderFieldsTooLarge)
}

func notForHTTP2(w http.ResponseWriter, _ *http.Request) {
	http.Error(w, "HTTP/2 has no Connection, Keep-Alive, Proxy-Connection, Transfer-Encoding and Upgrade, and no TE but trailers.", http.StatusBadRequest)
}
