package certs

import (
	"bytes"
	"crypto/x509"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

// anotherRoot makes a root under the same sealer, and returns its two files.
func anotherRoot(t *testing.T, o Options) (key, cert []byte) {
	t.Helper()
	o.Dir = t.TempDir()
	mustOpen(t, o)
	return mustRead(t, o.Dir, keyFile), mustRead(t, o.Dir, certFile)
}

func mustRead(t *testing.T, dir, name string) []byte {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(dir, name))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func putFile(t *testing.T, dir, name string, content []byte) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(dir, name), content, 0o600); err != nil {
		t.Fatal(err)
	}
}

// vouched reports whether a root vouches for what a host shows.
func vouched(t *testing.T, a *Authority, rootPEM []byte) bool {
	t.Helper()
	leaf := mustLeaf(t, a, "jira.example")
	roots, between := x509.NewCertPool(), x509.NewCertPool()
	roots.AppendCertsFromPEM(rootPEM)
	im, err := x509.ParseCertificate(leaf.Certificate[1])
	if err != nil {
		t.Fatal(err)
	}
	between.AddCert(im)
	_, err = leaf.Leaf.Verify(x509.VerifyOptions{Roots: roots, Intermediates: between, DNSName: "jira.example"})
	return err == nil
}

func TestReload(t *testing.T) {
	o := newOptions(t)
	a := mustOpen(t, o)
	if err := a.SetHosts([]string{"jira.example"}); err != nil {
		t.Fatal(err)
	}
	first := a.RootPEM()
	if put, err := a.Reload(); err != nil || put != nil {
		t.Errorf("unchanged: %v, something to put: %v", err, put != nil)
	}
	if !vouched(t, a, first) {
		t.Fatal("the first root does not vouch")
	}
	key, cert := anotherRoot(t, o)
	putFile(t, o.Dir, keyFile, key)
	putFile(t, o.Dir, certFile, cert)
	put, err := a.Reload()
	if err != nil || put == nil {
		t.Fatalf("another root: %v, something to put: %v", err, put != nil)
	}
	if !vouched(t, a, first) || !bytes.Equal(a.RootPEM(), first) {
		t.Error("the other root was in force before it was put")
	}
	put()
	if vouched(t, a, first) || !vouched(t, a, cert) || !bytes.Equal(a.RootPEM(), cert) {
		t.Error("the other root is not in force")
	}
}

// What can't do the work changes nothing, and the error says what to do.
func TestReloadRefuses(t *testing.T) {
	for _, test := range []struct {
		name  string
		spoil func(t *testing.T, o Options)
		is    error
		want  string
	}{
		{"no files", func(t *testing.T, o Options) {
			for _, name := range []string{keyFile, certFile} {
				if err := os.Remove(filepath.Join(o.Dir, name)); err != nil {
					t.Fatal(err)
				}
			}
		}, fs.ErrNotExist, "restore"},
		{"one of two files", func(t *testing.T, o Options) {
			_, cert := anotherRoot(t, o)
			putFile(t, o.Dir, certFile, cert)
		}, ErrFilesDisagree, "restore"},
		{"sealed under another keyset", func(t *testing.T, o Options) {
			o.Sealer = newSealer(t)
			key, cert := anotherRoot(t, o)
			putFile(t, o.Dir, keyFile, key)
			putFile(t, o.Dir, certFile, cert)
		}, ErrWrongSealer, "keyset"},
		{"over", func(t *testing.T, o Options) {
			o.Now = func() time.Time { return time.Now().Add(-rootLife) }
			key, cert := anotherRoot(t, o)
			putFile(t, o.Dir, keyFile, key)
			putFile(t, o.Dir, certFile, cert)
		}, nil, "does not include now"},
	} {
		t.Run(test.name, func(t *testing.T) {
			o := newOptions(t)
			a := mustOpen(t, o)
			if err := a.SetHosts([]string{"jira.example"}); err != nil {
				t.Fatal(err)
			}
			first := a.RootPEM()
			test.spoil(t, o)
			put, err := a.Reload()
			if err == nil || put != nil || test.is != nil && !errors.Is(err, test.is) || !strings.Contains(err.Error(), test.want) {
				t.Errorf("error %v, something to put: %v; want %v, saying %q", err, put != nil, test.is, test.want)
			}
			if !vouched(t, a, first) {
				t.Error("the root in use has changed")
			}
		})
	}
}

// A key that was sealed anew on disk is read as such, and nothing else changes.
func TestReloadTakesAnotherSeal(t *testing.T) {
	o, ring := newRingOptions(t)
	a := mustOpen(t, o)
	if err := a.SetHosts([]string{"jira.example"}); err != nil {
		t.Fatal(err)
	}
	leaf := mustLeaf(t, a, "jira.example")
	mustRotate(t, ring)
	if _, err := mustOpen(t, o).Reseal(); err != nil { // another one's: a has the old seal in memory
		t.Fatal(err)
	}
	put, err := a.Reload()
	if err != nil || put == nil {
		t.Fatalf("%v, something to put: %v", err, put != nil)
	}
	put()
	if mustLeaf(t, a, "jira.example") != leaf {
		t.Error("the leaf is another one")
	}
	if again, err := a.Reload(); err != nil || again != nil {
		t.Errorf("again: %v, something to put: %v", err, again != nil)
	}
}

// Whoever asks after a root was put never sees what the one before has signed,
// whatever is being signed at that moment.
func TestReloadUnderLoad(t *testing.T) {
	o := newOptions(t)
	a := mustOpen(t, o)
	if err := a.SetHosts([]string{"jira.example"}); err != nil {
		t.Fatal(err)
	}
	stop := make(chan struct{})
	var asking sync.WaitGroup
	for range 4 {
		asking.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				if _, err := a.Leaf("jira.example"); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	for range 20 {
		key, cert := anotherRoot(t, o)
		putFile(t, o.Dir, keyFile, key)
		putFile(t, o.Dir, certFile, cert)
		put, err := a.Reload()
		if err != nil {
			t.Fatal(err)
		}
		put()
		if !vouched(t, a, cert) {
			t.Fatal("a leaf of the old root after the new one was put")
		}
	}
	close(stop)
	asking.Wait()
}
