package reporting

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"time"

	"jiragate/gateway/audit"
	"jiragate/gateway/audit/checkpoint"
	"jiragate/gateway/audit/fleet"
	"jiragate/gateway/audit/report"
	"jiragate/policy"
)

// OperationLoadPolicy is that of the record of a policy which comes into force.
const OperationLoadPolicy = "admin.policy.load"

// Log is the log of one of several gateways.
type Log struct {
	fleet.Log
	// Trust gives the public keys that its checkpoints are believed from, as that of a
	// [Source].
	Trust func() (*checkpoint.Trust, error)
	// Checkpoints of this log that were kept elsewhere.
	Checkpoints []audit.Elsewhere
}

// Source is where the input of reports comes from. All fields are needed but Logs.
type Source struct {
	Dir string // of the audit log
	// Trust gives the public keys that checkpoints are believed from, new ones each
	// time: those that they have endorsed are added.
	Trust func() (*checkpoint.Trust, error)
	// Policy finds a policy by its hash, with the errors of package history.
	Policy    func(sha256 string) (*policy.Policy, error)
	Published func() ([]report.PublishedAddress, error)
	// Connection tells of what edition and region a connection is that no record of
	// the month tells of.
	Connection func(ctx context.Context, id string) (edition, region string, err error)
	// Keys are the public audit keys, in the form of signed notes, the newest last.
	Keys    func(ctx context.Context) ([]string, error)
	Version string // of the program

	// Logs are given in place of Dir and Trust where the report is of the logs of
	// several gateways, as [fleet.Open] gives them.
	Logs []Log
	// Absent are gateways that are known to have a log which is not among Logs.
	Absent []report.Absent
}

// Make makes the report on a month that has begun by now. It reads the whole log, and
// the records of the connection several times: the verification and the policies must
// be known before the calls are held against them. It ends soon after ctx.
func (s *Source) Make(ctx context.Context, about report.About, now time.Time) (*report.Report, error) {
	from, until, err := report.Month(about.Month)
	if err != nil {
		return nil, err
	}
	in := report.Input{Connection: about.Connection, From: from, Until: until, Made: now, Version: s.Version, Absent: s.Absent}
	if err := s.verify(ctx, &in); err != nil {
		return nil, err
	}
	seen, err := surveyRecords(s.records(ctx, in))
	if err != nil {
		return nil, err
	}
	in.Edition, in.Region = seen.edition, seen.region
	if in.Edition == "" {
		if in.Edition, in.Region, err = s.Connection(ctx, in.Connection); err != nil {
			return nil, err
		}
	}
	loads, err := s.policyLoads(ctx, in)
	if err != nil {
		return nil, err
	}
	if in.Policies, err = policiesInForce(in.Connection, in.Edition, seen, loads, s.Policy); err != nil {
		return nil, err
	}
	if in.Published, err = s.Published(); err != nil {
		return nil, err
	}
	if in.Keys, err = s.Keys(ctx); err != nil {
		return nil, err
	}
	return report.Collect(in, s.records(ctx, in))
}

// records are those of the report.
func (s *Source) records(ctx context.Context, in report.Input) iter.Seq2[audit.Entry, error] {
	return s.query(ctx, in, audit.Filter{Connection: in.Connection})
}

// query gives the records of the month that f lets through, as far as they were
// verified.
func (s *Source) query(ctx context.Context, in report.Input, f audit.Filter) iter.Seq2[audit.Entry, error] {
	f.Since, f.Until = in.From, in.Until
	if len(s.Logs) == 0 {
		return verifiedRecords(ctx, audit.Query(s.Dir, f), in.Verification)
	}
	found := map[string]report.Verification{}
	var logs []fleet.Log
	for i, l := range s.Logs {
		found[l.Node] = in.Logs[i].Verification
		logs = append(logs, l.Log)
	}
	return fleet.Merge(logs, 0, func(l fleet.Log) iter.Seq2[audit.Entry, error] {
		return verifiedRecords(ctx, audit.Query(l.Dir, f), found[l.Node])
	})
}

// verifiedRecords leaves out what was written after the verification, as long as that
// found nothing: a gateway that runs goes on writing. They end with ctx.
func verifiedRecords(ctx context.Context, all iter.Seq2[audit.Entry, error], v report.Verification) iter.Seq2[audit.Entry, error] {
	return func(yield func(audit.Entry, error) bool) {
		for e, err := range all {
			if ctx.Err() != nil {
				yield(audit.Entry{}, ctx.Err())
				return
			}
			if err == nil && v.OK && e.Seq > v.Last {
				continue
			}
			if !yield(e, err) {
				return
			}
		}
	}
}

// verify verifies the whole log with its checkpoints, or each of several, and puts what
// was found into in. A log that fails is no error: the report says so.
func (s *Source) verify(ctx context.Context, in *report.Input) (err error) {
	if len(s.Logs) == 0 {
		in.Verification, in.Checkpoint, err = verifyLog(ctx, s.Dir, s.Trust, nil)
		return err
	}
	for _, l := range s.Logs {
		r := report.Log{Node: l.Node}
		r.Verification, r.Checkpoint, err = verifyLog(ctx, l.Dir, l.Trust, l.Checkpoints)
		if _, unread := errors.AsType[*fs.PathError](err); err != nil && (unread || ctx.Err() != nil) {
			return fmt.Errorf("node %s: %w", l.Node, err)
		}
		if err != nil { // such as a checkpoint that is none: no reason to be silent about the others
			r.Verification.OK, r.Verification.Failure = false, err.Error()
		}
		if r.First, r.Last, err = ends(l.Dir); err != nil {
			return fmt.Errorf("node %s: %w", l.Node, err)
		}
		in.Logs = append(in.Logs, r)
	}
	return nil
}

// ends are the times of the oldest and the newest record of a log; zero where there is
// none. Lines that are no records are passed over.
func ends(dir string) (first, last time.Time, err error) {
	for e, err := range audit.Query(dir, audit.Filter{}) {
		if _, damaged := errors.AsType[*audit.DefectError](err); damaged {
			continue
		}
		if err != nil {
			return first, last, err
		}
		first, last = e.Time, e.Time
		break
	}
	const enough = 100 // damaged lines at the end are few
	for e, err := range audit.Query(dir, audit.Filter{Limit: enough}) {
		if _, damaged := errors.AsType[*audit.DefectError](err); damaged {
			continue
		}
		if err != nil {
			return first, last, err
		}
		if e.Time.After(last) {
			last = e.Time
		}
	}
	return first, last, nil
}

// verifyLog verifies one log, and gives its newest checkpoint, too.
func verifyLog(ctx context.Context, dir string, trustOf func() (*checkpoint.Trust, error), elsewhere []audit.Elsewhere) (v report.Verification, newest []byte, err error) {
	trust, err := trustOf()
	if err != nil {
		return v, nil, err
	}
	found, err := audit.Verify(dir, audit.VerifyOptions{Trust: trust, Checkpoints: elsewhere, Stop: ctx.Err})
	v = report.Verification{
		OK: err == nil, Segments: found.Segments, Last: found.Records, Head: found.Head,
		CheckpointSize: found.Checkpointed, UnsignedTail: found.Records - found.Checkpointed,
		RetainedFrom: found.First,
	}
	if found.First > 0 {
		v.Records = found.Records - found.First + 1
	}
	if found.Newest != nil {
		c, err := trust.Open(found.Newest)
		if err != nil {
			return v, nil, err
		}
		v.CheckpointRoot = base64.StdEncoding.EncodeToString(c.Root[:])
		v.Signed = trust.Signers(found.Newest)
		newest = found.Newest
	}
	_, isDefect := errors.AsType[*audit.DefectError](err)
	if isDefect || errors.Is(err, audit.ErrNoCheckpoint) || errors.Is(err, audit.ErrUncovered) || errors.Is(err, checkpoint.ErrUnsigned) {
		v.Failure, err = err.Error(), nil
	}
	if err != nil {
		return v, nil, err
	}
	if v.RetainedFrom > 1 {
		for e, err := range audit.Query(dir, audit.Filter{}) { // the first record is the oldest
			if err == nil {
				v.RetainedSince = e.Time
			}
			break
		}
	}
	return v, newest, nil
}
