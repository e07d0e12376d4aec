package audit

import (
	"bufio"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"
)

// crashSeed is that of the signing key.
const crashSeed = 5

// crashDir is the variable that makes this test binary the process to be killed.
const (
	crashDir  = "AUDIT_TEST_CRASH_DIR"
	crashMode = "AUDIT_TEST_CRASH_MODE"
)

func TestMain(m *testing.M) {
	if dir := os.Getenv(crashDir); dir != "" {
		os.Exit(writeUntilKilled(dir, SyncMode(os.Getenv(crashMode))))
	}
	os.Exit(m.Run())
}

// writeUntilKilled makes calls and refusals, and says on standard output what
// was acknowledged, each line after the method returned.
func writeUntilKilled(dir string, mode SyncMode) int {
	signer := &testSigner{}
	signer.add(crashSeed)
	l, err := Open(Options{Dir: dir, Sync: mode, Logger: slog.New(slog.DiscardHandler), Signer: signer, SegmentSize: 64 << 10, generationSize: 16 << 10})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	var mu sync.Mutex
	acknowledge := func(what, id string) {
		mu.Lock()
		defer mu.Unlock()
		fmt.Println(what, id)
	}
	var group sync.WaitGroup
	for range 8 {
		group.Go(func() {
			for n := 0; ; n++ {
				r := intent([]string{"GET", "POST"}[n%2])
				r.Time = time.Now().Add(time.Duration(n) * time.Minute)
				p, err := l.Begin(r)
				if err != nil {
					fmt.Fprintln(os.Stderr, err)
					return
				}
				acknowledge("begun", r.ID)
				if n%3 == 0 {
					denied, err := l.Append(refusal())
					if err != nil {
						fmt.Fprintln(os.Stderr, err)
						return
					}
					acknowledge("refused", denied.ID)
				}
				if _, err := p.Complete(outcome(r)); err != nil {
					fmt.Fprintln(os.Stderr, err)
					return
				}
				acknowledge("completed", r.ID)
			}
		})
	}
	group.Wait()
	return 1 // only an error ends the calls
}

// TestKillNine kills a process that writes, ten times, each time going on with
// the log of the one before: every record that was acknowledged is there, once.
func TestKillNine(t *testing.T) {
	dir := auditDir(t)
	acknowledged := make(map[string]string) // id to the last that was said of it
	for round := range 10 {
		mode := []SyncMode{SyncEach, SyncWrites, SyncBatch}[round%3]
		runAndKill(t, dir, mode, acknowledged)

		signer := newTestSigner(t, crashSeed)
		mustClose(t, mustOpen(t, Options{Dir: dir, Signer: signer, SegmentSize: 64 << 10}))
		mustProve(t, dir, signer)
		seen := make(map[string]bool)
		for _, r := range records(t, dir) {
			if seen[r.ID] {
				t.Fatalf("round %d, mode %s: two records of id %s", round, mode, r.ID)
			}
			seen[r.ID] = true
			if acknowledged[r.ID] == "completed" && r.Code == CodeInterrupted {
				t.Errorf("round %d, mode %s: completed call %s stands as interrupted", round, mode, r.ID)
			}
		}
		for id, what := range acknowledged {
			if !seen[id] {
				t.Errorf("round %d, mode %s: no record of call %s, which was %s", round, mode, id, what)
			}
		}
	}
	t.Logf("%d calls acknowledged", len(acknowledged))
}

// runAndKill starts the process, kills it at a random moment of its work, and
// adds what it acknowledged.
func runAndKill(t *testing.T, dir string, mode SyncMode, acknowledged map[string]string) {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), crashDir+"="+dir, crashMode+"="+string(mode))
	var complaints strings.Builder
	cmd.Stderr = &complaints
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	lines, deadline := 0, 50+rand.IntN(2000)
	r := bufio.NewReader(out)
	for {
		text, err := r.ReadString('\n')
		if err != nil {
			if err != io.EOF {
				t.Error(err)
			}
			break
		}
		what, id, ok := strings.Cut(strings.TrimSpace(text), " ")
		if !ok {
			t.Fatalf("unexpected line %q", text)
		}
		acknowledged[id] = what
		if lines++; lines == deadline {
			if err := cmd.Process.Kill(); err != nil {
				t.Fatal(err)
			}
		}
	}
	cmd.Wait() // killed: its error says so
	if lines < deadline || complaints.Len() > 0 {
		t.Fatalf("the process ended by itself after %d lines: %s", lines, &complaints)
	}
}
