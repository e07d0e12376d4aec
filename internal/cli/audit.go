package cli

import (
	"errors"
	"io/fs"

	"github.com/spf13/cobra"
)

func newAudit(a *app) *cobra.Command {
	return group("audit", "Audit: the call records",
		newAuditQuery(a), newAuditActivity(a), newAuditReindex(a), newAuditReport(a), newAuditVerify(a), newAuditProve(a), newAuditKey(a), newAuditNodes(a), newAuditPseudonym(a))
}

func auditError(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return hint(err, "the gateway makes the log when it first starts; is JIRAGATE_DATA_DIR the right directory?")
	}
	return err
}
