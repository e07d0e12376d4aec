package cli

import (
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"maps"
	"net"
	"net/netip"
	"net/url"
	"path/filepath"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"github.com/caarlos0/env/v11"

	"jiragate/gateway"
	"jiragate/gateway/audit"
	"jiragate/gateway/egress"
	"jiragate/gateway/telemetry"
	"jiragate/internal/nearest"
	"jiragate/tokenstore"
)

// envPrefix begins the name of each variable of ours.
const envPrefix = "JIRAGATE_"

// Config is the environment, parsed: the one place where settings come from.
// Make it with [ParseConfig]; below the command line nobody sees it, each part
// gets its own Options.
//
// The tags are the documentation that `serve --help` prints: "type" is what a
// value looks like, "shown" the default where it isn't a fixed text, "meaning"
// what it does. "secret" keeps a value out of errors.
type Config struct {
	DataDir string `env:"DATA_DIR" envDefault:"./data" type:"directory" meaning:"Mode 0700, made at first start; holds store.db, ca.pem, ca-key.pem, keyset.json, audit/, admin.sock and admin-token."`

	ProxyListen   listenAddress `env:"PROXY_LISTEN" envDefault:"127.0.0.1:8080" type:"host:port" meaning:"The proxy listener; port 0 takes a free one. Beyond loopback give it TLS, since client tokens cross the network."`
	ProxyTLSCert  string        `env:"PROXY_TLS_CERT" type:"file" meaning:"Certificate chain (PEM) that makes the proxy listener an HTTPS one; goes with PROXY_TLS_KEY."`
	ProxyTLSKey   string        `env:"PROXY_TLS_KEY" type:"file" meaning:"Private key (PEM) of PROXY_TLS_CERT."`
	ProxyClientCA string        `env:"PROXY_CLIENT_CA" type:"file" meaning:"CA certificates (PEM) of client certificates; turns them on. Needs PROXY_TLS_CERT."`

	AdminListen    listenAddress `env:"ADMIN_LISTEN" envDefault:"127.0.0.1:8081" type:"host:port" meaning:"Admin API, /healthz, /readyz and /metrics. The API needs the admin token, and so does /metrics unless this is a loopback address; requests must name this host, or a loopback one."`
	AdminTokenFile string        `env:"ADMIN_TOKEN_FILE" shown:"admin-token in DATA_DIR" type:"file" meaning:"The bearer token of the admin API, made at first start with mode 0600."`

	KeyURI string `env:"KEY_URI" shown:"file:keyset.json in DATA_DIR" type:"file:PATH or env:NAME" meaning:"Where the master keyset is that seals the store and the CA key. A file is made at first start."`

	Region             tokenstore.Region `env:"REGION" envDefault:"us" type:"us or eu" meaning:"The region that this gateway serves."`
	Egress             []egress.Address  `env:"EGRESS" secret:"true" type:"PUBLIC_IP=LOCAL_IP,..." meaning:"The region's egress addresses. Without any, calls leave by the system's default route and are recorded as unpinned."`
	EgressAllowPrivate []netip.Prefix    `env:"EGRESS_ALLOW_PRIVATE" type:"CIDR,..." meaning:"Networks that a Jira host may be in although they are not public. Loopback only when named here; link-local and metadata addresses never."`

	PolicyFile string             `env:"POLICY_FILE" type:"file" meaning:"Rules (YAML) that narrow the policy; read again on SIGHUP."`
	Delete     gateway.DeleteRule `env:"DELETE" envDefault:"published" type:"published, any or none" meaning:"Which issues may be deleted: those published through this gateway, any, or none."`

	AtlassianAPIURL  httpsURL `env:"ATLASSIAN_API_URL" envDefault:"https://api.atlassian.com" type:"https URL" meaning:"Where Jira Cloud calls go; another one is for simulators and tests."`
	AtlassianAuthURL httpsURL `env:"ATLASSIAN_AUTH_URL" envDefault:"https://auth.atlassian.com" type:"https URL" meaning:"Where access tokens are refreshed, below /oauth/token."`

	OAuthClientID         string      `env:"OAUTH_CLIENT_ID" type:"text" meaning:"Client id of the integration registered with Atlassian; without it, access tokens cannot be refreshed."`
	OAuthClientSecretFile string      `env:"OAUTH_CLIENT_SECRET_FILE" type:"file" meaning:"Holds the client secret of the integration; goes with OAUTH_CLIENT_ID."`
	OAuthRedirectURL      redirectURL `env:"OAUTH_REDIRECT_URL" type:"https URL" meaning:"The redirect URL registered with Atlassian; for the consent flow of a later release."`

	UpstreamCAFile string `env:"UPSTREAM_CA_FILE" shown:"system roots only" type:"file" meaning:"CA certificates (PEM) to trust for Jira besides the system's roots; also per connection, with connection add --upstream-ca-file."`

	AuditSync audit.SyncMode `env:"AUDIT_SYNC" envDefault:"writes" type:"each, writes or batch" meaning:"When a call record must be on disk before the call goes out: for each call, for calls that change something, or in batches."`

	LogLevel  logLevel         `env:"LOG_LEVEL" envDefault:"info" type:"debug, info, warn or error" meaning:"The least severe messages that are logged."`
	LogFormat telemetry.Format `env:"LOG_FORMAT" envDefault:"text" type:"text or json" meaning:"How messages are written to standard error."`
}

// listenAddress is host:port with a numeric port; an empty host means all
// addresses.
type listenAddress string

// httpsURL is an https URL without user info, query or fragment, and without a
// slash at its end.
type httpsURL string

// redirectURL is an https URL, or an http one on this machine.
type redirectURL string

// logLevel is a slog.Level with four names and no arithmetic.
type logLevel slog.Level

// ConfigError is a variable that is unknown or has a value that cannot be
// used, or settings that do not go together.
type ConfigError struct {
	Variable string // with its prefix
	Detail   string // what is wrong and what is allowed; no secrets
	Hint     string
}

func (e *ConfigError) Error() string { return e.Variable + ": " + e.Detail }

// ParseConfig reads the settings from environ, which has the form of
// os.Environ. A variable that is set to nothing counts as not set. The error
// joins one [ConfigError] for each thing that is wrong.
func ParseConfig(environ []string) (Config, error) {
	vars := map[string]string{}
	for _, kv := range environ {
		name, value, _ := strings.Cut(kv, "=")
		vars[name] = value
	}
	var c Config
	var problems []error
	if err := env.ParseWithOptions(&c, env.Options{Environment: vars, Prefix: envPrefix, FuncMap: parsers}); err != nil {
		problems = valueErrors(err, vars)
	}
	problems = append(unknownVariables(vars, c.KeyURI), problems...)
	if len(problems) == 0 {
		problems = c.together()
	}
	return c, errors.Join(problems...)
}

// parsers read the types whose text form is not plain.
var parsers = map[reflect.Type]env.ParserFunc{
	reflect.TypeFor[listenAddress]():      parserOf(parseListenAddress),
	reflect.TypeFor[httpsURL]():           parserOf(parseHTTPSURL),
	reflect.TypeFor[redirectURL]():        parserOf(parseRedirectURL),
	reflect.TypeFor[telemetry.Format]():   formOf(telemetry.ParseFormat),
	reflect.TypeFor[logLevel]():           parserOf(parseLogLevel),
	reflect.TypeFor[tokenstore.Region]():  parserOf(parseRegion),
	reflect.TypeFor[[]egress.Address]():   parserOf(egress.ParseAddresses),
	reflect.TypeFor[[]netip.Prefix]():     parserOf(egress.ParseAllowPrivate),
	reflect.TypeFor[gateway.DeleteRule](): formOf(gateway.ParseDeleteRule),
	reflect.TypeFor[audit.SyncMode]():     formOf(audit.ParseSyncMode),
}

func parserOf[T any](parse func(string) (T, error)) env.ParserFunc {
	return func(s string) (any, error) { return parse(s) }
}

// formOf is parserOf for a parser whose error says no more than the "type" tag.
func formOf[T any](parse func(string) (T, error)) env.ParserFunc {
	return func(s string) (any, error) {
		v, err := parse(s)
		if err != nil {
			return nil, errForm
		}
		return v, nil
	}
}

// Where Jira Cloud is; the "envDefault" tags say the same.
const (
	defaultAPIURL  httpsURL = "https://api.atlassian.com"
	defaultAuthURL httpsURL = "https://auth.atlassian.com"
)

// errForm is wrong with a value to which the "type" tag says all there is.
var errForm = errors.New("")

func parseListenAddress(s string) (listenAddress, error) {
	host, port, err := net.SplitHostPort(s)
	if err != nil {
		return "", errForm
	}
	if n, err := strconv.ParseUint(port, 10, 16); err != nil || strconv.FormatUint(n, 10) != port {
		return "", errors.New("the port must be a number from 0 to 65535")
	}
	if strings.ContainsFunc(host, func(r rune) bool { return r <= ' ' || r > '~' || r == '/' }) {
		return "", errors.New("the host must be a name or an address")
	}
	return listenAddress(s), nil
}

func parseHTTPSURL(s string) (httpsURL, error) {
	u, err := url.Parse(s)
	switch {
	case err != nil, u.Scheme != "https", u.Host == "":
		return "", errForm
	case u.User != nil, u.RawQuery != "", u.ForceQuery, u.Fragment != "", strings.Contains(s, "#"):
		return "", errors.New("it can have no user info, query or fragment")
	}
	return httpsURL(strings.TrimRight(s, "/")), nil
}

func parseRedirectURL(s string) (redirectURL, error) {
	u, err := url.Parse(s)
	if err != nil || u.Host == "" || u.User != nil || u.Fragment != "" {
		return "", errForm
	}
	addr, _ := netip.ParseAddr(u.Hostname())
	local := addr.IsLoopback() || u.Hostname() == "localhost"
	if u.Scheme != "https" && (u.Scheme != "http" || !local) {
		return "", errForm
	}
	return redirectURL(s), nil
}

func parseLogLevel(s string) (logLevel, error) {
	switch s {
	case "debug":
		return logLevel(slog.LevelDebug), nil
	case "info":
		return logLevel(slog.LevelInfo), nil
	case "warn":
		return logLevel(slog.LevelWarn), nil
	case "error":
		return logLevel(slog.LevelError), nil
	}
	return 0, errForm
}

func parseRegion(s string) (tokenstore.Region, error) {
	switch r := tokenstore.Region(s); r {
	case tokenstore.RegionUS, tokenstore.RegionEU:
		return r, nil
	}
	return "", errForm
}

// valueErrors turns what env reports, which names the fields of our struct,
// into words about the variables.
func valueErrors(err error, vars map[string]string) []error {
	all := []error{err}
	if agg, ok := errors.AsType[env.AggregateError](err); ok {
		all = agg.Errors
	}
	var problems []error
	for _, err := range all {
		parse, ok := errors.AsType[env.ParseError](err)
		field, found := reflect.TypeFor[Config]().FieldByName(parse.Name)
		if !ok || !found {
			problems = append(problems, err)
			continue
		}
		name := variableOf(field)
		detail := fmt.Sprintf("%q is not allowed", vars[name])
		if field.Tag.Get("secret") != "" {
			detail = "the value is not allowed"
		}
		if cause := parse.Err.Error(); cause != "" {
			detail += ": " + cause
		}
		problems = append(problems, &ConfigError{Variable: name, Detail: detail + "; use " + field.Tag.Get("type")})
	}
	return problems
}

// together checks what no variable can tell alone.
func (c *Config) together() []error {
	var problems []error
	refuse := func(name, detail string) {
		problems = append(problems, &ConfigError{Variable: envPrefix + name, Detail: detail})
	}
	switch {
	case c.ProxyTLSCert != "" && c.ProxyTLSKey == "":
		refuse("PROXY_TLS_CERT", "needs JIRAGATE_PROXY_TLS_KEY as well")
	case c.ProxyTLSKey != "" && c.ProxyTLSCert == "":
		refuse("PROXY_TLS_KEY", "needs JIRAGATE_PROXY_TLS_CERT as well")
	case c.ProxyClientCA != "" && c.ProxyTLSCert == "":
		refuse("PROXY_CLIENT_CA", "client certificates need JIRAGATE_PROXY_TLS_CERT and JIRAGATE_PROXY_TLS_KEY")
	}
	switch {
	case c.OAuthClientID != "" && c.OAuthClientSecretFile == "":
		refuse("OAUTH_CLIENT_ID", "needs JIRAGATE_OAUTH_CLIENT_SECRET_FILE as well")
	case c.OAuthClientSecretFile != "" && c.OAuthClientID == "":
		refuse("OAUTH_CLIENT_SECRET_FILE", "needs JIRAGATE_OAUTH_CLIENT_ID as well")
	}
	return problems
}

// unknownVariables refuses each variable that begins like ours, in whatever
// case, and is none: a misspelt protection must not be silently off.
func unknownVariables(vars map[string]string, keyURI string) []error {
	known := variables()
	keysetVariable, _ := strings.CutPrefix(keyURI, "env:")
	var problems []error
	for _, name := range slices.Sorted(maps.Keys(vars)) {
		if !strings.HasPrefix(strings.ToUpper(name), envPrefix) || slices.Contains(known, name) || name == keysetVariable {
			continue
		}
		e := &ConfigError{Variable: name, Detail: "no such variable; the nearest known one is " + nearest.To(strings.ToUpper(name), known)}
		if strings.Contains(name, "_SERVICE_") || strings.Contains(name, "_PORT") {
			e.Hint = "if Kubernetes set it for a Service of that name, give the pod enableServiceLinks: false"
		}
		problems = append(problems, e)
	}
	return problems
}

// variables are the names of all variables, in the order of the struct.
func variables() []string {
	var names []string
	for field := range configFields() {
		names = append(names, variableOf(field))
	}
	return names
}

func configFields() iter.Seq[reflect.StructField] {
	return func(yield func(reflect.StructField) bool) {
		t := reflect.TypeFor[Config]()
		for i := range t.NumField() {
			if !yield(t.Field(i)) {
				return
			}
		}
	}
}

func variableOf(f reflect.StructField) string { return envPrefix + f.Tag.Get("env") }

// file is a file of the data directory.
func (c *Config) file(name string) string { return filepath.Join(c.DataDir, name) }

func (c *Config) storeFile() string { return c.file("store.db") }
func (c *Config) auditDir() string  { return c.file("audit") }

func (c *Config) adminTokenFile() string {
	if c.AdminTokenFile != "" {
		return c.AdminTokenFile
	}
	return c.file("admin-token")
}

func (c *Config) keyURI() string {
	if c.KeyURI != "" {
		return c.KeyURI
	}
	return "file:" + c.file("keyset.json")
}

func (c *Config) caFile() string { return c.file("ca.pem") }
