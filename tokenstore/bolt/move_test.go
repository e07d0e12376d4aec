package bolt_test

import (
	"bytes"
	"context"
	"errors"
	"path/filepath"
	"strings"
	"testing"

	"go.etcd.io/bbolt"

	"jiragate/tokenstore"
	"jiragate/tokenstore/bolt"
	"jiragate/tokenstore/records"
)

// A store that has a mark does not open, and is not checked; whoever moves it opens it, and a
// copy of it has no mark.
func TestMark(t *testing.T) {
	o := filled(t)
	s := mustOpen(t, o)
	revision := s.Revision()
	mustClose(t, s)
	for state, want := range map[records.MarkState]error{
		records.Copying: tokenstore.ErrMoving, records.Filling: tokenstore.ErrMoving,
		records.Leaving: tokenstore.ErrMoving, records.Moved: tokenstore.ErrMoved,
	} {
		source, err := bolt.OpenSource(t.Context(), o)
		must(t, err)
		if _, err := bolt.Open(t.Context(), o); !errors.Is(err, tokenstore.ErrLocked) {
			t.Errorf("while it is moved: %v", err)
		}
		must(t, source.SetMark(t.Context(), records.Mark{State: state, ID: "m", From: "bolt:" + o.Path, To: "bolt:there"}))
		var copied bytes.Buffer
		must(t, source.Read(t.Context(), func(r records.Reader) error {
			_, err := bolt.Export(t.Context(), r, &copied)
			return err
		}))
		must(t, source.Close())
		if _, err := bolt.Open(t.Context(), o); !errors.Is(err, want) {
			t.Errorf("%s: %v, want %v", state, err, want)
		}
		if err := bolt.Verify(t.Context(), o.Path, o.AEAD); !errors.Is(err, want) {
			t.Errorf("verifying one that is %s: %v, want %v", state, err, want)
		}
		c := o
		c.Path = filepath.Join(t.TempDir(), "copy.db")
		writeFile(t, c.Path, copied.Bytes())
		s := mustOpen(t, c)
		must(t, s.Check(t.Context()))
		if s.Revision() != revision {
			t.Errorf("the copy is of revision %d, want %d", s.Revision(), revision)
		}
	}
}

// A mark that can't be read is no reason to go on with the store.
func TestDamagedMark(t *testing.T) {
	for _, value := range []string{"", "{}", "rubbish", `{"state":"moved"} and more`} {
		o := filled(t)
		edit(t, o.Path, func(tx *bbolt.Tx) error { return tx.Bucket([]byte("meta")).Put([]byte(records.MarkKey), []byte(value)) })
		if _, err := bolt.Open(t.Context(), o); !errors.Is(err, tokenstore.ErrCorrupt) {
			t.Errorf("%q: %v", value, err)
		}
	}
}

// Nothing is made where there is nothing to be moved.
func TestOpenSourceMakesNothing(t *testing.T) {
	o := options(t)
	if _, err := bolt.OpenSource(context.Background(), o); err == nil {
		t.Error("it opens")
	}
	if files, err := filepath.Glob(o.Path + "*"); err != nil || len(files) > 0 {
		t.Errorf("there is %q, %v", files, err)
	}
}

// Who starts a gateway at the new place too early makes a store there, which is not replaced: the
// error says what to do.
func TestTargetWasMadeMeanwhile(t *testing.T) {
	o := filled(t)
	source, err := bolt.OpenSource(t.Context(), o)
	must(t, err)
	defer source.Close()
	there := o
	there.Path = filepath.Join(t.TempDir(), "there.db")
	target := bolt.NewTarget(there)
	mark, _, err := target.Begin(t.Context(), records.Mark{})
	must(t, err)
	must(t, source.Read(t.Context(), func(r records.Reader) error { return target.Fill(t.Context(), r, mark) }))
	mustClose(t, mustOpen(t, there))
	if err := target.Finish(t.Context(), mark); !errors.Is(err, tokenstore.ErrExists) || !strings.Contains(err.Error(), "move that file away") {
		t.Errorf("error %v, want ErrExists, and what to do", err)
	}
	must(t, target.Close())
	if left, err := filepath.Glob(there.Path + "*"); err != nil || len(left) != 1 {
		t.Errorf("there are %q, %v", left, err)
	}
}
