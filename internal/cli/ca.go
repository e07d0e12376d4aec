package cli

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"

	"github.com/spf13/cobra"

	"jiragate/certs"
	"jiragate/tokenstore"
)

func newCA(a *app) *cobra.Command {
	return group("ca", "CA: the root certificate that clients of the gateway trust", newCAInit(a), newCAShow(a))
}

func newCAInit(a *app) *cobra.Command {
	var (
		certFile, keyFile string
		replace           bool
	)
	cmd := &cobra.Command{
		Use:   "init",
		Short: "Make the root certificate, or bring one",
		Long: `Make the root certificate, as the gateway does at its first start; or bring one, with its key, as
PEM files. The key is stored sealed under the keyset; the files that were brought are not touched.

With --replace, the gateway may run: it signs by the new root from then on, as after jiragate reload.
Give each client the new one first, beside the old one: that is why one has to be brought.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if (certFile == "") != (keyFile == "") {
				return usage("--cert-file and --key-file go together")
			}
			if replace && certFile == "" {
				return usage("--replace needs --cert-file and --key-file")
			}
			f, err := openFoundation(cmd.Context(), a.config, commandLockTimeout, a.logger(slog.LevelWarn))
			if errors.Is(err, tokenstore.ErrLocked) && replace {
				return a.replaceLive(cmd.Context(), certFile, keyFile)
			}
			if errors.Is(err, tokenstore.ErrLocked) {
				return hint(err, "stop the gateway first, or bring a root with --replace")
			}
			if err != nil {
				return err
			}
			o := certs.Options{Dir: a.config.DataDir, Sealer: f.keys, Replace: replace}
			err = a.record(cmd.Context(), "admin.ca.init", func() error {
				if certFile == "" {
					return makeRoot(o, a.config)
				}
				return importRoot(o, certFile, keyFile)
			})
			if err = errors.Join(err, f.close()); err != nil {
				return err
			}
			return a.showRoot(asTable)
		},
	}
	cmd.Flags().StringVar(&certFile, "cert-file", "", "the certificate to bring (PEM)")
	cmd.Flags().StringVar(&keyFile, "key-file", "", "its private key (PEM, not encrypted)")
	cmd.Flags().BoolVar(&replace, "replace", false, "replace the present root; each client must then be given the new one")
	return cmd
}

// replaceLive brings a root while a gateway has the store, which puts it on record and
// in force.
func (a *app) replaceLive(ctx context.Context, certFile, keyFile string) error {
	keys, err := openKeyset(ctx, a.config, false, nil)
	if err != nil {
		return fmt.Errorf("JIRAGATE_KEY_URI: %w", err)
	}
	if err := importRoot(certs.Options{Dir: a.config.DataDir, Sealer: keys, Replace: true}, certFile, keyFile); err != nil {
		return err
	}
	done, err := a.reload(ctx)
	if err != nil {
		return hint(err, "the new root is in %s and not in force yet: jiragate reload", a.config.DataDir)
	}
	if !done.OK {
		if err := writeReloaded(a, done); err != nil {
			return err
		}
		return hint(errors.New("the new root is stored and not in force"), "see to what is broken, and then jiragate reload")
	}
	return a.showRoot(asTable)
}

func makeRoot(o certs.Options, c Config) error {
	there, err := exists(c.caFile())
	if err != nil {
		return err
	}
	if there {
		return hint(fmt.Errorf("%w: %s", certs.ErrRootExists, c.caFile()), "jiragate ca show prints it")
	}
	_, err = certs.Open(o)
	return err
}

func importRoot(o certs.Options, certFile, keyFile string) error {
	cert, err := os.ReadFile(certFile)
	if err != nil {
		return err
	}
	key, err := os.ReadFile(keyFile)
	if err != nil {
		return err
	}
	err = certs.Import(o, cert, key)
	if errors.Is(err, certs.ErrRootExists) {
		return hint(err, "--replace puts the new one in its place; each client must then be given it")
	}
	return err
}

func newCAShow(a *app) *cobra.Command {
	var output outputFormat
	cmd := &cobra.Command{
		Use:   "show",
		Short: "Print the root certificate, its fingerprint, and how a client is made to trust it",
		Args:  cobra.NoArgs,
		RunE:  func(*cobra.Command, []string) error { return a.showRoot(output) },
	}
	outputFlag(cmd, &output)
	return cmd
}

func (a *app) showRoot(output outputFormat) error {
	root, err := certs.ReadRoot(a.config.DataDir)
	if errors.Is(err, fs.ErrNotExist) {
		return hint(err, "jiragate ca init makes it, and so does jiragate serve")
	}
	if err != nil {
		return err
	}
	file, pem := a.config.caFile(), pemOf(root)
	if output == asJSON {
		return writeJSON(a.out, struct {
			File        string `json:"file"`
			Subject     string `json:"subject"`
			NotBefore   string `json:"not_before"`
			NotAfter    string `json:"not_after"`
			Fingerprint string `json:"sha256_fingerprint"`
			PEM         string `json:"pem"`
		}{file, root.Subject.String(), timeText(root.NotBefore), timeText(root.NotAfter), certs.Fingerprint(root), pem})
	}
	err = writeFields(a.out, [][2]string{
		{"file", file},
		{"subject", root.Subject.String()},
		{"valid", timeText(root.NotBefore) + " to " + timeText(root.NotAfter)},
		{"sha-256", certs.Fingerprint(root)},
	})
	if err != nil {
		return err
	}
	return a.printf("\n%s\n%s", pem, certs.TrustInstructions(file))
}
