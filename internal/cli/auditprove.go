package cli

import (
	"errors"
	"io"
	"strconv"

	"github.com/spf13/cobra"

	"jiragate/gateway/audit"
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
