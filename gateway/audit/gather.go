package audit

import (
	"runtime"
	"sync"
)

// Calls that are at work in the same moment share a system call: each puts its line
// where the others find it and gives them a turn, and who is back first writes all. No
// method returns before its line is written.

const (
	// maxGathered is when, in bytes, lines are written though more are waiting. More at
	// once gains nothing, and there is that much less to take back.
	maxGathered = 64 << 10
	// patientWrites is after how many writes of a single line it is taken that nobody
	// else is at work. Among busy calls, some meet nobody.
	patientWrites = 4
	// lonelyTurn is how seldom a turn is given then: it wakes another thread of the
	// program, which costs as much as a write.
	lonelyTurn = 16
)

// turns decides whether others get a turn before a line is written.
type turns struct {
	alone int // writes of a single line since the last of several
}

// give lets others go on, who may put a line beside the one of the caller. The caller
// holds mu, which it gives up meanwhile.
func (t *turns) give(mu *sync.Mutex) {
	if !t.due() {
		return
	}
	mu.Unlock()
	runtime.Gosched() // nothing, if nobody waits for a processor
	mu.Lock()
}

func (t *turns) due() bool { return t.alone < patientWrites || t.alone%lonelyTurn == 0 }

// wrote takes notice of how many lines came together.
func (t *turns) wrote(lines int) {
	if lines > 1 {
		t.alone = 0
		return
	}
	t.alone++
}
