package mutation

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// The environment of a test binary with faults.
const (
	envMutant = "MUTATION_MUTANT" // number of the fault to switch on
	envLimit  = "MUTATION_LIMIT"  // how often it may be passed before the run counts as endless
	envCounts = "MUTATION_COUNTS" // file for how often each was passed, of a run without faults
)

// exitEndless is how a test binary ends that passes a fault too often.
const exitEndless = 98

// switches is compiled into the package. Counts may be wrong where goroutines race
// for them; whether one is zero is right.
const switches = `package %s

import (
	"os"
	"strconv"
)

var (
	mutationActive = mutationNumber("` + envMutant + `")
	mutationLimit  = mutationNumber("` + envLimit + `")
	mutationCounts [%d]int
)

func mutationNumber(name string) int {
	n, _ := strconv.Atoi(os.Getenv(name))
	return n
}

func mutationIs(n int) bool { return n == mutationActive }

func mutationOn(n int) bool {
	mutationCounts[n]++
	if n != mutationActive {
		return false
	}
	if mutationCounts[n] > mutationLimit {
		os.Exit(%d)
	}
	return true
}

func mutationPick[T any](n int, fault, right T) T {
	if mutationOn(n) {
		return fault
	}
	return right
}

func mutationZero[T any](n int, right T) T {
	if mutationOn(n) {
		right = *new(T)
	}
	return right
}

func mutationStep(n int) int {
	if mutationOn(n) {
		return 1
	}
	return 0
}
`

// report writes the counts after a run.
const report = `package %s

import (
	"fmt"
	"os"
	"strings"
	"testing"
)

func TestMain(m *testing.M) {
	code := m.Run()
	if file := os.Getenv("` + envCounts + `"); file != "" {
		if err := os.WriteFile(file, []byte(strings.Trim(fmt.Sprint(mutationCounts), "[]")), 0o600); err != nil {
			panic(err)
		}
	}
	os.Exit(code)
}
`

// render writes the source with all faults in it but those of constants, each behind
// its switch.
func (p *Package) render(path string) []byte {
	sites := slices.Clone(p.fixed[path])
	for i, m := range p.Mutants {
		if m.constant || filepath.Join(p.dir, m.File) != path {
			continue
		}
		s := m.site
		s.prefix = strings.ReplaceAll(s.prefix, "µ", strconv.Itoa(i+1))
		s.suffix = strings.ReplaceAll(s.suffix, "µ", strconv.Itoa(i+1))
		sites = append(sites, s)
	}
	// The outer before the inner ones; of those at one place the first is outermost.
	slices.SortStableFunc(sites, func(a, b site) int {
		return cmp.Or(a.start-b.start, b.end-a.end)
	})
	var (
		out    bytes.Buffer
		open   []site
		at     int
		source = p.sources[path]
	)
	closeUntil := func(offset int) {
		for len(open) > 0 && open[len(open)-1].end <= offset {
			last := open[len(open)-1]
			out.Write(source[at:last.end])
			out.WriteString(last.suffix)
			at, open = last.end, open[:len(open)-1]
		}
	}
	for _, s := range sites {
		closeUntil(s.start)
		out.Write(source[at:s.start])
		out.WriteString(s.prefix)
		at, open = s.start, append(open, s)
	}
	closeUntil(len(source))
	out.Write(source[at:])
	return out.Bytes()
}

// compile builds the package's test binary with other files in the place of some.
func (p *Package) compile(ctx context.Context, files map[string][]byte, binary string) error {
	replace := make(map[string]string)
	for path, text := range files {
		replace[path] = binary + "." + filepath.Base(path)
		if err := os.WriteFile(replace[path], text, 0o600); err != nil {
			return err
		}
	}
	overlay, err := json.Marshal(map[string]any{"Replace": replace})
	if err != nil {
		return err
	}
	if err := os.WriteFile(binary+".json", overlay, 0o600); err != nil {
		return err
	}
	// -ldflags: symbols for a debugger take longer to write than the rest.
	cmd := exec.CommandContext(ctx, "go", "test", "-c", "-vet=off", "-ldflags=-s -w", "-o", binary, "-overlay", binary+".json", ".")
	cmd.Dir = p.dir
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("compiling %s with faults: %w\n%s", p.dir, err, out)
	}
	return nil
}

// compileAll builds the binary that has all faults but those of constants.
func (p *Package) compileAll(ctx context.Context, binary string) error {
	files := map[string][]byte{
		filepath.Join(p.dir, "mutation_switches.go"):  fmt.Appendf(nil, switches, p.name, len(p.Mutants)+1, exitEndless),
		filepath.Join(p.dir, "mutation_main_test.go"): fmt.Appendf(nil, report, p.name),
	}
	for path := range p.sources {
		files[path] = p.render(path)
	}
	return p.compile(ctx, files, binary)
}

// compileConstant builds a binary with one other constant.
func (p *Package) compileConstant(ctx context.Context, m *Mutant, binary string) error {
	path := filepath.Join(p.dir, m.File)
	source := p.sources[path]
	changed := slices.Concat(source[:m.start], []byte(m.prefix), source[m.end:])
	return p.compile(ctx, map[string][]byte{path: changed}, binary)
}
