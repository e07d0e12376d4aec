package bolt_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"jiragate/tokenstore"
	"jiragate/tokenstore/bolt"
	"jiragate/tokenstore/storetest"
)

func TestContract(t *testing.T) {
	storetest.Run(t, func(t *testing.T) tokenstore.Store {
		s, err := bolt.Open(t.Context(), options(t))
		if err != nil {
			t.Fatal(err)
		}
		return s
	})
}

func TestEverythingIsThereAfterReopening(t *testing.T) {
	o := options(t)
	s := mustOpen(t, o)
	fill(t, s)
	connections, clients, revision := s.Directory().Connections(), s.Directory().Clients(), s.Revision()
	mustClose(t, s)

	s = mustOpen(t, o)
	if d := cmp.Diff(connections, s.Directory().Connections()); d != "" {
		t.Error(d)
	}
	if d := cmp.Diff(clients, s.Directory().Clients()); d != "" {
		t.Error(d)
	}
	if s.Revision() != revision {
		t.Errorf("revision %d, was %d", s.Revision(), revision)
	}
	c, err := s.Credential(t.Context(), "acme")
	if err != nil || c.Generation != storetest.FirstGeneration(s, "acme")+1 || c.RefreshToken.Reveal() != "refresh-acme-2" {
		t.Errorf("credential %+v, %v", c, err)
	}
	if ok, err := s.IssuePublished(t.Context(), "acme", "ACME-17"); !ok || err != nil {
		t.Errorf("the issue is published: %v, %v", ok, err)
	}
	must(t, s.Check(t.Context()))
}

// The numbering of incarnations outlives what it numbers.
func TestIncarnationsGoOnAfterReopening(t *testing.T) {
	o := options(t)
	for want := uint64(1); want < 4; want++ {
		s := mustOpen(t, o)
		must(t, s.AddConnection(t.Context(), storetest.CloudConnection("acme"), storetest.OAuth2("1")))
		if c, _ := s.Directory().Connection("acme"); c.Incarnation != want {
			t.Errorf("incarnation %d, want %d", c.Incarnation, want)
		}
		must(t, storetest.Remove(t.Context(), s, "acme"))
		if n := len(s.Directory().Connections()); n != 0 {
			t.Fatalf("%d connections remain: the test proves nothing", n)
		}
		must(t, s.Check(t.Context()))
		mustClose(t, s)
	}
}

func TestRevisionCountsChanges(t *testing.T) {
	s := mustOpen(t, options(t))
	if s.Revision() != 0 {
		t.Errorf("a new store has revision %d", s.Revision())
	}
	must(t, s.AddConnection(t.Context(), storetest.CloudConnection("acme"), storetest.OAuth2("1")))
	first := storetest.FirstGeneration(s, "acme")
	must(t, s.ReplaceCredential(t.Context(), "acme", first, storetest.OAuth2("2")))
	if err := s.ReplaceCredential(t.Context(), "acme", first, storetest.OAuth2("3")); err == nil {
		t.Error("an old generation was replaced")
	}
	must(t, s.SetState(t.Context(), "acme", tokenstore.StateActive, "")) // as it is
	if s.Revision() != 2 {
		t.Errorf("after two changes the revision is %d", s.Revision())
	}
}

// The file, and the folder if it was made, are their owner's alone, and nothing
// else is left in the folder.
func TestOpenMakesPrivateFiles(t *testing.T) {
	o := options(t)
	o.Path = filepath.Join(filepath.Dir(o.Path), "data", "store.db")
	mustOpen(t, o)
	for path, want := range map[string]fs.FileMode{o.Path: 0o600, filepath.Dir(o.Path): 0o700} {
		info, err := os.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		if info.Mode().Perm() != want {
			t.Errorf("%s has mode %#o, want %#o", path, info.Mode().Perm(), want)
		}
	}
	entries, err := os.ReadDir(filepath.Dir(o.Path))
	if err != nil || len(entries) != 1 {
		t.Errorf("the folder holds %v, %v", entries, err)
	}
}

func TestOpenRefusesAFileThatOthersCanRead(t *testing.T) {
	o := filled(t)
	must(t, os.Chmod(o.Path, 0o640))
	_, err := bolt.Open(t.Context(), o)
	if err == nil || !strings.Contains(err.Error(), "run chmod 0600 "+o.Path) {
		t.Errorf("error %v, want one with the command that mends it", err)
	}
}

func TestOpenRefusesASymbolicLink(t *testing.T) {
	o := filled(t)
	must(t, os.Rename(o.Path, o.Path+".real"), os.Symlink(o.Path+".real", o.Path))
	_, err := bolt.Open(t.Context(), o)
	if err == nil || !strings.Contains(err.Error(), "symbolic link") {
		t.Errorf("error %v", err)
	}
	// Nor is a file made at the other end of a dangling one.
	must(t, os.Remove(o.Path+".real"))
	if _, err := bolt.Open(t.Context(), o); err == nil || !strings.Contains(err.Error(), "symbolic link") {
		t.Errorf("dangling: error %v", err)
	}
	if _, err := os.Lstat(o.Path + ".real"); !errors.Is(err, fs.ErrNotExist) {
		t.Error("a file was made at the other end of the link")
	}
}

func TestOneProcessAtATime(t *testing.T) {
	o := options(t)
	s := mustOpen(t, o)
	_, err := bolt.Open(t.Context(), o)
	if !errors.Is(err, tokenstore.ErrLocked) || !strings.Contains(err.Error(), "admin socket") {
		t.Errorf("error %v, want ErrLocked that says what to do", err)
	}
	if err := bolt.Verify(t.Context(), o.Path, o.AEAD); !errors.Is(err, tokenstore.ErrLocked) {
		t.Errorf("Verify: error %v, want ErrLocked", err)
	}
	mustClose(t, s)
	mustOpen(t, o)
}

// waitingContext tells when somebody begins to wait for its end.
type waitingContext struct {
	context.Context
	once    sync.Once
	waiting chan struct{}
}

func (c *waitingContext) Done() <-chan struct{} {
	c.once.Do(func() { close(c.waiting) })
	return c.Context.Done()
}

// Whoever waits for the file while a restore puts another one in its place gets
// the new one, and doesn't write on in one that has no name any more.
func TestRestoredWhileWaiting(t *testing.T) {
	o := filled(t)
	old := mustOpen(t, o)
	restored := o
	restored.Path = backup(t, old)
	r := mustOpen(t, restored)
	must(t, storetest.Remove(t.Context(), r, "tyrell"))
	mustClose(t, r)

	ctx := &waitingContext{Context: t.Context(), waiting: make(chan struct{})}
	type result struct {
		s   *bolt.Store
		err error
	}
	opened := make(chan result, 1)
	go func() {
		o := o
		o.LockTimeout = time.Minute
		s, err := bolt.Open(ctx, o)
		opened <- result{s, err}
	}()
	<-ctx.waiting
	must(t, os.Rename(restored.Path, o.Path), old.Close())
	got := <-opened
	must(t, got.err)
	defer mustClose(t, got.s)
	if _, ok := got.s.Directory().Connection("tyrell"); ok {
		t.Error("it is the old file")
	}
}

func TestOpenStopsWaitingWithItsContext(t *testing.T) {
	o := filled(t)
	mustOpen(t, o)
	ctx, cancel := context.WithCancel(t.Context())
	waiting := &waitingContext{Context: ctx, waiting: make(chan struct{})}
	go func() {
		<-waiting.waiting
		cancel()
	}()
	o.LockTimeout = time.Minute
	if _, err := bolt.Open(waiting, o); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v, want Canceled", err)
	}
}

// Gateways that start at the same moment on a new data directory: one gets the
// store, the others are told so, and the store is whole.
func TestFirstStartRace(t *testing.T) {
	o := options(t)
	var (
		wg     sync.WaitGroup
		stores [6]*bolt.Store
		errs   [6]error
	)
	for i := range stores {
		wg.Go(func() { stores[i], errs[i] = bolt.Open(t.Context(), o) })
	}
	wg.Wait()
	opened := 0
	for i, s := range stores {
		if s == nil {
			if !errors.Is(errs[i], tokenstore.ErrLocked) {
				t.Errorf("error %v, want ErrLocked", errs[i])
			}
			continue
		}
		opened++
		must(t, s.Check(t.Context()), s.Close())
	}
	if opened != 1 {
		t.Errorf("%d have it open", opened)
	}
}

func TestWrongKey(t *testing.T) {
	o := filled(t)
	before := readFile(t, o.Path)
	other := o
	other.AEAD = newAEAD(t)
	_, err := bolt.Open(t.Context(), other)
	if !errors.Is(err, tokenstore.ErrWrongKey) || errors.Is(err, tokenstore.ErrCorrupt) {
		t.Errorf("error %v, want ErrWrongKey alone", err)
	}
	if err := bolt.Verify(t.Context(), o.Path, other.AEAD); !errors.Is(err, tokenstore.ErrWrongKey) {
		t.Errorf("Verify: error %v, want ErrWrongKey", err)
	}
	if string(readFile(t, o.Path)) != string(before) {
		t.Error("the file was changed")
	}
	must(t, mustOpen(t, o).Check(t.Context()))
}

func TestClosedStore(t *testing.T) {
	s := mustOpen(t, options(t))
	fill(t, s)
	mustClose(t, s)
	_, credentialErr := s.Credential(t.Context(), "acme")
	_, backupErr := s.Backup(t.Context(), nil)
	for name, err := range map[string]error{
		"Credential":       credentialErr,
		"Backup":           backupErr,
		"RemoveConnection": s.RemoveConnection(t.Context(), "acme", 1),
		"Check":            s.Check(t.Context()),
		"Close":            s.Close(),
	} {
		if name == "Close" {
			if err != nil {
				t.Errorf("closing again: %v", err)
			}
		} else if !errors.Is(err, fs.ErrClosed) {
			t.Errorf("%s: error %v, want ErrClosed", name, err)
		}
	}
	if _, ok := s.Directory().Connection("acme"); !ok {
		t.Error("the directory is gone")
	}
}

// A change that can't be written, here because the file may not grow, leaves
// everything as it was, and the store usable.
func TestChangeThatCannotBeWritten(t *testing.T) {
	o := options(t)
	s := mustOpen(t, o)
	fill(t, s)
	directory, revision := s.Directory(), s.Revision()
	info, err := os.Stat(o.Path)
	must(t, err)
	s.LimitSize(int(info.Size()))

	failed := 0
	for i := range 400 { // enough to use up the free pages
		c := storetest.CloudConnection(fmt.Sprint("filler-", i))
		cred := storetest.OAuth2(strings.Repeat("x", 15_000))
		before := s.Directory()
		if err := s.AddConnection(t.Context(), c, cred); err == nil {
			directory, revision = s.Directory(), s.Revision()
			continue
		}
		failed++
		if s.Directory() != before {
			t.Fatal("a change that failed replaced the directory")
		}
		if _, err := s.Credential(t.Context(), c.ID); !errors.Is(err, tokenstore.ErrNotFound) {
			t.Fatalf("its credential: error %v, want ErrNotFound", err)
		}
		if failed == 3 {
			break
		}
	}
	if failed == 0 {
		t.Fatal("no change failed: the test tests nothing")
	}
	if s.Directory() != directory || s.Revision() != revision {
		t.Error("directory or revision moved on")
	}
	s.LimitSize(0)
	must(t,
		s.Check(t.Context()),
		s.AddConnection(t.Context(), storetest.CloudConnection("afterwards"), storetest.OAuth2("1")),
		s.Check(t.Context()))
}

// What an editor of a connection does wrong is its own affair.
func TestUpdateThatPanics(t *testing.T) {
	s := mustOpen(t, options(t))
	fill(t, s)
	func() {
		defer func() {
			if r := recover(); r != "mistake" {
				t.Errorf("it panics with %v", r)
			}
		}()
		_ = s.UpdateConnection(t.Context(), "acme", func(*tokenstore.Connection) error { panic("mistake") })
	}()
	must(t,
		s.SetState(t.Context(), "acme", tokenstore.StateDisabled, ""),
		s.Check(t.Context()))
}

func TestLifecycle(t *testing.T) {
	storetest.RunLifecycle(t, func(t *testing.T) []tokenstore.Store {
		s, err := bolt.Open(t.Context(), options(t))
		if err != nil {
			t.Fatal(err)
		}
		return []tokenstore.Store{s}
	})
}
