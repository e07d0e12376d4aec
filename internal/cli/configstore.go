package cli

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"path"
	"strconv"
	"strings"
	"time"

	"jiragate/certs/baseline"
	"jiragate/internal/privatefile"
)

// storeAddress says where the store is: one file, or a cluster that other gateways share.
type storeAddress struct {
	file      string   // of bolt; empty: store.db in the data directory
	endpoints []string // of etcd: https URLs; nil: it is a file
	prefix    string   // of etcd: with a slash at its beginning, and none at its end
}

// shared reports whether other gateways may have the same store.
func (a storeAddress) shared() bool { return len(a.endpoints) > 0 }

// String is the form that is parsed.
func (a storeAddress) String() string {
	if !a.shared() {
		return "bolt:" + a.file
	}
	var hosts []string
	for _, e := range a.endpoints {
		hosts = append(hosts, strings.TrimPrefix(e, "https://"))
	}
	return "etcd://" + strings.Join(hosts, ",") + a.prefix
}

// etcdPort is that of etcd's clients.
const etcdPort = "2379"

// parseStoreAddress reads bolt:PATH or etcd://HOST[:PORT],.../PREFIX.
func parseStoreAddress(s string) (storeAddress, error) {
	if file, ok := strings.CutPrefix(s, "bolt:"); ok {
		if file == "" {
			return storeAddress{}, errors.New("bolt: needs the path of a file after it")
		}
		return storeAddress{file: file}, nil
	}
	rest, ok := strings.CutPrefix(s, "etcd://")
	if !ok {
		return storeAddress{}, errForm
	}
	hosts, prefix, _ := strings.Cut(rest, "/")
	a := storeAddress{prefix: "/" + prefix}
	switch {
	case strings.Contains(hosts, "@"):
		return storeAddress{}, errors.New("the user goes into JIRAGATE_STORE_USER, and the password into the file of JIRAGATE_STORE_PASSWORD_FILE")
	case prefix == "":
		return storeAddress{}, errors.New("it needs a prefix after the hosts, below which all keys of this store are: etcd://HOST,HOST,HOST/jiragate")
	case path.Clean(a.prefix) != a.prefix || strings.ContainsFunc(prefix, func(r rune) bool { return r <= ' ' || r > '~' || r == '?' || r == '#' }):
		return storeAddress{}, errors.New("the prefix must be plain: visible ASCII characters, no slash at its end, none twice, no dots between slashes")
	}
	for host := range strings.SplitSeq(hosts, ",") {
		endpoint, err := etcdEndpoint(host)
		if err != nil {
			return storeAddress{}, err
		}
		a.endpoints = append(a.endpoints, endpoint)
	}
	return a, nil
}

// etcdEndpoint is the URL of a member that listens at HOST[:PORT].
func etcdEndpoint(host string) (string, error) {
	name, port, err := net.SplitHostPort(host)
	if err != nil {
		name, port = strings.Trim(host, "[]"), etcdPort
	}
	if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 || name == "" || strings.ContainsFunc(name, func(r rune) bool { return r <= ' ' || r > '~' || r == '/' }) {
		return "", errors.New("each member is HOST or HOST:PORT, separated by commas")
	}
	return "https://" + net.JoinHostPort(name, port), nil
}

// staleness is a time from ten seconds to a day.
type staleness time.Duration

func parseStaleness(s string) (staleness, error) {
	d, err := time.ParseDuration(s)
	if err != nil {
		return 0, errForm
	}
	if d < 10*time.Second || d > 24*time.Hour {
		return 0, errors.New("it must be from 10s to 24h")
	}
	return staleness(d), nil
}

// storeTogether checks what goes with a store in etcd. With one in a file it is for store
// migrate.
func (c *Config) storeTogether(refuse func(name, detail string)) {
	switch {
	case c.StoreTLSCert != "" && c.StoreTLSKey == "":
		refuse("STORE_TLS_CERT", "needs JIRAGATE_STORE_TLS_KEY as well")
	case c.StoreTLSKey != "" && c.StoreTLSCert == "":
		refuse("STORE_TLS_KEY", "needs JIRAGATE_STORE_TLS_CERT as well")
	case c.StoreUser != "" && c.StorePasswordFile == "":
		refuse("STORE_USER", "needs JIRAGATE_STORE_PASSWORD_FILE as well")
	case c.StorePasswordFile != "" && c.StoreUser == "":
		refuse("STORE_PASSWORD_FILE", "needs JIRAGATE_STORE_USER as well")
	}
}

// storeTLS is how etcd's members are met. A certificate is read anew for each connection, so
// that one that was renewed needs no restart.
func (c *Config) storeTLS() (*tls.Config, error) {
	t := baseline.TLS(&tls.Config{})
	if c.StoreCAFile != "" {
		t.RootCAs = x509.NewCertPool()
		if err := addRoots(t.RootCAs, c.StoreCAFile); err != nil {
			return nil, fmt.Errorf("JIRAGATE_STORE_CA_FILE: %w", err)
		}
	}
	if c.StoreTLSCert == "" {
		return t, nil
	}
	load := func() (*tls.Certificate, error) {
		pair, err := loadPair(c.StoreTLSCert, c.StoreTLSKey)
		if err != nil {
			return nil, fmt.Errorf("JIRAGATE_STORE_TLS_CERT and _KEY: %w", err)
		}
		return &pair, nil
	}
	if _, err := load(); err != nil {
		return nil, err
	}
	t.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return load() }
	return t, nil
}

// loadPair is tls.LoadX509KeyPair, unless others can read the key or change the certificate.
func loadPair(certFile, keyFile string) (tls.Certificate, error) {
	cert, err := privatefile.ReadTrusted(certFile)
	if err != nil {
		return tls.Certificate{}, err
	}
	key, err := privatefile.ReadSecret(keyFile)
	if err != nil {
		return tls.Certificate{}, err
	}
	defer clear(key)
	return tls.X509KeyPair(cert, key)
}
