package jirasim_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"jiragate/internal/jirasim"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// clock is a clock that a test sets.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func newClock() *clock { return &clock{now: time.Date(2026, 3, 2, 9, 30, 0, 0, time.UTC)} }

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

// start starts a simulator and a client that trusts it and follows no redirect.
func start(t testing.TB, o jirasim.Options) (*jirasim.Sim, *http.Client) {
	t.Helper()
	sim, err := jirasim.Start(o)
	if err != nil {
		t.Fatal(err)
	}
	client := newClient(t, sim)
	t.Cleanup(func() {
		client.CloseIdleConnections()
		if err := sim.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
	})
	return sim, client
}

func newClient(t testing.TB, sim *jirasim.Sim) *http.Client {
	t.Helper()
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(sim.CAPEM()) {
		t.Fatal("CAPEM holds no certificate")
	}
	return &http.Client{
		Transport: &http.Transport{
			TLSClientConfig:    &tls.Config{RootCAs: roots},
			ForceAttemptHTTP2:  true,
			DisableCompression: true,
		},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		Timeout:       30 * time.Second,
	}
}

// answer is what came back.
type answer struct {
	status  int
	header  http.Header
	trailer http.Header
	body    string
	proto   string
	err     error // of reading the body
}

// json returns a value of the body by its path of members and indexes.
func (a answer) json(t *testing.T, path ...any) any {
	t.Helper()
	var v any
	if err := json.Unmarshal([]byte(a.body), &v); err != nil {
		t.Fatalf("body is not JSON: %v\n%s", err, a.body)
	}
	for _, step := range path {
		switch step := step.(type) {
		case string:
			o, _ := v.(map[string]any)
			v = o[step]
		case int:
			l, _ := v.([]any)
			if step >= len(l) {
				t.Fatalf("%v: no element %d in %s", path, step, a.body)
			}
			v = l[step]
		}
	}
	return v
}

// edit changes a request before it is sent.
type edit func(*http.Request)

func header(name, value string) edit { return func(r *http.Request) { r.Header.Set(name, value) } }
func bearer(token string) edit       { return header("Authorization", "Bearer "+token) }
func basic(user, password string) edit {
	return func(r *http.Request) { r.SetBasicAuth(user, password) }
}

// send sends a request whose target is taken as it is, unnormalised.
func send(t *testing.T, client *http.Client, method, url, body string, edits ...edit) (answer, error) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	if strings.HasPrefix(body, "{") {
		r.Header.Set("Content-Type", "application/json")
	}
	for _, e := range edits {
		e(r)
	}
	res, err := client.Do(r)
	if err != nil {
		return answer{}, err
	}
	defer res.Body.Close()
	got, readErr := io.ReadAll(io.LimitReader(res.Body, 8<<20))
	return answer{res.StatusCode, res.Header, res.Trailer, string(got), res.Proto, readErr}, nil
}

// call is send for exchanges that must come to an end in good order.
func call(t *testing.T, client *http.Client, method, url, body string, edits ...edit) answer {
	t.Helper()
	a, err := send(t, client, method, url, body, edits...)
	if err != nil {
		t.Fatalf("%s %s: %v", method, url, err)
	}
	if a.err != nil {
		t.Fatalf("%s %s: reading the body: %v", method, url, a.err)
	}
	return a
}

func wantStatus(t *testing.T, a answer, status int) {
	t.Helper()
	if a.status != status {
		t.Fatalf("status %d, want %d\n%s", a.status, status, a.body)
	}
}

func cloudURL(sim *jirasim.Sim, path string) string {
	return sim.APIURL() + "/ex/jira/" + sim.CloudID() + path
}

func TestBothEditionsOfferHTTP2AndHTTP11(t *testing.T) {
	for _, row := range []struct {
		options jirasim.Options
		proto   string
	}{
		{jirasim.Options{}, "HTTP/2.0"},
		{jirasim.Options{HTTP1Only: true}, "HTTP/1.1"},
	} {
		sim, client := start(t, row.options)
		for _, url := range []string{sim.APIURL(), sim.AuthURL(), sim.DataCenterURL()} {
			if a := call(t, client, "GET", url+"/nothing", ""); a.proto != row.proto {
				t.Errorf("%s speaks %s, want %s", url, a.proto, row.proto)
			}
		}
	}
}

func TestOptionsAreChecked(t *testing.T) {
	for name, o := range map[string]jirasim.Options{
		"context path without slash": {ContextPath: "jira"},
		"site over plain http":       {SiteURL: "http://acme.atlassian.net"},
		"base URL without host":      {BaseURL: "https:///jira"},
		"address in use":             {CloudListen: "127.0.0.1:0", DataCenterListen: "256.0.0.1:0"},
		"negative history":           {History: -1},
	} {
		t.Run(name, func(t *testing.T) {
			if sim, err := jirasim.Start(o); err == nil {
				sim.Close()
				t.Error("Start accepted it")
			}
		})
	}
}

func TestCertificateIsGoodForTheNamesGiven(t *testing.T) {
	sim, _ := start(t, jirasim.Options{Hosts: []string{"jira.acme.example", "192.0.2.7"}})
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(sim.CAPEM())
	address := strings.TrimPrefix(sim.APIURL(), "https://")
	for name, ok := range map[string]bool{
		"jira.acme.example": true, "192.0.2.7": true, "localhost": true, "127.0.0.1": true, "api.atlassian.com": false,
	} {
		conn, err := tls.Dial("tcp", address, &tls.Config{RootCAs: roots, ServerName: name})
		if (err == nil) != ok {
			t.Errorf("%s: %v, want success %v", name, err, ok)
		}
		if err == nil {
			conn.Close()
		}
	}
}

func TestEveryConnectionIsCounted(t *testing.T) {
	sim, client := start(t, jirasim.Options{})
	call(t, client, "GET", sim.DataCenterURL()+"/status", "")
	call(t, client, "GET", sim.DataCenterURL()+"/status", "")
	if n := sim.Connections(jirasim.DataCenter); n != 1 {
		t.Errorf("%d connections for two requests of one client, want 1", n)
	}
	address := strings.TrimPrefix(sim.APIURL(), "https://")
	conn, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	// A server that has answered garbage with an alert has accepted it first.
	if _, err := conn.Write([]byte("not TLS at all\r\n\r\n")); err != nil {
		t.Fatal(err)
	}
	if _, err := io.Copy(io.Discard, conn); err != nil {
		t.Fatal(err)
	}
	if n := sim.Connections(jirasim.CloudAPI); n != 1 {
		t.Errorf("%d connections after one that never spoke TLS, want 1", n)
	}
}

func TestRequestsAreRecordedAsTheyArrived(t *testing.T) {
	sim, client := start(t, jirasim.Options{})
	grant := sim.IssueGrant()
	target := "/rest/api/3/project/%41CME;x=1?expand=a%20b&expand=c"
	call(t, client, "POST", cloudURL(sim, target), `{"a":1}`, bearer(grant.AccessToken), header("X-Odd", "yes"))
	call(t, client, "GET", cloudURL(sim, "/rest/api/3/myself"), "", bearer("wrong"))

	got := sim.Requests()
	if len(got) != 2 {
		t.Fatalf("%d requests, want 2", len(got))
	}
	first := got[0]
	host := strings.TrimPrefix(sim.APIURL(), "https://")
	if first.Origin != jirasim.CloudAPI || first.Method != "POST" || first.RequestURI != "/ex/jira/"+sim.CloudID()+target ||
		first.Host != host || first.Proto != "HTTP/2.0" || !bytes.Equal(first.Body, []byte(`{"a":1}`)) ||
		first.Header.Get("X-Odd") != "yes" || first.Authorization() != "Bearer "+grant.AccessToken ||
		!first.CredentialAccepted || first.Status != 405 || first.Seq != 1 || first.RemoteAddr == "" {
		t.Errorf("recorded %+v", first)
	}
	if got[1].CredentialAccepted || got[1].Status != 401 {
		t.Errorf("a wrong token was recorded as %+v", got[1])
	}
	first.Header.Set("X-Odd", "changed")
	if sim.Requests()[0].Header.Get("X-Odd") != "yes" {
		t.Error("Requests lets its caller change what was recorded")
	}
	sim.Reset()
	if n := len(sim.Requests()); n != 0 {
		t.Errorf("%d requests after Reset", n)
	}
}

func TestHistoryIsBounded(t *testing.T) {
	sim, client := start(t, jirasim.Options{History: 3})
	for range 5 {
		call(t, client, "GET", sim.DataCenterURL()+"/status", "")
	}
	got := sim.Requests()
	if len(got) != 3 || got[0].Seq != 3 || got[2].Seq != 5 {
		t.Errorf("kept %d requests, want the last three: %+v", len(got), got)
	}
}

func TestWaitRequestSeesWhatIsStillUnderWay(t *testing.T) {
	sim, client := start(t, jirasim.Options{})
	sim.Fault(jirasim.Fault{Kind: jirasim.Latency, Delay: time.Hour})
	ctx, cancel := context.WithCancel(t.Context())
	left := make(chan error, 1)
	go func() {
		r, _ := http.NewRequestWithContext(ctx, "GET", sim.DataCenterURL()+"/status", nil)
		_, err := client.Do(r)
		left <- err
	}()
	arrived, err := sim.WaitRequest(t.Context(), func(r jirasim.Request) bool { return strings.HasSuffix(r.RequestURI, "/status") })
	if err != nil || arrived.Ended {
		t.Fatalf("waiting for a request under way: %+v, %v", arrived, err)
	}
	cancel()
	if err := <-left; err == nil {
		t.Fatal("a request held back for an hour was answered")
	}
	if r, err := sim.WaitRequest(t.Context(), func(r jirasim.Request) bool { return r.Ended }); err != nil || !r.Aborted {
		t.Errorf("a client that left: %+v, %v; want Aborted", r, err)
	}
	if _, err := sim.WaitRequest(ctx, func(jirasim.Request) bool { return false }); err != context.Canceled {
		t.Errorf("WaitRequest with an ended context: %v", err)
	}
}

func TestCloseEndsRequestsUnderWay(t *testing.T) {
	sim, err := jirasim.Start(jirasim.Options{HTTP1Only: true})
	if err != nil {
		t.Fatal(err)
	}
	client := newClient(t, sim)
	defer client.CloseIdleConnections()
	sim.Fault(jirasim.Fault{Kind: jirasim.Endless, Delay: time.Millisecond, PathPrefix: "/status"})
	sim.Fault(jirasim.Fault{Kind: jirasim.SwitchingProtocols, PathPrefix: "/rest"})
	var wg sync.WaitGroup
	begun := make(chan struct{}, 2)
	for _, path := range []string{"/status", "/rest/x"} {
		wg.Go(func() {
			res, err := client.Get(sim.DataCenterURL() + path)
			begun <- struct{}{}
			if err != nil {
				t.Error(err)
				return
			}
			_, _ = io.Copy(io.Discard, res.Body)
			res.Body.Close()
		})
	}
	<-begun
	<-begun
	for range 2 {
		if err := sim.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
	}
	wg.Wait()
}
