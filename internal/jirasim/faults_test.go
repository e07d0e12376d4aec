package jirasim_test

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"net/http"
	"net/http/httptrace"
	"net/textproto"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"jiragate/internal/jirasim"
)

// overBoth runs a test over HTTP/2 and over HTTP/1.1.
func overBoth(t *testing.T, test func(*testing.T, *jirasim.Sim, *http.Client)) {
	for name, o := range map[string]jirasim.Options{"h2": {}, "h1": {HTTP1Only: true}} {
		t.Run(name, func(t *testing.T) {
			sim, client := start(t, o)
			test(t, sim, client)
		})
	}
}

func priorities(sim *jirasim.Sim) string { return sim.DataCenterURL() + "/rest/api/2/priority" }

func TestResetBeforeHeaders(t *testing.T) {
	overBoth(t, func(t *testing.T, sim *jirasim.Sim, client *http.Client) {
		const body = `{"fields":{"project":{"key":"ACME"},"issuetype":{"id":"10002"},"summary":"x"}}`
		create := func() error {
			_, err := send(t, client, "POST", sim.DataCenterURL()+"/rest/api/2/issue", body, bot)
			return err
		}
		before := len(sim.Issues(jirasim.DataCenter))
		sim.Fault(jirasim.Fault{Kind: jirasim.ResetBeforeHeaders, Times: 1})
		if err := create(); !errors.Is(err, syscall.ECONNRESET) && !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Errorf("error %v, want a reset connection", err)
		}
		if n := len(sim.Issues(jirasim.DataCenter)); n != before {
			t.Errorf("%d issues after a request that Jira never saw, want %d", n, before)
		}
		sim.Fault(jirasim.Fault{Kind: jirasim.ResetBeforeHeaders, Times: 1, AfterWork: true})
		if err := create(); err == nil {
			t.Error("the lost answer arrived")
		}
		if n := len(sim.Issues(jirasim.DataCenter)); n != before+1 {
			t.Errorf("%d issues after a lost answer, want %d", n, before+1)
		}
		if err := create(); err != nil {
			t.Errorf("the fault outlived its times: %v", err)
		}
	})
}

func TestALostRefreshAnswerLeavesTheOldTokenItsLeeway(t *testing.T) {
	sim, client := start(t, jirasim.Options{})
	grant := sim.IssueGrant()
	sim.Fault(jirasim.Fault{Kind: jirasim.ResetBeforeHeaders, Origin: jirasim.AuthServer, PathPrefix: "/oauth/token", Times: 1, AfterWork: true})
	if _, err := send(t, client, "POST", sim.AuthURL()+"/oauth/token", `{"grant_type":"refresh_token","client_id":"`+jirasim.DefaultClientID+
		`","client_secret":"`+jirasim.DefaultClientSecret+`","refresh_token":"`+grant.RefreshToken+`"}`); err == nil {
		t.Fatal("the lost answer arrived")
	}
	if sim.RefreshTokenCurrent(grant.RefreshToken) {
		t.Error("the lost refresh did not rotate")
	}
	wantStatus(t, refresh(t, sim, client, grant.RefreshToken), 200)
}

func TestAnswersCutShort(t *testing.T) {
	for _, kind := range []jirasim.Kind{jirasim.ResetAfterHeaders, jirasim.Truncate} {
		t.Run(string(kind), func(t *testing.T) {
			overBoth(t, func(t *testing.T, sim *jirasim.Sim, client *http.Client) {
				sim.Fault(jirasim.Fault{Kind: kind, Times: 1})
				a, err := send(t, client, "GET", priorities(sim), "", bot)
				if err != nil {
					t.Fatalf("the headers did not arrive: %v", err)
				}
				if a.status != 200 || a.err == nil {
					t.Errorf("status %d, reading the body: %v; want 200 and an error", a.status, a.err)
				}
				wantStatus(t, call(t, client, "GET", priorities(sim), "", bot), 200)
			})
		})
	}
}

func TestFaultsThatAnswerInJirasPlace(t *testing.T) {
	clock := newClock()
	sim, client := start(t, jirasim.Options{Now: clock.Now})
	token := bearer(sim.IssueGrant().AccessToken)
	for _, row := range []struct {
		name   string
		fault  jirasim.Fault
		status int
		header map[string]string
		body   string
	}{
		{"503", jirasim.Fault{Kind: jirasim.ErrorStatus}, 503, nil, `{"errorMessages":["Service Unavailable"],"errors":{}}`},
		{"500 with Retry-After", jirasim.Fault{Kind: jirasim.ErrorStatus, Status: 500, Delay: 7 * time.Second}, 500, map[string]string{"Retry-After": "7"}, "Internal"},
		{"an error page", jirasim.Fault{Kind: jirasim.HTMLPage, Status: 403}, 403, map[string]string{"Content-Type": "text/html;charset=UTF-8"}, "<h1>403"},
		{"a redirect", jirasim.Fault{Kind: jirasim.Redirect}, 302, map[string]string{"Location": "https://evil.example/rest/api/3/myself"}, ""},
		{"another redirect", jirasim.Fault{Kind: jirasim.Redirect, Status: 307, Location: "//evil.example"}, 307, map[string]string{"Location": "//evil.example"}, ""},
		{"a burst", jirasim.Fault{Kind: jirasim.RateLimit}, 429, map[string]string{
			"Retry-After": "5", "Ratelimit-Reason": "jira-burst-based", "X-Ratelimit-Remaining": "0", "X-Ratelimit-Reset": "2026-03-02T09:30Z"}, "Rate limit"},
		{"a used-up quota", jirasim.Fault{Kind: jirasim.RateLimit, Reason: "jira-quota-global-based", Delay: 30 * time.Minute}, 429, map[string]string{
			"Retry-After": "1800", "Ratelimit-Reason": "jira-quota-global-based", "X-Ratelimit-Reset": "2026-03-02T10:00Z"}, "Rate limit"},
	} {
		t.Run(row.name, func(t *testing.T) {
			row.fault.Times = 1
			sim.Fault(row.fault)
			a := call(t, client, "GET", cloudURL(sim, "/rest/api/3/priority"), "", token)
			wantStatus(t, a, row.status)
			for name, want := range row.header {
				if got := a.header.Get(name); got != want {
					t.Errorf("%s: %q, want %q", name, got, want)
				}
			}
			if !strings.Contains(a.body, row.body) {
				t.Errorf("body %q", a.body)
			}
			wantStatus(t, call(t, client, "GET", cloudURL(sim, "/rest/api/3/priority"), "", token), 200)
		})
	}
	sim.Fault(jirasim.Fault{Kind: jirasim.RateLimit, Times: 1})
	if a := call(t, client, "GET", priorities(sim), "", bot); a.status != 429 || a.header.Get("X-Ratelimit-Fillrate") == "" || a.header.Get("Ratelimit-Reason") != "" {
		t.Errorf("Data Center: %d %v", a.status, a.header)
	}
}

func TestLatencyDelaysTheWork(t *testing.T) {
	sim, client := start(t, jirasim.Options{})
	const delay = 30 * time.Millisecond
	sim.Fault(jirasim.Fault{Kind: jirasim.Latency, Delay: delay})
	sim.Fault(jirasim.Fault{Kind: jirasim.Latency, Delay: delay})
	begun := time.Now()
	wantStatus(t, call(t, client, "GET", priorities(sim), "", bot), 200)
	if took := time.Since(begun); took < 2*delay { // a lower bound holds on any machine
		t.Errorf("answered after %v, want %v at least", took, 2*delay)
	}
}

func TestSpoiledHeaders(t *testing.T) {
	overBoth(t, func(t *testing.T, sim *jirasim.Sim, client *http.Client) {
		get := func(f jirasim.Fault, edits ...edit) answer {
			f.Times = 1
			sim.Fault(f)
			a := call(t, client, "GET", priorities(sim), "", append(edits, bot)...)
			wantStatus(t, a, 200)
			return a
		}
		client.Transport.(*http.Transport).MaxResponseHeaderBytes = 4 << 20
		if a := get(jirasim.Fault{Kind: jirasim.HugeHeaders, Size: 2 << 20, Count: 8}); len(a.header.Get("X-Filler-7")) != 256<<10 {
			t.Errorf("X-Filler-7 of %d bytes", len(a.header.Get("X-Filler-7")))
		}
		if a := get(jirasim.Fault{Kind: jirasim.Challenge}); a.header.Get("WWW-Authenticate") == "" || a.header.Get("Proxy-Authenticate") == "" || cookie(a, "cloud.session.token") == "" {
			t.Errorf("headers %v", a.header)
		}
		if a := get(jirasim.Fault{Kind: jirasim.AddHeader, Name: "X-Evil", Value: "1"}); a.header.Get("X-Evil") != "1" {
			t.Errorf("headers %v", a.header)
		}
		if a := get(jirasim.Fault{Kind: jirasim.ContentType}); a.header.Get("Content-Type") != "text/plain" {
			t.Errorf("headers %v", a.header)
		}
		a := get(jirasim.Fault{Kind: jirasim.Gzip}, header("Accept-Encoding", "identity"))
		if a.header.Get("Content-Encoding") != "gzip" || !strings.Contains(gunzip(t, a.body), "Highest") {
			t.Errorf("Content-Encoding %q", a.header.Get("Content-Encoding"))
		}
	})
}

func TestEndlessBodies(t *testing.T) {
	overBoth(t, func(t *testing.T, sim *jirasim.Sim, client *http.Client) {
		sim.Fault(jirasim.Fault{Kind: jirasim.Endless, Count: 3, Size: 10, Times: 1})
		if a := call(t, client, "GET", priorities(sim), "", bot); len(a.body) != 30 || a.header.Get("Content-Length") != "" {
			t.Errorf("%d bytes, Content-Length %q", len(a.body), a.header.Get("Content-Length"))
		}
		sim.Fault(jirasim.Fault{Kind: jirasim.Endless, Size: 4096, Times: 1})
		r, _ := http.NewRequestWithContext(t.Context(), "GET", priorities(sim)+"?endless", nil)
		res, err := client.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.CopyN(io.Discard, res.Body, 1<<20); err != nil {
			t.Errorf("the endless body ended: %v", err)
		}
		res.Body.Close()
		got, err := sim.WaitRequest(t.Context(), func(r jirasim.Request) bool { return strings.HasSuffix(r.RequestURI, "?endless") && r.Ended })
		if err != nil || !got.Aborted {
			t.Errorf("after the client left: %+v, %v", got, err)
		}
	})
}

func TestInterimAnswers(t *testing.T) {
	overBoth(t, func(t *testing.T, sim *jirasim.Sim, client *http.Client) {
		sim.Fault(jirasim.Fault{Kind: jirasim.EarlyHints, Count: 4, Times: 1})
		hints := 0
		trace := func(r *http.Request) {
			*r = *r.WithContext(httptrace.WithClientTrace(r.Context(), &httptrace.ClientTrace{
				Got1xxResponse: func(code int, h textproto.MIMEHeader) error {
					if code == 103 && h.Get("Link") != "" {
						hints++
					}
					return nil
				},
			}))
		}
		a := call(t, client, "GET", priorities(sim), "", bot, trace)
		wantStatus(t, a, 200)
		if hints != 4 || a.header.Get("Link") != "" {
			t.Errorf("%d early hints, Link %q at the end", hints, a.header.Get("Link"))
		}
	})
}

func TestSwitchingProtocols(t *testing.T) {
	sim, client := start(t, jirasim.Options{HTTP1Only: true})
	sim.Fault(jirasim.Fault{Kind: jirasim.SwitchingProtocols})
	r, _ := http.NewRequestWithContext(t.Context(), "GET", priorities(sim), nil)
	r.Header.Set("Connection", "Upgrade")
	r.Header.Set("Upgrade", "websocket")
	res, err := client.Transport.RoundTrip(r) // a Client with a timeout hides the tunnel
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	tunnel, ok := res.Body.(io.ReadWriter)
	if res.StatusCode != 101 || !ok {
		t.Fatalf("status %d, body %T", res.StatusCode, res.Body)
	}
	if _, err := io.WriteString(tunnel, "hello\n"); err != nil {
		t.Fatal(err)
	}
	if line, err := bufio.NewReader(tunnel).ReadString('\n'); line != "hello\n" {
		t.Errorf("echo %q, %v", line, err)
	}
}

// HTTP/2 has no 101 (RFC 9113 section 8.6); a server that sends one anyway sends
// the answer after it.
func TestSwitchingProtocolsOverHTTP2(t *testing.T) {
	sim, client := start(t, jirasim.Options{})
	sim.Fault(jirasim.Fault{Kind: jirasim.SwitchingProtocols})
	var interim []int
	a := call(t, client, "GET", priorities(sim), "", bot, func(r *http.Request) {
		*r = *r.WithContext(httptrace.WithClientTrace(r.Context(), &httptrace.ClientTrace{
			Got1xxResponse: func(code int, _ textproto.MIMEHeader) error {
				interim = append(interim, code)
				return nil
			},
		}))
	})
	if a.status != 200 || !slices.Equal(interim, []int{101}) {
		t.Errorf("status %d after %v, want 200 after 101", a.status, interim)
	}
}

func TestRawAnswers(t *testing.T) {
	sim, client := start(t, jirasim.Options{HTTP1Only: true})
	sim.Fault(jirasim.Fault{Kind: jirasim.Raw, Value: "HTTP/1.1 200 Fine\r\nContent-Length: 2\r\n\r\nok", Times: 1})
	if a := call(t, client, "GET", priorities(sim), "", bot); a.body != "ok" {
		t.Errorf("body %q", a.body)
	}
	sim.Fault(jirasim.Fault{Kind: jirasim.Raw, Value: "SSH-2.0-OpenSSH_9.9\r\n", Times: 1})
	if _, err := send(t, client, "GET", priorities(sim), "", bot); err == nil {
		t.Error("an SSH banner passed for HTTP")
	}
	h2, client := start(t, jirasim.Options{})
	h2.Fault(jirasim.Fault{Kind: jirasim.Raw, Value: "x", Times: 1})
	if _, err := send(t, client, "GET", priorities(h2), "", bot); err == nil {
		t.Error("raw bytes passed for HTTP/2")
	}
}

func TestFaultsAreSelectiveAndCountDown(t *testing.T) {
	sim, client := start(t, jirasim.Options{})
	token := bearer(sim.IssueGrant().AccessToken)
	statuses := func(f jirasim.Fault) string {
		defer sim.Fault(f)()
		var out strings.Builder
		for _, get := range []func() answer{
			func() answer { return call(t, client, "GET", priorities(sim), "", bot) },
			func() answer { return call(t, client, "GET", priorities(sim), "", bot) },
			func() answer { return call(t, client, "HEAD", priorities(sim), "", bot) },
			func() answer { return call(t, client, "GET", cloudURL(sim, "/rest/api/3/priority"), "", token) },
			func() answer { return call(t, client, "GET", cloudURL(sim, "/rest/api/3/myself"), "", token) },
		} {
			out.WriteByte(map[int]byte{200: '.', 503: 'F'}[get().status])
		}
		return out.String()
	}
	for _, row := range []struct {
		name  string
		fault jirasim.Fault
		want  string
	}{
		{"all", jirasim.Fault{}, "FFFFF"},
		{"twice", jirasim.Fault{Times: 2}, "FF..."},
		{"one origin", jirasim.Fault{Origin: jirasim.CloudAPI}, "...FF"},
		{"one method", jirasim.Fault{Method: "HEAD"}, "..F.."},
		{"path as it came", jirasim.Fault{PathPrefix: "/ex/jira/"}, "...FF"},
		{"path below the base", jirasim.Fault{PathPrefix: "/rest/api/3/my"}, "....F"},
		{"path below the context path", jirasim.Fault{PathPrefix: "/rest/api/2/priority"}, "FFF.."},
		{"once, of those selected", jirasim.Fault{PathPrefix: "/rest/api/3", Times: 1}, "...F."},
		{"none", jirasim.Fault{PathPrefix: "/rest/api/4"}, "....."},
	} {
		row.fault.Kind = jirasim.ErrorStatus
		if got := statuses(row.fault); got != row.want {
			t.Errorf("%s: %s, want %s", row.name, got, row.want)
		}
	}
	if got := statuses(jirasim.Fault{Kind: jirasim.AddHeader, Name: "X", Value: "1"}); got != "....." {
		t.Errorf("a disarmed fault still hits: %s", got)
	}
	sim.Fault(jirasim.Fault{Kind: jirasim.ErrorStatus})
	sim.ClearFaults()
	wantStatus(t, call(t, client, "GET", priorities(sim), "", bot), 200)
}

func TestTheFirstFaultToAnswerWins(t *testing.T) {
	sim, client := start(t, jirasim.Options{})
	for _, kind := range []jirasim.Kind{jirasim.ErrorStatus, jirasim.Redirect, jirasim.ResetBeforeHeaders, jirasim.Raw, jirasim.Endless} {
		sim.Fault(jirasim.Fault{Kind: kind, Times: 1})
	}
	sim.Fault(jirasim.Fault{Kind: jirasim.AddHeader, Name: "X-Evil", Value: "1", Times: 1})
	a := call(t, client, "GET", priorities(sim), "", bot)
	wantStatus(t, a, 503)
	if a.header.Get("X-Evil") != "1" {
		t.Error("the answer was not spoiled")
	}
	got := sim.Requests()[0]
	if len(got.Faults) != 6 || got.Faults[5] != jirasim.AddHeader || got.Status != 503 || got.CredentialAccepted {
		t.Errorf("recorded %+v", got)
	}
	// Nor does a fault of framing trip over a fault that has the wire already.
	for _, kind := range []jirasim.Kind{jirasim.ResetAfterHeaders, jirasim.Truncate, jirasim.Trailers, jirasim.ReflectLate, jirasim.Challenge, jirasim.Gzip} {
		sim.Fault(jirasim.Fault{Kind: kind, Times: 1})
		sim.Fault(jirasim.Fault{Kind: jirasim.Endless, Count: 1, Size: 8, Times: 1})
		if a := call(t, client, "GET", priorities(sim), "", bot); len(a.body) != 8 {
			t.Errorf("%s before an endless body: %q", kind, a.body)
		}
	}
}

func TestBodiesAreBounded(t *testing.T) {
	sim, client := start(t, jirasim.Options{})
	a, err := send(t, client, "POST", sim.DataCenterURL()+"/rest/api/2/issue", `{"x":"`+string(bytes.Repeat([]byte("x"), 3<<20))+`"}`, bot)
	if err == nil {
		wantStatus(t, a, 413)
	}
	got, err := sim.WaitRequest(t.Context(), func(r jirasim.Request) bool { return r.Ended })
	if err != nil || len(got.Body) != 2<<20 || got.Status != 413 {
		t.Errorf("kept %d bytes, status %d, %v", len(got.Body), got.Status, err)
	}
}
