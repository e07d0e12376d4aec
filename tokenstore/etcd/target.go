package etcd

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"slices"
	"strconv"

	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"

	"jiragate/tokenstore"
	"jiragate/tokenstore/records"
)

// One transaction has so many records at most, and so many bytes unless one record has more.
// etcd takes 128 operations and 1.5 MiB, if it isn't told otherwise.
const (
	fillOps   = 100
	fillBytes = 512 << 10
)

// Target is a place that a store is moved to. Until that is finished it has a mark, which says
// how far it is, and no schema.
type Target struct {
	marked
	o      Options
	schema []byte
	done   bool
	ops    int // in one transaction
}

// OpenTarget reaches for the place. Nothing is written yet.
func OpenTarget(o Options) (*Target, error) {
	client, err := connect(o)
	if err != nil {
		return nil, fmt.Errorf("reaching for etcd: %w", explained(context.Background(), o, failed(err)))
	}
	return &Target{marked: marked{client: client, keys: keyspace(o.Prefix)}, o: o, ops: fillOps}, nil
}

// Begin sees that nothing is below the prefix; or a store that was moved away, which is deleted;
// or what a migration of the same store has left, with which it goes on if that store is as it
// was. m has the id of the migration if that has come to its end before. Begin returns it with the
// id, and with how far it is; and whether it was finished before. Errors: tokenstore.ErrExists, ErrMoving, ErrLocked.
func (t *Target) Begin(ctx context.Context, m records.Mark) (_ records.Mark, done bool, err error) {
	if m, err = t.begin(ctx, m); err != nil {
		return m, false, fmt.Errorf("making the store in etcd, below %s: %w", t.o.Prefix, err)
	}
	return m, t.done, nil
}

func (t *Target) begin(ctx context.Context, m records.Mark) (records.Mark, error) {
	origin, keys, err := t.look(ctx)
	if err != nil {
		return m, err
	}
	there := t.mark
	switch {
	case there.State != records.Filling && m.ID != "" && origin == m.ID:
		// Whether it is still here or has gone on to another place.
		t.done = true
		return m, nil
	case there.State == "" && keys > 0:
		return m, fmt.Errorf("%w: there is a store, or something else: choose another prefix; or, if nobody needs what is there, stop all gateways and delete it with etcdctl del --prefix %s",
			tokenstore.ErrExists, t.keys.all())
	case there.State == records.Filling && there.From != m.From:
		return m, fmt.Errorf("%w: or delete what is there with etcdctl del --prefix %s", there.Err(), t.keys.all())
	case there.State == records.Filling && there.Digest == m.Digest && cmp.Or(m.ID, there.ID) == there.ID:
		return there, nil
	case there.State == records.Copying || there.State == records.Leaving:
		return m, there.Err()
	}
	m.ID = cmp.Or(m.ID, rand.Text())
	clear, conditions := t.clear(), t.atRest()
	if there.State == "" {
		clear, conditions = nil, []clientv3.Cmp{clientv3.Compare(clientv3.CreateRevision(t.keys.all()), "=", 0).WithPrefix()}
	}
	err = t.write(ctx, m, 0, conditions, clear...)
	if errors.Is(err, errMeanwhile) {
		err = t.busy(ctx)
	}
	return m, err
}

// clear deletes a store, but for its mark: a key is written once in a transaction. What gateways
// have published of their logs is evidence, and what else may be there is not ours.
func (t *Target) clear() []clientv3.Op {
	rest := t.keys.rest()
	ops := []clientv3.Op{
		clientv3.OpDelete(rest, clientv3.WithRange(t.keys.mark())),
		clientv3.OpDelete(t.keys.mark()+"\x00", clientv3.WithRange(clientv3.GetPrefixRangeEnd(rest))),
	}
	for _, prefix := range []string{t.keys.live(), t.keys.sequences(), t.keys.deletions()} {
		ops = append(ops, clientv3.OpDelete(prefix, clientv3.WithPrefix()))
	}
	return ops
}

// Fill copies the records, from where it stopped, some in each transaction.
func (t *Target) Fill(ctx context.Context, from records.Reader, m records.Mark) error {
	f := filling{t: t, ctx: ctx, mark: m}
	if err := f.run(from); err != nil {
		return fmt.Errorf("filling the store in etcd, below %s: %w", t.o.Prefix, err)
	}
	schema, err := from.Get(records.Meta, records.SchemaKey)
	t.schema = slices.Clone(schema)
	return err
}

// filling is the next transaction.
type filling struct {
	t     *Target
	ctx   context.Context
	mark  records.Mark
	ops   []clientv3.Op
	bytes int
}

func (f *filling) run(from records.Reader) error {
	buckets := records.Buckets()
	if f.mark.Bucket != "" {
		buckets = buckets[slices.Index(buckets, f.mark.Bucket):]
	} else if err := f.sequences(from); err != nil {
		return err
	}
	for _, b := range buckets {
		after := ""
		if b == f.mark.Bucket {
			after = string(f.mark.Key)
		}
		err := from.Each(b, "", func(key, value []byte) error {
			if string(key) <= after || !filled(b, string(key)) {
				return nil
			}
			return f.add(b, key, value)
		})
		if err != nil {
			return err
		}
	}
	return f.flush()
}

// filled reports whether a record is written before the end.
func filled(b records.Bucket, key string) bool {
	return records.Copied(b, key) && (b != records.Meta || key != records.SchemaKey)
}

func (f *filling) sequences(from records.Reader) error {
	for _, b := range records.Buckets() {
		n, err := from.Sequence(b)
		if err != nil {
			return err
		}
		if n > 0 {
			f.ops = append(f.ops, clientv3.OpPut(f.t.keys.sequence(b), strconv.FormatUint(n, 10)))
		}
	}
	return nil
}

func (f *filling) add(b records.Bucket, key, value []byte) error {
	size := len(key) + len(value)
	if len(f.ops) >= f.t.ops || f.bytes+size > fillBytes {
		if err := f.flush(); err != nil {
			return err
		}
	}
	f.ops = append(f.ops, clientv3.OpPut(f.t.keys.key(b, string(key)), string(value)))
	f.bytes += size
	f.mark.Bucket, f.mark.Key = b, slices.Clone(key)
	f.mark.Copied++
	return nil
}

func (f *filling) flush() error {
	if len(f.ops) == 0 {
		return nil
	}
	if err := f.ctx.Err(); err != nil {
		return err
	}
	err := f.t.write(f.ctx, f.mark, 0, nil, f.ops...)
	switch {
	case errors.Is(err, errMeanwhile):
		return fmt.Errorf("%w: another command fills it, too", tokenstore.ErrMoving)
	case errors.Is(err, rpctypes.ErrRequestTooLarge):
		return fmt.Errorf("%s, of %d bytes: %w", records.Name(f.mark.Bucket, f.mark.Key), f.bytes, err)
	case err != nil:
		return err
	}
	f.ops, f.bytes = nil, 0
	return nil
}

// Read calls fn with all there is, as of one revision, as it will be when it is finished.
func (t *Target) Read(ctx context.Context, fn func(records.Reader) error) error {
	read, err := t.read(ctx)
	if err != nil {
		return fmt.Errorf("reading back the store in etcd, below %s: %w", t.o.Prefix, err)
	}
	return fn(read)
}

func (t *Target) read(ctx context.Context) (*tx, error) {
	read, err := t.whole(ctx)
	if err != nil {
		return nil, err
	}
	there, err := t.count(ctx, t.keys.all(), read.revision)
	if err != nil {
		return nil, err
	}
	known, err := t.count(ctx, t.keys.published(), read.revision)
	if err != nil {
		return nil, err
	}
	for _, v := range read.known {
		if v.mod != 0 {
			known++
		}
	}
	if there != known {
		return nil, fmt.Errorf("%d keys are there that are no records: who else writes below that prefix?", there-known)
	}
	read.writes[t.keys.mark()] = nil
	read.writes[t.keys.schema()] = t.schema
	return read, nil
}

func (t *Target) count(ctx context.Context, prefix string, revision int64) (int64, error) {
	resp, err := persist(ctx, func(ctx context.Context) (*clientv3.GetResponse, error) {
		return t.client.Get(ctx, prefix, clientv3.WithPrefix(), clientv3.WithCountOnly(), clientv3.WithRev(revision))
	})
	if err != nil {
		return 0, err
	}
	return resp.Count, nil
}

// Finish opens the store to all: the schema is written and the mark deleted, in one transaction.
func (t *Target) Finish(ctx context.Context, m records.Mark) error {
	if t.done {
		return nil
	}
	done := func(mark, origin string) bool { return mark == "" && origin == m.ID }
	_, err := t.commit(ctx, done, nil,
		clientv3.OpDelete(t.keys.mark()),
		clientv3.OpPut(t.keys.schema(), string(t.schema)),
		clientv3.OpPut(t.keys.origin(), m.ID))
	if errors.Is(err, errMeanwhile) {
		err = fmt.Errorf("%w: another command fills it, too", tokenstore.ErrMoving)
	}
	if err != nil {
		return fmt.Errorf("finishing the store in etcd, below %s: %w", t.o.Prefix, err)
	}
	return nil
}

// Close ends the connection to etcd. What is there stays.
func (t *Target) Close() error {
	if err := t.client.Close(); err != nil && !errors.Is(err, context.Canceled) {
		return fmt.Errorf("closing the store in etcd: %w", err)
	}
	return nil
}
