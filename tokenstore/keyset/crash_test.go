package keyset_test

import (
	"bufio"
	"context"
	"encoding/hex"
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

	"go.uber.org/goleak"

	"jiragate/tokenstore/keyset"
)

// crashFile tells this test binary, started again, to be the process that is
// killed.
const crashFile = "JIRAGATE_TEST_CRASH_KEYSET"

func TestMain(m *testing.M) {
	if file := os.Getenv(crashFile); file != "" {
		if err := changeUntilKilled(file); err != nil {
			fmt.Fprintln(os.Stderr, err)
		}
		os.Exit(1)
	}
	goleak.VerifyTestMain(m)
}

// changeUntilKilled rotates, prints what it sealed under the new key, and drops
// the old keys now and then, over and over.
func changeUntilKilled(file string) error {
	ctx := context.Background()
	l, err := keyset.Open(ctx, "file:"+file, keyset.Options{Create: true})
	if err != nil {
		return err
	}
	for {
		if _, err := l.Rotate(ctx); err != nil {
			return err
		}
		c, err := l.Encrypt([]byte("text"), []byte("associated"))
		if err != nil {
			return err
		}
		fmt.Println("sealed", hex.EncodeToString(c))
		if ids := l.KeyIDs(); len(ids) > 5 {
			old := ids[:3]
			for _, id := range old {
				fmt.Println("dropping", id)
			}
			if err := l.Drop(ctx, old...); err != nil {
				return err
			}
		}
	}
}

// Killed at any moment, the keyset is there, whole, and opens everything that
// was sealed under a key not dropped.
func TestKilledAtAnyMoment(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "keyset.json")
	sealed := map[uint32][]byte{}
	for round := range 10 {
		for _, line := range killedChanger(t, file) {
			what, value, _ := strings.Cut(line, " ")
			if what == "dropping" {
				id, err := strconv.ParseUint(value, 10, 32)
				if err != nil {
					t.Fatal(err)
				}
				delete(sealed, uint32(id))
			} else if c, err := hex.DecodeString(value); err == nil && len(c) > 5 {
				sealed[keyOf(c)] = c
			}
		}
		l := openLive(t, "file:"+file, keyset.Options{})
		if len(sealed) == 0 {
			t.Fatal("nothing was sealed")
		}
		for id, c := range sealed {
			if !opensLive(l, c) {
				t.Errorf("round %d: what was sealed under key %d doesn't open with keys %v", round, id, l.KeyIDs())
			}
		}
		entries, err := os.ReadDir(dir)
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range entries {
			if e.Name() != "keyset.json" && e.Name() != "keyset.json.next" {
				t.Errorf("round %d left %s", round, e.Name())
			}
		}
	}
}

// killedChanger runs the process, kills it at a random moment, and returns what
// it has printed.
func killedChanger(t *testing.T, file string) (lines []string) {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), self)
	cmd.Env = append(os.Environ(), crashFile+"="+file)
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	enough := 1 + rand.IntN(12)
	for scanner := bufio.NewScanner(out); scanner.Scan(); {
		lines = append(lines, scanner.Text())
		if len(lines) == enough {
			// Anywhere within the changes that follow.
			time.AfterFunc(time.Duration(rand.Int64N(int64(4*time.Millisecond))), func() {
				_ = cmd.Process.Kill() // gone already, at worst: Wait tells
			})
		}
	}
	err = cmd.Wait()
	if exit, ok := errors.AsType[*exec.ExitError](err); !ok || exit.Exited() {
		t.Fatalf("the process ended by itself: %v\n%s", err, stderr.String())
	}
	return lines
}
