package signer

import (
	"bufio"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"
)

// Each tells this test binary, started again, to be another process on a
// directory: one that seals again or rotates until it is killed, one that opens
// the key.
const (
	crashDir  = "JIRAGATE_TEST_CRASH_SIGNER"
	rotateDir = "JIRAGATE_TEST_ROTATE_SIGNER"
	openDir   = "JIRAGATE_TEST_OPEN_SIGNER"
)

func TestMain(m *testing.M) {
	for variable, run := range map[string]func(dir string) error{crashDir: resealUntilKilled, rotateDir: rotateUntilKilled, openDir: openOnce} {
		if dir := os.Getenv(variable); dir != "" {
			if err := run(dir); err != nil {
				fmt.Fprintln(os.Stderr, err)
				os.Exit(1)
			}
			os.Exit(0)
		}
	}
	goleak.VerifyTestMain(m)
}

func shared(dir string) (Options, []uint32, error) {
	r, ids, err := loadRing(filepath.Join(dir, "keyset"))
	return Options{Path: filepath.Join(dir, "data", "audit-key.json"), Sealer: r, Name: name}, ids, err
}

// newShared makes a directory for several processes, with two keys in the keyset.
func newShared(t *testing.T) (string, Options) {
	t.Helper()
	dir := t.TempDir()
	_, r := newOptions(t)
	mustRotate(t, r)
	r.save(t, filepath.Join(dir, "keyset"))
	o, _, err := shared(dir)
	if err != nil {
		t.Fatal(err)
	}
	return dir, o
}

func again(t *testing.T, variable, dir string) (*exec.Cmd, *strings.Builder) {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), self)
	cmd.Env = append(os.Environ(), variable+"="+dir)
	var stderr strings.Builder
	cmd.Stderr = &stderr
	return cmd, &stderr
}

// openOnce waits until it is told to go on, so that several do at once.
func openOnce(dir string) error {
	o, _, err := shared(dir)
	if err != nil {
		return err
	}
	fmt.Println("ready")
	if _, err := bufio.NewReader(os.Stdin).ReadString('\n'); err != nil {
		return err
	}
	k, err := Open(o)
	if err != nil {
		return err
	}
	if _, err := k.Sign([]byte("text\n")); err != nil {
		return err
	}
	fmt.Println(k.Verifier())
	return nil
}

// Of several processes that open a fresh directory at once, one makes the key and
// all use it.
func TestProcessesOpenAtOnce(t *testing.T) {
	dir, o := newShared(t)
	verifiers := make([]string, 4)
	var wg, ready sync.WaitGroup
	ready.Add(len(verifiers))
	for i := range verifiers {
		cmd, stderr := again(t, openDir, dir)
		in, err := cmd.StdinPipe()
		if err != nil {
			t.Fatal(err)
		}
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		wg.Go(func() {
			scanner := bufio.NewScanner(out)
			scanner.Scan()
			ready.Done()
			ready.Wait()
			fmt.Fprintln(in, "go on")
			scanner.Scan()
			verifiers[i] = scanner.Text()
			if err := cmd.Wait(); err != nil {
				t.Errorf("%v: %s", err, stderr)
			}
		})
	}
	wg.Wait()
	want := mustOpen(t, o).Verifier()
	if slices.ContainsFunc(verifiers, func(v string) bool { return v != want }) {
		t.Errorf("they have the keys %q, the file that of %s", verifiers, want)
	}
	alone(t, o.Path)
}

func resealUntilKilled(dir string) error {
	o, ids, err := shared(dir)
	if err != nil {
		return err
	}
	r := o.Sealer.(*ring)
	for n := 0; ; n++ {
		if err := r.encryptWith(ids[n%2]); err != nil {
			return err
		}
		if _, err := Reseal(o.Path, r); err != nil {
			return err
		}
		fmt.Println(n)
	}
}

// Killed at any moment, the keys are there, whole, and open.
func TestResealKilledAtAnyMoment(t *testing.T) {
	dir, o := newShared(t)
	want := texts(putBoth(t, o))
	for round := range 10 {
		killed(t, crashDir, dir)
		k := mustOpen(t, o)
		if !slices.Equal(k.Verifiers(), want) {
			t.Fatalf("round %d: other keys, %q", round, k.Verifiers())
		}
		mustSign(t, k, "text\n")
		entries, err := os.ReadDir(filepath.Dir(o.Path))
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range entries {
			if e.Name() != "audit-key.json" && e.Name() != "audit-key.json.next" {
				t.Errorf("round %d left %s", round, e.Name())
			}
		}
	}
}

// killed runs this test binary as such a process, kills it, and returns the lines
// that it has printed: one a change that is over.
func killed(t *testing.T, variable, dir string) []string {
	t.Helper()
	cmd, stderr := again(t, variable, dir)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	enough := 1 + rand.IntN(12)
	var lines []string
	for scanner := bufio.NewScanner(out); scanner.Scan(); {
		if lines = append(lines, scanner.Text()); len(lines) == enough {
			// Anywhere within the changes that follow.
			time.AfterFunc(time.Duration(rand.Int64N(int64(4*time.Millisecond))), func() {
				_ = cmd.Process.Kill() // gone already, at worst: Wait tells
			})
		}
	}
	err = cmd.Wait()
	if exit, ok := errors.AsType[*exec.ExitError](err); !ok || exit.Exited() {
		t.Fatalf("the process ended by itself: %v\n%s", err, stderr)
	}
	return lines
}

// What a crash between the write and the rename leaves: the old file, with the new
// one, or a part of it, beside it. The old one counts, and is replaced next time.
func TestCrashBeforeRename(t *testing.T) {
	for name, left := range map[string]func(next []byte) []byte{
		"whole": func(next []byte) []byte { return next },
		"half":  func(next []byte) []byte { return next[:len(next)/2] },
		"empty": func([]byte) []byte { return nil },
	} {
		t.Run(name, func(t *testing.T) {
			o, ring := newOptions(t)
			before := mustOpen(t, o)
			old := readFile(t, o.Path)
			mustRotate(t, ring)
			if _, err := Reseal(o.Path, o.Sealer); err != nil {
				t.Fatal(err)
			}
			next := readFile(t, o.Path)
			writeFile(t, o.Path, old)
			writeFile(t, o.Path+".next", left(next))

			k := mustOpen(t, o)
			if k.Verifier() != before.Verifier() || string(readFile(t, o.Path)) != string(old) {
				t.Error("it is not the old file that was opened")
			}
			if changed, err := k.Reseal(); !changed || err != nil {
				t.Errorf("sealing again: %v, %v", changed, err)
			}
			alone(t, o.Path)
		})
	}
}

// A crash while the first key is made leaves no file of that name; the next start
// makes one.
func TestCrashBeforeTheFirstKey(t *testing.T) {
	o, _ := newOptions(t)
	writeFile(t, o.Path+".new-LEFT", []byte(written[:40]))
	if _, err := Verify(mustSign(t, mustOpen(t, o), "text\n"), mustOpen(t, o).Verifier()); err != nil {
		t.Error(err)
	}
}
