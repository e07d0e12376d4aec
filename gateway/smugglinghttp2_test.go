package gateway_test

import (
	"slices"
	"strings"
	"testing"
)

// Outcomes of requests over HTTP/2 that are no answers of the gateway's handler.
const (
	bare   = "400"   // for which there is no record: the server's own
	reset  = "reset" // of the stream, without a record; after the header was read it is left
	goAway = "gone"  // the connection ends
)

// smugglingHTTP2 are requests of HTTP/2, each with another one behind it, by the same
// connection. What hides in them would be a request once they are written as HTTP/1.1.
var smugglingHTTP2 = []struct {
	name    string
	fields  []string // of a read; with body of a write
	body    string
	trailer []string
	want    string // what Jira echoes, a refusal, or one of the above
}{
	{name: "nothing special", want: "GET first"},
	{name: "a write", body: issue, want: "POST first"},

	// H2.CL: a length that is not that of the body.
	{name: "a plain length", fields: []string{"content-length: " + itoa(len(issue))}, body: issue, want: "POST first"},
	{name: "H2.CL, a length of nothing", fields: []string{"content-length: 0"}, body: issue, want: left},
	{name: "H2.CL, a length of nothing and a request", fields: []string{"content-length: 0"}, body: "GET /hidden HTTP/1.1\r\n\r\n", want: left},
	{name: "H2.CL, a shorter length", fields: []string{"content-length: 5"}, body: issue, want: left},
	{name: "H2.CL, a longer length", fields: []string{"content-length: 500"}, body: issue, want: "400 request_malformed"},
	{name: "H2.CL, a length without a body", fields: []string{"content-length: 5"}, want: reset},
	{name: "H2.CL, a length of nothing without a body", fields: []string{"content-length: 0"}, want: "GET first"},
	{name: "H2.CL, two equal lengths", fields: []string{"content-length: " + itoa(len(issue)), "content-length: " + itoa(len(issue))}, body: issue, want: reset},
	{name: "H2.CL, two lengths", fields: []string{"content-length: " + itoa(len(issue)), "content-length: 0"}, body: issue, want: reset},
	{name: "H2.CL, a list of lengths", fields: []string{"content-length: " + itoa(len(issue)) + ", 0"}, body: issue, want: reset},
	{name: "H2.CL, a signed length", fields: []string{"content-length: +" + itoa(len(issue))}, body: issue, want: reset},
	{name: "H2.CL, a length that is none", fields: []string{"content-length: x"}, body: issue, want: reset},
	{name: "H2.CL, an empty length", fields: []string{"content-length: "}, body: issue, want: reset},
	{name: "H2.CL, a length that wraps", fields: []string{"content-length: 18446744073709551621"}, body: issue, want: reset},
	{name: "H2.CL, a length that is none, without a body", fields: []string{"content-length: x"}, want: reset},

	// H2.TE, and other fields of a connection of HTTP/1.1.
	{name: "H2.TE", fields: []string{"transfer-encoding: chunked"}, body: "0\r\n\r\nGET /hidden HTTP/1.1\r\n\r\n", want: bare},
	{name: "H2.TE of a read", fields: []string{"transfer-encoding: chunked"}, want: bare},
	{name: "H2.TE, identity", fields: []string{"transfer-encoding: identity"}, body: issue, want: bare},
	{name: "H2.TE, in capitals", fields: []string{"Transfer-Encoding: chunked"}, body: issue, want: reset},
	{name: "H2.TE, behind CRLF in a value", fields: []string{"x: y\r\nTransfer-Encoding: chunked"}, body: issue, want: reset},
	{name: "H2.TE, by a name with a space", fields: []string{"transfer-encoding : chunked"}, body: issue, want: reset},
	{name: "H2.TE, by TE", fields: []string{"te: chunked"}, body: issue, want: bare},
	{name: "connection", fields: []string{"connection: content-length"}, want: bare},
	{name: "keep-alive", fields: []string{"keep-alive: timeout=5"}, want: bare},
	{name: "proxy-connection", fields: []string{"proxy-connection: close"}, want: bare},
	{name: "upgrade", fields: []string{"upgrade: h2c", "http2-settings: AAMAAABk"}, want: bare},
	{name: "an expectation", fields: []string{"expect: 100-continue"}, body: issue, want: "POST first"},
	{name: "an expectation of something else", fields: []string{"expect: 200-ok"}, body: issue, want: "POST first"},

	// Lines in what is one value.
	{name: "value with a request", fields: []string{"x: y\r\n\r\nGET /hidden HTTP/1.1\r\nhost: a"}, want: reset},
	{name: "value with LF", fields: []string{"x: y\nz: a"}, want: reset},
	{name: "value with CR", fields: []string{"x: y\rz: a"}, want: reset},
	{name: "value with NUL", fields: []string{"x: y\x00"}, want: reset},
	{name: "value with DEL", fields: []string{"x: y\x7f"}, want: reset},
	{name: "value with letters that end in CR and LF", fields: []string{"x: y\u560d\u560acontent-length: 5"}, want: "GET first"},
	{name: "value that ends in CRLF", fields: []string{"x: y\r\n"}, want: reset},
	{name: "name with CRLF", fields: []string{"x\r\ny: z"}, want: reset},
	{name: "name with a request", fields: []string{"x\r\n\r\nget /hidden http/1.1\r\ny: z"}, want: reset},
	{name: "name with a colon", fields: []string{"transfer-encoding:chunked\r\nx: y"}, want: reset},
	{name: "name with a space", fields: []string{"x y: z"}, want: reset},
	{name: "name with NUL", fields: []string{"x\x00: z"}, want: reset},
	{name: "name with 0xff", fields: []string{"x\xff: z"}, want: reset},
	{name: "name in capitals", fields: []string{"X: z"}, want: reset},
	{name: "an underscore for a hyphen", fields: []string{"transfer_encoding: chunked", "content_length: 5"}, want: "GET first"},

	// Pseudo-header fields.
	{name: "path with a request", fields: []string{":path: " + picker("first") + " HTTP/1.1\r\nhost: a\r\n\r\nGET /hidden HTTP/1.1"}, want: reset},
	{name: "path with a space", fields: []string{":path: " + picker("first") + " HTTP/1.1"}, want: "403 query_malformed"},
	{name: "path with a space before the query", fields: []string{":path: /rest/api/2/user/picker HTTP/1.1?query=first"}, want: "403 path_malformed"},
	{name: "path with LF", fields: []string{":path: " + picker("first") + "\nx: y"}, want: reset},
	{name: "path with NUL", fields: []string{":path: " + picker("first") + "\x00"}, want: reset},
	{name: "path with 0xa0", fields: []string{":path: " + picker("first") + "\xa0"}, want: "403 query_malformed"},
	{name: "path with CRLF, encoded", fields: []string{":path: " + picker("first") + "%0d%0aX:%20y"}, want: "403 query_malformed"},
	{name: "path of another host", fields: []string{":path: http://evil.example" + picker("hidden")}, want: "400 request_malformed"},
	{name: "path without a slash", fields: []string{":path: @evil.example" + picker("hidden")}, want: reset},
	{name: "an empty path", fields: []string{":path: "}, want: reset},
	{name: "a path and another one", fields: []string{":path: " + picker("hidden"), ":path: " + picker("first")}, want: reset},
	{name: "method with a request", fields: []string{":method: GET /hidden HTTP/1.1\r\nhost: a\r\n\r\nGET"}, want: reset},
	{name: "method with a space", fields: []string{":method: GET /hidden"}, want: "403 method_not_documented"},
	{name: "method with LF", fields: []string{":method: GET\n"}, want: reset},
	{name: "an empty method", fields: []string{":method: "}, want: reset},
	{name: "a method and another one", fields: []string{":method: POST", ":method: GET"}, want: reset},
	{name: "authority with a line", fields: []string{":authority: evil.example\r\nx: y"}, want: reset},
	{name: "authority with a space", fields: []string{":authority: evil.example x"}, want: "400 request_malformed"},
	{name: "authority with a path", fields: []string{":authority: evil.example/x"}, want: "400 request_malformed"},
	{name: "authority with user info", fields: []string{":authority: evil@example"}, want: reset},
	{name: "an authority and another one", fields: []string{":authority: evil.example", ":authority: a"}, want: reset},
	{name: "another authority", fields: []string{":authority: evil.example"}, want: "421 authority_mismatch"},
	{name: "another host", fields: []string{"host: evil.example"}, want: "421 authority_mismatch"},
	{name: "scheme with a line", fields: []string{":scheme: https\r\nx: y"}, want: reset},
	{name: "scheme with a request target", fields: []string{":scheme: https://evil.example/?"}, want: reset},
	{name: "a scheme and another one", fields: []string{":scheme: http", ":scheme: https"}, want: reset},
	{name: "a pseudo-header field of no request", fields: []string{":status: 200"}, want: reset},
	{name: "a pseudo-header field of HTTP/1.1", fields: []string{":transfer-encoding: chunked"}, want: reset},
	{name: "extended CONNECT", fields: []string{":method: CONNECT", ":protocol: websocket"}, want: reset},
	{name: "CONNECT with a path", fields: []string{":method: CONNECT"}, want: reset},

	// Trailers.
	{name: "a trailer", body: issue, trailer: []string{"x: y"}, want: "POST first"},
	{name: "a trailer of a length", body: issue, trailer: []string{"content-length: 500"}, want: "POST first"},
	{name: "a trailer of a coding", body: issue, trailer: []string{"transfer-encoding: chunked"}, want: "POST first"},
	{name: "a trailer with a line", body: issue, trailer: []string{"x: y\r\nz: a"}, want: left},
	{name: "a trailer in capitals", body: issue, trailer: []string{"X: y"}, want: left},
	{name: "a trailer that is a pseudo-header field", body: issue, trailer: []string{":path: " + picker("hidden")}, want: left},
	{name: "a trailer that is a request", body: issue, trailer: []string{":method: GET", ":scheme: https", ":authority: a", ":path: " + picker("hidden")}, want: left},
}

// The same over HTTP/2, whose requests are written as HTTP/1.1 behind the gateway.
func TestSmugglingOverHTTP2(t *testing.T) {
	s := newSmuggled(t)
	authority := strings.TrimPrefix(s.jira.url, "https://")
	for _, row := range smugglingHTTP2 {
		t.Run(row.name, func(t *testing.T) {
			c := s.speakHTTP2(s.tunnelTo(authority, s.token, "h2")).listen()
			defer c.close()
			fields := []string{":method: GET", ":scheme: https", ":authority: " + authority, ":path: " + picker("first")}
			if row.body != "" {
				fields[0], fields[3] = ":method: POST", ":path: /rest/api/2/issue"
				fields = append(fields, "content-type: application/json")
			}
			_ = c.request(1, row.body == "", withFields(fields, row.fields)...)
			if row.body != "" {
				_ = c.WriteData(1, row.trailer == nil, []byte(row.body))
			}
			if row.trailer != nil {
				_ = c.request(1, true, row.trailer...)
			}
			got := []string{outcome(c.await(1))}
			_ = c.request(3, true, ":method: GET", ":scheme: https", ":authority: "+authority, ":path: "+picker("next"))
			got = append(got, outcome(c.await(3)))
			want := []string{row.want, "GET next"}
			if row.want == left && got[0] == reset {
				got = got[1:]
			}
			if unread := row.want == bare || row.want == reset; unread && got[0] == row.want {
				got, want = got[1:], want[1:]
			}
			s.check(t, got, want)
			s.bystander(t)
		})
	}
}

// withFields puts more fields to those of a request. The first pseudo-header field of a
// name replaces the request's own.
func withFields(request, more []string) []string {
	pseudo, regular := slices.Clone(request[:4]), slices.Clone(request[4:])
	replaced := map[string]bool{}
	for _, f := range more {
		name, _, _ := strings.Cut(f[1:], ":")
		name = f[:1] + name + ":"
		at := slices.IndexFunc(pseudo, func(have string) bool { return strings.HasPrefix(have, name) })
		switch {
		case f[0] != ':':
			regular = append(regular, f)
		case at >= 0 && !replaced[name]:
			pseudo[at], replaced[name] = f, true
		default:
			pseudo = append(pseudo, f)
		}
	}
	return append(pseudo, regular...)
}

func outcome(a rawAnswer) string {
	switch {
	case a.reset != 0:
		return reset
	case a.status == "":
		return goAway
	}
	status := 0
	for _, c := range a.status {
		status = status*10 + int(c-'0')
	}
	return answerOf(status, string(a.body))
}
