package bolt_test

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"jiragate/tokenstore"
	"jiragate/tokenstore/bolt"
	"jiragate/tokenstore/keyset"
	"jiragate/tokenstore/storetest"
)

// addKept adds connections that no task removes. They are there after the first
// time.
func addKept(ctx context.Context, s *bolt.Store) error {
	for i := range 6 {
		err := s.AddConnection(ctx, storetest.CloudConnection(fmt.Sprint("kept-", i)), storetest.OAuth2(fmt.Sprintf("kept-%0*d", 1+i*1000, i)))
		if err != nil && !errors.Is(err, tokenstore.ErrExists) {
			return err
		}
	}
	return nil
}

func wantKept(t *testing.T, s *bolt.Store) {
	t.Helper()
	must(t, s.Check(t.Context()))
	for i := range 6 {
		c, err := s.Credential(t.Context(), fmt.Sprint("kept-", i))
		must(t, err)
		if want := fmt.Sprintf("refresh-kept-%0*d", 1+i*1000, i); c.RefreshToken.Reveal() != want || c.Generation != tokenstore.FirstGeneration(uint64(i)+1) {
			t.Errorf("the credential of kept-%d has changed", i)
		}
	}
}

// removeUntilKilled adds connections, replaces their credentials, and removes them.
// Of each it prints, when it is removed, all that was ever sealed.
func removeUntilKilled(ctx context.Context, s *bolt.Store, _ *keyset.Live) error {
	if err := addKept(ctx, s); err != nil {
		return err
	}
	for n := 0; ; n++ {
		// What the process before this one had begun.
		if err := storetest.Remove(ctx, s, "acme"); err != nil && !errors.Is(err, tokenstore.ErrNotFound) {
			return err
		}
		var line []string
		note := func(err error) error {
			if err != nil {
				return err
			}
			sealed, err := s.Sealed("acme")
			for _, b := range sealed {
				line = append(line, hex.EncodeToString(b))
			}
			return err
		}
		if err := note(s.AddConnection(ctx, storetest.CloudConnection("acme"), storetest.OAuth2("0"))); err != nil {
			return err
		}
		first := storetest.FirstGeneration(s, "acme")
		for i := range uint64(3) {
			if err := note(s.ReplaceCredential(ctx, "acme", first+i, storetest.OAuth2(fmt.Sprintf("%0*d", 1+(n+int(i))%3*3000, i)))); err != nil {
				return err
			}
		}
		if err := storetest.Remove(ctx, s, "acme"); err != nil {
			return err
		}
		fmt.Println(strings.Join(line, " "))
	}
}

// Killed at any moment of a removal, the file holds nothing of what had been
// removed before, and everything else; and once it has been opened nothing is left
// in its unused pages.
func TestKilledWhileShredding(t *testing.T) {
	dir := t.TempDir()
	o, _, err := crashOptions(t.Context(), dir)
	must(t, err)
	for range 10 {
		var sealed [][]byte
		for _, line := range killed(t, dir, "remove", rand.IntN(4)) {
			for _, field := range strings.Fields(line) {
				b, err := hex.DecodeString(field)
				must(t, err)
				sealed = append(sealed, b)
			}
		}
		wantShredded(t, o.Path, sealed)
		s := mustOpen(t, o)
		wantKept(t, s)
		if n, err := bolt.UnusedPages(o.Path); err != nil || n > 0 {
			t.Errorf("%d pages that are not in use hold something, %v", n, err)
		}
		mustClose(t, s)
	}
}

// rewrapUntilKilled rotates the keyset and seals everything anew, over and over, a
// few records at a time. It prints the key that nothing is under any more.
func rewrapUntilKilled(ctx context.Context, s *bolt.Store, keys *keyset.Live) error {
	if err := addKept(ctx, s); err != nil {
		return err
	}
	for {
		for left := 1; left > 0; {
			var err error
			if left, err = s.Rewrap(ctx, 2); err != nil {
				return err
			}
		}
		old := keys.PrimaryKeyID()
		for _, id := range keys.KeyIDs() {
			if id != old {
				if err := keys.Drop(ctx, id); err != nil {
					return err
				}
			}
		}
		fmt.Println(old)
		if _, err := keys.Rotate(ctx); err != nil {
			return err
		}
	}
}

// Killed at any moment of sealing everything anew, nothing is lost, and the work
// goes on where it was.
func TestKilledWhileRewrapping(t *testing.T) {
	dir := t.TempDir()
	ctx := t.Context()
	for range 8 {
		killed(t, dir, "rewrap", rand.IntN(3))
		o, keys, err := crashOptions(ctx, dir)
		must(t, err)
		s := mustOpen(t, o)
		wantKept(t, s)
		left, err := s.Rewrap(ctx, 100)
		must(t, err)
		if use, err := s.KeyUse(ctx); err != nil || left != 0 || use[keys.PrimaryKeyID()] != 7 || len(use) != 1 {
			t.Errorf("%d left, keys in use: %v, %v", left, use, err)
		}
		wantKept(t, s)
		mustClose(t, s)
	}
}
