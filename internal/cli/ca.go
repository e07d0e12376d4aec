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
	"jiragate/gateway/admin"
	"jiragate/tokenstore"
)

func newCA(a *app) *cobra.Command {
	return group("ca", "CA: the root certificate that clients of the gateway trust", newCAInit(a), newCAShow(a), newCARotate(a))
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
Give each client the new one first, beside the old one: that is why one has to be brought. A root that
the gateway has made is followed by another of its own: jiragate ca rotate.`,
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
		Short: "Print the root certificate and the next one, and how a client is made to trust them",
		Args:  cobra.NoArgs,
		RunE:  func(*cobra.Command, []string) error { return a.showRoot(output) },
	}
	outputFlag(cmd, &output)
	return cmd
}

func (a *app) showRoot(output outputFormat) error {
	root, next, err := certs.ReadRoots(a.config.DataDir)
	if errors.Is(err, fs.ErrNotExist) {
		return hint(err, "jiragate ca init makes it, and so does jiragate serve")
	}
	if err != nil {
		return err
	}
	file, roots := a.config.caFile(), adminRoots(root, next)
	bundle, nextFile := roots.Present.PEM, ""
	if next != nil {
		bundle, nextFile = bundle+roots.Next.PEM, a.config.file("ca-next.pem")
	}
	if output == asJSON {
		shown := rootsShown{File: file, CARoot: roots.Present, Next: roots.Next}
		shown.PEM = bundle
		return writeJSON(a.out, shown)
	}
	fields := [][2]string{
		{"file", file},
		{"subject", roots.Present.Subject},
		{"valid", roots.Present.NotBefore + " to " + roots.Present.NotAfter},
		{"sha-256", roots.Present.Fingerprint},
	}
	if next != nil {
		fields = append(fields,
			[2]string{"next", "prepared; it signs after jiragate ca rotate"},
			[2]string{"next subject", roots.Next.Subject},
			[2]string{"next valid", roots.Next.NotBefore + " to " + roots.Next.NotAfter},
			[2]string{"next sha-256", roots.Next.Fingerprint})
	}
	if err := writeFields(a.out, fields); err != nil {
		return err
	}
	return a.printf("\n%s\n%s", bundle, certs.TrustInstructions(file, nextFile))
}

// rootsShown are the root that signs, with what the file of both holds, and the next.
type rootsShown struct {
	File string `json:"file"`
	admin.CARoot
	Next *admin.CARoot `json:"next,omitempty"`
}
