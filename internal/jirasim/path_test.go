package jirasim

import (
	"strings"
	"testing"
)

func TestServletPathReadsAsTomcatDoes(t *testing.T) {
	const refused = "400"
	for raw, want := range map[string]string{
		"/rest/api/2/myself":                     "/rest/api/2/myself",
		"/rest/api/2/myself?x=/../..":            "/rest/api/2/myself",
		"/rest/api/2/myself;jsessionid=ABC":      "/rest/api/2/myself",
		"/rest;a=b/api;c/2/myself":               "/rest/api/2/myself",
		"/rest/api/2/search;/myself":             "/rest/api/2/search/myself",
		"/rest/api/2/project/..;/search":         "/rest/api/2/search",
		"/rest/api/2/project/%2e%2e/search":      "/rest/api/2/search",
		"/rest/api/2/project/.%2E;x=1/search":    "/rest/api/2/search",
		"/rest/./api//2/%2e/myself/":             "/rest/api/2/myself",
		"/rest/api/2/m%79self":                   "/rest/api/2/myself",
		"/rest/api/2/project/%252e%252e":         "/rest/api/2/project/%2e%2e",
		"/rest/api/2/project/A%3Bx":              "/rest/api/2/project/A;x",
		"/":                                      "/",
		"/rest/api/2/project%2fACME":             refused,
		"/rest/api/2/project%5CACME":             refused,
		`/rest\api`:                              refused,
		"/rest/api/2/project/ACME%00":            refused,
		"/rest/api/2/%zz":                        refused,
		"/rest/api/2/%4":                         refused,
		"/../rest":                               refused,
		"/rest/api/2/%2e%2e/%2e%2e/%2e%2e/..;/x": refused,
		"*":                                      refused,
		"":                                       refused,
	} {
		got, ok := servletPath(raw)
		if !ok {
			got = refused
		}
		if got != want {
			t.Errorf("servletPath(%q) = %q, want %q", raw, got, want)
		}
	}
}

// What a path is read as is canonical: reading its escaped form again changes
// nothing, and no segment of it is empty or dots.
func FuzzServletPath(f *testing.F) {
	for _, seed := range []string{"/a/b;c=d/../e", "/%2e%2e/x", "/a%2fb", "//a/./b/", "/%25%32%65", "/ex/jira/x/rest/api/3/myself"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, raw string) {
		path, ok := servletPath(raw)
		if !ok {
			return
		}
		if path != "/" {
			for _, segment := range strings.Split(path, "/")[1:] {
				if segment == "" || segment == "." || segment == ".." {
					t.Fatalf("servletPath(%q) = %q", raw, path)
				}
			}
		}
		escaped := strings.NewReplacer("%", "%25", ";", "%3B", "?", "%3F").Replace(path)
		if again, ok := servletPath(escaped); !ok || again != path {
			t.Fatalf("servletPath(%q) = %q, but read again %q, %v", raw, path, again, ok)
		}
	})
}
