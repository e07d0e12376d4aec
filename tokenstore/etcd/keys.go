package etcd

import (
	"net/url"
	"strings"

	"jiragate/tokenstore/records"
)

// The keys of etcd, below the prefix of the store:
//
//	live/BUCKET/KEY      a record of which every gateway keeps a picture: it follows
//	                     all of live/
//	live/pauses/NAME     a pause that gateways share, under a lease of its own: see pauses.go
//	rest/BUCKET/KEY      any other record
//	sequences/BUCKET     the sequence of a bucket, in decimal digits
//	deletions/KEY        written, empty, when a connection or a client is removed or an issue
//	                     is forgotten: see guard
//	duties/NAME          which gateway is on duty, with its lease: see duties.go
//	outcomes/LEASE/SLOT  the last change of a gateway, see commit.go; goes with its lease
//	gateways/LEASE       the name of a gateway that has the store open; goes with its lease
//	checkpoints/LOG/...  what gateways publish of their audit logs, see checkpoints.go
//
// What is live is small, and needed to decide on calls: connections, clients, whether a
// credential that is remembered is still the present one (each new one changes the record of
// its connection or its data key), and who refreshes which. Credentials are not: they would
// make up most of what etcd has to tell every gateway.
type keyspace string

// live reports whether the records of a bucket are followed.
func live(b records.Bucket) bool {
	switch b {
	case records.Connections, records.DataKeys, records.Clients, records.Claims, pauses:
		return true
	}
	return false
}

// all is what every key begins with.
func (p keyspace) all() string { return string(p) + "/" }

func (p keyspace) live() string { return string(p) + "/live/" }

func (p keyspace) rest() string { return string(p) + "/rest/" }

// bucket is what the keys of a bucket begin with.
func (p keyspace) bucket(b records.Bucket) string {
	if live(b) {
		return p.live() + string(b) + "/"
	}
	return p.rest() + string(b) + "/"
}

func (p keyspace) key(b records.Bucket, key string) string { return p.bucket(b) + key }

// schema is the key that every store has.
func (p keyspace) schema() string { return p.key(records.Meta, records.SchemaKey) }

func (p keyspace) sequences() string { return string(p) + "/sequences/" }

func (p keyspace) sequence(b records.Bucket) string { return p.sequences() + string(b) }

// mark is the key of what says that the store was moved, or is being moved.
func (p keyspace) mark() string { return p.key(records.Meta, records.MarkKey) }

func (p keyspace) origin() string { return p.key(records.Meta, records.OriginKey) }

func (p keyspace) gateways() string { return string(p) + "/gateways/" }

func (p keyspace) gateway(lease string) string { return p.gateways() + lease }

func (p keyspace) outcomes() string { return string(p) + "/outcomes/" }

func (p keyspace) outcome(lease, slot string) string {
	return p.outcomes() + lease + "/" + slot
}

func (p keyspace) duty(name string) string { return string(p) + "/duties/" + name }

// claims is what the keys of claims begin with, which go with the lease of their gateway.
func (p keyspace) claims() string { return p.bucket(records.Claims) }

// record splits the key of a record.
func (p keyspace) record(key string) (b records.Bucket, name string) {
	rest := strings.TrimPrefix(strings.TrimPrefix(key, p.live()), p.rest())
	bucket, name, _ := strings.Cut(rest, "/")
	return records.Bucket(bucket), name
}

func (p keyspace) deletions() string { return string(p) + "/deletions/" }

// guard is written when a key of that name is deleted, where changes depend on very many keys
// and don't compare each, or on a range.
func (p keyspace) guard(b records.Bucket, key string) (string, bool) {
	switch b {
	case records.Connections:
		return p.deletions() + "connections", true
	case records.Clients:
		return p.deletions() + "clients", true
	case records.Issues, records.IssueKeys:
		connection, _, _ := strings.Cut(key, "/")
		return p.deletions() + "issues/" + connection, true
	}
	return "", false
}

// published is what the keys of all logs' checkpoints begin with.
func (p keyspace) published() string { return string(p) + "/checkpoints/" }

// checkpoints are the keys of one log: its name is escaped, so that it has no slash in it.
func (p keyspace) checkpoints(log string) checkpointKeys {
	return checkpointKeys(p.published() + url.PathEscape(log) + "/")
}

// checkpointKeys is what the keys of one log's checkpoints begin with.
type checkpointKeys string

const (
	newestKey       = "newest"
	daysKey         = "days/"         // and YYYY-MM-DD
	contradictedKey = "contradicted/" // and YYYY-MM-DD
	retiredKey      = "retired"
)

func (k checkpointKeys) newest() string       { return string(k) + newestKey }
func (k checkpointKeys) days() string         { return string(k) + daysKey }
func (k checkpointKeys) contradicted() string { return string(k) + contradictedKey }
func (k checkpointKeys) retired() string      { return string(k) + retiredKey }
