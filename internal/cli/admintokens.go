package cli

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strings"

	"jiragate/gateway/admin"
	"jiragate/internal/privatefile"
	"jiragate/tokenstore/secret"
)

// openAdminToken reads the bearer token of the admin API, which is made where
// there is none.
func openAdminToken(file string) (secret.Secret, error) { return openToken("admin token", file) }

// openMetricsToken is openAdminToken for the token that is for /metrics alone; it is
// zero where the settings name no file for it.
func (c *Config) openMetricsToken() (secret.Secret, error) {
	if c.MetricsTokenFile == "" {
		return secret.Secret{}, nil
	}
	token, err := openToken("metrics token", c.MetricsTokenFile)
	if err != nil {
		return secret.Secret{}, err
	}
	if err := c.checkMetricsToken(token); err != nil {
		return secret.Secret{}, fmt.Errorf("the metrics token in %s: %w", c.MetricsTokenFile, err)
	}
	return token, nil
}

// checkMetricsToken refuses what can't be a token, and the admin token: whoever scrapes
// would have all the rest. That the admin token can't be read, whoever uses it tells.
func (c *Config) checkMetricsToken(token secret.Secret) error {
	if err := admin.CheckToken(token); err != nil {
		return err
	}
	if other, err := readSettingSecret("ADMIN_TOKEN_FILE", c.adminTokenFile()); err == nil && other.Equal(token) {
		return hint(errors.New("the token is the admin token"), "remove the file and start again, to have another one made")
	}
	return nil
}

func openToken(name, file string) (secret.Secret, error) {
	b, err := privatefile.ReadSecret(file)
	if errors.Is(err, fs.ErrNotExist) {
		return makeToken(name, file)
	}
	if _, ok := errors.AsType[*fs.PathError](err); err != nil && !ok {
		return secret.Secret{}, hint(fmt.Errorf("the %s: %w", name, err), "if others may have read it, remove the file instead, to have a new one made")
	}
	if err != nil {
		return secret.Secret{}, fmt.Errorf("reading the %s: %w", name, err)
	}
	defer clear(b)
	token := secret.New(strings.TrimRight(string(b), "\r\n"))
	if err := admin.CheckToken(token); err != nil {
		return secret.Secret{}, hint(fmt.Errorf("the %s in %s: %w", name, file, err), "remove the file to have a new one made")
	}
	return token, nil
}

func makeToken(name, file string) (secret.Secret, error) {
	token := admin.NewToken()
	err := newPrivateFile(file, func(w io.Writer) error {
		_, err := io.WriteString(w, token.Reveal()+"\n")
		return err
	})
	if err != nil {
		return secret.Secret{}, fmt.Errorf("making the %s: %w", name, err)
	}
	return token, nil
}
