package audit

import "time"

const (
	// restPerWork is how long compression rests for its work: it takes a tenth of one
	// processor, and less of one that is busy with other things. That is more than calls
	// need: at 10,000 a second, a segment of 64 MiB closes every nine seconds and takes
	// half a second of a processor.
	restPerWork = 9
	// longestRest bounds a rest after work that the disk held up.
	longestRest = 100 * time.Millisecond
	// maxWaiting bounds the closed segments that wait to be compressed slowly. Of more,
	// one is compressed after the other without a rest.
	maxWaiting = 16
)

// pace makes a long work in small pieces take a part of a processor only, so that calls
// do not notice it.
type pace struct {
	stop    <-chan struct{} // no rest any more
	resumed time.Time
}

func newPace(stop <-chan struct{}) *pace { return &pace{stop, time.Now()} }

// rest is called after each piece.
func (p *pace) rest() {
	worked := time.Since(p.resumed)
	select {
	case <-p.stop:
	case <-time.After(min(restPerWork*worked, longestRest)):
	}
	p.resumed = time.Now()
}
