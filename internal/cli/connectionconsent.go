package cli

import (
	"encoding/json"
	"net/http"
	"time"

	"github.com/spf13/cobra"

	"jiragate/gateway/admin"
)

func newConnectionConsent(a *app) *cobra.Command {
	var (
		link   linkFlags
		output outputFormat
	)
	cmd := &cobra.Command{
		Use:   "consent ID",
		Short: "Make a link by which an administrator of the connection's Jira consents, again or for the first time",
		Long: `Make a link by which an administrator of the connection's Jira consents: for the first time, because
the grant ends, or because it is gone. A link that was made before for the same connection ends. Calls
go on with the grant that there is until the new one takes its place.

Whoever has the link can connect a Jira. Send it to the administrator alone.`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			body, err := json.Marshal(admin.NewConsentLink{ExpiresIn: int64(link.expiresIn / time.Second)})
			if err != nil {
				return err
			}
			var invited admin.Invited
			err = a.withSession(cmd.Context(), existingStore, func(s *session) error {
				return s.call(cmd.Context(), http.MethodPost, connectionPath(args[0], "consent"), body, &invited)
			})
			if err != nil {
				return err
			}
			if output == asJSON {
				return writeJSON(a.out, invited)
			}
			return a.writeInvited(invited, "can be consented to")
		},
	}
	link.addTo(cmd)
	outputFlag(cmd, &output)
	return cmd
}

// linkFlags are about a link to a consent.
type linkFlags struct {
	expiresIn time.Duration
}

func (f *linkFlags) addTo(cmd *cobra.Command) {
	cmd.Flags().DurationVar(&f.expiresIn, "link-expires-in", 0, "how long the link to the consent is good, as 72h; at most 720h (default: 168h)")
}

// writeInvited tells what the administrator of Jira is to do.
func (a *app) writeInvited(i admin.Invited, what string) error {
	if err := a.printf("connection %s %s, and waits for the consent of an administrator of its Jira\n", i.ID, what); err != nil {
		return err
	}
	if i.PublicKey != "" {
		if err := a.printf("in Jira, make an application link with this incoming authentication:\n"+
			"  consumer key  %s\n  callback URL  %s\n  public key\n%s", escapeText(i.ConsumerKey), escapeText(i.CallbackURL), i.PublicKey); err != nil {
			return err
		}
	}
	return a.printf("until %s, open in a browser:\n  %s\n", timeText(i.ConsentExpiresAt), escapeText(i.ConsentURL))
}
