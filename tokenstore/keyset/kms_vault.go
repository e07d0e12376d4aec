package keyset

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"time"

	"github.com/hashicorp/vault/api"
	"github.com/tink-crypto/tink-go-hcvault/v2/integration/hcvault"
	"github.com/tink-crypto/tink-go/v2/tink"
)

// The mount of the transit engine may have several segments, a namespace among them.
var vaultPath = regexp.MustCompile(`^(?:/[A-Za-z0-9_-][A-Za-z0-9_.-]*)+/keys/[A-Za-z0-9_-][A-Za-z0-9_.-]*$`)

// vaultService is the transit engine of HashiCorp Vault. The key URI says which
// server; the rest (VAULT_TOKEN, VAULT_NAMESPACE, VAULT_CACERT, client
// certificate, proxy, ...) Vault's client reads from its VAULT_* variables.
// https://developer.hashicorp.com/vault/docs/commands#environment-variables
type vaultService struct{ host, path string }

func parseVault(name string) (service, error) {
	u, err := url.Parse("https://" + name)
	if err != nil || u.Host == "" || u.Hostname() == "" || u.User != nil || u.RawQuery != "" || u.ForceQuery || u.Fragment != "" || !vaultPath.MatchString(u.EscapedPath()) {
		return nil, errors.New("the key URI names no Vault key: use hcvault://HOST:PORT/transit/keys/NAME")
	}
	return vaultService{host: u.Host, path: u.EscapedPath()}, nil
}

func (s vaultService) connect(ctx context.Context) (tink.AEADWithContext, func(), error) {
	c := api.DefaultConfig()
	if c.Error != nil {
		// Without the cause, which may quote a variable, such as a proxy's password.
		return nil, nil, known("one of the VAULT_* variables, or a file that it names, can't be used")
	}
	if c.TLSConfig().InsecureSkipVerify {
		return nil, nil, known("VAULT_SKIP_VERIFY would give the keyset to whoever answers: unset it, and name the CA in VAULT_CACERT")
	}
	// VAULT_ADDR and VAULT_AGENT_ADDR would lead elsewhere than the key URI says.
	c.Address, c.AgentAddress = "https://"+s.host, ""
	c.HttpClient.Transport = vaultTransport{ctx, c.HttpClient.Transport}
	c.CheckRetry = func(request context.Context, resp *http.Response, err error) (bool, error) {
		if ctx.Err() != nil {
			return false, ctx.Err()
		}
		return api.DefaultRetryPolicy(request, resp, err)
	}
	// For the pauses between attempts, which a server can ask to be long.
	if deadline, ok := ctx.Deadline(); ok {
		if left := time.Until(deadline); c.Timeout <= 0 || c.Timeout > left {
			c.Timeout = left
		}
	}
	client, err := api.NewClient(c)
	if err != nil {
		return nil, nil, known("one of the VAULT_* variables can't be used")
	}
	client.SetWrappingLookupFunc(func(string, string) string { return "" }) // despite VAULT_WRAP_TTL
	a, err := hcvault.NewAEAD(s.path, client.Logical())
	return vaultAEAD{a}, func() {}, err
}

// vaultAEAD is bounded by the context of its connection, through vaultTransport:
// Tink's client for Vault knows no contexts.
type vaultAEAD struct{ tink.AEAD }

func (a vaultAEAD) EncryptWithContext(_ context.Context, plaintext, associatedData []byte) ([]byte, error) {
	return a.Encrypt(plaintext, associatedData)
}

func (a vaultAEAD) DecryptWithContext(_ context.Context, ciphertext, associatedData []byte) ([]byte, error) {
	return a.Decrypt(ciphertext, associatedData)
}

type vaultTransport struct {
	ctx  context.Context
	base http.RoundTripper
}

func (t vaultTransport) RoundTrip(req *http.Request) (*http.Response, error) {
	return bounded(req.WithContext(t.ctx), t.base.RoundTrip)
}

func (vaultService) access() string {
	return "check that Vault is unsealed, VAULT_TOKEN, VAULT_NAMESPACE and VAULT_CACERT, that the token's policy allows update on encrypt/NAME and decrypt/NAME, and that the key is of type aes256-gcm96 and not derived"
}

// vaultErrors are phrases of Vault's errors that tell what is wrong.
// https://github.com/hashicorp/vault/tree/main/builtin/logical/transit
var vaultErrors = []struct{ phrase, words string }{
	{"permission denied", "access is denied"},
	{"missing client token", "there is no token"},
	{"Vault is sealed", "Vault is sealed"},
	{"encryption key not found", "there is no such key"},
	{"no handler for route", "there is no transit engine at that path"},
	{"unsupported path", "there is no transit engine at that path"},
	{"missing 'context' for key derivation", "the key is a derived one"},
	{"message authentication failed", "the encrypted keyset was changed, or is encrypted under another key or for something else"},
	{"invalid ciphertext", "the encrypted keyset was changed, or is encrypted under another key or for something else"},
	{"ciphertext or signature version is disallowed by policy", "the version of the key under which the keyset is encrypted is below the key's min_decryption_version"},
}

func (vaultService) explain(err error) string {
	resp, ok := errors.AsType[*api.ResponseError](err)
	if !ok {
		return ""
	}
	if !resp.RawError { // in Vault's own form
		said := strings.Join(resp.Errors, "\n")
		for _, e := range vaultErrors {
			if strings.Contains(said, e.phrase) {
				return e.words
			}
		}
	}
	return statusWords(resp.StatusCode)
}
