package policy

import (
	"encoding/json"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestOperationsIsACopy(t *testing.T) {
	p, before := Default(), Default().Operations()
	changed := p.Operations()
	for i := range changed {
		changed[i].Path = "/elsewhere"
		for j := range changed[i].Query {
			clear(changed[i].Query[j].Values)
			changed[i].Query[j].Name = "changed"
		}
	}
	if diff := cmp.Diff(before, p.Operations(), cmp.AllowUnexported(QueryParameter{})); diff != "" {
		t.Errorf("changing the copy changed the policy:\n%s", diff)
	}
}

// The JSON is part of the outside contract: an operation has all members but those
// in brackets, and lists are never null.
func TestOperationAsJSON(t *testing.T) {
	for name, tt := range map[string]struct {
		entry, rules string
		want         string
	}{
		"as little as may be": {
			"datacenter: {method: GET, path: /rest/api/2/a, projects: none}", "",
			`{"id":"a","edition":"datacenter","purpose":"A","method":"GET","path":"/rest/api/2/a",` +
				`"query":[],"parameters":[],"body":"dropped","projects":"none","scope":"","enabled":true}`,
		},
		"parameters": {
			"datacenter: {method: GET, path: /rest/api/2/a, projects: query, query: [{name: x, type: list, values: [b, c]}, {name: y, type: integer, repeat: false, names: project}, {name: z, repeat: true}]}", "rules: [{name: off, deny: [a]}]",
			`{"id":"a","edition":"datacenter","purpose":"A","method":"GET","path":"/rest/api/2/a",` +
				`"query":["x","y","z"],"parameters":[{"name":"x","type":"list","values":["b","c"],"repeatable":true},{"name":"y","type":"integer"},{"name":"z","type":"text","repeatable":true}],` +
				`"body":"dropped","projects":"query","scope":"","enabled":false}`,
		},
		"a successor": {
			"cloud: {method: POST, path: /rest/api/3/a, projects: body, body: issue, scope: write, successor_of: a}", "",
			`{"id":"a","edition":"cloud","purpose":"A","method":"POST","path":"/rest/api/3/a",` +
				`"query":[],"parameters":[],"body":"issue","projects":"body","scope":"write","successor_of":"a","enabled":false}`,
		},
	} {
		t.Run(name, func(t *testing.T) {
			p, err := build([]byte("version: \"1\"\noperations: [{id: a, purpose: A, "+tt.entry+"}]\n"), []byte("version: 1\n"+tt.rules))
			if err != nil {
				t.Fatal(err)
			}
			got, err := json.Marshal(p.Operations()[0])
			if err != nil || string(got) != tt.want {
				t.Errorf("got\n%s (%v)\nwant\n%s", got, err, tt.want)
			}
		})
	}
}
