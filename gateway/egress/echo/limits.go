package echo

import "time"

// Every bound of the package. A round takes at most askTimeout for each
// maxAsking questions.
const (
	// askTimeout is for one question, from lookup to the end of the answer.
	askTimeout = 10 * time.Second
	// maxAsking is how many questions are under way at a time.
	maxAsking = 8

	// maxBody is how long an answer may be, in bytes. Most have 15.
	maxBody = 64 << 10
	// maxSnippet is how many bytes of an answer an error quotes.
	maxSnippet = 48
	// maxCause is how many bytes of a transport's error an error repeats.
	maxCause = 256
	// maxNamed is how many addresses that differ are named in one error.
	maxNamed = 8

	// maxServices is how many services may be named, maxURL how long the URL of
	// each may be, in bytes.
	maxServices = 8
	maxURL      = 512
	// maxAddresses is how many addresses one round verifies.
	maxAddresses = 256

	// A Monitor verifies every defaultInterval unless told otherwise. More often
	// than minInterval is not polite to services that are free of charge, and
	// less often than maxInterval proves little.
	defaultInterval = 10 * time.Minute
	minInterval     = time.Minute
	maxInterval     = 24 * time.Hour
)
