package cli

import (
	"context"
	"fmt"

	"jiragate/gateway/audit"
	"jiragate/gateway/audit/checkpoint"
	"jiragate/gateway/audit/fleet"
)

// verifyLogs verifies the log, or each of several.
func (a *app) verifyLogs(ctx context.Context, given, keyFiles []string, q verifyRequest) error {
	// Before the logs are looked at: what a gateway publishes meanwhile is not asked for.
	all, err := a.readEvidence(ctx, q.copies)
	if err != nil {
		return err
	}
	logs, err := a.logs(given)
	if err != nil {
		return err
	}
	q.evidence = all
	if len(logs) == 1 && len(keyFiles) <= 1 && !all.asked {
		q.dir = logs[0].Dir
		if len(keyFiles) == 1 {
			q.keyFile = keyFiles[0]
		}
		return a.verifyLog(q)
	}
	return a.verifyEach(logs, keyFiles, q)
}

// oneLog is for what is about one log.
func oneLog(logs, keyFiles []string) (dir, keyFile string, err error) {
	switch {
	case len(logs) > 1:
		return "", "", usage("a proof or a report is of one log: give --log once")
	case len(keyFiles) > 1:
		return "", "", usage("a proof or a report is signed with the key of one gateway: give --public-key once")
	}
	if len(logs) == 1 {
		dir = logs[0]
	}
	if len(keyFiles) == 1 {
		keyFile = keyFiles[0]
	}
	return dir, keyFile, nil
}

// verifiedLogs is the result for several logs as JSON. Status is "failed" if one is.
type verifiedLogs struct {
	Status string       `json:"status"`
	Logs   []verified   `json:"logs"`
	Absent []absentNode `json:"absent,omitempty"` // nodes of which no log was given
}

// verifyEach goes on with the next log where one fails.
func (a *app) verifyEach(logs []fleet.Log, keyFiles []string, q verifyRequest) error {
	trusts := make([]*checkpoint.Trust, len(logs))
	for i, l := range logs {
		var err error
		if trusts[i], err = a.trustIn(l, keyFiles); err != nil {
			return err
		}
	}
	owned, absent, err := q.evidence.assign(logs, trusts)
	if err != nil {
		return err
	}
	all := verifiedLogs{Status: "ok", Logs: []verified{}}
	for i, l := range logs {
		report, err := audit.Verify(l.Dir, audit.VerifyOptions{Trust: trusts[i], Checkpoints: owned[i]})
		v := newVerified(report, trusts[i], err)
		if v.Node == "" {
			v.Node = l.Node
		}
		all.Logs = append(all.Logs, v)
		if err != nil {
			all.Status = "failed"
			a.report(fmt.Errorf("node %s: %w", v.Node, verifyError(report, err)))
		} else if trusts[i] == nil {
			a.warn("node " + v.Node + ": there is no audit key, so no checkpoint was checked: nothing shows where the log ends, or that it was not chained afresh as a whole")
		}
	}
	for _, l := range absent {
		all.Absent = append(all.Absent, newAbsentNode(l))
		if l.Retired != nil {
			a.warn(retiredText(l))
			continue
		}
		all.Status = "failed"
		a.report(absentError(l))
	}
	if err := a.writeVerifiedLogs(all, q.output); err != nil {
		return err
	}
	if all.Status != "ok" {
		return errReported
	}
	return nil
}

func (a *app) writeVerifiedLogs(all verifiedLogs, output outputFormat) error {
	if output == asJSON {
		return writeJSON(a.out, all)
	}
	for i, v := range all.Logs {
		if i > 0 {
			if err := a.printf("\n"); err != nil {
				return err
			}
		}
		if err := a.writeVerified(v); err != nil {
			return err
		}
	}
	return nil
}
