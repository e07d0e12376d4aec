package privacy_test

import (
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"jiragate/gateway/audit"
	"jiragate/gateway/audit/privacy"
)

const issue = "ACME-4711"

// deletion is the record of a call about the issue.
func deletion(connection string) audit.Record {
	return audit.Record{
		Client: "billing", ClientAddr: "192.0.2.7:50312", Connection: connection, Method: "DELETE",
		Operation: "issue.delete", Path: "/rest/api/3/issue/" + issue, Status: 204, UpstreamAddr: "198.51.100.7:443",
	}
}

func paths(f func(name, value string) string) string {
	return "/rest/api/3/issue/" + f("issueIdOrKey", issue)
}

var pseudonym = regexp.MustCompile(`^~[a-z2-7]{26}$`)

func TestModes(t *testing.T) {
	sealer, path := newRing(t), keyFile(t)
	for _, tt := range []struct {
		identifiers, clientAddr privacy.Mode
		path, addr              string // patterns
	}{
		{privacy.Keep, privacy.Keep, `^/rest/api/3/issue/ACME-4711$`, `^192\.0\.2\.7:50312$`},
		{"", "", `^/rest/api/3/issue/ACME-4711$`, `^192\.0\.2\.7:50312$`},
		{privacy.Pseudonymise, privacy.Keep, `^/rest/api/3/issue/~[a-z2-7]{26}$`, `^192\.0\.2\.7:50312$`},
		{privacy.Keep, privacy.Pseudonymise, `^/rest/api/3/issue/ACME-4711$`, `^~[a-z2-7]{26}$`},
		{privacy.Drop, privacy.Drop, `^/rest/api/3/issue/\{issueIdOrKey\}$`, `^$`},
		{privacy.Drop, privacy.Pseudonymise, `^/rest/api/3/issue/\{issueIdOrKey\}$`, `^~[a-z2-7]{26}$`},
	} {
		t.Run(fmt.Sprint(tt.identifiers, "/", tt.clientAddr), func(t *testing.T) {
			m := open(t, path, sealer, tt.identifiers, tt.clientAddr)
			r := m.Mask(deletion("acme"), paths)
			if !regexp.MustCompile(tt.path).MatchString(r.Path) || !regexp.MustCompile(tt.addr).MatchString(r.ClientAddr) {
				t.Errorf("path %q, client_addr %q", r.Path, r.ClientAddr)
			}
			r.Path, r.ClientAddr = deletion("acme").Path, deletion("acme").ClientAddr
			if diff := cmp.Diff(deletion("acme"), r); diff != "" {
				t.Errorf("more was changed:\n%s", diff)
			}
		})
	}
	if _, err := privacy.Open(privacy.Options{Identifiers: "hash"}); err == nil {
		t.Error("a mode that is none was taken")
	}
}

// The zero Masker is that of a gateway that was told nothing.
func TestZeroMaskerKeepsEverything(t *testing.T) {
	var m privacy.Masker
	if diff := cmp.Diff(deletion("acme"), m.Mask(deletion("acme"), nil)); diff != "" {
		t.Error(diff)
	}
}

// Whoever knows the key can find out what a pseudonym stands for, so no file is made
// unless one is needed.
func TestKeyIsMadeAtFirstUse(t *testing.T) {
	sealer, path := newRing(t), keyFile(t)
	open(t, path, sealer, privacy.Keep, privacy.Drop)
	if _, err := os.Stat(path); !errors.Is(err, fs.ErrNotExist) {
		t.Fatalf("the key was made for nothing: %v", err)
	}
	if _, err := privacy.OpenKey(path, sealer); !errors.Is(err, fs.ErrNotExist) {
		t.Fatalf("OpenKey: %v", err)
	}
	open(t, path, sealer, privacy.Keep, privacy.Pseudonymise)
	if info, err := os.Stat(path); err != nil || info.Mode() != 0o600 {
		t.Fatalf("%v, %v", info, err)
	}
}

func TestPseudonymsAreStable(t *testing.T) {
	sealer, path := newRing(t), keyFile(t)
	first := open(t, path, sealer, privacy.Pseudonymise, privacy.Pseudonymise)
	acme, globex := first.Mask(deletion("acme"), paths), first.Mask(deletion("globex"), paths)
	if acme.Path == globex.Path {
		t.Error("two connections have one pseudonym of a key")
	}
	if acme.ClientAddr != globex.ClientAddr {
		t.Error("a client has two pseudonyms")
	}
	again := open(t, path, sealer, privacy.Pseudonymise, privacy.Pseudonymise) // after a restart
	if diff := cmp.Diff(acme, again.Mask(deletion("acme"), paths)); diff != "" {
		t.Errorf("after a restart:\n%s", diff)
	}
	key, err := privacy.OpenKey(path, sealer)
	if err != nil {
		t.Fatal(err)
	}
	if p := key.Pseudonym("acme", issue); !strings.HasSuffix(acme.Path, "/"+p) {
		t.Errorf("the key says %s, the record %s", p, acme.Path)
	}
	if p := key.AddressPseudonym(netip.MustParseAddr("::ffff:192.0.2.7")); p != acme.ClientAddr {
		t.Errorf("the key says %s, the record %s", p, acme.ClientAddr)
	}
	other := open(t, keyFile(t), sealer, privacy.Pseudonymise, privacy.Pseudonymise)
	if p := other.Mask(deletion("acme"), paths); p.Path == acme.Path || p.ClientAddr == acme.ClientAddr {
		t.Error("two gateways have one pseudonym")
	}
}

// A pseudonym outlives the version that made it: records of years are searched by it.
// These are of the key 01 02 … 20, computed by another program as doc.go describes it.
func TestPseudonymsOfAKnownKey(t *testing.T) {
	sealer, path := newRing(t), keyFile(t)
	open(t, path, sealer, privacy.Pseudonymise, privacy.Keep) // makes the folder
	secret := make([]byte, 32)
	for i := range secret {
		secret[i] = byte(i + 1)
	}
	sealed, err := sealer.Encrypt(secret, []byte("jiragate audit pseudonym-key v1\x00"))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, document(sealed), 0o600); err != nil {
		t.Fatal(err)
	}
	key, err := privacy.OpenKey(path, sealer)
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct{ connection, value, want string }{
		{"acme", "ACME-4711", "~52jl4yqiscqdbahdgkllc76xre"},
		{"globex", "ACME-4711", "~3ogd4djophtbss2s6cuk4woatu"},
		{"", "ACME-4711", "~alnsdaxf2opth6nusbehhybxba"},
		{"acme", "Grüße", "~wvk5jvbyi2wc35zc5uyx2iqyqe"}, // a length is in bytes
		{"a", "bc", "~45mrayl6ermpjpjfjygejo3adq"},
		{"ab", "c", "~ypubisacsmwjr3ounq7gmmvyzy"},
	} {
		if got := key.Pseudonym(tt.connection, tt.value); got != tt.want {
			t.Errorf("%q of connection %q is %s, want %s", tt.value, tt.connection, got, tt.want)
		}
	}
	for addr, want := range map[string]string{
		"192.0.2.7":   "~4vys4qcajkowqkrcbwpa2fiqou",
		"2001:db8::1": "~7pyacay3pequsyagrhs3q3nl5e",
	} {
		if got := key.AddressPseudonym(netip.MustParseAddr(addr)); got != want {
			t.Errorf("%s is %s, want %s", addr, got, want)
		}
	}
}

// What is hashed can't be read in two ways.
func TestPseudonymsDiffer(t *testing.T) {
	sealer, path := newRing(t), keyFile(t)
	open(t, path, sealer, privacy.Pseudonymise, privacy.Keep)
	key, err := privacy.OpenKey(path, sealer)
	if err != nil {
		t.Fatal(err)
	}
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.StringOf(rapid.SampledFrom([]rune("a\x00\x01")))
		c1, v1, c2, v2 := text.Draw(t, "c1"), text.Draw(t, "v1"), text.Draw(t, "c2"), text.Draw(t, "v2")
		p1, p2 := key.Pseudonym(c1, v1), key.Pseudonym(c2, v2)
		if same := c1 == c2 && v1 == v2; same != (p1 == p2) || !pseudonym.MatchString(p1) {
			t.Fatalf("%q, %q is %s; %q, %q is %s", c1, v1, p1, c2, v2, p2)
		}
	})
	if key.Pseudonym("a", "bc") == key.Pseudonym("ab", "c") {
		t.Error("where the connection ends makes no difference")
	}
	if key.Pseudonym("", "192.0.2.7") == key.AddressPseudonym(netip.MustParseAddr("192.0.2.7")) {
		t.Error("an identifier has the pseudonym of an address")
	}
}

func TestAddress(t *testing.T) {
	sealer, path := newRing(t), keyFile(t)
	keep := open(t, path, sealer, privacy.Keep, privacy.Keep)
	drop := open(t, path, sealer, privacy.Keep, privacy.Drop)
	hash := open(t, path, sealer, privacy.Keep, privacy.Pseudonymise)
	for _, addr := range []string{"192.0.2.7:1", "[2001:db8::1]:443", "2001:db8::1", "[fe80::1%eth0]:1", "unix:pid=7", "signal:SIGHUP", "unix:", "", "jira.example:1"} {
		if got := keep.Address(addr); got != addr {
			t.Errorf("kept: %q became %q", addr, got)
		}
	}
	for addr, want := range map[string]string{"192.0.2.7:1": "", "192.0.2.7": "", "unix:pid=7": "unix", "unix:": "unix", "signal:SIGHUP": "signal", "": "", "jira.example:1": ""} {
		if got := drop.Address(addr); got != want {
			t.Errorf("dropped: %q became %q", addr, got)
		}
	}
	for addr, want := range map[string]string{
		"192.0.2.7:1": hash.Address("[::ffff:192.0.2.7]:2"), "[fe80::1%eth0]:1": hash.Address("[fe80::1]:2"),
		"unix:pid=7": "unix", "signal:SIGHUP": "signal", "": "", "jira.example:1": "",
	} {
		if got := hash.Address(addr); got != want || want != "" && want != "unix" && want != "signal" && !pseudonym.MatchString(got) {
			t.Errorf("pseudonymised: %q became %q, want %q", addr, got, want)
		}
	}
}

func TestText(t *testing.T) {
	sealer, path := newRing(t), keyFile(t)
	const text = "http: TLS handshake error from 192.0.2.7:50312: EOF; [2001:db8::1]:7, [fe80::1%eth0]:7 and 999.0.0.1:5 at 10:15"
	if got := open(t, path, sealer, privacy.Keep, privacy.Keep).Text(text); got != text {
		t.Errorf("kept: %q", got)
	}
	if got := open(t, path, sealer, privacy.Keep, privacy.Drop).Text(text); got != "http: TLS handshake error from {}: EOF; {}, {} and 999.0.0.1:5 at 10:15" {
		t.Errorf("dropped: %q", got)
	}
	m := open(t, path, sealer, privacy.Keep, privacy.Pseudonymise)
	if got := m.Text(text); !strings.HasPrefix(got, "http: TLS handshake error from "+m.Address("192.0.2.7")+": EOF") {
		t.Errorf("pseudonymised: %q", got)
	}
}

func TestKeyIsNotPrinted(t *testing.T) {
	sealer, path := newRing(t), keyFile(t)
	open(t, path, sealer, privacy.Pseudonymise, privacy.Keep)
	key, err := privacy.OpenKey(path, sealer)
	if err != nil {
		t.Fatal(err)
	}
	for _, verb := range []string{"%v", "%+v", "%#v", "%x", "%s", "%d"} {
		if got := fmt.Sprintf(verb, key); got != "[key of pseudonyms]" {
			t.Errorf("%s: %s", verb, got)
		}
	}
}
