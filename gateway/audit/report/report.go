package report

import "time"

// More stands in the place of a name where so many different ones came that the
// rest are counted together.
const More = "(more)"

// Report is what [Collect] found. Written as JSON, its keys are stable; times are
// RFC 3339 in UTC, counts are numbers of records, and lists are never null. It is
// for reading only and may be written from many goroutines.
type Report struct {
	Format     string    `json:"format"` // FormatName
	Connection string    `json:"connection"`
	Edition    string    `json:"edition"`
	Region     string    `json:"region"`
	Month      string    `json:"month"` // "2026-11"
	From       time.Time `json:"from"`
	Until      time.Time `json:"until"` // exclusive
	Made       time.Time `json:"made"`
	Complete   bool      `json:"complete"` // the month was over when the report was made
	Version    string    `json:"jiragate_version"`

	Headline []string  `json:"headline"` // sentences
	Findings []Finding `json:"findings"`
	Totals   Totals    `json:"totals"`
	Days     []Day     `json:"days"` // each day of the month

	Operations []Operation `json:"operations"` // each documented one, and each other that was allowed
	Refusals   []Refusal   `json:"refusals"`   // by code, most first
	Addresses  []Address   `json:"egress_addresses"`
	Clients    []Client    `json:"clients"`
	Acts       []Act       `json:"acts"` // at most MaxActs, oldest first; Totals.Acts counts all
	Unknown    []Call      `json:"outcome_unknown"`
	Policies   []Policy    `json:"policies"`
	Published  []Published `json:"published_addresses"`

	Verification Verified `json:"verification"`
	Checkpoint   string   `json:"checkpoint"` // a C2SP note, verbatim; empty where there is none
	// Logs are there where the report is of the logs of several gateways. Verification
	// has the sums then, and of what is of one log nothing; Checkpoint is empty.
	Logs []VerifiedLog `json:"logs,omitempty"`

	Keys   []string `json:"keys"`
	Limits []string `json:"limits"` // what the report can't show

	// Unsigned makes a page that says that it is not signed.
	Unsigned bool `json:"-"`

	cells []cell
}

// NewestKey is the key that signs; empty if there is none.
func (r *Report) NewestKey() string {
	if len(r.Keys) == 0 {
		return ""
	}
	return r.Keys[len(r.Keys)-1]
}

// FormatName is the Format of a [Report]; it changes when a key changes its meaning.
const FormatName = "jiragate audit report 1"

// Bounds of what is listed. The rest is counted.
const (
	MaxActs     = 10000
	maxUnknown  = 1000
	maxNames    = 1000 // different codes, clients, addresses, operations
	maxCells    = 100000
	maxExamples = 5 // records named in a finding
)

// Finding is something that is not as promised, or can't be shown to be.
type Finding struct {
	Code    string   `json:"code"`  // one of the Finding… constants
	Level   string   `json:"level"` // LevelAlert or LevelNotice
	Text    string   `json:"text"`
	Count   uint64   `json:"count"`   // calls; 0 where it is not about calls
	Records []string `json:"records"` // ids of the first call records concerned
}

// Levels of findings.
const (
	LevelAlert  = "alert"  // the promise was broken, or the log fails
	LevelNotice = "notice" // something can't be shown
)

// Totals are the counts of the whole month.
type Totals struct {
	Calls       uint64 `json:"calls"` // Allowed + Refused
	Allowed     uint64 `json:"allowed"`
	Refused     uint64 `json:"refused"`
	Failed      uint64 `json:"failed"` // of those allowed: with a status of 400 or more, or without an answer
	Left        uint64 `json:"left"`   // of those allowed: an egress address is on record
	Interrupted uint64 `json:"interrupted"`
	Unknown     uint64 `json:"outcome_unknown"` // interrupted, or writes that may or may not have been carried out
	Reported    uint64 `json:"reported"`        // a rule in mode report would have refused them
	Acts        uint64 `json:"acts"`
	BytesIn     int64  `json:"bytes_in"`  // of bodies of requests, allowed calls
	BytesOut    int64  `json:"bytes_out"` // of bodies of answers, allowed calls
	Damaged     uint64 `json:"damaged_lines"`
}

// Day is the calls of a day, in UTC.
type Day struct {
	Day     string `json:"day"` // "2026-11-30"
	Allowed uint64 `json:"allowed"`
	Refused uint64 `json:"refused"`
}

// Operation is a row of the table that was promised, with what happened.
type Operation struct {
	ID         string  `json:"id"`
	Edition    string  `json:"edition"`
	Documented bool    `json:"documented"` // in the table of a policy that was in force
	Enabled    bool    `json:"enabled"`    // for this connection, by any of them
	Purpose    string  `json:"purpose"`
	Method     string  `json:"method"`
	Path       string  `json:"path"`
	When       string  `json:"when"` // the query that tells it from others
	Scope      string  `json:"scope"`
	Allowed    uint64  `json:"allowed"`
	Refused    uint64  `json:"refused"`
	Failed     uint64  `json:"failed"`
	Statuses   []Count `json:"statuses"` // of allowed calls, by class: 2xx … 5xx, none
	Codes      []Count `json:"codes"`    // of allowed calls, where there is one
	BytesIn    int64   `json:"bytes_in"`
	BytesOut   int64   `json:"bytes_out"`
}

// Count is how often something with a name came.
type Count struct {
	Name  string `json:"name"`
	Count uint64 `json:"count"`
}

// Refusal is a reason for which calls were refused.
type Refusal struct {
	Code    string    `json:"code"`
	Meaning string    `json:"meaning"`
	Count   uint64    `json:"count"`
	First   time.Time `json:"first"`
	Last    time.Time `json:"last"`
	Clients []Count   `json:"clients"`
}

// Address is an address that calls left from. A call counts as published if the
// address was at some time between its arrival and its end.
type Address struct {
	Address     string    `json:"address"` // or "unpinned"
	Calls       uint64    `json:"calls"`
	Unpublished uint64    `json:"unpublished"` // of Calls: not published at their time
	First       time.Time `json:"first"`
	Last        time.Time `json:"last"`
}

// Client is who called. An empty name is a caller that was not identified.
type Client struct {
	Name    string    `json:"name"`
	Allowed uint64    `json:"allowed"`
	Refused uint64    `json:"refused"`
	First   time.Time `json:"first"`
	Last    time.Time `json:"last"`
}

// Act is an act of administration about the connection.
type Act struct {
	Node      string    `json:"node,omitempty"` // whose log it is in, where there are several
	Seq       uint64    `json:"seq"`
	Time      time.Time `json:"time"`
	ID        string    `json:"id"`
	Who       string    `json:"who"`
	From      string    `json:"from"` // address, or unix:pid=…
	Operation string    `json:"operation"`
	About     string    `json:"about"`   // the path of the request, which names a client where it is about one
	Outcome   string    `json:"outcome"` // done, refused, failed or interrupted
	Code      string    `json:"code"`
	Status    int       `json:"status"`
}

// Call is one call whose outcome is not known.
type Call struct {
	Node      string    `json:"node,omitempty"` // whose log it is in, where there are several
	Seq       uint64    `json:"seq"`
	Time      time.Time `json:"time"`
	ID        string    `json:"id"`
	Client    string    `json:"client"`
	Method    string    `json:"method"`
	Operation string    `json:"operation"`
	Path      string    `json:"path"`
	Code      string    `json:"code"`
}

// Policy is a policy that was in force.
type Policy struct {
	SHA256  string    `json:"sha256"`
	Version string    `json:"version"`
	From    time.Time `json:"from"`
	Until   time.Time `json:"until"`
	Allowed uint64    `json:"allowed"`
	Changes []string  `json:"changes"`
	Missing bool      `json:"missing"`
	Altered bool      `json:"altered"`
}

// Published is an address in a period of its publication.
type Published struct {
	Address string     `json:"address"`
	Region  string     `json:"region"`
	From    time.Time  `json:"from"`
	Until   *time.Time `json:"until"` // null: no end is known
}

// Verified is the [Verification] as it is shown.
type Verified struct {
	OK             bool       `json:"ok"`
	Failure        string     `json:"failure"`
	Records        uint64     `json:"records"`
	Segments       int        `json:"segments"`
	Last           uint64     `json:"last"`
	Head           string     `json:"head"`
	CheckpointSize uint64     `json:"checkpoint_size"`
	CheckpointRoot string     `json:"checkpoint_root"`
	Signed         []string   `json:"signed"`
	UnsignedTail   uint64     `json:"unsigned_tail"`
	RetainedFrom   uint64     `json:"retained_from"`
	RetainedSince  *time.Time `json:"retained_since"`
}

// VerifiedLog is the log of one of several gateways, as it is shown.
type VerifiedLog struct {
	Node         string     `json:"node"`
	Verification Verified   `json:"verification"`
	Checkpoint   string     `json:"checkpoint"` // a C2SP note, verbatim; empty where there is none
	First        *time.Time `json:"first"`      // of the oldest record; null: there is none
	Last         *time.Time `json:"last"`       // of the newest
}
