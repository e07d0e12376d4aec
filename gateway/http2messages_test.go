package gateway_test

import (
	"errors"
	"io"
	"strings"
	"testing"

	"golang.org/x/net/http2"
)

// Requests over HTTP/2 that no library sends. Those that are HTTP messages at all get
// the gateway's answer and a record; the others net/http ends itself, by a reset of
// the stream or a bare 400, and neither Jira nor the log hears of them.
func TestHostileHTTP2Messages(t *testing.T) {
	w := newWorld(t, change{})
	without := func(name string) []string {
		var rest []string
		for _, f := range myself() {
			if !strings.HasPrefix(f, name+": ") {
				rest = append(rest, f)
			}
		}
		return rest
	}
	with := func(field string) []string {
		name := field[:strings.Index(field[1:], ": ")+1]
		return append([]string{field}, without(name)...)
	}
	const bare = "bare" // net/http's 400
	for _, tt := range []struct {
		name   string
		fields []string
		want   string // status, status with code, bare, or "" for a reset
	}{
		{"a documented call", myself(), "200"},
		{"its port named", with(":authority: " + site + ":443"), "200"},
		{"Host alone", append(without(":authority"), "host: "+site), "200"},
		{"Host as well", myself("host: " + site), "200"},
		{"te: trailers", myself("te: trailers"), "200"},
		{"scheme http, which leaves as https", with(":scheme: http"), "200"},

		{"another authority", with(":authority: evil.example"), "421 authority_mismatch"},
		{"another port", with(":authority: " + site + ":8443"), "421 authority_mismatch"},
		{"the API's host", with(":authority: api.atlassian.com"), "421 authority_mismatch"},
		{"another Host", myself("host: evil.example"), "421 authority_mismatch"},
		{"two Hosts, the first right", myself("host: "+site, "host: evil.example"), "421 authority_mismatch"},
		{"an empty Host", myself("host: "), "421 authority_mismatch"},
		{"no authority", without(":authority"), "400 request_malformed"},
		{"two authorities in one", with(":authority: " + site + ",evil.example"), "400 request_malformed"},
		{"authority with a path", with(":authority: " + site + "/evil"), "400 request_malformed"},
		{"absolute path", with(":path: https://" + site + "/rest/api/3/myself"), "400 request_malformed"},
		{"absolute path of another host", with(":path: https://evil.example/rest/api/3/myself"), "400 request_malformed"},
		{"path of another host", with(":path: //evil.example/rest/api/3/myself"), "403 path_malformed"},
		{"asterisk", with(":path: *"), "403 connection_unknown"},
		{"PRI", with(":method: PRI"), "403 method_not_documented"},
		{"lower-case method", with(":method: get"), "403 method_not_documented"},
		{"CONNECT to another host", []string{":method: CONNECT", ":authority: evil.example:443"}, "421 authority_mismatch"},
		{"CONNECT to the same", []string{":method: CONNECT", ":authority: " + site + ":443"}, "400 request_malformed"},

		{"connection", myself("connection: close"), bare},
		{"keep-alive", myself("keep-alive: timeout=5"), bare},
		{"proxy-connection", myself("proxy-connection: keep-alive"), bare},
		{"transfer-encoding", create("transfer-encoding: chunked"), bare},
		{"upgrade", myself("upgrade: h2c"), bare},
		{"te of a coding", myself("te: gzip"), bare},

		{"authority with user info", with(":authority: u:p@" + site), ""},
		{"extended CONNECT", []string{":method: CONNECT", ":protocol: websocket", ":scheme: https", ":path: /", ":authority: " + site}, ""},
		{"CONNECT with a path", []string{":method: CONNECT", ":scheme: https", ":path: /", ":authority: " + site}, ""},
		{"two authorities", append([]string{":authority: evil.example"}, myself()...), ""},
		{"two paths", append([]string{":path: /"}, myself()...), ""},
		{"two methods", append([]string{":method: DELETE"}, myself()...), ""},
		{"two schemes", append([]string{":scheme: http"}, myself()...), ""},
		{"pseudo-header field last", append(without(":path"), "accept: */*", ":path: /rest/api/3/myself"), ""},
		{"unknown pseudo-header field", with(":evil: x"), ""},
		{"pseudo-header field of answers", with(":status: 200"), ""},
		{"another scheme", with(":scheme: ftp"), ""},
		{"no scheme", without(":scheme"), ""},
		{"no method", without(":method"), ""},
		{"no path", without(":path"), ""},
		{"empty path", with(":path: "), ""},
		{"path without a slash", with(":path: rest/api/3/myself"), ""},
		{"upper-case name", myself("X-Atlassian-Token: no-check"), ""},
		{"name with a space", myself("x evil: 1"), ""},
		{"name with a colon", myself("x:evil: 1"), ""},
		{"name with CR LF", myself("x\r\nauthorization: Bearer x"), ""},
		{"value with CR LF", myself("accept: x\r\nAuthorization: Bearer x"), ""},
		{"value with NUL", myself("accept: x\x00"), ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w.sim.Reset()
			before := len(w.records())
			c := w.http2().listen()
			defer c.close()
			if err := c.request(1, true, tt.fields...); err != nil {
				t.Fatal(err)
			}
			a := c.await(1)
			records, reached := len(w.records())-before, len(w.sim.Requests())
			got := strings.TrimSpace(a.status + " " + a.code)
			if a.status == "400" && a.code == "" {
				got = bare
			}
			wantRecords, wantReached := 1, 0
			switch tt.want {
			case bare:
				wantRecords = 0
			case "":
				wantRecords = 0
				if a.reset != http2.ErrCodeProtocol {
					t.Errorf("reset with %v", a.reset)
				}
			case "200":
				wantReached = 1
			}
			if got != tt.want || records != wantRecords || reached != wantReached {
				t.Errorf("%q (%s), %d records, %d reached Jira; want %q", got, a.body, records, reached, tt.want)
			}
		})
	}
}

// What breaks the rules of the connection ends it, with the right code; the other
// tunnels don't notice.
func TestHostileHTTP2Connections(t *testing.T) {
	w := newWorld(t, change{})
	for _, tt := range []struct {
		name string
		send func(*rawHTTP2) error
		want http2.ErrCode
	}{
		// The preface reads as a frame of five megabytes.
		{"PRI twice", func(c *rawHTTP2) error { _, err := io.WriteString(c.conn, http2.ClientPreface); return err }, http2.ErrCodeFrameSize},
		{"a frame over the limit", func(c *rawHTTP2) error { return c.WriteRawFrame(http2.FrameData, 0, 1, make([]byte, 16<<10+1)) }, http2.ErrCodeFrameSize},
		{"an even stream", func(c *rawHTTP2) error { return c.request(2, true, myself()...) }, http2.ErrCodeProtocol},
		{"push", func(c *rawHTTP2) error {
			return c.WritePushPromise(http2.PushPromiseParam{StreamID: 1, PromiseID: 2, EndHeaders: true})
		}, http2.ErrCodeProtocol},
		{"a window past 2^31-1", func(c *rawHTTP2) error { return c.WriteWindowUpdate(0, 1<<31-1) }, http2.ErrCodeFlowControl},
		{"an index of no field", func(c *rawHTTP2) error {
			return c.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: []byte{0xff, 0x80, 0x01}, EndStream: true, EndHeaders: true})
		}, http2.ErrCodeCompression},
		{"a table larger than was agreed", func(c *rawHTTP2) error {
			return c.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: []byte{0x3f, 0xe1, 0xff, 0x03}, EndStream: true, EndHeaders: true})
		}, http2.ErrCodeCompression},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := w.http2().listen()
			if err := tt.send(c); err != nil {
				t.Fatal(err)
			}
			if got := c.awaitEnd(); got != tt.want {
				t.Errorf("GOAWAY %v, want %v", got, tt.want)
			}
		})
	}
	w.nothingSent()
	if got := len(w.records()); got != 0 {
		t.Errorf("%d records", got)
	}
}

// Trailers are dropped over HTTP/2 as well. Where one has a name that no trailer may
// have (RFC 9110 section 6.5.1), or is a pseudo-header field, net/http drops it too, or
// ends the stream, and the call with it.
func TestHTTP2TrailersAreDropped(t *testing.T) {
	w := newWorld(t, change{})
	const body = `{"fields":{"project":{"key":"ACME"},"issuetype":{"id":"10002"},"summary":"x"}}`
	for trailer, want := range map[string]string{
		"x-evil: 1": "201", "jira-connection: dc": "201", "content-length: 7": "201", "transfer-encoding: chunked": "201",
		"authorization: Bearer evil": "", "host: evil.example": "", ":path: /evil": "",
	} {
		w.sim.Reset()
		before := len(w.records())
		c := w.http2().listen()
		name := trailer[:strings.Index(trailer[1:], ": ")+1]
		err1 := c.request(1, false, create("trailer: "+name)...)
		err2 := c.WriteData(1, false, []byte(body))
		err3 := c.request(1, true, trailer)
		if err := errors.Join(err1, err2, err3); err != nil {
			t.Fatal(err)
		}
		a, reached := c.await(1), w.sim.Requests()
		c.close()
		if a.status != want || len(reached) > 0 != (want != "") {
			t.Errorf("%s: %q %s, %d reached Jira", trailer, a.status, a.body, len(reached))
		}
		for _, r := range reached {
			if len(r.Trailer) > 0 || r.Header.Get("Trailer") != "" || r.Header.Get("X-Evil") != "" {
				t.Errorf("%s: Jira got %v, trailers %v", trailer, r.Header, r.Trailer)
			}
		}
		w.eventually(trailer+": a record", func() bool { return len(w.records()) > before })
	}
}
