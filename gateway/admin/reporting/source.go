package reporting

import (
	"context"
	"encoding/base64"
	"errors"
	"iter"
	"time"

	"jiragate/gateway/audit"
	"jiragate/gateway/audit/checkpoint"
	"jiragate/gateway/audit/report"
	"jiragate/policy"
)

// OperationLoadPolicy is that of the record of a policy which comes into force.
const OperationLoadPolicy = "admin.policy.load"

// Source is where the input of reports comes from. All fields are needed.
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
}

// Make makes the report on a month that has begun by now. It reads the whole log, and
// the records of the connection several times: the verification and the policies must
// be known before the calls are held against them. It ends soon after ctx.
func (s *Source) Make(ctx context.Context, about report.About, now time.Time) (*report.Report, error) {
	from, until, err := report.Month(about.Month)
	if err != nil {
		return nil, err
	}
	in := report.Input{Connection: about.Connection, From: from, Until: until, Made: now, Version: s.Version}
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
	all := audit.Query(s.Dir, audit.Filter{Since: in.From, Until: in.Until, Connection: in.Connection})
	return verifiedRecords(ctx, all, in.Verification)
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

// verify verifies the whole log with its checkpoints, and puts what was
// found into in. A log that fails is no error: the report says so.
func (s *Source) verify(ctx context.Context, in *report.Input) error {
	trust, err := s.Trust()
	if err != nil {
		return err
	}
	found, err := audit.Verify(s.Dir, audit.VerifyOptions{Trust: trust, Stop: ctx.Err})
	v := report.Verification{
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
			return err
		}
		v.CheckpointRoot = base64.StdEncoding.EncodeToString(c.Root[:])
		v.Signed = trust.Signers(found.Newest)
		in.Checkpoint = found.Newest
	}
	_, isDefect := errors.AsType[*audit.DefectError](err)
	if isDefect || errors.Is(err, audit.ErrNoCheckpoint) || errors.Is(err, checkpoint.ErrUnsigned) {
		v.Failure, err = err.Error(), nil
	}
	if err != nil {
		return err
	}
	if v.RetainedFrom > 1 {
		for e, err := range audit.Query(s.Dir, audit.Filter{}) { // the first record is the oldest
			if err == nil {
				v.RetainedSince = e.Time
			}
			break
		}
	}
	in.Verification = v
	return nil
}
