package demo

import (
	"bufio"
	"encoding/base64"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"jiragate/gateway/audit"
	"jiragate/internal/browser"
)

// The page of refused calls shows them as they are made, and no others. It stops when
// it is told to.
func liveCalls(t *testing.T, f *faces) {
	call := func(st step) string {
		t.Helper()
		o, err := f.make(t.Context(), st, "")
		if err != nil {
			t.Fatal(err)
		}
		return numbers([]audit.Record{o.record})[0]
	}
	wrong, right := wrongStep("search issues"), documented[0]
	tab := f.signedIn(t)
	tab.Zone("Asia/Kolkata")
	tab.Open(f.origin+"/console/calls?kind=call&decision=deny&connection=acme", http.StatusOK)
	tab.Until(`document.getElementById("followed").textContent.startsWith("Following")`)
	browser.Eval[bool](tab, "window.loaded = true")
	before := len(browser.Eval[[]string](tab, shownNumbers))

	allowed, first := call(right), call(wrong)
	tab.Until(has(first))
	row := browser.Eval[[]string](tab, `[...document.querySelector("#records tbody tr").cells].map((c) => c.innerText)`)
	record := f.records(t, audit.Filter{Limit: 1})[0]
	if want := record.Time.UTC().Format("2 Jan 15:04:05"); !strings.Contains(row[0], want) {
		t.Errorf("the time of the new row is %q, want %s", row[0], want)
	}
	for i, want := range map[int]string{1: "refused", 2: "GET /rest/api/3/search/jql", 3: "acme", 4: "demo", 5: "operation not documented", 6: "403"} {
		if !strings.Contains(row[i], want) {
			t.Errorf("a cell of the new row is %q, want %q", row[i], want)
		}
	}
	shown := browser.Eval[[]string](tab, shownNumbers)
	if slices.Contains(shown, allowed) || len(shown) != before+1 {
		t.Errorf("after a call that is refused and one that isn't there are %d new rows", len(shown)-before)
	}

	if told := tab.Text("#followed"); strings.Contains(told, "missing") {
		t.Errorf("nothing is missing, but the page says %q", told)
	}
	tab.Click("button", "Pause")
	unseen := call(wrong)
	tab.Click("button", "Follow")
	tab.Until(`document.getElementById("followed").textContent.startsWith("Following")`)
	if told := tab.Text("#followed"); !strings.Contains(told, "missing: load the page again") {
		t.Errorf("the call of the pause is missing, but the page says %q", told)
	}
	later := call(wrong)
	tab.Until(has(later))
	if shown := browser.Eval[[]string](tab, shownNumbers); slices.Contains(shown, unseen) || len(shown) != before+2 {
		t.Error("a call was shown during the pause")
	}
	if !browser.Eval[bool](tab, "window.loaded === true") {
		t.Error("the page was loaded anew")
	}
}

// has is whether the page's table has a record.
func has(number string) string { return fmt.Sprintf(`%s.includes(%q)`, shownNumbers, number) }

// What a client has put into a call is text on every page: markup in it is shown, and
// nothing of it runs. A script that the browser's policy has to stop would fail the
// test, too.
func textFromOutside(t *testing.T, f *faces) {
	const (
		script = `<script>window.ran=1</script>`
		image  = `"'><img/src=x/onerror=window.ran=2>`
		name   = `"><svg/onload=window.ran=3>`
	)
	live := f.signedIn(t)
	live.Open(f.origin+"/console/calls", http.StatusOK)
	live.Until(`document.getElementById("followed").textContent.startsWith("Following")`)

	send := func(method, target string) audit.Record {
		t.Helper()
		before := f.records(t, audit.Filter{Limit: 1})[0].Seq
		f.sendRaw(t, method, target)
		r := f.records(t, audit.Filter{Limit: 1})[0]
		if r.Seq == before {
			t.Fatalf("%s %s left no record", method, target)
		}
		return r
	}
	records := []audit.Record{
		send("GET", "/c/acme/rest/api/3/"+script),
		send("GET", "/c/acme/rest/api/3/"+image),
		send("GET", "/c/acme/rest/api/3/myself?"+name+"=1"),
		send("GET'&amp;", "/c/acme/rest/api/3/myself"),
	}
	tab := live.Beside(t)
	markup := false
	for _, r := range records {
		number := numbers([]audit.Record{r})[0]
		live.Until(has(number))
		tab.Open(f.origin+"/console/calls/"+number, http.StatusOK)
		page := browser.Eval[string](tab, "document.querySelector('main').textContent")
		for _, text := range append([]string{r.Method + " " + r.Path}, r.QueryNames...) {
			markup = markup || strings.ContainsAny(text, "<&")
			if !strings.Contains(page, text) {
				t.Errorf("the page of the call does not show %q", text)
			}
		}
	}
	if !markup {
		t.Errorf("no record has any markup: %+v", records)
	}
	tab.Open(f.origin+"/console/calls", http.StatusOK)
	for _, page := range []*browser.Tab{live, tab} {
		shown := browser.Eval[string](page, "document.querySelector('#records').textContent")
		for _, r := range records[:2] {
			if r.Operation == "" && !strings.Contains(shown, r.Method+" "+r.Path) {
				t.Errorf("the table does not show %q", r.Path)
			}
		}
		if ran := browser.Eval[string](page, "String(window.ran) + document.querySelectorAll('main script, main svg, main img').length"); ran != "undefined0" {
			t.Errorf("something of a call ran or became markup: %s", ran)
		}
	}
	// What is looked for is text, too.
	tab.Open(f.origin+"/console/calls?connection="+"%22%3E%3Cscript%3Ewindow.ran=1%3C/script%3E&text=%3Cimg%20src=x%20onerror=window.ran=1%3E", http.StatusOK)
	if browser.Eval[bool](tab, "window.ran !== undefined || !!document.querySelector('main script, main img')") {
		t.Error("something of a filter ran or became markup")
	}
	tab.Until(`document.getElementById("followed").textContent === "Following."`)
}

// sendRaw makes a call as no library would, over the door for programs without a
// proxy.
func (f *faces) sendRaw(t *testing.T, method, target string) {
	t.Helper()
	conn, err := net.Dial("tcp", f.server.ProxyAddr())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(callTimeout)); err != nil {
		t.Fatal(err)
	}
	identity := base64.StdEncoding.EncodeToString([]byte("demo:" + f.stage.token))
	fmt.Fprintf(conn, "%s %s HTTP/1.1\r\nHost: %s\r\nProxy-Authorization: Basic %s\r\nConnection: close\r\n\r\n", method, target, f.server.ProxyAddr(), identity)
	response, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatalf("%s %s: %v", method, target, err)
	}
	defer response.Body.Close()
	if _, err := io.Copy(io.Discard, response.Body); err != nil {
		t.Fatal(err)
	}
}
