package etcd

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"jiragate/tokenstore/records"
)

const (
	// page is how many keys of a range are read at a time.
	page = 500
	// fetched is how many keys are read at a time that were asked for one by one. etcd
	// takes 128 operations in one transaction, if it isn't told otherwise.
	fetched = 100
	// readTimeout bounds the reading of that much.
	readTimeout = 5 * time.Second
)

// errTooLarge is that of a transaction whose parts can't be put in one of etcd.
var errTooLarge = errors.New("the change is too large for one transaction of etcd")

// tx reads all there is as of one revision, that of its first read, and gathers what is to
// be changed.
type tx struct {
	ctx      context.Context
	client   *clientv3.Client
	keys     keyspace
	revision int64 // 0: nothing is read yet

	known  map[string]version // what was read
	whole  map[string]bool    // prefixes of buckets of which all was read
	asked  map[string]bool    // what the transaction depends on: its value, or, if false, only that it is there or not
	ranges map[string]bool    // prefixes that it depends on
	writes map[string][]byte  // nil: deleted
	erased []string           // prefixes
}

// version is the value of a key, and the revisions in which it was made and written; nil and 0
// where there is none.
type version struct {
	value       []byte
	create, mod int64
}

func newTx(ctx context.Context, client *clientv3.Client, keys keyspace) *tx {
	return &tx{
		ctx: ctx, client: client, keys: keys,
		known: make(map[string]version), whole: make(map[string]bool), asked: make(map[string]bool), ranges: make(map[string]bool), writes: make(map[string][]byte),
	}
}

var _ records.Writer = (*tx)(nil)

// Get reads what is known of a connection together, since whoever looks at one nearly always
// needs the rest.
func (t *tx) Get(b records.Bucket, key string) ([]byte, error) {
	full := t.keys.key(b, key)
	t.asked[full] = true
	if v, ok := t.own(full); ok {
		return v, nil
	}
	if _, ok := t.known[full]; !ok && !t.whole[t.keys.bucket(b)] {
		wanted := []string{full}
		if b == records.Connections {
			for _, other := range []records.Bucket{records.DataKeys, records.Credentials, records.Rotations, records.Claims} {
				wanted = append(wanted, t.keys.key(other, key))
			}
		}
		if err := t.fetch(wanted); err != nil {
			return nil, err
		}
	}
	return t.known[full].value, nil
}

// Has depends on the value's being there alone, so that it meets no change of it.
func (t *tx) Has(b records.Bucket, key string) (bool, error) {
	full := t.keys.key(b, key)
	if !t.asked[full] {
		t.asked[full] = false
	}
	if v, ok := t.own(full); ok {
		return v != nil, nil
	}
	if _, ok := t.known[full]; !ok && !t.whole[t.keys.bucket(b)] {
		if err := t.fetch([]string{full}); err != nil {
			return false, err
		}
	}
	return t.known[full].value != nil, nil
}

// own is what the transaction itself has made of a key.
func (t *tx) own(full string) ([]byte, bool) {
	if v, ok := t.writes[full]; ok {
		return v, true
	}
	for _, prefix := range t.erased {
		if strings.HasPrefix(full, prefix) {
			return nil, true
		}
	}
	return nil, false
}

// Prefetch reads keys that will be asked for.
func (t *tx) Prefetch(b records.Bucket, keys []string) error {
	wanted := make(map[string]bool, len(keys))
	for _, key := range keys {
		if full := t.keys.key(b, key); t.known[full].mod == 0 {
			wanted[full] = true
		}
	}
	for chunk := range slices.Chunk(slices.Sorted(maps.Keys(wanted)), fetched) {
		if err := t.fetch(chunk); err != nil {
			return err
		}
	}
	return nil
}

// fetch reads keys, no more than fetched.
func (t *tx) fetch(keys []string) error {
	ops := make([]clientv3.Op, len(keys))
	for i, key := range keys {
		ops[i] = clientv3.OpGet(key, clientv3.WithRev(t.revision))
	}
	ctx, cancel := context.WithTimeout(t.ctx, readTimeout)
	defer cancel()
	resp, err := persist(ctx, func(ctx context.Context) (*clientv3.TxnResponse, error) {
		return t.client.Txn(ctx).Then(ops...).Commit()
	})
	if err != nil {
		return err
	}
	t.begun(resp.Header.Revision)
	for i, r := range resp.Responses {
		t.known[keys[i]] = version{}
		if kvs := r.GetResponseRange().Kvs; len(kvs) > 0 {
			t.known[keys[i]] = version{kvs[0].Value, kvs[0].CreateRevision, kvs[0].ModRevision}
		}
	}
	return nil
}

func (t *tx) begun(revision int64) {
	if t.revision == 0 {
		t.revision = revision
	}
}

// Each reads a range by pages, unless that was done before.
func (t *tx) Each(b records.Bucket, prefix string, fn func(key, value []byte) error) error {
	root := t.keys.bucket(b)
	begin := root + prefix
	t.ranges[begin] = true
	w := walk{t: t, root: root, own: t.ownBelow(begin), fn: fn}
	if t.whole[root] {
		for _, full := range below(t.known, begin) {
			if err := w.stored(full); err != nil {
				return err
			}
		}
		return w.rest()
	}
	end := clientv3.GetPrefixRangeEnd(begin)
	for from, more := begin, true; more; {
		resp, err := t.page(from, end)
		if err != nil {
			return err
		}
		t.begun(resp.Header.Revision)
		for _, kv := range resp.Kvs {
			full := string(kv.Key)
			t.known[full] = version{kv.Value, kv.CreateRevision, kv.ModRevision}
			if err := w.stored(full); err != nil {
				return err
			}
			from = full + "\x00"
		}
		more = resp.More
	}
	if prefix == "" {
		t.whole[root] = true
	}
	return w.rest()
}

func (t *tx) page(from, end string) (*clientv3.GetResponse, error) {
	ctx, cancel := context.WithTimeout(t.ctx, readTimeout)
	defer cancel()
	return persist(ctx, func(ctx context.Context) (*clientv3.GetResponse, error) {
		return t.client.Get(ctx, from, clientv3.WithRange(end), clientv3.WithRev(t.revision), clientv3.WithLimit(page))
	})
}

// walk merges keys that are stored, in their order, with those that the transaction writes.
type walk struct {
	t    *tx
	root string
	own  []string // what is left of them
	fn   func(key, value []byte) error
}

// stored is called with each key that is stored.
func (w *walk) stored(full string) error {
	for len(w.own) > 0 && w.own[0] < full {
		if err := w.next(); err != nil {
			return err
		}
	}
	if len(w.own) > 0 && w.own[0] == full {
		w.own = w.own[1:]
	}
	return w.yield(full)
}

// rest is called when there are no more.
func (w *walk) rest() error {
	for len(w.own) > 0 {
		if err := w.next(); err != nil {
			return err
		}
	}
	return nil
}

func (w *walk) next() error {
	full := w.own[0]
	w.own = w.own[1:]
	return w.yield(full)
}

// yield calls fn with a key as the transaction sees it.
func (w *walk) yield(full string) error {
	value, ok := w.t.own(full)
	if !ok {
		value = w.t.known[full].value
	}
	if value == nil {
		return nil
	}
	return w.fn([]byte(full[len(w.root):]), value)
}

// ownBelow are the keys with that prefix which the transaction writes, sorted.
func (t *tx) ownBelow(prefix string) []string { return below(t.writes, prefix) }

// below are the keys with that prefix, sorted.
func below[V any](keys map[string]V, prefix string) []string {
	var found []string
	for full := range keys {
		if strings.HasPrefix(full, prefix) {
			found = append(found, full)
		}
	}
	slices.Sort(found)
	return found
}

func (t *tx) Put(b records.Bucket, key string, value []byte) error {
	full := t.keys.key(b, key)
	for _, prefix := range t.erased {
		if strings.HasPrefix(full, prefix) {
			return fmt.Errorf("writing to %s after all below it was deleted: %w", b, errTooLarge)
		}
	}
	if value == nil {
		value = []byte{} // nil is a key that is deleted
	}
	t.writes[full] = bytes.Clone(value)
	return nil
}

func (t *tx) Delete(b records.Bucket, key string) error {
	if guard, ok := t.keys.guard(b, key); ok {
		t.writes[guard] = []byte{}
	}
	t.writes[t.keys.key(b, key)] = nil
	return nil
}

func (t *tx) DeleteAll(b records.Bucket, prefix string) error {
	full := t.keys.bucket(b) + prefix
	if guard, ok := t.keys.guard(b, prefix); ok {
		t.writes[guard] = []byte{}
	}
	for _, own := range t.ownBelow(full) {
		delete(t.writes, own)
	}
	t.erased = append(t.erased, full)
	return nil
}

func (t *tx) Sequence(b records.Bucket) (uint64, error) {
	full := t.keys.sequence(b)
	t.asked[full] = true
	value, ok := t.own(full)
	if !ok {
		if _, ok := t.known[full]; !ok {
			if err := t.fetch([]string{full}); err != nil {
				return 0, err
			}
		}
		value = t.known[full].value
	}
	if value == nil {
		return 0, nil
	}
	n, err := strconv.ParseUint(string(value), 10, 64)
	if err != nil {
		return 0, corruptf("the sequence of %s is not a number", b)
	}
	return n, nil
}

func (t *tx) NextSequence(b records.Bucket) (uint64, error) {
	n, err := t.Sequence(b)
	if err != nil {
		return 0, err
	}
	t.writes[t.keys.sequence(b)] = strconv.AppendUint(nil, n+1, 10)
	return n + 1, nil
}
