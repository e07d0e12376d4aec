package offsite

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/mod/sumdb/note"
)

const origin = "jiragate/us"

// zeros makes the same key each time.
type zeros struct{}

func (zeros) Read(b []byte) (int, error) { clear(b); return len(b), nil }

// signedBy returns a checkpoint of the log origin that name has signed.
func signedBy(t testing.TB, size uint64, history string, names ...string) []byte {
	t.Helper()
	var signers []note.Signer
	for _, name := range names {
		private, _, err := note.GenerateKey(zeros{}, name)
		if err != nil {
			t.Fatal(err)
		}
		s, err := note.NewSigner(private)
		if err != nil {
			t.Fatal(err)
		}
		signers = append(signers, s)
	}
	signed, err := note.Sign(&note.Note{Text: fmt.Sprintf("%s\n%d\n%s\n", origin, size, history)}, signers...)
	if err != nil {
		t.Fatal(err)
	}
	return signed
}

func signed(t testing.TB, size uint64) []byte { return signedBy(t, size, "AAAA", origin) }

// at returns the checkpoint of a size.
func at(t testing.TB, size uint64) *checkpoint {
	t.Helper()
	c := newCheckpoint(signed(t, size), size)
	if c.defect != nil {
		t.Fatal(c.defect)
	}
	return c
}

// arrival is a checkpoint that a place got.
type arrival struct {
	size  uint64
	after time.Duration // since the test began
}

// testPlace is a place whose behaviour is the test's.
type testPlace struct {
	mu       sync.Mutex
	began    time.Time
	arrivals []arrival
	attempts []time.Duration
	behave   func(ctx context.Context) error // nil means success
}

func newPlace() *testPlace { return &testPlace{began: time.Now()} }

func (p *testPlace) carry(ctx context.Context, c *checkpoint) error {
	p.mu.Lock()
	behave := p.behave
	p.attempts = append(p.attempts, time.Since(p.began))
	p.mu.Unlock()
	if behave != nil {
		if err := behave(ctx); err != nil {
			return err
		}
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.arrivals = append(p.arrivals, arrival{c.size, time.Since(p.began)})
	return nil
}

func (p *testPlace) set(behave func(ctx context.Context) error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.behave = behave
}

func (p *testPlace) got() []arrival {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.arrivals)
}

func (p *testPlace) attempted() []time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.attempts)
}

func (p *testPlace) want(t *testing.T, want ...arrival) {
	t.Helper()
	if got := p.got(); !slices.Equal(got, want) {
		t.Errorf("the place got %v, want %v", got, want)
	}
}

// courierTo returns a Courier with these ways, in the guise of directories.
func courierTo(t *testing.T, o Options, ways ...way) *Courier {
	t.Helper()
	for i := range ways {
		o.Places = append(o.Places, Place{kind: KindDirectory, dir: fmt.Sprintf("/place/%d", i)})
	}
	c, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	for i, w := range ways {
		c.routes[i].way = w
	}
	return c
}

// start runs c; what it returns ends that, and waits.
func start(t *testing.T, c *Courier) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		c.Run(ctx)
	}()
	return func() {
		cancel()
		<-done
	}
}

// logBuffer is a log to look at.
type logBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *logBuffer) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(b)
}

func (l *logBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

func (l *logBuffer) logger() *slog.Logger {
	return slog.New(slog.NewTextHandler(l, &slog.HandlerOptions{Level: slog.LevelDebug}))
}

func (l *logBuffer) count(s string) int { return strings.Count(l.String(), s) }

// files returns what is in dir, by name.
func files(t *testing.T, dir string) map[string]string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]string{}
	for _, e := range entries {
		b, err := os.ReadFile(filepath.Join(dir, e.Name()))
		if err != nil {
			t.Fatal(err)
		}
		all[e.Name()] = string(b)
	}
	return all
}

// keyOf returns the hash of the key of that name, in hex.
func keyOf(t testing.TB, name string) string {
	t.Helper()
	_, public, err := note.GenerateKey(zeros{}, name)
	if err != nil {
		t.Fatal(err)
	}
	return strings.Split(public, "+")[1]
}
