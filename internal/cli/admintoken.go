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
func openAdminToken(file string) (secret.Secret, error) {
	b, err := privatefile.ReadSecret(file)
	if errors.Is(err, fs.ErrNotExist) {
		return makeAdminToken(file)
	}
	if _, ok := errors.AsType[*fs.PathError](err); err != nil && !ok {
		return secret.Secret{}, hint(fmt.Errorf("the admin token: %w", err), "if others may have read it, remove the file instead, to have a new one made")
	}
	if err != nil {
		return secret.Secret{}, fmt.Errorf("reading the admin token: %w", err)
	}
	token := secret.New(strings.TrimRight(string(b), "\r\n"))
	if err := admin.CheckToken(token); err != nil {
		return secret.Secret{}, hint(fmt.Errorf("the admin token in %s: %w", file, err), "remove the file to have a new one made")
	}
	return token, nil
}

func makeAdminToken(file string) (secret.Secret, error) {
	token := admin.NewToken()
	err := newPrivateFile(file, func(w io.Writer) error {
		_, err := io.WriteString(w, token.Reveal()+"\n")
		return err
	})
	if err != nil {
		return secret.Secret{}, fmt.Errorf("making the admin token: %w", err)
	}
	return token, nil
}
