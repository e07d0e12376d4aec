package cli

import (
	"context"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"sync/atomic"
	"time"

	"jiragate/gateway"
	"jiragate/gateway/admin"
	"jiragate/gateway/audit/privacy"
	"jiragate/gateway/egress/register"
	"jiragate/internal/privatefile"
	"jiragate/policy"
	"jiragate/tokenstore"
	"jiragate/tokenstore/keyset"
)

// How long to wait for the lock of the store. A gateway that starts waits for
// commands that are at work; a command goes on to try the socket.
const (
	serveLockTimeout   = 5 * time.Second
	commandLockTimeout = 50 * time.Millisecond
)

// foundation is what lies under everything else: the data directory, the
// keyset, the store, the register of egress addresses, and what keeps identifiers
// out of the records.
type foundation struct {
	keys     *keyset.Live
	store    *opened
	register *register.Register
	auditKey *auditKey
	privacy  *privacy.Masker
}

// openFoundation opens the keyset and the store, and makes what is missing at
// first start.
func openFoundation(ctx context.Context, c Config, lockTimeout time.Duration, logger *slog.Logger) (*foundation, error) {
	return openFoundationAt(ctx, c, lockTimeout, logger, time.Now)
}

// openFoundationAt is openFoundation with the clock of the store's times.
func openFoundationAt(ctx context.Context, c Config, lockTimeout time.Duration, logger *slog.Logger, now func() time.Time) (*foundation, error) {
	if err := prepareDataDir(c.DataDir); err != nil {
		return nil, err
	}
	if !c.Store.shared() {
		if err := ownStore(c.storeFile()); err != nil {
			return nil, err
		}
	}
	sealed, err := anythingSealed(ctx, c)
	if err != nil {
		return nil, err
	}
	// A new keyset would not open what another one has sealed: where there is
	// any of that, a missing keyset is an error, not a first start.
	keys, err := openKeyset(ctx, c, !sealed, logger)
	switch {
	case sealed && errors.Is(err, fs.ErrNotExist):
		return nil, fmt.Errorf("JIRAGATE_KEY_URI: %w: %s was sealed under a keyset that is not there; bring it back, nothing else opens it", err, c.sealedPlace())
	case err != nil:
		return nil, fmt.Errorf("JIRAGATE_KEY_URI: %w", err)
	}
	store, err := c.openStore(ctx, backend{aead: keys, now: now, lockTimeout: lockTimeout, logger: logger})
	if err != nil {
		return nil, err
	}
	// Under the lock of the store, so that nobody changes it any more.
	register, err := openRegister(c)
	if err != nil {
		return nil, errors.Join(err, store.Close())
	}
	masker, err := openPrivacy(c, keys)
	if err != nil {
		return nil, errors.Join(err, store.Close())
	}
	return &foundation{
		keys: keys, store: store, register: register,
		auditKey: &auditKey{config: c, sealer: keys}, privacy: masker,
	}, nil
}

func (f *foundation) close() error { return f.store.Close() }

// openKeyset opens the keyset that JIRAGATE_KEY_URI names. One that a KMS key
// encrypts is in the data directory.
func openKeyset(ctx context.Context, c Config, create bool, logger *slog.Logger) (*keyset.Live, error) {
	return keyset.Open(ctx, c.keyURI(), keyset.Options{Create: create, EncryptedFile: c.keysetFile(), Logger: logger})
}

// anythingSealed reports whether the store, or the data directory, holds something that only
// its keyset opens.
func anythingSealed(ctx context.Context, c Config) (bool, error) {
	if there, err := c.storeThere(ctx); there || err != nil {
		return there, err
	}
	for _, path := range []string{c.file("ca-key.pem"), c.auditKeyFile(), c.pseudonymFile()} {
		if there, err := exists(path); there || err != nil {
			return there, err
		}
	}
	return false, nil
}

// sealedPlace says what a keyset has sealed.
func (c *Config) sealedPlace() string {
	if c.Store.shared() {
		return fmt.Sprintf("what is in %s or %s", c.Store, c.DataDir)
	}
	return "what is in " + c.DataDir
}

// livePolicy is the policy in force. Reading it takes no lock.
type livePolicy struct {
	file    string
	current atomic.Pointer[policy.Policy]
}

func openPolicy(file string) (*livePolicy, error) {
	p, err := loadPolicy(file)
	if err != nil {
		return nil, err
	}
	l := &livePolicy{file: file}
	l.current.Store(p)
	return l, nil
}

func loadPolicy(file string) (*policy.Policy, error) {
	if file == "" {
		return policy.Default(), nil
	}
	rules, err := privatefile.ReadTrusted(file)
	if err != nil {
		return nil, fmt.Errorf("JIRAGATE_POLICY_FILE: %w", err)
	}
	p, err := policy.New(rules)
	if err != nil {
		return nil, fmt.Errorf("JIRAGATE_POLICY_FILE: %s: %w", file, err)
	}
	return p, nil
}

// adminOptions are those of the admin API that need no running gateway. f is
// nil where there is no store.
func adminOptions(c Config, live *livePolicy, f *foundation) admin.Options {
	directory := func() *tokenstore.Directory { return tokenstore.NewDirectory(nil, nil) }
	o := admin.Options{
		Region:       c.Region,
		Egress:       admin.Egress{Addresses: c.Egress},
		Policy:       live.current.Load,
		Policies:     policyHistory(c),
		Codes:        reasonCodes(),
		RedirectURL:  string(c.OAuthRedirectURL),
		ConsentReady: c.consentReady,
		Version:      programVersion().Version,
		Log:          c.auditLog(&auditReader{dir: c.auditDir()}),
		Explain: func(q admin.ExplainRequest) (admin.Explanation, error) {
			e, err := gateway.Explain(directory(), live.current.Load(), c.Region, string(c.AtlassianAPIURL),
				gateway.Question{Delete: c.Delete, Method: q.Method, URL: q.URL, Client: q.Client, Connection: q.Connection})
			return admin.Explanation{
				Decision: e.Decision, Code: string(e.Code), Operation: e.Operation, Connection: e.Connection, Edition: e.Edition,
				Detail: e.Detail, Sent: e.Sent, Reported: e.Reported, PolicySHA256: e.PolicySHA256,
			}, err
		},
	}
	if f != nil {
		directory = f.store.Directory
		o.Store = f.store
		o.Keys = f.keys
		o.SharedStore = c.Store.shared()
		o.Egress.Register = f.register
		o.AuditKey = admin.SigningKey{
			Open:        func() (admin.Signer, error) { return f.auditKey.open() },
			Reseal:      f.auditKey.reseal,
			SealedUnder: f.auditKey.sealedUnder,
		}
		o.Log.Node, o.Log.Published = string(c.Node), f.store.published
		o.Pseudonyms = pseudonymKey(c, f.keys)
		o.ClientAddr = f.privacy.Address
	}
	return o
}

// reasonCodes are those of the gateway, as the admin API tells of them.
func reasonCodes() []admin.Code {
	var codes []admin.Code
	for _, c := range gateway.Codes() {
		codes = append(codes, admin.Code{Code: string(c.Code), Status: c.Status, Title: c.Title, Meaning: c.Detail})
	}
	return codes
}

// probeResult translates what the gateway found.
func probeResult(r *gateway.ProbeResult) admin.ProbeResult {
	return admin.ProbeResult{
		OK:         r.Status == 200 && r.Code == "",
		Status:     r.Status,
		Code:       r.Code,
		Detail:     r.Detail,
		Account:    r.Account,
		EgressIP:   r.EgressIP,
		Record:     r.Record,
		DurationMS: float64(r.Duration.Microseconds()) / 1000,
	}
}

// upstreamRoots are the system's roots and those of the file; nil, which means
// the system's alone, without one. The sum is that of the file.
func upstreamRoots(file string) (*x509.CertPool, digest, error) {
	if file == "" {
		return nil, digest{}, nil
	}
	roots, err := x509.SystemCertPool()
	if err != nil {
		return nil, digest{}, fmt.Errorf("reading the system's roots: %w", err)
	}
	content, err := privatefile.ReadTrusted(file)
	if err == nil {
		err = addRootsOf(roots, file, content)
	}
	if err != nil {
		return nil, digest{}, fmt.Errorf("JIRAGATE_UPSTREAM_CA_FILE: %w", err)
	}
	return roots, sumOf(content), nil
}

// addRoots adds each certificate of a PEM file.
func addRoots(pool *x509.CertPool, file string) error {
	content, err := privatefile.ReadTrusted(file)
	if err != nil {
		return err
	}
	return addRootsOf(pool, file, content)
}

// addRootsOf adds each certificate of a PEM file with that content. Unlike
// AppendCertsFromPEM it refuses a file of which it cannot read everything.
func addRootsOf(pool *x509.CertPool, file string, rest []byte) error {
	found := 0
	for {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			break
		}
		if block.Type != "CERTIFICATE" {
			return fmt.Errorf("%s holds a PEM block %q: only certificates belong there", file, block.Type)
		}
		cert, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return fmt.Errorf("%s: certificate %d: %w", file, found+1, err)
		}
		pool.AddCert(cert)
		found++
	}
	if found == 0 {
		return errors.New(file + " holds no certificate in PEM form")
	}
	return nil
}

// pemOf is the inverse, for one certificate.
func pemOf(cert *x509.Certificate) string {
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert.Raw}))
}
