package audit

import "time"

// Lag is how far the log is behind what has happened.
type Lag struct {
	Records   uint64 // in the log
	Unproven  uint64 // records that no checkpoint covers yet
	Unwritten int    // records of finished calls that could not be written yet
	Unsynced  int64  // bytes of records that are not known to be on disk yet
	// Checkpointed is when this process signed a checkpoint last, which it does once
	// as it opens the log, and then when there are records; zero without a Signer.
	Checkpointed time.Time
}

// Lag tells how far the log is behind. It waits for no disk.
func (l *Log) Lag() Lag {
	records, covered := l.Checkpoint()
	lag := Lag{Records: records, Unproven: records - covered, Unwritten: l.health.unwritten()}
	if made := l.attester.made.Load(); made != 0 {
		lag.Checkpointed = time.Unix(0, made)
	}
	if f := l.chain.newest(); f != nil {
		lag.Unsynced = f.unsynced()
	}
	return lag
}
