package cli

import (
	"errors"
	"fmt"
	"math"
	"strings"
	"testing"
	"unicode"
)

// FuzzParseConfig: one variable of ours with any value, beside any other entry of an
// environment. A value that is refused is named by its variable; no error has a character
// that steers a terminal; and neither errors nor the list of settings repeat what is in a
// variable that may hold a secret, or looks as if there were one in it.
func FuzzParseConfig(f *testing.F) {
	var tags []string
	secretive := map[string]bool{}
	for field := range configFields() {
		if tag := field.Tag.Get("env"); tag != "EGRESS_FILE" { // of which the file would be read
			tags = append(tags, tag)
			secretive[tag] = field.Tag.Get("secret") != ""
		}
	}
	index := func(tag string) uint8 {
		for i, t := range tags {
			if t == tag {
				return uint8(i)
			}
		}
		f.Fatalf("there is no variable %s", tag)
		return 0
	}
	for tag, values := range map[string][]string{
		"PROXY_LISTEN": {":0", "[::1]:0", "127.0.0.1:08080", "[::1%25S3cret]:1"}, "CONSOLE_URL": {"https://gate.example", "http://127.0.0.1:1/x"},
		"OIDC_ROLES": {"admin=a,viewer=*", "root=S3cret"}, "STORE": {"bolt:x.db", "etcd://a,b:2379/jiragate", "etcd://u:S3cret@a/x"}, "STORE_STALENESS": {"5m", "9s"},
		"KEY_URI": {"file:x", "env:X", "aws-kms://arn:aws:kms:us-east-1:123456789012:key/a", "hcvault://u:S3cret@h/transit/keys/k"}, "NODE": {"zone-a", "A"},
		"EGRESS":      {"203.0.113.7=10.0.0.5", "203.0.113.7=socks5://user:S3cret@proxy.example:1080", "203.0.113.7=socks5://user:S3cret@proxy.example:0"},
		"EGRESS_ECHO": {"https://echo.example/?key=S3cret", "http://S3cret"}, "EGRESS_ALLOW_PRIVATE": {"10.0.0.0/8,acme=127.0.0.0/8", "0.0.0.0/0"}, "EGRESS_VERIFY": {"15m"},
		"ATLASSIAN_API_URL": {"https://api.example/", "https://user:S3cret@api.example"}, "OAUTH_REDIRECT_URL": {"https://gate.example/oauth/callback"}, "WEBHOOK_URL": {"https://hook.example/S3cret", "ftp://S3cret"},
		"ATLASSIAN_POINTS": {"65000", "-1"}, "CONNECTION_RATE": {"0.5", "Inf", "NaN", "0x1p-2", "1e400"}, "CLIENT_RATE": {"+Inf", "1e308"}, "MEMORY_LIMIT": {"512MiB", "2147483647GiB"},
		"AUDIT_RETENTION": {"400d", "99999d"}, "AUDIT_CHECKPOINT_TO": {"stdout,store,/worm", "https://witness.example/S3cret", "https://S3cret@x"}, "LOG_LEVEL": {"debug", "x\x1b[31m"}, "POLICY_FILE": {"rules: |\n S3cret"},
	} {
		for _, value := range values {
			f.Add(index(tag), value, "PATH=/bin")
		}
	}
	f.Add(index("REGION"), "us", "JIRAGATE_\x1b[31m=1")
	f.Add(index("REGION"), "us", "jiragate_service_host")
	f.Add(index("REGION"), "us", "OTEL_EXPORTER_OTLP_HEADERS=authorization=S3cret")
	f.Fuzz(func(t *testing.T, which uint8, value, other string) {
		const marker = "S3cretV4lue"
		tag := tags[int(which)%len(tags)]
		value = strings.ReplaceAll(value, "S3cret", marker)
		if strings.HasPrefix(other, envPrefix+"EGRESS_FILE=") {
			return
		}
		environ := []string{envPrefix + tag + "=" + value, other}
		c, err := ParseConfig(environ)
		steers := func(r rune) bool { return r != '\n' && !unicode.IsPrint(r) }
		for _, e := range joined(err) {
			problem, ok := errors.AsType[*ConfigError](e)
			if !ok {
				t.Fatalf("%s=%q: not about a variable: %v", tag, value, e)
			}
			if says := problem.Error() + problem.Hint; strings.ContainsFunc(says, steers) || !strings.HasPrefix(strings.ToUpper(strings.Trim(problem.Variable, `"`)), envPrefix) {
				t.Errorf("%s=%q beside %q: error %q", tag, value, other, says)
			}
		}
		if secretive[tag] || suspicious(value) {
			if err != nil && strings.Contains(err.Error(), marker) {
				t.Errorf("%s=%q: the error repeats it: %v", tag, value, err)
			}
			if shown := fmt.Sprint(settings(c, environ, err)); strings.Contains(value, "@") && strings.Contains(shown, marker) {
				t.Errorf("%s=%q is shown: %s", tag, value, shown)
			}
		}
		for name, rate := range map[string]perSecond{"CLIENT_RATE": c.ClientRate, "CONNECTION_RATE": c.ConnectionRate} {
			if r := float64(rate); err == nil && (r < 0 || math.IsNaN(r) || math.IsInf(r, 0)) {
				t.Errorf("%s=%q is a rate of %v", name, value, r)
			}
		}
	})
}
