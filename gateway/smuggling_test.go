package gateway_test

import (
	"bufio"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
)

// frontDoor is a way in for requests of HTTP/1.x, by raw bytes.
type frontDoor struct {
	name   string
	prefix string // of request targets
	fields string // Host, and who calls
	open   func() net.Conn
}

// doorsTo are the ways by which "smuggler" reaches Jira.
func (w *world) doorsTo(j *rawJira, token string) []frontDoor {
	authority := strings.TrimPrefix(j.url, "https://")
	auth := "Proxy-Authorization: " + basic("smuggler", token) + "\r\n"
	plain := func() net.Conn { return must(net.Dial("tcp", w.proxy))(w.t) }
	return []frontDoor{
		{"tunnel", "", "Host: " + authority + "\r\n", func() net.Conn { return w.tunnelTo(authority, token) }},
		{"absolute form", "http://" + authority, "Host: " + authority + "\r\n" + auth, plain},
		{"base URL", "/c/echo", "Host: gateway\r\n" + auth, plain},
	}
}

// tunnelTo opens a tunnel of "smuggler".
func (w *world) tunnelTo(authority, token string, alpn ...string) *tls.Conn {
	w.t.Helper()
	conn := must(net.Dial("tcp", w.proxy))(w.t)
	_ = conn.SetDeadline(time.Now().Add(10 * time.Second))
	io.WriteString(conn, "CONNECT "+authority+" HTTP/1.1\r\nHost: "+authority+"\r\nProxy-Authorization: "+basic("smuggler", token)+"\r\n\r\n")
	status := make([]byte, len("HTTP/1.1 200 Connection established\r\n\r\n"))
	if _, err := io.ReadFull(conn, status); err != nil {
		w.t.Fatalf("CONNECT %s: %q, %v", authority, status, err)
	}
	host, _, _ := net.SplitHostPort(authority)
	return tls.Client(conn, &tls.Config{RootCAs: w.roots, ServerName: host, NextProtos: alpn})
}

var inTemplate = regexp.MustCompile(`@(\w+)|<(\w+)>`)

// fill makes a message of a template: @x is the target of the request whose marker is
// x, <host> the fields that every request needs, and <length> and <chunk> are the length
// of a hidden request in decimal and hexadecimal digits.
func (d frontDoor) fill(template string) string {
	return inTemplate.ReplaceAllStringFunc(template, func(s string) string {
		switch s {
		case "@issue":
			return d.prefix + "/rest/api/2/issue"
		case "<host>":
			return d.fields
		case "<length>":
			return itoa(len(d.fill(hidden)))
		case "<chunk>":
			return hex(len(d.fill(hidden)))
		}
		if s[0] == '<' {
			return s
		}
		return d.prefix + picker(s[1:])
	})
}

// answersOf are the answers in out, each as its row would say it: what Jira has echoed,
// or status and code of the gateway's own. In is what they answer.
func answersOf(t *testing.T, in, out string) (all []string) {
	t.Helper()
	r := bufio.NewReader(strings.NewReader(out))
	for {
		if _, err := r.Peek(1); err != nil {
			return all
		}
		method := http.MethodGet
		if len(all) == 0 && strings.HasPrefix(in, "HEAD ") {
			method = http.MethodHead
		}
		response, err := http.ReadResponse(r, &http.Request{Method: method})
		if err != nil {
			t.Errorf("not an answer: %v in %q", err, out)
			return all
		}
		body, err := io.ReadAll(response.Body)
		if err != nil {
			t.Errorf("an answer is cut: %v in %q", err, out)
		}
		all = append(all, answerOf(response.StatusCode, string(body)))
	}
}

func answerOf(status int, body string) string {
	var said struct{ Echo, Code string }
	_ = json.Unmarshal([]byte(body), &said)
	if said.Echo != "" {
		return said.Echo
	}
	return strings.TrimSpace(fmt.Sprintf("%d %s", status, said.Code))
}

// reaching are those of the answers that are Jira's.
func reaching(answers []string) (echoes []string) {
	for _, a := range answers {
		if a != left && (a[0] < '0' || a[0] > '9') {
			echoes = append(echoes, a)
		}
	}
	return echoes
}

// smuggled is a world with a raw Jira, and two clients that share a connection to it, so
// that their calls go by the same sockets.
type smuggled struct {
	*world
	jira     *rawJira
	token    string // of smuggler
	victim   *http.Client
	calls    int // of the victim
	recorded int // of the others' calls, so far
}

func newSmuggled(t *testing.T, protocols ...string) *smuggled {
	w, j := newWorld(t, change{}), newRawJira(t, protocols...)
	j.connect(w, "echo")
	s := &smuggled{world: w, jira: j, token: w.addClient("smuggler", "echo")}
	s.victim = w.client("victim", w.addClient("victim", "echo"))
	s.bystander(t)
	return s
}

// bystander has the victim make a read and a write, which must get their own answers.
func (s *smuggled) bystander(t *testing.T) {
	t.Helper()
	s.calls++
	marker := "victim" + itoa(s.calls)
	if r := s.call(s.victim, "GET", s.jira.url+picker(marker), ""); r.body != echoed("GET "+marker) {
		t.Errorf("the victim's read got %d %s", r.StatusCode, r.body)
	}
	if r := s.call(s.victim, "POST", s.jira.url+"/rest/api/2/issue", issueOf(marker)); r.body != echoed("POST "+marker) {
		t.Errorf("the victim's write got %d %s", r.StatusCode, r.body)
	}
	s.jira.requests("")
}

// check holds what has come to Jira, to clients and into the log since the last time
// against what must have. Want are the answers.
func (s *smuggled) check(t *testing.T, got, want []string) (reached []heard) {
	t.Helper()
	unanswered := func(a string) bool { return a == left }
	if want := slices.DeleteFunc(slices.Clone(want), unanswered); !slices.Equal(got, want) {
		t.Errorf("answers %q, want %q", got, want)
	}
	reached = s.jira.requests("victim")
	var said []string
	for _, h := range reached {
		said = append(said, h.said)
	}
	if !slices.Equal(said, reaching(want)) {
		t.Errorf("Jira was asked %q, want %q", said, reaching(want))
	}
	records := len(want)
	for _, a := range want {
		if a == "100" {
			records-- // is of the next one
		}
	}
	if slices.ContainsFunc(want, unanswered) {
		s.eventually("a record of who has left", func() bool { return s.smugglers() >= s.recorded+records })
	}
	if now := s.smugglers(); now != s.recorded+records {
		t.Errorf("%d records, want %d", now-s.recorded, records)
		records = now - s.recorded
	}
	s.recorded += records
	return reached
}

// smugglers is how many records there are of others than the victim.
func (s *smuggled) smugglers() (n int) {
	for _, r := range s.records() {
		if r.Client != "victim" {
			n++
		}
	}
	return n
}

// Of strangers' refusals the first ones are recorded one by one, of each network, and what
// is malformed outside of a tunnel is a stranger's. So a world has no more rows than that.
const rowsOfOneWorld = 20

// Messages that hide a request from a hop in front, or behind: nothing reaches Jira but
// what they say plainly, each answer goes to its request, and the sockets to Jira, which
// all clients of a connection share, stay clean.
func TestSmuggling(t *testing.T) {
	for i, name := range []string{"tunnel", "absolute form", "base URL"} {
		t.Run(name, func(t *testing.T) {
			for rows := range slices.Chunk(smuggling, rowsOfOneWorld) {
				t.Run(rows[0].name+" and others", func(t *testing.T) {
					s := newSmuggled(t)
					for _, row := range rows {
						t.Run(row.name, func(t *testing.T) { s.smuggle(t, s.doorsTo(s.jira, s.token)[i], row) })
					}
				})
			}
		})
	}
}

// smuggle sends a row by a door.
func (s *smuggled) smuggle(t *testing.T, d frontDoor, row smugglingRow) {
	want := row.want
	if row.outside != nil && d.name != "tunnel" {
		want = row.outside
	}
	in := d.fill(row.in)
	if !row.cut {
		in += d.fill("GET @next HTTP/1.1\r\n<host>Connection: close\r\n\r\n")
	}
	conn := d.open()
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(10 * time.Second))
	_, _ = io.WriteString(conn, in) // it may be refused before all of it was read
	if row.cut {
		_ = conn.(interface{ CloseWrite() error }).CloseWrite()
	}
	out, err := io.ReadAll(conn)
	if err != nil {
		t.Logf("read: %v", err)
	}
	reached := s.check(t, answersOf(t, in, string(out)), want)
	if len(reaching(want)) == len(want) && !row.ownReading {
		likeNetHTTP(t, in, reached)
	}
	s.bystander(t)
}

// likeNetHTTP holds what has reached Jira to what net/http reads in the same bytes.
func likeNetHTTP(t *testing.T, in string, reached []heard) {
	t.Helper()
	r := bufio.NewReader(strings.NewReader(in))
	for _, h := range reached {
		request, err := http.ReadRequest(r)
		if err != nil {
			t.Errorf("net/http reads no request where %s has reached Jira: %v", h.said, err)
			return
		}
		b, err := io.ReadAll(request.Body)
		if err != nil {
			t.Errorf("net/http can't read the body of %s: %v", h.said, err)
		}
		body := string(b)
		if request.Method == http.MethodGet {
			body = "" // is dropped
		}
		_, target, _ := strings.Cut(request.URL.RequestURI(), "/rest/")
		if said := request.Method + " " + markerOf(request, body); said != h.said || body != h.body || "/rest/"+target != h.target {
			t.Errorf("net/http reads %s of %s %q; Jira got %s of %s %q", said, "/rest/"+target, body, h.said, h.target, h.body)
		}
		if request.Close {
			return
		}
	}
	if request, err := http.ReadRequest(r); err == nil {
		t.Errorf("net/http reads a request more: %s %s", request.Method, request.RequestURI)
	}
}
