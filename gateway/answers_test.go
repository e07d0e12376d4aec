package gateway_test

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"jiragate/gateway"
	"jiragate/gateway/audit"
	"jiragate/gateway/egress"
	"jiragate/internal/jirasim"
	"jiragate/tokenstore"
	"jiragate/tokenstore/oauth"
	"jiragate/tokenstore/secret"
)

// What fails on the way gets a code of its own, and a write is sent once.
func TestFailuresOnTheWay(t *testing.T) {
	w := newWorld(t, change{})
	for _, tt := range []struct {
		fault  jirasim.Fault
		status int
		code   string
	}{
		{jirasim.Fault{Kind: jirasim.ResetBeforeHeaders}, 502, "upstream_unreachable"},
		{jirasim.Fault{Kind: jirasim.HugeHeaders}, 502, "upstream_response_invalid"},
		{jirasim.Fault{Kind: jirasim.Raw, Value: "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello"}, 502, "upstream_unreachable"},
		{jirasim.Fault{Kind: jirasim.ResetAfterHeaders}, 502, "upstream_unreachable"},
		{jirasim.Fault{Kind: jirasim.Truncate}, 502, "upstream_unreachable"},
		{jirasim.Fault{Kind: jirasim.ErrorStatus, Delay: 7 * time.Second}, 503, ""},
		{jirasim.Fault{Kind: jirasim.HTMLPage}, 502, ""},
	} {
		t.Run(string(tt.fault.Kind), func(t *testing.T) {
			defer w.sim.Fault(tt.fault)()
			w.sim.Reset()
			r := w.call(w.billing(), "POST", w.sim.DataCenterURL()+"/rest/api/2/issue", documented[20].body)
			if r.StatusCode != tt.status || r.problem.Code != tt.code {
				t.Errorf("%d %s, want %d %s", r.StatusCode, r.body, tt.status, tt.code)
			}
			if got := len(w.sim.Requests()); got != 1 {
				t.Errorf("the write was sent %d times", got)
			}
			newest := w.records()[len(w.records())-1]
			if newest.Decision != "allow" || newest.Status != tt.status || newest.Code != tt.code {
				t.Errorf("record %+v", newest)
			}
		})
	}
}

func TestSwitchingProtocolsIsRefused(t *testing.T) {
	w := newWorld(t, change{sim: func(o *jirasim.Options) { o.HTTP1Only = true }})
	w.sim.Fault(jirasim.Fault{Kind: jirasim.SwitchingProtocols, Times: 1})
	if r := w.call(w.billing(), "GET", w.sim.DataCenterURL()+"/rest/api/2/myself", ""); r.StatusCode != 502 || r.problem.Code != "upstream_response_invalid" {
		t.Errorf("%d %s", r.StatusCode, r.body)
	}
}

// A slow answer reaches the client piece by piece, not at its end.
func TestAnswersAreStreamed(t *testing.T) {
	w := newWorld(t, change{})
	for name, path := range map[string]string{"HTTP/2": w.sim.SiteURL() + "/rest/api/3/myself", "HTTP/1.1": w.sim.DataCenterURL() + "/rest/api/2/myself"} {
		clear := w.sim.Fault(jirasim.Fault{Kind: jirasim.Endless, Size: 10, Delay: 20 * time.Millisecond})
		ctx, cancel := context.WithCancel(t.Context())
		request := must(http.NewRequestWithContext(ctx, "GET", path, nil))(t)
		response := must(w.billing().Do(request))(t)
		// The answer never ends: whatever is read came before its end.
		if _, err := io.ReadFull(response.Body, make([]byte, 30)); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		// A client that leaves ends the call to Jira, too.
		cancel()
		response.Body.Close()
		clear()
		w.record(func(r audit.Record) bool { return r.Code == "client_disconnected" && r.Status == 200 })
		wait, stop := context.WithTimeout(t.Context(), 5*time.Second)
		if _, err := w.sim.WaitRequest(wait, func(r jirasim.Request) bool { return r.Aborted }); err != nil {
			t.Errorf("%s: the call to Jira goes on: %v", name, err)
		}
		stop()
	}
}

// A client that leaves before Jira's answer began ends the call as well.
func TestDisconnectBeforeTheAnswer(t *testing.T) {
	w := newWorld(t, change{})
	w.sim.Fault(jirasim.Fault{Kind: jirasim.Latency, Delay: 30 * time.Second, Times: 1})
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() {
		request, _ := http.NewRequestWithContext(ctx, "GET", w.sim.SiteURL()+"/rest/api/3/myself", nil)
		_, err := w.billing().Do(request)
		done <- err
	}()
	if _, err := w.sim.WaitRequest(t.Context(), func(jirasim.Request) bool { return true }); err != nil {
		t.Fatal(err)
	}
	cancel()
	if err := <-done; !errors.Is(err, context.Canceled) {
		t.Errorf("client: %v", err)
	}
	w.record(func(r audit.Record) bool { return r.Code == "client_disconnected" })
}

// An answer that breaks off after its header was passed on breaks off at the
// client as well.
func TestLongAnswerThatBreaksOff(t *testing.T) {
	w := newWorld(t, change{})
	w.sim.Fault(jirasim.Fault{Kind: jirasim.Truncate, Times: 1, Size: 1 << 20})
	r, err := w.try(w.billing(), "GET", w.sim.SiteURL()+"/rest/api/3/myself", "")
	if err == nil {
		t.Errorf("the answer looks whole: %d %s", r.StatusCode, r.body)
	}
	w.record(func(r audit.Record) bool { return r.Code == "upstream_response_incomplete" })
}

// Expect: 100-continue is answered once, and only when the body is wanted.
func TestExpectContinue(t *testing.T) {
	w := newWorld(t, change{})
	for name, tt := range map[string]struct {
		path      string
		continues int
		status    string
	}{
		"allowed": {"/rest/api/3/issue", 1, "201"},
		"refused": {"/rest/api/3/issue/bulk", 0, "403"},
	} {
		conn := w.tunnel("acme.atlassian.net:443", "acme.atlassian.net")
		body := documented[9].body
		got := exchange(t, conn, "POST "+tt.path+" HTTP/1.1\r\nHost: acme.atlassian.net\r\nConnection: close\r\nExpect: 100-continue\r\nContent-Type: application/json\r\nContent-Length: "+
			itoa(len(body))+"\r\n\r\n"+body)
		if n := strings.Count(got, "HTTP/1.1 100 "); n != tt.continues || !strings.Contains(got, "HTTP/1.1 "+tt.status) {
			t.Errorf("%s: %s", name, got)
		}

		c := w.http2().listen()
		fields := create("expect: 100-continue", "content-length: "+itoa(len(body)))
		fields[3] = ":path: " + tt.path
		if err := c.request(1, false, fields...); err != nil {
			t.Fatal(err)
		}
		if tt.continues > 0 {
			c.awaitAsked(1)
			if err := c.WriteData(1, true, []byte(body)); err != nil {
				t.Fatal(err)
			}
		}
		if a := c.await(1); a.asked != (tt.continues > 0) || a.status != tt.status {
			t.Errorf("%s, HTTP/2: %+v", name, a)
		}
		c.conn.Close()
	}
}

// Chunked bodies and their trailers: the body is read whole, trailers stay.
func TestRequestTrailersAreDropped(t *testing.T) {
	w := newWorld(t, change{})
	conn := w.tunnel("acme.atlassian.net:443", "acme.atlassian.net")
	body := documented[9].body
	got := exchange(t, conn, "POST /rest/api/3/issue HTTP/1.1\r\nHost: acme.atlassian.net\r\nConnection: close\r\nTransfer-Encoding: chunked\r\nTrailer: Authorization\r\nContent-Type: application/json\r\n\r\n"+
		hex(len(body))+"\r\n"+body+"\r\n0\r\nAuthorization: Bearer mine\r\nX-Trailer: x\r\n\r\n")
	if !strings.HasPrefix(got, "HTTP/1.1 201 ") {
		t.Fatal(got)
	}
	arrived := w.sim.Requests()[0]
	if len(arrived.Trailer) > 0 || arrived.Header.Get("Transfer-Encoding") != "" || arrived.Header.Get("Trailer") != "" {
		t.Errorf("Jira saw trailers: %+v", arrived)
	}
}

// TLS bytes that come in one packet with CONNECT are not lost.
func TestEarlyBytesAfterConnect(t *testing.T) {
	w := newWorld(t, change{})
	front, back := net.Pipe()
	defer front.Close()
	// A client that writes its hello without waiting for the 200.
	conn := must(net.Dial("tcp", w.proxy))(t)
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(10 * time.Second))
	hello := make(chan []byte)
	go func() {
		b := make([]byte, 4096)
		n, _ := back.Read(b)
		hello <- b[:n]
	}()
	tc := tlsClient(front, w, "acme.atlassian.net")
	go func() { _ = tc.Handshake() }()
	first := <-hello
	io.WriteString(conn, "CONNECT acme.atlassian.net:443 HTTP/1.1\r\nHost: acme.atlassian.net:443\r\nProxy-Authorization: "+basic("billing", w.token)+"\r\n\r\n"+string(first))
	r := bufio.NewReader(conn)
	status, err := r.ReadString('\n')
	if err != nil || !strings.HasPrefix(status, "HTTP/1.1 200") {
		t.Fatalf("%q, %v", status, err)
	}
	if _, err := r.ReadString('\n'); err != nil {
		t.Fatal(err)
	}
	if b, err := r.Peek(1); err != nil || b[0] != 22 {
		t.Errorf("the gateway does not answer the hello: %v %v", b, err)
	}
}

// Shutting down lets a call inside a tunnel finish.
func TestShutdownDrainsTunnels(t *testing.T) {
	w := newWorld(t, change{})
	w.sim.Fault(jirasim.Fault{Kind: jirasim.Latency, Delay: 300 * time.Millisecond, Times: 1})
	done := make(chan reply, 1)
	go func() {
		r, _ := w.try(w.billing(), "GET", w.sim.SiteURL()+"/rest/api/3/myself", "")
		done <- r
	}()
	if _, err := w.sim.WaitRequest(t.Context(), func(jirasim.Request) bool { return true }); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	if err := w.gateway.Shutdown(ctx); err != nil {
		t.Errorf("shut down: %v", err)
	}
	if r := <-done; r.Response == nil || r.StatusCode != 200 {
		t.Errorf("the call in flight: %+v", r)
	}
	if _, err := net.DialTimeout("tcp", w.proxy, time.Second); err == nil {
		t.Error("the listener is still open")
	}
}

// A connection whose grant is gone is refused at once, without asking Atlassian
// again and again.
func TestGrantThatIsGone(t *testing.T) {
	w := newWorld(t, change{})
	credential := must(w.store.Credential(t.Context(), "acme"))(t)
	w.sim.RevokeGrant(credential.RefreshToken.Reveal())
	credential.Expiry = time.Now().Add(-time.Minute)
	if err := w.store.ReplaceCredential(t.Context(), "acme", credential.Generation, credential); err != nil {
		t.Fatal(err)
	}
	for range 5 {
		r := w.call(w.billing(), "GET", w.sim.SiteURL()+"/rest/api/3/myself", "")
		if r.StatusCode != 502 || r.problem.Code != "credential_needs_reauthorisation" || r.problem.Connection != "acme" {
			t.Fatalf("%d %s", r.StatusCode, r.body)
		}
	}
	asked := 0
	for _, r := range w.sim.Requests() {
		if r.Origin == jirasim.AuthServer {
			asked++
		} else {
			t.Errorf("reached Jira: %+v", r)
		}
	}
	if asked != 1 {
		t.Errorf("the token endpoint was asked %d times", asked)
	}
}

// An expired access token is renewed on the way, once for all calls.
func TestExpiredTokenIsRenewed(t *testing.T) {
	w := newWorld(t, change{})
	credential := must(w.store.Credential(t.Context(), "acme"))(t)
	credential.Expiry = time.Now().Add(-time.Minute)
	if err := w.store.ReplaceCredential(t.Context(), "acme", credential.Generation, credential); err != nil {
		t.Fatal(err)
	}
	w.sim.ExpireAccessTokens()
	results := make(chan int, 20)
	client := w.billing()
	for range cap(results) {
		go func() {
			r, err := w.try(client, "GET", w.sim.SiteURL()+"/rest/api/3/myself", "")
			if err != nil {
				results <- 0
				return
			}
			results <- r.StatusCode
		}()
	}
	for range cap(results) {
		if status := <-results; status != 200 {
			t.Errorf("status %d", status)
		}
	}
	if got := w.sim.TokenStats(); got.Refreshes != 1 {
		t.Errorf("token endpoint: %+v, want one refresh", got)
	}
	renewed := must(w.store.Credential(t.Context(), "acme"))(t)
	w.secrets = append(w.secrets, renewed.AccessToken.Reveal(), renewed.RefreshToken.Reveal())
}

func TestTokensThatCannotBeRenewed(t *testing.T) {
	w := newWorld(t, change{oauth: func(o *oauth.Options) { o.ClientID, o.ClientSecret = "", secret.Secret{} }})
	credential := must(w.store.Credential(t.Context(), "acme"))(t)
	credential.Expiry = time.Now().Add(-time.Minute)
	if err := w.store.ReplaceCredential(t.Context(), "acme", credential.Generation, credential); err != nil {
		t.Fatal(err)
	}
	if r := w.call(w.billing(), "GET", w.sim.SiteURL()+"/rest/api/3/myself", ""); r.problem.Code != "credential_not_configured" {
		t.Errorf("%d %s", r.StatusCode, r.body)
	}
}

// No call without a record (G6).
func TestNoCallWithoutARecord(t *testing.T) {
	w := newWorld(t, change{gateway: func(w *world, o *gateway.Options) {
		broken := must(audit.Open(audit.Options{Dir: w.dir + "/closed"}))(w.t)
		broken.Close()
		o.Audit = broken
	}})
	r := w.call(w.billing(), "GET", w.sim.SiteURL()+"/rest/api/3/myself", "")
	if r.StatusCode != 503 || r.problem.Code != "record_unavailable" {
		t.Errorf("%d %s", r.StatusCode, r.body)
	}
	w.nothingSent()
}

// Addresses that a connection may not be at.
func TestForbiddenAddressIsNotCalled(t *testing.T) {
	w := newWorld(t, change{gateway: func(w *world, o *gateway.Options) { o.Egress = must(egress.New(egress.Options{}))(w.t) }})
	r := w.call(w.billing(), "GET", w.sim.DataCenterURL()+"/rest/api/2/myself", "")
	if r.StatusCode != 502 || r.problem.Code != "upstream_address_forbidden" || strings.Contains(r.body, "127.0.0.1:") {
		t.Errorf("%d %s", r.StatusCode, r.body)
	}
	w.nothingSent()
}

// Jira's certificate is verified, whatever the environment says.
func TestUpstreamCertificateIsVerified(t *testing.T) {
	t.Setenv("HTTPS_PROXY", "http://127.0.0.1:1")
	w := newWorld(t, change{gateway: func(_ *world, o *gateway.Options) { o.UpstreamRoots = nil }})
	if r := w.call(w.billing(), "GET", w.sim.SiteURL()+"/rest/api/3/myself", ""); r.StatusCode != 502 || r.problem.Code != "upstream_tls_failed" {
		t.Errorf("%d %s", r.StatusCode, r.body)
	}
	// The other connection brings the CA of its Jira.
	if r := w.call(w.billing(), "GET", w.sim.DataCenterURL()+"/rest/api/2/myself", ""); r.StatusCode != 200 {
		t.Errorf("%d %s", r.StatusCode, r.body)
	}
	for _, r := range w.sim.Requests() {
		if r.Origin == jirasim.CloudAPI {
			t.Error("a request reached a Jira that is not trusted")
		}
	}
}

// A personal access token goes as a bearer token.
func TestPersonalAccessToken(t *testing.T) {
	w := newWorld(t, change{})
	c, _ := w.store.Directory().Connection("dc")
	pat := *c
	pat.ID, pat.CredentialKind = "pat", tokenstore.KindPAT
	w.addConnection(pat, tokenstore.Credential{Kind: tokenstore.KindPAT, Token: secret.New(jirasim.DefaultPAT)})
	w.secrets = append(w.secrets, jirasim.DefaultPAT)
	if err := w.store.Grant(t.Context(), "billing", "pat"); err != nil {
		t.Fatal(err)
	}
	if r := w.call(w.billing(), "GET", w.sim.DataCenterURL()+"/rest/api/2/myself", "", "Jira-Connection", "pat"); r.StatusCode != 200 {
		t.Errorf("%d %s", r.StatusCode, r.body)
	}
	if r := w.record(func(r audit.Record) bool { return r.Connection == "pat" }); r.Credential != "pat" {
		t.Errorf("record %+v", r)
	}
}

// What was published is remembered by id and key, for its own connection.
func TestPublishedIssuesCanBeDeletedOnce(t *testing.T) {
	w := newWorld(t, change{})
	created := w.call(w.billing(), "POST", w.sim.SiteURL()+"/rest/api/3/issue", documented[9].body)
	var issue struct{ ID, Key string }
	if err := json.Unmarshal([]byte(created.body), &issue); err != nil {
		t.Fatal(err)
	}
	if r := w.call(w.billing(), "DELETE", w.sim.DataCenterURL()+"/rest/api/2/issue/"+issue.Key, ""); r.problem.Code != "issue_not_published" {
		t.Errorf("over another connection: %d %s", r.StatusCode, r.body)
	}
	if r := w.call(w.billing(), "DELETE", w.sim.SiteURL()+"/rest/api/3/issue/"+issue.ID, ""); r.StatusCode != 204 {
		t.Errorf("by id: %d %s", r.StatusCode, r.body)
	}
	if r := w.call(w.billing(), "DELETE", w.sim.SiteURL()+"/rest/api/3/issue/"+issue.Key, ""); r.problem.Code != "issue_not_published" {
		t.Errorf("again: %d %s", r.StatusCode, r.body)
	}
}
