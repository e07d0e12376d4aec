package cli

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"jiragate/gateway/admin/reporting"
	"jiragate/gateway/audit/checkpoint"
	"jiragate/gateway/audit/fleet"
	"jiragate/gateway/audit/report"
	"jiragate/gateway/egress/register"
	"jiragate/internal/privatefile"
	"jiragate/policy"
	"jiragate/policy/history"
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

// reportOf is where reports on these logs come from.
func (a *app) reportOf(logs []fleet.Log, keyFiles []string) reporting.Source {
	source := a.config.reportSource()
	if len(logs) == 1 {
		source.Dir = logs[0].Dir
		source.Trust = func() (*checkpoint.Trust, error) { return a.trustIn(logs[0], keyFiles) }
	} else {
		for _, l := range logs {
			source.Logs = append(source.Logs, reporting.Log{Log: l, Trust: func() (*checkpoint.Trust, error) { return a.trustIn(l, keyFiles) }})
		}
	}
	source.Policy = func(sha256 string) (*policy.Policy, error) { return policyIn(a.config, logs, sha256) }
	source.Published = func() ([]report.PublishedAddress, error) { return publishedBeside(a.config, logs) }
	return source
}

// policyIn finds a policy in the first of the logs, or here, in which it is kept as it
// was. One that was altered is found elsewhere if it can be.
func policyIn(c Config, logs []fleet.Log, sha256 string) (*policy.Policy, error) {
	histories := []*history.History{policyHistory(c)}
	for _, l := range logs {
		if !sameFile(l.Dir, c.auditDir()) {
			histories = append(histories, history.New(policiesOf(l.Dir)))
		}
	}
	var failed error
	for _, h := range histories {
		p, err := h.Get(sha256)
		if err == nil {
			return p, nil
		}
		if failed == nil || errors.Is(failed, history.ErrNotKept) {
			failed = err
		}
	}
	return nil, failed
}

// publishedBeside are the addresses of this gateway's register, and of those beside the
// logs.
func publishedBeside(c Config, logs []fleet.Log) ([]report.PublishedAddress, error) {
	list, err := publishedAddresses(c)
	for _, l := range logs {
		path := c.beside(l, c.registerFile())
		if err != nil || path == c.registerFile() {
			continue
		}
		var more []report.PublishedAddress
		more, err = publishedIn(path, string(c.Region))
		for _, p := range more {
			if !slices.Contains(list, p) {
				list = append(list, p)
			}
		}
	}
	return list, err
}

// publishedAddresses reads the register as it is on disk: it has every period, which
// the admin API's view has not.
func publishedAddresses(c Config) ([]report.PublishedAddress, error) {
	return publishedIn(c.registerFile(), string(c.Region))
}

func publishedIn(path, region string) ([]report.PublishedAddress, error) {
	r, err := register.Open(path, region)
	if err != nil {
		return nil, err
	}
	var list []report.PublishedAddress
	for _, e := range r.Entries() {
		list = append(list, report.PublishedAddress{Address: e.Address, Region: region, From: e.From, Until: e.Until})
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
