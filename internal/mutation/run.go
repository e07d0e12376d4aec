package mutation

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"
)

// Verdict is what became of a mutant.
type Verdict string

// The verdicts.
const (
	Killed    Verdict = "killed"    // a test failed, or the compiler
	TimedOut  Verdict = "timed out" // it never ended, or not in a minute, which a test would tell, too
	Survived  Verdict = "survived"  // all tests that reach it passed
	Unreached Verdict = "not reached by any test"
)

// Result is a mutant with its verdict.
type Result struct {
	*Mutant
	Verdict Verdict
}

// patience is how long a run of tests may take. Endless loops are found by counting
// before, so that this depends on no machine's speed.
const patience = time.Minute

// batches are up to which processor time tests are run in one process, one batch
// after the other. Longer ones have a process each.
var batches = []time.Duration{20 * time.Millisecond, 60 * time.Millisecond, 150 * time.Millisecond}

// Suite is the compiled package with its faults, and what its tests do without them.
type Suite struct {
	p      *Package
	dir    string   // of binaries
	flags  []string // of the test binary
	tests  []test   // the quickest first
	counts []int    // how often all tests pass each fault
}

type test struct {
	name    string
	took    time.Duration // of a processor, whatever else the machine does
	reaches []bool        // by number of the mutant
}

// Build compiles p with its faults into the directory temporary, and runs each test
// without a fault, to find out which faults it reaches and that it passes. Tests
// whose names match skip, which may be nil, don't count. flags are
// given to the test binary each time, such as a seed for tests that draw their cases.
func Build(ctx context.Context, p *Package, temporary string, skip *regexp.Regexp, flags ...string) (*Suite, error) {
	s := &Suite{p: p, dir: temporary, flags: flags, counts: make([]int, len(p.Mutants)+1)}
	if err := p.compileAll(ctx, s.binary()); err != nil {
		return nil, err
	}
	list := exec.CommandContext(ctx, s.binary(), "-test.list", ".*")
	list.Dir = p.dir
	out, err := list.Output()
	if err != nil {
		return nil, fmt.Errorf("listing the tests of %s: %w", p.dir, err)
	}
	var (
		mu sync.Mutex
		g  = parallel()
	)
	for _, name := range strings.Fields(string(out)) {
		if strings.HasPrefix(name, "Benchmark") || skip != nil && skip.MatchString(name) {
			continue
		}
		g.Go(func() error {
			t, counts, err := s.measure(ctx, name)
			mu.Lock()
			defer mu.Unlock()
			for i, n := range counts {
				s.counts[i] += n
			}
			s.tests = append(s.tests, t)
			return err
		})
	}
	if err := g.Wait(); err != nil {
		return nil, err
	}
	slices.SortFunc(s.tests, func(a, b test) int { return int(a.took - b.took) })
	return s, nil
}

func parallel() *errgroup.Group {
	var g errgroup.Group
	g.SetLimit(runtime.GOMAXPROCS(0))
	return &g
}

func (s *Suite) binary() string { return filepath.Join(s.dir, "all.test") }

// measure runs one test without a fault.
func (s *Suite) measure(ctx context.Context, name string) (test, []int, error) {
	t := test{name: name, reaches: make([]bool, len(s.counts))}
	file := filepath.Join(s.dir, name+".counts")
	cmd, clean, err := s.command(ctx, s.binary(), []string{name})
	if err != nil {
		return t, nil, err
	}
	defer clean()
	cmd.Env = append(cmd.Environ(), envCounts+"="+file)
	if out, err := cmd.CombinedOutput(); err != nil {
		return t, nil, fmt.Errorf("%s fails without any fault: %w\n%s", name, err, out)
	}
	t.took = cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()
	text, err := os.ReadFile(file)
	if err != nil {
		return t, nil, err
	}
	var counts []int
	for i, word := range strings.Fields(string(text)) {
		n, err := strconv.Atoi(word)
		if err != nil {
			return t, nil, fmt.Errorf("reading %s: %w", file, err)
		}
		counts = append(counts, n)
		t.reaches[i] = n > 0
	}
	return t, counts, nil
}

// command returns a run of tests, and what removes the folders made for it: what a
// fault has written there, or left by ending the process, must not be found by other
// runs or in the source tree. Of the package's directory it has testdata.
func (s *Suite) command(ctx context.Context, binary string, tests []string) (cmd *exec.Cmd, clean func(), err error) {
	own, err := os.MkdirTemp(s.dir, "run")
	if err != nil {
		return nil, nil, err
	}
	clean = func() { os.RemoveAll(own) }
	work, temporary := filepath.Join(own, "work"), filepath.Join(own, "tmp")
	if err := errors.Join(os.Mkdir(work, 0o700), os.Mkdir(temporary, 0o700), os.Symlink(filepath.Join(s.p.dir, "testdata"), filepath.Join(work, "testdata"))); err != nil {
		clean()
		return nil, nil, err
	}
	args := append([]string{"-test.failfast", "-test.run", "^(" + strings.Join(tests, "|") + ")$"}, s.flags...)
	cmd = exec.CommandContext(ctx, binary, args...)
	cmd.Dir = work
	cmd.Env = append(cmd.Environ(), "TMPDIR="+temporary)
	cmd.WaitDelay = time.Second
	return cmd, clean, nil
}

// Run runs the tests against every mutant, as many at a time as there are
// processors, and calls done, perhaps at the same time, with each result. The
// results are in the order of the mutants.
func (s *Suite) Run(ctx context.Context, done func(Result)) ([]Result, error) {
	results := make([]Result, len(s.p.Mutants))
	g := parallel()
	for i, m := range s.p.Mutants {
		g.Go(func() error {
			verdict, err := s.judge(ctx, i+1, m)
			results[i] = Result{m, verdict}
			if err == nil {
				done(results[i])
			}
			return err
		})
	}
	return results, g.Wait()
}

// judge runs the tests that reach a mutant: the quick ones together, then each of
// the others, until one fails.
func (s *Suite) judge(ctx context.Context, number int, m *Mutant) (Verdict, error) {
	binary := s.binary()
	if m.constant {
		binary = filepath.Join(s.dir, fmt.Sprintf("%d.test", number))
		if err := s.p.compileConstant(ctx, m, binary); err != nil {
			if exit, ended := errors.AsType[*exec.ExitError](err); ended && exit.ExitCode() > 0 {
				return Killed, nil // all the rest was compiled before: the compiler notices it
			}
			return "", err
		}
		defer os.Remove(binary)
	}
	runs := make([][]string, len(batches))
	for _, t := range s.tests {
		if !m.constant && !t.reaches[number] {
			continue
		}
		if i := slices.IndexFunc(batches, func(most time.Duration) bool { return t.took <= most }); i >= 0 {
			runs[i] = append(runs[i], t.name)
		} else {
			runs = append(runs, []string{t.name})
		}
	}
	runs = slices.DeleteFunc(runs, func(tests []string) bool { return len(tests) == 0 })
	if len(runs) == 0 {
		return Unreached, nil
	}
	for _, tests := range runs {
		if verdict, err := s.try(ctx, binary, number, tests); err != nil || verdict != Survived {
			return verdict, err
		}
	}
	return Survived, nil
}

// try runs some tests against one mutant.
func (s *Suite) try(ctx context.Context, binary string, number int, tests []string) (Verdict, error) {
	limited, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	cmd, clean, err := s.command(limited, binary, tests)
	if err != nil {
		return "", err
	}
	defer clean()
	cmd.Env = append(cmd.Environ(), envMutant+"="+strconv.Itoa(number), envLimit+"="+strconv.Itoa(2*s.counts[number]+100_000))
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	err = cmd.Run()
	if ctx.Err() != nil {
		return "", ctx.Err()
	}
	exit, ended := errors.AsType[*exec.ExitError](err)
	switch {
	case limited.Err() != nil:
		return TimedOut, nil
	case err == nil:
		return Survived, nil
	case ended && exit.ExitCode() == exitEndless:
		return TimedOut, nil
	case ended && exit.ExitCode() > 0:
		return Killed, nil
	}
	return "", fmt.Errorf("running the tests against %s: %w\n%s", s.p.Mutants[number-1].Key(), err, out.Bytes())
}
