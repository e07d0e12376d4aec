package main

import (
	"errors"
	"io"
	"strings"
	"testing"
	"time"
)

func TestWhichFindingsStopARelease(t *testing.T) {
	day := time.Date(2026, 11, 5, 0, 0, 0, 0, time.UTC)
	in := finding{id: "GO-1", module: "example.com/a", version: "v1.0.0", fixed: "v1.0.1", function: "example.com/a.F"}
	beside := finding{id: "GO-2", module: "example.com/a", version: "v1.0.0"}
	for _, test := range []struct {
		name  string
		found []finding
		list  []accepted
		stops bool
		says  string
	}{
		{"none", nil, nil, false, ""},
		{"a module whose function is not in the program", []finding{beside}, nil, false, ""},
		{"a function", []finding{beside, in}, nil, true, "GO-1"},
		{"a function, accepted", []finding{in}, []accepted{{"GO-1", "not reached", "2026-11-05"}}, false, ""},
		{"a function, accepted till yesterday", []finding{in}, []accepted{{"GO-1", "not reached", "2026-11-04"}}, true, "GO-1"},
		{"accepted, and gone", nil, []accepted{{"GO-1", "not reached", "2026-12-01"}}, false, "remove it"},
		{"accepted without a reason", []finding{in}, []accepted{{"GO-1", "", "2026-12-01"}}, false, "no reason"},
		{"accepted for ever", []finding{in}, []accepted{{"GO-1", "not reached", ""}}, false, "until"},
	} {
		t.Run(test.name, func(t *testing.T) {
			err := judge(test.found, test.list, day, io.Discard)
			if errors.Is(err, errVulnerable) != test.stops {
				t.Errorf("got %v", err)
			}
			if test.says == "" && err != nil || test.says != "" && (err == nil || !strings.Contains(err.Error(), test.says)) {
				t.Errorf("got %v, want an error with %q", err, test.says)
			}
		})
	}
}

func TestFindingsOfGovulncheck(t *testing.T) {
	const stream = `{"config":{"scanner_name":"govulncheck"}} {"SBOM":{"go_version":"go1.26.8"}}
{"finding":{"osv":"GO-1","fixed_version":"v1.26.9","trace":[{"module":"stdlib","version":"v1.26.8"}]}}
{"finding":{"osv":"GO-1","fixed_version":"v1.26.9","trace":[{"module":"stdlib","version":"v1.26.8","package":"net/http","function":"Do","receiver":"*Client"}]}}
{"finding":{"osv":"GO-2","trace":[{"module":"example.com/a","version":"v1.0.0"}]}}`
	got, err := findings([]byte(stream))
	if err != nil {
		t.Fatal(err)
	}
	want := []finding{{"GO-1", "stdlib", "v1.26.8", "v1.26.9", "net/http.Client.Do"}, {"GO-2", "example.com/a", "v1.0.0", "", ""}}
	if len(got) != 2 || got[0] != want[0] || got[1] != want[1] {
		t.Errorf("got %+v, want %+v", got, want)
	}
	for _, broken := range []string{"", "{", `{"config":{}}`} {
		if got, err := findings([]byte(broken)); err == nil {
			t.Errorf("%q is taken for a scan that found %+v", broken, got)
		}
	}
}
