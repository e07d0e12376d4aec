package etcd

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/tink-crypto/tink-go/v2/tink"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"
	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"

	"jiragate/tokenstore"
	"jiragate/tokenstore/records"
	"jiragate/tokenstore/secret"
)

// Options of [Open].
type Options struct {
	// Endpoints are the members' client URLs: https://HOST:PORT, or http where TLS is nil.
	Endpoints []string
	// Prefix is what all keys begin with: a slash, and no slash at its end. The store is the
	// only one that writes below it.
	Prefix string
	// TLS is nil for members that speak without.
	TLS *tls.Config
	// Username and Password are those of etcd's authentication; empty without.
	Username string
	Password secret.Secret
	// AEAD wraps the data keys. See records.New.
	AEAD tink.AEAD
	// Now is the clock for the times in records and for what may be used how long. Nil means
	// [time.Now].
	Now func() time.Time
	// Node is the name of this gateway, for those who look into etcd.
	Node string
	// Staleness is how long what is remembered may be used without being confirmed. Zero
	// means [DefaultStaleness].
	Staleness time.Duration
	// Export writes a copy of the records to w, and returns its length: what a backup is.
	Export func(ctx context.Context, r records.Reader, w io.Writer) (int64, error)
	// Logger gets what happens beside the calls; nil means none.
	Logger *slog.Logger

	// Of tests.
	dial []grpc.DialOption
	ttl  time.Duration
}

// DefaultStaleness is how long calls go on when etcd is away.
const DefaultStaleness = 5 * time.Minute

const (
	openTimeout = 10 * time.Second
	// How a connection is found dead that says nothing. gRPC doesn't ping more often.
	pingEach    = 10 * time.Second
	pingTimeout = 2 * time.Second
	// How long is waited before a member is dialled again that could not be reached.
	firstRedial = 100 * time.Millisecond
	lastRedial  = 3 * time.Second
)

// Store is a store in etcd. It implements tokenstore.Store, where its methods are described.
type Store struct {
	*records.Store // all that is the same whatever keeps the records

	client    *clientv3.Client
	keys      keyspace
	node      string
	aead      tink.AEAD
	now       func() time.Time
	staleness time.Duration
	export    func(context.Context, records.Reader, io.Writer) (int64, error)
	log       *slog.Logger
	session   *session
	picture   *picture
	pauses    *pauseBoard
	duties    *duties
	reach     reach
	slots     chan *slot
	again     sync.Mutex    // held by a change that has met another one
	stuck     chan struct{} // the watch is to begin anew
	moved     sync.Once     // to say so once
	back      error         // etcd knows less than it did before; only confirm looks at it

	stop    context.CancelFunc
	running sync.WaitGroup
	closed  atomic.Bool
	use     sync.RWMutex // held, shared, by what is under way
}

var _ tokenstore.Store = (*Store)(nil)

// Open opens the store, and makes it where there is none.
//
// Errors: tokenstore.ErrUnavailable, ErrMoved, ErrMoving, ErrWrongKey, ErrCorrupt and
// ErrSchemaTooNew; and that etcd refuses this user.
func Open(ctx context.Context, o Options) (*Store, error) {
	s, err := open(ctx, o)
	if err != nil {
		return nil, fmt.Errorf("opening the store in etcd, below %s: %w", o.Prefix, err)
	}
	return s, nil
}

// Exists reports whether there is a store, or what will be one when it was moved here. It looks
// at nothing of it.
func Exists(ctx context.Context, o Options) (bool, error) {
	there, err := exists(ctx, o)
	if err != nil {
		return false, fmt.Errorf("looking for a store in etcd, below %s: %w", o.Prefix, err)
	}
	return there, nil
}

func exists(ctx context.Context, o Options) (bool, error) {
	ctx, cancel := context.WithTimeout(ctx, openTimeout)
	defer cancel()
	client, err := connect(o)
	if err != nil {
		return false, explained(ctx, o, failed(err))
	}
	defer client.Close() // it has nothing left to say
	keys := keyspace(o.Prefix)
	for _, key := range []string{keys.mark(), keys.schema()} {
		resp, err := persist(ctx, func(ctx context.Context) (*clientv3.GetResponse, error) { return client.Get(ctx, key) })
		if err != nil {
			return false, explained(ctx, o, err)
		}
		if len(resp.Kvs) > 0 {
			return true, nil
		}
	}
	return false, nil
}

// connect makes a client, and logs in if there is a user. While members elect a leader they
// refuse that, and etcd's client doesn't try again.
func connect(o Options) (*clientv3.Client, error) {
	deadline := time.Now().Add(openTimeout)
	for {
		client, err := login(o, time.Until(deadline))
		if err == nil || !unavailable(err) || time.Until(deadline) < 2*firstRedial {
			return client, err
		}
		time.Sleep(firstRedial)
	}
}

func login(o Options, timeout time.Duration) (*clientv3.Client, error) {
	return clientv3.New(clientv3.Config{
		Endpoints: o.Endpoints, TLS: o.TLS, Username: o.Username, Password: o.Password.Reveal(),
		DialTimeout: timeout, DialKeepAliveTime: pingEach, DialKeepAliveTimeout: pingTimeout, PermitWithoutStream: true,
		DialOptions: append(o.dial, grpc.WithConnectParams(grpc.ConnectParams{
			Backoff:           backoff.Config{BaseDelay: firstRedial, Multiplier: 1.6, Jitter: 0.2, MaxDelay: lastRedial},
			MinConnectTimeout: requestTimeout,
		})),
		Logger: zap.NewNop(), // each method says what goes wrong
	})
}

func open(ctx context.Context, o Options) (*Store, error) {
	s, err := newStore(o)
	if err != nil {
		return nil, explained(ctx, o, err)
	}
	s.session.announce = s.announce
	if err := s.start(ctx); err != nil {
		return nil, errors.Join(explained(ctx, o, err), s.Close())
	}
	return s, nil
}

// newStore is connected, and does nothing yet.
func newStore(o Options) (*Store, error) {
	s := &Store{
		keys: keyspace(o.Prefix), node: o.Node, aead: o.AEAD, now: o.Now, staleness: o.Staleness, export: o.Export, log: o.Logger,
		picture: newPicture(), pauses: newPauseBoard(), duties: newDuties(), slots: newSlots(), stuck: make(chan struct{}),
	}
	if s.now == nil {
		s.now = time.Now
	}
	if s.staleness == 0 {
		s.staleness = DefaultStaleness
	}
	if s.log == nil {
		s.log = slog.New(slog.DiscardHandler)
	}
	s.reach.now = s.now
	s.Store = records.New(engine{s}, o.AEAD)
	var err error
	if s.client, err = connect(o); err != nil {
		return nil, failed(err)
	}
	s.session = &session{client: s.client, now: s.now, ttl: cmp.Or(o.ttl, leaseTTL)}
	return s, nil
}

// start accepts what is there, and begins to follow it.
func (s *Store) start(ctx context.Context) error {
	opening, cancel := context.WithTimeout(ctx, openTimeout)
	defer cancel()
	if err := s.session.open(opening); err != nil {
		return err
	}
	if err := s.prepare(opening); err != nil {
		return err
	}
	asked := s.now()
	if err := s.load(opening); err != nil {
		return err
	}
	s.picture.confirmed.Store(&asked)
	running, stop := context.WithCancel(context.WithoutCancel(ctx))
	s.stop = stop
	for _, run := range []func(context.Context){s.session.run, s.follow, s.confirm, s.sharePauses, s.campaign} {
		s.running.Go(func() { run(running) })
	}
	return nil
}

// prepare makes the store where there is none, and sees whether it is one that this program
// reads, with this keyset.
func (s *Store) prepare(ctx context.Context) error {
	slot, err := take(ctx, s.slots)
	if err != nil {
		return err
	}
	defer func() { s.slots <- slot }()
	for {
		_, err := s.attempt(ctx, slot, func(t *records.Change) error {
			// A place that is being filled has a mark, and no schema yet.
			mark, err := records.ReadMark(t)
			if err != nil {
				return err
			}
			if err := mark.Err(); err != nil {
				return err
			}
			schema, err := t.Get(records.Meta, records.SchemaKey)
			if err != nil {
				return err
			}
			if schema == nil {
				return records.Prepare(t, s.aead, records.Schema)
			}
			_, err = records.AcceptMarked(t, s.aead, records.Schema)
			return err
		})
		if !errors.Is(err, errMeanwhile) {
			return err
		}
	}
}

// Directory returns the present connections and clients, without a lock.
func (s *Store) Directory() *tokenstore.Directory { return s.picture.directory.Load() }

// Confirmed returns when what this gateway knows was complete, and why it isn't confirmed any
// more, if etcd is away.
func (s *Store) Confirmed() (time.Time, error) {
	_, err := s.reach.away()
	return *s.picture.confirmed.Load(), err
}

// Usable says why what is remembered is not handed out any more, if that is so.
func (s *Store) Usable() error { return engine{s}.Usable() }

// Close ends the use of the store, after the calls in progress, and gives the lease back, so that
// others need not wait for its end.
func (s *Store) Close() error {
	if s.closed.Swap(true) {
		return nil
	}
	s.use.Lock()
	defer s.use.Unlock()
	s.Forget()
	if s.stop != nil {
		s.stop()
	}
	s.running.Wait()
	s.session.close()
	if err := s.client.Close(); err != nil && !errors.Is(err, context.Canceled) {
		return fmt.Errorf("closing the store in etcd: %w", err)
	}
	return nil
}
