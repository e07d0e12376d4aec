package etcd

import (
	"strings"

	"jiragate/tokenstore/records"
)

// The keys of etcd, below the prefix of the store:
//
//	live/BUCKET/KEY      a record of which every gateway keeps a picture: it follows
//	                     all of live/
//	rest/BUCKET/KEY      any other record
//	sequences/BUCKET     the sequence of a bucket, in decimal digits
//	deletions/KEY        written, empty, when a connection is removed or an issue is
//	                     forgotten: see guard
//	outcomes/LEASE/SLOT  the last change of a gateway, see commit.go; goes with its lease
//	gateways/LEASE       the name of a gateway that has the store open; goes with its lease
//
// What is live is small, and needed to decide on calls: connections, clients, whether a
// credential that is remembered is still the present one (each new one changes the record of
// its connection or its data key), and who refreshes which. Credentials are not: they would
// make up most of what etcd has to tell every gateway.
type keyspace string

// live reports whether the records of a bucket are followed.
func live(b records.Bucket) bool {
	switch b {
	case records.Connections, records.DataKeys, records.Clients, records.Claims:
		return true
	}
	return false
}

// all is what every key begins with.
func (p keyspace) all() string { return string(p) + "/" }

func (p keyspace) live() string { return string(p) + "/live/" }

// bucket is what the keys of a bucket begin with.
func (p keyspace) bucket(b records.Bucket) string {
	if live(b) {
		return p.live() + string(b) + "/"
	}
	return string(p) + "/rest/" + string(b) + "/"
}

func (p keyspace) key(b records.Bucket, key string) string { return p.bucket(b) + key }

// schema is the key that every store has.
func (p keyspace) schema() string { return p.key(records.Meta, records.SchemaKey) }

func (p keyspace) sequence(b records.Bucket) string { return string(p) + "/sequences/" + string(b) }

// mark is the key of what says that the store was moved, or is being moved.
func (p keyspace) mark() string { return p.key(records.Meta, records.MarkKey) }

func (p keyspace) origin() string { return p.key(records.Meta, records.OriginKey) }

func (p keyspace) gateways() string { return string(p) + "/gateways/" }

func (p keyspace) outcomes() string { return string(p) + "/outcomes/" }

func (p keyspace) outcome(lease, slot string) string {
	return p.outcomes() + lease + "/" + slot
}

// claims is what the keys of claims begin with, which go with the lease of their gateway.
func (p keyspace) claims() string { return p.bucket(records.Claims) }

// record splits the key of a record.
func (p keyspace) record(key string) (b records.Bucket, name string) {
	rest := strings.TrimPrefix(strings.TrimPrefix(key, p.live()), string(p)+"/rest/")
	bucket, name, _ := strings.Cut(rest, "/")
	return records.Bucket(bucket), name
}

// guard is written when a key of that name is deleted, where changes that depend on very many
// keys don't compare each.
func (p keyspace) guard(b records.Bucket, key string) (string, bool) {
	switch b {
	case records.Connections:
		return string(p) + "/deletions/connections", true
	case records.Issues, records.IssueKeys:
		connection, _, _ := strings.Cut(key, "/")
		return string(p) + "/deletions/issues/" + connection, true
	}
	return "", false
}
