package gateway

import (
	"net/http"
	"os"
	"strings"
	"testing"

	"jiragate/policy"
)

// Every code has its row in the page that developers read.
func TestCodesAreDocumented(t *testing.T) {
	page, err := os.ReadFile("../docs/services.md")
	if err != nil {
		t.Fatal(err)
	}
	codes := map[Code]bool{}
	for code := range meanings {
		codes[code] = true
	}
	for _, c := range policy.Codes() {
		codes[Code(c.Code)] = true
	}
	for code := range codes {
		if !strings.Contains(string(page), "\n| `"+string(code)+"` | ") {
			t.Errorf("%s has no row in docs/services.md", code)
		}
	}
}

// What is told of the codes is all of them, each once.
func TestCodes(t *testing.T) {
	told := map[Code]CodeMeaning{}
	for _, c := range Codes() {
		if _, twice := told[c.Code]; twice || c.Title == "" || c.Status != c.Code.meaning().status {
			t.Errorf("%+v", c)
		}
		told[c.Code] = c
	}
	for code := range meanings {
		if _, ok := told[code]; !ok {
			t.Errorf("%s is missing", code)
		}
	}
	for _, c := range policy.Codes() {
		if told[Code(c.Code)].Detail != c.Meaning {
			t.Errorf("%s: %+v", c.Code, told[Code(c.Code)])
		}
	}
}

// A refusal is 407 for an unidentified client, 403 for a refused call, and
// another 4xx only where the message itself is at fault.
func TestStatusOfCodes(t *testing.T) {
	for _, c := range policy.Codes() {
		want := http.StatusForbidden
		if c.Code == policy.CodeBodyTooLarge {
			want = http.StatusRequestEntityTooLarge
		}
		if got := Code(c.Code).meaning().status; got != want {
			t.Errorf("%s: %d, want %d", c.Code, got, want)
		}
	}
	for code, m := range meanings {
		if m.title == "" || m.proxy == "" || m.status != 0 && (m.status < 400 || m.status > 599) {
			t.Errorf("%s: %+v", code, m)
		}
	}
}
