package bolt_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"jiragate/tokenstore"
	"jiragate/tokenstore/bolt"
	"jiragate/tokenstore/keyset"
	"jiragate/tokenstore/storetest"
)

// crashDir tells this test binary, started again, to be the process that is
// killed.
const crashDir = "JIRAGATE_TEST_CRASH_DIR"

func TestMain(m *testing.M) {
	if dir := os.Getenv(crashDir); dir != "" {
		if err := writeUntilKilled(dir); err != nil {
			fmt.Fprintln(os.Stderr, err)
		}
		os.Exit(1)
	}
	os.Exit(m.Run())
}

func crashOptions(dir string) (bolt.Options, error) {
	k, err := keyset.Open("file:"+filepath.Join(dir, "keyset.json"), keyset.Options{Create: true})
	if err != nil {
		return bolt.Options{}, err
	}
	return bolt.Options{Path: filepath.Join(dir, "store.db"), AEAD: k.AEAD()}, nil
}

// writeUntilKilled replaces a credential over and over, and prints each
// generation once the store has acknowledged it.
func writeUntilKilled(dir string) error {
	ctx := context.Background()
	o, err := crashOptions(dir)
	if err != nil {
		return err
	}
	s, err := bolt.Open(ctx, o)
	if err != nil {
		return err
	}
	err = s.AddConnection(ctx, storetest.CloudConnection("acme"), storetest.OAuth2("1"))
	if err != nil && !errors.Is(err, tokenstore.ErrExists) {
		return err
	}
	for {
		c, err := s.Credential(ctx, "acme")
		if err != nil {
			return err
		}
		next := c.Generation + 1
		// Of changing length, so that pages are split, freed and used again.
		token := fmt.Sprintf("%d-%0*d", next, 1+next%7*900, 0)
		issue := tokenstore.PublishedIssue{Connection: "acme", Incarnation: c.Incarnation(), ID: fmt.Sprint(next), Key: fmt.Sprint("ACME-", next), Client: "c"}
		if err := s.ReplaceCredential(ctx, "acme", c.Generation, storetest.OAuth2(token)); err != nil {
			return err
		}
		if err := s.RecordIssue(ctx, issue); err != nil {
			return err
		}
		fmt.Println(next)
	}
}

// Killed at any moment, the store opens again, is whole, and has everything that
// was acknowledged (G7).
func TestKilledAtAnyMoment(t *testing.T) {
	dir := t.TempDir()
	o, err := crashOptions(dir)
	must(t, err)
	acknowledged := uint64(0)
	for round := range 10 {
		last := killedWriter(t, dir)
		if last == 0 && round > 0 {
			last = acknowledged // killed before its first line
		}
		if last < acknowledged {
			t.Fatalf("round %d went on from generation %d, after %d", round, last, acknowledged)
		}
		acknowledged = last

		s, err := bolt.Open(t.Context(), o)
		must(t, err)
		must(t, s.Check(t.Context()))
		c, err := s.Credential(t.Context(), "acme")
		must(t, err)
		// One more change may have been on its way.
		if c.Generation < acknowledged || c.Generation > acknowledged+1 {
			t.Errorf("round %d: generation %d is stored, %d was acknowledged", round, c.Generation, acknowledged)
		}
		if !strings.HasPrefix(c.RefreshToken.Reveal(), fmt.Sprintf("refresh-%d-", c.Generation)) {
			t.Errorf("round %d: generation %d has the token of another one", round, c.Generation)
		}
		if ok, err := s.IssuePublished(t.Context(), "acme", fmt.Sprint("ACME-", acknowledged)); !ok || err != nil {
			t.Errorf("round %d: the issue acknowledged last is published: %v, %v", round, ok, err)
		}
		acknowledged = c.Generation
		mustClose(t, s)
	}
}

// A kill loses nothing that the kernel has. That a power failure doesn't either
// can't be provoked here: it hangs on the settings of bbolt.
func TestAcknowledgedMeansOnDisk(t *testing.T) {
	if !mustOpen(t, options(t)).Synced() {
		t.Error("bbolt doesn't wait for the disk")
	}
}

// killedWriter runs the writing process, kills it at a random moment, and
// returns the last generation that it acknowledged.
func killedWriter(t *testing.T, dir string) uint64 {
	t.Helper()
	self, err := os.Executable()
	must(t, err)
	cmd := exec.CommandContext(t.Context(), self)
	cmd.Env = append(os.Environ(), crashDir+"="+dir)
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.StdoutPipe()
	must(t, err)
	must(t, cmd.Start())

	last := uint64(0)
	lines := 1 + rand.IntN(12)
	scanner := bufio.NewScanner(out)
	for n := 0; scanner.Scan(); {
		last, err = strconv.ParseUint(scanner.Text(), 10, 64)
		must(t, err)
		if n++; n == lines {
			// Anywhere within the changes that follow.
			time.AfterFunc(time.Duration(rand.Int64N(int64(4*time.Millisecond))), func() {
				_ = cmd.Process.Kill() // gone already, at worst: Wait tells
			})
		}
	}
	err = cmd.Wait()
	if exit, ok := errors.AsType[*exec.ExitError](err); !ok || exit.Exited() {
		t.Fatalf("the writer ended by itself: %v\n%s", err, stderr.String())
	}
	return last
}
