package report_test

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"unicode"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/net/html"

	"jiragate/gateway/audit"
	"jiragate/gateway/audit/report"
)

var update = flag.Bool("update", false, "write the golden files anew")

// The JSON and the CSV are what auditors' programs read: a difference is a change of
// a contract. The page is compared by its text, since its looks may change.
func TestGoldenFiles(t *testing.T) {
	r := sample(t)
	asJSON, err := r.JSON()
	if err != nil {
		t.Fatal(err)
	}
	for name, content := range map[string][]byte{"report.json": asJSON, "report.csv": csvOf(t, r), "report.txt": []byte(textOf(t, pageOf(t, r)))} {
		path := filepath.Join("testdata", name)
		// The catalogue is part of the hash; its own tests see to changes of it.
		content = bytes.ReplaceAll(content, []byte(inForce.SHA256()), []byte("POLICY"))
		if *update {
			if err := os.WriteFile(path, content, 0o644); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(string(want), string(content)); diff != "" {
			t.Errorf("%s (-golden +now):\n%s", name, diff)
		}
	}
}

func csvOf(t *testing.T, r *report.Report) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := r.WriteCSV(&b); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// textOf is what a reader of the page sees, a line for each piece of text.
func textOf(t *testing.T, page []byte) string {
	t.Helper()
	var b strings.Builder
	hidden := false
	for z := html.NewTokenizer(bytes.NewReader(page)); ; {
		switch z.Next() {
		case html.ErrorToken:
			return b.String()
		case html.StartTagToken:
			name, _ := z.TagName()
			hidden = string(name) == "style" || string(name) == "title"
		case html.EndTagToken:
			hidden = false
		case html.TextToken:
			if s := strings.TrimSpace(string(z.Text())); s != "" && !hidden {
				b.WriteString(html.UnescapeString(s) + "\n")
			}
		}
	}
}

const nasty = "=HYPERLINK(\"x\")<script>alert(1)</script>\x1b[31m\u202e\x00\"'`</style><!--\t\r\n,;"

// Text of clients is text everywhere, and steers nothing.
func TestClientsTextIsInert(t *testing.T) {
	for _, text := range []string{nasty, "+1", "-1", "@SUM(A1)", "\t=1", " =1", "＝1", "a\u2028b"} {
		in := input()
		in.Region, in.Version, in.Verification.Failure = text, text, text
		in.Policies[0].Changes = []string{text}
		everywhere := func(r *audit.Record) {
			r.ID, r.Client, r.ClientAddr, r.Method, r.Operation, r.Path, r.Code, r.PolicySHA256, r.EgressIP = text, text, text, text, text, text, text, text, text
		}
		interrupted := func(r *audit.Record) { everywhere(r); r.Code = audit.CodeInterrupted }
		deny := func(r *audit.Record) { everywhere(r); r.Decision = audit.DecisionDeny }
		act := func(r *audit.Record) { everywhere(r); r.Operation = "admin." + text }
		r := collect(t, in, aCall(1, everywhere), aCall(2, interrupted), aCall(3, deny), aCall(4, act))

		page := pageOf(t, r)
		asJSON, err := r.JSON()
		if err != nil {
			t.Fatal(err)
		}
		for name, content := range map[string][]byte{"html": page, "json": asJSON, "csv": csvOf(t, r)} {
			for _, c := range string(content) {
				if c == '\r' && name == "csv" || c == '\n' {
					continue
				}
				if unicode.Is(unicode.Cc, c) || unicode.Is(unicode.Cf, c) || c == '\u2028' {
					t.Errorf("%s: %q comes out raw", name, c)
				}
			}
		}
		for _, tag := range []string{"<script", "alert(1)</script>", "<!--"} {
			if bytes.Contains(page, []byte(tag)) {
				t.Errorf("the page has %s", tag)
			}
		}
		if !json.Valid(asJSON) {
			t.Errorf("no JSON: %s", asJSON)
		}
		rows, err := csv.NewReader(bytes.NewReader(csvOf(t, r))).ReadAll()
		if err != nil || len(rows) != 5 {
			t.Fatalf("%d rows, %v", len(rows), err)
		}
		for _, row := range rows {
			for _, cell := range row {
				if cell != "" && strings.ContainsRune("=+-@\t\r＝", []rune(strings.TrimLeft(cell, " "))[0]) {
					t.Errorf("the cell %q may be a formula", cell)
				}
			}
		}
	}
}

// The page asks for nothing, runs nothing and is one file.
func TestPageIsSelfContained(t *testing.T) {
	page := pageOf(t, sample(t))
	for _, never := range []string{"<script", "src=", "@import", "url(", "<link", "<iframe", "http:", "https:", "javascript:"} {
		if bytes.Contains(page, []byte(never)) {
			t.Errorf("the page has %s", never)
		}
	}
	if handler := regexp.MustCompile(`(?i)\son[a-z]+\s*=`).Find(page); handler != nil {
		t.Errorf("the page has a handler, %q", handler)
	}
	for _, must := range []string{"default-src 'none'; style-src 'unsafe-inline'; img-src data:", `lang="en"`, "</html>\n"} {
		if !bytes.Contains(page, []byte(must)) {
			t.Errorf("the page lacks %s", must)
		}
	}
	if _, err := html.Parse(bytes.NewReader(page)); err != nil {
		t.Error(err)
	}
}

// The page has everything that the JSON has, of what can be told apart.
func TestPageShowsWhatTheJSONSays(t *testing.T) {
	r := sample(t)
	text := textOf(t, pageOf(t, r))
	want := append([]string{r.Checkpoint[:12], r.Keys[0], r.Verification.Head, r.Policies[1].Changes[0]}, r.Limits...)
	for _, o := range r.Operations {
		want = append(want, o.Purpose, o.ID)
	}
	for _, f := range r.Findings {
		want = append(want, f.Text)
	}
	for _, f := range r.Refusals {
		want = append(want, f.Code, f.Meaning)
	}
	for _, u := range r.Unknown {
		want = append(want, u.ID, u.Path)
	}
	for _, a := range r.Acts {
		want = append(want, a.Who, a.From, a.Operation, a.About)
	}
	for _, d := range r.Days {
		want = append(want, d.Day)
	}
	for _, s := range want {
		if !strings.Contains(text, s) {
			t.Errorf("the page lacks %q", s)
		}
	}
}

// The rows of the CSV add up to the totals.
func TestCSVAddsUp(t *testing.T) {
	r := sample(t)
	rows, err := csv.NewReader(bytes.NewReader(csvOf(t, r))).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	var sum uint64
	for _, row := range rows[1:] {
		n, err := strconv.ParseUint(row[10], 10, 64)
		if err != nil {
			t.Fatal(err)
		}
		sum += n
	}
	if sum != r.Totals.Calls+r.Totals.Acts {
		t.Errorf("%d records, want %d", sum, r.Totals.Calls+r.Totals.Acts)
	}
}
