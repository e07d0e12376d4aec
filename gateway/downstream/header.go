package downstream

import (
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"golang.org/x/net/http/httpguts"
	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

// field is a field of a header, as it is sent.
type field struct{ name, value string }

// prepare makes the fields of the answer, which is done without the connection's mu.
func (w *answer) prepare() {
	w.fields = append(make([]field, 0, len(w.header)+4), field{":status", strconv.Itoa(w.status)})
	for name, values := range w.header {
		switch name {
		case "Connection":
			w.closes = httpguts.HeaderValuesContainsToken(values, "close")
			continue
		case "Keep-Alive", "Proxy-Connection", "Transfer-Encoding", "Upgrade", "Trailer":
			continue // HTTP/2 does without
		case "Content-Length":
			if w.length >= 0 { // the one that the body is held to
				w.fields = append(w.fields, field{"content-length", strconv.FormatInt(w.length, 10)})
			}
			continue
		}
		lower, ok := lowered(name)
		if !ok {
			continue
		}
		for _, value := range values {
			if httpguts.ValidHeaderFieldValue(value) {
				w.fields = append(w.fields, field{lower, value})
			}
		}
	}
	if len(w.header["Date"]) == 0 {
		w.fields = append(w.fields, field{"date", w.stream.conn.server.clock.date()})
	}
	slices.SortStableFunc(w.fields, func(a, b field) int { return strings.Compare(a.name, b.name) })
}

// lowered is a field's name in lower case, if it is one.
func lowered(name string) (string, bool) {
	if lower, ok := lowerNames[name]; ok {
		return lower, true
	}
	return strings.ToLower(name), httpguts.ValidHeaderFieldName(name)
}

// lowerNames are those of most answers, so that they are not made each time.
var lowerNames = map[string]string{
	"Cache-Control": "cache-control", "Content-Language": "content-language", "Content-Length": "content-length",
	"Content-Type": "content-type", "Date": "date", "Etag": "etag", "Expires": "expires", "Last-Modified": "last-modified",
	"Location": "location", "Proxy-Status": "proxy-status", "Retry-After": "retry-after", "Server": "server",
	"Traceparent": "traceparent", "Vary": "vary", "Via": "via", "X-Content-Type-Options": "x-content-type-options",
	"X-Arequestid": "x-arequestid", "Content-Disposition": "content-disposition", "Allow": "allow",
}

// appendHeader adds the answer's header to the batch, with the connection's mu held.
func (st *stream) appendHeader(end bool) {
	if st.answer.closes {
		st.conn.leave() // before the answer, so that its client knows when it has that
	}
	st.appendFields(end, st.answer.fields)
	if end && st.asked {
		st.conn.close(st)
	}
}

// appendContinue tells a client to send the body (RFC 9110 section 10.1.1).
func (st *stream) appendContinue() { st.appendFields(false, []field{{":status", "100"}}) }

func (st *stream) appendFields(end bool, fields []field) {
	c := st.conn
	b := c.batch()
	begin := len(b.b)
	b.b = appendHead(b.b, 0, http2.FrameHeaders, 0, st.id)
	for _, f := range fields {
		_ = c.encoder.WriteField(hpack.HeaderField{Name: f.name, Value: f.value})
	}
	var flags http2.Flags
	if end {
		flags = http2.FlagHeadersEndStream
	}
	length := len(b.b) - begin - frameHead
	if length <= maxFrame {
		appendHead(b.b[:begin], length, http2.FrameHeaders, flags|http2.FlagHeadersEndHeaders, st.id)
	} else {
		b.b = appendContinued(b.b[:begin], slices.Clone(b.b[begin+frameHead:]), flags, st.id)
	}
	st.last, st.tail = b, 0
}

// appendContinued adds a header of several frames.
func appendContinued(b, block []byte, flags http2.Flags, id uint32) []byte {
	kind := http2.FrameHeaders
	for len(block) > 0 {
		n := min(len(block), maxFrame)
		if n == len(block) {
			flags |= http2.FlagHeadersEndHeaders
		}
		b = append(appendHead(b, n, kind, flags, id), block[:n]...)
		block, kind, flags = block[n:], http2.FrameContinuation, 0
	}
	return b
}

// clock tells the time as fields have it, which is made once a second.
type clock struct{ said atomic.Pointer[dated] }

type dated struct {
	second int64
	text   string
}

func (c *clock) date() string {
	now := time.Now()
	if said := c.said.Load(); said != nil && said.second == now.Unix() {
		return said.text
	}
	said := &dated{now.Unix(), now.UTC().Format(http.TimeFormat)}
	c.said.Store(said)
	return said.text
}
