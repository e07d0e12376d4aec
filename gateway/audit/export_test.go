package audit

import (
	"syscall"
	"testing"
	"time"
)

// Tidy does at once what is otherwise done each minute: it compresses what is closed.
func (l *Log) Tidy() { l.keeper.tidy() }

// ProcessorTime is what the process has used of the processors so far.
func ProcessorTime(b *testing.B) time.Duration {
	b.Helper()
	var used syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &used); err != nil {
		b.Fatal(err)
	}
	return time.Duration(used.Utime.Nano() + used.Stime.Nano())
}

// compressSegment is compressSegmentResting without a rest.
func compressSegment(fsys fileSystem, dir string, s segment) error {
	return compressSegmentResting(fsys, dir, s, func() {})
}
