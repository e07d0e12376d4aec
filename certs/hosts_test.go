package certs

import (
	"strings"
	"testing"
)

func TestCheckHost(t *testing.T) {
	long := strings.Repeat("a", 63)
	for _, test := range []struct{ host, want string }{ // want "": accepted
		{"jira.acme.com", ""},
		{"jira", ""},
		{"1password.example", ""},
		{"a--b.example", ""},
		{"192.0.2.7", ""},
		{"::1", ""},
		{"2001:db8::7", ""},
		{strings.Repeat(long+".", 3) + long[:61], ""},

		{"", "1 to 253"},
		{strings.Repeat(long+".", 3) + long[:62], "1 to 253"},
		{long + "a.example", "1 to 63"},
		{"JIRA.acme.com", `write "jira.acme.com"`},
		{"jira.acme.com.", "1 to 63"},
		{".acme.com", "1 to 63"},
		{"jira..com", "1 to 63"},
		{"-jira.com", "hyphen"},
		{"jira-.com", "hyphen"},
		{"*.acme.com", "only letters"},
		{"jira_1.acme.com", "only letters"},
		{"jira.acme.com:443", "only letters"},
		{"https://jira.acme.com", "only letters"},
		{"bücher.example", "only letters"},
		{"jira\x00.acme.com", "only letters"},
		{"[::1]", "only letters"},
		{"10.1", "number"},
		{"192.0.2.007", "number"},
		{"256.0.0.1", "number"},
		{"2001:DB8::7", `write "2001:db8::7"`},
		{"2001:db8:0::7", `write "2001:db8::7"`},
		{"::ffff:192.0.2.7", `write "192.0.2.7"`},
		{"fe80::1%eth0", "zone"},
	} {
		err := checkHost(test.host)
		switch {
		case test.want == "" && err != nil:
			t.Errorf("checkHost(%q) = %v", test.host, err)
		case test.want != "" && (err == nil || !strings.Contains(err.Error(), test.want)):
			t.Errorf("checkHost(%q) = %v, want %q in it", test.host, err, test.want)
		}
	}
}
