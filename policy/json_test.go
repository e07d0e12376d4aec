package policy

import (
	"slices"
	"strings"
	"testing"
	"unicode/utf8"
)

func TestEveryByteOfAString(t *testing.T) {
	p := Default()
	for b := range utf8.RuneSelf {
		c := string([]byte{byte(b)})
		body := `{"fields":{"a":"x` + c + `","b":1}}`
		got, d := create(p, "application/json", body)
		if allowed := b >= 0x20 && !strings.Contains(`"\`, c); d.Allowed() != allowed || allowed && got != body {
			t.Errorf("the byte 0x%02x unescaped: %q (%s)", b, got, d.Detail)
		}
		// What can be escaped by one letter, and as what it is written.
		body = `{"fields":{"a":"x\` + c + `"}}`
		got, d = create(p, "application/json", body)
		if allowed := strings.Contains(`"\/bfnrt`, c); d.Allowed() != allowed || allowed && b != '/' && got != body {
			t.Errorf("the byte 0x%02x escaped: %q (%s)", b, got, d.Detail)
		}
	}
}

func TestEveryByteOfANumber(t *testing.T) {
	p := Default()
	for b := range utf8.RuneSelf {
		c := string([]byte{byte(b)})
		for _, tt := range []struct{ number, allowed string }{
			{c + "1", "123456789- \t\n\r"},
			{"1" + c + "1", "0123456789.eE,"},
			{"1." + c, "0123456789"},
			{"1e" + c + "1", "0123456789+-"},
			{"0" + c, " \t\n\r"},
		} {
			_, d := create(p, "application/json", `{"fields":{"a":[`+tt.number+`]}}`)
			if d.Allowed() != strings.Contains(tt.allowed, c) {
				t.Errorf("%q is a number: %t (%s)", tt.number, d.Allowed(), d.Detail)
			}
		}
	}
}

// A body ends where it ends, whatever lies behind it in the same memory.
func TestBodiesCutOff(t *testing.T) {
	const whole = `{"update":{},"fields":{"a\u0041":["\ud83d\ude00",-1.5e+2,true,{}],"project":{"key":"ACME"}}}`
	r := Request{Edition: Cloud, Method: "POST", Path: "/rest/api/3/issue"}
	p := Default()
	if _, d := p.DecideBody(p.Decide(r), r, "application/json", []byte(whole)); !d.Allowed() {
		t.Fatal(d.Detail)
	}
	for n := 1; n < len(whole); n++ {
		_, d := p.DecideBody(p.Decide(r), r, "application/json", []byte(whole)[:n])
		_, alone := p.DecideBody(p.Decide(r), r, "application/json", slices.Clip([]byte(whole[:n])))
		if d.Allowed() || d.Detail != alone.Detail {
			t.Errorf("%s: %q (%s); on its own: %s", whole[:n], d.Code, d.Detail, alone.Detail)
		}
	}
}

// What is refused is sent nothing, and no rule is asked about it.
func TestRefusedBodies(t *testing.T) {
	p := mustNew(t, []byte("version: 1\nrules:\n  - {name: limit, mode: report, projects: [OTHER]}\n"))
	const good = `{"fields":{"project":{"key":"ACME"}}}`
	r := Request{Edition: Cloud, Method: "POST", Path: "/rest/api/3/issue"}
	allowed := p.Decide(r)
	for _, tt := range []struct {
		name, contentType, body string
		d                       Decision
		code                    Code
	}{
		{"refused before", "application/json", good, p.Decide(Request{Edition: Cloud, Method: "POST", Path: r.Path, RawQuery: "a=b"}), CodeQueryNotDocumented},
		{"never decided", "application/json", good, Decision{}, CodeOperationNotDocumented},
		{"decided by nobody", "application/json", good, Decision{Operation: allowed.Operation}, CodeOperationNotDocumented},
		{"none", "application/json", "", allowed, CodeBodyRequired},
		{"too large", "application/json", good + strings.Repeat(" ", MaxBody), allowed, CodeBodyTooLarge},
		{"one byte too large", "application/json", good + strings.Repeat(" ", MaxBody+1-len(good)), allowed, CodeBodyTooLarge},
		{"of another type", "text/plain", good, allowed, CodeContentTypeNotAllowed},
		{"not UTF-8", "application/json", "{\"fields\":{\"a\":\"\xff\"}}", allowed, CodeBodyMalformed},
		{"malformed at its end", "application/json", good + "x", allowed, CodeBodyMalformed},
		{"with more than fields", "application/json", `{"fields":{"project":{"key":"ACME"}},"x":1}`, allowed, CodeBodyNotAllowed},
	} {
		t.Run(tt.name, func(t *testing.T) {
			body, d := p.DecideBody(tt.d, r, tt.contentType, []byte(tt.body))
			if body != nil || d.Code != tt.code || d.Reported != nil {
				t.Errorf("%q (%s), body %q, reported %v; want %q", d.Code, d.Detail, body, d.Reported, tt.code)
			}
		})
	}
}

func TestLimitsSayWhichProjectABodyNames(t *testing.T) {
	p := mustNew(t, []byte("version: 1\nrules:\n  - {name: limit, projects: [AA]}\n"))
	for value, want := range map[string]string{`"Z\u005a"`: `"ZZ"`, "true": `"true"`, "1.0": `"1.0"`, "{}": `""`} {
		_, d := create(p, "application/json", `{"fields":{"project":{"key":`+value+`}}}`)
		if d.Code != CodeProjectNotAllowed || !strings.Contains(d.Detail, "the project "+want+" is outside") {
			t.Errorf("%s: %q (%s), want something with %s", value, d.Code, d.Detail, want)
		}
	}
}
