package cli

import (
	"errors"
	"fmt"

	"jiragate/gateway/audit"
	"jiragate/gateway/audit/checkpoint"
	"jiragate/gateway/audit/fleet"
)

// verifyLogs verifies the log, or each of several.
func (a *app) verifyLogs(given, keyFiles []string, q verifyRequest) error {
	logs, err := a.logs(given)
	if err != nil {
		return err
	}
	if len(logs) == 1 && len(keyFiles) <= 1 {
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
	Status string     `json:"status"`
	Logs   []verified `json:"logs"`
}

// verifyEach goes on with the next log where one fails.
func (a *app) verifyEach(logs []fleet.Log, keyFiles []string, q verifyRequest) error {
	copies, err := a.readCheckpoints(q.copies)
	if err != nil {
		return err
	}
	trusts := make([]*checkpoint.Trust, len(logs))
	for i, l := range logs {
		if trusts[i], err = a.trustIn(l, keyFiles); err != nil {
			return err
		}
	}
	owned, err := assign(copies, logs, trusts)
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

// assign gives each checkpoint from elsewhere to the log whose keys have signed it. One
// of no log is an error: it may be of one that was left out.
func assign(copies []audit.Elsewhere, logs []fleet.Log, trusts []*checkpoint.Trust) ([][]audit.Elsewhere, error) {
	owned := make([][]audit.Elsewhere, len(logs))
	for i, l := range logs {
		if trusts[i] == nil || len(copies) == 0 {
			continue
		}
		if err := audit.Learn(l.Dir, trusts[i]); err != nil {
			return nil, fmt.Errorf("node %s: %w", l.Node, err)
		}
	}
	for _, c := range copies {
		found := false
		for i, trust := range trusts {
			if trust == nil {
				continue
			}
			// What is signed and false is for the log to fail with.
			if _, err := trust.Open(c.Signed); !errors.Is(err, checkpoint.ErrUnsigned) {
				owned[i], found = append(owned[i], c), true
			}
		}
		if !found {
			return nil, hint(fmt.Errorf("--checkpoints: %s is not signed by a key of any of the logs", c.Name), "name the log of the gateway that has signed it, too, and its public key")
		}
	}
	return owned, nil
}
