package gateway_test

import (
	"bufio"
	"context"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"jiragate/gateway/audit"
	"jiragate/internal/jirasim"
	"jiragate/policy"
	"jiragate/tokenstore"
	"jiragate/tokenstore/secret"
	"jiragate/tokenstore/storetest"
)

// slowPost sends the head of a POST through the base-URL door, lets change
// happen, then sends the body, and returns the answer.
func (w *world) slowPost(path, body string, change func()) string {
	w.t.Helper()
	conn := must(net.Dial("tcp", w.proxy))(w.t)
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(15 * time.Second))
	before := len(w.spans.GetSpans())
	io.WriteString(conn, "POST "+path+" HTTP/1.1\r\nHost: x\r\nConnection: close\r\nProxy-Authorization: "+basic("billing", w.token)+
		"\r\nContent-Type: application/json\r\nExpect: 100-continue\r\nContent-Length: "+itoa(len(body))+"\r\n\r\n")
	// The 100 says that the call was resolved and decided.
	r := bufio.NewReader(conn)
	if line, err := r.ReadString('\n'); err != nil || !strings.Contains(line, "100 Continue") {
		w.t.Fatalf("%q, %v (%d spans before)", line, err, before)
	}
	change()
	io.WriteString(conn, body)
	b, _ := io.ReadAll(r)
	return strings.TrimPrefix(string(b), "\r\n")
}

// A connection that is replaced while a call is on its way leads elsewhere now:
// its new credential must not go where the call was going (G3).
func TestReplacedConnectionGetsNoCredentialOfItsSuccessor(t *testing.T) {
	w := newWorld(t, change{})
	other := must(jirasim.Start(jirasim.Options{Username: "other", Password: "password-of-the-other-jira"}))(t)
	defer other.Close()
	w.secrets = append(w.secrets, "password-of-the-other-jira")
	got := w.slowPost("/c/dc/rest/api/2/issue", documented[20].body, func() {
		if err := storetest.Remove(t.Context(), w.store, "dc"); err != nil {
			t.Fatal(err)
		}
		w.addConnection(tokenstore.Connection{
			ID: "dc", Edition: policy.DataCenter, BaseURL: other.DataCenterURL(), Region: tokenstore.RegionUS,
			CredentialKind: tokenstore.KindBasic, UpstreamCA: string(other.CAPEM()),
		}, tokenstore.Credential{Kind: tokenstore.KindBasic, Username: "other", Password: secret.New("password-of-the-other-jira")})
		if err := w.store.Grant(t.Context(), "billing", "dc"); err != nil {
			t.Fatal(err)
		}
	})
	if !strings.HasPrefix(got, "HTTP/1.1 503 ") || !strings.Contains(got, `"code":"connection_replaced"`) {
		t.Errorf("answer: %s", got)
	}
	w.nothingSent()
	if n := len(other.Requests()); n != 0 {
		t.Errorf("%d calls reached the other Jira", n)
	}
}

// What is taken away while a body is arriving is taken away from that call.
func TestChangesTakeEffectWhileABodyArrives(t *testing.T) {
	for code, happens := range map[string]func(w *world) error{
		"not_granted":         func(w *world) error { return w.store.Revoke(w.t.Context(), "billing", "dc") },
		"client_revoked":      func(w *world) error { return w.store.RemoveClient(w.t.Context(), "billing") },
		"connection_disabled": func(w *world) error { return w.store.SetState(w.t.Context(), "dc", tokenstore.StateDisabled, "test") },
		"connection_replaced": func(w *world) error { return storetest.Remove(w.t.Context(), w.store, "dc") },
		"":                    func(w *world) error { return w.store.SetState(w.t.Context(), "acme", tokenstore.StateDisabled, "test") },
	} {
		t.Run(code, func(t *testing.T) {
			w := newWorld(t, change{})
			got := w.slowPost("/c/dc/rest/api/2/issue", documented[20].body, func() {
				if err := happens(w); err != nil {
					t.Fatal(err)
				}
			})
			want := `"code":"` + code + `"`
			if code == "client_revoked" {
				want = `"code":"client_unidentified"` // outside a tunnel each request identifies itself
			}
			if code == "" {
				want = "HTTP/1.1 201 "
			} else {
				w.nothingSent()
			}
			if !strings.Contains(got, want) {
				t.Errorf("answer: %s", got)
			}
		})
	}
}

// An issue that was created in one Jira is not taken for one of another that
// has come into its place (G10).
func TestPublishedIssueOfAReplacedConnection(t *testing.T) {
	w := newWorld(t, change{})
	w.sim.Fault(jirasim.Fault{Kind: jirasim.Latency, Delay: 300 * time.Millisecond, Times: 1, Method: "POST"})
	done := make(chan reply, 1)
	go func() {
		r, _ := w.try(w.billing(), "POST", w.sim.DataCenterURL()+"/rest/api/2/issue", documented[20].body)
		done <- r
	}()
	if _, err := w.sim.WaitRequest(t.Context(), func(r jirasim.Request) bool { return r.Method == "POST" }); err != nil {
		t.Fatal(err)
	}
	old, _ := w.store.Directory().Connection("dc")
	if err := storetest.Remove(t.Context(), w.store, "dc"); err != nil {
		t.Fatal(err)
	}
	again := *old
	w.addConnection(again, tokenstore.Credential{Kind: tokenstore.KindBasic, Username: jirasim.DefaultUsername, Password: secret.New(jirasim.DefaultPassword)})
	if r := <-done; r.Response == nil || r.StatusCode != 201 {
		t.Fatalf("create: %+v", r)
	}
	for _, issue := range w.sim.Issues(jirasim.DataCenter) {
		if ok, err := w.store.IssuePublished(t.Context(), "dc", issue.Key); ok || err != nil {
			t.Errorf("%s counts as published over the new connection (%v)", issue.Key, err)
		}
	}
}

// A refused request whose body never comes is answered, and holds nothing.
func TestRefusedRequestWithoutItsBodyIsAnswered(t *testing.T) {
	w := newWorld(t, change{})
	auth := "Proxy-Authorization: " + basic("billing", w.token) + "\r\n"
	type answer struct{ name, got, want string }
	answers := make(chan answer)
	cases := map[string][2]string{
		"unidentified": {"POST /x HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n", "HTTP/1.1 407 "},
		"undocumented": {"POST /c/dc/rest/api/2/x HTTP/1.1\r\nHost: x\r\n" + auth + "Content-Length: 9\r\n\r\n", "HTTP/1.1 403 "},
		"chunked":      {"POST /c/dc/rest/api/2/x HTTP/1.1\r\nHost: x\r\n" + auth + "Transfer-Encoding: chunked\r\n\r\n", "HTTP/1.1 403 "},
	}
	for name, c := range cases {
		go func() {
			conn, err := net.Dial("tcp", w.proxy)
			if err != nil {
				answers <- answer{name, err.Error(), c[1]}
				return
			}
			defer conn.Close()
			_ = conn.SetDeadline(time.Now().Add(20 * time.Second))
			io.WriteString(conn, c[0])
			b, err := io.ReadAll(conn)
			if err != nil {
				b = append(b, (" (the connection stays open: " + err.Error() + ")")...)
			}
			answers <- answer{name, string(b), c[1]}
		}()
	}
	for range cases {
		a := <-answers
		if !strings.HasPrefix(a.got, a.want) || strings.Contains(a.got, "stays open") {
			t.Errorf("%s: %q", a.name, a.got)
		}
	}
	w.nothingSent()
}

// CONNECT inside a tunnel is a request like any other, that is refused; and what follows
// it, which its sender may have meant for the tunnel, is not read.
func TestConnectInsideATunnelDoesNotSwitchTheFramingOff(t *testing.T) {
	w := newWorld(t, change{})
	got := exchange(t, w.tunnel("acme.atlassian.net:443", "acme.atlassian.net"),
		"CONNECT acme.atlassian.net:443 HTTP/1.1\r\nHost: acme.atlassian.net:443\r\n\r\n"+
			"GET /rest/api/3/myself HTTP/1.1\nHost: acme.atlassian.net\n\n")
	if strings.Contains(got, "200 OK") || strings.Count(got, "application/problem+json") != 1 || !strings.Contains(got, "Connection: close") {
		t.Errorf("answer: %s", got)
	}
	w.nothingSent()
}

// net/http answers these by itself; here they are refused with a record first.
func TestWhatNetHTTPWouldAnswerIsRecorded(t *testing.T) {
	w := newWorld(t, change{})
	for name, fields := range map[string]string{
		"another expectation":   "Expect: banana\r\n",
		"trailer of the length": "Transfer-Encoding: chunked\r\nTrailer: X, Content-Length\r\n",
	} {
		before := len(w.records())
		got := w.raw("POST /c/acme/rest/api/3/issue HTTP/1.1\r\nHost: x\r\n" + fields + "\r\n")
		if !strings.HasPrefix(got, "HTTP/1.1 400 ") || !strings.Contains(got, `"code":"request_malformed"`) || len(w.records()) != before+1 {
			t.Errorf("%s: %d records, %s", name, len(w.records())-before, got)
		}
	}
}

// A bad request behind a good one does not disturb it.
func TestBadRequestPipelinedBehindAGoodOne(t *testing.T) {
	w := newWorld(t, change{})
	got := w.raw("GET /c/acme/rest/api/3/myself HTTP/1.1\r\nHost: x\r\nProxy-Authorization: " + basic("billing", w.token) + "\r\n\r\nGARBAGE\r\n\r\n")
	if !strings.HasPrefix(got, "HTTP/1.1 200 ") || !strings.Contains(got, "HTTP/1.1 400 ") || !strings.Contains(got, `"code":"request_malformed"`) {
		t.Errorf("answers: %s", got)
	}
}

// A malformed request inside a tunnel is recorded as its client's.
func TestMalformedRequestInsideATunnelIsRecordedAsItsClients(t *testing.T) {
	w := newWorld(t, change{})
	exchange(t, w.tunnel("acme.atlassian.net:443", "acme.atlassian.net"), "GARBAGE\r\n\r\n")
	if r := w.record(func(r audit.Record) bool { return r.Code == "request_malformed" }); r.Client != "billing" {
		t.Errorf("record %+v", r)
	}
	exchange(t, w.tunnel("acme.atlassian.net:443", "acme.atlassian.net"), "GET /x HTTP/1.1\r\nHost: evil.example\r\nConnection: close\r\n\r\n")
	if r := w.record(func(r audit.Record) bool { return r.Code == "authority_mismatch" }); r.Path != "https://evil.example/x" {
		t.Errorf("record %+v", r)
	}
}

// User info in a target may be a password in the wrong place: it is refused and
// does not come into the record.
func TestUserInfoIsNotRecorded(t *testing.T) {
	w := newWorld(t, change{})
	const password = "hunter2hunter2"
	w.secrets = append(w.secrets, password)
	for _, target := range []string{"http://u:" + password + "@acme.atlassian.net/rest/api/3/myself", "http://u:" + password + "@acme.atlassian.net"} {
		w.raw("GET " + target + " HTTP/1.1\r\nHost: u:" + password + "@acme.atlassian.net\r\nConnection: close\r\nProxy-Authorization: " + basic("billing", w.token) + "\r\n\r\n")
	}
	w.raw("CONNECT u:" + password + "@acme.atlassian.net:443 HTTP/1.1\r\nHost: acme.atlassian.net\r\nProxy-Authorization: " + basic("billing", w.token) + "\r\n\r\n")
	if got := len(w.records()); got != 3 {
		t.Errorf("%d records", got)
	}
	w.nothingSent()
}

// Answers that can't be read are refused without quoting them: they may hold
// the credential (G5). The world looks for it in the log.
func TestUnreadableAnswersAreNotQuoted(t *testing.T) {
	w := newWorld(t, change{sim: func(o *jirasim.Options) { o.HTTP1Only = true }})
	credential := must(w.store.Credential(t.Context(), "acme"))(t)
	token := credential.AccessToken.Reveal()
	for _, raw := range []string{
		"HTTP/1.1 200 OK\r\n" + token + "\r\n\r\n",
		"HTTP/1.1 200 OK\r\nContent-Length: " + token + "\r\n\r\n",
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: " + token + "\r\n\r\n",
		"HTTP/1.1 " + token + "\r\n\r\n",
		"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello",
	} {
		w.sim.Fault(jirasim.Fault{Kind: jirasim.Raw, Value: raw, Times: 1})
		r := w.call(w.billing(), "GET", w.sim.SiteURL()+"/rest/api/3/myself", "")
		if r.StatusCode != 502 || r.problem.Code != "upstream_response_invalid" || strings.Contains(r.body, token) {
			t.Errorf("%q: %d %s", strings.ReplaceAll(raw, token, "TOKEN"), r.StatusCode, strings.ReplaceAll(r.body, token, "TOKEN"))
		}
	}
}

// A header beyond the limit gets its answer and record over HTTP/2, too.
func TestHeaderLimitsOverHTTP2(t *testing.T) {
	w := newWorld(t, change{})
	many := make([]string, 0, 240)
	for range 120 {
		many = append(many, "X-Same", "v")
	}
	for name, fields := range map[string][]string{"one large field": {"X-Large", strings.Repeat("a", 40<<10)}, "many of one name": many} {
		before := len(w.records())
		r := w.call(w.billing(), "GET", w.sim.SiteURL()+"/rest/api/3/myself", "", fields...)
		if r.ProtoMajor != 2 || r.StatusCode != http.StatusRequestHeaderFieldsTooLarge || r.problem.Code != "header_too_large" || len(w.records()) != before+1 {
			t.Errorf("%s: %s %d %s", name, r.Proto, r.StatusCode, r.body)
		}
	}
	w.nothingSent()
}

// A record that can't be completed is still told of in full.
func TestFailedRecordKeepsItsName(t *testing.T) {
	w := newWorld(t, change{})
	w.sim.Fault(jirasim.Fault{Kind: jirasim.Latency, Delay: 200 * time.Millisecond, Times: 1})
	done := make(chan reply, 1)
	go func() {
		r, _ := w.try(w.billing(), "GET", w.sim.SiteURL()+"/rest/api/3/myself", "")
		done <- r
	}()
	if _, err := w.sim.WaitRequest(context.Background(), func(jirasim.Request) bool { return true }); err != nil {
		t.Fatal(err)
	}
	w.sim.ClearFaults()
	w.closeAudit()
	if r := <-done; r.Response == nil || r.StatusCode != 200 {
		t.Errorf("the call in flight: %+v", r)
	}
	if log := w.log.String(); !strings.Contains(log, "call record not written") || strings.Contains(log, `"record":""`) {
		t.Errorf("log: %s", log)
	}
	// The next Open records the call as interrupted, so that the invariants of
	// every test hold for this one, too.
	reopened := must(audit.Open(audit.Options{Dir: w.dir + "/audit", Logger: slog.New(slog.DiscardHandler)}))(t)
	if err := reopened.Close(); err != nil {
		t.Fatal(err)
	}
}
