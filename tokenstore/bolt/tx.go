package bolt

import (
	"bytes"

	"go.etcd.io/bbolt"

	"jiragate/tokenstore/records"
)

// transaction is one of bbolt, as the records are read and changed in it. Their buckets are
// there: see start.
type transaction struct{ *bbolt.Tx }

func (t transaction) bucket(b records.Bucket) *bbolt.Bucket { return t.Bucket([]byte(b)) }

func (t transaction) Get(b records.Bucket, key string) ([]byte, error) {
	return t.bucket(b).Get([]byte(key)), nil
}

func (t transaction) Has(b records.Bucket, key string) (bool, error) {
	return t.bucket(b).Get([]byte(key)) != nil, nil
}

// Prefetch has nothing to do: the file is in memory.
func (t transaction) Prefetch(records.Bucket, []string) error { return nil }

func (t transaction) Each(b records.Bucket, prefix string, fn func(key, value []byte) error) error {
	c, begin := t.bucket(b).Cursor(), []byte(prefix)
	for k, v := c.Seek(begin); k != nil && bytes.HasPrefix(k, begin); k, v = c.Next() {
		if err := fn(k, v); err != nil {
			return err
		}
	}
	return nil
}

func (t transaction) Sequence(b records.Bucket) (uint64, error) { return t.bucket(b).Sequence(), nil }

func (t transaction) Put(b records.Bucket, key string, value []byte) error {
	return t.bucket(b).Put([]byte(key), value)
}

func (t transaction) Delete(b records.Bucket, key string) error {
	return t.bucket(b).Delete([]byte(key))
}

func (t transaction) DeleteAll(b records.Bucket, prefix string) error {
	var keys [][]byte // deleting moves a cursor, so collect first
	err := t.Each(b, prefix, func(k, _ []byte) error {
		keys = append(keys, bytes.Clone(k))
		return nil
	})
	if err != nil {
		return err
	}
	for _, k := range keys {
		if err := t.bucket(b).Delete(k); err != nil {
			return err
		}
	}
	return nil
}

// NextSequence is not the number of records: it stays when they go, and is in the file and
// its copies.
func (t transaction) NextSequence(b records.Bucket) (uint64, error) {
	return t.bucket(b).NextSequence()
}
