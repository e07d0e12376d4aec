package cli

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"strings"

	"jiragate/gateway/admin"
	"jiragate/tokenstore/secret"
)

// openAdminToken reads the bearer token of the admin API, which is made where
// there is none.
func openAdminToken(file string, logger *slog.Logger) (secret.Secret, error) {
	b, err := os.ReadFile(file)
	if errors.Is(err, fs.ErrNotExist) {
		return makeAdminToken(file)
	}
	if err != nil {
		return secret.Secret{}, fmt.Errorf("reading the admin token: %w", err)
	}
	if info, err := os.Stat(file); err == nil && info.Mode().Perm()&0o077 != 0 {
		logger.Warn("the admin token can be read by other users", "file", file, "mode", info.Mode().Perm().String(),
			"hint", "chmod 600, and if others may have read it, remove the file and restart to have a new one")
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
