package cli

import (
	"errors"
	"fmt"
	"io"
	"strconv"

	"github.com/spf13/cobra"

	"jiragate/gateway/audit"
	"jiragate/gateway/audit/checkpoint"
)

func newAuditProve(a *app) *cobra.Command {
	var dir, keyFile, out string
	cmd := &cobra.Command{
		Use:   "prove SEQ",
		Short: "Make a proof that a call record is in the log, which is checked without the log",
		Long: `Make a proof that the record with this seq is in the log: the record, the path of hashes from it to the
head of the Merkle tree, and a signed checkpoint of that head, in the form of C2SP tlog-proof. Whoever has
the public key checks it offline, with audit verify --proof or another implementation. It shows nothing
of other records.`,
		Example: `  jiragate audit prove 4711 --out 4711.tlog-proof`,
		Args:    cobra.ExactArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			seq, err := strconv.ParseUint(args[0], 10, 64)
			if err != nil || seq == 0 {
				return usage("SEQ %q is no number from 1: it is the seq of a record, see audit query --output json", args[0])
			}
			if dir == "" {
				dir = a.config.auditDir()
			}
			trust, err := a.trust(keyFile)
			if err != nil {
				return err
			}
			if trust == nil {
				return hint(errors.New("there is no audit key, and without one no checkpoint"), "the gateway makes the key when it first starts; is JIRAGATE_DATA_DIR the right directory?")
			}
			p, err := audit.Prove(dir, seq, trust)
			if errors.Is(err, audit.ErrNotCovered) {
				return hint(err, "a gateway that runs makes a checkpoint within a second")
			}
			if err != nil {
				return auditError(err)
			}
			if out == "" {
				_, err := a.out.Write(p.Marshal())
				return err
			}
			return newFile(out, 0o600, func(w io.Writer) error {
				_, err := w.Write(p.Marshal())
				return err
			})
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&dir, "log", "", "directory of the audit log (default: audit in the data directory)")
	flags.StringVar(&keyFile, "public-key", "", "file with the public keys to trust (default: those of audit-key.json in the data directory)")
	flags.StringVar(&out, "out", "", "file for the proof (default: standard output)")
	return cmd
}

// proven is a checked proof as JSON.
type proven struct {
	Status string `json:"status"` // "ok"
	Seq    uint64 `json:"seq"`
	Origin string `json:"origin"`
	Size   uint64 `json:"checkpointed"` // records that the checkpoint covers
	Record string `json:"record"`       // the line
}

func (a *app) verifyProof(file string, q verifyRequest) error {
	text, err := a.readInput(file)
	if err != nil {
		return fmt.Errorf("--proof: %w", err)
	}
	trust, err := a.trust(q.keyFile)
	if err != nil {
		return err
	}
	if trust == nil {
		return usage("a proof is checked with the public key of the log: give --public-key")
	}
	p, err := checkpoint.ParseProof(text)
	if err != nil {
		return fmt.Errorf("--proof: %w", err)
	}
	c, err := p.Verify(trust)
	if err != nil {
		return fmt.Errorf("the proof does not hold: %w", err)
	}
	r, err := audit.ParseLine(p.Line)
	if err == nil && r.Seq != p.Index+1 {
		err = fmt.Errorf("its seq is %d, at place %d", r.Seq, p.Index+1)
	}
	if err != nil {
		return fmt.Errorf("what is proven to be in the log is no call record: %w", err)
	}
	if q.output == asJSON {
		return writeJSON(a.out, proven{"ok", r.Seq, c.Origin, c.Size, string(p.Line)})
	}
	return writeFields(a.out, [][2]string{
		{"result", "ok: the record is in the log"},
		{"log", c.Origin},
		{"record", fmt.Sprintf("%d of %d that the checkpoint covers", r.Seq, c.Size)},
		{"line", string(p.Line)},
	})
}
