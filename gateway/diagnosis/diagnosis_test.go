package diagnosis

import (
	"encoding/json"
	"html"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"testing"
)

func (q quotation) diagnose() Reason { return Of(q.edition, q.status, q.header, []byte(q.body)) }

func TestRefusals(t *testing.T) {
	seen := make(map[Reason]bool)
	for _, q := range refusals {
		t.Run(q.name, func(t *testing.T) {
			if got := q.diagnose(); got != q.want {
				t.Errorf("got %q, want %q", got, q.want)
			}
		})
		seen[q.want] = true
	}
	for _, r := range Reasons() {
		if !seen[r] {
			t.Errorf("no answer is known that means %s", r)
		}
	}
}

func TestLookAlikes(t *testing.T) {
	for _, q := range lookAlikes {
		t.Run(q.name, func(t *testing.T) {
			if got := q.diagnose(); got != "" {
				t.Errorf("got %q, want none", got)
			}
		})
	}
}

// What is known of a beginning is true of the whole. Text without markup is as short
// as it is, so that it is not cut at 64 KiB.
func TestACutAnswerMeansTheSameOrNothing(t *testing.T) {
	for _, q := range slices.Concat(refusals, lookAlikes) {
		if !strings.HasPrefix(q.body, "{") && !strings.HasPrefix(q.body, "<") {
			continue
		}
		for n := range len(q.body) {
			if got := Of(q.edition, q.status, q.header, []byte(q.body[:n])); got != "" && got != q.want {
				t.Errorf("%s, cut after %d bytes: %q, the whole %q", q.name, n, got, q.want)
			}
		}
	}
}

func TestNoSuccessIsARefusal(t *testing.T) {
	for _, q := range refusals {
		for _, status := range []int{0, 100, 200, 201, 204, 302, 304, 399} {
			if got := Of(q.edition, status, q.header, []byte(q.body)); got != "" {
				t.Errorf("%s with %d: %q", q.name, status, got)
			}
		}
	}
}

// A client learns Jira's refusals by heart and sends them as values: the answer
// that repeats them means what it means without them.
func TestRepeatedValuesChangeNothing(t *testing.T) {
	for _, q := range refusals {
		for _, value := range append(messages(t, q.body), q.body) {
			wantUnmoved(t, value)
		}
	}
}

// messages are the texts of a JSON body.
func messages(t *testing.T, body string) []string {
	t.Helper()
	return read([]byte(body)).messages
}

// wantUnmoved has answers repeat a value in the ways Jira does.
func wantUnmoved(t *testing.T, value string) {
	t.Helper()
	encode := func(v any) string {
		b, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		return string(b)
	}
	collection := func(message string, errors any) string {
		return encode(map[string]any{"errorMessages": []string{message}, "errors": errors})
	}
	answers := map[string]func(string) string{
		"the value of a field": func(v string) string { return collection("Bad request.", map[string]string{"summary": v}) },
		"the name of a field":  func(v string) string { return collection("Bad request.", map[string]string{v: "unknown"}) },
		"in single quotes":     func(v string) string { return collection("Option value '"+v+"' is not valid", nil) },
		"in double quotes":     func(v string) string { return collection(`The value "`+v+`" does not exist.`, nil) },
		"at the end":           func(v string) string { return collection("No issue has the key "+v, nil) },
		"at the start":         func(v string) string { return collection(v+" is not a project.", nil) },
		"beside a known refusal": func(v string) string {
			return collection("You do not have permission to create issues in this project.", v)
		},
		"in a page": func(v string) string {
			return "<html><head><title>Error</title></head><body><h1>Error</h1><p>" + html.EscapeString(v) + "</p></body></html>"
		},
		"in the heading of a page": func(v string) string {
			return "<html><head><title>Error</title></head><body><h1>No " + html.EscapeString(v) + "</h1></body></html>"
		},
	}
	for name, answer := range answers {
		for _, edition := range []Edition{Cloud, DataCenter} {
			for _, header := range []http.Header{nil, let} {
				for _, status := range []int{400, 403, 404} {
					got := Of(edition, status, header, []byte(answer(value)))
					want := Of(edition, status, header, []byte(answer("x")))
					if got != want {
						t.Errorf("%s, repeated %s by %s with %d: %q, without %q", value, name, edition, status, got, want)
					}
				}
			}
		}
	}
}

func TestTheBeginningOfTheBodyDecides(t *testing.T) {
	refused := `{"errors":{},"errorMessages":["You do not have permission to create issues in this project."]}`
	pad := strings.Repeat(" ", maxBody)
	if got := Of(Cloud, 403, nil, []byte(refused+pad)); got != PermissionRefused {
		t.Errorf("with a long tail: %q", got)
	}
	if got := Of(Cloud, 403, nil, []byte(pad+refused)); got != "" {
		t.Errorf("after 64 KiB: %q", got)
	}
	if got := Of(Cloud, 403, nil, []byte("\ufeff \n"+refused)); got != PermissionRefused {
		t.Errorf("after a byte order mark: %q", got)
	}
}

func TestAdvice(t *testing.T) {
	for _, r := range Reasons() {
		advice := r.Advice()
		if advice == "" || !strings.HasSuffix(advice, ".") || strings.ContainsAny(advice, "\n\t") {
			t.Errorf("%s: %q is not a sentence", r, advice)
		}
		for _, c := range r {
			if (c < 'a' || c > 'z') && c != '_' {
				t.Errorf("%s does not fit Proxy-Status details", r)
			}
		}
	}
	if advice := Reason("").Advice(); advice != "" {
		t.Errorf("advice for nothing: %q", advice)
	}
}

func TestSeenAddress(t *testing.T) {
	address := func(s string) string {
		return `<html><body><span class="hidden" id="cf-footer-ip">` + s + `</span></body></html>`
	}
	for _, row := range []struct{ name, body, want string }{
		{"Cloudflare 1006", bannedPage, "203.0.113.7"},
		{"IPv6", address("2803:9800:b029:807d:ffbf:4530:e15e:8a90"), "2803:9800:b029:807d:ffbf:4530:e15e:8a90"},
		{"mapped", address("::ffff:203.0.113.7"), "203.0.113.7"},
		{"not revealed", address("Click to reveal"), ""},
		{"with a zone", address("fe80::1%eth0"), ""},
		{"loopback", address("127.0.0.1"), ""},
		{"mapped loopback", address("::ffff:127.0.0.1"), ""},
		{"cut in the address", strings.TrimSuffix(address("203.0.113.7"), "7</span></body></html>"), ""},
		{"none", nginxPage, ""},
		{"an address in a message", `{"message":"Your IP: 203.0.113.7"}`, ""},
		{"escaped markup", html.EscapeString(address("203.0.113.7")), ""},
		{"nothing", "", ""},
	} {
		t.Run(row.name, func(t *testing.T) {
			got, ok := SeenAddress([]byte(row.body))
			if ok != (row.want != "") || ok && got != netip.MustParseAddr(row.want) {
				t.Errorf("got %v %v, want %q", got, ok, row.want)
			}
		})
	}
}

func FuzzOf(f *testing.F) {
	for _, q := range slices.Concat(refusals, lookAlikes) {
		f.Add(q.edition == Cloud, q.status, q.header.Get("Server"), q.header.Get("X-Seraph-LoginReason"), []byte(q.body))
	}
	f.Add(true, 403, "", "", []byte(strings.Repeat(`{"a":`, 20000)))
	f.Add(false, 403, "cloudflare", "", []byte("<h1><span class=cf-error-code>99999999999999999999</h1>"))
	f.Fuzz(func(t *testing.T, cloud bool, status int, server, seraph string, body []byte) {
		edition := DataCenter
		if cloud {
			edition = Cloud
		}
		header := make(http.Header)
		for name, value := range map[string]string{"Server": server, seraphReason: seraph} {
			if value != "" {
				header.Set(name, value)
			}
		}
		got := Of(edition, status, header, body)
		if got != "" && !slices.Contains(Reasons(), got) {
			t.Fatalf("unknown reason %q", got)
		}
		if got != "" && (status < 400 || status > 599) {
			t.Fatalf("status %d is %q", status, got)
		}
		if len(body) > maxBody && Of(edition, status, header, body[:maxBody]) != got {
			t.Fatal("bytes after the first 64 KiB count")
		}
		if a, ok := SeenAddress(body); ok && (!a.IsGlobalUnicast() || a.Zone() != "" || a.Is4In6()) {
			t.Fatalf("address %v", a)
		}
	})
}

func FuzzRepeatedValuesChangeNothing(f *testing.F) {
	for _, q := range refusals {
		f.Add(q.body)
	}
	f.Add("' is not valid\",\"The app is not installed on this instance")
	f.Add("</p><title>Request Rejected</title>")
	f.Fuzz(func(t *testing.T, value string) { wantUnmoved(t, value) })
}
