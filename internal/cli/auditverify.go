package cli

import (
	"errors"
	"fmt"
	"strconv"

	"github.com/spf13/cobra"

	"jiragate/gateway/audit"
	"jiragate/gateway/audit/checkpoint"
	"jiragate/gateway/audit/offsite"
)

func newAuditVerify(a *app) *cobra.Command {
	var (
		v               verifyRequest
		proof, document string
		logs, keyFiles  []string
	)
	cmd := &cobra.Command{
		Use:   "verify",
		Short: "Check that no call record was changed, removed, added or moved",
		Long: `Read all call records and check each line, the chain that runs through them, the Merkle tree over them,
and that this tree is the one of every signed checkpoint. The first record that was changed, removed,
added or moved is named, and the exit code is 1.

The public key is enough: from the data directory, or the file that --public-key names, with one key a
line as audit key prints it. Keys that a trusted one has endorsed are trusted, too. --checkpoints names
a directory with copies of checkpoints, such as JIRAGATE_AUDIT_CHECKPOINT_TO fills: with them even who
holds the key can't have rewritten the past.

--checkpoints store takes those that all gateways have published in the store that they share: each node that
has published needs a log here, which holds all that was published of it. Copy the logs after that, or take
the checkpoints first, with audit nodes --export DIR, and name DIR: a copy that is older lacks records.

With --log for each of several gateways, each log is verified by itself. Its keys are those of the file,
among the ones that --public-key names, of which one has signed its newest checkpoint; without such files
those of audit-key.json in the directory around the log. The checkpoints of all of them may be in one directory. It is
told whose log it is, and that two are copies of one log is an error.

With --proof, it is checked offline that one record was in the log; audit prove makes the proof. With
--report, the signature of a page of audit report is checked. Where the key was rotated since you were given
it, --log names a copy of the log, whose endorsements of later keys are read.`,
		Example: `  jiragate audit verify
  jiragate audit verify --log ./audit --public-key audit-key.txt --checkpoints /mnt/worm/checkpoints
  jiragate audit verify --log a=/srv/a/audit --log b=/srv/b/audit --public-key a.txt --public-key b.txt
  jiragate audit verify --log /srv/a/audit --log /srv/b/audit --checkpoints store
  jiragate audit verify --proof 4711.tlog-proof --public-key audit-key.txt`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if proof == "" && document == "" {
				return a.verifyLogs(cmd.Context(), logs, keyFiles, v)
			}
			var err error
			if v.dir, v.keyFile, err = oneLog(logs, keyFiles); err != nil {
				return err
			}
			if proof != "" {
				return a.verifyProof(proof, v)
			}
			return a.verifyReport(document, v)
		},
	}
	flags := cmd.Flags()
	logsFlag(cmd, &logs)
	flags.StringArrayVar(&keyFiles, "public-key", nil, "file with the public keys to trust of one log (default: those of audit-key.json in the data directory); may be given several times")
	flags.StringArrayVar(&v.copies, "checkpoints", nil, checkpointsUsage)
	flags.StringVar(&proof, "proof", "", "check this proof instead of the log; - is standard input")
	flags.StringVar(&document, "report", "", "check this page of audit report instead of the log; - is standard input")
	cmd.MarkFlagsMutuallyExclusive("proof", "report", "checkpoints")
	outputFlag(cmd, &v.output)
	return cmd
}

type verifyRequest struct {
	dir, keyFile string
	copies       []string
	evidence     evidence // what copies name
	output       outputFormat
}

// verified is the result as JSON. Status is "ok" or "failed"; Error says why, and
// the place is in Segment, Line and Record.
type verified struct {
	Node         string   `json:"node,omitempty"` // whose log it is, if it is named
	Status       string   `json:"status"`
	Error        string   `json:"error,omitempty"`
	Segment      string   `json:"segment,omitempty"`
	Line         int      `json:"line,omitempty"`
	Record       uint64   `json:"record,omitempty"` // seq of the first that fails
	Segments     int      `json:"segments"`
	Records      uint64   `json:"records"`
	First        uint64   `json:"first"`
	Last         uint64   `json:"last"`
	Head         string   `json:"head"`
	Unfinished   int64    `json:"unfinished_bytes"`
	Checkpoints  int      `json:"checkpoints"`
	Outdated     int      `json:"outdated_checkpoints"`
	Checkpointed uint64   `json:"checkpointed"` // seq of the last record that a checkpoint covers
	Keys         []string `json:"keys"`
}

func newVerified(r audit.Report, trust *checkpoint.Trust, err error) verified {
	v := verified{
		Node: checkpoint.Node(r.Origin), Status: "ok", Segments: r.Segments, First: r.First, Last: r.Records, Head: r.Head, Unfinished: r.Unfinished,
		Checkpoints: r.Checkpoints, Outdated: r.Outdated, Checkpointed: r.Checkpointed, Keys: []string{},
	}
	if r.First > 0 {
		v.Records = r.Records - r.First + 1
	}
	if trust != nil {
		v.Keys = trust.Verifiers()
	}
	if err != nil {
		v.Status, v.Error = "failed", err.Error()
	}
	if defect, ok := errors.AsType[*audit.DefectError](err); ok {
		v.Segment, v.Line, v.Record = defect.Segment, defect.Line, defect.Seq
	}
	return v
}

func (a *app) verifyLog(q verifyRequest) error {
	if q.dir == "" {
		q.dir = a.config.auditDir()
	}
	trust, err := a.trust(q.keyFile)
	if err != nil {
		return err
	}
	copies := q.evidence.copies
	if trust == nil && len(copies) > 0 {
		return usage("--checkpoints needs the public key that has signed them: give --public-key")
	}
	report, err := audit.Verify(q.dir, audit.VerifyOptions{Trust: trust, Checkpoints: copies})
	if q.output == asJSON {
		if err := writeJSON(a.out, newVerified(report, trust, err)); err != nil {
			return err
		}
	}
	if err != nil {
		return verifyError(report, err)
	}
	if trust == nil {
		a.warn("there is no audit key, so no checkpoint was checked: nothing shows where the log ends, or that it was not chained afresh as a whole")
	}
	if q.output == asJSON {
		return nil
	}
	return a.writeVerified(newVerified(report, trust, nil))
}

func verifyError(report audit.Report, err error) error {
	if _, ok := errors.AsType[*audit.DefectError](err); ok {
		return fmt.Errorf("the audit log fails after %d good records: %w", newVerified(report, nil, nil).Records, err)
	}
	switch {
	case errors.Is(err, audit.ErrNoCheckpoint):
		return hint(err, "a gateway that runs makes one within a second; were the .checkpoint files removed?")
	case errors.Is(err, checkpoint.ErrUnsigned):
		return hint(err, "is it the right public key? After a rotation, give the first one: the others follow from it")
	}
	return auditError(err)
}

func (a *app) writeVerified(v verified) error {
	fields := [][2]string{
		{"node", v.Node},
		{"result", v.Status},
		{"records", strconv.FormatUint(v.Records, 10)},
		{"segments", strconv.Itoa(v.Segments)},
		{"head", v.Head},
	}
	if v.First > 1 {
		fields = append(fields, [2]string{"first", fmt.Sprintf("%d; older records were removed by retention, on record", v.First)})
	}
	if len(v.Keys) > 0 {
		fields = append(fields,
			[2]string{"checkpoints", strconv.Itoa(v.Checkpoints)},
			[2]string{"covered", fmt.Sprintf("up to record %d; behind it %d", v.Checkpointed, v.Last-v.Checkpointed)})
	}
	if v.Outdated > 0 {
		fields = append(fields, [2]string{"outdated", fmt.Sprintf("%d checkpoints are of records that retention removed", v.Outdated)})
	}
	for _, key := range v.Keys {
		fields = append(fields, [2]string{"key", key})
	}
	return writeFields(a.out, fields)
}

// trustFor are the keys to check a document with: those of q, and what they have
// endorsed according to the log that q names.
func (a *app) trustFor(q verifyRequest, what string) (*checkpoint.Trust, error) {
	trust, err := a.trust(q.keyFile)
	if err != nil {
		return nil, err
	}
	if trust == nil {
		return nil, usage("%s is checked with the public key of the log: give --public-key", what)
	}
	if q.dir != "" {
		return trust, audit.Learn(q.dir, trust)
	}
	return trust, nil
}

// keyHint is for a document that no trusted key has signed.
const keyHint = "is it the right public key? If it was rotated since, give the newer one, or with --log a copy of the log, in which the older key endorses it"

// trust are the public keys of the file, or those of the data directory; nil if
// there are none.
func (a *app) trust(file string) (*checkpoint.Trust, error) {
	if file != "" {
		text, err := a.readInput(file)
		if err != nil {
			return nil, fmt.Errorf("--public-key: %w", err)
		}
		trust, err := checkpoint.ReadTrust(text)
		if err != nil {
			return nil, hint(fmt.Errorf("--public-key: %w", err), "jiragate audit key prints the public keys, one a line")
		}
		return trust, nil
	}
	return a.config.trust()
}

// trust are the public keys of the data directory; nil if there are none.
func (c Config) trust() (*checkpoint.Trust, error) {
	return trustFrom(c.auditKeyFile())
}

// readCheckpoints reads the copies in dirs. One that a crash cut short proves nothing,
// and can't be taken away where the storage is write-once: it is passed over.
func (a *app) readCheckpoints(dirs []string) ([]audit.Elsewhere, error) {
	var all []audit.Elsewhere
	for _, dir := range dirs {
		found, err := offsite.ReadDir(dir)
		if err != nil {
			return nil, fmt.Errorf("--checkpoints: %w", err)
		}
		before := len(all)
		for _, f := range found {
			switch {
			case errors.Is(f.Err, offsite.ErrMalformed):
				a.warn(fmt.Sprintf("passed over: %v", f.Err))
			case f.Err != nil:
				return nil, fmt.Errorf("--checkpoints: %w", f.Err)
			default:
				all = append(all, audit.Elsewhere{Name: strconv.Quote(f.Path), Signed: f.Bytes})
			}
		}
		if len(all) == before {
			return nil, fmt.Errorf("--checkpoints: there is no whole .checkpoint file in %q", dir)
		}
	}
	return all, nil
}
