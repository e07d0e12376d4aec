package cli

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"jiragate/tokenstore"
)

func TestIssueLists(t *testing.T) {
	issue := func(id, key string) tokenstore.PublishedIssue {
		return tokenstore.PublishedIssue{Connection: "acme", ID: id, Key: key}
	}
	both := []tokenstore.PublishedIssue{issue("10042", "ACME-17"), issue("10043", "ACME-18")}
	dated := issue("10042", "ACME-17")
	dated.CreatedAt = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	for name, tt := range map[string]struct {
		in   string
		want []tokenstore.PublishedIssue
		err  string // in the error
	}{
		"id and key":         {"10042 ACME-17\n10043 ACME-18\n", both, ""},
		"key and id, tabs":   {"ACME-17\t10042\r\nACME-18\t10043", both, ""},
		"CSV with a heading": {"\ufeffid,key\n\"10042\",\"ACME-17\"\n10043,ACME-18\n", both, ""},
		"keys":               {"# of 2025\n\nACME-17\nOPS_2-1\n", []tokenstore.PublishedIssue{issue("", "ACME-17"), issue("", "OPS_2-1")}, ""},
		"ids":                {"10042", []tokenstore.PublishedIssue{issue("10042", "")}, ""},
		"JSON lines":         {`{"id":"10042","key":"ACME-17"}` + "\n" + `{"key":"ACME-18","id":"10043"}`, both, ""},
		"JSON array":         {`[{"id":"10042","key":"ACME-17","created_at":"2026-01-02T03:04:05Z"}]`, []tokenstore.PublishedIssue{dated}, ""},

		"nothing":             {"", nil, "names no issue"},
		"comments only":       {"# nothing\n", nil, "names no issue"},
		"empty array":         {"[]", nil, "names no issue"},
		"a key in lower case": {"ACME-17\nacme-18\n", nil, "line 2"},
		"a URL":               {"https://acme.atlassian.net/browse/ACME-17", nil, "line 1"},
		"two keys":            {"ACME-17 ACME-18", nil, "more than one issue"},
		"a number in JSON":    {`{"id":10042}`, nil, "JSON object"},
		"unknown member":      {`{"issue":"10042"}`, nil, "JSON object"},
		"two objects a line":  {`{"id":"1"}{"id":"2"}`, nil, "JSON object"},
		"bad element":         {`[{"id":"1"},{"id":"x"}]`, nil, "element 2"},
		"cut array":           {`[{"id":"1"}`, nil, "JSON array"},
		"more than an array":  {`[{"id":"1"}] x`, nil, "follows"},
		"endless line":        {strings.Repeat("1", 5000), nil, "longer than"},
	} {
		got, err := parseIssueList(strings.NewReader(tt.in), "acme")
		if tt.err == "" && err != nil || tt.err != "" && (err == nil || !strings.Contains(err.Error(), tt.err)) {
			t.Errorf("%s: error %v, want %q", name, err, tt.err)
		}
		if diff := cmp.Diff(tt.want, got); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
}

func FuzzIssueList(f *testing.F) {
	for _, seed := range []string{"10042 ACME-17\n", "id,key\n1,A-1", `[{"id":"1","key":"A-1"}]`, `{"id":"1"}`, "#\n[", "\ufeff"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, in string) {
		list, err := parseIssueList(strings.NewReader(in), "acme")
		if (err == nil) != (len(list) > 0) {
			t.Fatalf("%d issues, error %v", len(list), err)
		}
		for _, i := range list {
			if err := i.Validate(); err != nil {
				t.Errorf("taken, although %v", err)
			}
		}
	})
}
