package console

import (
	"time"

	"jiragate/gateway/audit"
)

// TEMPORARY until the API's types are there.
type apiRecords struct {
	Records []audit.Record
	Next    uint64
}

type apiSeries struct {
	Since, Until, CompleteSince time.Time
	Points                      []apiPoint
}

type apiPoint struct {
	Time                                               time.Time
	Calls, Refused, Failed, RateLimited, Paced, Points int64
	P50, P95, P99                                      *float64
}
