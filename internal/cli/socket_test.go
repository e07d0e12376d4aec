package cli

import (
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestSocket(t *testing.T) {
	for name, dir := range map[string]string{
		"short path":                shortDir(t),
		"path longer than sun_path": filepath.Join(t.TempDir(), strings.Repeat("a-long-name-", 15)),
	} {
		t.Run(name, func(t *testing.T) {
			if err := os.MkdirAll(dir, 0o700); err != nil {
				t.Fatal(err)
			}
			// A gateway that was killed leaves its socket.
			for range 2 {
				l, err := listenSocket(dir)
				if err != nil {
					t.Fatal(err)
				}
				if info, err := os.Stat(filepath.Join(dir, socketName)); err != nil || info.Mode().Perm() != 0o600 {
					t.Fatalf("mode %v, %v", info.Mode(), err)
				}
				if running, err := gatewayRuns(t.Context(), dir); err != nil || !running {
					t.Fatalf("nobody seems to listen: %v", err)
				}
				accepted(t, l)
				if err := l.Close(); err != nil {
					t.Fatal(err)
				}
				if running, err := gatewayRuns(t.Context(), dir); err != nil || running {
					t.Fatalf("somebody seems to listen at a stale socket (%v)", err)
				}
			}
			if err := removeSocket(dir); err != nil {
				t.Fatal(err)
			}
			if running, err := gatewayRuns(t.Context(), dir); err != nil || running {
				t.Fatalf("somebody seems to listen where there is no socket (%v)", err)
			}
		})
	}
}

func shortDir(t *testing.T) string {
	dir, err := os.MkdirTemp("/tmp", "jg")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return dir
}

func accepted(t *testing.T, l net.Listener) {
	t.Helper()
	conn, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	_ = conn.Close()
}

func TestSocketDoesNotReplaceAFile(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, socketName)
	if err := os.WriteFile(path, []byte("mine"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := listenSocket(dir); err == nil || !strings.Contains(err.Error(), path) {
		t.Errorf("error %v, want one that names %s", err, path)
	}
	if b, err := os.ReadFile(path); err != nil || string(b) != "mine" {
		t.Errorf("the file is gone (%v)", err)
	}
}
