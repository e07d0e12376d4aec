package echo

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

var services = []struct {
	name, in string
	want     []string
}{
	{"none", "", nil},
	{"the default", DefaultServices, []string{"https://checkip.amazonaws.com", "https://api.ipify.org?format=json"}},
	{"a path", "https://1.1.1.1/cdn-cgi/trace", []string{"https://1.1.1.1/cdn-cgi/trace"}},
	{"IPv6", "https://[2606:4700:4700::1111]/cdn-cgi/trace", []string{"https://[2606:4700:4700::1111]/cdn-cgi/trace"}},
	{"a port", "https://echo.example.com:8443/", []string{"https://echo.example.com:8443/"}},
	{"http at a loopback address", "http://127.0.0.1:8085/,http://[::1]:8085/,http://127.8.9.10", []string{"http://127.0.0.1:8085/", "http://[::1]:8085/", "http://127.8.9.10"}},
	{"one host twice, other questions", "https://a.example/?q=1,https://a.example/?q=2,https://a.example:444/", []string{"https://a.example/?q=1", "https://a.example/?q=2", "https://a.example:444/"}},
	{"a comma, escaped", "https://a.example/x%2Cy", []string{"https://a.example/x%2Cy"}},
}

func TestParseServices(t *testing.T) {
	for _, test := range services {
		t.Run(test.name, func(t *testing.T) {
			got, err := ParseServices(test.in)
			if err != nil || !slices.Equal(got, test.want) {
				t.Errorf("ParseServices(%q) = %q, %v; want %q", test.in, got, err, test.want)
			}
		})
	}
}

func TestParseServicesRefuses(t *testing.T) {
	var nine []string
	for i := range 9 {
		nine = append(nine, fmt.Sprintf("https://echo%d.example/", i))
	}
	tests := []struct {
		name, in, message string
	}{
		{"a space after the comma", "https://a.example, https://hunter2.example", "echo service 2: white space"},
		{"a comma at the end", "https://a.example,", "echo service 2: empty"},
		{"http", "http://checkip.amazonaws.com", "anybody on the way could answer"},
		{"http at an address", "http://203.0.113.7/", "anybody on the way could answer"},
		{"http at a name for loopback", "http://localhost:8080/", "such as 127.0.0.1"},
		{"http at a name that only looks like loopback", "http://127.0.0.1.example/", "anybody on the way"},
		{"http at a number", "http://2130706433/", "anybody on the way"},
		{"another scheme", "ftp://hunter2.example/", "not an https URL"},
		{"no scheme", "checkip.amazonaws.com", "not an https URL"},
		{"no scheme, but a path on this host", "//hunter2.example/", "not an https URL"},
		{"no host", "https:///hunter2", "without a proper host"},
		{"no slashes", "https:hunter2.example", "without a proper host"},
		{"a password", "https://user:hunter2@a.example/", "echo service 1: a URL with a user name or a password"},
		{"a user name", "https://hunter2@a.example/", "a user name or a password"},
		{"an empty user name", "https://@a.example/", "a user name or a password"},
		{"a broken URL with a password", "https://user:hunter2@a.example:port/", "not a URL"},
		{"a fragment", "https://a.example/#hunter2", "fragment"},
		{"an empty fragment", "https://a.example/#", "fragment"},
		{"a zone", "https://[fe80::1%25hunter2]/", "without a proper host"},
		{"port 0", "https://a.example:0/", "port"},
		{"too high a port", "https://a.example:65536/", "port"},
		{"no port after the colon", "https://a.example:/", "no port"},
		{"a line end", "https://a.example/\nX-Key:hunter2", "white space"},
		{"a host that is not ASCII", "https://hünter2.example/", "not ASCII"},
		{"twice", "https://a.example/,https://b.example/,https://a.example/", "echo service 3 is already entry 1"},
		{"twice, in other words", "https://a.example,HTTPS://A.example:443/", "echo service 2 is already entry 1"},
		{"nine", strings.Join(nine, ","), "more than 8"},
		{"very many", strings.Repeat(",", 1<<20), "more than 8"},
		{"a long one", "https://a.example/" + strings.Repeat("a", maxURL), "longer than 512"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			got, err := ParseServices(test.in)
			if err == nil {
				t.Fatalf("ParseServices(%q) = %q", test.in, got)
			}
			if !strings.Contains(err.Error(), test.message) {
				t.Errorf("error %q does not contain %q", err, test.message)
			}
			if strings.Contains(err.Error(), "hunter2") {
				t.Errorf("error %q repeats the entry", err)
			}
		})
	}
}

// FuzzParseServices: what parses is written back to the same text, and every
// service is https, or http at a loopback address.
func FuzzParseServices(f *testing.F) {
	for _, seed := range services {
		f.Add(seed.in)
	}
	f.Add("http://127.0.0.1@203.0.113.7/")
	f.Add("http://[::ffff:127.0.0.1]/")
	f.Add("https://a.example:443,https://a.example/%2f?#")
	f.Fuzz(func(t *testing.T, s string) {
		got, err := ParseServices(s)
		if err != nil {
			return
		}
		if strings.Join(got, ",") != s || len(got) > maxServices {
			t.Errorf("%q gave %q", s, got)
		}
		for _, service := range got {
			lower := strings.ToLower(service)
			safe := strings.HasPrefix(lower, "https://") || strings.HasPrefix(lower, "http://127.") || strings.HasPrefix(lower, "http://[")
			if !safe || strings.ContainsAny(service, "# ") {
				t.Errorf("%q gave %q", s, service)
			}
		}
	})
}
