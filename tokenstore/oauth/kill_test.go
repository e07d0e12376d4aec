package oauth

import (
	"bufio"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"jiragate/internal/jirasim"
	"jiragate/tokenstore"
	"jiragate/tokenstore/bolt"
	"jiragate/tokenstore/keyset"
	"jiragate/tokenstore/secret"
)

// killDir names the directory of a process that refreshes until it is killed.
const killDir = "JIRAGATE_TEST_KILL_DIR"

// killed is what such a process is told, in a file in its directory.
type killed struct {
	AuthURL, CA string
}

func openKilled(dir string) (*bolt.Store, error) {
	keys, err := keyset.Open(context.Background(), "file:"+filepath.Join(dir, "keyset.json"), keyset.Options{Create: true})
	if err != nil {
		return nil, err
	}
	return bolt.Open(context.Background(), bolt.Options{Path: filepath.Join(dir, "store.db"), AEAD: keys, LockTimeout: 5 * time.Second})
}

func (k killed) manager(s Store) *Manager {
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM([]byte(k.CA))
	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}}
	return New(Options{
		Store: s, AuthURL: k.AuthURL, ClientID: jirasim.DefaultClientID, ClientSecret: secret.New(jirasim.DefaultClientSecret),
		Transport: func(*tokenstore.Connection) http.RoundTripper { return transport },
	})
}

// lingering is a store that, now and then, takes its time between Atlassian's
// answer and the commit, and says so.
type lingering struct{ *bolt.Store }

func (s lingering) FinishRotation(ctx context.Context, claim tokenstore.Claim, c tokenstore.Credential) error {
	if rand.IntN(10) == 0 {
		fmt.Println("answered")
		time.Sleep(20 * time.Millisecond)
	}
	return s.Store.FinishRotation(ctx, claim, c)
}

// refreshUntilKilled refreshes as fast as it can, and prints a line for each
// refresh.
func refreshUntilKilled(dir string) error {
	var k killed
	b, err := os.ReadFile(filepath.Join(dir, "process.json"))
	if err != nil {
		return err
	}
	if err := json.Unmarshal(b, &k); err != nil {
		return err
	}
	s, err := openKilled(dir)
	if err != nil {
		return err
	}
	m := k.manager(lingering{s})
	ctx := context.Background()
	go func() { _ = m.Run(ctx) }()
	for {
		if err := forceRefresh(ctx, m, "acme"); err != nil {
			return err
		}
		fmt.Println("refreshed")
	}
}

// forceRefresh replaces the credential of a connection, due or not.
func forceRefresh(ctx context.Context, m *Manager, id string) error {
	c, _ := m.store.Directory().Connection(id)
	h := holder{id, c.Incarnation}
	c, cred, err := m.lookup(ctx, h)
	if err != nil {
		return err
	}
	f, err := m.join(ctx, h, c, cred, m.now(), demand{force: cred.Generation})
	if err != nil {
		return err
	}
	<-f.done
	return f.err
}

// TestKilledAtAnyMoment is G7 and S5: killed at whatever moment, through a
// thousand refreshes, the connection is never stranded.
func TestKilledAtAnyMoment(t *testing.T) {
	enough := 1000
	if testing.Short() || underRace {
		enough = 200
	}
	dir := t.TempDir()
	sim, err := jirasim.Start(jirasim.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { sim.Close() })
	k := killed{AuthURL: sim.AuthURL(), CA: string(sim.CAPEM())}
	b, err := json.Marshal(k)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "process.json"), b, 0o600); err != nil {
		t.Fatal(err)
	}
	s, err := openKilled(dir)
	if err != nil {
		t.Fatal(err)
	}
	w := &watchedStore{Store: s}
	w.add(t, "acme", time.Hour)
	tokens := sim.IssueGrant()
	c := w.credential(t)
	c.AccessToken, c.RefreshToken = secret.New(tokens.AccessToken), secret.New(tokens.RefreshToken)
	if err := errors.Join(s.ReplaceCredential(t.Context(), "acme", c.Generation, c), s.Close()); err != nil {
		t.Fatal(err)
	}

	kills := 0
	for sim.TokenStats().Refreshes < enough {
		killRefresher(t, dir, kills%2 == 0)
		kills++
	}

	// In the end somebody is left to tell the tale, without being called.
	if s, err = openKilled(dir); err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if err := s.Check(t.Context()); err != nil {
		t.Error(err)
	}
	m := k.manager(s)
	ctx, cancel := context.WithCancel(t.Context())
	ran := make(chan error)
	go func() { ran <- m.Run(ctx) }()
	deadline := time.Now().Add(10 * time.Second)
	for time.Now().Before(deadline) {
		if notes, err := s.Rotations(t.Context()); err == nil && len(notes) == 0 {
			break
		}
		time.Sleep(5 * time.Millisecond)
	}
	if err := forceRefresh(t.Context(), m, "acme"); err != nil {
		t.Error(err)
	}
	cancel()
	if err := errors.Join(<-ran, m.Close(t.Context())); err != nil {
		t.Error(err)
	}
	stats := sim.TokenStats()
	t.Logf("%d kills: %+v", kills, stats)
	if stats.Breaches != 0 || stats.Refused != 0 {
		t.Errorf("%d refresh tokens were used too late, %d refused", stats.Breaches, stats.Refused)
	}
	if stats.Reuses == 0 {
		t.Error("no answer was lost: the test proves nothing")
	}
	connection, _ := s.Directory().Connection("acme")
	if c, err = s.Credential(t.Context(), "acme"); err != nil {
		t.Fatal(err)
	}
	if connection.State != tokenstore.StateActive || !sim.RefreshTokenCurrent(c.RefreshToken.Reveal()) {
		t.Errorf("state %s (%s)", connection.State, connection.StateReason)
	}
	if notes, err := s.Rotations(t.Context()); err != nil || len(notes) != 0 {
		t.Errorf("notes of rotations: %v, %v", notes, err)
	}
	m.transportFor(nil).(*http.Transport).CloseIdleConnections()
}

// killRefresher runs the process that refreshes, and kills it: at a random moment,
// or between an answer and its commit.
func killRefresher(t *testing.T, dir string, atAnswer bool) {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), self)
	cmd.Env = append(os.Environ(), killDir+"="+dir)
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	left := 1 + rand.IntN(80)
	killing := false
	for lines := bufio.NewScanner(out); lines.Scan(); {
		left--
		switch {
		case killing || left > 0:
		case !atAnswer:
			killing = true
			time.AfterFunc(time.Duration(rand.Int64N(int64(5*time.Millisecond))), func() {
				_ = cmd.Process.Kill() // gone already, at worst: Wait tells
			})
		case lines.Text() == "answered":
			killing = true
			_ = cmd.Process.Kill()
		}
	}
	err = cmd.Wait()
	if exit, ok := errors.AsType[*exec.ExitError](err); !ok || exit.Exited() {
		t.Fatalf("the process ended by itself: %v\n%s", err, stderr.String())
	}
}
