package gateway

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"net"
	"net/http"
	"net/url"
	"reflect"
	"strings"
	"testing"
	"testing/iotest"
)

// readConn is a connection that only reads.
type readConn struct {
	net.Conn
	io.Reader
}

func (c readConn) Read(p []byte) (int, error) { return c.Reader.Read(p) }

// frame runs input through the framing check and returns what net/http would
// see, and the fault if there was one.
func frame(r io.Reader) (string, *framingFault, error) {
	f := newFramedConn(readConn{Reader: r}, &origin{}, "marker")
	out, err := io.ReadAll(f)
	return string(out), f.fault.Load(), err
}

// endsWhole reports whether the input ends with the end of a message.
func endsWhole(in []byte) bool {
	f := newFramedConn(readConn{Reader: bytes.NewReader(in)}, &origin{}, "marker")
	_, _ = io.Copy(io.Discard, f)
	return f.state == inHead && len(f.buf) == 0
}

func TestFramingLetsPlainMessagesThrough(t *testing.T) {
	for name, in := range map[string]string{
		"get":                      "GET /rest/api/3/myself HTTP/1.1\r\nHost: acme.atlassian.net\r\n\r\n",
		"get, http/1.0":            "GET / HTTP/1.0\r\nHost: a\r\n\r\n",
		"two, pipelined":           "GET / HTTP/1.1\r\nHost: a\r\n\r\nGET /b HTTP/1.1\r\nHost: a\r\n\r\n",
		"post with length":         "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhelloGET / HTTP/1.1\r\nHost: a\r\n\r\n",
		"post, body looks like it": "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nBAD\n\nBAD\nGET / HTTP/1.1\r\nHost: a\r\n\r\n",
		"chunked":                  "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n00A\r\n0123456789\r\n0\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n",
		"chunked with trailer":     "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nX-Trailer: v\r\n\r\n",
		"length zero":              "DELETE / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n",
		"absolute form":            "GET http://a:81/x?y=//z HTTP/1.1\r\nHost: a:81\r\n\r\n",
		"options *":                "OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n",
		"connect by http/1.0":      "CONNECT a:443 HTTP/1.0\r\n\r\n\x16\x03\x01",
		"connect, then anything":   "CONNECT a:443 HTTP/1.1\r\nHost: a:443\r\n\r\n\x16\x03\x01\n\nno HTTP at all",
	} {
		t.Run(name, func(t *testing.T) {
			for kind, r := range map[string]io.Reader{
				"whole": strings.NewReader(in), "by the byte": iotest.OneByteReader(strings.NewReader(in)),
			} {
				out, fault, err := frame(r)
				if fault != nil || err != nil || out != in {
					t.Errorf("%s: got %q, fault %+v, error %v", kind, out, fault, err)
				}
			}
		})
	}
}

func TestFramingRefusesWhatHasTwoReadings(t *testing.T) {
	get := func(fields string) string { return "GET / HTTP/1.1\r\nHost: a\r\n" + fields + "\r\n" }
	post := func(fields, body string) string { return "POST / HTTP/1.1\r\nHost: a\r\n" + fields + "\r\n" + body }
	for name, tt := range map[string]struct {
		in   string
		code Code
	}{
		"length and coding":               {post("Content-Length: 5\r\nTransfer-Encoding: chunked\r\n", "0\r\n\r\n"), CodeRequestMalformed},
		"coding and length":               {post("Transfer-Encoding: chunked\r\nContent-Length: 5\r\n", "0\r\n\r\n"), CodeRequestMalformed},
		"two equal lengths":               {post("Content-Length: 5\r\nContent-Length: 5\r\n", "hello"), CodeRequestMalformed},
		"list of lengths":                 {post("Content-Length: 5, 5\r\n", "hello"), CodeRequestMalformed},
		"signed length":                   {post("Content-Length: +5\r\n", "hello"), CodeRequestMalformed},
		"huge length":                     {post("Content-Length: 99999999999999999999\r\n", ""), CodeRequestMalformed},
		"empty length":                    {post("Content-Length:\r\n", ""), CodeRequestMalformed},
		"coding gzip, chunked":            {post("Transfer-Encoding: gzip, chunked\r\n", "0\r\n\r\n"), CodeRequestMalformed},
		"coding identity":                 {post("Transfer-Encoding: identity\r\n", ""), CodeRequestMalformed},
		"coding xchunked":                 {post("Transfer-Encoding: xchunked\r\n", ""), CodeRequestMalformed},
		"coding with vertical tab":        {post("Transfer-Encoding: \vchunked\r\n", ""), CodeRequestMalformed},
		"coding by a Kelvin sign":         {post("Transfer-Encoding: chun\u212aed\r\n", "0\r\n\r\n"), CodeRequestMalformed},
		"coding twice":                    {post("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n", "0\r\n\r\n"), CodeRequestMalformed},
		"coding in http/1.0":              {"POST / HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", CodeRequestMalformed},
		"bare LF after the request line":  {"GET / HTTP/1.1\nHost: a\r\n\r\n", CodeRequestMalformed},
		"bare LF after a field":           {get("A: b\n"), CodeRequestMalformed},
		"bare CR in a field":              {get("A: b\rc\r\n"), CodeRequestMalformed},
		"NUL in a field":                  {get("A: b\x00c\r\n"), CodeRequestMalformed},
		"folded field":                    {get("A: b\r\n c\r\n"), CodeRequestMalformed},
		"space before colon":              {get("Host : b\r\n"), CodeRequestMalformed},
		"space in name":                   {get("X Foo: b\r\n"), CodeRequestMalformed},
		"no colon":                        {get("Foo\r\n"), CodeRequestMalformed},
		"no host":                         {"GET / HTTP/1.1\r\n\r\n", CodeRequestMalformed},
		"empty host":                      {"GET / HTTP/1.1\r\nHost:\r\n\r\n", CodeRequestMalformed},
		"two hosts":                       {get("Host: b\r\n"), CodeRequestMalformed},
		"host against target":             {"GET http://b/ HTTP/1.1\r\nHost: a\r\n\r\n", CodeRequestMalformed},
		"http/2.0":                        {"GET / HTTP/2.0\r\nHost: a\r\n\r\n", CodeRequestMalformed},
		"http/1.2":                        {"GET / HTTP/1.2\r\nHost: a\r\n\r\n", CodeRequestMalformed},
		"http/0.9":                        {"GET /\r\n\r\n", CodeRequestMalformed},
		"two spaces":                      {"GET  / HTTP/1.1\r\nHost: a\r\n\r\n", CodeRequestMalformed},
		"tab":                             {"GET\t/ HTTP/1.1\r\nHost: a\r\n\r\n", CodeRequestMalformed},
		"space in target":                 {"GET /a b HTTP/1.1\r\nHost: a\r\n\r\n", CodeRequestMalformed},
		"non-ASCII target":                {"GET /\xc0\xaf HTTP/1.1\r\nHost: a\r\n\r\n", CodeRequestMalformed},
		"leading empty line":              {"\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", CodeRequestMalformed},
		"target is no URI":                {"GET %zz HTTP/1.1\r\nHost: a\r\n\r\n", CodeRequestMalformed},
		"connect with a path":             {"CONNECT a:443/x HTTP/1.1\r\nHost: a\r\n\r\n", CodeRequestMalformed},
		"connect with user info":          {"CONNECT a@b:443 HTTP/1.1\r\nHost: a\r\n\r\n", CodeRequestMalformed},
		"connect with a body":             {"CONNECT a:443 HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nbody", CodeRequestMalformed},
		"chunk with extension":            {post("Transfer-Encoding: chunked\r\n", "5;a=b\r\nhello\r\n0\r\n\r\n"), CodeRequestMalformed},
		"chunk size with 0x":              {post("Transfer-Encoding: chunked\r\n", "0x5\r\nhello\r\n0\r\n\r\n"), CodeRequestMalformed},
		"chunk size with sign":            {post("Transfer-Encoding: chunked\r\n", "+5\r\nhello\r\n0\r\n\r\n"), CodeRequestMalformed},
		"chunk line by LF":                {post("Transfer-Encoding: chunked\r\n", "5\nhello\r\n0\r\n\r\n"), CodeRequestMalformed},
		"chunk longer than said":          {post("Transfer-Encoding: chunked\r\n", "4\r\nhello\r\n0\r\n\r\n"), CodeRequestMalformed},
		"chunk size wraps":                {post("Transfer-Encoding: chunked\r\n", "100000005\r\nhello\r\n0\r\n\r\n"), CodeRequestMalformed},
		"trailer malformed":               {post("Transfer-Encoding: chunked\r\n", "0\r\nbad trailer\r\n\r\n"), CodeRequestMalformed},
		"trailers too large":              {post("Transfer-Encoding: chunked\r\n", "0\r\n"+strings.Repeat("A: "+strings.Repeat("b", 1000)+"\r\n", 10)+"\r\n"), CodeHeaderTooLarge},
		"too many fields":                 {get(strings.Repeat("A: b\r\n", maxHeaderFields)), CodeHeaderTooLarge},
		"header too large":                {get(strings.Repeat("A: "+strings.Repeat("b", 4000)+"\r\n", 10)), CodeHeaderTooLarge},
		"header too large, never ending":  {"GET / HTTP/1.1\r\nA: " + strings.Repeat("b", maxHeadBytes), CodeHeaderTooLarge},
		"target too long":                 {"GET /" + strings.Repeat("a", maxTargetBytes) + " HTTP/1.1\r\nHost: a\r\n\r\n", CodeTargetTooLong},
		"target never ending":             {"GET /" + strings.Repeat("a", maxHeadBytes), CodeTargetTooLong},
		"h2 preface":                      {"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", CodeRequestMalformed},
		"second request of two malformed": {get("") + "GET / HTTP/1.1\r\n\r\n", CodeRequestMalformed},
	} {
		t.Run(name, func(t *testing.T) {
			for kind, r := range map[string]io.Reader{
				"whole": strings.NewReader(tt.in), "by the byte": iotest.OneByteReader(strings.NewReader(tt.in)),
			} {
				out, fault, err := frame(r)
				if err != nil || fault == nil || fault.code != tt.code {
					t.Fatalf("%s: got %q, fault %+v, error %v; want a fault with code %s", kind, out, fault, err, tt.code)
				}
				if !strings.HasSuffix(out, markerField+": marker\r\n\r\n") {
					t.Errorf("%s: what net/http sees does not end in the stand-in request: %q", kind, out)
				}
			}
		})
	}
}

// An interrupted read, as by net/http's background read, loses nothing.
func TestFramingIsTakenUpAfterATimeout(t *testing.T) {
	in := "GET / HTTP/1.1\r\nHost: a\r\n\r\n"
	r := iotest.TimeoutReader(iotest.OneByteReader(strings.NewReader(in)))
	f := newFramedConn(readConn{Reader: r}, &origin{}, "marker")
	p := make([]byte, 100)
	if _, err := f.Read(p); !errors.Is(err, iotest.ErrTimeout) {
		t.Fatalf("first read: %v, want a timeout", err)
	}
	if n, err := f.Read(p); err != nil || string(p[:n]) != in {
		t.Fatalf("second read: %q, %v", p[:n], err)
	}
}

var framingSeeds = []string{
	"GET / HTTP/1.1\r\nHost: a\r\n\r\n",
	"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhelloGET / HTTP/1.1\r\nHost: a\r\n\r\n",
	"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nT: v\r\n\r\nGET /x HTTP/1.1\r\nHost: a\r\n\r\n",
	"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n",
	"GET http://a/ HTTP/1.0\r\nHost: a\r\n\r\n",
	"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chun\u212aed\r\n\r\n0\r\n\r\n",
}

// FuzzParseTarget: the short way leads to the same place.
func FuzzParseTarget(f *testing.F) {
	for _, target := range []string{"/rest/api/3/myself", "/a.b-c_d/?x=%2F&y#z", "/?", "/a??", "/a?b?", "//a/b", "///", "/%41", "/a;b", "/a:b", "/~a", "/a#b", "*", "", "a", "?a", "http://a/b", "/\u00e4"} {
		f.Add(target)
	}
	f.Fuzz(func(t *testing.T, target string) {
		got, err := parseTarget(target)
		want, wantErr := url.ParseRequestURI(target)
		if strings.IndexFunc(target, func(r rune) bool { return r < ' ' || r == 0x7f }) >= 0 {
			return // was refused before
		}
		if (err == nil) != (wantErr == nil) || !reflect.DeepEqual(got, want) {
			t.Fatalf("%q: %#v, %v, want %#v, %v", target, got, err, want, wantErr)
		}
	})
}

// FuzzFraming holds the check to net/http: the messages it lets through are
// the messages that net/http reads, with the same bodies and to the last byte;
// and however the bytes arrive, the outcome is the same.
func FuzzFraming(f *testing.F) {
	for _, s := range framingSeeds {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		out, fault, err := frame(bytes.NewReader(in))
		slow, slowFault, _ := frame(iotest.OneByteReader(bytes.NewReader(in)))
		if err != nil {
			t.Fatal(err)
		}
		if (fault == nil) != (slowFault == nil) {
			t.Fatalf("read at once: %+v, read by the byte: %+v", fault, slowFault)
		}
		if fault != nil {
			out, _ = strings.CutSuffix(out, "GET / HTTP/1.1\r\nHost: invalid\r\nConnection: close\r\n"+markerField+": marker\r\n\r\n")
			slow, _ = strings.CutSuffix(slow, "GET / HTTP/1.1\r\nHost: invalid\r\nConnection: close\r\n"+markerField+": marker\r\n\r\n")
		}
		if fault == nil && slow != out || !bytes.HasPrefix(in, []byte(out)) {
			t.Fatalf("let through %q and %q of %q", out, slow, in)
		}
		if fault != nil || !endsWhole(in) {
			return
		}
		r := bufio.NewReader(strings.NewReader(out))
		for {
			request, err := http.ReadRequest(r)
			if errors.Is(err, io.EOF) {
				return
			}
			if err != nil {
				t.Fatalf("net/http refuses what was let through: %v\n%q", err, out)
			}
			if len(request.TransferEncoding) > 0 && request.Header.Get("Content-Length") != "" || request.Host == "" {
				t.Fatalf("ambiguous message let through: %q", out)
			}
			if _, err := io.Copy(io.Discard, request.Body); err != nil {
				t.Fatalf("net/http refuses a body that was let through: %v\n%q", err, out)
			}
		}
	})
}
