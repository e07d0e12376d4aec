package cli

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"jiragate/gateway/admin/reporting"
	"jiragate/gateway/audit/report"
	"jiragate/internal/privatefile"
)

// reportSource is where reports come from, but for what the admin API tells.
func (c Config) reportSource() reporting.Source {
	return reporting.Source{
		Dir:       c.auditDir(),
		Trust:     c.trust,
		Policy:    policyHistory(c).Get,
		Published: func() ([]report.PublishedAddress, error) { return publishedAddresses(c) },
		Version:   programVersion().Version,
	}
}

// publishedAddresses reads the register as it is on disk: it has every period, which
// the admin API's view has not.
func publishedAddresses(c Config) ([]report.PublishedAddress, error) {
	r, err := openRegister(c)
	if err != nil {
		return nil, err
	}
	var list []report.PublishedAddress
	for _, e := range r.Entries() {
		list = append(list, report.PublishedAddress{Address: e.Address, Region: string(c.Region), From: e.From, Until: e.Until})
	}
	return list, nil
}

// refuseReportFiles fails where a file of a report is there already: one that was
// handed out is not replaced.
func refuseReportFiles(dir string) error {
	for _, name := range []string{report.PageName, report.CSVName, report.JSONName, report.ChecksumsName, report.SignedName} {
		there, err := exists(filepath.Join(dir, name))
		if err != nil {
			return fmt.Errorf("writing the report: %w", err)
		}
		if there {
			return hint(fmt.Errorf("%s is there already", filepath.Join(dir, name)), "a report is not written over another: name a new directory")
		}
	}
	return nil
}

// writeReport writes all files or, as far as it can, none. The signature comes last.
func (a *app) writeReport(dir string, f *reportFiles) (err error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("writing the report: %w", err)
	}
	var written []string
	defer func() {
		if err != nil {
			for _, path := range written {
				err = errors.Join(err, os.Remove(path))
			}
		}
	}()
	for _, file := range []struct {
		name    string
		content []byte
	}{{report.PageName, f.page}, {report.CSVName, f.csv}, {report.JSONName, f.json}, {report.ChecksumsName, f.sums}, {report.SignedName, f.signed}} {
		path := filepath.Join(dir, file.name)
		if err := privatefile.Create(path, file.content); err != nil {
			return fmt.Errorf("writing the report: %w", err)
		}
		written = append(written, path)
	}
	return a.printf("%d files are in %s\n", len(written), dir)
}
