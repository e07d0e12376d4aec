package cli

import (
	"encoding/base64"
	"errors"
	"fmt"
	"iter"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"jiragate/gateway/audit"
	"jiragate/gateway/audit/checkpoint"
	"jiragate/gateway/audit/report"
	"jiragate/internal/privatefile"
	"jiragate/policy"
	"jiragate/policy/history"
)

func (a *app) reportRecords(in report.Input) iter.Seq2[audit.Entry, error] {
	return audit.Query(a.config.auditDir(), audit.Filter{Since: in.From, Until: in.Until, Connection: in.Connection})
}

// verifiedRecords leaves out what was written after the verification, as long as that
// found nothing: a gateway that runs goes on writing.
func verifiedRecords(all iter.Seq2[audit.Entry, error], v report.Verification) iter.Seq2[audit.Entry, error] {
	return func(yield func(audit.Entry, error) bool) {
		for e, err := range all {
			if err == nil && v.OK && e.Seq > v.Last {
				continue
			}
			if !yield(e, err) {
				return
			}
		}
	}
}

// survey is what the records tell of the connection.
type survey struct {
	edition, region string   // of the last record that has them
	editions        []string // all of them
	policies        []policyUse
}

// policyUse is when a policy decided.
type policyUse struct {
	sha256      string
	from, until time.Time
}

// maxPolicies bounds the policies of one month; further ones are not known to the
// report, which says so of each of their calls.
const maxPolicies = 1000

func surveyRecords(records iter.Seq2[audit.Entry, error]) (survey, error) {
	var s survey
	at := map[string]int{}
	for e, err := range records {
		if _, ok := errors.AsType[*audit.DefectError](err); ok {
			continue // counted later
		}
		if err != nil {
			return s, err
		}
		if e.Edition != "" {
			s.edition, s.region = e.Edition, e.Region
			if !slices.Contains(s.editions, e.Edition) {
				s.editions = append(s.editions, e.Edition)
			}
		}
		// Acts of administration carry the policy in force, and are not decided by it.
		if e.PolicySHA256 == "" || e.IsAct() {
			continue
		}
		i, ok := at[e.PolicySHA256]
		if !ok && len(s.policies) < maxPolicies {
			i = len(s.policies)
			at[e.PolicySHA256] = i
			s.policies = append(s.policies, policyUse{e.PolicySHA256, e.Time, e.Time})
		} else if !ok {
			continue
		}
		p := &s.policies[i]
		if e.Time.Before(p.from) {
			p.from = e.Time
		}
		if e.Time.After(p.until) {
			p.until = e.Time
		}
	}
	return s, nil
}

// policyLoad is a policy that came into force.
type policyLoad struct {
	at     time.Time
	sha256 string
}

// policyLoads reads which policies came into force in the month, in order.
func (a *app) policyLoads(in report.Input) ([]policyLoad, error) {
	all := audit.Query(a.config.auditDir(), audit.Filter{Since: in.From, Until: in.Until, Operation: operationLoadPolicy, Decision: audit.DecisionAllow})
	var loads []policyLoad
	for e, err := range verifiedRecords(all, in.Verification) {
		if _, ok := errors.AsType[*audit.DefectError](err); ok {
			continue // counted elsewhere
		}
		if err != nil {
			return nil, err
		}
		if e.IsAct() && e.PolicySHA256 != "" && len(loads) < maxPolicies {
			loads = append(loads, policyLoad{e.Time, e.PolicySHA256})
		}
	}
	return loads, nil
}

// policyLookup finds the policy with a hash, as [history.History.Get] does.
type policyLookup func(hash string) (*policy.Policy, error)

// policiesInForce resolves the policies that decided calls of the connection or came
// into force, each once, and says what changed from one to the next.
func policiesInForce(connection, edition string, s survey, loads []policyLoad, lookup policyLookup) ([]report.PolicyInForce, error) {
	if len(s.editions) == 0 {
		s.editions = []string{edition}
	}
	var editions []policy.Edition
	for _, name := range s.editions {
		e, err := policy.ParseEdition(name)
		if err != nil {
			return nil, fmt.Errorf("the records of the connection %s: %w", connection, err)
		}
		editions = append(editions, e)
	}
	uses := slices.Clone(s.policies)
	for _, l := range loads {
		if !slices.ContainsFunc(uses, func(u policyUse) bool { return u.sha256 == l.sha256 }) {
			uses = append(uses, policyUse{l.sha256, l.at, l.at})
		}
	}
	slices.SortStableFunc(uses, func(a, b policyUse) int { return a.from.Compare(b.from) })
	found := map[string]*policy.Policy{}
	var list []report.PolicyInForce
	for _, use := range uses {
		in := report.PolicyInForce{SHA256: use.sha256, From: use.from, Until: use.until}
		p, err := lookup(use.sha256)
		switch {
		case errors.Is(err, history.ErrAltered):
			in.Missing, in.Altered = true, true
		case errors.Is(err, history.ErrNotKept), errors.Is(err, policy.ErrArchive): // or made for another program
			in.Missing = true
		case err != nil:
			return nil, fmt.Errorf("the policy %s: %w", use.sha256, err)
		default:
			found[use.sha256] = p
			in.Version = p.Version()
			for _, e := range editions {
				in.Operations = append(in.Operations, p.OperationsFor(connection, e)...)
			}
		}
		list = append(list, in)
	}
	addChanges(list, connection, s, loads, found)
	return list, nil
}

// addChanges says of each policy what changed whenever it came into force.
func addChanges(list []report.PolicyInForce, connection string, s survey, loads []policyLoad, found map[string]*policy.Policy) {
	before := ""
	if len(s.policies) > 0 && (len(loads) == 0 || s.policies[0].from.Before(loads[0].at)) {
		before = s.policies[0].sha256
	}
	for _, l := range loads {
		i := slices.IndexFunc(list, func(p report.PolicyInForce) bool { return p.SHA256 == l.sha256 })
		if before != "" && before != l.sha256 {
			text := fmt.Sprintf("From %s, in place of %.8s: ", l.at.UTC().Format("2 January 15:04:05 UTC"), before)
			list[i].Changes = append(list[i].Changes, text+changesFor(connection, found[before], found[l.sha256]))
		}
		before = l.sha256
	}
}

func changesFor(connection string, from, to *policy.Policy) string {
	if from == nil || to == nil {
		return "what changed is not known, since one of the two is not kept."
	}
	var texts []string
	for _, c := range policy.DiffFor(connection, from, to) {
		texts = append(texts, c.Text)
	}
	if len(texts) == 0 {
		return "nothing changed for this connection."
	}
	return strings.Join(texts, "; ") + "."
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

// reportVerification verifies the whole log with its checkpoints, and puts what was
// found into in. A log that fails is no error: the report says so.
func (a *app) reportVerification(in *report.Input) error {
	trust, err := a.trust("")
	if err != nil {
		return err
	}
	dir := a.config.auditDir()
	found, err := audit.Verify(dir, audit.VerifyOptions{Trust: trust})
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
		for e, err := range audit.Query(dir, audit.Filter{}) { // the first record is the oldest
			if err == nil {
				v.RetainedSince = e.Time
			}
			break
		}
	}
	in.Verification = v
	return nil
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
