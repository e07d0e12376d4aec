package pace

import "time"

const (
	// minPause is the shortest pause after a 429, whatever it says.
	minPause = time.Second
	// maxPause is the longest. The longest that Atlassian documents lasts until the
	// next UTC hour. Who asks for more is asked again after an hour, by one
	// slotful of calls; a nonsensical value costs no more than that hour.
	maxPause = time.Hour
	// maxHolds bounds the endpoints and resources of one connection that are
	// paused by themselves. One more pauses the connection.
	maxHolds = 64
	// maxFieldLines bounds how many lines of one header field are looked at.
	maxFieldLines = 8
	// maxFieldBytes bounds what is read of a field line.
	maxFieldBytes = 1 << 10

	// maxConnections bounds the connections known.
	maxConnections = 1 << 16
	// forgetAfter is how long a connection without calls is remembered.
	forgetAfter = time.Hour
	// tidyEvery is how often those are looked for: often enough that one is gone
	// soon, seldom enough that looking at all of them costs nothing.
	tidyEvery = time.Minute

	// busyRetry is what a call is told that found no slot: when one comes free is
	// not known.
	busyRetry = time.Second

	// The largest values of Options. They keep arithmetic far from overflow.
	maxRate      = 1e6 // requests a second
	minRate      = 1. / 3600
	maxBurst     = 1_000_000
	maxAppPoints = 1_000_000 // Atlassian's highest tier has 500,000
)
