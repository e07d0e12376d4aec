package policy

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
)

// FuzzDecide: whatever is allowed is documented, is sent in canonical form, and
// is decided alike when it comes back.
func FuzzDecide(f *testing.F) {
	seeds := 0
	for _, tt := range realistic {
		f.Add(tt.edition == Cloud, tt.method, tt.path, tt.query)
		seeds++
	}
	for _, tt := range hostilePaths {
		f.Add(tt.edition == Cloud, tt.method, tt.path, "")
		seeds++
	}
	for _, tt := range hostileQueries {
		f.Add(true, "GET", tt.path, tt.query)
		seeds++
	}
	if seeds < 100 {
		f.Fatalf("%d seeds; the tables they come from are gone", seeds)
	}
	p := mustNew(f, withSuccessors)
	narrow := mustNew(f, []byte(strings.Replace(acmeRules, "successors: [createmeta.issuetypes]", "successors: [createmeta.issuetypes, createmeta.fields]", 1)))
	f.Fuzz(func(t *testing.T, cloud bool, method, path, query string) {
		r := Request{Edition: DataCenter, Method: method, Path: path, RawQuery: query, Connection: "limited", Client: "billing"}
		if cloud {
			r.Edition = Cloud
		}
		d := p.Decide(r)
		if d.Allowed() {
			checkAllowed(t, p, r, &d)
			for _, c := range []byte(d.Path()) {
				if c != '/' && c != '-' && c != '_' && (c < '0' || c > '9') && (c < 'A' || c > 'Z') && (c < 'a' || c > 'z') {
					t.Fatalf("the rebuilt path %q has the byte %q", d.Path(), c)
				}
			}
		} else {
			checkDenial(t, d, d.Code)
		}
		checkNarrower(t, narrow, p, r)
	})
}

// FuzzDecideBody: what is sent means what came, to a parser of another make,
// and is sent alike when it comes back.
func FuzzDecideBody(f *testing.F) {
	seeds := []string{
		`{"fields":{}}`,
		`{"update":{},"fields":{"summary":"a\u0041\/\ud83d\ude00\n","n":[0,-0,1.50,1e400,true,false,null],"project":{"key":"ACME","id":10000}}}`,
		`{"fields":{"description":{"type":"doc","version":1,"content":[{"type":"paragraph","content":[{"type":"text","text":"<&>"}]}]}}}`,
		`{"fields":{"a":1,"\u0061":2}}`,
		`{"fields":{"a":"\ud800"}}`,
		`{"fields":{"a":[[[[[[]]]]]]}} x`,
		"\ufeff{}",
	}
	if len(seeds) == 0 {
		f.Fatal("no seeds")
	}
	for _, s := range seeds {
		f.Add([]byte(s))
	}
	p := Default()
	r := Request{Edition: DataCenter, Method: "POST", Path: "/rest/api/2/issue"}
	f.Fuzz(func(t *testing.T, body []byte) {
		rebuilt, d := p.DecideBody(p.Decide(r), r, "application/json", body)
		if !d.Allowed() {
			checkDenial(t, d, d.Code)
			if rebuilt != nil {
				t.Fatalf("a refused body is rebuilt: %q", rebuilt)
			}
			return
		}
		if len(rebuilt) > len(body) {
			t.Fatalf("%d bytes became %d", len(body), len(rebuilt))
		}
		again, e := p.DecideBody(p.Decide(r), r, "application/json", rebuilt)
		if !e.Allowed() || !bytes.Equal(again, rebuilt) {
			t.Fatalf("%q was rebuilt as %q, and that as %q (%s)", body, rebuilt, again, e.Detail)
		}
		want, got := decodeJSON(t, body), decodeJSON(t, rebuilt)
		delete(want, "update")
		if !reflect.DeepEqual(want, got) {
			t.Fatalf("%q was rebuilt as %q, which means something else", body, rebuilt)
		}
	})
}

func decodeJSON(t *testing.T, text []byte) map[string]any {
	t.Helper()
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.UseNumber()
	var value map[string]any
	if err := decoder.Decode(&value); err != nil {
		t.Fatalf("encoding/json refuses %q: %v", text, err)
	}
	return value
}

// FuzzRules: no text of a policy file makes New panic, or allows more than the
// catalogue with all successors does.
func FuzzRules(f *testing.F) {
	files, err := filepath.Glob("testdata/rules/*.yaml")
	if err != nil || len(files) == 0 {
		f.Fatalf("no seeds in testdata/rules: %v", err)
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(text)
	}
	f.Add([]byte(acmeRules))
	wide := mustNew(f, withSuccessors)
	f.Fuzz(func(t *testing.T, text []byte) {
		narrow, err := New(text)
		if err != nil {
			return
		}
		if _, err := Check(text); err != nil {
			t.Fatalf("New takes what Check refuses: %v", err)
		}
		for _, tt := range realistic {
			checkNarrower(t, narrow, wide, Request{Edition: tt.edition, Method: tt.method, Path: tt.path, RawQuery: tt.query, Connection: "acme", Client: "billing"})
		}
	})
}
