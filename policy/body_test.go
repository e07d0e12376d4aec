package policy

import (
	"strings"
	"testing"
)

// create decides about an issue.create with the given body.
func create(p *Policy, contentType, body string) (string, Decision) {
	r := Request{Edition: Cloud, Method: "POST", Path: "/rest/api/3/issue"}
	rebuilt, d := p.DecideBody(p.Decide(r), r, contentType, []byte(body))
	return string(rebuilt), d
}

func TestBodyIsRebuilt(t *testing.T) {
	p := Default()
	tests := []struct{ name, body, want string }{
		{"smallest", `{"fields":{}}`, `{"fields":{}}`},
		{"space goes", " {\r\n\t\"fields\" : { \"summary\" : \"a b\" , \"labels\" : [ \"x\" , 1 , [ ] , { } ] } }\n", `{"fields":{"summary":"a b","labels":["x",1,[],{}]}}`},
		{"empty update goes", `{"update":{},"fields":{"summary":"x"}}`, `{"fields":{"summary":"x"}}`},
		{"empty update goes at the end", `{"fields":{"summary":"x"}, "update": { } }`, `{"fields":{"summary":"x"}}`},
		{"order stays", `{"fields":{"b":1,"a":2,"":3}}`, `{"fields":{"b":1,"a":2,"":3}}`},
		{"numbers keep their digits", `{"fields":{"n":[0,-0,1.50,1e400,12345678901234567890,-1E+2,0.0e-0]}}`, `{"fields":{"n":[0,-0,1.50,1e400,12345678901234567890,-1E+2,0.0e-0]}}`},
		{"words", `{"fields":{"a":true,"b":false,"c":null}}`, `{"fields":{"a":true,"b":false,"c":null}}`},
		{"escapes are undone", `{"fields":{"s":"\u0041\/\u00fc\ud83d\ude00"}}`, `{"fields":{"s":"A/ü😀"}}`},
		{"escaped names are undone", `{"\u0066ields":{"s":1}}`, `{"fields":{"s":1}}`},
		{"what must be escaped is", `{"fields":{"s":"\"\\\b\f\n\r\t\u0000\u001f"}}`, `{"fields":{"s":"\"\\\b\f\n\r\t\u0000\u001f"}}`},
		{"control characters get one spelling", `{"fields":{"s":"\u000a\u001F"}}`, `{"fields":{"s":"\n\u001f"}}`},
		{"nothing is escaped for HTML", `{"fields":{"s":"<a&b>\u2028"}}`, "{\"fields\":{\"s\":\"<a&b>\u2028\"}}"},
		{"names that differ in case", `{"fields":{"Summary":1,"summary":2}}`, `{"fields":{"Summary":1,"summary":2}}`},
		{"one name in two objects", `{"fields":{"a":{"id":1},"b":{"id":1}}}`, `{"fields":{"a":{"id":1},"b":{"id":1}}}`},
		{"deep", `{"fields":{"d":` + strings.Repeat("[", 62) + strings.Repeat("]", 62) + `}}`, `{"fields":{"d":` + strings.Repeat("[", 62) + strings.Repeat("]", 62) + `}}`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, d := create(p, "application/json", tt.body)
			if !d.Allowed() || got != tt.want {
				t.Errorf("rebuilt %q (%s %s), want %q", got, d.Code, d.Detail, tt.want)
			}
			if again, _ := create(p, "application/json", got); again != got {
				t.Errorf("rebuilt again: %q, want %q", again, got)
			}
		})
	}
}

func TestHostileBodiesAreRefused(t *testing.T) {
	p := Default()
	tests := []struct {
		name, body string
		code       Code
	}{
		{"none", "", CodeBodyRequired},
		{"over the limit", `{"fields":{"s":"` + strings.Repeat("a", MaxBody) + `"}}`, CodeBodyTooLarge},
		// Members beyond the purpose.
		{"no fields", `{}`, CodeBodyNotAllowed},
		{"only update", `{"update":{}}`, CodeBodyNotAllowed},
		{"update with a change", `{"fields":{},"update":{"summary":[{"set":"x"}]}}`, CodeBodyNotAllowed},
		{"update null", `{"fields":{},"update":null}`, CodeBodyNotAllowed},
		{"update a list", `{"fields":{},"update":[]}`, CodeBodyNotAllowed},
		{"transition", `{"fields":{},"transition":{"id":"5"}}`, CodeBodyNotAllowed},
		{"history metadata", `{"historyMetadata":{},"fields":{}}`, CodeBodyNotAllowed},
		{"properties", `{"fields":{},"properties":[]}`, CodeBodyNotAllowed},
		{"fields in other case", `{"Fields":{}}`, CodeBodyNotAllowed},
		{"fields null", `{"fields":null}`, CodeBodyNotAllowed},
		{"fields a list", `{"fields":[]}`, CodeBodyNotAllowed},
		{"bulk create", `{"issueUpdates":[{"fields":{}}]}`, CodeBodyNotAllowed},
		// Not one object.
		{"an array", `[{"fields":{}}]`, CodeBodyMalformed},
		{"a string", `"fields"`, CodeBodyMalformed},
		{"a number", `1`, CodeBodyMalformed},
		{"only space", " \n", CodeBodyMalformed},
		{"two objects", `{"fields":{}}{"fields":{}}`, CodeBodyMalformed},
		{"text after the object", `{"fields":{}}x`, CodeBodyMalformed},
		{"NUL after the object", "{\"fields\":{}}\x00", CodeBodyMalformed},
		{"byte order mark", "\ufeff{\"fields\":{}}", CodeBodyMalformed},
		{"form", `fields=1`, CodeBodyMalformed},
		// Names twice.
		{"fields twice", `{"fields":{},"fields":{"project":{"key":"OTHER"}}}`, CodeBodyMalformed},
		{"fields twice, once escaped", `{"fields":{},"\u0066ields":{}}`, CodeBodyMalformed},
		{"update twice", `{"update":{},"fields":{},"update":{}}`, CodeBodyMalformed},
		{"project twice", `{"fields":{"project":{"key":"ACME"},"project":{"key":"OTHER"}}}`, CodeBodyMalformed},
		{"key twice", `{"fields":{"project":{"key":"ACME","key":"OTHER"}}}`, CodeBodyMalformed},
		{"name twice in an array", `{"fields":{"a":[{"b":1,"b":1}]}}`, CodeBodyMalformed},
		{"empty name twice", `{"fields":{"":1,"":1}}`, CodeBodyMalformed},
		// Syntax.
		{"cut off", `{"fields":{"a":`, CodeBodyMalformed},
		{"cut off in a name", `{"fields":{"a`, CodeBodyMalformed},
		{"cut off after an escape", `{"fields":{"a\`, CodeBodyMalformed},
		{"cut off in an escape", `{"fields":{"a\u00`, CodeBodyMalformed},
		{"comma at the end of an object", `{"fields":{"a":1,}}`, CodeBodyMalformed},
		{"comma at the end of an array", `{"fields":{"a":[1,]}}`, CodeBodyMalformed},
		{"comma at the start", `{,"fields":{}}`, CodeBodyMalformed},
		{"no comma in an object", `{"fields":{"a":1 "b":2}}`, CodeBodyMalformed},
		{"no comma in an array", `{"fields":{"a":[1 2]}}`, CodeBodyMalformed},
		{"no colon", `{"fields" {}}`, CodeBodyMalformed},
		{"no value", `{"fields":{"a":}}`, CodeBodyMalformed},
		{"name without quotes", `{fields:{}}`, CodeBodyMalformed},
		{"single quotes", `{'fields':{}}`, CodeBodyMalformed},
		{"comment", `{"fields":{/* */}}`, CodeBodyMalformed},
		{"NaN", `{"fields":{"a":NaN}}`, CodeBodyMalformed},
		{"Infinity", `{"fields":{"a":-Infinity}}`, CodeBodyMalformed},
		{"leading zero", `{"fields":{"a":01}}`, CodeBodyMalformed},
		{"plus sign", `{"fields":{"a":+1}}`, CodeBodyMalformed},
		{"only a minus sign", `{"fields":{"a":-}}`, CodeBodyMalformed},
		{"point at the end", `{"fields":{"a":1.}}`, CodeBodyMalformed},
		{"point at the start", `{"fields":{"a":.5}}`, CodeBodyMalformed},
		{"empty exponent", `{"fields":{"a":1e}}`, CodeBodyMalformed},
		{"hexadecimal", `{"fields":{"a":0x1}}`, CodeBodyMalformed},
		{"word in capitals", `{"fields":{"a":True}}`, CodeBodyMalformed},
		{"word too long", `{"fields":{"a":nullx}}`, CodeBodyMalformed},
		{"brackets crossed", `{"fields":{"a":[}]}`, CodeBodyMalformed},
		{"too deep", `{"fields":{"d":` + strings.Repeat("[", 63) + strings.Repeat("]", 63) + `}}`, CodeBodyMalformed},
		{"far too deep", `{"fields":` + strings.Repeat(`{"a":`, 100000), CodeBodyMalformed},
		// Strings.
		{"line feed in a string", "{\"fields\":{\"a\":\"\n\"}}", CodeBodyMalformed},
		{"unknown escape", `{"fields":{"a":"\x41"}}`, CodeBodyMalformed},
		{"short escape", `{"fields":{"a":"\u41"}}`, CodeBodyMalformed},
		{"signed escape", `{"fields":{"a":"\u+041"}}`, CodeBodyMalformed},
		{"high surrogate alone", `{"fields":{"a":"\ud83d"}}`, CodeBodyMalformed},
		{"high surrogate before another escape", `{"fields":{"a":"\ud83d\u0041"}}`, CodeBodyMalformed},
		{"low surrogate alone", `{"fields":{"a":"\ude00"}}`, CodeBodyMalformed},
		{"surrogates in the wrong order", `{"fields":{"a":"\ude00\ud83d"}}`, CodeBodyMalformed},
		{"not UTF-8", "{\"fields\":{\"a\":\"\xff\"}}", CodeBodyMalformed},
		{"overlong", "{\"fields\":{\"a\":\"\xc0\xaf\"}}", CodeBodyMalformed},
		{"raw surrogate", "{\"fields\":{\"a\":\"\xed\xa0\x80\"}}", CodeBodyMalformed},
		{"UTF-16", "{\x00\"\x00f\x00", CodeBodyMalformed},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			rebuilt, d := create(p, "application/json", tt.body)
			checkDenial(t, d, tt.code)
			if rebuilt != "" {
				t.Errorf("a refused body is rebuilt: %q", rebuilt)
			}
		})
	}
}

func TestBodyAtTheLimitIsAllowed(t *testing.T) {
	const around = len(`{"fields":{"s":""}}`)
	body := `{"fields":{"s":"` + strings.Repeat("a", MaxBody-around) + `"}}`
	if got, d := create(Default(), "application/json", body); !d.Allowed() || got != body {
		t.Errorf("%s %s", d.Code, d.Detail)
	}
	// Rebuilding must not make a body longer, or it would not pass a second time.
	body = `{"fields":{"s":"` + strings.Repeat(`\n`, (MaxBody-around)/2) + `"}}`
	if got, d := create(Default(), "application/json", body); !d.Allowed() || len(got) > len(body) {
		t.Errorf("%s %s: %d bytes became %d", d.Code, d.Detail, len(body), len(got))
	}
}

func TestContentType(t *testing.T) {
	p := Default()
	for contentType, allowed := range map[string]bool{
		"application/json":                    true,
		"application/json;charset=UTF-8":      true,
		"application/json; charset=\"utf-8\"": true,
		"Application/JSON":                    true,
		"":                                    false,
		"text/plain":                          false,
		"text/json":                           false,
		"application/x-www-form-urlencoded":   false,
		"multipart/form-data; boundary=x":     false,
		"application/json, text/html":         false,
		"application/json; charset=utf-16":    false,
		"application/json; charset=utf-8; charset=utf-16": false,
		"application/json; charset=utf-8; x=y":            false,
		"application/json; profile=x":                     false,
		"application/vnd.api+json":                        false,
		"application/json\r\nX-Y: z":                      false,
	} {
		_, d := create(p, contentType, `{"fields":{}}`)
		if allowed {
			if !d.Allowed() {
				t.Errorf("%q: %s %s", contentType, d.Code, d.Detail)
			}
			continue
		}
		checkDenial(t, d, CodeContentTypeNotAllowed)
	}
}

func TestOtherOperationsSendNoBody(t *testing.T) {
	p := Default()
	for _, tt := range realistic {
		if tt.method == "POST" {
			continue
		}
		r := Request{Edition: tt.edition, Method: tt.method, Path: tt.path, RawQuery: tt.query}
		// go-jira sends such a body with DELETE.
		body, d := p.DecideBody(p.Decide(r), r, "application/json", []byte(`"ZGVsZXRlU3VidGFza3M9dHJ1ZQ=="`))
		if body != nil || !d.Allowed() {
			t.Errorf("%s %s: body %q, code %s", tt.method, tt.path, body, d.Code)
		}
	}
}

func TestRefusedCallKeepsItsReason(t *testing.T) {
	p := Default()
	r := Request{Edition: Cloud, Method: "POST", Path: "/rest/api/3/issue", RawQuery: "os_username=a"}
	body, d := p.DecideBody(p.Decide(r), r, "application/json", []byte(`{"fields":{}}`))
	checkDenial(t, d, CodeQueryNotDocumented)
	if body != nil {
		t.Errorf("a refused call has the body %q", body)
	}
}
