package etcd

import (
	"context"
	"fmt"
	"reflect"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"jiragate/tokenstore"
	"jiragate/tokenstore/records"
)

const (
	// confirmEach is how often it is asked whether the picture is complete.
	confirmEach = 300 * time.Millisecond
	// confirmTimeout is how long one such question may take. After more of them than
	// patience, what there is to follow is followed anew, by another member.
	confirmTimeout = 2 * time.Second
	patience       = 2
)

// follow keeps the picture until ctx ends. It has been loaded once.
func (s *Store) follow(ctx context.Context) {
	for ctx.Err() == nil {
		anew := s.watch(ctx)
		for anew && ctx.Err() == nil {
			// etcd has compacted what was missed, or what it told can't be understood.
			err := s.load(ctx)
			if err == nil {
				break
			}
			s.log.WarnContext(ctx, "the store could not be read anew", "error", err.Error(),
				"hint", "see that etcd's members are up and reachable: etcdctl endpoint health; it is tried again")
			pause(ctx, time.Second)
		}
	}
}

// load reads all that is live, as of one revision.
func (s *Store) load(ctx context.Context) error {
	t := newTx(ctx, s.client, s.keys)
	directory, err := records.LoadDirectory(t)
	if err != nil {
		return fmt.Errorf("reading connections and clients: %w", err)
	}
	claims := make(map[string]claim)
	err = t.Each(records.Claims, "", func(k, v []byte) error {
		session, err := records.Claimant(k, v)
		claims[string(k)] = claim{session, t.known[t.keys.key(records.Claims, string(k))].mod}
		return err
	})
	if err != nil {
		return fmt.Errorf("reading who refreshes what: %w", err)
	}
	// What is remembered of a connection may have been replaced while nobody looked.
	both := []*tokenstore.Directory{s.picture.directory.Load(), directory}
	for _, d := range both {
		for _, c := range d.Connections() {
			s.Changing(c.ID)
		}
	}
	s.picture.directory.Store(directory)
	for _, d := range both {
		for _, c := range d.Connections() {
			s.Changed(c.ID)
		}
	}
	if err := s.loadPauses(t); err != nil {
		return err
	}
	s.picture.mu.Lock()
	s.picture.claims = claims
	s.picture.mu.Unlock()
	s.picture.advance(t.revision)
	return nil
}

// watch follows what happens after what the picture has. It returns when that doesn't go on,
// and whether all has to be read anew.
func (s *Store) watch(ctx context.Context) (anew bool) {
	ctx, cancel := context.WithCancel(clientv3.WithRequireLeader(ctx)) // a member that is cut off says so
	defer cancel()
	told := s.client.Watch(ctx, s.keys.live(), clientv3.WithPrefix(), clientv3.WithRev(s.picture.revision()+1))
	for {
		select {
		case <-ctx.Done():
			return false
		case <-s.stuck:
			return false
		case resp, ok := <-told:
			switch {
			case !ok:
				pause(ctx, confirmEach)
				return false
			case resp.Err() != nil:
				s.log.DebugContext(ctx, "following the store was ended by etcd, and goes on by another connection", "error", resp.Err().Error())
				pause(ctx, confirmEach)
				return resp.CompactRevision > 0
			case len(resp.Events) == 0:
				s.picture.advance(resp.Header.Revision)
			default:
				if err := s.apply(resp.Events); err != nil {
					s.log.ErrorContext(ctx, "a record of the store can't be read", "error", err.Error(),
						"hint", "jiragate store check names what is damaged; until it is mended, calls go on with what was known before, as long as JIRAGATE_STORE_STALENESS lasts")
					pause(ctx, time.Second)
					return true
				}
			}
		}
	}
}

// apply puts what has happened into the picture. Those who wait for it go on when all is.
func (s *Store) apply(events []*clientv3.Event) error {
	connections, clients := make(map[string]*tokenstore.Connection), make(map[string]*tokenstore.Client)
	touched := make(map[string]bool)
	claims := make(map[string]claim)
	var revision int64
	for _, e := range events {
		revision = e.Kv.ModRevision
		b, name := s.keys.record(string(e.Kv.Key))
		gone := e.Type == clientv3.EventTypeDelete
		var err error
		switch b {
		case records.Connections:
			touched[name] = true
			if connections[name] = nil; !gone {
				connections[name], err = records.DecodeConnection([]byte(name), e.Kv.Value)
			}
		case records.DataKeys:
			touched[name] = true
		case records.Clients:
			if clients[name] = nil; !gone {
				clients[name], err = records.DecodeClient([]byte(name), e.Kv.Value)
			}
		case records.Claims:
			claims[name] = claim{}
			if !gone {
				var session string
				session, err = records.Claimant([]byte(name), e.Kv.Value)
				claims[name] = claim{session, e.Kv.ModRevision}
			}
		case pauses:
			if gone {
				s.pauses.forget(name)
			} else {
				s.pauseShown(name, e.Kv.Value)
			}
		}
		if err != nil {
			return err
		}
	}
	for id := range touched {
		s.Changing(id)
	}
	d := s.picture.directory.Load()
	// Most changes of a connection are new generations of its credential, which nobody sees.
	for id, c := range connections {
		if present, ok := d.Connection(id); ok && c != nil && reflect.DeepEqual(*present, *c) {
			delete(connections, id)
		}
	}
	if len(connections)+len(clients) > 0 {
		s.picture.directory.Store(d.With(connections, clients))
	}
	for id := range touched {
		s.Changed(id)
	}
	s.picture.mu.Lock()
	for id, c := range claims {
		if c.mod == 0 {
			delete(s.picture.claims, id)
		} else {
			s.picture.claims[id] = c
		}
	}
	s.picture.mu.Unlock()
	s.picture.advance(revision)
	return nil
}

// confirm asks again and again whether the picture is complete, until ctx ends.
func (s *Store) confirm(ctx context.Context) {
	missed := 0
	for ctx.Err() == nil {
		err := s.confirmOnce(ctx)
		s.noteReach(ctx, err)
		if missed++; err == nil {
			missed = 0
		}
		if missed > patience {
			missed = 0
			select {
			case s.stuck <- struct{}{}: // by another connection, perhaps to another member
			default:
			}
		}
		pause(ctx, confirmEach)
	}
}

// progress has etcd tell, by the watch, up to where nothing is missing.
func (s *Store) progress(ctx context.Context) error {
	return s.client.RequestProgress(clientv3.WithRequireLeader(ctx)) // as the watch: it goes by the same stream
}

// noteReach says once that etcd is away, and once that it is back.
func (s *Store) noteReach(ctx context.Context, err error) {
	s.reach.note(err)
	if ctx.Err() != nil {
		return
	}
	switch since, why, back := s.reach.news(); {
	case why != nil:
		s.log.WarnContext(ctx, "etcd is away: calls go on with what is known of the store, and nothing is refreshed or changed", "since", since, "error", why.Error(),
			"hint", "see that a majority of etcd's members is up and can be reached: etcdctl endpoint health")
	case back:
		s.log.InfoContext(ctx, "etcd is back", "away_since", since)
	}
}

// confirmOnce asks a majority of the members for the present revision, and waits until the
// picture has come to it. A store that was moved is not confirmed any more.
func (s *Store) confirmOnce(ctx context.Context) error {
	if s.back != nil {
		return s.back
	}
	ctx, cancel := context.WithTimeout(ctx, confirmTimeout)
	defer cancel()
	asked, seen := s.now(), s.picture.revision()
	resp, err := s.client.Get(ctx, s.keys.mark())
	if err != nil {
		return failed(err)
	}
	if err := markErr(resp.Kvs); err != nil {
		s.moved.Do(func() {
			s.log.ErrorContext(ctx, "the store was moved while this gateway could not reach it", "error", err.Error(),
				"hint", "this gateway refreshes and changes nothing any more: set JIRAGATE_STORE as the others have it, and start it again")
		})
		return err
	}
	if resp.Header.Revision < seen {
		// What happens until it is there again is not followed, so that it goes on being wrong then.
		s.back = fmt.Errorf("etcd has gone back from revision %d to %d, as one does that was restored from a snapshot: start this gateway again", seen, resp.Header.Revision)
		return s.back
	}
	if s.picture.revision() < resp.Header.Revision {
		// Nothing may have happened to what is followed: only etcd can tell.
		if err := s.progress(ctx); err != nil {
			return failed(err)
		}
	}
	if err := s.picture.await(ctx, resp.Header.Revision); err != nil {
		return fmt.Errorf("following the store lags behind: %w", failed(err))
	}
	s.picture.confirmed.Store(&asked)
	return nil
}
