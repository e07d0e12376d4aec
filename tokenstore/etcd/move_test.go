package etcd_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"go.etcd.io/bbolt"
	clientv3 "go.etcd.io/etcd/client/v3"
	"google.golang.org/grpc"

	"jiragate/tokenstore"
	"jiragate/tokenstore/bolt"
	"jiragate/tokenstore/etcd"
	"jiragate/tokenstore/migration"
	"jiragate/tokenstore/records"
	"jiragate/tokenstore/storetest"
)

// A store goes into etcd, back into its file, and there again; what was there before stays
// aside, or is replaced.
func TestMoveThereAndBack(t *testing.T) {
	site := newSmallSite(t)
	o := filledFile(t)
	file := place{file: &o}
	eo := site.options(t)
	eo.AEAD, eo.Export = o.AEAD, bolt.Export
	cluster := place{cluster: &eo}
	was := digest(t, file)

	for _, c := range mustMove(t, file, cluster).Counts {
		if c.Records == 0 {
			t.Errorf("nothing is in %s: the test proves less than it could", c.Bucket)
		}
	}
	wantMoved(t, file, cluster, was)
	_, err := move(t.Context(), file, cluster)
	wantErr(t, err, tokenstore.ErrMoved)

	store, err := cluster.open(t.Context())
	must(t, err, store.AddConnection(t.Context(), storetest.CloudConnection("newest"), storetest.OAuth2("1")))
	if c, _ := store.Directory().Connection("newest"); c.Incarnation != 6 {
		t.Errorf("the next incarnation is %d, want 6", c.Incarnation)
	}
	must(t, store.Close())
	was = digest(t, cluster)

	mustMove(t, cluster, file)
	wantMoved(t, cluster, file, was)
	kept, err := filepath.Glob(o.Path + ".moved-*")
	if err != nil || len(kept) != 1 {
		t.Errorf("the old file is kept as %q, %v", kept, err)
	}
	if left, err := filepath.Glob(o.Path + ".new-*"); err != nil || len(left) != 0 {
		t.Errorf("left behind: %q, %v", left, err)
	}
	mustMove(t, file, cluster)
	wantMoved(t, file, cluster, was)

	other := site.options(t)
	other.AEAD = o.AEAD
	mustMove(t, cluster, place{cluster: &other})
	wantMoved(t, cluster, place{cluster: &other}, was)
}

// Many records go, and ones that nearly fill a transaction: those of a client with very many grants.
func TestMoveLarge(t *testing.T) {
	site := newSmallSite(t)
	o := bolt.Options{Path: filepath.Join(t.TempDir(), "store.db"), AEAD: newAEAD(t), Now: clock()}
	s, err := bolt.Open(t.Context(), o)
	must(t, err)
	var (
		entries []records.Entry
		ids     []string
	)
	for i := range 16_000 {
		ids = append(ids, fmt.Sprintf("connection-%052d", i))
		entries = append(entries, records.Entry{Connection: storetest.DataCenterConnection(ids[i]), Credential: storetest.Basic("hunter2")})
		entries[i].Connection.BaseURL = fmt.Sprintf("https://jira-%d.example/jira", i)
	}
	clients := []tokenstore.Client{
		{Name: "all-1", TokenSHA256: storetest.Token("1"), Connections: ids},
		{Name: "all-2", TokenSHA256: storetest.Token("2"), Connections: ids},
	}
	must(t, s.AddAll(t.Context(), entries, clients), s.Close())
	eo := site.options(t)
	eo.AEAD = o.AEAD
	from, to := place{file: &o}, place{cluster: &eo, whole: true}
	was := digest(t, from)
	mustMove(t, from, to)
	wantMoved(t, from, to, was)
	mustMove(t, to, from)
	wantMoved(t, to, from, was)
}

// Wherever a migration is interrupted, no two stores can be opened, and it goes on.
func TestMoveInterrupted(t *testing.T) {
	site := newSmallSite(t)
	o := filledFile(t)
	content, err := os.ReadFile(o.Path)
	must(t, err)
	for _, direction := range []string{"into etcd", "out of etcd"} {
		for _, after := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, after the transaction %v", direction, after), func(t *testing.T) {
				resumed, n := 0, 1
				for interrupted := true; interrupted; n++ {
					fo := o
					fo.Path = filepath.Join(t.TempDir(), "store.db")
					must(t, os.WriteFile(fo.Path, content, 0o600))
					eo := site.options(t)
					eo.AEAD = o.AEAD
					from, to := place{file: &fo}, place{cluster: &eo}
					was := digest(t, from)
					if direction == "out of etcd" {
						mustMove(t, from, to)
						from, to = to, from
					}
					c := &crash{at: n, after: after}
					dying := eo.WithDial(grpc.WithChainUnaryInterceptor(c.intercept))
					mortal := func(p place) place {
						if p.cluster != nil {
							p.cluster = &dying
						}
						return p
					}
					_, err := move(t.Context(), mortal(from), mortal(to))
					interrupted = err != nil
					if opens(t, from) && opens(t, to) {
						t.Fatalf("transaction %d: both stores open", n)
					}
					result, again := move(t.Context(), from, to)
					if again != nil && !errors.Is(again, tokenstore.ErrMoved) {
						t.Fatalf("transaction %d: after %v: %v", n, err, again)
					}
					resumed = max(resumed, result.Resumed)
					wantMoved(t, from, to, was)
				}
				if n < 4 || direction == "into etcd" && resumed < 8 {
					t.Errorf("%d transactions, and at most %d records were there already: the test proves little", n, resumed)
				}
			})
		}
	}
}

// Whoever interrupts the command need not wait, and what was copied stays.
func TestMoveCancelled(t *testing.T) {
	site := newSmallSite(t)
	o := filledFile(t)
	eo := site.options(t)
	eo.AEAD = o.AEAD
	from, to := place{file: &o}, place{cluster: &eo}
	was := digest(t, from)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	seen := 0
	interrupted := eo.WithDial(grpc.WithChainUnaryInterceptor(func(ctx context.Context, method string, req, reply any, cc *grpc.ClientConn, invoke grpc.UnaryInvoker, o ...grpc.CallOption) error {
		if seen++; seen == 8 {
			cancel()
		}
		return invoke(ctx, method, req, reply, cc, o...)
	}))
	_, err := move(ctx, from, place{cluster: &interrupted})
	wantErr(t, err, context.Canceled)
	if !opens(t, from) || opens(t, to) {
		t.Error("the store is not where it was")
	}
	if result := mustMove(t, from, to); result.Resumed == 0 {
		t.Error("it has begun anew")
	}
	wantMoved(t, from, to, was)
}

// An interrupted migration begins anew when the store has changed; another store is refused.
func TestMoveChangedMeanwhile(t *testing.T) {
	site := newSmallSite(t)
	o, other := filledFile(t), filledFile(t)
	eo := site.options(t)
	eo.AEAD = o.AEAD
	from, to := place{file: &o}, place{cluster: &eo}
	dying := eo.WithDial(grpc.WithChainUnaryInterceptor((&crash{at: 5}).intercept))
	if _, err := move(t.Context(), from, place{cluster: &dying}); err == nil {
		t.Fatal("it isn't interrupted: the test proves nothing")
	}
	_, err := to.open(t.Context())
	wantErr(t, err, tokenstore.ErrMoving, "jiragate store migrate --from "+from.address()+" --to "+to.address())
	_, err = move(t.Context(), place{file: &other}, to)
	wantErr(t, err, tokenstore.ErrMoving, from.address())

	s, err := from.open(t.Context())
	must(t, err, storetest.Remove(t.Context(), s, "acme"), s.Close())
	was := digest(t, from)
	if result := mustMove(t, from, to); result.Resumed != 0 {
		t.Errorf("%d records of before were kept", result.Resumed)
	}
	wantMoved(t, from, to, was)
}

// What is in the way is named, and nothing is changed.
func TestMoveRefused(t *testing.T) {
	site := newSmallSite(t)
	o := filledFile(t)
	file := place{file: &o}
	eo := site.options(t)
	eo.AEAD, eo.Node = o.AEAD, "node-1"
	cluster := place{cluster: &eo}
	ctx := t.Context()

	gateway, err := file.open(ctx)
	must(t, err)
	_, err = move(ctx, file, cluster)
	wantErr(t, err, tokenstore.ErrLocked)
	must(t, gateway.Close())

	busy := mustOpen(t, eo)
	_, err = move(ctx, file, cluster)
	wantErr(t, err, tokenstore.ErrExists)
	fill(t, busy)
	o2 := o
	o2.Path += "2"
	_, err = move(ctx, cluster, place{file: &o2})
	wantErr(t, err, tokenstore.ErrLocked, "node-1")
	must(t, busy.Close())
	_, err = move(ctx, cluster, file)
	wantErr(t, err, tokenstore.ErrExists)

	wrong := o
	wrong.AEAD = newAEAD(t)
	_, err = move(ctx, place{file: &wrong}, cluster)
	wantErr(t, err, tokenstore.ErrWrongKey)
	wrongCluster := eo
	wrongCluster.AEAD = wrong.AEAD
	_, err = move(ctx, place{cluster: &wrongCluster}, place{file: &o2})
	wantErr(t, err, tokenstore.ErrWrongKey)

	none := site.options(t)
	_, err = move(ctx, place{cluster: &none}, place{file: &o2})
	wantErr(t, err, os.ErrNotExist)
	for _, p := range []place{file, cluster} {
		if !opens(t, p) {
			t.Errorf("%s does not open any more", p.address())
		}
	}
}

// A damaged record is named, and nothing is moved.
func TestMoveDamaged(t *testing.T) {
	site := newSmallSite(t)
	o := filledFile(t)
	db, err := bbolt.Open(o.Path, 0o600, nil)
	must(t, err)
	must(t, db.Update(func(tx *bbolt.Tx) error {
		return tx.Bucket([]byte("credentials")).Put([]byte("acme"), []byte("rubbish"))
	}), db.Close())
	eo := site.options(t)
	eo.AEAD = o.AEAD
	to := place{cluster: &eo}
	_, err = move(t.Context(), place{file: &o}, to)
	wantErr(t, err, tokenstore.ErrCorrupt, "acme")
	if there, err := etcd.Exists(t.Context(), eo); err != nil || there {
		t.Errorf("something is there: %v, %v", there, err)
	}
}

// What is not as it was in the source keeps a migration from being finished.
func TestMoveVerifies(t *testing.T) {
	site := newSmallSite(t)
	root := site.Root(t)
	for name, spoil := range map[string]func(prefix string) error{
		"another record": func(p string) error {
			_, err := root.Put(context.Background(), p+"/live/clients/billing", "{}")
			return err
		},
		"a missing record": func(p string) error {
			_, err := root.Delete(context.Background(), p+"/rest/rotations/initech")
			return err
		},
		"one more record": func(p string) error {
			_, err := root.Put(context.Background(), p+"/rest/issues/acme/1", "{}")
			return err
		},
		"another sequence": func(p string) error {
			_, err := root.Put(context.Background(), p+"/sequences/connections", "1")
			return err
		},
		"no record": func(p string) error {
			_, err := root.Put(context.Background(), p+"/strange", "1")
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			o := filledFile(t)
			eo := site.options(t)
			eo.AEAD = o.AEAD
			from, to := place{file: &o}, place{cluster: &eo}
			target, err := etcd.OpenTarget(eo)
			must(t, err)
			defer target.Close()
			source, err := from.source(t.Context())
			must(t, err)
			_, err = migration.Run(t.Context(), migration.Options{
				From: source, To: spoiled{target, func() error { return spoil(eo.Prefix) }}, FromAddress: from.address(), ToAddress: to.address(), AEAD: o.AEAD,
			})
			if err == nil {
				t.Error("it is finished")
			}
			must(t, source.Close())
			if opens(t, to) || !opens(t, from) {
				t.Error("the store is not where it was")
			}
		})
	}
}

// spoiled is a target into which somebody else writes once it has all.
type spoiled struct {
	*etcd.Target
	spoil func() error
}

func (s spoiled) Fill(ctx context.Context, from records.Reader, m records.Mark) error {
	return errors.Join(s.Target.Fill(ctx, from, m), s.spoil())
}

// A gateway that was cut off while the store was moved changes nothing in it afterwards.
func TestMoveBehindAGateway(t *testing.T) {
	site := newSmallSite(t)
	eo := site.options(t)
	gateway := mustOpen(t, eo)
	fill(t, gateway)
	// As if its lease had ended, and it hadn't noticed.
	for _, part := range []string{"/gateways/", "/outcomes/", "/live/claims/"} {
		_, err := site.Root(t).Delete(t.Context(), eo.Prefix+part, clientv3.WithPrefix())
		must(t, err)
	}
	o := bolt.Options{Path: filepath.Join(t.TempDir(), "store.db"), AEAD: eo.AEAD}
	mustMove(t, place{cluster: &eo}, place{file: &o})
	_, err := gateway.BeginRotation(t.Context(), "acme", storetest.FirstGeneration(gateway, "acme")+1)
	wantErr(t, err, tokenstore.ErrMoved)
	wantErr(t, gateway.AddClient(t.Context(), tokenstore.Client{Name: "late", TokenSHA256: storetest.Token("late")}), tokenstore.ErrMoved)
	eventually(t, "it isn't confirmed any more, so that what is remembered is not used for longer", func() bool {
		_, err := gateway.Confirmed()
		return errors.Is(err, tokenstore.ErrMoved)
	})
}

// While a store is read nobody opens it.
func TestHeld(t *testing.T) {
	site := newSmallSite(t)
	eo := site.options(t)
	s, err := etcd.Open(t.Context(), eo)
	must(t, err, s.Close())
	source, err := etcd.OpenSource(t.Context(), eo)
	must(t, err)
	must(t, source.Hold(t.Context(), records.Mark{State: records.Copying, To: "bolt:there"}))
	_, err = etcd.Open(t.Context(), eo)
	wantErr(t, err, tokenstore.ErrMoving, "bolt:there")
	must(t, source.Close())
	mustOpen(t, eo)
}
