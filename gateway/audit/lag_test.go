package audit

import (
	"testing"
	"testing/synctest"
	"time"
)

// Lag follows records to the disk and under a checkpoint.
func TestLag(t *testing.T) {
	dir := auditDir(t)
	synctest.Test(t, func(t *testing.T) {
		l := mustOpen(t, Options{Dir: dir, Sync: SyncBatch, Signer: newTestSigner(t, 1)})
		defer mustClose(t, l)
		if lag := l.Lag(); lag != (Lag{}) {
			t.Errorf("lag of an empty log: %+v", lag)
		}
		mustAppend(t, l, refusal())
		if lag := l.Lag(); lag.Records != 1 || lag.Unproven != 1 || lag.Unsynced == 0 || lag.Unwritten != 0 || !lag.Checkpointed.IsZero() {
			t.Errorf("lag of a new record: %+v", lag)
		}
		time.Sleep(2 * checkpointInterval)
		synctest.Wait()
		first := l.Lag()
		if first.Records != 1 || first.Unproven != 0 || first.Unsynced != 0 || first.Checkpointed.IsZero() {
			t.Errorf("lag after the checkpoint: %+v", first)
		}
		time.Sleep(time.Hour) // nothing to sign
		if lag := l.Lag(); lag != first {
			t.Errorf("lag after an hour of silence: %+v, before %+v", lag, first)
		}
		mustAppend(t, l, refusal())
		time.Sleep(2 * checkpointInterval)
		synctest.Wait()
		if lag := l.Lag(); lag.Records != 2 || lag.Unproven != 0 || lag.Checkpointed.Sub(first.Checkpointed) < time.Hour {
			t.Errorf("lag after another record: %+v, before %+v", lag, first)
		}
	})
}
