package demo

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"jiragate/gateway/audit"
	"jiragate/internal/browser"
)

// seen are the elements that a selector is about and that are shown.
func seen(selector string) string {
	return `[...document.querySelectorAll("` + selector + `")].filter((e) => e.checkVisibility({ visibilityProperty: true }) && e.getClientRects().length > 0).length`
}

// Without scripts everything can be read, and forms work. What only scripts can do is
// not offered.
func withoutScripts(t *testing.T, f *faces) {
	tab := f.tab(t)
	tab.WithoutScripts()
	f.signIn(tab)
	number := regexp.MustCompile(`^[0-9][0-9,]*$`)
	for _, n := range browser.Eval[[]string](tab, `[...document.querySelectorAll(".tile strong")].map((e) => e.innerText)`) {
		if !number.MatchString(n) {
			t.Errorf("a number on the overview is %q", n)
		}
	}
	tab.Click(".chart summary")
	if n := browser.Eval[int](tab, seen(".chart details[open] tbody tr")); n < 10 {
		t.Errorf("%d rows of a chart's numbers can be read", n)
	}

	tab.Follow("nav a", "Calls")
	tab.Click("#connection")
	tab.Type("hooli")
	tab.Follow("button", "Filter")
	if n := browser.Eval[int](tab, `[...document.querySelectorAll("#records tbody tr")].filter((r) => r.cells[3].innerText !== "hooli").length`); n != 0 {
		t.Errorf("%d of the calls are not of hooli", n)
	}
	if n := browser.Eval[int](tab, seen("#records tbody tr")); n < 20 {
		t.Errorf("%d calls of hooli", n)
	}

	tab.Open(f.origin+"/console/connections/rekall", http.StatusOK)
	for _, step := range []struct{ button, state string }{{"Disable", "disabled"}, {"Enable", "active"}} {
		tab.Follow("main button", step.button)
		if state := tab.Text("h1 .badge"); state != step.state {
			t.Errorf("after %s the connection is %q", step.button, state)
		}
	}
	for _, path := range []string{"/console/", "/console/calls", "/console/audit", "/console/policy", "/public/"} {
		tab.Open(f.origin+path, http.StatusOK)
		if n := browser.Eval[int](tab, seen(".scripted")); n != 0 {
			t.Errorf("%s shows %d things that need a script", path, n)
		}
		if browser.Eval[bool](tab, `document.documentElement.classList.contains("js")`) {
			t.Errorf("%s: a script ran", path)
		}
	}
}

// Charts are drawn, and anew in the colours of the other scheme.
func drawnCharts(t *testing.T, f *faces) {
	tab := f.signedIn(t)
	const drawn = `[...document.querySelectorAll("figure.chart canvas")].map((c) => {
		const d = c.getContext("2d").getImageData(0, 0, c.width, c.height).data;
		let n = 0;
		for (let i = 3; i < d.length; i += 4) if (d[i]) n++;
		return n;
	})`
	const pictures = `[...document.querySelectorAll("figure.chart canvas")].map((c) => c.toDataURL())`
	for _, path := range []string{"/console/", "/console/connections/globex"} {
		tab.Scheme("light")
		tab.Open(f.origin+path, http.StatusOK)
		complete := `document.querySelectorAll("figure.chart").length > 0 && ` + drawn + `.filter((n) => n > 1000).length === document.querySelectorAll("figure.chart").length`
		tab.Until(complete)
		light := browser.Eval[[]string](tab, pictures)
		tab.Scheme("dark")
		for i := range light {
			tab.Until(fmt.Sprintf("%s[%d] !== %q", pictures, i, light[i]))
		}
		tab.Until(complete)
	}
}

// Times are in UTC wherever the reader is, and local on hover.
func localTimes(t *testing.T, f *faces) {
	tab := f.signedIn(t)
	tab.Zone("Asia/Kolkata") // which knows no summer time
	zone := time.FixedZone("", 5*3600+1800)
	tab.Open(f.origin+"/console/calls", http.StatusOK)
	type told struct{ Text, Datetime, Title string }
	list := browser.Eval[[]told](tab, `[...document.querySelectorAll("main time")].map((e) => ({ Text: e.textContent, Datetime: e.dateTime, Title: e.title }))`)
	if len(list) < 20 {
		t.Errorf("%d times", len(list))
	}
	for _, e := range list {
		at, err := time.Parse(time.RFC3339, e.Datetime)
		if err != nil {
			t.Fatal(err)
		}
		if want := at.UTC().Format("2 Jan 15:04:05"); e.Text != want {
			t.Errorf("%s is shown as %q, want %q", e.Datetime, e.Text, want)
		}
		local := at.In(zone)
		for _, want := range []string{local.Format("Monday, January 2, 2006"), local.Format("3:04:05"), "(local time)"} {
			if !strings.Contains(e.Title, want) {
				t.Errorf("%s: the title %q does not say %q", e.Datetime, e.Title, want)
			}
		}
	}
}

// The proof of a call and the report of a customer come as files, and are what they say
// they are.
func downloads(t *testing.T, f *faces) {
	tab := f.signedIn(t)
	record := f.records(t, audit.Filter{Connection: "globex", Decision: audit.DecisionAllow, Kind: audit.KindCall, Limit: 1})[0]
	number := numbers([]audit.Record{record})[0]
	tab.Open(f.origin+"/console/calls/"+number, http.StatusOK)
	facts := browser.Eval[map[string]string](tab, `Object.fromEntries([...document.querySelectorAll("main dt")].map((e) => [e.textContent, e.nextElementSibling.innerText]))`)
	for name, want := range map[string]string{"Record": record.ID, "Policy": record.PolicySHA256[:12], "Rule": record.Method, "Trace": record.TraceID, "Signed": "covered"} {
		if !strings.Contains(facts[name], want) {
			t.Errorf("the page of a call tells %q as %s, want %q", facts[name], name, want)
		}
	}
	name, proof := tab.Download("main a", "Download the proof")
	if want := number + ".tlog-proof"; !strings.HasSuffix(name, want) {
		t.Errorf("the proof is called %q, want …%s", name, want)
	}
	answer, err := f.command(t.Context(), "audit", "key", "--output", "json")
	if err != nil {
		t.Fatal(err)
	}
	var key struct{ Verifier string }
	if err := json.Unmarshal(answer, &key); err != nil {
		t.Fatal(err)
	}
	files := t.TempDir()
	proofFile, keyFile := filepath.Join(files, "proof"), filepath.Join(files, "key")
	if err := os.WriteFile(proofFile, proof, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(keyFile, []byte(key.Verifier+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := f.command(t.Context(), "audit", "verify", "--proof", proofFile, "--public-key", keyFile); err != nil {
		t.Errorf("the proof: %v", err)
	}
	if !strings.Contains(string(proof), "c2sp.org/tlog-proof") {
		t.Errorf("the proof begins with %.60q", proof)
	}

	tab.Open(f.origin+"/console/connections/globex", http.StatusOK)
	tab.Follow("main a", "Report")
	name, report := tab.Download("main button", "Download")
	if !strings.HasSuffix(name, ".html") || !strings.Contains(name, "globex") {
		t.Errorf("the report is called %q", name)
	}
	if text := string(report); !strings.HasPrefix(text, "<!") || !strings.Contains(text, "globex") || strings.Contains(text, "initech") {
		t.Errorf("the report is not about globex alone: %.200q", text)
	}
}

// What is printed is the content, on a few sheets.
func printed(t *testing.T, f *faces) {
	tab := f.signedIn(t)
	for path, most := range map[string]int{"/public/": 12, "/console/policy": 8} {
		tab.Open(f.origin+path, http.StatusOK)
		tab.Medium("print")
		if n := browser.Eval[int](tab, seen("nav, .skip, form, button")); n != 0 {
			t.Errorf("%s: %d things on paper that are of no use there", path, n)
		}
		if browser.Eval[int](tab, seen("h1")) != 1 || browser.Eval[int](tab, seen("main table")) == 0 {
			t.Errorf("%s: the content is missing on paper", path)
		}
		tab.Medium("screen")
		if _, sheets := tab.Printed(); sheets < 2 || sheets > most {
			t.Errorf("%s: %d sheets, want 2 to %d", path, sheets, most)
		}
	}
}
