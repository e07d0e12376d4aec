package echo

import (
	"net/netip"
	"slices"
	"strings"
	"testing"
	"unicode"
)

// trace is what Cloudflare answers at /cdn-cgi/trace.
const trace = `fl=29f191
h=one.one.one.one
ip=203.0.113.7
ts=1764225000.123
visit_scheme=https
uag=Mozilla/5.0 (X11; ip=198.51.100.9)
colo=AMS
http=http/2
loc=NL
tls=TLSv1.3
kex=X25519
`

const (
	textPlain = "text/plain; charset=utf-8"
	appJSON   = "application/json"
)

var parsed = []struct {
	name, contentType, body, want string
}{
	{"text, as checkip.amazonaws.com", "text/plain;charset=UTF-8", "203.0.113.7\n", "203.0.113.7"},
	{"without line end, as ifconfig.me", textPlain, "203.0.113.7", "203.0.113.7"},
	{"white space all around", textPlain, "\r\n\t 203.0.113.7 \r\n", "203.0.113.7"},
	{"IPv6, as icanhazip.com", "text/plain", "2001:db8::7\n", "2001:db8::7"},
	{"IPv6 in another spelling", "text/plain", "2001:DB8:0:0:0:0:0:7", "2001:db8::7"},
	{"IPv4 inside IPv6", "text/plain", "::ffff:203.0.113.7", "203.0.113.7"},
	{"IPv4 inside IPv6, in hexadecimal", "text/plain", "::ffff:cb00:7107", "203.0.113.7"},
	{"no content type", "", "203.0.113.7", "203.0.113.7"},
	{"a broken parameter of the content type", "text/plain; charset", "203.0.113.7", "203.0.113.7"},
	{"a bare address that is called HTML", "text/html", "203.0.113.7", "203.0.113.7"},
	{"JSON, as api.ipify.org", appJSON, `{"ip":"203.0.113.7"}`, "203.0.113.7"},
	{"JSON, as httpbin", appJSON, "{\n  \"origin\": \"203.0.113.7\"\n}\n", "203.0.113.7"},
	{"JSON, as ip-api.com", appJSON, `{"status":"success","lat":52.3,"query":"203.0.113.7"}`, "203.0.113.7"},
	{"JSON, as ifconfig.me", appJSON, `{"ip_addr":"203.0.113.7","remote_host":"unavailable"}`, "203.0.113.7"},
	{"JSON with address", appJSON, `{"address":"2001:db8::7"}`, "2001:db8::7"},
	{"JSON with client_ip", "application/problem+json", `{"client_ip":"203.0.113.7"}`, "203.0.113.7"},
	{"a JSON string", appJSON, `"203.0.113.7"`, "203.0.113.7"},
	{"JSON that is called text", textPlain, `{"ip":"203.0.113.7"}`, "203.0.113.7"},
	{"another address under a name that says nothing", appJSON, `{"ip":"203.0.113.7","gateway":"198.51.100.9"}`, "203.0.113.7"},
	{"another address further inside", appJSON, `{"proxy":{"ip":"198.51.100.9"},"ip":"203.0.113.7"}`, "203.0.113.7"},
	{"another address under a name in capitals", appJSON, `{"IP":"198.51.100.9","ip":"203.0.113.7"}`, "203.0.113.7"},
	{"the same under two names, in two spellings", appJSON, `{"ip":"203.0.113.7","query":"::ffff:203.0.113.7"}`, "203.0.113.7"},
	{"key=value, with another address in the user agent", "text/plain", trace, "203.0.113.7"},
	{"key=value, with CR LF and an empty line", "text/plain", "ip=203.0.113.7\r\n\r\nloc=NL\r\n", "203.0.113.7"},
	{"key=value, the same address twice", "text/plain", "ip=203.0.113.7\nip=203.0.113.7", "203.0.113.7"},
	{"a private address: for the caller to compare", "text/plain", "10.0.0.5", "10.0.0.5"},
}

func TestParse(t *testing.T) {
	for _, test := range parsed {
		t.Run(test.name, func(t *testing.T) {
			got, err := Parse(test.contentType, []byte(test.body))
			if err != nil || got.String() != test.want {
				t.Errorf("Parse(%q, %q) = %s, %v; want %s", test.contentType, test.body, got, err, test.want)
			}
		})
	}
}

var unparsed = []struct {
	name, contentType, body, message string
}{
	{"nothing", "text/plain", "", "empty"},
	{"white space alone", "text/plain", " \r\n", "empty"},
	{"a login page", "text/html", "<!DOCTYPE html>\n<title>Log in to Free Wi-Fi</title><p>You are 203.0.113.7", "captive portal"},
	{"a login page that is called JSON", appJSON, "<html>", "captive portal"},
	{"a page without a tag in front", "text/html", "Please <a href='/login'>log in</a>, 203.0.113.7", "key=value"},
	{"a sentence", "text/plain", "Your IP address is 203.0.113.7", "not an address"},
	{"two addresses", "text/plain", "203.0.113.7\n198.51.100.9", "not an address"},
	{"the same address twice", "text/plain", "203.0.113.7 203.0.113.7", "not an address"},
	{"a list", "text/plain", "203.0.113.7, 198.51.100.9", "a list"},
	{"a list, as httpbin behind a proxy", appJSON, `{"origin":"203.0.113.7, 198.51.100.9"}`, "member origin: a list"},
	{"a list of one address twice", appJSON, `{"origin":"203.0.113.7, 203.0.113.7"}`, "a list"},
	{"a list beside an address", appJSON, `{"ip":"203.0.113.7","origin":"203.0.113.7, 198.51.100.9"}`, "a list"},
	{"a port", "text/plain", "203.0.113.7:443", "not an address"},
	{"a network", "text/plain", "203.0.113.7/32", "not an address"},
	{"brackets", "text/plain", "[2001:db8::7]", "not an address"},
	{"leading zeros, which some read as octal", "text/plain", "203.0.113.007", "not an address"},
	{"a number", "text/plain", "3405803783", "not an address"},
	{"three parts", "text/plain", "203.0.113", "not an address"},
	{"digits of another script", "text/plain", "२०३.0.113.7", "not an address"},
	{"a space that is no ASCII space", "text/plain", "\u00a0203.0.113.7", "not an address"},
	{"a byte order mark", "text/plain", "\ufeff203.0.113.7", "not an address"},
	{"UTF-16", "text/plain; charset=utf-16", "2\x000\x003\x00", "not an address"},
	{"a zone", "text/plain", "fe80::1%eth0", "zone"},
	{"a zone at IPv4 inside IPv6", "text/plain", "::ffff:203.0.113.7%eth0", ""},
	{"unspecified, which stands for not known", appJSON, `{"ip":"0.0.0.0"}`, "no request can come from"},
	{"unspecified IPv6", "text/plain", "::", "no request can come from"},
	{"unspecified inside IPv6", "text/plain", "::ffff:0.0.0.0", "no request can come from"},
	{"multicast", "text/plain", "224.0.0.1", "no request can come from"},
	{"broadcast", "text/plain", "255.255.255.255", "no request can come from"},
	{"two names that differ", appJSON, `{"ip":"203.0.113.7","query":"198.51.100.9"}`, "two addresses, 203.0.113.7 and 198.51.100.9"},
	{"one name twice that differs", appJSON, `{"ip":"203.0.113.7","ip":"198.51.100.9"}`, "two addresses"},
	{"one name twice, once escaped", appJSON, `{"ip":"203.0.113.7","\u0069p":"198.51.100.9"}`, "two addresses"},
	{"a name that holds no address, beside one that does", appJSON, `{"ip":"203.0.113.7","address":"12 High Street"}`, "member address: not an address"},
	{"null", appJSON, `{"ip":null}`, "member ip: not a string: \"null\""},
	{"an object under the name", appJSON, `{"ip":{"v4":"203.0.113.7"}}`, "member ip: not a string"},
	{"an array under the name", appJSON, `{"ip":["203.0.113.7"]}`, "member ip: not a string"},
	{"no known name", appJSON, `{"ipAddress":"203.0.113.7"}`, "without any of ip, origin"},
	{"an empty object", appJSON, `{}`, "without any of"},
	{"an array", appJSON, `["203.0.113.7"]`, "neither an object nor a string"},
	{"a number in JSON", appJSON, `3405803783`, "neither an object nor a string"},
	{"an empty string", appJSON, `""`, "not an address"},
	{"an escaped digit", appJSON, `"\u00320.0.113.7"`, "not an address"},
	{"two JSON values", appJSON, `{"ip":"203.0.113.7"}{"ip":"198.51.100.9"}`, "not valid JSON"},
	{"JSON that was cut off", appJSON, `{"ip":"203.0.113.7"`, "not valid JSON"},
	{"text that is called JSON", appJSON, "203.0.113.7", "not valid JSON"},
	{"JSONP", "text/plain", `callback({"ip":"203.0.113.7"})`, "not an address"},
	{"key=value twice that differ", "text/plain", "ip=203.0.113.7\nip=198.51.100.9", "two addresses"},
	{"key=value without ip", "text/plain", "loc=NL\ncolo=AMS", "without ip="},
	{"key=value with an empty ip", "text/plain", "ip=\nloc=NL", "line ip: not an address"},
	{"key=value with a space", "text/plain", "ip = 203.0.113.7", "neither an address nor lines"},
	{"key=value after a sentence", "text/plain", "hello\nip=203.0.113.7", "neither an address nor lines"},
	{"a query string", "text/plain", "loc=NL&ip=203.0.113.7", "without ip="},
	{"an image", "image/png", "203.0.113.7", `content type "image/png" is neither`},
	{"a script", "application/javascript", "203.0.113.7", "is neither text nor JSON"},
	{"no media type at all", ";;", "203.0.113.7", "is neither text nor JSON"},
	{"one byte too many", "text/plain", "203.0.113.7" + strings.Repeat(" ", maxBody-10), "longer than 65536 bytes"},
	{"a long word", "text/plain", strings.Repeat("a", 5000), "aaaa\"…"},
	{"control characters", "text/plain", "\x1b[2J\u202e\n", `"\x1b[2J\u202e"`},
	{"a long content type", strings.Repeat("\u202e", 5000), "203.0.113.7", "is neither text nor JSON"},
}

func TestParseRefuses(t *testing.T) {
	for _, test := range unparsed {
		t.Run(test.name, func(t *testing.T) {
			got, err := Parse(test.contentType, []byte(test.body))
			if err == nil || got.IsValid() {
				t.Fatalf("Parse(%q, %q) = %s, %v", test.contentType, test.body, got, err)
			}
			if !strings.Contains(err.Error(), test.message) {
				t.Errorf("error %q does not contain %q", err, test.message)
			}
			checkMessage(t, err)
		})
	}
}

func TestParseAcceptsTheLongest(t *testing.T) {
	body := "203.0.113.7" + strings.Repeat("\n", maxBody-11)
	if got, err := Parse("text/plain", []byte(body)); err != nil || got.String() != "203.0.113.7" {
		t.Errorf("%d bytes: %s, %v", len(body), got, err)
	}
}

// checkMessage fails if err repeats more of an answer than it may, or in a way
// that would change a terminal or a log.
func checkMessage(t *testing.T, err error) {
	t.Helper()
	if text := err.Error(); len(text) > 1000 || strings.ContainsFunc(text, func(r rune) bool { return !unicode.IsPrint(r) }) {
		t.Errorf("error of %d bytes: %q", len(text), text)
	}
}

// FuzzParse: what parses is an address that a request may come from and that
// stands in the body, in whichever spelling; and an error is short and harmless.
func FuzzParse(f *testing.F) {
	for _, seed := range parsed {
		f.Add(seed.contentType, []byte(seed.body))
	}
	for _, seed := range unparsed {
		f.Add(seed.contentType, []byte(seed.body))
	}
	f.Fuzz(func(t *testing.T, contentType string, body []byte) {
		addr, err := Parse(contentType, body)
		if err != nil {
			if addr.IsValid() {
				t.Errorf("%s together with %v", addr, err)
			}
			checkMessage(t, err)
			return
		}
		if !addr.IsValid() || addr.Zone() != "" || addr != addr.Unmap() || addr.IsUnspecified() || addr.IsMulticast() {
			t.Errorf("%q parsed to %s", body, addr)
		}
		words := strings.FieldsFunc(string(body), func(r rune) bool {
			return !strings.ContainsRune("0123456789abcdefABCDEF.:", r)
		})
		if !slices.ContainsFunc(words, func(word string) bool {
			a, err := netip.ParseAddr(word)
			return err == nil && a.Unmap() == addr
		}) {
			t.Errorf("%q parsed to %s, which is not in it", body, addr)
		}
	})
}
