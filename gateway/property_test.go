package gateway_test

import (
	"net/http"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"jiragate/internal/jirasim"
	"jiragate/policy"
)

// Requests put together at random from the pieces of good and bad ones, sent
// as raw bytes through a front door. Whatever of them reaches Jira:
//   - is an allowed operation, in its canonical spelling, so that deciding it
//     again gives the same (G1, G2);
//   - carries the credential of its own connection, to that connection's origin
//     and base path (G3);
//   - carries no header field but those of the allowlist (G4).
func TestWhateverReachesJiraIsAllowedAndRebuilt(t *testing.T) {
	w := newWorld(t, change{})
	credential := must(w.store.Credential(t.Context(), "acme"))(t)
	authorization := map[jirasim.Origin]string{
		jirasim.CloudAPI:   "Bearer " + credential.AccessToken.Reveal(),
		jirasim.DataCenter: basic(jirasim.DefaultUsername, jirasim.DefaultPassword),
	}
	bases := map[jirasim.Origin]string{jirasim.CloudAPI: "/ex/jira/" + w.sim.CloudID(), jirasim.DataCenter: "/jira"}
	editions := map[jirasim.Origin]policy.Edition{jirasim.CloudAPI: policy.Cloud, jirasim.DataCenter: policy.DataCenter}
	hosts := map[jirasim.Origin]string{
		jirasim.CloudAPI:   strings.TrimPrefix(w.sim.APIURL(), "https://"),
		jirasim.DataCenter: strings.TrimSuffix(strings.TrimPrefix(w.sim.DataCenterURL(), "https://"), "/jira"),
	}
	fields := []string{
		"Accept: application/json", "Authorization: Bearer mine", "Cookie: JSESSIONID=1", "X-Forwarded-For: 1.1.1.1", "Connection: Authorization, close",
		"X-HTTP-Method-Override: DELETE", "Traceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", "Jira-Connection: dc", "Jira-Connection: acme",
		"Content-Type: application/json", "Range: bytes=0-1", "If-None-Match: x", "TE: trailers", "Expect: 100-continue", "Referer: https://evil.example", "X: y",
	}
	reached := 0
	property := func(t *rapid.T) {
		w.sim.Reset()
		var b strings.Builder
		b.WriteString(drawMethod(t) + " " + drawTarget(t, hosts) + " HTTP/1.1\r\nHost: ")
		target := strings.Fields(b.String())[1]
		host := "gateway"
		if _, rest, ok := strings.Cut(target, "://"); ok {
			host, _, _ = strings.Cut(rest, "/")
		}
		b.WriteString(host + "\r\nConnection: close\r\nProxy-Authorization: " + basic("billing", w.token) + "\r\n")
		for _, f := range rapid.SliceOfN(rapid.SampledFrom(fields), 0, 4).Draw(t, "fields") {
			b.WriteString(f + "\r\n")
		}
		body := rapid.SampledFrom([]string{"", "{}", documented[9].body, `{"fields":{},"fields":{}}`}).Draw(t, "body")
		b.WriteString("Content-Length: " + itoa(len(body)) + "\r\n\r\n" + body)
		w.raw(b.String())

		for _, r := range w.sim.Requests() {
			reached++
			path, query, _ := strings.Cut(strings.TrimPrefix(r.RequestURI, bases[r.Origin]), "?")
			d := policy.Default().Decide(policy.Request{Edition: editions[r.Origin], Method: r.Method, Path: path, RawQuery: query})
			if !d.Allowed() || d.Path() != path || d.RawQuery() != query || !strings.HasPrefix(r.RequestURI, bases[r.Origin]+"/rest/api/") {
				t.Fatalf("reached Jira: %s %s: %s %s", r.Method, r.RequestURI, d.Code, d.Detail)
			}
			if r.Host != hosts[r.Origin] || !slices.Equal(r.Header["Authorization"], []string{authorization[r.Origin]}) {
				t.Fatalf("reached %s with another connection's credential or host: %s", r.Origin, r.Host)
			}
			for name := range r.Header {
				if !slices.Contains([]string{"Accept", "Accept-Encoding", "Accept-Language", "Authorization", "Content-Length", "Content-Type",
					"If-Modified-Since", "If-None-Match", "User-Agent", "Via", "X-Atlassian-Token"}, http.CanonicalHeaderKey(name)) {
					t.Fatalf("Jira saw the field %s", name)
				}
			}
		}
	}
	rapid.Check(t, property)
	if reached == 0 {
		rapid.Check(t, property) // a short run makes few requests, all of which may be refused
	}
	if reached == 0 {
		t.Error("no request reached Jira: the property holds of nothing")
	}
}

func drawMethod(t *rapid.T) string {
	return rapid.SampledFrom([]string{"GET", "GET", "GET", "GET", "POST", "DELETE", "PUT", "HEAD", "get", "PATCH", "TRACE", "OPTIONS"}).Draw(t, "method")
}

// drawTarget draws a documented path, or a mutation of one, at one of the
// doors and hosts.
func drawTarget(t *rapid.T, hosts map[jirasim.Origin]string) string {
	prefix := rapid.SampledFrom([]string{
		"http://acme.atlassian.net", "http://acme.atlassian.net", "/c/acme", "/c/dc", "http://" + hosts[jirasim.DataCenter] + "/jira",
		"http://" + hosts[jirasim.DataCenter], "http://api.atlassian.com/ex/jira/" + jirasim.DefaultCloudID, "http://example.com", "/c/nobody", "ftp://acme.atlassian.net",
	}).Draw(t, "prefix")
	paths := make([]string, 0, len(documented))
	for _, d := range documented {
		_, path, _ := strings.Cut(d.url, "/rest/")
		paths = append(paths, "/rest/"+strings.Replace(path, "CREATED", "ACME-1", 1))
	}
	path := rapid.SampledFrom(paths).Draw(t, "path")
	if rapid.Bool().Draw(t, "mutated") {
		at := rapid.IntRange(0, len(path)).Draw(t, "at")
		piece := rapid.SampledFrom([]string{"/", "/..", "/.", "%2f", "%2e%2e/", ";a=b", "%00", "%25", "\\", "x", "?a=b", "&a=b", "&expand=groups", "latest", "A", "1", "%41", "#"}).Draw(t, "piece")
		path = path[:at] + piece + path[at:]
	}
	return prefix + path
}
