package etcd

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"jiragate/tokenstore/records"
)

// Pauses are what gateways tell each other of Jira's rate limits. They are no records of the
// store: each is below live/ under a lease of its own, and gone with that.

const (
	// pauses is where they are, among the buckets that are followed.
	pauses records.Bucket = "pauses"

	// maxPause is how long one may last, and how long etcd keeps it at most.
	maxPause = time.Hour
	// clockSlack is how far the clocks of gateways may be apart, for a pause to last as long
	// at all of them.
	clockSlack = 5 * time.Second

	// maxPauseName and maxPauseValue bound a pause, in bytes; maxPauses how many are known.
	maxPauseName  = 256
	maxPauseValue = 512
	maxPauses     = 1 << 16
	// maxUnshared is how many may wait to be shared.
	maxUnshared = 1024
	// shareTimeout is how long it is tried to share one.
	shareTimeout = 5 * time.Second
	// warnEach is how often it is said at most that pauses get lost.
	warnEach = time.Minute
)

// pauseValue is what etcd keeps of a pause. The clocks of two gateways differ, so it has both
// when the pause ends by the clock of the one that shared it, and how long it was then.
type pauseValue struct {
	Until  time.Time `json:"until"`
	LeftMS int64     `json:"left_ms"`
	Node   string    `json:"node,omitempty"` // for those who look into etcd
}

// decodePause returns when a pause ends that somebody has shared, by the clock of this gateway:
// when what was left has passed since it was read, but not later than Until, with clockSlack.
func decodePause(name string, value []byte, now time.Time) (time.Time, error) {
	if err := validPauseName(name); err != nil {
		return time.Time{}, err
	}
	if len(value) > maxPauseValue {
		return time.Time{}, fmt.Errorf("the pause %s has %d bytes, more than %d", name, len(value), maxPauseValue)
	}
	var v pauseValue
	if err := json.Unmarshal(value, &v); err != nil {
		return time.Time{}, fmt.Errorf("the pause %s can't be read: %w", name, err)
	}
	if v.LeftMS <= 0 || v.Until.IsZero() {
		return time.Time{}, fmt.Errorf("the pause %s doesn't say how long it is", name)
	}
	left := time.Duration(min(v.LeftMS, maxPause.Milliseconds())) * time.Millisecond
	if ends := v.Until.Add(clockSlack).Sub(now); ends < left {
		left = ends
	}
	return now.Add(left), nil
}

func validPauseName(name string) error {
	if name == "" || len(name) > maxPauseName {
		return fmt.Errorf("a pause whose name has %d bytes, where 1 to %d are allowed", len(name), maxPauseName)
	}
	for i := range len(name) {
		if name[i] <= ' ' || name[i] > '~' {
			return errors.New("a pause whose name isn't visible ASCII")
		}
	}
	return nil
}

// pauseBoard is what is known of pauses, and what is to be shared.
type pauseBoard struct {
	wake chan struct{}

	mu       sync.Mutex
	present  map[string]time.Time // by name, until when; in etcd or on the way there
	unshared map[string]time.Time
	learn    func(name string, until time.Time)
	lost     losses // that could not be shared
	garbage  losses // that could not be read
}

func newPauseBoard() *pauseBoard {
	return &pauseBoard{wake: make(chan struct{}, 1), present: make(map[string]time.Time), unshared: make(map[string]time.Time)}
}

// losses are told now and then, with how many there were.
type losses struct {
	n    int
	told time.Time
}

// add counts one more, and returns how many to tell of; 0: not now.
func (l *losses) add(now time.Time) int {
	l.n++
	if !l.told.IsZero() && now.Sub(l.told) < warnEach {
		return 0
	}
	n := l.n
	l.n, l.told = 0, now
	return n
}

// SharePause tells the other gateways that something waits until then, by the clock of this
// machine, at most for an hour. It returns at once, and shares it soon, unless another gateway
// has shared nearly the same. What can't be shared, because etcd is away or too much is waiting,
// is dropped with a line in the log: the pause is then this gateway's alone.
//
// The name says what waits, in the words of the gateway: 1 to 256 bytes of visible ASCII. It is
// not sealed.
func (s *Store) SharePause(name string, until time.Time) {
	now := s.now()
	if until.Sub(now) > maxPause {
		until = now.Add(maxPause)
	}
	if validPauseName(name) != nil || !s.pauses.offer(name, until, now) {
		s.pauseLost(errors.New("too many are waiting to be shared, or its name is not valid"))
	}
}

// offer has a pause shared, if that tells anything new. It reports false if there is no room.
func (b *pauseBoard) offer(name string, until, now time.Time) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if !tellsMore(b.present[name], until, now) || !tellsMore(b.unshared[name], until, now) {
		return true
	}
	if _, there := b.unshared[name]; !there && len(b.unshared) >= maxUnshared {
		return false
	}
	b.unshared[name] = until
	select {
	case b.wake <- struct{}{}:
	default:
	}
	return true
}

// tellsMore reports whether a pause is so much longer than one that is known that it is worth
// sharing: by a second, and by a tenth of what is left of it.
func tellsMore(known, until, now time.Time) bool {
	if !known.After(now) {
		return until.After(now)
	}
	return until.Sub(known) >= max(time.Second, until.Sub(now)/10)
}

// next takes a pause to be shared.
func (b *pauseBoard) next() (name string, until time.Time, ok bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for name, until = range b.unshared {
		delete(b.unshared, name)
		b.present[name] = until
		return name, until, true
	}
	return "", time.Time{}, false
}

// failed forgets a pause that was not shared, so that it can be offered again.
func (b *pauseBoard) failed(name string, until time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.present[name].Equal(until) {
		delete(b.present, name)
	}
}

// sharePauses shares one after the other, until ctx ends.
func (s *Store) sharePauses(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-s.pauses.wake:
		}
		for ctx.Err() == nil {
			name, until, ok := s.pauses.next()
			if !ok {
				break
			}
			if !until.After(s.now()) { // over while it waited
				s.pauses.failed(name, until)
				continue
			}
			if err := s.sharePause(ctx, name, until); err != nil && ctx.Err() == nil {
				s.pauses.failed(name, until)
				s.pauseLost(err)
			}
		}
	}
}

func (s *Store) sharePause(ctx context.Context, name string, until time.Time) error {
	if err := s.ready(ctx); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, shareTimeout)
	defer cancel()
	left := until.Sub(s.now())
	// A lease that is granted twice, because an answer got lost, ends by itself.
	granted, err := persist(ctx, func(ctx context.Context) (*clientv3.LeaseGrantResponse, error) {
		return s.client.Grant(ctx, int64((left+time.Second-1)/time.Second))
	})
	if err != nil {
		return err
	}
	_, err = persist(ctx, func(ctx context.Context) (*clientv3.PutResponse, error) {
		left := until.Sub(s.now())
		value, err := json.Marshal(pauseValue{Until: until.UTC().Round(0), LeftMS: max(1, left.Milliseconds()), Node: s.node})
		if err != nil {
			return nil, err
		}
		return s.client.Put(ctx, s.keys.key(pauses, name), string(value), clientv3.WithLease(granted.ID))
	})
	return err
}

// FollowPauses has learn called with every pause that is shared, by this gateway too, as it is
// now and as it changes, with when it ends by the clock of this machine. That one is over it
// doesn't tell. learn must not block. There is one at a time: who calls last.
func (s *Store) FollowPauses(learn func(name string, until time.Time)) {
	b := s.pauses
	b.mu.Lock()
	defer b.mu.Unlock()
	b.learn = learn
	for name, until := range b.present {
		learn(name, until)
	}
}

// pauseShown takes in what etcd has of a pause. What can't be read is passed over.
func (s *Store) pauseShown(name string, value []byte) {
	until, err := decodePause(name, value, s.now())
	if err == nil && !s.pauses.learned(name, until) {
		err = fmt.Errorf("more than %d pauses are shared", maxPauses)
	}
	if err != nil {
		s.pauseUnread(err)
	}
}

// learned notes a pause that is in etcd. It reports false if there is no room.
func (b *pauseBoard) learned(name string, until time.Time) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if _, there := b.present[name]; !there && len(b.present) >= maxPauses {
		return false
	}
	b.present[name] = until
	if b.learn != nil {
		b.learn(name, until)
	}
	return true
}

// forget notes that etcd has forgotten a pause.
func (b *pauseBoard) forget(name string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.present, name)
}

// loadPauses reads all there are, as of the revision of t.
func (s *Store) loadPauses(t *tx) error {
	read := make(map[string][]byte)
	err := t.Each(pauses, "", func(k, v []byte) error {
		read[string(k)] = v
		return nil
	})
	if err != nil {
		return fmt.Errorf("reading which pauses are shared: %w", err)
	}
	s.pauses.mu.Lock()
	clear(s.pauses.present)
	s.pauses.mu.Unlock()
	for name, value := range read {
		s.pauseShown(name, value)
	}
	return nil
}

func (s *Store) pauseLost(err error) {
	if n := s.pauses.count(&s.pauses.lost, s.now()); n > 0 {
		s.log.Warn("pauses that Jira asked for could not be told to the other gateways", "pauses", n, "error", err.Error(),
			"hint", "see that etcd's members are up and reachable: etcdctl endpoint health; until then each gateway learns from Jira's answers to its own calls")
	}
}

func (s *Store) pauseUnread(err error) {
	if n := s.pauses.count(&s.pauses.garbage, s.now()); n > 0 {
		s.log.Warn("pauses that are shared in etcd are passed over", "pauses", n, "error", err.Error(),
			"hint", "see who else writes below "+s.keys.bucket(pauses)+": gateways of another release, or somebody who should not; etcdctl del removes them")
	}
}

func (b *pauseBoard) count(l *losses, now time.Time) int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return l.add(now)
}
