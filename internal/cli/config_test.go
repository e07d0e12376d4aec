package cli

import (
	"reflect"
	"strings"
	"testing"

	"jiragate/gateway"
)

func TestDefaults(t *testing.T) {
	c, err := ParseConfig([]string{"PATH=/bin", "OTEL_SERVICE_NAME=x", "JIRAGATE_REGION="})
	if err != nil {
		t.Fatal(err)
	}
	if c.DataDir != "./data" || c.ProxyListen != "127.0.0.1:8080" || c.AdminListen != "127.0.0.1:8081" || c.Region != "us" ||
		c.Delete != gateway.DeletePublished || c.AuditSync != "writes" || len(c.Egress) != 0 {
		t.Errorf("defaults: %+v", c)
	}
	if c.AtlassianAPIURL != defaultAPIURL || c.AtlassianAuthURL != defaultAuthURL {
		t.Errorf("Atlassian is at %s and %s by the tags", c.AtlassianAPIURL, c.AtlassianAuthURL)
	}
	if c.keyURI() != "file:data/keyset.json" || c.adminTokenFile() != "data/admin-token" {
		t.Errorf("in the data directory: %s, %s", c.keyURI(), c.adminTokenFile())
	}
}

func TestConfigErrors(t *testing.T) {
	for _, tt := range []struct {
		name, set string
		want      []string // in the error
	}{
		{"misspelt", "JIRAGATE_EGRES=1.2.3.4", []string{"JIRAGATE_EGRES:", "nearest known one is JIRAGATE_EGRESS"}},
		{"protection misspelt", "JIRAGATE_DELET=none", []string{"JIRAGATE_DELETE"}},
		{"lower case", "jiragate_delete=none", []string{"jiragate_delete", "nearest known one is JIRAGATE_DELETE"}},
		{"empty and unknown", "JIRAGATE_NOTHING=", []string{"JIRAGATE_NOTHING"}},
		{"prefix alone", "JIRAGATE_=x", []string{"no such variable"}},
		{"region", "JIRAGATE_REGION=mars", []string{"JIRAGATE_REGION", `"mars"`, "us or eu"}},
		{"region in capitals", "JIRAGATE_REGION=US", []string{"JIRAGATE_REGION", "us or eu"}},
		{"node in capitals", "JIRAGATE_NODE=Zone-A", []string{"JIRAGATE_NODE", `"Zone-A"`, "lower-case letters, digits, hyphens and dots"}},
		{"node with a slash", "JIRAGATE_NODE=us/a", []string{"JIRAGATE_NODE"}},
		{"node that ends in a dot", "JIRAGATE_NODE=a.", []string{"JIRAGATE_NODE", "begin and end with a letter or digit"}},
		{"node too long", "JIRAGATE_NODE=" + strings.Repeat("a", 64), []string{"JIRAGATE_NODE", "at most 63"}},
		{"delete rule", "JIRAGATE_DELETE=nothing", []string{"JIRAGATE_DELETE", `"nothing"`, "published, any or none"}},
		{"identifiers", "JIRAGATE_AUDIT_IDENTIFIERS=pseudonymize", []string{"JIRAGATE_AUDIT_IDENTIFIERS", "keep, pseudonymise or drop"}},
		{"client addresses", "JIRAGATE_AUDIT_CLIENT_ADDR=hash", []string{"JIRAGATE_AUDIT_CLIENT_ADDR", "keep, pseudonymise or drop"}},
		{"audit sync", "JIRAGATE_AUDIT_SYNC=off", []string{"JIRAGATE_AUDIT_SYNC", "each, writes or batch"}},
		{"segment too small", "JIRAGATE_AUDIT_SEGMENT_SIZE=4096", []string{"JIRAGATE_AUDIT_SEGMENT_SIZE", "from 1MiB to 1GiB"}},
		{"segment size that overflows", "JIRAGATE_AUDIT_SEGMENT_SIZE=2147483647GiB", []string{"JIRAGATE_AUDIT_SEGMENT_SIZE"}},
		{"segment size in megabytes", "JIRAGATE_AUDIT_SEGMENT_SIZE=64MB", []string{"size, as 64MiB"}},
		{"too little memory", "JIRAGATE_MEMORY_LIMIT=10MiB", []string{"JIRAGATE_MEMORY_LIMIT", "from 64MiB to 1TiB"}},
		{"memory that overflows", "JIRAGATE_MEMORY_LIMIT=2147483647GiB", []string{"JIRAGATE_MEMORY_LIMIT"}},
		{"negative rate", "JIRAGATE_CLIENT_RATE=-1", []string{"JIRAGATE_CLIENT_RATE", "number"}},
		{"endless rate", "JIRAGATE_CLIENT_RATE=Inf", []string{"JIRAGATE_CLIENT_RATE", "number"}},
		{"name that steers a terminal", "JIRAGATE_\x1b[31m=1", []string{`"JIRAGATE_\x1b[31m": no such variable`}},
		{"half a call", "JIRAGATE_CLIENT_CONCURRENCY=0.5", []string{"JIRAGATE_CLIENT_CONCURRENCY", "number"}},
		{"retention of nothing", "JIRAGATE_AUDIT_RETENTION=0d", []string{"JIRAGATE_AUDIT_RETENTION", "at least 1d"}},
		{"retention in hours", "JIRAGATE_AUDIT_RETENTION=24h", []string{"days, as 400d"}},
		{"place over http", "JIRAGATE_AUDIT_CHECKPOINT_TO=http://witness.example/x", []string{"JIRAGATE_AUDIT_CHECKPOINT_TO", "https"}},
		{"relative place", "JIRAGATE_AUDIT_CHECKPOINT_TO=worm", []string{"JIRAGATE_AUDIT_CHECKPOINT_TO"}},
		{"too often", "JIRAGATE_AUDIT_CHECKPOINT_EVERY=10ms", []string{"JIRAGATE_AUDIT_CHECKPOINT_EVERY", "from 1s to 24h"}},
		{"token for no place", "JIRAGATE_AUDIT_CHECKPOINT_TOKEN_FILE=f", []string{"exactly one https URL"}},
		{"port too large", "JIRAGATE_PROXY_LISTEN=127.0.0.1:65536", []string{"JIRAGATE_PROXY_LISTEN", "0 to 65535"}},
		{"port by name", "JIRAGATE_PROXY_LISTEN=127.0.0.1:http", []string{"0 to 65535"}},
		{"port with a zero before", "JIRAGATE_PROXY_LISTEN=127.0.0.1:08080", []string{"0 to 65535"}},
		{"no port", "JIRAGATE_ADMIN_LISTEN=127.0.0.1", []string{"JIRAGATE_ADMIN_LISTEN", "host:port"}},
		{"URL in place of an address", "JIRAGATE_ADMIN_LISTEN=http://127.0.0.1:80", []string{"JIRAGATE_ADMIN_LISTEN", "host:port"}},
		{"plain http", "JIRAGATE_ATLASSIAN_API_URL=http://127.0.0.1:1", []string{"JIRAGATE_ATLASSIAN_API_URL", "https URL"}},
		{"user info", "JIRAGATE_ATLASSIAN_AUTH_URL=https://u@h", []string{"JIRAGATE_ATLASSIAN_AUTH_URL", "no user info"}},
		{"query", "JIRAGATE_ATLASSIAN_API_URL=https://h/?x", []string{"query"}},
		{"log level", "JIRAGATE_LOG_LEVEL=INFO+2", []string{"JIRAGATE_LOG_LEVEL", "debug, info, warn or error"}},
		{"private network", "JIRAGATE_EGRESS_ALLOW_PRIVATE=0.0.0.0/0", []string{"JIRAGATE_EGRESS_ALLOW_PRIVATE", "0.0.0.0/0"}},
		{"egress", "JIRAGATE_EGRESS=1.2.3", []string{"JIRAGATE_EGRESS", "PUBLIC_IP=LOCAL_IP"}},
		{"certificate without key", "JIRAGATE_PROXY_TLS_CERT=c", []string{"JIRAGATE_PROXY_TLS_KEY"}},
		{"key without certificate", "JIRAGATE_PROXY_TLS_KEY=k", []string{"JIRAGATE_PROXY_TLS_CERT"}},
		{"client CA without TLS", "JIRAGATE_PROXY_CLIENT_CA=c", []string{"JIRAGATE_PROXY_TLS_CERT"}},
		{"client id alone", "JIRAGATE_OAUTH_CLIENT_ID=c", []string{"JIRAGATE_OAUTH_CLIENT_SECRET_FILE"}},
		{"redirect elsewhere over http", "JIRAGATE_OAUTH_REDIRECT_URL=http://gate.example/callback", []string{"JIRAGATE_OAUTH_REDIRECT_URL"}},
		{"redirect to another path", "JIRAGATE_OAUTH_REDIRECT_URL=https://gate.example/callback", []string{"JIRAGATE_OAUTH_REDIRECT_URL", "/oauth/callback"}},
		{"redirect with a query", "JIRAGATE_OAUTH_REDIRECT_URL=https://gate.example/oauth/callback?x=1", []string{"/oauth/callback"}},
		{"webhook over http", "JIRAGATE_WEBHOOK_URL=http://product.example/hook", []string{"JIRAGATE_WEBHOOK_URL", "https URL"}},
		{"webhook without a secret", "JIRAGATE_WEBHOOK_URL=https://product.example/hook", []string{"JIRAGATE_WEBHOOK_SECRET_FILE"}},
		{"secret without a webhook", "JIRAGATE_WEBHOOK_SECRET_FILE=f", []string{"JIRAGATE_WEBHOOK_URL"}},
		{"keyset in place of its name", "JIRAGATE_KEYSET={}", []string{"JIRAGATE_KEYSET"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := ParseConfig([]string{tt.set})
			if err == nil {
				t.Fatalf("%s was taken", tt.set)
			}
			for _, want := range tt.want {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("error %q does not say %q", err, want)
				}
			}
		})
	}
}

func TestConfigErrorsTellNoPassword(t *testing.T) {
	_, err := ParseConfig([]string{"JIRAGATE_EGRESS=203.0.113.7=socks5://user:S3cret@proxy.example:0"})
	if err == nil || strings.Contains(err.Error(), "S3cret") || !strings.Contains(err.Error(), "JIRAGATE_EGRESS") {
		t.Errorf("error: %v", err)
	}
}

// Secrets end up in the wrong variables.
func TestConfigErrorsTellNoPasswordOfAnotherVariable(t *testing.T) {
	const entry = "52.54.159.237=https://user:S3cret@proxy.example:9294"
	for _, set := range []string{
		"JIRAGATE_EGRESS_FILE=" + entry, "JIRAGATE_EGRESS_ALLOW_PRIVATE=" + entry, "JIRAGATE_REGION=" + entry,
		"JIRAGATE_EGRESS_ECHO=https://echo.example/?key=S3cret,http://x", "JIRAGATE_WEBHOOK_URL=https://user:S3cret@product.example/",
		"JIRAGATE_ATLASSIAN_API_URL=https://user:S3cret@api.example", "JIRAGATE_EGRESS_VERIFY=" + entry,
	} {
		name, _, _ := strings.Cut(set, "=")
		_, err := ParseConfig([]string{set})
		if err == nil || strings.Contains(err.Error(), "S3cret") || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestEachConfigErrorIsTold(t *testing.T) {
	_, err := ParseConfig([]string{"JIRAGATE_REGION=mars", "JIRAGATE_DELETE=x", "JIRAGATE_FOO=1"})
	for _, name := range []string{"JIRAGATE_REGION", "JIRAGATE_DELETE", "JIRAGATE_FOO"} {
		if err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%q does not name %s", err, name)
		}
	}
}

func TestValuesThatAreTaken(t *testing.T) {
	c, err := ParseConfig([]string{
		"JIRAGATE_EGRESS=203.0.113.7=10.0.0.5,203.0.113.8=10.0.0.6",
		"JIRAGATE_EGRESS_ALLOW_PRIVATE=10.20.0.0/16,127.0.0.0/8",
		"JIRAGATE_ATLASSIAN_API_URL=https://127.0.0.1:9/",
		"JIRAGATE_OAUTH_REDIRECT_URL=http://127.0.0.1:8081/oauth/callback",
		"JIRAGATE_WEBHOOK_URL=http://127.0.0.1:9/hook?for=jira", "JIRAGATE_WEBHOOK_SECRET_FILE=f",
		"JIRAGATE_PROXY_LISTEN=:0", "JIRAGATE_ADMIN_LISTEN=[::1]:0",
		"JIRAGATE_LOG_FORMAT=json", "JIRAGATE_LOG_LEVEL=debug",
		// The name of a variable that holds the keyset may begin like ours.
		"JIRAGATE_KEY_URI=env:JIRAGATE_KEYSET", "JIRAGATE_KEYSET={}",
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(c.Egress) != 2 || len(c.EgressAllowPrivate) != 2 || c.AtlassianAPIURL != "https://127.0.0.1:9" {
		t.Errorf("%+v", c)
	}
}

// A Service named jiragate gives each pod of its namespace such variables.
func TestKubernetesServiceLinksAreExplained(t *testing.T) {
	_, err := ParseConfig([]string{"JIRAGATE_SERVICE_HOST=10.0.0.1"})
	e, ok := err.(interface{ Unwrap() []error }).Unwrap()[0].(*ConfigError)
	if !ok || !strings.Contains(e.Hint, "enableServiceLinks") {
		t.Errorf("hint: %v", err)
	}
}

func TestEachVariableIsDocumented(t *testing.T) {
	help := environmentHelp()
	seen := map[string]bool{}
	for f := range configFields() {
		name := variableOf(f)
		if seen[name] || f.Tag.Get("env") == "" || f.Tag.Get("type") == "" || f.Tag.Get("meaning") == "" {
			t.Errorf("field %s: its tags name no new variable, or miss type or meaning", f.Name)
		}
		seen[name] = true
		if !strings.Contains(help, "  "+name+"\n") {
			t.Errorf("the help does not list %s", name)
		}
	}
	for line := range strings.Lines(help) {
		if len(strings.TrimRight(line, "\n")) > helpWidth {
			t.Errorf("longer than %d columns: %s", helpWidth, line)
		}
	}
	// The variables that the design promises.
	for _, name := range strings.Fields(`DATA_DIR PROXY_LISTEN PROXY_TLS_CERT PROXY_TLS_KEY PROXY_CLIENT_CA ADMIN_LISTEN
		ADMIN_TOKEN_FILE KEY_URI REGION NODE EGRESS EGRESS_ALLOW_PRIVATE POLICY_FILE DELETE ATLASSIAN_API_URL ATLASSIAN_AUTH_URL
		OAUTH_CLIENT_ID OAUTH_CLIENT_SECRET_FILE OAUTH_REDIRECT_URL WEBHOOK_URL WEBHOOK_SECRET_FILE UPSTREAM_CA_FILE AUDIT_SYNC AUDIT_IDENTIFIERS AUDIT_CLIENT_ADDR`) {
		if !seen[envPrefix+name] {
			t.Errorf("there is no %s", envPrefix+name)
		}
	}
}

// Each type of a field must be one that is parsed as a whole: env would read
// the fields of a struct as variables of their own.
func TestParsersCoverTheFields(t *testing.T) {
	for f := range configFields() {
		if _, parsed := parsers[f.Type]; !parsed && f.Type != reflect.TypeFor[string]() {
			t.Errorf("%s has type %s, which has no parser", f.Name, f.Type)
		}
	}
}
