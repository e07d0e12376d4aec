package cli

import (
	"errors"
	"log/slog"
	"math"
	"net"
	"net/netip"
	"net/url"
	"reflect"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/caarlos0/env/v11"

	"jiragate/gateway"
	"jiragate/gateway/audit"
	"jiragate/gateway/audit/offsite"
	"jiragate/gateway/audit/privacy"
	"jiragate/gateway/egress"
	"jiragate/gateway/egress/echo"
	"jiragate/gateway/telemetry"
	"jiragate/tokenstore"
)

// listenAddress is host:port with a numeric port; an empty host means all
// addresses.
type listenAddress string

// httpsURL is an https URL without user info, query or fragment, and without a
// slash at its end.
type httpsURL string

// redirectURL is an https URL, or an http one on this machine, that ends in
// /oauth/callback.
type redirectURL string

// webhookURL is an https URL, or an http one on this machine.
type webhookURL string

// echoServices are the URLs of echo services.
type echoServices []string

// interval is a time from a minute to a day.
type interval time.Duration

// pointBudget is a number of points, or not set.
type pointBudget struct {
	set    bool
	points int
}

// checkpointInterval is a time from a second to a day.
type checkpointInterval time.Duration

// drainTime is a time from a second to 10 minutes.
type drainTime time.Duration

// byteSize is a number of bytes, from 1 MiB to 1 GiB.
type byteSize int64

// memorySize is a number of bytes, from 64 MiB to 1 TiB; 0: not set.
type memorySize int64

// retention is a number of days, or not set.
type retention time.Duration

// count is a whole number that is not negative.
type count int

// perSecond is a number that is not negative.
type perSecond float64

// What the app gets an hour in Atlassian's lowest tier
// (https://developer.atlassian.com/cloud/jira/platform/rate-limiting/), and how many
// calls of one connection wait for their turn, for how long.
const (
	defaultPoints = 65_000
	pacingQueue   = 4 << 10
	pacingWait    = 20 * time.Second
)

// logLevel is a slog.Level with four names and no arithmetic.
type logLevel slog.Level

// parsers read the types whose text form is not plain.
var parsers = map[reflect.Type]env.ParserFunc{
	reflect.TypeFor[listenAddress]():           parserOf(parseListenAddress),
	reflect.TypeFor[httpsURL]():                parserOf(parseHTTPSURL),
	reflect.TypeFor[redirectURL]():             parserOf(parseRedirectURL),
	reflect.TypeFor[storeAddress]():            parserOf(parseStoreAddress),
	reflect.TypeFor[staleness]():               parserOf(parseStaleness),
	reflect.TypeFor[originURL]():               parserOf(parseOriginURL),
	reflect.TypeFor[issuerURL]():               parserOf(parseIssuerURL),
	reflect.TypeFor[onOff]():                   parserOf(parseOnOff),
	reflect.TypeFor[consoleRoles]():            parserOf(parseConsoleRoles),
	reflect.TypeFor[echoServices]():            parserOf(parseEchoServices),
	reflect.TypeFor[interval]():                parserOf(parseInterval),
	reflect.TypeFor[checkpointInterval]():      parserOf(parseCheckpointInterval),
	reflect.TypeFor[drainTime]():               parserOf(parseDrainTimeout),
	reflect.TypeFor[byteSize]():                parserOf(parseByteSize),
	reflect.TypeFor[memorySize]():              parserOf(parseMemorySize),
	reflect.TypeFor[retention]():               parserOf(parseRetention),
	reflect.TypeFor[[]offsite.Place]():         parserOf(offsite.ParsePlaces),
	reflect.TypeFor[pointBudget]():             parserOf(parsePointBudget),
	reflect.TypeFor[count]():                   parserOf(parseCount),
	reflect.TypeFor[perSecond]():               parserOf(parsePerSecond),
	reflect.TypeFor[webhookURL]():              parserOf(parseWebhookURL),
	reflect.TypeFor[telemetry.Format]():        formOf(telemetry.ParseFormat),
	reflect.TypeFor[logLevel]():                parserOf(parseLogLevel),
	reflect.TypeFor[tokenstore.Region]():       parserOf(parseRegion),
	reflect.TypeFor[nodeName]():                parserOf(parseNodeName),
	reflect.TypeFor[[]egress.Address]():        parserOf(egress.ParseAddresses),
	reflect.TypeFor[[]egress.PrivateNetwork](): parserOf(egress.ParseAllowPrivate),
	reflect.TypeFor[gateway.DeleteRule]():      formOf(gateway.ParseDeleteRule),
	reflect.TypeFor[audit.SyncMode]():          formOf(audit.ParseSyncMode),
	reflect.TypeFor[privacy.Mode]():            formOf(privacy.ParseMode),
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

// callbackPath is how a redirect URL ends: what comes before it is that of a
// proxy in front of the admin listener.
const callbackPath = "/oauth/callback"

func parseRedirectURL(s string) (redirectURL, error) {
	u, err := parseSecureURL(s)
	switch {
	case err != nil:
		return "", err
	case !strings.HasSuffix(u.Path, callbackPath) || u.RawQuery != "" || u.ForceQuery:
		return "", errors.New("it must end in " + callbackPath)
	}
	return redirectURL(s), nil
}

func parseWebhookURL(s string) (webhookURL, error) {
	_, err := parseSecureURL(s)
	return webhookURL(s), err
}

// parseSecureURL accepts https, and http on this machine.
func parseSecureURL(s string) (*url.URL, error) {
	u, err := url.Parse(s)
	if err != nil || u.Hostname() == "" || u.User != nil || u.Fragment != "" {
		return nil, errForm
	}
	addr, _ := netip.ParseAddr(u.Hostname())
	local := addr.IsLoopback() || u.Hostname() == "localhost"
	if u.Scheme != "https" && (u.Scheme != "http" || !local) {
		return nil, errForm
	}
	return u, nil
}

func parseEchoServices(s string) (echoServices, error) { return echo.ParseServices(s) }

func parseInterval(s string) (interval, error) {
	d, err := time.ParseDuration(s)
	if err != nil || d < time.Minute || d > 24*time.Hour {
		return 0, errors.New("it must be from 1m to 24h")
	}
	return interval(d), nil
}

func parseCheckpointInterval(s string) (checkpointInterval, error) {
	d, err := time.ParseDuration(s)
	if err != nil || d < time.Second || d > 24*time.Hour {
		return 0, errors.New("it must be from 1s to 24h")
	}
	return checkpointInterval(d), nil
}

func parseDrainTimeout(s string) (drainTime, error) {
	d, err := time.ParseDuration(s)
	if err != nil || d < time.Second || d > 10*time.Minute {
		return 0, errors.New("it must be from 1s to 10m")
	}
	return drainTime(d), nil
}

func parseByteSize(s string) (byteSize, error) {
	size, err := parseSize(s)
	if err == nil && (size < 1<<20 || size > 1<<30) {
		err = errors.New("it must be from 1MiB to 1GiB")
	}
	return byteSize(size), err
}

func parseMemorySize(s string) (memorySize, error) {
	size, err := parseSize(s)
	if err == nil && (size < 64<<20 || size > 1<<40) {
		err = errors.New("it must be from 64MiB to 1TiB")
	}
	return memorySize(size), err
}

func parseSize(s string) (int64, error) {
	number, unit := s, int64(1)
	for suffix, size := range map[string]int64{"KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30} {
		if rest, ok := strings.CutSuffix(s, suffix); ok {
			number, unit = rest, size
		}
	}
	n, err := strconv.ParseInt(number, 10, 32)
	if err != nil || n < 0 {
		return 0, errForm
	}
	return n * unit, nil
}

func parseRetention(s string) (retention, error) {
	number, ok := strings.CutSuffix(s, "d")
	n, err := strconv.ParseUint(number, 10, 16)
	if !ok || err != nil || n < 1 {
		return 0, errors.New("it must be a whole number of days, at least 1d and at most 65535d")
	}
	return retention(time.Duration(n) * 24 * time.Hour), nil
}

func parsePointBudget(s string) (pointBudget, error) {
	n, err := parseCount(s)
	return pointBudget{true, int(n)}, err
}

func parseCount(s string) (count, error) {
	n, err := strconv.ParseUint(s, 10, 31)
	if err != nil {
		return 0, errForm
	}
	return count(n), nil
}

func parsePerSecond(s string) (perSecond, error) {
	n, err := strconv.ParseFloat(s, 64)
	if err != nil || !(n >= 0) || math.IsInf(n, 1) { // 0 is any number
		return 0, errForm
	}
	return perSecond(n), nil
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

// nodeName is the name of a gateway among several; empty for the only one.
type nodeName string

var nodeForm = regexp.MustCompile(`^[a-z0-9]([a-z0-9.-]{0,61}[a-z0-9])?$`)

func parseNodeName(s string) (nodeName, error) {
	if !nodeForm.MatchString(s) {
		return "", errors.New("use lower-case letters, digits, hyphens and dots, at most 63, that begin and end with a letter or digit")
	}
	return nodeName(s), nil
}
