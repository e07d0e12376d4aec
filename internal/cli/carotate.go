package cli

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"

	"github.com/spf13/cobra"

	"jiragate/gateway/admin"
)

const caPath = "/v1/ca"

func newCARotate(a *app) *cobra.Command {
	var prepare bool
	var rotation admin.CARotation
	cmd := &cobra.Command{
		Use:   "rotate",
		Short: "Have the next root sign, which was prepared, and destroy the old one's key",
		Long: `Have the prepared root sign from now on. The private key of the old one is destroyed, and ca.pem holds
the new one alone. The gateway may run: open tunnels go on, and new ones are under the new root.

Each client must trust the new root by then. Prepare it, and give ca.pem, which holds both until the
rotation, to every client. Gateways that share a store need ca-next-key.pem, and jiragate reload, too;
then rotate on each.

With --at-once, a root is made and used that no client trusts: each is refused until it has the new
ca.pem. That is for a key that was stolen. One that is prepared is given up, since its key lay beside
the stolen one. A root that was brought is followed by one that is brought: jiragate ca init --replace.`,
		Example: `  jiragate ca rotate --prepare
  jiragate ca rotate`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if prepare {
				return a.prepareRoot(cmd.Context())
			}
			return a.rotateRoot(cmd.Context(), rotation)
		},
	}
	cmd.Flags().BoolVar(&prepare, "prepare", false, "only make the next root, for every client to trust it first; the next ca rotate has it sign")
	cmd.Flags().BoolVar(&rotation.AtOnce, "at-once", false, "make a root and use it, although no client trusts it: their calls fail until they have the new ca.pem")
	cmd.MarkFlagsMutuallyExclusive("prepare", "at-once")
	return cmd
}

// prepareRoot makes the next root, and says how it becomes the one that signs.
func (a *app) prepareRoot(ctx context.Context) error {
	var roots admin.CARoots
	err := a.withSession(ctx, existingStore, func(s *session) error {
		return s.call(ctx, http.MethodPost, caPath+"/prepare", nil, &roots)
	})
	if err != nil {
		return err
	}
	c := &a.config
	steps := []string{
		fmt.Sprintf("give %s to every client: it holds both roots (%s is for Java's keytool)", escapeText(c.caFile()), escapeText(c.file("ca-next.pem"))),
		"jiragate ca rotate, when each client has it",
	}
	if c.Store.shared() {
		steps = slices.Insert(steps, 0, fmt.Sprintf("copy %s to every gateway that shares the store, and jiragate reload there", escapeText(c.file("ca-next-key.pem"))))
		steps[2] = "jiragate ca rotate on each gateway, when each client has it"
	}
	text := fmt.Sprintf("the next root is prepared; it signs nothing yet\nsha-256  %s\n", roots.Next.Fingerprint)
	for i, step := range steps {
		text += fmt.Sprintf("%d. %s\n", i+1, step)
	}
	return a.printf("%s", text)
}

// rotateRoot has the next root sign.
func (a *app) rotateRoot(ctx context.Context, rotation admin.CARotation) error {
	body, err := json.Marshal(rotation)
	if err != nil {
		return err
	}
	var before, roots admin.CARoots
	err = a.withSession(ctx, existingStore, func(s *session) error {
		if err := s.call(ctx, http.MethodGet, caPath, nil, &before); err != nil {
			return err
		}
		return s.call(ctx, http.MethodPost, caPath+"/rotate", body, &roots)
	})
	if err != nil {
		return err
	}
	bundle, shared := escapeText(a.config.caFile()), a.config.Store.shared()
	text := fmt.Sprintf("the new root signs, and the key of the old one is destroyed\nsha-256  %s\n", roots.Present.Fingerprint)
	switch prepared := before.Next != nil; {
	case prepared && shared:
		text += "jiragate ca rotate on the other gateways, too; until then, give clients the file with both roots\n"
	case prepared:
		text += bundle + " holds it alone; clients need the old one no more\n"
	case shared:
		text += fmt.Sprintf("copy %s and %s to every gateway that shares the store, and jiragate reload there\n", escapeText(a.config.file("ca-key.pem")), bundle)
		fallthrough
	default:
		text += fmt.Sprintf("no client trusts it yet: give %s to each, whose calls fail until then\n", bundle)
	}
	return a.printf("%s", text)
}
