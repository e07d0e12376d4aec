package etcd

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/url"
	"slices"
	"strings"
	"time"

	"go.etcd.io/etcd/api/v3/mvccpb"
	clientv3 "go.etcd.io/etcd/client/v3"

	"jiragate/tokenstore"
)

// Gateways that share a store tell each other here how far their audit logs have come. It is no
// part of the store: in no backup, not sealed, and not followed. What a checkpoint says is not
// looked at: for this package it is bytes with a name, a size and a root.
//
// # Room
//
// Of each log there are the newest checkpoint, the first one of each UTC day, and the first that
// was contradicted in a day; of the latter two the last KeptDays. A checkpoint of about 250 bytes
// takes about 600 with its key, its root and base64: a log has 240 kB in 400 days, and twice that
// if it was contradicted every day; a hundred nodes have 24 MB, about one percent of the 2 GiB that
// etcd has room for if it isn't told otherwise. The newest is written once a minute, which makes
// 0.9 MB of history a day for each node until etcd compacts.

const (
	// KeptDays is of how many days the first checkpoint of a log is kept: those on which there
	// was one.
	KeptDays = 400

	// MaxCheckpoint bounds a signed checkpoint, in bytes, and its root; maxLogName the name of a
	// log.
	MaxCheckpoint = 4 << 10
	maxLogName    = 255

	// maxCheckpointValue bounds what is read of one key, and maxCheckpoints how many are read.
	maxCheckpointValue = 2 * MaxCheckpoint
	maxCheckpoints     = 250_000
)

// ErrContradicted: the store has a checkpoint of that log that is of more records, or of as many
// others. The log was put back to an older state, or written anew; or two gateways take themselves
// for one.
var ErrContradicted = errors.New("another checkpoint of this log contradicts it")

// Checkpoint is what a log was when it was signed.
type Checkpoint struct {
	Size   uint64 `json:"size"`   // in records
	Root   []byte `json:"root"`   // two of one size with different roots contradict each other
	Signed []byte `json:"signed"` // at most MaxCheckpoint bytes

	// Published is when it came into the store, by the clock of who published it.
	Published time.Time `json:"published"`
}

// PublishedLog is what was published of one log.
type PublishedLog struct {
	Name   string
	Newest Checkpoint
	// Kept are the first of each day, and those that were contradicted, as they were published.
	Kept []Checkpoint
	// Retired says that the log ended on purpose; nil where nobody has said so. It holds as long
	// as nothing newer is published: see Ended.
	Retired *Retirement
}

// Retirement is that a log has ended on purpose.
type Retirement struct {
	Size uint64    `json:"size"` // of the newest checkpoint at that time
	At   time.Time `json:"at"`
	By   string    `json:"by"` // the node where that was said
}

// Ended reports whether the log has ended on purpose, and not gone on since.
func (l PublishedLog) Ended() bool { return l.Retired != nil && l.Retired.Size == l.Newest.Size }

// PublishCheckpoint makes c the newest checkpoint of a log, if it is of more records than the one
// that is there. The first of a day is kept as well. One that is there already is no error.
// Published is set.
//
// It fails with ErrContradicted where the one that is there is of more records, or of as many with
// another root. It stays then, and is kept for as long as those of each day, even if a larger one
// is published later. A checkpoint that comes late, by a gateway that is ending, looks the same.
// Other errors: tokenstore.ErrUnavailable, and that a name or c is too long.
func (s *Store) PublishCheckpoint(ctx context.Context, log string, c Checkpoint) error {
	if err := s.publishCheckpoint(ctx, log, c); err != nil {
		return fmt.Errorf("publishing a checkpoint of %q: %w", log, err)
	}
	return nil
}

func (s *Store) publishCheckpoint(ctx context.Context, log string, c Checkpoint) error {
	switch {
	case log == "" || len(log) > maxLogName:
		return fmt.Errorf("the name of the log is %d bytes long, where there are from 1 to %d", len(log), maxLogName)
	case len(c.Signed) > MaxCheckpoint || len(c.Root) > MaxCheckpoint/64:
		return fmt.Errorf("it is longer than the %d bytes that a checkpoint may have here", MaxCheckpoint)
	}
	ctx, cancel := context.WithTimeout(ctx, changeTimeout)
	defer cancel()
	c.Published = s.now().UTC().Truncate(time.Millisecond)
	for attempt := 0; ; attempt++ {
		err := s.publishOnce(ctx, s.keys.checkpoints(log), c)
		if !errors.Is(err, errMeanwhile) {
			return err
		}
		if pause(ctx, conflictPause(attempt)); ctx.Err() != nil {
			return fmt.Errorf("%w: etcd did not say in time that it is done: %w", tokenstore.ErrUnavailable, ctx.Err())
		}
	}
}

// publishOnce fails with errMeanwhile where it must be looked again: so a request without an answer
// may simply be sent again.
func (s *Store) publishOnce(ctx context.Context, keys checkpointKeys, c Checkpoint) error {
	if err := s.ready(ctx); err != nil {
		return err
	}
	newest, err := persist(ctx, func(ctx context.Context) (*clientv3.GetResponse, error) { return s.client.Get(ctx, keys.newest()) })
	if err != nil {
		return err
	}
	var mod int64
	if len(newest.Kvs) > 0 {
		mod = newest.Kvs[0].ModRevision
		var present Checkpoint
		if err := decodeCheckpoint(newest.Kvs[0].Key, newest.Kvs[0].Value, &present); err != nil {
			return err
		}
		switch {
		case c.Size == present.Size && bytes.Equal(c.Root, present.Root):
			return nil
		case c.Size <= present.Size:
			return s.contradicted(ctx, keys, mod, present, c)
		}
	}
	return s.putCheckpoint(ctx, keys, mod, clientv3.OpPut(keys.newest(), encodeCheckpoint(c)), keys.days(), c, c.Published)
}

// contradicted keeps the one that is there.
func (s *Store) contradicted(ctx context.Context, keys checkpointKeys, mod int64, present, c Checkpoint) error {
	if err := s.putCheckpoint(ctx, keys, mod, clientv3.OpGet(keys.newest(), clientv3.WithCountOnly()), keys.contradicted(), present, c.Published); err != nil {
		return err
	}
	return fmt.Errorf("%w: that of %d records, published on %s, and this one is of %d", ErrContradicted, present.Size, present.Published.UTC().Format(time.RFC3339), c.Size)
}

// putCheckpoint does op, and keeps c as the first of a day below one of the ranges, as long as the
// newest one is as it was in revision mod.
func (s *Store) putCheckpoint(ctx context.Context, keys checkpointKeys, mod int64, op clientv3.Op, kept string, c Checkpoint, now time.Time) error {
	// By number and not by age: a clock that is wrong must not take away what there is.
	there, err := persist(ctx, func(ctx context.Context) (*clientv3.GetResponse, error) {
		return s.client.Get(ctx, kept, clientv3.WithPrefix(), clientv3.WithKeysOnly())
	})
	if err != nil {
		return err
	}
	compares, ops := []clientv3.Cmp{clientv3.Compare(clientv3.ModRevision(keys.newest()), "=", mod)}, []clientv3.Op{op}
	day, oldest := kept+now.UTC().Format(time.DateOnly), ""
	if over := len(there.Kvs) + 1 - KeptDays; over > 0 {
		oldest = string(there.Kvs[over-1].Key) // by name, hence by day
	}
	if day > oldest && !slices.ContainsFunc(there.Kvs, func(kv *mvccpb.KeyValue) bool { return string(kv.Key) == day }) {
		compares = append(compares, clientv3.Compare(clientv3.CreateRevision(day), "=", 0))
		ops = append(ops, clientv3.OpPut(day, encodeCheckpoint(c)))
		if oldest != "" {
			ops = append(ops, clientv3.OpDelete(kept, clientv3.WithRange(oldest+"\x00")))
		}
	}
	resp, err := once(ctx, func(ctx context.Context) (*clientv3.TxnResponse, error) {
		return s.client.Txn(ctx).If(compares...).Then(ops...).Commit()
	})
	switch {
	case err == nil && resp.Succeeded:
		return nil
	case err == nil || undecided(err):
		return errMeanwhile
	}
	return failed(err)
}

// RetireLog says that a log has ended on purpose with its newest checkpoint, which must be of size
// records. Nothing is taken away. Errors: tokenstore.ErrNotFound, tokenstore.ErrConflict where
// another checkpoint is the newest, and tokenstore.ErrUnavailable.
func (s *Store) RetireLog(ctx context.Context, log string, size uint64) error {
	if err := s.retireLog(ctx, log, size); err != nil {
		return fmt.Errorf("retiring the log %q: %w", log, err)
	}
	return nil
}

func (s *Store) retireLog(ctx context.Context, log string, size uint64) error {
	if err := s.ready(ctx); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, changeTimeout)
	defer cancel()
	keys := s.keys.checkpoints(log)
	newest, err := persist(ctx, func(ctx context.Context) (*clientv3.GetResponse, error) { return s.client.Get(ctx, keys.newest()) })
	if err != nil {
		return err
	}
	if len(newest.Kvs) == 0 {
		return fmt.Errorf("%w: it has published nothing", tokenstore.ErrNotFound)
	}
	var present Checkpoint
	if err := decodeCheckpoint(newest.Kvs[0].Key, newest.Kvs[0].Value, &present); err != nil {
		return err
	}
	if present.Size != size {
		return fmt.Errorf("%w: it has gone on to %d records", tokenstore.ErrConflict, present.Size)
	}
	text, err := json.Marshal(Retirement{Size: size, At: s.now().UTC().Truncate(time.Millisecond), By: s.node})
	if err != nil {
		return err
	}
	resp, err := persist(ctx, func(ctx context.Context) (*clientv3.TxnResponse, error) {
		return s.client.Txn(ctx).If(clientv3.Compare(clientv3.ModRevision(keys.newest()), "=", newest.Kvs[0].ModRevision)).
			Then(clientv3.OpPut(keys.retired(), string(text))).Commit()
	})
	if err == nil && !resp.Succeeded {
		err = fmt.Errorf("%w: it goes on", tokenstore.ErrConflict)
	}
	return err
}

// Checkpoints returns what was published of each log, by name, as of one revision. What is in a
// Signed may be anything: whoever may write to etcd can have put it there.
//
// Errors: tokenstore.ErrUnavailable, and tokenstore.ErrCorrupt where there is something that
// PublishCheckpoint and RetireLog did not write.
func (s *Store) Checkpoints(ctx context.Context) ([]PublishedLog, error) {
	logs, err := s.publishedLogs(ctx)
	if err != nil {
		return nil, fmt.Errorf("reading the checkpoints of the gateways' logs: %w", err)
	}
	return logs, nil
}

func (s *Store) publishedLogs(ctx context.Context) (logs []PublishedLog, err error) {
	if err := s.ready(ctx); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, changeTimeout)
	defer cancel()
	begin := s.keys.published()
	end, from, revision, count := clientv3.GetPrefixRangeEnd(begin), begin, int64(0), 0
	for more := true; more; {
		resp, err := persist(ctx, func(ctx context.Context) (*clientv3.GetResponse, error) {
			return s.client.Get(ctx, from, clientv3.WithRange(end), clientv3.WithRev(revision), clientv3.WithLimit(page))
		})
		if err != nil {
			return nil, err
		}
		if count += len(resp.Kvs); count > maxCheckpoints {
			return nil, corruptf("there are more than %d", maxCheckpoints)
		}
		revision, more = resp.Header.Revision, resp.More
		for _, kv := range resp.Kvs {
			from = string(kv.Key) + "\x00"
			if logs, err = addPublished(logs, strings.TrimPrefix(string(kv.Key), begin), kv.Key, kv.Value); err != nil {
				return nil, err
			}
		}
	}
	for i, l := range logs {
		if l.Newest.Signed == nil {
			return nil, corruptf("the newest one of %q is not there, and older ones are: somebody took it away", l.Name)
		}
		slices.SortStableFunc(logs[i].Kept, func(a, b Checkpoint) int {
			return cmp.Or(a.Published.Compare(b.Published), cmp.Compare(a.Size, b.Size))
		})
	}
	return logs, nil
}

// addPublished adds what is under a key, whose name below all of them is rest.
func addPublished(logs []PublishedLog, rest string, key, value []byte) ([]PublishedLog, error) {
	escaped, kind, _ := strings.Cut(rest, "/")
	name, err := url.PathUnescape(escaped)
	if err != nil || name == "" || url.PathEscape(name) != escaped { // one name has one key
		return nil, corruptf("the key %q is of no log", key)
	}
	if len(logs) == 0 || logs[len(logs)-1].Name != name { // one follows another
		logs = append(logs, PublishedLog{Name: name})
	}
	l := &logs[len(logs)-1]
	switch {
	case kind == newestKey:
		return logs, decodeCheckpoint(key, value, &l.Newest)
	case kind == retiredKey:
		l.Retired = &Retirement{}
		return logs, decodePublished(key, value, l.Retired)
	case strings.HasPrefix(kind, daysKey), strings.HasPrefix(kind, contradictedKey):
		var c Checkpoint
		err := decodeCheckpoint(key, value, &c)
		l.Kept = append(l.Kept, c)
		return logs, err
	}
	return nil, corruptf("nobody knows what the key %q is for", key)
}

func encodeCheckpoint(c Checkpoint) string {
	text, err := json.Marshal(c)
	if err != nil {
		panic(err) // numbers, bytes, and a time of this era
	}
	return string(text)
}

func decodeCheckpoint(key, value []byte, c *Checkpoint) error {
	if err := decodePublished(key, value, c); err != nil {
		return err
	}
	if len(c.Signed) == 0 || len(c.Signed) > MaxCheckpoint {
		return corruptf("%q holds no checkpoint", key)
	}
	return nil
}

func decodePublished(key, value []byte, into any) error {
	if len(value) > maxCheckpointValue {
		return corruptf("%q is longer than anything that is published", key)
	}
	d := json.NewDecoder(bytes.NewReader(value))
	d.DisallowUnknownFields()
	err := d.Decode(into)
	_, behind := d.Token()
	if err != nil || !errors.Is(behind, io.EOF) || bytes.TrimSpace(value)[0] != '{' {
		return corruptf("%q is not what a gateway publishes: remove it with etcdctl, once it is known who wrote it", key)
	}
	return nil
}
