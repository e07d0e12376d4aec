package cli

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"jiragate/gateway/admin/reporting"
	"jiragate/gateway/audit"
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
func (a *app) reportOf(logs []fleet.Log, keyFiles []string, e evidence) (reporting.Source, error) {
	source := a.config.reportSource()
	plain := len(logs) == 1 && !e.asked && len(e.copies) == 0
	owned := make([][]audit.Elsewhere, len(logs))
	if !plain {
		var err error
		if owned, err = a.evidenceOf(logs, keyFiles, e, &source); err != nil {
			return source, err
		}
	}
	if plain {
		source.Dir = logs[0].Dir
		source.Trust = func() (*checkpoint.Trust, error) { return a.trustIn(logs[0], keyFiles) }
	} else {
		for i, l := range logs {
			source.Logs = append(source.Logs, reporting.Log{Log: l, Checkpoints: owned[i], Trust: func() (*checkpoint.Trust, error) { return a.trustIn(l, keyFiles) }})
		}
	}
	source.Policy = func(sha256 string) (*policy.Policy, error) { return policyIn(a.config, logs, sha256) }
	source.Published = func() ([]report.PublishedAddress, error) { return publishedBeside(a.config, logs) }
	return source, nil
}

// evidenceOf gives the checkpoints from elsewhere to the logs, which it names, and tells the
// source which logs are absent.
func (a *app) evidenceOf(logs []fleet.Log, keyFiles []string, e evidence, source *reporting.Source) ([][]audit.Elsewhere, error) {
	if !e.asked && len(e.copies) == 0 {
		return make([][]audit.Elsewhere, len(logs)), nil
	}
	trusts := make([]*checkpoint.Trust, len(logs))
	for i, l := range logs {
		var err error
		if trusts[i], err = a.trustIn(l, keyFiles); err != nil {
			return nil, err
		}
		if logs[i].Node == "" && trusts[i] != nil {
			logs[i].Node = cmp.Or(checkpoint.Node(trusts[i].Name()), trusts[i].Name())
		}
	}
	owned, absent, err := e.assign(logs, trusts)
	for _, l := range absent {
		source.Absent = append(source.Absent, report.Absent{Node: l.Node, Size: l.Newest.Size, Published: l.Newest.Published, Retired: l.Retired != nil})
	}
	return owned, err
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
