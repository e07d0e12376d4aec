package policy

import (
	"strings"
	"testing"
)

var hostileQueries = []struct {
	name, path, query string
	code              Code
}{
	// P10: credentials, sessions and method overrides in the query.
	{"user name", "/rest/api/3/myself", "os_username=a&os_password=b", CodeQueryNotDocumented},
	{"authentication type", "/rest/api/3/myself", "os_authType=none", CodeQueryNotDocumented},
	{"token", "/rest/api/3/myself", "jwt=x", CodeQueryNotDocumented},
	{"access token", "/rest/api/3/myself", "access_token=x", CodeQueryNotDocumented},
	{"method override", "/rest/api/3/project/search", "_method=DELETE", CodeQueryNotDocumented},
	{"JSONP", "/rest/api/3/priority", "callback=alert", CodeQueryNotDocumented},
	// Names.
	{"unknown name", "/rest/api/3/project/search", "limit=5", CodeQueryNotDocumented},
	{"unknown name beside a known one", "/rest/api/3/project/search", "startAt=0&fields=*all", CodeQueryNotDocumented},
	{"name in other case", "/rest/api/3/project/search", "StartAt=0", CodeQueryNotDocumented},
	{"name with a bracket", "/rest/api/3/project/search", "keys[]=ACME", CodeQueryNotDocumented},
	{"name with encoded NUL", "/rest/api/3/project/search", "startAt%00=1", CodeQueryMalformed},
	{"name with encoded space", "/rest/api/3/project/search", "startAt+=1", CodeQueryNotDocumented},
	{"name of another operation", "/rest/api/3/priority", "startAt=0", CodeQueryNotDocumented},
	{"name of the other edition", "/rest/api/3/myself", "includeArchived=true", CodeQueryNotDocumented},
	{"single value twice", "/rest/api/3/project/search", "startAt=0&startAt=0", CodeQueryNotDocumented},
	{"single value twice, once encoded", "/rest/api/3/project/search", "query=a&%71uery=b", CodeQueryNotDocumented},
	// Values.
	{"expand unknown", "/rest/api/3/project/ACME", "expand=permissions", CodeQueryNotDocumented},
	{"expand of another operation", "/rest/api/3/project/ACME", "expand=insight", CodeQueryNotDocumented},
	{"expand known and unknown", "/rest/api/3/project/ACME", "expand=issueTypes,permissions", CodeQueryNotDocumented},
	{"expand unknown the second time", "/rest/api/3/project/ACME", "expand=issueTypes&expand=permissions", CodeQueryNotDocumented},
	{"expand with an empty element", "/rest/api/3/project/ACME", "expand=lead,,url", CodeQueryNotDocumented},
	{"expand with a comma at the end", "/rest/api/3/project/ACME", "expand=lead,", CodeQueryNotDocumented},
	{"expand empty", "/rest/api/3/project/ACME", "expand=", CodeQueryNotDocumented},
	{"expand with a space", "/rest/api/3/project/ACME", "expand=lead,%20issueTypes", CodeQueryNotDocumented},
	{"expand in other case", "/rest/api/3/project/ACME", "expand=issuetypes", CodeQueryNotDocumented},
	{"expand deeper than documented", "/rest/api/3/issue/createmeta", "expand=projects.issuetypes.fields.permissions", CodeQueryNotDocumented},
	{"not a number", "/rest/api/3/project/search", "startAt=0x10", CodeQueryNotDocumented},
	{"no number", "/rest/api/3/project/search", "startAt=", CodeQueryNotDocumented},
	{"only a sign", "/rest/api/3/project/search", "startAt=-", CodeQueryNotDocumented},
	{"number with a plus", "/rest/api/3/project/search", "startAt=%2B1", CodeQueryNotDocumented},
	{"number over 18 digits", "/rest/api/3/project/search", "startAt=1234567890123456789", CodeQueryNotDocumented},
	{"Arabic-Indic digits", "/rest/api/3/project/search", "startAt=%D9%A1", CodeQueryNotDocumented},
	{"neither true nor false", "/rest/api/3/user/picker", "query=a&showAvatar=1", CodeQueryNotDocumented},
	{"choice unknown", "/rest/api/3/project/search", "action=administer", CodeQueryNotDocumented},
	{"choices listed", "/rest/api/3/project/search", "action=view,edit", CodeQueryNotDocumented},
	{"status unknown", "/rest/api/3/project/search", "status=live,purged", CodeQueryNotDocumented},
	// Syntax.
	{"semicolon", "/rest/api/3/project/search", "startAt=0;maxResults=1", CodeQueryMalformed},
	{"bad escape", "/rest/api/3/project/search", "query=%zz", CodeQueryMalformed},
	{"escape cut off", "/rest/api/3/project/search", "query=%4", CodeQueryMalformed},
	{"percent u", "/rest/api/3/project/search", "query=%u0041", CodeQueryMalformed},
	{"raw NUL", "/rest/api/3/project/search", "query=\x00", CodeQueryMalformed},
	{"raw line feed", "/rest/api/3/project/search", "query=a\r\nX-Y: z", CodeQueryMalformed},
	{"raw space", "/rest/api/3/project/search", "query=a b", CodeQueryMalformed},
	{"raw letter outside ASCII", "/rest/api/3/project/search", "query=\u00fc", CodeQueryMalformed},
	{"fragment", "/rest/api/3/project/search", "query=a#b", CodeQueryMalformed},
	{"encoded line feed", "/rest/api/3/project/search", "query=a%0D%0Ab", CodeQueryMalformed},
	{"encoded NUL", "/rest/api/3/project/search", "query=%00", CodeQueryMalformed},
	{"encoded C1 control", "/rest/api/3/project/search", "query=%C2%85", CodeQueryMalformed},
	{"overlong slash", "/rest/api/3/project/search", "query=%C0%AF", CodeQueryMalformed},
	{"Latin-1", "/rest/api/3/project/search", "query=%FC", CodeQueryMalformed},
	{"surrogate", "/rest/api/3/project/search", "query=%ED%A0%80", CodeQueryMalformed},
	{"empty pair", "/rest/api/3/project/search", "startAt=0&&maxResults=1", CodeQueryMalformed},
	{"ampersand at the end", "/rest/api/3/project/search", "startAt=0&", CodeQueryMalformed},
	{"ampersand alone", "/rest/api/3/project/search", "&", CodeQueryMalformed},
	{"name without a value", "/rest/api/3/project/search", "query", CodeQueryMalformed},
	{"value without a name", "/rest/api/3/project/search", "=1", CodeQueryMalformed},
	// G11: limits.
	{"too many parameters", "/rest/api/3/project/search", strings.Repeat("keys=A&", MaxQueryParameters) + "keys=A", CodeQueryMalformed},
	{"too long", "/rest/api/3/project/search", strings.Repeat("keys="+strings.Repeat("A", 500)+"&", 17) + "keys=A", CodeQueryMalformed},
	{"value too long", "/rest/api/3/project/search", "query=" + strings.Repeat("a", MaxQueryValue+1), CodeQueryMalformed},
	{"name too long", "/rest/api/3/project/search", strings.Repeat("a", MaxQueryValue+1) + "=1", CodeQueryMalformed},
}

func TestHostileQueriesAreRefused(t *testing.T) {
	p := Default()
	for _, tt := range hostileQueries {
		t.Run(tt.name, func(t *testing.T) {
			checkDenial(t, p.Decide(Request{Edition: Cloud, Method: "GET", Path: tt.path, RawQuery: tt.query}), tt.code)
		})
	}
}

func TestQueryAtItsLimitsIsAllowed(t *testing.T) {
	p := Default()
	for _, query := range []string{
		strings.Repeat("keys=A&", MaxQueryParameters-1) + "keys=A",
		"query=" + strings.Repeat("a", MaxQueryValue),
		"query=" + strings.Repeat("%C3%BC", MaxQueryValue/2),
		"startAt=-123456789012345678",
	} {
		if d := p.Decide(Request{Edition: Cloud, Method: "GET", Path: "/rest/api/3/project/search", RawQuery: query}); !d.Allowed() {
			t.Errorf("%.40s...: %s %s", query, d.Code, d.Detail)
		}
	}
}
