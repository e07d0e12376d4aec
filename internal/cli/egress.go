package cli

import (
	"encoding/json"
	"net/http"
	"time"

	"github.com/spf13/cobra"

	"jiragate/gateway/admin"
	"jiragate/gateway/egress"
)

func newEgress(a *app) *cobra.Command {
	return group("egress", "Egress: the addresses from which calls leave",
		newEgressList(a), newEgressVerify(a), newEgressPublish(a), newEgressAnnounce(a), newEgressRetire(a))
}

func newEgressList(a *app) *cobra.Command {
	var output outputFormat
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List the region's egress addresses",
		Long: `List the egress addresses of the region, those that customers put on their allowlists: what leads to
each (a local address that sockets are bound to, or a provider's proxy), since when and until when calls
come from it, whether it works, and whether calls were seen to come from it. No address means that calls
leave unpinned.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			var view admin.EgressView
			err := a.withSession(cmd.Context(), noStore, func(s *session) error {
				return s.call(cmd.Context(), http.MethodGet, "/v1/egress", nil, &view)
			})
			if err != nil {
				return err
			}
			if output == asJSON {
				return writeJSON(a.out, view)
			}
			var rows [][]string
			unpinned := true
			for _, e := range view.Addresses {
				unpinned = unpinned && !e.Configured
				rows = append(rows, []string{view.Region, e.Public, way(e), e.State, optionalTime(e.From), optionalTime(e.Until), works(e), e.Verified})
			}
			if unpinned {
				rows = append([][]string{{view.Region, "unpinned", "the system's choice", "", "", "", "", ""}}, rows...)
			}
			return writeTable(a.out, []string{"REGION", "PUBLIC", "BY", "STATE", "FROM", "UNTIL", "UP", "VERIFIED"}, rows)
		},
	}
	outputFlag(cmd, &output)
	return cmd
}

func way(e admin.EgressAddress) string {
	switch {
	case e.Proxy != "":
		return e.Proxy
	case e.Local != "":
		return e.Local
	}
	return "not configured"
}

func optionalTime(t *time.Time) string {
	if t == nil {
		return ""
	}
	return timeText(*t)
}

func works(e admin.EgressAddress) string {
	switch {
	case e.Up == nil:
		return ""
	case *e.Up:
		return "yes"
	}
	return "no"
}

func newEgressVerify(a *app) *cobra.Command {
	var request admin.VerifyRequest
	var output outputFormat
	cmd := &cobra.Command{
		Use:   "verify",
		Short: "Verify that calls leave from the published addresses",
		Long: `Ask echo services, which tell from where they were called, through each configured egress address,
those only announced included, and compare what they saw with the address that is published. The exit
status is 1 unless every address is verified: at least one service answered, and all that did saw it.`,
		Example: `  jiragate egress verify
  jiragate egress verify --service https://checkip.amazonaws.com --output json`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			body, err := json.Marshal(request)
			if err != nil {
				return err
			}
			var report admin.EgressReport
			err = a.withSession(cmd.Context(), freshStore, func(s *session) error {
				return s.call(cmd.Context(), http.MethodPost, "/v1/egress/verify", body, &report)
			})
			if err != nil {
				return err
			}
			if output == asJSON {
				err = writeJSON(a.out, report)
			} else {
				err = writeTable(a.out, []string{"PUBLIC", "VERDICT", "SERVICE", "SAW"}, proofRows(report))
			}
			if err != nil {
				return err
			}
			for _, p := range report.Addresses {
				if p.Verdict != verdictVerified {
					return errReported
				}
			}
			return nil
		},
	}
	cmd.Flags().StringArrayVar(&request.Services, "service", nil, "an echo service to ask, an https URL; may be repeated (default: JIRAGATE_EGRESS_ECHO)")
	outputFlag(cmd, &output)
	return cmd
}

const verdictVerified = "verified"

func proofRows(report admin.EgressReport) [][]string {
	var rows [][]string
	for _, p := range report.Addresses {
		for i, answer := range p.Answers {
			row := []string{p.Public, p.Verdict, answer.Service, answer.Seen}
			if answer.Error != "" {
				row[3] = answer.Error
			}
			if i > 0 {
				row[0], row[1] = "", ""
			}
			rows = append(rows, row)
		}
	}
	return rows
}

const announceHelp = `
What is announced is published at once, with its date: see egress publish. The date is RFC 3339, as
2026-12-15T00:00:00Z; without one, it is now. Every change is kept in the history, and is an audit record.`

func newEgressAnnounce(a *app) *cobra.Command {
	return newEgressChange(a, "announce", "from", "Announce an egress address before it is used",
		`Announce that calls come from ADDRESS from a date on, so that customers can allow it before. Until then
no call leaves from it, also where it is configured; on the date it comes into use by itself. An address
that is configured and was never announced is in use, and published, from the first start on.
`+announceHelp, `  jiragate egress announce 52.54.159.237 --from 2026-12-15T00:00:00Z`)
}

func newEgressRetire(a *app) *cobra.Command {
	return newEgressChange(a, "retire", "until", "Announce the end of an egress address",
		`Announce that calls come from ADDRESS until a date. From then on no call leaves from it, also where it
is still configured, until it is announced again.
`+announceHelp, `  jiragate egress retire 52.54.159.237 --until 2027-01-31T00:00:00Z`)
}

func newEgressChange(a *app, verb, flag, short, long, example string) *cobra.Command {
	var date string
	var output outputFormat
	cmd := &cobra.Command{
		Use:     verb + " ADDRESS",
		Short:   short,
		Long:    long,
		Example: example,
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			var request admin.EgressDate
			if date != "" {
				effective, err := time.Parse(time.RFC3339, date)
				if err != nil {
					return usage("--%s: %q is not RFC 3339, as 2026-12-15T00:00:00Z", flag, date)
				}
				request.Effective = &effective
			}
			address, err := egress.ParsePublic(args[0])
			if err != nil {
				return usage("%q: %v", args[0], err)
			}
			body, err := json.Marshal(request)
			if err != nil {
				return err
			}
			var done admin.EgressChange
			err = a.withSession(cmd.Context(), existingStore, func(s *session) error {
				return s.call(cmd.Context(), http.MethodPost, "/v1/egress/addresses/"+address.String()+"/"+verb, body, &done)
			})
			if err != nil {
				return err
			}
			if output == asJSON {
				return writeJSON(a.out, done)
			}
			return a.printf("calls come from %s %s %s\n", done.Address, flag, timeText(done.Effective))
		},
	}
	cmd.Flags().StringVar(&date, flag, "", "when, RFC 3339 (default: now)")
	outputFlag(cmd, &output)
	return cmd
}
