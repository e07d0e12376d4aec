package etcd_test

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"jiragate/internal/etcdlab"
	"jiragate/tokenstore"
	"jiragate/tokenstore/bolt"
	"jiragate/tokenstore/etcd"
)

const zoneA, zoneB = "jiragate/us/zone-a", "jiragate/us/zone-b"

// signed is a checkpoint of a log with that past.
func signed(size uint64, past string) etcd.Checkpoint {
	return etcd.Checkpoint{Size: size, Root: []byte(past), Signed: fmt.Appendf(nil, "%d records of %s", size, past)}
}

// published are the sizes of what is there of a log: the newest, and those that are kept.
func published(t *testing.T, s *etcd.Store, log string) string {
	t.Helper()
	logs, err := s.Checkpoints(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, l := range logs {
		if l.Name == log {
			said := fmt.Sprintf("%d:", l.Newest.Size)
			for _, c := range l.Kept {
				said += fmt.Sprintf(" %d%s", c.Size, c.Root)
			}
			return said
		}
	}
	return "nothing"
}

// The newest checkpoint is replaced by larger ones alone, and the first of each day stays.
func TestCheckpointsArePublished(t *testing.T) {
	site := &site{Cluster: etcdlab.Start(t, etcdlab.Options{Members: 1, Auth: true, NoFsync: true})}
	o := site.options(t)
	o.Export = bolt.Export
	day := time.Date(2026, 11, 28, 23, 0, 0, 0, time.UTC)
	now, mu := day, sync.Mutex{}
	o.Now = func() time.Time { mu.Lock(); defer mu.Unlock(); return now }
	at := func(when time.Time) { mu.Lock(); defer mu.Unlock(); now = when }
	o.Staleness = 24 * 365 * time.Hour * 10
	s := mustOpen(t, o)
	ctx := t.Context()
	if logs, err := s.Checkpoints(ctx); err != nil || len(logs) != 0 {
		t.Fatalf("%+v, %v", logs, err)
	}
	must(t,
		s.PublishCheckpoint(ctx, zoneA, signed(5, "a")),
		s.PublishCheckpoint(ctx, zoneA, signed(7, "a")),
		s.PublishCheckpoint(ctx, zoneA, signed(7, "a")), // nobody knew whether it arrived
		s.PublishCheckpoint(ctx, zoneB, signed(1, "b")),
	)
	rotated := signed(7, "a") // by another key, of the same log
	rotated.Signed = []byte("the same, signed otherwise")
	must(t, s.PublishCheckpoint(ctx, zoneA, rotated))
	if got := published(t, s, zoneA); got != "7: 5a" {
		t.Errorf("there is %q", got)
	}
	at(day.Add(2 * time.Hour))
	must(t, s.PublishCheckpoint(ctx, zoneA, signed(8, "a")), s.PublishCheckpoint(ctx, zoneA, signed(9, "a")))
	if got := published(t, s, zoneA); got != "9: 5a 8a" {
		t.Errorf("on the next day there is %q", got)
	}

	// What contradicts what was said is refused, and does not make it go.
	for _, c := range []etcd.Checkpoint{signed(8, "a"), signed(9, "other")} {
		if err := s.PublishCheckpoint(ctx, zoneA, c); !errors.Is(err, etcd.ErrContradicted) || !strings.Contains(err.Error(), "that of 9 records, published on 2026-11-29T01:00:00Z") {
			t.Errorf("%d %s: %v", c.Size, c.Root, err)
		}
	}
	must(t, s.PublishCheckpoint(ctx, zoneA, signed(12, "other")))
	if got := published(t, s, zoneA); got != "12: 5a 8a 9a" {
		t.Errorf("after a log was written anew there is %q", got)
	}

	// They are no part of the store.
	var backup bytes.Buffer
	if _, err := s.Backup(ctx, &backup); err != nil || bytes.Contains(backup.Bytes(), []byte("zone-a")) {
		t.Errorf("they are in the backup (%v)", err)
	}
	must(t, s.Check(ctx))

	t.Run("retired", func(t *testing.T) {
		if err := s.RetireLog(ctx, "jiragate/us/zone-x", 1); !errors.Is(err, tokenstore.ErrNotFound) {
			t.Errorf("one that isn't there: %v", err)
		}
		if err := s.RetireLog(ctx, zoneB, 2); !errors.Is(err, tokenstore.ErrConflict) {
			t.Errorf("at another size: %v", err)
		}
		ended := func() bool {
			logs, err := s.Checkpoints(ctx)
			if err != nil || len(logs) != 2 || logs[1].Name != zoneB || logs[0].Ended() {
				t.Fatalf("%+v, %v", logs, err)
			}
			return logs[1].Ended() && logs[1].Retired.By == "test" && logs[1].Newest.Size == 1
		}
		must(t, s.RetireLog(ctx, zoneB, 1), s.RetireLog(ctx, zoneB, 1))
		if !ended() {
			t.Error("it has not ended")
		}
		must(t, s.PublishCheckpoint(ctx, zoneB, signed(2, "b")))
		if ended() {
			t.Error("it goes on, and has ended")
		}
	})

	t.Run("bounded", func(t *testing.T) {
		for i := range etcd.KeptDays + 2 {
			at(day.AddDate(0, 0, 10+i))
			must(t, s.PublishCheckpoint(ctx, "many", signed(uint64(i+1), "")))
		}
		want := fmt.Sprintf("%d: 3 4 5 ", etcd.KeptDays+2)
		if got := published(t, s, "many"); !strings.HasPrefix(got, want) || strings.Count(got, " ") != etcd.KeptDays {
			t.Errorf("%d are kept, beginning with %.20q", strings.Count(got, " "), got)
		}
		at(day) // a clock that was set back takes nothing away
		must(t, s.PublishCheckpoint(ctx, "many", signed(1000, "")))
		if got := published(t, s, "many"); !strings.HasPrefix(got, "1000: 3 4 5 ") || strings.Count(got, " ") != etcd.KeptDays {
			t.Errorf("%d are kept, beginning with %.20q", strings.Count(got, " "), got)
		}
		long := signed(1, "")
		long.Signed = make([]byte, etcd.MaxCheckpoint+1)
		if s.PublishCheckpoint(ctx, "long", long) == nil || s.PublishCheckpoint(ctx, strings.Repeat("x", 256), signed(1, "")) == nil || s.PublishCheckpoint(ctx, "", signed(1, "")) == nil {
			t.Error("what has no bounds is published")
		}
	})

	t.Run("not what was published", func(t *testing.T) {
		client := site.Client(t)
		for key, value := range map[string]string{
			zoneKey(zoneA) + "newest": "junk", zoneKey(zoneA) + "days/2026-11-28": `{"size":1}`, zoneKey(zoneA) + "else": "{}",
			zoneKey(zoneA) + "retired": `{"size":1} x`, "%zz/newest": "{}",
			// Of the same name, in front of it.
			"%6a" + zoneKey(zoneA)[1:] + "newest": `{"size":1,"root":"YQ==","signed":"YQ==","published":"2026-11-28T00:00:00Z"}`, zoneKey("other") + "retired": `{"size":1}`,
			zoneKey(zoneA) + "days/2026-11-29": strings.Repeat(" ", 2*etcd.MaxCheckpoint) + "{}",
		} {
			full := o.Prefix + "/checkpoints/" + key
			before, err := client.Get(ctx, full)
			must(t, err)
			_, err = client.Put(ctx, full, value)
			must(t, err)
			if _, err := s.Checkpoints(ctx); !errors.Is(err, tokenstore.ErrCorrupt) {
				t.Errorf("%s: %v", key, err)
			}
			_, err = client.Delete(ctx, full)
			must(t, err)
			if len(before.Kvs) > 0 {
				_, err = client.Put(ctx, full, string(before.Kvs[0].Value))
				must(t, err)
			}
		}
		// Nor can the newest one be taken away unseen, as long as there are others.
		_, err := client.Delete(ctx, o.Prefix+"/checkpoints/"+zoneKey(zoneA)+"newest")
		must(t, err)
		if _, err := s.Checkpoints(ctx); !errors.Is(err, tokenstore.ErrCorrupt) || !strings.Contains(err.Error(), "somebody took it away") {
			t.Errorf("without the newest: %v", err)
		}
	})
}

func zoneKey(log string) string { return strings.ReplaceAll(log, "/", "%2F") + "/" }

// Of gateways that publish for one log at once, none undoes what another has said.
func TestCheckpointsAtOnce(t *testing.T) {
	site := &site{Cluster: etcdlab.Start(t, etcdlab.Options{Members: 1, Auth: true, NoFsync: true})}
	o := site.options(t)
	stores := []*etcd.Store{mustOpen(t, o), mustOpen(t, o)}
	var all sync.WaitGroup
	for i := range 20 {
		all.Go(func() {
			err := stores[i%2].PublishCheckpoint(t.Context(), zoneA, signed(uint64(i+1), "a"))
			if err != nil && !errors.Is(err, etcd.ErrContradicted) {
				t.Error(err)
			}
		})
	}
	all.Wait()
	if got := published(t, stores[0], zoneA); !strings.HasPrefix(got, "20: ") {
		t.Errorf("there is %q", got)
	}
}
