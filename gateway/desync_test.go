package gateway_test

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"

	"jiragate/gateway/audit"
)

// poisoned is an answer that nobody may get.
const poisoned = `{"echo":"poisoned"}`

// whole is the answer that belongs to the first call of a row.
var whole = echoed("GET first")

func answerWith(fields, body string) string { return "HTTP/1.1 200 OK\r\n" + fields + "\r\n" + body }

// inChunks is an answer in chunks, of which N is the length of the first one, which is BODY.
func inChunks(framing string) string {
	return answerWith("Transfer-Encoding: chunked\r\n", strings.NewReplacer("N", hex(len(whole)), "BODY", whole).Replace(framing))
}

// desync are answers of a Jira that wants the next call to get something else than its own
// answer.
var desync = []struct {
	name   string
	answer string
	closes bool   // the socket, behind it
	want   string // what Jira echoes, or the gateway's refusal, or cut
	reused bool   // the socket, by the next call
}{
	{name: "nothing special", answer: plainAnswer(whole), want: "GET first", reused: true},
	{name: "two answers", answer: plainAnswer(whole) + plainAnswer(poisoned), want: "GET first"},
	{name: "an answer and a byte", answer: plainAnswer(whole) + "H", want: "GET first"},
	{name: "an answer and an empty line", answer: plainAnswer(whole) + "\r\n", want: "GET first"},
	{name: "an answer and a 1xx one", answer: plainAnswer(whole) + "HTTP/1.1 100 Continue\r\n\r\n", want: "GET first"},
	{name: "an empty answer and another one", answer: plainAnswer("") + plainAnswer(poisoned), want: "200"},
	{name: "204 with a body", answer: "HTTP/1.1 204 No Content\r\nContent-Length: " + itoa(len(poisoned)) + "\r\n\r\n" + poisoned, want: "204"},
	{name: "204 with chunks", answer: "HTTP/1.1 204 No Content\r\nTransfer-Encoding: chunked\r\n\r\n" + hex(len(poisoned)) + "\r\n" + poisoned + "\r\n0\r\n\r\n", want: "204"},
	{name: "304 with a body", answer: "HTTP/1.1 304 Not Modified\r\nContent-Length: " + itoa(len(poisoned)) + "\r\n\r\n" + poisoned, want: "304"},
	{name: "304 and an answer", answer: "HTTP/1.1 304 Not Modified\r\n\r\n" + plainAnswer(poisoned), want: "304"},

	{name: "length and chunks", answer: answerWith("Content-Length: 3\r\nTransfer-Encoding: chunked\r\n", hex(len(whole))+"\r\n"+whole+"\r\n0\r\n\r\n"), want: "GET first", reused: true},
	{name: "chunks and length of the first answer", answer: answerWith("Transfer-Encoding: chunked\r\nContent-Length: 5\r\n", "0\r\n\r\n"+plainAnswer(poisoned)), want: "200"},
	{name: "two equal lengths", answer: answerWith("Content-Length: "+itoa(len(whole))+"\r\nContent-Length: "+itoa(len(whole))+"\r\n", whole), want: "GET first", reused: true},
	{name: "two lengths", answer: answerWith("Content-Length: "+itoa(len(whole))+"\r\nContent-Length: 0\r\n", whole), want: "502 upstream_response_invalid"},
	{name: "a list of lengths", answer: answerWith("Content-Length: 0, "+itoa(len(whole))+"\r\n", whole), want: "502 upstream_response_invalid"},
	{name: "a signed length", answer: answerWith("Content-Length: +"+itoa(len(whole))+"\r\n", whole), want: "502 upstream_response_invalid"},
	{name: "a negative length", answer: answerWith("Content-Length: -1\r\n", whole), want: "502 upstream_response_invalid"},
	{name: "a length of 2^63", answer: answerWith("Content-Length: 9223372036854775808\r\n", whole), want: "502 upstream_response_invalid"},
	{name: "a shorter length", answer: answerWith("Content-Length: 5\r\n", whole), want: "200"},
	{name: "a longer length", answer: answerWith("Content-Length: 500\r\n", whole), closes: true, want: "502 upstream_unreachable"},
	{name: "no length", answer: answerWith("", whole), closes: true, want: "GET first"},
	{name: "no length, and a lie", answer: answerWith("Connection: keep-alive\r\n", whole+plainAnswer(poisoned)), closes: true, want: "200"},
	{name: "HTTP/1.0 without a length, and a lie", answer: "HTTP/1.0 200 OK\r\nConnection: keep-alive\r\n\r\n" + whole, closes: true, want: "GET first"},
	{name: "HTTP/1.0 with chunks", answer: "HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", closes: true, want: "200"},
	{name: "the last one", answer: answerWith("Connection: close\r\nContent-Length: "+itoa(len(whole))+"\r\n", whole+plainAnswer(poisoned)), want: "GET first"},

	{name: "chunks", answer: inChunks("N\r\nBODY\r\n0\r\n\r\n"), want: "GET first", reused: true},
	{name: "chunks and an answer", answer: inChunks("N\r\nBODY\r\n0\r\n\r\n" + plainAnswer(poisoned)), want: "GET first"},
	{name: "chunks and trailers that frame", answer: inChunks("N\r\nBODY\r\n0\r\nContent-Length: 500\r\n\r\n"), want: "GET first", reused: true},
	{name: "a coding that is none", answer: answerWith("Transfer-Encoding: xchunked\r\n", whole), want: "502 upstream_response_invalid"},
	{name: "chunked by a Kelvin sign", answer: answerWith("Transfer-Encoding: chun\u212aed\r\nContent-Length: 3\r\n", "0\r\n\r\n"), want: "502 upstream_response_invalid"},
	{name: "two codings", answer: answerWith("Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n", whole), want: "502 upstream_response_invalid"},
	{name: "a chunk longer than said", answer: inChunks("1\r\nBODY\r\n0\r\n\r\n"), want: "502 upstream_response_invalid"},
	{name: "a chunk size with 0x", answer: inChunks("0xN\r\nBODY\r\n0\r\n\r\n"), want: "502 upstream_response_invalid"},
	{name: "a chunk size that wraps", answer: inChunks("10000000000000000N\r\nBODY\r\n0\r\n\r\n"), want: "502 upstream_response_invalid"},
	{name: "a chunk size of no digits", answer: inChunks("\r\nBODY\r\n0\r\n\r\n"), want: "502 upstream_response_invalid"},
	{name: "no last chunk", answer: inChunks("N\r\nBODY\r\n"), closes: true, want: cut},

	{name: "hints before", answer: "HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n" + plainAnswer(whole), want: "GET first", reused: true},
	{name: "hints that claim a length", answer: "HTTP/1.1 103 Early Hints\r\nContent-Length: " + itoa(len(plainAnswer(poisoned))) + "\r\n\r\n" + plainAnswer(whole), want: "GET first", reused: true},
	{name: "100 unasked", answer: "HTTP/1.1 100 Continue\r\n\r\n" + plainAnswer(whole), want: "GET first", reused: true},
	{name: "a flood of hints", answer: strings.Repeat("HTTP/1.1 103 Early Hints\r\n\r\n", 1000), want: "502 upstream_response_invalid"},
	{name: "101", answer: "HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n" + plainAnswer(poisoned), want: "502 upstream_response_invalid"},
	{name: "status 099", answer: "HTTP/1.1 099 x\r\nContent-Length: 0\r\n\r\n", want: "502 upstream_response_invalid"},
	{name: "status 999", answer: "HTTP/1.1 999 x\r\nContent-Length: 0\r\n\r\n", want: "502 upstream_response_invalid", reused: true},

	{name: "HTTP/0.9", answer: poisoned, closes: true, want: "502 upstream_response_invalid"},
	{name: "HTTP/2.0 in a status line", answer: "HTTP/2.0 200 OK\r\nContent-Length: " + itoa(len(whole)) + "\r\n\r\n" + whole, want: "GET first"},
	{name: "an empty line before", answer: "\r\n" + plainAnswer(poisoned), want: "502 upstream_response_invalid"},
	// To net/http that is another field, and the answer one that ends with its socket.
	{name: "a name with a space", answer: answerWith("Content-Length : 3\r\n", whole), closes: true, want: "GET first"},
	{name: "no colon", answer: answerWith("x\r\nContent-Length: "+itoa(len(whole))+"\r\n", whole), want: "502 upstream_response_invalid"},
	{name: "a head without end", answer: "HTTP/1.1 200 OK\r\n" + strings.Repeat("X: "+strings.Repeat("x", 1000)+"\r\n", 100), want: "502 upstream_response_invalid"},
}

// Whatever Jira answers, the next call of the connection gets its own answer, or none; and
// another connection, though it has the same origin, is never touched, since it has sockets
// of its own.
func TestDesync(t *testing.T) {
	w, j := newWorld(t, change{}), newRawJira(t)
	mine, other := j.connect(w, "echo"), j.connect(w, "other")
	client, bystander := w.client("smuggler", w.addClient("smuggler", "echo")), w.client("victim", w.addClient("victim", "other"))
	for i, row := range desync {
		t.Run(row.name, func(t *testing.T) {
			j.script("first", func(c net.Conn, _ *http.Request, _ string) bool {
				_, err := io.WriteString(c, row.answer)
				return err == nil && !row.closes
			})
			w.call(client, "GET", j.url+picker("before"), "") // so that there is a socket
			own := func(when string) {
				t.Helper()
				marker := "bystander" + itoa(i) + when
				if r := w.call(bystander, "POST", j.url+"/rest/api/2/issue", issueOf(marker)); r.body != echoed("POST "+marker) {
					t.Errorf("the other connection got %d %s", r.StatusCode, r.body)
				}
			}
			own("before")
			if got := w.first(t, client, j); got != row.want {
				t.Errorf("%s, want %s", got, row.want)
			}
			own("between")
			// A write, which is not sent again.
			if r := w.call(client, "POST", j.url+"/rest/api/2/issue", issueOf("next")); r.body != echoed("POST next") {
				t.Errorf("the next call got %d %s", r.StatusCode, r.body)
			}
			own("after")
			sockets := map[string]int{}
			for _, h := range j.requests("bystander") {
				sockets[h.said] = h.socket
			}
			if got := sockets["GET first"] == sockets["POST next"]; got != row.reused {
				t.Errorf("the socket is used again: %v, want %v", got, row.reused)
			}
		})
	}
	apart(t, j, mine, other)
}

// first makes the call whose answer is the row's, and says what its client got.
func (w *world) first(t *testing.T, client *http.Client, j *rawJira) string {
	t.Helper()
	r, err := w.try(client, "GET", j.url+picker("first"), "")
	if err != nil {
		t.Logf("read: %v", err)
		return cut
	}
	return answerOf(r.StatusCode, r.body)
}

// cut stands for an answer that its client sees is not whole.
const cut = "cut"

// apart holds that no socket to j has carried both credentials, in all of the test.
func apart(t *testing.T, j *rawJira, credentials ...string) {
	t.Helper()
	j.mu.Lock()
	defer j.mu.Unlock()
	for _, c := range credentials {
		if len(j.carried[c]) == 0 {
			t.Errorf("a connection has made no call")
		}
		for socket := range j.carried[c] {
			for _, o := range credentials {
				if o != c && j.carried[o][socket] {
					t.Errorf("socket %d has carried the calls of two connections", socket)
				}
			}
		}
	}
}

// Two connections never share a socket to Jira, though they have the same origin, the same
// CA and the same client, over HTTP/1.1 and HTTP/2.
func TestConnectionsShareNoSocket(t *testing.T) {
	for _, protocol := range []string{"http/1.1", "h2"} {
		t.Run(protocol, func(t *testing.T) {
			w, j := newWorld(t, change{}), newRawJira(t, protocol)
			j.streams = j.serveStreams
			one, two := j.connect(w, "one"), j.connect(w, "two")
			client := w.client("both", w.addClient("both", "one", "two"))
			for i := range 20 {
				for _, id := range []string{"one", "two"} {
					marker := fmt.Sprint(id, i)
					if r := w.call(client, "GET", j.url+picker(marker), "", "Jira-Connection", id); r.body != echoed("GET "+marker) {
						t.Errorf("%s got %d %s", id, r.StatusCode, r.body)
					}
				}
			}
			apart(t, j, one, two)
			if j.sockets != 2 {
				t.Errorf("%d sockets for two connections, one after the other", j.sockets)
			}
		})
	}
}

// serveStreams answers each request of HTTP/2 as echo does.
func (j *rawJira) serveStreams(socket int, c net.Conn) { j.serveFrames(socket, c, nil) }

// serveFrames serves HTTP/2 by hand. Answer answers the streams of the marker "first".
func (j *rawJira) serveFrames(socket int, c net.Conn, answer func(*jiraFrames, uint32)) {
	if _, err := io.ReadFull(c, make([]byte, len(http2.ClientPreface))); err != nil {
		return
	}
	f := &jiraFrames{Framer: http2.NewFramer(c, c)}
	f.AllowIllegalWrites = true
	f.ReadMetaHeaders = hpack.NewDecoder(4<<10, nil)
	f.encoder = hpack.NewEncoder(&f.block)
	_ = f.WriteSettings()
	requests := map[uint32]*http2.MetaHeadersFrame{}
	bodies := map[uint32]string{}
	for {
		frame, err := f.ReadFrame()
		if err != nil {
			return
		}
		id, ended := frame.Header().StreamID, false
		switch frame := frame.(type) {
		case *http2.SettingsFrame:
			if !frame.IsAck() {
				_ = f.WriteSettingsAck()
			}
		case *http2.MetaHeadersFrame:
			requests[id], ended = frame, frame.StreamEnded()
		case *http2.DataFrame:
			bodies[id] += string(frame.Data())
			ended = frame.StreamEnded()
		case *http2.GoAwayFrame:
			return
		}
		if !ended || requests[id] == nil {
			continue
		}
		r := requestOf(requests[id])
		marker := markerOf(r, bodies[id])
		j.hear(socket, r, marker, bodies[id])
		if marker == "first" && answer != nil {
			answer(f, id)
			continue
		}
		f.headers(id, false, ":status", "200", "content-type", "application/json")
		_ = f.WriteData(id, true, []byte(echoed(r.Method+" "+marker)))
	}
}

func requestOf(f *http2.MetaHeadersFrame) *http.Request {
	r, err := http.NewRequest(f.PseudoValue("method"), "https://jira"+f.PseudoValue("path"), nil)
	if err != nil {
		return &http.Request{Header: http.Header{}}
	}
	for _, field := range f.RegularFields() {
		r.Header.Add(field.Name, field.Value)
	}
	r.RequestURI = f.PseudoValue("path")
	return r
}

// jiraFrames is Jira's end of HTTP/2.
type jiraFrames struct {
	*http2.Framer
	block   strings.Builder
	encoder *hpack.Encoder
}

func (f *jiraFrames) headers(stream uint32, end bool, fields ...string) {
	f.block.Reset()
	for i := 0; i < len(fields); i += 2 {
		_ = f.encoder.WriteField(hpack.HeaderField{Name: fields[i], Value: fields[i+1]})
	}
	_ = f.WriteHeaders(http2.HeadersFrameParam{StreamID: stream, BlockFragment: []byte(f.block.String()), EndHeaders: true, EndStream: end})
}

// The same over HTTP/2, where answers are told apart by their streams.
func TestDesyncOverHTTP2(t *testing.T) {
	length := itoa(len(whole))
	for _, row := range []struct {
		name   string
		answer func(f *jiraFrames, id uint32)
		want   string
	}{
		{"nothing special", func(f *jiraFrames, id uint32) {
			f.headers(id, false, ":status", "200", "content-length", length)
			f.WriteData(id, true, []byte(whole))
		}, "GET first"},
		{"DATA behind the end", func(f *jiraFrames, id uint32) {
			f.headers(id, false, ":status", "200", "content-length", length)
			f.WriteData(id, true, []byte(whole))
			f.WriteData(id, true, []byte(poisoned))
		}, "GET first"},
		{"another answer behind the end", func(f *jiraFrames, id uint32) {
			f.headers(id, false, ":status", "200")
			f.WriteData(id, true, []byte(whole))
			f.headers(id, false, ":status", "200")
			f.WriteData(id, true, []byte(poisoned))
		}, "GET first"},
		{"the answer of a stream that is not asked yet", func(f *jiraFrames, id uint32) {
			f.headers(id+2, false, ":status", "200")
			f.WriteData(id+2, true, []byte(poisoned))
			f.headers(id, false, ":status", "200")
			f.WriteData(id, true, []byte(whole))
		}, "502 upstream_response_invalid"},
		{"a shorter length", func(f *jiraFrames, id uint32) {
			f.headers(id, false, ":status", "200", "content-length", "5")
			f.WriteData(id, true, []byte(whole))
		}, "502 upstream_response_invalid"},
		{"a longer length", func(f *jiraFrames, id uint32) {
			f.headers(id, false, ":status", "200", "content-length", "500")
			f.WriteData(id, true, []byte(whole))
		}, "502 upstream_unreachable"},
		{"two lengths", func(f *jiraFrames, id uint32) {
			f.headers(id, false, ":status", "200", "content-length", length, "content-length", "5")
			f.WriteData(id, true, []byte(whole))
		}, "GET first"},
		{"a coding of HTTP/1.1", func(f *jiraFrames, id uint32) {
			f.headers(id, false, ":status", "200", "transfer-encoding", "chunked")
			f.WriteData(id, true, []byte("0\r\n\r\n"+poisoned))
		}, "200"},
		{"a line in a value", func(f *jiraFrames, id uint32) {
			f.headers(id, false, ":status", "200", "etag", "x\r\nSet-Cookie: y")
			f.WriteData(id, true, []byte(whole))
		}, "502 upstream_unreachable"},
		{"no status", func(f *jiraFrames, id uint32) {
			f.headers(id, false, "x", "y")
			f.WriteData(id, true, []byte(poisoned))
		}, "502 upstream_unreachable"},
		{"status 101", func(f *jiraFrames, id uint32) {
			f.headers(id, false, ":status", "101")
			f.headers(id, false, ":status", "200")
			f.WriteData(id, true, []byte(whole))
		}, "GET first"},
		{"a flood of hints", func(f *jiraFrames, id uint32) {
			for range 3000 {
				f.headers(id, false, ":status", "103")
			}
		}, "502 upstream_unreachable"},
		{"hints that end the stream", func(f *jiraFrames, id uint32) { f.headers(id, true, ":status", "103") }, "502 upstream_unreachable"},
		{"204 with a body", func(f *jiraFrames, id uint32) {
			f.headers(id, false, ":status", "204")
			f.WriteData(id, true, []byte(poisoned))
		}, cut},
		{"a pushed answer", func(f *jiraFrames, id uint32) {
			f.WritePushPromise(http2.PushPromiseParam{StreamID: id, PromiseID: 2, EndHeaders: true})
			f.headers(2, false, ":status", "200")
			f.WriteData(2, true, []byte(poisoned))
		}, "502 upstream_response_invalid"},
		{"a reset", func(f *jiraFrames, id uint32) { f.WriteRSTStream(id, http2.ErrCodeInternal) }, "502 upstream_unreachable"},
	} {
		t.Run(row.name, func(t *testing.T) {
			w, j := newWorld(t, change{}), newRawJira(t, "h2")
			j.streams = func(socket int, c net.Conn) { j.serveFrames(socket, c, row.answer) }
			mine, other := j.connect(w, "echo"), j.connect(w, "other")
			client, bystander := w.client("smuggler", w.addClient("smuggler", "echo")), w.client("victim", w.addClient("victim", "other"))
			w.call(client, "GET", j.url+picker("before"), "")
			w.call(bystander, "GET", j.url+picker("before"), "")
			if got := w.first(t, client, j); got != row.want {
				t.Errorf("%s, want %s", got, row.want)
			}
			// What Jira says of the connection may reach the gateway while the next call
			// is being sent by it: that may fail, but gets no other answer.
			for range 2 {
				if r := w.call(client, "POST", j.url+"/rest/api/2/issue", issueOf("next")); r.body != echoed("POST next") && r.problem.Code != "upstream_unreachable" {
					t.Errorf("the next call got %d %s", r.StatusCode, r.body)
				}
			}
			if r := w.call(client, "POST", j.url+"/rest/api/2/issue", issueOf("last")); r.body != echoed("POST last") {
				t.Errorf("the last call got %d %s", r.StatusCode, r.body)
			}
			if r := w.call(bystander, "POST", j.url+"/rest/api/2/issue", issueOf("bystander")); r.body != echoed("POST bystander") {
				t.Errorf("the other connection got %d %s", r.StatusCode, r.body)
			}
			apart(t, j, mine, other)
		})
	}
}

// Jira answers before it has read the body: the rest of the body is never taken for a
// request, and the next call has another socket.
func TestAnswersBeforeTheBodyWasRead(t *testing.T) {
	w, j := newWorld(t, change{}), newRawJira(t)
	j.connect(w, "echo")
	client := w.client("smuggler", w.addClient("smuggler", "echo"))
	long := issueOf(strings.Repeat("GET "+picker("hidden")+" HTTP/1.1 ", 8000))
	j.answersEarly(plainAnswer(echoed("early")))
	r, err := w.try(client, "POST", j.url+"/rest/api/2/issue", long)
	if err != nil || r.body != echoed("early") && r.problem.Code != "upstream_unreachable" {
		t.Errorf("%d %.200s, %v", r.StatusCode, r.body, err)
	}
	j.answersEarly("")
	if r := w.call(client, "POST", j.url+"/rest/api/2/issue", issueOf("next")); r.body != echoed("POST next") {
		t.Errorf("the next call got %d %s", r.StatusCode, r.body)
	}
	for _, h := range j.requests("next") {
		t.Errorf("Jira was asked %s", h.said)
	}
	w.record(func(r audit.Record) bool { return r.BytesIn == int64(len(long)) })
}
