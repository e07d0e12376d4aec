package jirasim

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"
)

// Defaults of [Options], which the demonstration relies on.
const (
	DefaultCloudID      = "8c6f5b1e-2c3d-4e5f-9a6b-7c8d9e0f1a2b"
	DefaultSiteURL      = "https://acme.atlassian.net"
	DefaultContextPath  = "/jira"
	DefaultUsername     = "jira-bot"
	DefaultPassword     = "correct-horse-battery-staple"
	DefaultPAT          = "NTcxMjM0NTY3ODkwOnNpbXVsYXRlZC1wZXJzb25hbC1hY2Nlc3M"
	DefaultClientID     = "sim-client-7Yq2mLwXb1"
	DefaultClientSecret = "sim-client-secret-Zk3vN8sQ4tR6uW9y"

	DefaultDCClientID     = "sim-dc-client-4f9a1c7e2b6d"
	DefaultDCClientSecret = "sim-dc-client-secret-Hn5xB2qV7mK0pT3e"
)

// SandboxCloudID and SandboxSiteURL are the second site of every grant. It is
// listed first by accessible-resources, so that taking the first entry for the
// site just authorised is a visible mistake.
const (
	SandboxCloudID = "f3e2d1c0-b4a5-4697-8879-6a5b4c3d2e1f"
	SandboxSiteURL = "https://acme-sandbox.atlassian.net"
)

// DefaultScopes returns the scopes that the integration asks for.
func DefaultScopes() []string {
	return []string{"read:jira-work", "write:jira-work", "read:jira-user", "offline_access"}
}

// Options configure a simulator. Each field's zero value is its default.
type Options struct {
	// CloudListen, AuthListen and DataCenterListen are the TCP addresses of the
	// three origins; default "127.0.0.1:0".
	CloudListen, AuthListen, DataCenterListen string
	// Listen makes their listeners, which the simulator closes, so that they can be
	// in another network namespace; default [net.Listen].
	Listen func(network, address string) (net.Listener, error)
	// Hosts are further DNS names or IP addresses that the leaf certificate is
	// good for, besides 127.0.0.1, ::1 and localhost.
	Hosts []string
	// HTTP1Only withholds HTTP/2. Faults that need the raw connection
	// (SwitchingProtocols, Raw) work on HTTP/1.1 only.
	HTTP1Only bool

	// CloudID and SiteURL are the Cloud site; links in answers carry SiteURL.
	CloudID, SiteURL string
	// ClientID and ClientSecret are the OAuth integration.
	ClientID, ClientSecret string
	// RedirectURLs are its exact callback URLs; none means that any http or
	// https URL will do.
	RedirectURLs []string
	// AutoApprove has all consent pages answer with the redirect at once, as
	// [Sim.SetConsent] with ConsentApprove does.
	AutoApprove bool
	// TokenLifetime is the life of an access token (expires_in); default 1 hour.
	TokenLifetime time.Duration
	// ReuseLeeway is how long a replaced refresh token is still good; default
	// 10 minutes, negative for none.
	ReuseLeeway time.Duration

	// AllowFrom is the IP allowlist at first, as [Sim.AllowFrom] sets it.
	AllowFrom []netip.Prefix

	// ContextPath is Data Center's; default "/jira", "/" for none.
	ContextPath string
	// BaseURL is the base URL configured in Data Center, which its links carry,
	// context path included; default [Sim.DataCenterURL].
	BaseURL string
	// Username, Password and PAT are Data Center's service account.
	Username, Password, PAT string
	// DCClientID and DCClientSecret are the incoming link with OAuth 2.0, and
	// DCRedirectURLs its exact redirect URLs; none means that any http or https
	// URL will do.
	DCClientID, DCClientSecret string
	DCRedirectURLs             []string
	// DCTokenLifetime is the life of that link's access tokens (expires_in);
	// default 2 hours.
	DCTokenLifetime time.Duration
	// DCReuseLeeway is how long a refresh token of that link is still good after
	// it was replaced; default not at all.
	DCReuseLeeway time.Duration
	// CaptchaAfter is the number of bad passwords in a row after which the
	// account must solve a CAPTCHA; default 3, negative for never.
	CaptchaAfter int
	// Rate limits each Data Center user. Without it the headers are sent, but
	// nobody is ever limited.
	Rate Rate

	// History is how many requests are kept for [Sim.Requests]; default 4096.
	History int
	// Seed makes the tokens of two simulators differ; default "jirasim".
	Seed string
	// Now is the clock of tokens and rate limits (not of certificates, which
	// clients judge by their own clock); default time.Now.
	Now func() time.Time
}

// Origin names one of the three servers.
type Origin string

// The origins: what Atlassian has at api.atlassian.com and auth.atlassian.com,
// and a customer's Jira Data Center.
const (
	CloudAPI   Origin = "cloud"
	AuthServer Origin = "auth"
	DataCenter Origin = "datacenter"
)

// Sim is a running simulator. Its methods are safe for concurrent use.
type Sim struct {
	o         Options
	authority *authority
	origins   map[Origin]*origin
	world     *world
	trackers  map[Origin]*tracker // issues, per edition
	routes    map[Origin][]route
	oauth     *provider // Cloud's
	dcOAuth   *provider // Data Center's
	links     *links
	accounts  *accounts
	buckets   *buckets
	record    *recorder
	faults    *faults

	ctx     context.Context // ends when the simulator is closed
	cancel  context.CancelFunc
	serving sync.WaitGroup

	mu      sync.Mutex
	closed  bool
	calls   sync.WaitGroup // Add only under mu while not closed
	consent Consent
	sites   []Site
	allowed []netip.Prefix // who may call; none: everybody
}

// Start starts the three origins. It fails on an address that cannot be
// listened on and on malformed Options.
func Start(o Options) (*Sim, error) {
	o, err := withDefaults(o)
	if err != nil {
		return nil, err
	}
	ca, err := newAuthority(o.Hosts)
	if err != nil {
		return nil, fmt.Errorf("jirasim: make certificates: %w", err)
	}
	w := newWorld(o.Username)
	s := &Sim{
		o: o, authority: ca, world: w,
		origins:  make(map[Origin]*origin),
		trackers: map[Origin]*tracker{CloudAPI: newTracker(w), DataCenter: newTracker(w)},
		routes:   map[Origin][]route{CloudAPI: cloudRoutes(), DataCenter: dataCenterRoutes()},
		oauth:    newCloudProvider(o),
		dcOAuth:  newDataCenterProvider(o),
		links:    newLinks(o),
		accounts: newAccounts(o),
		buckets:  newBuckets(o.Rate, o.Now),
		record:   newRecorder(o.History),
		faults:   &faults{},
	}
	s.sites = []Site{{ID: SandboxCloudID, URL: SandboxSiteURL}, {ID: o.CloudID, URL: o.SiteURL}}
	s.AllowFrom(o.AllowFrom...)
	s.consent = ConsentPage
	if o.AutoApprove {
		s.consent = ConsentApprove
	}
	s.ctx, s.cancel = context.WithCancel(context.Background())
	for _, d := range []struct {
		name    Origin
		address string
		serve   func(*call) reply
	}{
		{CloudAPI, o.CloudListen, s.serveCloud},
		{AuthServer, o.AuthListen, s.serveAuth},
		{DataCenter, o.DataCenterListen, s.serveDataCenter},
	} {
		if err := s.listen(d.name, d.address, d.serve); err != nil {
			return nil, errors.Join(fmt.Errorf("jirasim: start %s: %w", d.name, err), s.Close())
		}
	}
	return s, nil
}

func withDefaults(o Options) (Options, error) {
	const anyPort = "127.0.0.1:0"
	if o.Listen == nil {
		o.Listen = net.Listen
	}
	o.CloudListen = cmp.Or(o.CloudListen, anyPort)
	o.AuthListen = cmp.Or(o.AuthListen, anyPort)
	o.DataCenterListen = cmp.Or(o.DataCenterListen, anyPort)
	o.CloudID = cmp.Or(o.CloudID, DefaultCloudID)
	o.SiteURL = strings.TrimSuffix(cmp.Or(o.SiteURL, DefaultSiteURL), "/")
	o.ClientID = cmp.Or(o.ClientID, DefaultClientID)
	o.ClientSecret = cmp.Or(o.ClientSecret, DefaultClientSecret)
	o.TokenLifetime = cmp.Or(o.TokenLifetime, time.Hour)
	o.ReuseLeeway = cmp.Or(o.ReuseLeeway, 10*time.Minute)
	o.ContextPath = strings.TrimSuffix(cmp.Or(o.ContextPath, DefaultContextPath), "/")
	o.BaseURL = strings.TrimSuffix(o.BaseURL, "/")
	o.Username = cmp.Or(o.Username, DefaultUsername)
	o.Password = cmp.Or(o.Password, DefaultPassword)
	o.PAT = cmp.Or(o.PAT, DefaultPAT)
	o.DCClientID = cmp.Or(o.DCClientID, DefaultDCClientID)
	o.DCClientSecret = cmp.Or(o.DCClientSecret, DefaultDCClientSecret)
	o.DCTokenLifetime = cmp.Or(o.DCTokenLifetime, 2*time.Hour)
	o.CaptchaAfter = cmp.Or(o.CaptchaAfter, 3)
	o.History = cmp.Or(o.History, 4096)
	o.Seed = cmp.Or(o.Seed, "jirasim")
	o.RedirectURLs = slices.Clone(o.RedirectURLs)
	o.DCRedirectURLs = slices.Clone(o.DCRedirectURLs)
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.ContextPath != "" && !strings.HasPrefix(o.ContextPath, "/") {
		return o, fmt.Errorf("jirasim: context path %q must start with a slash", o.ContextPath)
	}
	if o.History < 1 {
		return o, fmt.Errorf("jirasim: history of %d requests: at least one must be kept", o.History)
	}
	for _, link := range []string{o.SiteURL, o.BaseURL} {
		if u, err := url.Parse(link); link != "" && (err != nil || u.Scheme != "https" || u.Host == "") {
			return o, fmt.Errorf("jirasim: site or base URL %q must be of the form https://host", link)
		}
	}
	return o, nil
}

// origin is one listening server.
type origin struct {
	sim      *Sim
	name     Origin
	url      string // https://host:port
	serve    func(*call) reply
	server   *http.Server
	listener *countingListener
}

func (s *Sim) listen(name Origin, address string, serve func(*call) reply) error {
	inner, err := s.o.Listen("tcp", address)
	if err != nil {
		return err
	}
	o := &origin{sim: s, name: name, serve: serve, url: "https://" + inner.Addr().String(), listener: &countingListener{Listener: inner}}
	o.server = &http.Server{
		Handler:           o,
		TLSConfig:         s.authority.serverConfig(),
		ReadHeaderTimeout: 30 * time.Second,
		IdleTimeout:       2 * time.Minute,
		BaseContext:       func(net.Listener) context.Context { return s.ctx },
		ConnContext:       withConn,
		// What a client does wrong shows in what is recorded, not on stderr.
		ErrorLog: log.New(io.Discard, "", 0),
	}
	o.server.Protocols = new(http.Protocols)
	o.server.Protocols.SetHTTP1(true)
	o.server.Protocols.SetHTTP2(!s.o.HTTP1Only)
	s.origins[name] = o
	s.serving.Go(func() { _ = o.server.ServeTLS(o.listener, "", "") })
	return nil
}

// Close stops the simulator, cuts off what is still open and returns when every
// request has ended. It may be called more than once.
func (s *Sim) Close() error {
	s.mu.Lock()
	s.closed = true
	s.mu.Unlock()
	s.cancel()
	var errs []error
	for _, o := range s.origins {
		errs = append(errs, o.server.Close())
		// Close does not know a listener that Serve has not got round to yet.
		if err := o.listener.Close(); !errors.Is(err, net.ErrClosed) {
			errs = append(errs, err)
		}
	}
	s.calls.Wait()
	s.serving.Wait()
	return errors.Join(errs...)
}

// begin counts a request in; false means that the simulator is closing.
func (s *Sim) begin() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return false
	}
	s.calls.Add(1)
	return true
}

// APIURL returns what stands for https://api.atlassian.com, without a trailing
// slash. Jira's REST API is below /ex/jira/{cloudId}.
func (s *Sim) APIURL() string { return s.origins[CloudAPI].url }

// AuthURL returns what stands for https://auth.atlassian.com.
func (s *Sim) AuthURL() string { return s.origins[AuthServer].url }

// DataCenterURL returns Data Center's URL with its context path, such as
// https://127.0.0.1:40123/jira.
func (s *Sim) DataCenterURL() string { return s.origins[DataCenter].url + s.o.ContextPath }

// SiteURL returns the Cloud site's URL, which links in answers carry.
func (s *Sim) SiteURL() string { return s.o.SiteURL }

// CloudID returns the Cloud site's id.
func (s *Sim) CloudID() string { return s.o.CloudID }

// CAPEM returns the root certificate of all three origins, PEM-encoded.
func (s *Sim) CAPEM() []byte { return slices.Clone(s.authority.pem) }

// Connections returns how many TCP connections an origin has accepted, those
// that never got as far as a request included.
func (s *Sim) Connections(o Origin) int { return int(s.origins[o].listener.accepted.Load()) }
