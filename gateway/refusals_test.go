package gateway_test

import (
	"crypto/tls"

	"net"
	"net/http"
	"regexp"
	"strings"
	"testing"

	"jiragate/gateway"
	"jiragate/gateway/audit"
	"jiragate/policy"
	"jiragate/tokenstore"
	"jiragate/tokenstore/secret"
)

// Calls that an HTTP library can make, and that are refused: each with its
// code, a record that denies it, and nothing sent to Jira.
func TestRefusedCalls(t *testing.T) {
	w := newWorld(t, change{rules: `
version: 1
rules:
  - name: no-picker
    connections: [dc]
    deny: [user.picker]
`})
	const create = `{"fields":{"project":{"key":"ACME"},"issuetype":{"id":"10001"},"summary":"x"}`
	for _, tt := range []struct {
		name, method, url, body string
		fields                  []string
		status                  int
		code                    string
	}{
		{"undocumented path", "GET", "CLOUD/rest/api/3/serverInfo", "", nil, 403, "operation_not_documented"},
		{"reading an issue", "GET", "CLOUD/rest/api/3/issue/ACME-1", "", nil, 403, "method_not_documented"},
		{"search", "GET", "CLOUD/rest/api/3/search/jql?jql=project=ACME", "", nil, 403, "operation_not_documented"},
		{"latest", "GET", "CLOUD/rest/api/latest/myself", "", nil, 403, "operation_not_documented"},
		{"the other edition's version on Cloud", "GET", "CLOUD/rest/api/2/myself", "", nil, 403, "operation_not_documented"},
		{"the other edition's version on Data Center", "GET", "DC/rest/api/3/myself", "", nil, 403, "operation_not_documented"},
		{"Data Center's bare createmeta", "GET", "DC/rest/api/2/issue/createmeta", "", nil, 403, ""},
		{"Cloud's bare project list", "GET", "CLOUD/rest/api/3/project", "", nil, 403, "operation_not_documented"},
		{"a successor, off", "GET", "CLOUD/rest/api/3/issue/createmeta/ACME/issuetypes", "", nil, 403, "operation_switched_off"},
		{"another method", "PUT", "CLOUD/rest/api/3/issue/ACME-1", "{}", nil, 403, "method_not_documented"},
		{"HEAD", "HEAD", "CLOUD/rest/api/3/myself", "", nil, 403, ""},
		{"OPTIONS", "OPTIONS", "CLOUD/rest/api/3/myself", "", nil, 403, "method_not_documented"},
		{"lower-case method", "get", "CLOUD/rest/api/3/myself", "", nil, 403, "method_not_documented"},
		{"unknown query name", "GET", "CLOUD/rest/api/3/myself?os_username=x", "", nil, 403, "query_not_documented"},
		{"method override by query", "GET", "CLOUD/rest/api/3/priority?_method=DELETE", "", nil, 403, "query_not_documented"},
		{"undocumented expand", "GET", "CLOUD/rest/api/3/myself?expand=everything", "", nil, 403, "query_not_documented"},
		{"path parameter", "GET", "CLOUD/rest/api/3/myself;jsessionid=1", "", nil, 403, "path_malformed"},
		{"encoded slash", "GET", "CLOUD/rest/api/3/project/ACME%2fcomponents", "", nil, 403, "path_malformed"},
		{"double encoding", "GET", "CLOUD/rest/api/3/project/%2541CME", "", nil, 403, "path_malformed"},
		{"empty segment", "GET", "CLOUD/rest//api/3/myself", "", nil, 403, "path_malformed"},
		{"trailing slash", "GET", "CLOUD/rest/api/3/myself/", "", nil, 403, "path_malformed"},
		{"context path of another", "GET", "DCx/rest/api/2/myself", "", nil, 403, "connection_unknown"},
		{"a rule of the operator", "GET", "DC/rest/api/2/user/picker?query=a", "", nil, 403, "operation_switched_off"},
		{"a body with other members", "POST", "CLOUD/rest/api/3/issue", create + `,"transition":{"id":"1"}}`, nil, 403, "body_not_allowed"},
		{"a body with duplicate keys", "POST", "CLOUD/rest/api/3/issue", create + `,"fields":{}}`, nil, 403, "body_malformed"},
		{"no body", "POST", "CLOUD/rest/api/3/issue", "", nil, 403, "body_required"},
		{"a form", "POST", "CLOUD/rest/api/3/issue", create + "}", []string{"Content-Type", "text/plain"}, 403, ""},
		{"a body too large", "POST", "CLOUD/rest/api/3/issue", `{"fields":{"a":"` + strings.Repeat("x", 1<<20) + `"}}`, nil, 413, "body_too_large"},
		{"an encoded body", "POST", "CLOUD/rest/api/3/issue", create + "}", []string{"Content-Encoding", "gzip"}, 415, "content_encoding_not_allowed"},
		{"deleting what was not published", "DELETE", "CLOUD/rest/api/3/issue/ACME-1", "", nil, 403, "issue_not_published"},
		{"a chosen connection that is not granted", "GET", "CLOUD/rest/api/3/myself", "", []string{"Jira-Connection", "nobodys"}, 403, "not_granted"},
		{"a chosen connection elsewhere", "GET", "CLOUD/rest/api/3/myself", "", []string{"Jira-Connection", "dc"}, 403, "connection_unknown"},
		{"two chosen connections", "GET", "CLOUD/rest/api/3/myself", "", []string{"Jira-Connection", "acme", "Jira-Connection", "dc"}, 403, "connection_ambiguous"},
		{"another Cloud id", "GET", "https://api.atlassian.com/ex/jira/00000000-0000-4000-8000-000000000000/rest/api/3/myself", "", nil, 403, "connection_unknown"},
		{"another product", "GET", "https://api.atlassian.com/ex/confluence/CLOUDID/rest/api/3/myself", "", nil, 403, "connection_unknown"},
		{"the token's resources", "GET", "https://api.atlassian.com/oauth/token/accessible-resources", "", nil, 403, "connection_unknown"},
		{"a WebSocket", "GET", "CLOUD/rest/api/3/myself", "", []string{"Upgrade", "websocket", "Connection", "Upgrade"}, 403, "upgrade_not_allowed"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			before := len(w.records())
			client := w.billing()
			protocols := new(http.Protocols)
			protocols.SetHTTP1(true) // which lets Upgrade and any method through
			client.Transport.(*http.Transport).Protocols = protocols
			r := w.call(client, tt.method, strings.Replace(w.url(tt.url, ""), "CLOUDID", w.sim.CloudID(), 1), tt.body, tt.fields...)
			if r.StatusCode != tt.status || tt.code != "" && r.problem.Code != tt.code {
				t.Fatalf("%d %s, want %d %s", r.StatusCode, r.body, tt.status, tt.code)
			}
			if tt.method != "HEAD" {
				p := r.problem
				if p.Title == "" || p.Detail == "" || p.Status != tt.status || p.Record == "" || p.TraceID == "" || !strings.HasSuffix(p.Type, p.Code) {
					t.Errorf("problem document %s", r.body)
				}
			}
			if got := r.Header.Get("Proxy-Status"); !strings.HasPrefix(got, "jiragate; error=http_request_") {
				t.Errorf("Proxy-Status %q", got)
			}
			after := w.records()
			if len(after) != before+1 {
				t.Fatalf("%d records came of one call", len(after)-before)
			}
			if last := after[before]; last.Decision != "deny" || last.Code == "" || last.Status != tt.status || last.Client != "billing" || last.EgressIP != "" {
				t.Errorf("record %+v", last)
			}
		})
	}
	w.nothingSent()
}

// Everybody who is not identified gets 407 at every door, with the same answer
// whatever is wrong, and leaves a record.
func TestUnidentifiedClients(t *testing.T) {
	w := newWorld(t, change{})
	const authority = "acme.atlassian.net:443"
	var first string
	for name, field := range map[string]string{
		"nothing":             "",
		"wrong token":         "Proxy-Authorization: " + basic("billing", "wrong"),
		"no token":            "Proxy-Authorization: " + basic("billing", ""),
		"unknown client":      "Proxy-Authorization: " + basic("nobody", w.token),
		"another case":        "Proxy-Authorization: " + basic("Billing", w.token),
		"wrong bearer":        "Proxy-Authorization: Bearer wrong",
		"empty bearer":        "Proxy-Authorization: Bearer ",
		"another scheme":      "Proxy-Authorization: Negotiate " + w.token,
		"not base64":          "Proxy-Authorization: Basic ***",
		"base64 without end":  "Proxy-Authorization: " + strings.TrimRight(basic("billing", w.token), "="),
		"two fields":          "Proxy-Authorization: " + basic("billing", w.token) + "\r\nProxy-Authorization: " + basic("billing", w.token),
		"Authorization alone": "Authorization: " + basic("billing", w.token),
	} {
		if name == "base64 without end" && !strings.HasSuffix(basic("billing", w.token), "=") {
			continue
		}
		if field != "" {
			field += "\r\n"
		}
		for door, message := range map[string]string{
			"CONNECT":       "CONNECT " + authority + " HTTP/1.1\r\nHost: " + authority + "\r\n" + field + "\r\n",
			"absolute form": "GET http://acme.atlassian.net/rest/api/3/myself HTTP/1.1\r\nHost: acme.atlassian.net\r\nConnection: close\r\n" + field + "\r\n",
			"base URL":      "GET /c/acme/rest/api/3/myself HTTP/1.1\r\nHost: gateway\r\nConnection: close\r\n" + field + "\r\n",
		} {
			got := w.raw(message)
			if !strings.HasPrefix(got, "HTTP/1.1 407 ") || !strings.Contains(got, `Proxy-Authenticate: Basic realm="jiragate"`) || !strings.Contains(got, `"code":"client_unidentified"`) {
				t.Errorf("%s, %s: %s", name, door, got)
			}
			detail, _, _ := strings.Cut(got[strings.Index(got, `"title"`):], `"trace_id"`)
			if first == "" {
				first = detail
			}
			if detail != first {
				t.Errorf("%s, %s: the answer differs: %s", name, door, detail)
			}
		}
	}
	for _, r := range w.records() {
		if r.Decision != "deny" || r.Code != "client_unidentified" || r.Client != "" || r.Status != 407 || r.ClientAddr == "" {
			t.Errorf("record %+v", r)
		}
	}
	w.nothingSent()
}

// A denial does not say whether a connection exists.
func TestDenialDoesNotTellWhatExists(t *testing.T) {
	w := newWorld(t, change{})
	token := w.addClient("outsider")
	connect := func(authority string) string {
		got := w.raw("CONNECT " + authority + " HTTP/1.1\r\nHost: " + authority + "\r\nProxy-Authorization: " + basic("outsider", token) + "\r\n\r\n")
		got, _, _ = strings.Cut(got, `"trace_id"`)
		return regexp.MustCompile("(?m)^Traceparent: .*$").ReplaceAllString(got, "")
	}
	if a, b := connect("acme.atlassian.net:443"), connect("nobody.atlassian.net:443"); a != b || !strings.Contains(a, "connection_unknown") {
		t.Errorf("hosts: %s\n%s", a, b)
	}
	base := func(id string) string {
		got := w.raw("GET /c/" + id + "/rest/api/3/myself HTTP/1.1\r\nHost: x\r\nConnection: close\r\nProxy-Authorization: " + basic("outsider", token) + "\r\n\r\n")
		_, got, _ = strings.Cut(got, "\r\n\r\n")
		got, _, _ = strings.Cut(got, `"trace_id"`)
		return got
	}
	if a, b := base("acme"), base("nobody"); a != b || !strings.Contains(a, "not_granted") {
		t.Errorf("connections: %s\n%s", a, b)
	}
	w.nothingSent()
}

// CONNECT leads to hosts of the client's connections, spelled in one way, on
// their port, and nowhere else.
func TestConnectTargets(t *testing.T) {
	w := newWorld(t, change{})
	for _, authority := range []string{
		"example.com:443", "acme.atlassian.net:80", "acme.atlassian.net:8443", "acme.atlassian.net", "acme.atlassian.net.:443",
		"169.254.169.254:80", "127.0.0.1:22", "[::1]:443", "localhost:443", w.proxy, "evil.acme.atlassian.net:443",
		"acme.atlassian.net:443:443", "acme.atlassian.net:0443", "0x7f000001:443", "2130706433:443", "xn--80ak6aa92e.com:443",
		"user@acme.atlassian.net:443", "acme.atlassian.net%00:443", "acme.atlassian.net#:443", `acme.atlassian.net\:443`, "*:443", ":443", "/", "http://acme.atlassian.net/",
	} {
		got := w.raw("CONNECT " + authority + " HTTP/1.1\r\nHost: acme.atlassian.net\r\nProxy-Authorization: " + basic("billing", w.token) + "\r\n\r\n")
		if !strings.HasPrefix(got, "HTTP/1.1 403 ") && !strings.HasPrefix(got, "HTTP/1.1 400 ") || !strings.Contains(got, "application/problem+json") {
			t.Errorf("CONNECT %s: %s", authority, got)
		}
	}
	w.nothingSent()
	// The spelling of letters is no difference.
	if got := w.call(w.billing(), "GET", "https://ACME.Atlassian.NET/rest/api/3/myself", ""); got.StatusCode != 200 {
		t.Errorf("host in upper case: %d %s", got.StatusCode, got.body)
	}
}

// Requests inside a tunnel that name another host, in any way, are refused.
func TestHostInsideTunnel(t *testing.T) {
	w := newWorld(t, change{})
	u := strings.TrimPrefix(w.sim.DataCenterURL(), "https://")
	dc, _, _ := strings.Cut(u, "/")
	for name, message := range map[string]string{
		"Host of another connection": "GET /jira/rest/api/2/myself HTTP/1.1\r\nHost: " + dc + "\r\n\r\n",
		"absolute form elsewhere":    "GET https://" + dc + "/jira/rest/api/2/myself HTTP/1.1\r\nHost: " + dc + "\r\n\r\n",
		"target against Host":        "GET https://" + dc + "/jira/rest/api/2/myself HTTP/1.1\r\nHost: acme.atlassian.net\r\n\r\n",
		"two Hosts":                  "GET /rest/api/3/myself HTTP/1.1\r\nHost: acme.atlassian.net\r\nHost: acme.atlassian.net\r\n\r\n",
		"no Host":                    "GET /rest/api/3/myself HTTP/1.1\r\n\r\n",
		"trailing dot":               "GET /rest/api/3/myself HTTP/1.1\r\nHost: acme.atlassian.net.\r\n\r\n",
		"user info":                  "GET /rest/api/3/myself HTTP/1.1\r\nHost: x@acme.atlassian.net\r\n\r\n",
		"CONNECT inside":             "CONNECT acme.atlassian.net:443 HTTP/1.1\r\nHost: acme.atlassian.net:443\r\n\r\n",
		"OPTIONS *":                  "OPTIONS * HTTP/1.1\r\nHost: acme.atlassian.net\r\n\r\n",
		"PRI *":                      "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
		"HTTP/1.0 without Host":      "GET /rest/api/3/myself HTTP/1.0\r\n\r\n",
		"length and coding":          "POST /rest/api/3/issue HTTP/1.1\r\nHost: acme.atlassian.net\r\nContent-Type: application/json\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n",
		"bare LF":                    "GET /rest/api/3/myself HTTP/1.1\nHost: acme.atlassian.net\n\n",
		"too many fields":            "GET /rest/api/3/myself HTTP/1.1\r\nHost: acme.atlassian.net\r\n" + strings.Repeat("A: b\r\n", 101) + "\r\n",
		"header too large":           "GET /rest/api/3/myself HTTP/1.1\r\nHost: acme.atlassian.net\r\nA: " + strings.Repeat("b", 40<<10) + "\r\n\r\n",
		"target too long":            "GET /rest/api/3/myself?" + strings.Repeat("b", 9<<10) + " HTTP/1.1\r\nHost: acme.atlassian.net\r\n\r\n",
	} {
		t.Run(name, func(t *testing.T) {
			got := exchange(t, w.tunnel("acme.atlassian.net:443", "acme.atlassian.net"), strings.Replace(message, "HTTP/1.1\r\n", "HTTP/1.1\r\nConnection: close\r\n", 1))
			status, _, _ := strings.Cut(got, "\r\n")
			if !strings.Contains(status, " 4") || !strings.Contains(got, "application/problem+json") {
				t.Errorf("answer: %s", got)
			}
		})
	}
	w.nothingSent()
	codes := map[string]bool{}
	for _, r := range w.records() {
		codes[r.Code] = true
		if r.Decision != "deny" {
			t.Errorf("record %+v", r)
		}
	}
	for _, want := range []string{"authority_mismatch", "request_malformed", "header_too_large", "target_too_long"} {
		if !codes[want] {
			t.Errorf("no record with code %s", want)
		}
	}
}

// The server name of the TLS handshake must be the tunnel's host.
func TestServerNameMustBeTheTunnelsHost(t *testing.T) {
	w := newWorld(t, change{})
	conn := w.tunnel("acme.atlassian.net:443", "api.atlassian.com")
	if err := conn.Handshake(); err == nil {
		t.Error("the handshake succeeded")
	}
	w.record(func(r audit.Record) bool { return r.Code == "authority_mismatch" && r.Decision == "deny" })
	w.nothingSent()
}

// Inside a tunnel there is TLS or nothing.
func TestPlaintextInsideTunnelIsRefused(t *testing.T) {
	w := newWorld(t, change{})
	got := w.raw("CONNECT acme.atlassian.net:443 HTTP/1.1\r\nHost: acme.atlassian.net:443\r\nProxy-Authorization: " + basic("billing", w.token) +
		"\r\n\r\nGET /rest/api/3/myself HTTP/1.1\r\nHost: acme.atlassian.net\r\n\r\n")
	if !strings.HasPrefix(got, "HTTP/1.1 200 ") || !strings.Contains(got, "HTTP/1.1 400 ") || strings.Contains(got, "displayName") {
		t.Errorf("answer: %s", got)
	}
	w.record(func(r audit.Record) bool { return r.Code == "tunnel_not_tls" && r.Decision == "deny" })
	w.nothingSent()
}

// A client that does not trust the CA leaves a record that says so.
func TestUntrustedCAIsRecorded(t *testing.T) {
	w := newWorld(t, change{})
	conn := w.tunnel("acme.atlassian.net:443", "acme.atlassian.net")
	untrusting := tls.Client(conn.NetConn(), &tls.Config{ServerName: "acme.atlassian.net"})
	if err := untrusting.Handshake(); err == nil {
		t.Error("the handshake succeeded without trust")
	}
	w.record(func(r audit.Record) bool { return r.Code == "tunnel_handshake_failed" && r.Client == "billing" })
}

// Several connections to one site: the client chooses, by field or user name.
func TestChoosingAmongConnections(t *testing.T) {
	w := newWorld(t, change{})
	c, _ := w.store.Directory().Connection("dc")
	second := *c
	second.ID, second.CreatedAt = "dc-2", c.CreatedAt
	w.addConnection(second, tokenstore.Credential{Kind: tokenstore.KindBasic, Username: "someone", Password: secret.New("another-password")})
	w.secrets = append(w.secrets, "another-password")
	if err := w.store.Grant(t.Context(), "billing", "dc-2"); err != nil {
		t.Fatal(err)
	}
	u := w.sim.DataCenterURL() + "/rest/api/2/myself"
	if r := w.call(w.billing(), "GET", u, ""); r.problem.Code != "connection_ambiguous" || !strings.Contains(r.problem.Detail, "dc, dc-2") {
		t.Errorf("no choice: %d %s", r.StatusCode, r.body)
	}
	if r := w.call(w.billing(), "GET", u, "", "Jira-Connection", "dc"); r.StatusCode != 200 {
		t.Errorf("by field: %d %s", r.StatusCode, r.body)
	}
	if r := w.call(w.client("billing+dc", w.token), "GET", u, ""); r.StatusCode != 200 {
		t.Errorf("by user name: %d %s", r.StatusCode, r.body)
	}
	if r := w.call(w.client("billing+dc-2", w.token), "GET", u, ""); r.StatusCode != 401 {
		t.Errorf("by user name, the other: %d %s", r.StatusCode, r.body)
	}
	if r := w.call(w.client("billing+dc", w.token), "GET", u, "", "Jira-Connection", "dc-2"); r.problem.Code != "connection_ambiguous" {
		t.Errorf("by both, differing: %d %s", r.StatusCode, r.body)
	}
	for _, arrived := range w.sim.Requests() {
		if arrived.Header.Get("Jira-Connection") != "" {
			t.Error("Jira-Connection reached Jira")
		}
	}
}

// Revoking a client, its token or its grant ends what open tunnels may do.
func TestChangesTakeEffectOnOpenTunnels(t *testing.T) {
	w := newWorld(t, change{})
	client := w.billing()
	u := w.sim.SiteURL() + "/rest/api/3/myself"
	if r := w.call(client, "GET", u, ""); r.StatusCode != 200 {
		t.Fatalf("at first: %d %s", r.StatusCode, r.body)
	}
	if err := w.store.Revoke(t.Context(), "billing", "acme"); err != nil {
		t.Fatal(err)
	}
	if r := w.call(client, "GET", u, ""); r.problem.Code != "connection_unknown" {
		t.Errorf("grant revoked: %d %s", r.StatusCode, r.body)
	}
	if err := w.store.Grant(t.Context(), "billing", "acme"); err != nil {
		t.Fatal(err)
	}
	if err := w.store.SetState(t.Context(), "acme", tokenstore.StateDisabled, "test"); err != nil {
		t.Fatal(err)
	}
	if r := w.call(client, "GET", u, ""); r.problem.Code != "connection_disabled" {
		t.Errorf("disabled: %d %s", r.StatusCode, r.body)
	}
	if err := w.store.SetState(t.Context(), "acme", tokenstore.StateActive, ""); err != nil {
		t.Fatal(err)
	}
	_, sum := tokenstore.NewToken()
	if err := w.store.SetClientToken(t.Context(), "billing", sum); err != nil {
		t.Fatal(err)
	}
	if r := w.call(client, "GET", u, ""); r.problem.Code != "client_revoked" {
		t.Errorf("token rotated: %d %s", r.StatusCode, r.body)
	}
}

// A connection of another region is refused: its calls must come from there.
func TestOtherRegionIsRefused(t *testing.T) {
	w := newWorld(t, change{gateway: func(_ *world, o *gateway.Options) { o.Region = tokenstore.RegionEU }})
	r := w.call(w.billing(), "GET", w.sim.SiteURL()+"/rest/api/3/myself", "")
	if r.problem.Code != "connection_other_region" {
		t.Errorf("%d %s", r.StatusCode, r.body)
	}
	w.nothingSent()
}

// Plain requests are taken on loopback or TLS listeners only.
func TestPlaintextFromAfarIsRefused(t *testing.T) {
	w := newWorld(t, change{wrap: func(l net.Listener) net.Listener { return afarListener{l} }})
	r := w.call(w.billing(), "GET", "http://acme.atlassian.net/rest/api/3/myself", "")
	if r.problem.Code != "plaintext_not_allowed" {
		t.Errorf("absolute form: %d %s", r.StatusCode, r.body)
	}
	w.nothingSent()
	if r := w.call(w.billing(), "GET", "https://acme.atlassian.net/rest/api/3/myself", ""); r.StatusCode != 200 {
		t.Errorf("CONNECT: %d %s", r.StatusCode, r.body)
	}
}

// afarListener makes connections look as if they came by another address.
type afarListener struct{ net.Listener }

func (l afarListener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	return afarConn{c}, err
}

type afarConn struct{ net.Conn }

func (afarConn) LocalAddr() net.Addr {
	return &net.TCPAddr{IP: net.IPv4(203, 0, 113, 7), Port: 8080}
}

// What would be decided is what is decided.
func TestExplainAgreesWithTheGateway(t *testing.T) {
	w := newWorld(t, change{})
	for _, tt := range []struct{ method, url string }{
		{"GET", "CLOUD/rest/api/3/myself"}, {"GET", "DC/rest/api/2/myself"}, {"GET", "CLOUD/rest/api/2/myself"},
		{"PUT", "CLOUD/rest/api/3/issue/ACME-1"}, {"GET", "CLOUD/rest/api/3/project/ACME%2f"}, {"GET", "https://example.com/rest/api/3/myself"},
		{"GET", "CLOUD/rest/api/3/user/picker?query=a&x=y"},
	} {
		u := w.url(tt.url, "")
		e, err := gateway.Explain(w.store.Directory(), policy.Default(), tokenstore.RegionUS, w.sim.APIURL(), gateway.Question{Method: tt.method, URL: u, Client: "billing"})
		if err != nil {
			t.Fatal(err)
		}
		code, decision := "", "allow"
		if r, err := w.try(w.billing(), tt.method, u, ""); err != nil {
			code, decision = "connection_unknown", "deny" // refused at CONNECT
		} else if r.StatusCode == 403 {
			code, decision = r.problem.Code, "deny"
		}
		if string(e.Code) != code || e.Decision != decision {
			t.Errorf("%s %s: explained as %s %q, decided as %s %q", tt.method, tt.url, e.Decision, e.Code, decision, code)
		}
	}
}

// A rule in report mode refuses nothing; the record says what it would have
// refused, whether it looked at the path or at the body.
func TestReportedRules(t *testing.T) {
	w := newWorld(t, change{rules: `
version: 1
rules:
  - name: only-ops
    projects: [OPS]
    mode: report
  - name: no-test
    deny: [myself.get]
    mode: report
`})
	for _, tt := range []struct {
		method, url, body string
		status            int
		code              string
	}{
		{"GET", "CLOUD/rest/api/3/project/ACME", "", 200, "project_not_allowed"},
		{"POST", "CLOUD/rest/api/3/issue", documented[9].body, 201, "project_not_allowed"},
		{"GET", "CLOUD/rest/api/3/project/OPS", "", 200, ""},
	} {
		r := w.call(w.billing(), tt.method, w.url(tt.url, ""), tt.body)
		newest := w.records()[len(w.records())-1]
		if r.StatusCode != tt.status || newest.Decision != "allow" || newest.Code != tt.code {
			t.Errorf("%s %s: %d, record %+v", tt.method, tt.url, r.StatusCode, newest)
		}
	}
	if p, err := w.gateway.Probe(t.Context(), "dc"); err != nil || p.Status != 200 || p.Code != "" || p.Account == "" {
		t.Errorf("connection test under a rule in report mode: %+v, %v", p, err)
	}
}

func TestExplainKnowsTheDeleteRule(t *testing.T) {
	w := newWorld(t, change{})
	for rule, want := range map[gateway.DeleteRule]gateway.Code{gateway.DeleteNone: "delete_switched_off", gateway.DeletePublished: "", gateway.DeleteAny: ""} {
		e, err := gateway.Explain(w.store.Directory(), policy.Default(), tokenstore.RegionUS, w.sim.APIURL(),
			gateway.Question{Method: "DELETE", URL: w.sim.SiteURL() + "/rest/api/3/issue/ACME-1", Delete: rule})
		if err != nil || e.Code != want || (e.Detail == "") != (rule == gateway.DeleteAny) {
			t.Errorf("%s: %+v, %v", rule, e, err)
		}
	}
}
