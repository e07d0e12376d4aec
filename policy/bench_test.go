package policy

import "testing"

// What deciding costs a call. An allowed call without a query allocates nothing,
// one with a query its list of parameters.
func BenchmarkDecide(b *testing.B) {
	for _, bb := range []struct {
		name  string
		rules string
		r     Request
	}{
		{"plain", "", Request{Edition: Cloud, Method: "GET", Path: "/rest/api/3/myself"}},
		{"query", "", Request{Edition: Cloud, Method: "GET", Path: "/rest/api/3/project/search", RawQuery: "startAt=0&maxResults=50&orderBy=name&expand=lead,url"}},
		{"issue types", "", Request{Edition: Cloud, Method: "GET", Path: "/rest/api/3/project/ACME", RawQuery: "expand=issueTypes"}},
		{"delete under rules", acmeRules, Request{Edition: Cloud, Method: "DELETE", Path: "/rest/api/3/issue/ACME-1", Connection: "limited", Client: "billing"}},
		{"refused", "", Request{Edition: Cloud, Method: "GET", Path: "/rest/api/3/search"}},
	} {
		b.Run(bb.name, func(b *testing.B) {
			p := Default()
			if bb.rules != "" {
				p = mustNew(b, []byte(bb.rules))
			}
			b.ReportAllocs()
			for b.Loop() {
				p.Decide(bb.r)
			}
		})
	}
}

func BenchmarkDecideBody(b *testing.B) {
	p := Default()
	r := Request{Edition: Cloud, Method: "POST", Path: "/rest/api/3/issue"}
	d := p.Decide(r)
	body := []byte(`{"fields":{"project":{"key":"ACME"},"issuetype":{"id":"10001"},"summary":"Agree on the release","labels":["retro"],"description":{"type":"doc","version":1,"content":[{"type":"paragraph","content":[{"type":"text","text":"From the retrospective."}]}]}}}`)
	b.ReportAllocs()
	b.SetBytes(int64(len(body)))
	for b.Loop() {
		p.DecideBody(d, r, "application/json", body)
	}
}

func BenchmarkNew(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		mustNew(b, []byte(acmeRules))
	}
}

// Memory for nothing is what a busy gateway pays most for; this holds the line
// that the benchmark shows.
func TestDecideAllocatesNextToNothing(t *testing.T) {
	p := mustNew(t, []byte(acmeRules))
	for query, most := range map[string]float64{"": 0, "expand=issueTypes": 1, "expand=lead&properties=a&properties=b": 1} {
		r := Request{Edition: Cloud, Method: "GET", Path: "/rest/api/3/project/ACME", RawQuery: query, Connection: "limited", Client: "billing"}
		if got := testing.AllocsPerRun(100, func() { p.Decide(r) }); got > most {
			t.Errorf("query %q: %v allocations, want at most %v", query, got, most)
		}
	}
}

// What deciding a recorded call again costs; the last is one that cannot be
// decided.
func BenchmarkReconsider(b *testing.B) {
	recorded := func(method, operation, path string, names ...string) Recorded {
		return Recorded{Edition: Cloud, Method: method, Operation: operation, Path: path, QueryNames: names, Connection: "limited", Client: "billing", PolicySHA256: elsewhere, Allowed: true}
	}
	for name, r := range map[string]Recorded{
		"plain": recorded("GET", "myself.get", "/rest/api/3/myself"),
		"limit": recorded("DELETE", "issue.delete", "/rest/api/3/issue/ACME-1"),
		"query": recorded("GET", "project.list", "/rest/api/3/project/search", "keys", "startAt", "maxResults", "expand"),
		"body":  recorded("POST", "issue.create", "/rest/api/3/issue"),
	} {
		b.Run(name, func(b *testing.B) {
			p := mustNew(b, []byte(acmeRules))
			b.ReportAllocs()
			for b.Loop() {
				p.Reconsider(r)
			}
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "records/s")
		})
	}
}
