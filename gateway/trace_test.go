package gateway_test

import (
	"encoding/json"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"

	"go.opentelemetry.io/otel/codes"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.opentelemetry.io/otel/trace"
	tracenoop "go.opentelemetry.io/otel/trace/noop"

	"jiragate/gateway"
	"jiragate/internal/jirasim"
)

// traced is what a call has left: its server span, and those below.
type traced struct {
	t      *testing.T
	server tracetest.SpanStub
	spans  tracetest.SpanStubs
}

// traceOf waits for the server span that the traceparent of an answer names, which ends
// after the answer.
func (w *world) traceOf(t *testing.T, traceparent string) traced {
	t.Helper()
	parts := strings.Split(traceparent, "-")
	if len(parts) != 4 {
		t.Fatalf("traceparent %q", traceparent)
	}
	found := traced{t: t}
	await(t, "the server span "+traceparent, func() bool {
		found.spans = nil
		for _, s := range w.spans.GetSpans() {
			if s.SpanContext.TraceID().String() != parts[1] {
				continue
			}
			found.spans = append(found.spans, s)
			if s.SpanContext.SpanID().String() == parts[2] {
				found.server = s
			}
		}
		return found.server.SpanContext.IsValid()
	})
	return found
}

// of are the other spans of a kind, or name.
func (c traced) of(what string) (found tracetest.SpanStubs) {
	for _, s := range c.spans {
		if s.Name == what || s.SpanKind.String() == what {
			found = append(found, s)
		}
	}
	return found
}

func attributes(s tracetest.SpanStub) map[string]string {
	all := map[string]string{}
	for _, a := range s.Attributes {
		all[string(a.Key)] = a.Value.String()
	}
	return all
}

func events(s tracetest.SpanStub) map[string]map[string]string {
	all := map[string]map[string]string{}
	for _, e := range s.Events {
		all[e.Name] = map[string]string{}
		for _, a := range e.Attributes {
			all[e.Name][string(a.Key)] = a.Value.String()
		}
	}
	return all
}

// expect compares the attributes that want names; "" is for one that must not be there.
func expect(t *testing.T, s tracetest.SpanStub, want map[string]string) {
	t.Helper()
	got := attributes(s)
	for key, value := range want {
		if _, there := got[key]; there != (value != "") || got[key] != value {
			t.Errorf("span %s: %s is %q, want %q", s.Name, key, got[key], value)
		}
	}
}

// Spans of calls are as OpenTelemetry's conventions for HTTP want them: names of low
// cardinality; a server's status is an error from 500 on, a client's from 400 on.
func TestSpansOfCalls(t *testing.T) {
	const project = "/rest/api/3/project/{projectIdOrKey}"
	tests := []struct {
		name, method, url, body string
		fault                   *jirasim.Fault
		server, client          string // names; "" for no client span
		failed, clientFailed    string // error.type
		want, wantClient        map[string]string
	}{
		{
			name: "a read", method: "GET", url: "SITE/rest/api/3/project/ACME?expand=lead", server: "GET " + project, client: "GET " + project,
			want: map[string]string{
				"http.request.method": "GET", "http.request.method_original": "", "url.scheme": "https", "url.path": "/rest/api/3/project/ACME", "url.query": "",
				"http.route": project, "server.port": "443", "network.protocol.version": "2", "client.address": "127.0.0.1", "network.peer.address": "127.0.0.1",
				"http.response.status_code": "200", "jiragate.decision": "allow", "jiragate.operation": "project.get", "jiragate.edition": "cloud",
				"jiragate.connection": "acme", "jiragate.client": "billing", "jiragate.region": "us", "jiragate.door": "connect", "jiragate.code": "",
				"user_agent.original": "",
			},
			wantClient: map[string]string{
				"http.request.method": "GET", "url.template": project, "server.address": "127.0.0.1", "network.protocol.version": "2", "url.scheme": "https",
				"network.peer.address": "127.0.0.1", "http.response.status_code": "200", "http.request.resend_count": "", "jiragate.egress_ip": "unpinned",
			},
		},
		{
			name: "a write", method: "POST", url: "SITE/rest/api/3/issue", body: createBody, server: "POST /rest/api/3/issue", client: "POST /rest/api/3/issue",
			want:       map[string]string{"http.request.body.size": itoa(len(createBody)), "http.response.status_code": "201"},
			wantClient: map[string]string{"http.response.status_code": "201"},
		},
		{
			name: "what Jira has not", method: "GET", url: "SITE/rest/api/3/project/NONE", server: "GET " + project, client: "GET " + project, clientFailed: "404",
			want: map[string]string{"http.response.status_code": "404", "jiragate.decision": "allow"},
		},
		{
			name: "Jira fails", method: "GET", url: "SITE/rest/api/3/myself", fault: &jirasim.Fault{Kind: jirasim.ErrorStatus, Status: 503},
			server: "GET /rest/api/3/myself", client: "GET /rest/api/3/myself", failed: "503", clientFailed: "503",
		},
		{
			name: "Jira breaks off", method: "GET", url: "SITE/rest/api/3/myself", fault: &jirasim.Fault{Kind: jirasim.ResetBeforeHeaders},
			server: "GET /rest/api/3/myself", client: "GET /rest/api/3/myself", failed: "upstream_unreachable", clientFailed: "upstream_unreachable",
			wantClient: map[string]string{"network.peer.address": "127.0.0.1", "http.response.status_code": ""},
		},
		{
			name: "an answer that is withheld", method: "GET", url: "SITE/rest/api/3/myself", fault: &jirasim.Fault{Kind: jirasim.ReflectBody},
			server: "GET /rest/api/3/myself", client: "GET /rest/api/3/myself", failed: "response_withheld", clientFailed: "response_withheld",
		},
		{
			name: "refused", method: "GET", url: "SITE/rest/api/3/serverInfo", server: "GET",
			want: map[string]string{"jiragate.decision": "deny", "jiragate.code": "operation_not_documented", "http.route": "", "http.response.status_code": "403"},
		},
		{
			name: "a method that nobody knows", method: "FROB", url: "SITE/rest/api/3/myself", server: "HTTP",
			want: map[string]string{"http.request.method": "_OTHER", "http.request.method_original": "FROB", "jiragate.decision": "deny"},
		},
		{
			name: "by a base URL", method: "GET", url: "BASE/rest/api/3/myself", server: "GET /rest/api/3/myself", client: "GET /rest/api/3/myself",
			want: map[string]string{"url.scheme": "http", "url.path": "/rest/api/3/myself", "server.address": "127.0.0.1", "jiragate.door": "base-url", "network.protocol.version": "1.1"},
		},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			w := newWorld(t, change{})
			if test.fault != nil {
				defer w.sim.Fault(*test.fault)()
			}
			client := w.billing()
			url := strings.Replace(test.url, "SITE", "https://acme.atlassian.net", 1)
			if strings.HasPrefix(test.url, "BASE") {
				client.Transport = http.DefaultTransport
				url = strings.Replace(test.url, "BASE", "http://"+w.proxy+"/c/acme", 1)
			}
			r := w.call(client, test.method, url, test.body, "Proxy-Authorization", basic("billing", w.token), "User-Agent", "agent-of-somebody")
			call := w.traceOf(t, r.Header.Get("Traceparent"))
			checkSpan(t, call.server, trace.SpanKindServer, test.server, test.failed)
			expect(t, call.server, test.want)
			clients := call.of("client")
			if test.client == "" {
				if len(clients) != 0 {
					t.Errorf("client spans %v", clients)
				}
				return
			}
			if len(clients) != 1 {
				t.Fatalf("%d client spans", len(clients))
			}
			checkSpan(t, clients[0], trace.SpanKindClient, test.client, test.clientFailed)
			expect(t, clients[0], test.wantClient)
			if clients[0].Parent.SpanID() != call.server.SpanContext.SpanID() {
				t.Error("the client span is no child of the server span")
			}
			if full := attributes(clients[0])["url.full"]; !strings.HasPrefix(full, "https://") || strings.Contains(full, "?") {
				t.Errorf("url.full %q", full)
			}
			if text := string(must(json.Marshal(call.spans))(t)); strings.Contains(text, "expand") || strings.Contains(text, "agent-of-somebody") {
				t.Error("a span has a query or a User-Agent")
			}
		})
	}
}

// checkSpan looks at kind and name, and that status and error.type say the same.
func checkSpan(t *testing.T, s tracetest.SpanStub, kind trace.SpanKind, name, failed string) {
	t.Helper()
	if s.SpanKind != kind || s.Name != name {
		t.Errorf("%s span %q, want %s %q", s.SpanKind, s.Name, kind, name)
	}
	expect(t, s, map[string]string{"error.type": failed})
	status := sdktrace.Status{}
	if failed != "" {
		status.Code = codes.Error
		if strings.Trim(failed, "0123456789") != "" { // a status code says all
			status.Description = failed
		}
	}
	if s.Status != status {
		t.Errorf("%s span %q: status %+v, want %+v", s.SpanKind, s.Name, s.Status, status)
	}
}

// An answer that ends early is a failure, whatever its status said.
func TestSpanOfAnAnswerThatIsCut(t *testing.T) {
	w := newWorld(t, change{})
	w.sim.Fault(jirasim.Fault{Kind: jirasim.ReflectLate, Form: jirasim.FormVerbatim, Times: 1})
	r, err := w.try(w.billing(), "GET", w.sim.SiteURL()+"/rest/api/3/myself", "")
	if err == nil {
		t.Fatalf("the answer ended as if it were whole: %d", r.StatusCode)
	}
	call := w.traceOf(t, r.Header.Get("Traceparent"))
	checkSpan(t, call.server, trace.SpanKindServer, "GET /rest/api/3/myself", "response_withheld")
}

// CONNECT that is refused is a span of its own. It has no path.
func TestSpanOfCONNECT(t *testing.T) {
	w := newWorld(t, change{})
	answer := w.raw("CONNECT nobody.example:8443 HTTP/1.1\r\nHost: nobody.example:8443\r\nProxy-Authorization: " + basic("billing", w.token) + "\r\n\r\n")
	_, rest, _ := strings.Cut(answer, "Traceparent: ")
	traceparent, _, _ := strings.Cut(rest, "\r\n")
	call := w.traceOf(t, traceparent)
	checkSpan(t, call.server, trace.SpanKindServer, "CONNECT", "")
	expect(t, call.server, map[string]string{
		"http.request.method": "CONNECT", "server.address": "nobody.example", "server.port": "8443", "url.path": "",
		"jiragate.decision": "deny", "jiragate.code": "connection_unknown",
	})
}

// What spans may say is a list. An attribute that is not on it is looked at first.
func TestAttributesAreAList(t *testing.T) {
	allowed := strings.Fields(`
		client.address client.port error.type http.request.body.size http.request.method http.request.method_original http.request.resend_count
		http.response.body.size http.response.status_code http.route jiragate.client jiragate.code jiragate.connection jiragate.credential
		jiragate.decision jiragate.door jiragate.edition jiragate.egress_ip jiragate.operation jiragate.policy_sha256 jiragate.record jiragate.region
		jiragate.result jiragate.waited network.peer.address network.peer.port network.protocol.version server.address server.port url.full url.path
		url.scheme url.template`)
	w := newWorld(t, change{})
	w.repeated = 1
	client := w.billing()
	w.sim.ExpireAccessTokens()
	w.call(client, "GET", "https://acme.atlassian.net/rest/api/3/myself", "")
	w.call(client, "FROB", "https://acme.atlassian.net/rest/api/3/myself", "")
	last := w.call(client, "POST", w.sim.DataCenterURL()+"/rest/api/2/issue", createBody)
	w.traceOf(t, last.Header.Get("Traceparent"))
	seen := map[string]bool{}
	for _, s := range w.spans.GetSpans() {
		for key := range attributes(s) {
			seen[key] = true
		}
	}
	for _, key := range slices.Sorted(maps.Keys(seen)) {
		if !slices.Contains(allowed, key) {
			t.Errorf("spans have %s", key)
		}
	}
	w.noteTokens("acme")
}

// The client's trace is continued, and the answer names the gateway's span. Neither
// goes to Jira, nor comes from there.
func TestTraceContext(t *testing.T) {
	const id = "0af7651916cd43dd8448eb211c80319c"
	w := newWorld(t, change{})
	defer w.sim.Fault(jirasim.Fault{Kind: jirasim.AddHeader, Name: "Traceparent", Value: "00-11111111111111111111111111111111-2222222222222222-01"})()
	defer w.sim.Fault(jirasim.Fault{Kind: jirasim.AddHeader, Name: "Tracestate", Value: "jira=1"})()
	client := w.billing()
	for flags, url := range map[string]string{
		"01": "https://acme.atlassian.net/rest/api/3/project/ACME", // answered
		"03": "https://acme.atlassian.net/rest/api/3/serverInfo",   // refused; random ids, as of level 2
	} {
		r := w.call(client, "GET", url, "", "Traceparent", "00-"+id+"-b7ad6b7169203331-"+flags, "Tracestate", "client=1")
		got := r.Header.Values("Traceparent")
		if len(got) != 1 || !strings.HasPrefix(got[0], "00-"+id+"-") || !strings.HasSuffix(got[0], "-01") || r.Header.Get("Tracestate") != "" {
			t.Errorf("%s: Traceparent %q, Tracestate %q", url, got, r.Header.Get("Tracestate"))
		}
		call := w.traceOf(t, got[0])
		if call.server.Parent.SpanID().String() != "b7ad6b7169203331" || call.server.SpanKind != trace.SpanKindServer {
			t.Errorf("%s: the span that is named is a %s span, with the parent %s", url, call.server.SpanKind, call.server.Parent.SpanID())
		}
		newest := w.records()[len(w.records())-1]
		if newest.TraceID != id {
			t.Errorf("%s: the record has the trace id %s", url, newest.TraceID)
		}
	}
	for _, r := range w.sim.Requests() {
		for _, name := range []string{"Traceparent", "Tracestate", "Baggage"} {
			if r.Header.Get(name) != "" {
				t.Errorf("Jira was sent %s: %s", name, r.Header.Get(name))
			}
		}
	}
}

// Who is not identified, and whose call is not recorded in any span, gets a traceparent
// too: its trace id is in the call record. Without tracing there is none.
func TestTraceparentOfOtherAnswers(t *testing.T) {
	for name, test := range map[string]struct {
		provider trace.TracerProvider
		want     string // suffix
	}{
		"sampled":      {sdktrace.NewTracerProvider(), "-01"},
		"not sampled":  {sdktrace.NewTracerProvider(sdktrace.WithSampler(sdktrace.NeverSample())), "-00"},
		"switched off": {tracenoop.NewTracerProvider(), ""},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, change{gateway: func(_ *world, o *gateway.Options) { o.TracerProvider = test.provider }})
			defer w.sim.Fault(jirasim.Fault{Kind: jirasim.AddHeader, Name: "Traceparent", Value: "00-11111111111111111111111111111111-2222222222222222-01"})()
			client := w.billing()
			answers := map[string]reply{
				"answer":   w.call(client, "GET", "https://acme.atlassian.net/rest/api/3/myself", ""),
				"streamed": w.call(client, "GET", "https://acme.atlassian.net/rest/api/3/project/search", ""),
				"refusal":  w.call(client, "GET", "https://acme.atlassian.net/rest/api/3/serverInfo", ""),
				"407":      w.call(http.DefaultClient, "GET", "http://"+w.proxy+"/c/acme/rest/api/3/myself", ""),
				"continued": w.call(client, "GET", "https://acme.atlassian.net/rest/api/3/serverInfo", "",
					"Traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00"),
			}
			ids := ""
			for _, r := range w.records() {
				ids += r.TraceID + " "
			}
			for what, r := range answers {
				got := r.Header.Get("Traceparent")
				want := test.want
				if what == "continued" && want != "" {
					want = "-00" // the client's wish
				}
				switch {
				case want == "" && got != "", !strings.HasSuffix(got, want):
					t.Errorf("%s: Traceparent %q", what, got)
				case want != "" && (len(got) != 55 || !strings.Contains(ids, got[3:35])):
					t.Errorf("%s: no record has the trace of %q", what, got)
				}
			}
		})
	}
}

// Baggage is what a client tells its own services. It gets no further than here.
func TestBaggageIsDropped(t *testing.T) {
	const inside = "b4gg4ge"
	w := newWorld(t, change{})
	w.repeated = 1
	client := w.billing()
	w.sim.ExpireAccessTokens() // so that the authorization server is asked, too
	for _, url := range []string{"https://acme.atlassian.net/rest/api/3/myself", "https://acme.atlassian.net/rest/api/3/serverInfo", w.sim.DataCenterURL() + "/rest/api/2/myself"} {
		r := w.call(client, "GET", url, "", "Baggage", "tenant="+inside+";"+inside, "Traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")
		w.traceOf(t, r.Header.Get("Traceparent"))
		if strings.Contains(r.body, inside) || r.Header.Get("Baggage") != "" {
			t.Errorf("%s: it came back", url)
		}
	}
	for name, text := range w.written() {
		if strings.Contains(text, inside) {
			t.Errorf("it is in %s", name)
		}
	}
	if len(w.sim.Requests()) < 4 {
		t.Fatalf("%d requests", len(w.sim.Requests()))
	}
	for _, r := range w.sim.Requests() {
		if _, there := r.Header["Baggage"]; there || strings.Contains(string(must(json.Marshal(r.Header))(t))+r.RequestURI+string(r.Body), inside) {
			t.Errorf("it left with %s %s", r.Method, r.RequestURI)
		}
	}
	w.noteTokens("acme")
}
