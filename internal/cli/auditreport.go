package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"jiragate/gateway/admin"
	"jiragate/gateway/admin/reporting"
	"jiragate/gateway/audit/report"
)

func newAuditReport(a *app) *cobra.Command {
	var about report.About
	var format, dir string
	var given, keyFiles, elsewhere []string
	cmd := &cobra.Command{
		Use:   "report",
		Short: "Make the document for a customer's auditor: what was promised, and what happened",
		Long: `Make the report on one connection and one month, in UTC: the documented operations with the calls made of
each, what was refused and why, the addresses that calls left from, acts of administration, the policies in
force, and what the verification of the log has found. What is not as promised is on top.

The page (html) is one file, and ends in a signature by the audit key (jiragate audit key); it says how to
check it. The csv holds counts for pivot tables, the json all that the page says; these two are signed only
with --dir, which writes all three, with SHA256SUMS and SHA256SUMS.note. The exit code is 1 if the report
has an alert.

With --checkpoints, the logs are compared with checkpoints that were kept elsewhere, as by audit verify; of store, a
node that has published and has no log here is an alert.

With --log for each of several gateways, it is of all of their logs. Each is verified by itself, with the keys
that audit verify would take for it, and the page says with which, where one fails, and where one
has nothing of a part of the month. The policies are those kept in any of the logs. The addresses are those that
this gateway has published, and those in egress-addresses.json beside a log. It is signed by this gateway.`,
		Example: `  jiragate audit report --month 2026-11 --connection acme > acme-2026-11.html
  jiragate audit report --month 2026-11 --connection acme --dir acme-2026-11
  jiragate audit report --month 2026-11 --connection acme --log /srv/a/audit --log /srv/b/audit > acme.html`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			now := time.Now()
			from, _, err := report.Month(about.Month)
			switch {
			case about.Month == "":
				return usage("--month is needed, as 2026-11")
			case about.Connection == "":
				return usage("--connection is needed")
			case err != nil:
				return usage("--month: %v", err)
			case from.After(now):
				return usage("--month: %s has not begun", about.Month)
			case !slices.Contains([]string{"html", "csv", "json"}, format):
				return usage("--format: %q is unknown; use html, csv or json", format)
			case dir != "" && cmd.Flags().Changed("format"):
				return usage("--dir writes every format; leave --format out")
			}
			if dir != "" {
				if err := refuseReportFiles(dir); err != nil {
					return err
				}
			}
			var files *reportFiles
			var r *report.Report
			copies, err := a.readEvidence(cmd.Context(), elsewhere)
			if err != nil {
				return err
			}
			logs, err := a.logs(given)
			if err != nil {
				return err
			}
			source, err := a.reportOf(logs, keyFiles, copies)
			if err != nil {
				return err
			}
			err = a.withSession(cmd.Context(), existingStore, func(s *session) error {
				if r, err = a.makeReport(cmd.Context(), s, source, about, now); err != nil {
					return err
				}
				if files, err = newReportFiles(r); err == nil && (dir != "" || format == "html") {
					err = files.seal(cmd.Context(), s, r)
				}
				if err == nil && dir != "" {
					err = files.signChecksums(cmd.Context(), s)
				}
				return err
			})
			unsigned := errors.Is(err, errNotSigned)
			if unsigned {
				a.report(fmt.Errorf("alert: %w", err))
			}
			switch {
			case unsigned && dir != "":
				return errors.New("a report that is not signed is not filed; without --dir it is written to the output")
			case err != nil && !unsigned:
				return err
			case dir != "":
				err = a.writeReport(dir, files)
			default:
				_, err = a.out.Write(files.named(format))
			}
			if err != nil {
				return err
			}
			return a.reportAlerts(r)
		},
	}
	cmd.Flags().StringVar(&about.Month, "month", "", "the month, in UTC, as 2026-11")
	cmd.Flags().StringVar(&about.Connection, "connection", "", "the connection")
	cmd.Flags().StringVar(&format, "format", "html", "html, csv or json, written to the output")
	cmd.Flags().StringVar(&dir, "dir", "", "a directory that gets a file of each format, and their signed checksums")
	logsFlag(cmd, &given)
	cmd.Flags().StringArrayVar(&elsewhere, "checkpoints", nil, checkpointsUsage)
	cmd.Flags().StringArrayVar(&keyFiles, "public-key", nil, "file with the public keys to trust of one log (default: those of audit-key.json in the data directory); may be given several times")
	return cmd
}

// reportAlerts repeats the alerts where whoever has made the report sees them.
func (a *app) reportAlerts(r *report.Report) error {
	alerts := false
	for _, f := range r.Findings {
		if f.Level == report.LevelAlert {
			a.report(fmt.Errorf("alert, %s: %s", f.Code, f.Text))
			alerts = true
		}
	}
	if alerts {
		return errReported
	}
	return nil
}

// makeReport asks the admin API for what is not in files.
func (a *app) makeReport(ctx context.Context, s *session, source reporting.Source, about report.About, now time.Time) (*report.Report, error) {
	source.Connection = func(ctx context.Context, id string) (edition, region string, err error) {
		var c admin.Connection
		err = s.call(ctx, http.MethodGet, "/v1/connections/"+id, nil, &c)
		return c.Edition, c.Region, err
	}
	source.Keys = func(ctx context.Context) ([]string, error) {
		var key admin.AuditKey
		err := s.call(ctx, http.MethodGet, "/v1/audit/key", nil, &key)
		return key.Verifiers, err
	}
	r, err := source.Make(ctx, about, now)
	return r, auditError(err)
}

// reportFiles are the formats of one report.
type reportFiles struct {
	page, csv, json []byte
	sums, signed    []byte
}

// newReportFiles makes the formats, none of them signed.
func newReportFiles(r *report.Report) (*reportFiles, error) {
	var page, csv bytes.Buffer
	err := errors.Join(r.WriteHTML(&page), r.WriteCSV(&csv))
	if err != nil {
		return nil, err
	}
	f := &reportFiles{page: page.Bytes(), csv: csv.Bytes()}
	f.json, err = r.JSON()
	return f, err
}

// errNotSigned says that a page could not be sealed, and says so itself.
var errNotSigned = errors.New("the report is not signed")

// seal signs the page. Where the log takes no record of that, the page stays unsigned
// and the error is errNotSigned.
func (f *reportFiles) seal(ctx context.Context, s *session, r *report.Report) error {
	about := report.About{Connection: r.Connection, Month: r.Month}
	sealed, err := report.Seal(f.page, about, func([]byte) ([]byte, error) {
		// The API makes the text itself, and Seal compares.
		return signReport(ctx, s, "signature", admin.ReportToSign{Connection: r.Connection, Month: r.Month, SHA256: report.HashesOf(f.page, nil, nil).Page})
	})
	if p, ok := errors.AsType[*admin.Problem](err); ok && p.Code == admin.CodeRecordUnavailable {
		// Signing is an act on record, and this log takes none: it may be the very one
		// that the report says was altered.
		r.Unsigned = true
		var page bytes.Buffer
		if err := r.WriteHTML(&page); err != nil {
			return err
		}
		f.page = page.Bytes()
		return fmt.Errorf("%w: %w", errNotSigned, err)
	}
	if err == nil {
		f.page = sealed
	}
	return err
}

// signChecksums signs the checksums of all formats, the page sealed.
func (f *reportFiles) signChecksums(ctx context.Context, s *session) (err error) {
	hashes := report.HashesOf(f.page, f.csv, f.json)
	if f.sums, err = report.Checksums(hashes); err != nil {
		return err
	}
	f.signed, err = signReport(ctx, s, "checksums", admin.ReportFiles{HTML: hashes.Page, CSV: hashes.CSV, JSON: hashes.JSON})
	return err
}

func signReport(ctx context.Context, s *session, route string, request any) ([]byte, error) {
	body, err := json.Marshal(request)
	if err != nil {
		return nil, err
	}
	var answer admin.SignedNote
	err = s.call(ctx, http.MethodPost, "/v1/audit/report/"+route, body, &answer)
	return []byte(answer.Note), err
}

func (f *reportFiles) named(format string) []byte {
	return map[string][]byte{"html": f.page, "csv": f.csv, "json": f.json}[format]
}
