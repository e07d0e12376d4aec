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
		{"members of the project", `{"fields":{"project":{"name":"x","key":"ACME","id":["1",{}],"self":{"key":"a"}}}}`, `{"fields":{"project":{"name":"x","key":"ACME","id":["1",{}],"self":{"key":"a"}}}}`},
		{"many beside each other", `{"fields":{"a":[[]` + strings.Repeat(",[]", 100) + `]}}`, `{"fields":{"a":[[]` + strings.Repeat(",[]", 100) + `]}}`},
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
		detail     string // part of it
	}{
		{"none", "", CodeBodyRequired, `issue.create needs a body; send {"fields": {...}} as application/json`},
		{"over the limit", `{"fields":{"s":"` + strings.Repeat("a", MaxBody) + `"}}`, CodeBodyTooLarge, "the body is over 1048576 bytes"},
		// Members beyond the purpose.
		{"no fields", `{}`, CodeBodyNotAllowed, `the body lacks the member "fields"`},
		{"only update", `{"update":{}}`, CodeBodyNotAllowed, `the body lacks the member "fields"`},
		{"update with a change", `{"fields":{},"update":{"summary":[{"set":"x"}]}}`, CodeBodyNotAllowed, `the member "update" must be empty; put values in "fields"`},
		{"update null", `{"fields":{},"update":null}`, CodeBodyNotAllowed, `the member "update" must be an empty object, or left out`},
		{"update a list", `{"fields":{},"update":[]}`, CodeBodyNotAllowed, `the member "update" must be an empty object, or left out`},
		{"transition", `{"fields":{},"transition":{"id":"5"}}`, CodeBodyNotAllowed, `the member "transition" is not allowed; the body holds "fields" alone`},
		{"history metadata", `{"historyMetadata":{},"fields":{}}`, CodeBodyNotAllowed, `the member "historyMetadata" is not allowed; the body holds "fields" alone`},
		{"properties", `{"fields":{},"properties":[]}`, CodeBodyNotAllowed, `the member "properties" is not allowed; the body holds "fields" alone`},
		{"fields in other case", `{"Fields":{}}`, CodeBodyNotAllowed, `the member "Fields" is not allowed; the body holds "fields" alone`},
		{"fields null", `{"fields":null}`, CodeBodyNotAllowed, `the member "fields" must be an object`},
		{"fields a list", `{"fields":[]}`, CodeBodyNotAllowed, `the member "fields" must be an object`},
		{"bulk create", `{"issueUpdates":[{"fields":{}}]}`, CodeBodyNotAllowed, `the member "issueUpdates" is not allowed; the body holds "fields" alone`},
		// Not one object.
		{"an array", `[{"fields":{}}]`, CodeBodyMalformed, "at byte 1 there is something other than an object, where one must be"},
		{"a string", `"fields"`, CodeBodyMalformed, "at byte 1 there is something other than an object, where one must be"},
		{"a number", `1`, CodeBodyMalformed, "at byte 1 there is something other than an object, where one must be"},
		{"only space", " \n", CodeBodyMalformed, "at byte 3 there is something other than an object, where one must be"},
		{"two objects", `{"fields":{}}{"fields":{}}`, CodeBodyMalformed, "at byte 14 there is text after the end of the object"},
		{"text after the object", `{"fields":{}}x`, CodeBodyMalformed, "at byte 14 there is text after the end of the object"},
		{"NUL after the object", "{\"fields\":{}}\x00", CodeBodyMalformed, "at byte 14 there is text after the end of the object"},
		{"byte order mark", "\ufeff{\"fields\":{}}", CodeBodyMalformed, "at byte 1 there is something other than an object, where one must be"},
		{"form", `fields=1`, CodeBodyMalformed, "at byte 1 there is something other than an object, where one must be"},
		// Names twice.
		{"fields twice", `{"fields":{},"fields":{"project":{"key":"OTHER"}}}`, CodeBodyMalformed, `at byte 22 there is the name "fields" a second time in one object`},
		{"fields twice, once escaped", `{"fields":{},"\u0066ields":{}}`, CodeBodyMalformed, `at byte 27 there is the name "fields" a second time in one object`},
		{"update twice", `{"update":{},"fields":{},"update":{}}`, CodeBodyMalformed, `at byte 34 there is the name "update" a second time in one object`},
		{"project twice", `{"fields":{"project":{"key":"ACME"},"project":{"key":"OTHER"}}}`, CodeBodyMalformed, `at byte 46 there is the name "project" a second time in one object`},
		{"key twice", `{"fields":{"project":{"key":"ACME","key":"OTHER"}}}`, CodeBodyMalformed, `at byte 41 there is the name "key" a second time in one object`},
		{"name twice in an array", `{"fields":{"a":[{"b":1,"b":1}]}}`, CodeBodyMalformed, `at byte 27 there is the name "b" a second time in one object`},
		{"empty name twice", `{"fields":{"":1,"":1}}`, CodeBodyMalformed, `at byte 19 there is the name "" a second time in one object`},
		// Syntax.
		{"cut off", `{"fields":{"a":`, CodeBodyMalformed, "at byte 16 there is something that is no value"},
		{"cut off in a name", `{"fields":{"a`, CodeBodyMalformed, "at byte 14 there is the end of the body inside a string"},
		{"cut off after a comma", `{"fields":{"a":1,`, CodeBodyMalformed, "at byte 18 there is an object whose next member has no name in quotes"},
		{"cut off in an empty escape", `{"fields":{"a\`, CodeBodyMalformed, "at byte 14 there is an escape that JSON does not have"},
		{"cut off after a short escape", `{"fields":{"a":"\n`, CodeBodyMalformed, "at byte 19 there is the end of the body inside a string"},
		{"cut off after an escape", `{"fields":{"a":"\u0041`, CodeBodyMalformed, "at byte 23 there is the end of the body inside a string"},
		{"cut off in an escape", `{"fields":{"a\u00`, CodeBodyMalformed, "at byte 14 there is an escape that JSON does not have"},
		{"comma at the end of an object", `{"fields":{"a":1,}}`, CodeBodyMalformed, "at byte 18 there is an object whose next member has no name in quotes"},
		{"comma at the end of an array", `{"fields":{"a":[1,]}}`, CodeBodyMalformed, "at byte 19 there is something that is no value"},
		{"comma at the start", `{,"fields":{}}`, CodeBodyMalformed, "at byte 2 there is an object whose next member has no name in quotes"},
		{"no comma in an object", `{"fields":{"a":1 "b":2}}`, CodeBodyMalformed, "at byte 18 there is an object that goes on without a comma"},
		{"no comma in an array", `{"fields":{"a":[1 2]}}`, CodeBodyMalformed, "at byte 19 there is an array that goes on without a comma"},
		{"no colon", `{"fields" {}}`, CodeBodyMalformed, "at byte 11 there is a name without a colon"},
		{"no value", `{"fields":{"a":}}`, CodeBodyMalformed, "at byte 16 there is something that is no value"},
		{"name without quotes", `{fields:{}}`, CodeBodyMalformed, "at byte 2 there is an object whose next member has no name in quotes"},
		{"single quotes", `{'fields':{}}`, CodeBodyMalformed, "at byte 2 there is an object whose next member has no name in quotes"},
		{"comment", `{"fields":{/* */}}`, CodeBodyMalformed, "at byte 12 there is an object whose next member has no name in quotes"},
		{"no value in an object", `{"fields":{"a":{"b":c}}}`, CodeBodyMalformed, "at byte 21 there is something that is no value"},
		{"no value in an array in an array", `{"fields":{"a":[[c]]}}`, CodeBodyMalformed, "at byte 18 there is something that is no value"},
		{"no value as the project's key", `{"fields":{"project":{"key":c}}}`, CodeBodyMalformed, "at byte 29 there is something that is no value"},
		{"no value in the project's key", `{"fields":{"project":{"key":[c]}}}`, CodeBodyMalformed, "at byte 30 there is something that is no value"},
		{"no value beside the project's key", `{"fields":{"project":{"name":c}}}`, CodeBodyMalformed, "at byte 30 there is something that is no value"},
		{"NaN", `{"fields":{"a":NaN}}`, CodeBodyMalformed, "at byte 16 there is something that is no value"},
		{"Infinity", `{"fields":{"a":-Infinity}}`, CodeBodyMalformed, "at byte 17 there is something that is no value"},
		{"leading zero", `{"fields":{"a":01}}`, CodeBodyMalformed, "at byte 17 there is an object that goes on without a comma"},
		{"plus sign", `{"fields":{"a":+1}}`, CodeBodyMalformed, "at byte 16 there is something that is no value"},
		{"only a minus sign", `{"fields":{"a":-}}`, CodeBodyMalformed, "at byte 17 there is something that is no value"},
		{"point at the end", `{"fields":{"a":1.}}`, CodeBodyMalformed, "at byte 18 there is a number without digits after its point"},
		{"point at the start", `{"fields":{"a":.5}}`, CodeBodyMalformed, "at byte 16 there is something that is no value"},
		{"empty exponent", `{"fields":{"a":1e}}`, CodeBodyMalformed, "at byte 18 there is a number without digits in its exponent"},
		{"hexadecimal", `{"fields":{"a":0x1}}`, CodeBodyMalformed, "at byte 17 there is an object that goes on without a comma"},
		{"word in capitals", `{"fields":{"a":True}}`, CodeBodyMalformed, "at byte 16 there is something that is no value"},
		{"word too long", `{"fields":{"a":nullx}}`, CodeBodyMalformed, "at byte 20 there is an object that goes on without a comma"},
		{"brackets crossed", `{"fields":{"a":[}]}`, CodeBodyMalformed, "at byte 17 there is something that is no value"},
		{"too deep", `{"fields":{"d":` + strings.Repeat("[", 63) + strings.Repeat("]", 63) + `}}`, CodeBodyMalformed, "at byte 78 there is more than 64 containers inside each other"},
		{"far too deep", `{"fields":` + strings.Repeat(`{"a":`, 100000), CodeBodyMalformed, "at byte 326 there is more than 64 containers inside each other"},
		// Strings.
		{"line feed in a string", "{\"fields\":{\"a\":\"\n\"}}", CodeBodyMalformed, "at byte 17 there is a control character inside a string"},
		{"unknown escape", `{"fields":{"a":"\x41"}}`, CodeBodyMalformed, "at byte 17 there is an escape that JSON does not have"},
		{"another letter than u", `{"fields":{"a":"\x0041"}}`, CodeBodyMalformed, "at byte 17 there is an escape that JSON does not have"},
		{"short escape", `{"fields":{"a":"\u41"}}`, CodeBodyMalformed, "at byte 17 there is an escape that JSON does not have"},
		{"signed escape", `{"fields":{"a":"\u+041"}}`, CodeBodyMalformed, "at byte 17 there is an escape that JSON does not have"},
		{"high surrogate alone", `{"fields":{"a":"\ud83d"}}`, CodeBodyMalformed, "at byte 23 there is half of a surrogate pair"},
		{"high surrogate before another escape", `{"fields":{"a":"\ud83d\u0041"}}`, CodeBodyMalformed, "at byte 29 there is half of a surrogate pair"},
		{"high surrogate before what lacks a backslash", `{"fields":{"a":"\ud83d/ude00"}}`, CodeBodyMalformed, "at byte 23 there is half of a surrogate pair"},
		{"low surrogate alone", `{"fields":{"a":"\ude00"}}`, CodeBodyMalformed, "at byte 23 there is half of a surrogate pair"},
		{"surrogates in the wrong order", `{"fields":{"a":"\ude00\ud83d"}}`, CodeBodyMalformed, "at byte 29 there is half of a surrogate pair"},
		{"not UTF-8", "{\"fields\":{\"a\":\"\xff\"}}", CodeBodyMalformed, "the body is not valid UTF-8"},
		{"overlong", "{\"fields\":{\"a\":\"\xc0\xaf\"}}", CodeBodyMalformed, "the body is not valid UTF-8"},
		{"raw surrogate", "{\"fields\":{\"a\":\"\xed\xa0\x80\"}}", CodeBodyMalformed, "the body is not valid UTF-8"},
		{"UTF-16", "{\x00\"\x00f\x00", CodeBodyMalformed, "at byte 2 there is an object whose next member has no name in quotes"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			rebuilt, d := create(p, "application/json", tt.body)
			checkDenial(t, d, tt.code)
			if !strings.Contains(d.Detail, tt.detail) {
				t.Errorf("the detail is %s; want %s", d.Detail, tt.detail)
			}
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
		"application/json; charset":                       false,
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
