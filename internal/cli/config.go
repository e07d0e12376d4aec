package cli

import (
	"cmp"
	"errors"
	"fmt"
	"iter"
	"maps"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/caarlos0/env/v11"

	"jiragate/gateway"
	"jiragate/gateway/audit"
	"jiragate/gateway/audit/offsite"
	"jiragate/gateway/audit/privacy"
	"jiragate/gateway/egress"
	"jiragate/gateway/pace"
	"jiragate/gateway/telemetry"
	"jiragate/internal/nearest"
	"jiragate/internal/privatefile"
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
// what it does. "secret" keeps a value out of errors and lists. "holds" says of a file
// what rule of package privatefile it is under: secret, or trusted.
type Config struct {
	DataDir string `env:"DATA_DIR" envDefault:"./data" type:"directory" meaning:"Mode 0700, made at first start; holds store.db, ca.pem, ca-key.pem, keyset.json, audit/, admin.sock and admin-token."`

	ProxyListen   listenAddress `env:"PROXY_LISTEN" envDefault:"127.0.0.1:8080" type:"host:port" meaning:"The proxy listener; port 0 takes a free one. Beyond loopback give it TLS, since client tokens cross the network."`
	ProxyTLSCert  string        `env:"PROXY_TLS_CERT" type:"file" holds:"trusted" meaning:"Certificate chain (PEM) that makes the proxy listener an HTTPS one; goes with PROXY_TLS_KEY."`
	ProxyTLSKey   string        `env:"PROXY_TLS_KEY" type:"file" holds:"secret" meaning:"Private key (PEM) of PROXY_TLS_CERT."`
	ProxyClientCA string        `env:"PROXY_CLIENT_CA" type:"file" holds:"trusted" meaning:"CA certificates (PEM) of client certificates; turns them on. Needs PROXY_TLS_CERT."`

	AdminListen    listenAddress `env:"ADMIN_LISTEN" envDefault:"127.0.0.1:8081" type:"host:port" meaning:"Console, admin API, /healthz, /readyz and /metrics. The API needs the admin token, and /metrics that or the one in METRICS_TOKEN_FILE unless this is a loopback address; requests must name this host, that of CONSOLE_URL, or a loopback one."`
	AdminTLSCert   string        `env:"ADMIN_TLS_CERT" type:"file" holds:"trusted" meaning:"Certificate chain (PEM) that makes the admin listener an https one; goes with ADMIN_TLS_KEY. Beyond loopback it needs that, or a proxy in front that does it."`
	AdminTLSKey    string        `env:"ADMIN_TLS_KEY" type:"file" holds:"secret" meaning:"Private key (PEM) of ADMIN_TLS_CERT."`
	AdminTokenFile string        `env:"ADMIN_TOKEN_FILE" shown:"admin-token in DATA_DIR" type:"file" holds:"secret" meaning:"The bearer token of the admin API, made at first start with mode 0600."`

	MetricsTokenFile string `env:"METRICS_TOKEN_FILE" shown:"the admin token only" type:"file" holds:"secret" meaning:"A bearer token that lets /metrics be read and nothing else, for what scrapes it; made at start with mode 0600 where there is none."`

	ConsoleURL        originURL     `env:"CONSOLE_URL" shown:"ADMIN_LISTEN" type:"https URL" meaning:"From where browsers reach the console, without a path: https://HOST[:PORT]; http on this machine only."`
	ConsoleAdminToken onOff         `env:"CONSOLE_ADMIN_TOKEN" envDefault:"on" type:"on or off" meaning:"Whether the admin token signs in to the console, too, with the role admin."`
	OIDCIssuer        issuerURL     `env:"OIDC_ISSUER" type:"https URL" meaning:"The OpenID provider that people sign in to the console with; goes with CONSOLE_URL, OIDC_CLIENT_ID and OIDC_ROLES; called by the system's route. The redirect URL to register there is CONSOLE_URL with /console/signin/callback."`
	OIDCClientID      string        `env:"OIDC_CLIENT_ID" type:"text" meaning:"Client id of the console at the OpenID provider; goes with OIDC_ISSUER."`
	OIDCSecretFile    string        `env:"OIDC_CLIENT_SECRET_FILE" type:"file" holds:"secret" meaning:"Holds the client secret of the console; none for a public client."`
	OIDCRolesClaim    string        `env:"OIDC_ROLES_CLAIM" envDefault:"roles" type:"name" meaning:"The claim of the ID token that says what somebody is: a text or a list; with dots if it is inside of others, as realm_access.roles."`
	OIDCRoles         consoleRoles  `env:"OIDC_ROLES" type:"ROLE=VALUE,..." meaning:"Which values of that claim give which role: viewer, compliance or admin, as admin=jira-admins,compliance=auditors. VALUE * is everybody who signs in. Goes with OIDC_ISSUER."`
	OIDCCAFile        string        `env:"OIDC_CA_FILE" shown:"system roots only" type:"file" holds:"trusted" meaning:"CA certificates (PEM) to trust for the OpenID provider besides the system's roots."`
	PublicListen      listenAddress `env:"PUBLIC_LISTEN" shown:"ADMIN_LISTEN, below /public/" type:"host:port" meaning:"A listener for the public pages alone, which customers' security teams read; it can be exposed to the world."`
	PublicTLSCert     string        `env:"PUBLIC_TLS_CERT" type:"file" holds:"trusted" meaning:"Certificate chain (PEM) that makes that listener an https one; goes with PUBLIC_TLS_KEY."`
	PublicTLSKey      string        `env:"PUBLIC_TLS_KEY" type:"file" holds:"secret" meaning:"Private key (PEM) of PUBLIC_TLS_CERT."`
	PublicURL         httpsURL      `env:"PUBLIC_URL" shown:"that of the listener" type:"https URL" meaning:"From where customers reach the public pages; the console links to it."`

	KeyURI string `env:"KEY_URI" shown:"file:keyset.json in DATA_DIR" type:"key URI" meaning:"Where the master keyset is that seals the store and the CA key: file:PATH, made at first start; env:NAME; or aws-kms://ARN, gcp-kms://NAME or hcvault://HOST/PATH, a key under which keyset.json in DATA_DIR is encrypted."`

	Store             storeAddress `env:"STORE" shown:"bolt:store.db in DATA_DIR" type:"bolt:PATH or etcd://HOST,.../PREFIX" meaning:"Where connections, clients and credentials are: in a file of this machine, or in an etcd cluster that several gateways share, which is reached by TLS, at port 2379 unless HOST:PORT says another one. All gateways of one store have the same keyset."`
	StoreCAFile       string       `env:"STORE_CA_FILE" shown:"the system's roots" type:"file" holds:"trusted" meaning:"CA certificates (PEM) to trust for etcd, instead of the system's roots; for store migrate, too."`
	StoreTLSCert      string       `env:"STORE_TLS_CERT" type:"file" holds:"trusted" meaning:"Client certificate chain (PEM) for etcd; goes with STORE_TLS_KEY; for store migrate, too."`
	StoreTLSKey       string       `env:"STORE_TLS_KEY" type:"file" holds:"secret" meaning:"Private key (PEM) of STORE_TLS_CERT."`
	StoreUser         string       `env:"STORE_USER" type:"text" meaning:"User of etcd's authentication, whose role may read and write all keys below PREFIX; goes with STORE_PASSWORD_FILE; for store migrate, too."`
	StorePasswordFile string       `env:"STORE_PASSWORD_FILE" type:"file" holds:"secret" meaning:"Holds the password of STORE_USER."`
	StoreStaleness    staleness    `env:"STORE_STALENESS" envDefault:"5m" type:"duration, as 5m" meaning:"How long calls go on with what is known of the store when etcd is away; then they are refused. Nothing is refreshed or changed meanwhile. It is also the longest that a gateway which is cut off goes on with a grant that was revoked. From 10s to 24h."`

	Region             tokenstore.Region       `env:"REGION" envDefault:"us" type:"us or eu" meaning:"The region that this gateway serves."`
	Node               nodeName                `env:"NODE" type:"name" meaning:"The name of this gateway among several: lower-case letters, digits, hyphens and dots, at most 63. Its audit log is named by it from the next checkpoint on, for good, and so is its telemetry (service.instance.id)."`
	Egress             []egress.Address        `env:"EGRESS" secret:"true" type:"PUBLIC_IP=LOCAL_IP|PROXY_URL,..." meaning:"The region's egress addresses: each a local address that sockets are bound to, or a static-IP provider's proxy as http, https or socks5://USER:PASSWORD@HOST:PORT. Without any, calls leave by the system's default route and are recorded as unpinned."`
	EgressFile         string                  `env:"EGRESS_FILE" type:"file" holds:"trusted" meaning:"Holds what EGRESS would, one entry a line or separated by commas, so that the passwords of proxies are not in the environment; instead of EGRESS."`
	EgressEcho         echoServices            `env:"EGRESS_ECHO" secret:"true" shown:"checkip.amazonaws.com and api.ipify.org" type:"https URL,..." meaning:"Echo services, which tell from which address they were called: asked by egress verify and EGRESS_VERIFY, through each egress address."`
	EgressVerify       interval                `env:"EGRESS_VERIFY" type:"duration, as 15m" meaning:"How often, and at start, it is verified that calls leave from the published addresses. /readyz fails while an address in use differs. From 1m to 24h."`
	EgressAllowPrivate []egress.PrivateNetwork `env:"EGRESS_ALLOW_PRIVATE" type:"[CONNECTION=]CIDR,..." meaning:"Networks that a Jira host may be in although they are not public, that of one connection or of any. Loopback only when named here; link-local and metadata addresses never."`

	PolicyFile string             `env:"POLICY_FILE" type:"file" holds:"trusted" meaning:"Rules (YAML) that narrow the policy; read again by jiragate reload and on SIGHUP."`
	Delete     gateway.DeleteRule `env:"DELETE" envDefault:"published" type:"published, any or none" meaning:"Which issues may be deleted: those published through this gateway, any, or none."`

	AtlassianAPIURL  httpsURL `env:"ATLASSIAN_API_URL" envDefault:"https://api.atlassian.com" type:"https URL" meaning:"Where Jira Cloud calls go; another one is for simulators and tests."`
	AtlassianAuthURL httpsURL `env:"ATLASSIAN_AUTH_URL" envDefault:"https://auth.atlassian.com" type:"https URL" meaning:"Where administrators consent and access tokens are refreshed, below /authorize and /oauth/token."`

	OAuthClientID         string      `env:"OAUTH_CLIENT_ID" type:"text" meaning:"Client id of the integration registered with Atlassian; without it, nobody can consent and access tokens cannot be refreshed."`
	OAuthClientSecretFile string      `env:"OAUTH_CLIENT_SECRET_FILE" type:"file" holds:"secret" meaning:"Holds the client secret of the integration; goes with OAUTH_CLIENT_ID."`
	OAuthRedirectURL      redirectURL `env:"OAUTH_REDIRECT_URL" type:"https URL" meaning:"The redirect URL registered with Atlassian, and with each Data Center: https://HOST[/PATH]/oauth/callback, from where browsers reach /oauth/ of ADMIN_LISTEN. Links to the consent begin with it; http on this machine only."`

	WebhookURL        webhookURL `env:"WEBHOOK_URL" secret:"true" type:"https URL" meaning:"Where the state of a connection is told when it changes, signed as Standard Webhooks; http on this machine only. It is called by the system's route, not from an egress address."`
	WebhookSecretFile string     `env:"WEBHOOK_SECRET_FILE" type:"file" holds:"secret" meaning:"Holds the secret (whsec_...) that webhooks are signed with; goes with WEBHOOK_URL."`

	UpstreamCAFile string `env:"UPSTREAM_CA_FILE" shown:"system roots only" type:"file" holds:"trusted" meaning:"CA certificates (PEM) to trust for Jira, for proxies of EGRESS and for echo services besides the system's roots; for Jira also per connection, with connection add --upstream-ca-file."`

	AtlassianPoints       pointBudget `env:"ATLASSIAN_POINTS" shown:"65000 at Atlassian's own ATLASSIAN_API_URL, 0 elsewhere" type:"number" meaning:"The points an hour that Atlassian gives the app, which all Cloud connections share fairly; several gateways of one app divide them among themselves. 0 is no budget."`
	ConnectionConcurrency count       `env:"CONNECTION_CONCURRENCY" envDefault:"64" type:"number" meaning:"How many calls of one connection may be at its Jira at a time; more wait. 0 is any number."`
	ConnectionRate        perSecond   `env:"CONNECTION_RATE" envDefault:"0" type:"number" meaning:"How many requests a second one connection may make, fractions too; more are refused with 429. 0 is any number."`

	ClientConcurrency count      `env:"CLIENT_CONCURRENCY" envDefault:"0" type:"number" meaning:"How many calls of one client may be under way at a time; a few more wait for 5s. 0 is its fair share: at most half of all, so that there is room for the others."`
	ClientRate        perSecond  `env:"CLIENT_RATE" envDefault:"0" type:"number" meaning:"How many calls a second one client may make, fractions too; more are refused with 429. 0 is any number."`
	MemoryLimit       memorySize `env:"MEMORY_LIMIT" shown:"GOMEMLIMIT, or nine tenths of the cgroup's limit" type:"size, as 512MiB" meaning:"How much memory the gateway tries to stay below; close to it, new calls and tunnels are refused with 503. From 64MiB to 1TiB."`
	MemoryLock        onOff      `env:"MEMORY_LOCK" envDefault:"off" type:"on or off" meaning:"Whether serve locks its memory, so that no secret gets into swap; on Linux, and only where RLIMIT_MEMLOCK is unlimited or it has CAP_IPC_LOCK: otherwise it does not start. Not needed where nothing is swapped out, as with MemorySwapMax=0."`

	AuditSync           audit.SyncMode     `env:"AUDIT_SYNC" envDefault:"writes" type:"each, writes or batch" meaning:"When a call record must be on disk before the call goes out: for each call, for calls that change something, or in batches."`
	AuditSegmentSize    byteSize           `env:"AUDIT_SEGMENT_SIZE" envDefault:"64MiB" type:"size, as 64MiB" meaning:"When a file of the audit log is followed by the next before its hour is over. Closed files are compressed. From 1MiB to 1GiB."`
	AuditRetention      retention          `env:"AUDIT_RETENTION" shown:"kept for ever" type:"days, as 400d" meaning:"How long call records are kept: then whole files are removed, and what is left can still be verified. At least 1d."`
	CheckpointTo        []offsite.Place    `env:"AUDIT_CHECKPOINT_TO" secret:"true" type:"directory, stdout, store or https URL, ..." meaning:"Places that get the signed checkpoints of the audit log, so that nobody here can rewrite the past unseen: directories, on write-once storage for instance; standard output; the store that gateways share, where the checkpoints of all nodes are; endpoints that take them by POST, by the system's route."`
	CheckpointEvery     checkpointInterval `env:"AUDIT_CHECKPOINT_EVERY" envDefault:"1m" type:"duration, as 1m" meaning:"How long such a place waits at least between two checkpoints. From 1s to 24h."`
	CheckpointTokenFile string             `env:"AUDIT_CHECKPOINT_TOKEN_FILE" type:"file" holds:"secret" meaning:"Holds the bearer token for the one https URL of AUDIT_CHECKPOINT_TO."`

	AuditIdentifiers privacy.Mode `env:"AUDIT_IDENTIFIERS" envDefault:"keep" type:"keep, pseudonymise or drop" meaning:"What call records, traces and messages hold of the issue and project keys and ids in paths: them, keyed hashes that stay the same within a connection, or nothing."`
	AuditClientAddr  privacy.Mode `env:"AUDIT_CLIENT_ADDR" envDefault:"keep" type:"keep, pseudonymise or drop" meaning:"The same for the addresses of clients and administrators; pseudonymised or dropped, the port and the process id are dropped, too."`

	MetricsConnections onOff `env:"METRICS_CONNECTIONS" envDefault:"off" type:"on or off" meaning:"Whether calls and their durations are counted by connection, too: who reads /metrics then sees the ids of connections, and a metric can have 20000 series instead of 4000."`

	DrainTimeout drainTime `env:"DRAIN_TIMEOUT" envDefault:"30s" type:"duration, as 30s" meaning:"How long calls in flight may take to finish when the gateway is told to stop; then they are cut. From 1s to 10m."`

	LogLevel  logLevel         `env:"LOG_LEVEL" envDefault:"info" type:"debug, info, warn or error" meaning:"The least severe messages that are logged."`
	LogFormat telemetry.Format `env:"LOG_FORMAT" envDefault:"text" type:"text or json" meaning:"How messages are written to standard error."`
}

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
	vars := environment(environ)
	var c Config
	var problems []error
	if err := env.ParseWithOptions(&c, env.Options{Environment: vars, Prefix: envPrefix, FuncMap: parsers}); err != nil {
		problems = valueErrors(err, vars)
	}
	problems = append(unknownVariables(vars, c.KeyURI), problems...)
	problems = append(problems, misplaced(vars)...)
	if len(problems) == 0 {
		problems = c.together()
	}
	if len(problems) == 0 && c.EgressFile != "" {
		problems = c.readEgressFile()
	}
	return c, errors.Join(problems...)
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
		if field.Tag.Get("secret") != "" || suspicious(vars[name]) { // a secret in the wrong place
			detail = "the value is not allowed"
		}
		if cause := parse.Err.Error(); cause != "" {
			detail += ": " + cause
		}
		problems = append(problems, &ConfigError{Variable: name, Detail: detail + "; use " + field.Tag.Get("type")})
	}
	return problems
}

// misplaced refuses the content of a file, or a URL, where a file is to be named:
// other errors about the file would repeat it.
func misplaced(vars map[string]string) []error {
	var problems []error
	for f := range configFields() {
		kind, name := f.Tag.Get("type"), variableOf(f)
		if (kind == "file" || kind == "directory") && (strings.ContainsAny(vars[name], "\r\n") || strings.Contains(vars[name], "://")) {
			problems = append(problems, &ConfigError{Variable: name, Detail: "the value is not allowed; name a " + kind})
		}
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
	problems = append(problems, c.facesTogether()...)
	c.storeTogether(refuse)
	switch {
	case c.OAuthClientID != "" && c.OAuthClientSecretFile == "":
		refuse("OAUTH_CLIENT_ID", "needs JIRAGATE_OAUTH_CLIENT_SECRET_FILE as well")
	case c.OAuthClientSecretFile != "" && c.OAuthClientID == "":
		refuse("OAUTH_CLIENT_SECRET_FILE", "needs JIRAGATE_OAUTH_CLIENT_ID as well")
	}
	switch {
	case c.WebhookURL != "" && c.WebhookSecretFile == "":
		refuse("WEBHOOK_URL", "needs JIRAGATE_WEBHOOK_SECRET_FILE as well")
	case c.WebhookSecretFile != "" && c.WebhookURL == "":
		refuse("WEBHOOK_SECRET_FILE", "needs JIRAGATE_WEBHOOK_URL as well")
	}
	switch {
	case c.EgressFile != "" && len(c.Egress) > 0:
		refuse("EGRESS_FILE", "goes instead of JIRAGATE_EGRESS; set one of them")
	case c.EgressVerify != 0 && c.EgressFile == "" && len(c.Egress) == 0:
		refuse("EGRESS_VERIFY", "needs addresses to verify: set JIRAGATE_EGRESS or JIRAGATE_EGRESS_FILE")
	}
	endpoints := 0
	for _, p := range c.CheckpointTo {
		switch p.Kind() {
		case offsite.KindEndpoint:
			endpoints++
		case offsite.KindStore:
			c.publishTogether(refuse)
		}
	}
	if c.CheckpointTokenFile != "" && endpoints != 1 {
		refuse("AUDIT_CHECKPOINT_TOKEN_FILE", "goes with exactly one https URL in JIRAGATE_AUDIT_CHECKPOINT_TO: no place may see the token of another; give others theirs in the URL's path")
	}
	if _, err := pace.New(c.pacing()); err != nil {
		problems = append(problems, &ConfigError{Variable: envPrefix + "ATLASSIAN_POINTS, CONNECTION_CONCURRENCY or CONNECTION_RATE", Detail: err.Error()})
	}
	return problems
}

// readEgressFile reads the addresses from the file that JIRAGATE_EGRESS_FILE names.
func (c *Config) readEgressFile() []error {
	refuse := func(detail string) []error {
		return []error{&ConfigError{Variable: envPrefix + "EGRESS_FILE", Detail: detail}}
	}
	if strings.ContainsAny(c.EgressFile, "=@") || strings.Contains(c.EgressFile, "://") {
		return refuse("names a file that holds the entries; the value looks like the entries themselves")
	}
	text, err := privatefile.ReadTrusted(c.EgressFile)
	if err != nil {
		return refuse(unreadable(c.EgressFile, err).Error())
	}
	entries := strings.FieldsFunc(string(text), func(r rune) bool { return r == '\n' || r == '\r' || r == ',' })
	if c.Egress, err = egress.ParseAddresses(strings.Join(entries, ",")); err != nil {
		return refuse(c.EgressFile + ": " + err.Error())
	}
	if len(c.Egress) == 0 {
		return refuse(c.EgressFile + " is empty")
	}
	return nil
}

// checkEgressFile is CheckTrusted for the file of egress addresses, which has been read, and
// CheckSecret once it has a proxy's password. It is for the gateway: root may run
// commands beside that of another user, whose file it is.
func (c *Config) checkEgressFile() error {
	password := func(a egress.Address) bool { return a.Proxy != nil && !a.Proxy.Password.IsZero() }
	if slices.ContainsFunc(c.Egress, password) {
		return privatefile.CheckSecret(c.EgressFile)
	}
	return privatefile.CheckTrusted(c.EgressFile)
}

// maxSeries bounds the series of each metric. With connections it is as much as a
// gateway can hold and a Prometheus take: 60 MB for a histogram.
func (c *Config) maxSeries() int {
	if c.MetricsConnections {
		return 20_000
	}
	return telemetry.DefaultMaxSeries
}

// pacing are the limits of what goes out to Jira.
func (c *Config) pacing() pace.Options {
	o := pace.Options{
		Concurrency: int(c.ConnectionConcurrency),
		Wait:        pacingWait,
		Queue:       pacingQueue,
		Rate:        float64(c.ConnectionRate),
	}
	switch {
	case c.AtlassianPoints.set:
		o.AppPoints = c.AtlassianPoints.points
	case c.AtlassianAPIURL == defaultAPIURL:
		o.AppPoints = defaultPoints
	}
	return o
}

// limits are those of clients and of memory.
func (c *Config) limits(memory int64) gateway.Limits {
	return gateway.Limits{
		ClientRate:        float64(c.ClientRate),
		ClientConcurrency: int(c.ClientConcurrency),
		Memory:            uint64(memory),
	}
}

// plainName is that of a variable which can be printed as it is.
var plainName = regexp.MustCompile(`^[A-Za-z0-9_]+$`)

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
		if !plainName.MatchString(name) {
			name = strconv.QuoteToASCII(name) // it might steer a terminal
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

// storeFile is the store where that is a file.
func (c *Config) storeFile() string    { return cmp.Or(c.Store.file, c.file("store.db")) }
func (c *Config) auditDir() string     { return c.file("audit") }
func (c *Config) registerFile() string { return c.file("egress-addresses.json") }
func (c *Config) auditKeyFile() string { return c.file("audit-key.json") }
func (c *Config) pseudonymFile() string {
	return c.file("audit-pseudonyms.json")
}

// auditIndexFile can be removed at any time: it is made anew from the log.
func (c *Config) auditIndexFile() string { return c.file("audit-index.sqlite") }

func (c *Config) adminTokenFile() string {
	if c.AdminTokenFile != "" {
		return c.AdminTokenFile
	}
	return c.file("admin-token")
}

// consentReady says what is missing before anybody can be asked for consent at
// Atlassian.
func (c *Config) consentReady() error {
	switch {
	case c.OAuthRedirectURL == "":
		return &ConfigError{Variable: envPrefix + "OAUTH_REDIRECT_URL", Detail: "is not set: set it to the redirect URL registered with Atlassian, https://HOST" + callbackPath}
	case c.OAuthClientID == "":
		return &ConfigError{Variable: envPrefix + "OAUTH_CLIENT_ID", Detail: "is not set: set it, and JIRAGATE_OAUTH_CLIENT_SECRET_FILE, to those of the app registered with Atlassian"}
	}
	return nil
}

// keysetFile is where a keyset is unless JIRAGATE_KEY_URI says otherwise, and
// where one is kept that a KMS key encrypts.
func (c *Config) keysetFile() string { return c.file("keyset.json") }

func (c *Config) keyURI() string {
	if c.KeyURI != "" {
		return c.KeyURI
	}
	return "file:" + c.keysetFile()
}

func (c *Config) caFile() string { return c.file("ca.pem") }
