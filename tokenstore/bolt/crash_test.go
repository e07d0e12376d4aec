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

// crashDir and crashTask tell this test binary, started again, to be the process
// that is killed, and at what.
const (
	crashDir  = "JIRAGATE_TEST_CRASH_DIR"
	crashTask = "JIRAGATE_TEST_CRASH_TASK"
)

// crashTasks go on until they are killed. They print what has been acknowledged.
var crashTasks = map[string]func(context.Context, *bolt.Store, *keyset.Live) error{
	"replace": replaceUntilKilled,
	"remove":  removeUntilKilled,
	"rewrap":  rewrapUntilKilled,
}

func TestMain(m *testing.M) {
	if dir := os.Getenv(crashDir); dir != "" {
		if err := work(dir, os.Getenv(crashTask)); err != nil {
			fmt.Fprintln(os.Stderr, err)
		}
		os.Exit(1)
	}
	os.Exit(m.Run())
}

func work(dir, task string) error {
	ctx := context.Background()
	o, keys, err := crashOptions(ctx, dir)
	if err != nil {
		return err
	}
	s, err := bolt.Open(ctx, o)
	if err != nil {
		return err
	}
	return crashTasks[task](ctx, s, keys)
}

func crashOptions(ctx context.Context, dir string) (bolt.Options, *keyset.Live, error) {
	k, err := keyset.Open(ctx, "file:"+filepath.Join(dir, "keyset.json"), keyset.Options{Create: true})
	if err != nil {
		return bolt.Options{}, nil, err
	}
	return bolt.Options{Path: filepath.Join(dir, "store.db"), AEAD: k}, k, nil
}

// replaceUntilKilled replaces a credential over and over, and prints each
// generation.
func replaceUntilKilled(ctx context.Context, s *bolt.Store, _ *keyset.Live) error {
	err := s.AddConnection(ctx, storetest.CloudConnection("acme"), storetest.OAuth2("1"))
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
	o, _, err := crashOptions(t.Context(), dir)
	must(t, err)
	acknowledged := uint64(0)
	for round := range 10 {
		last := acknowledged // if it was killed before its first line
		if lines := killed(t, dir, "replace", rand.IntN(12)); len(lines) > 0 {
			last, err = strconv.ParseUint(lines[len(lines)-1], 10, 64)
			must(t, err)
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

// killed runs a task, kills it at a random moment after it has printed some
// lines, and returns all that it printed.
func killed(t *testing.T, dir, task string, after int) (lines []string) {
	t.Helper()
	self, err := os.Executable()
	must(t, err)
	cmd := exec.CommandContext(t.Context(), self)
	cmd.Env = append(os.Environ(), crashDir+"="+dir, crashTask+"="+task)
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.StdoutPipe()
	must(t, err)
	must(t, cmd.Start())

	kill := func() {
		// Anywhere within the changes that follow.
		time.AfterFunc(time.Duration(rand.Int64N(int64(4*time.Millisecond))), func() {
			_ = cmd.Process.Kill() // gone already, at worst: Wait tells
		})
	}
	scanner := bufio.NewScanner(out)
	scanner.Buffer(nil, 1<<20)
	for scanner.Scan() {
		if lines = append(lines, scanner.Text()); len(lines) == after+1 {
			kill()
		}
	}
	err = cmd.Wait()
	if exit, ok := errors.AsType[*exec.ExitError](err); !ok || exit.Exited() {
		t.Fatalf("%s ended by itself: %v\n%s", task, err, stderr.String())
	}
	return lines
}
