package certs

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// importOwn brings a root, in place of the one that is there.
func importOwn(t *testing.T, o Options) {
	t.Helper()
	key := p256(t)
	_, cert := signed(t, operatorRoot(), operatorRoot(), key, key)
	o.Replace = true
	if err := Import(o, cert, pkcs8(t, key)); err != nil {
		t.Fatal(err)
	}
}

// serving is an authority for one host.
func serving(t *testing.T, o Options) *Authority {
	t.Helper()
	a := mustOpen(t, o)
	if err := a.SetHosts([]string{"jira.example"}); err != nil {
		t.Fatal(err)
	}
	return a
}

func mustPrepare(t *testing.T, a *Authority) *x509.Certificate {
	t.Helper()
	next, err := a.Prepare()
	if err != nil {
		t.Fatal(err)
	}
	return next
}

func reload(t *testing.T, a *Authority) {
	t.Helper()
	put, err := a.Reload()
	if err != nil {
		t.Fatal(err)
	}
	if put != nil {
		put()
	}
}

// files are those of a directory, sorted.
func files(t *testing.T, dir string) (names []string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names
}

// A client that trusts what ca.pem holds while a root is prepared goes on through the
// rotation; one that trusts the old root alone does not, and one that came later needs
// the new root alone.
func TestRotation(t *testing.T) {
	o := newOptions(t)
	a := serving(t, o)
	old := a.RootPEM()
	before := mustLeaf(t, a, "jira.example")
	next := mustPrepare(t, a)
	both := mustRead(t, o.Dir, certFile)
	if want := append(bytes.Clone(old), encodeCertificate(next)...); !bytes.Equal(both, want) || !bytes.Equal(a.RootPEM(), want) {
		t.Errorf("%s does not hold the present root and then the next:\n%s", certFile, both)
	}
	if !bytes.Equal(mustRead(t, o.Dir, nextCertFile), encodeCertificate(next)) {
		t.Errorf("%s does not hold the next root", nextCertFile)
	}
	for name, want := range map[string]fs.FileMode{certFile: 0o644, keyFile: 0o600, nextCertFile: 0o644, nextKeyFile: 0o600} {
		if info, err := os.Stat(filepath.Join(o.Dir, name)); err != nil || info.Mode() != want {
			t.Errorf("%s: %v, %v; want %v", name, info, err, want)
		}
	}
	if present, second, err := ReadRoots(o.Dir); err != nil || !present.Equal(a.Root()) || !second.Equal(next) || !a.Next().Equal(next) {
		t.Errorf("ReadRoots: %v", err)
	}
	if mustLeaf(t, a, "jira.example") != before || !vouched(t, a, old) || !vouched(t, a, both) {
		t.Error("the prepared root signs already, or has changed what is shown")
	}
	if again := mustPrepare(t, a); !again.Equal(next) {
		t.Error("preparing again has made another root")
	}
	oldKey := mustRead(t, o.Dir, keyFile)

	if err := a.Rotate(false); err != nil {
		t.Fatal(err)
	}
	if !a.Root().Equal(next) || a.Next() != nil {
		t.Error("the prepared root is not the one that signs")
	}
	if vouched(t, a, old) || !vouched(t, a, both) || !vouched(t, a, encodeCertificate(next)) {
		t.Error("it is not the new root alone that vouches")
	}
	if !bytes.Equal(mustRead(t, o.Dir, certFile), encodeCertificate(next)) || !bytes.Equal(a.RootPEM(), encodeCertificate(next)) {
		t.Errorf("%s does not hold the new root alone", certFile)
	}
	if got := files(t, o.Dir); !slices.Equal(got, []string{keyFile, certFile}) {
		t.Errorf("the directory holds %v", got)
	}
	if bytes.Equal(mustRead(t, o.Dir, keyFile), oldKey) {
		t.Error("the old key is still there")
	}
	if again := mustOpen(t, o); !again.Root().Equal(next) || again.Next() != nil {
		t.Error("after a start it is another root")
	}
}

// A prepared root is made as the first one is, and lives from the day it is made.
func TestPreparedRootIsAsTheFirst(t *testing.T) {
	a := mustOpen(t, newOptions(t))
	now := time.Date(2031, 5, 6, 7, 8, 9, 0, time.UTC)
	a.now = func() time.Time { return now }
	next, first := mustPrepare(t, a), a.Root()
	if !next.NotBefore.Equal(now.Add(-backdate)) || next.NotAfter.Sub(next.NotBefore) != rootLife {
		t.Errorf("valid from %s to %s", next.NotBefore, next.NotAfter)
	}
	if !made(next) || next.MaxPathLen != first.MaxPathLen || next.KeyUsage != first.KeyUsage || next.IsCA != first.IsCA {
		t.Errorf("%+v is not as %+v", next, first)
	}
	if next.Subject.String() == first.Subject.String() || samePublicKey(next.PublicKey, first.PublicKey) {
		t.Error("two roots have one name or one key")
	}
}

func TestRotateAtOnce(t *testing.T) {
	o := newOptions(t)
	a := serving(t, o)
	first := a.RootPEM()
	if err := a.MayRotate(true); err != nil {
		t.Error(err)
	}
	if err := a.Rotate(true); err != nil {
		t.Fatal(err)
	}
	if vouched(t, a, first) || !vouched(t, a, mustRead(t, o.Dir, certFile)) {
		t.Error("it is not the new root that vouches")
	}

	// One that is prepared is no safer than the one it was to follow.
	second := a.RootPEM()
	if _, err := a.Prepare(); err != nil {
		t.Fatal(err)
	}
	prepared := mustRead(t, o.Dir, nextCertFile)
	if err := a.Rotate(true); err != nil {
		t.Fatal(err)
	}
	if vouched(t, a, second) || vouched(t, a, prepared) || !vouched(t, a, mustRead(t, o.Dir, certFile)) {
		t.Error("it is not a root of its own that vouches")
	}
}

func TestRotateRefuses(t *testing.T) {
	for _, test := range []struct {
		name     string
		spoil    func(t *testing.T, o Options, a *Authority)
		prepared bool
		is       error
		want     string // in the error
		both     bool   // preparing is refused, too
	}{
		{name: "nothing is prepared", is: ErrNotPrepared, spoil: func(*testing.T, Options, *Authority) {}},
		{name: "the root was brought", is: ErrBrought, both: true, spoil: func(t *testing.T, o Options, a *Authority) {
			importOwn(t, o)
			reload(t, a)
		}},
		{name: "another root was brought, and is not in force", prepared: true, is: ErrFilesDisagree, want: "jiragate reload", both: true, spoil: func(t *testing.T, o Options, _ *Authority) {
			importOwn(t, o)
		}},
		{name: "the root is gone", is: fs.ErrNotExist, want: "from a backup", both: true, spoil: func(t *testing.T, o Options, _ *Authority) {
			remove(t, filepath.Join(o.Dir, keyFile))
			remove(t, filepath.Join(o.Dir, certFile))
		}},
		{name: "what is prepared was given up", prepared: true, is: ErrNotPrepared, spoil: func(t *testing.T, o Options, _ *Authority) {
			remove(t, filepath.Join(o.Dir, nextKeyFile))
		}},
		{name: "what is prepared is of another keyset", prepared: true, is: ErrWrongSealer, want: nextKeyFile, both: true, spoil: func(t *testing.T, o Options, _ *Authority) {
			other := newOptions(t)
			mustOpen(t, other)
			write(t, filepath.Join(o.Dir, nextKeyFile), mustRead(t, other.Dir, keyFile), 0o600)
		}},
		{name: "what is prepared may be read by others", prepared: true, want: "chmod 600", both: true, spoil: func(t *testing.T, o Options, _ *Authority) {
			chmod(t, filepath.Join(o.Dir, nextKeyFile), 0o640)
		}},
		{name: "what is prepared is damaged", prepared: true, want: "remove it to have no root prepared", both: true, spoil: func(t *testing.T, o Options, _ *Authority) {
			write(t, filepath.Join(o.Dir, nextKeyFile), []byte("half"), 0o600)
		}},
		{name: "what is prepared is over", prepared: true, want: "prepare another", spoil: func(_ *testing.T, _ Options, a *Authority) {
			a.now = func() time.Time { return time.Now().Add(rootLife) }
		}},
	} {
		t.Run(test.name, func(t *testing.T) {
			o := newOptions(t)
			a := mustOpen(t, o)
			if test.prepared {
				mustPrepare(t, a)
			}
			test.spoil(t, o, a)
			present := a.Root()
			check := func(err error) {
				t.Helper()
				if err == nil || test.is != nil && !errors.Is(err, test.is) || !strings.Contains(err.Error(), test.want) {
					t.Errorf("error %v; want %v, saying %q", err, test.is, test.want)
				}
				if !a.Root().Equal(present) {
					t.Error("the root that signs is another one")
				}
			}
			check(a.Rotate(false))
			if test.both {
				_, err := a.Prepare()
				check(err)
				check(a.Rotate(true))
			}
		})
	}
}

// MayRotate says beforehand what Rotate would.
func TestMayRotate(t *testing.T) {
	o := newOptions(t)
	a := mustOpen(t, o)
	if err := a.MayRotate(false); !errors.Is(err, ErrNotPrepared) {
		t.Errorf("nothing is prepared: %v", err)
	}
	mustPrepare(t, a)
	if err := a.MayRotate(false); err != nil {
		t.Error(err)
	}
	importOwn(t, o)
	reload(t, a)
	for _, atOnce := range []bool{false, true} {
		if err := a.MayRotate(atOnce); !errors.Is(err, ErrBrought) {
			t.Errorf("a root that was brought: %v", err)
		}
	}
}

var errStop = errors.New("the power is gone")

// Wherever a rotation stops, a start finds one of the two roots, a ca.pem that has it,
// and a way to go on; and clients that trust both never lose their way.
func TestRotationStoppedAtEachStep(t *testing.T) {
	acts := map[string]func(*Authority) error{
		"prepare": func(a *Authority) error { _, err := a.Prepare(); return err },
		"rotate":  func(a *Authority) error { return a.Rotate(false) },
	}
	begin := func(t *testing.T, act string, o Options) *Authority {
		a := serving(t, o)
		if act == "rotate" {
			mustPrepare(t, a)
		}
		return a
	}
	for act, do := range acts {
		var steps []string
		a := begin(t, act, newOptions(t))
		a.before = func(step string) error { steps = append(steps, step); return nil }
		if err := do(a); err != nil || len(steps) < 3 {
			t.Fatalf("%s takes the steps %q, %v", act, steps, err)
		}
		for _, stop := range steps {
			t.Run(act+"/"+stop, func(t *testing.T) {
				o := newOptions(t)
				a := begin(t, act, o)
				first, trusted := a.Root(), a.RootPEM()
				a.before = func(step string) error {
					if step == stop {
						return errStop
					}
					return nil
				}
				err := do(a)
				if !errors.Is(err, errStop) {
					t.Fatalf("error %v", err)
				}
				rotated := !a.Root().Equal(first)
				if rotated != errors.Is(err, ErrUnfinished) || !vouched(t, a, trusted) {
					t.Errorf("rotated: %v; error %v", rotated, err)
				}
				again := serving(t, o)
				if rotated != !again.Root().Equal(first) {
					t.Error("after a start another root signs than before")
				}
				if shown := mustRead(t, o.Dir, certFile); !bytes.Equal(shown, again.RootPEM()) || !vouched(t, again, shown) || !vouched(t, again, trusted) {
					t.Error("ca.pem is not what clients need")
				}
				want := []string{keyFile, certFile}
				if again.Next() != nil {
					want = []string{keyFile, nextKeyFile, nextCertFile, certFile}
				}
				if got := files(t, o.Dir); !slices.Equal(got, want) {
					t.Errorf("the directory holds %v, want %v", got, want)
				}
				// The one that was stopped goes on without a start, too.
				a.before = nil
				reload(t, a)
				mustPrepare(t, a)
				if err := a.Rotate(false); err != nil {
					t.Error(err)
				}
			})
		}
	}
}

// The old key's file is overwritten, not only left without a name: another name shows it.
func TestOldKeyIsOverwritten(t *testing.T) {
	o := newOptions(t)
	a := mustOpen(t, o)
	mustPrepare(t, a)
	kept := filepath.Join(t.TempDir(), "kept")
	if err := os.Link(filepath.Join(o.Dir, keyFile), kept); err != nil {
		t.Fatal(err)
	}
	if !bytes.Contains(read(t, kept), []byte(blockSealedKey)) {
		t.Fatal("no key to be overwritten")
	}
	if err := a.Rotate(false); err != nil {
		t.Fatal(err)
	}
	if left := read(t, kept); len(left) == 0 || len(bytes.Trim(left, "\x00")) != 0 {
		t.Errorf("it holds\n%s", left)
	}
}

// A root that was prepared elsewhere, brought as its key file alone, is read by a reload,
// and given up by one.
func TestPreparedRootIsBroughtAndGivenUp(t *testing.T) {
	o := newOptions(t)
	a := mustOpen(t, o)
	elsewhere := Options{Dir: t.TempDir(), Sealer: o.Sealer}
	putFile(t, elsewhere.Dir, keyFile, mustRead(t, o.Dir, keyFile))
	next := mustPrepare(t, mustOpen(t, elsewhere))

	putFile(t, o.Dir, nextKeyFile, mustRead(t, elsewhere.Dir, nextKeyFile))
	put, err := a.Reload()
	if err != nil || put == nil || a.Next() != nil {
		t.Fatalf("%v, something to put: %v", err, put != nil)
	}
	if put(); !a.Next().Equal(next) || !bytes.Equal(mustRead(t, o.Dir, certFile), a.RootPEM()) {
		t.Error("the prepared root is not there")
	}
	if put, err := a.Reload(); err != nil || put != nil {
		t.Errorf("again: %v, something to put: %v", err, put != nil)
	}

	remove(t, filepath.Join(o.Dir, nextKeyFile))
	reload(t, a)
	if a.Next() != nil || !bytes.Equal(mustRead(t, o.Dir, certFile), encodeCertificate(a.Root())) {
		t.Error("the root that was given up is still there")
	}
	if got := files(t, o.Dir); !slices.Equal(got, []string{keyFile, certFile}) {
		t.Errorf("the directory holds %v", got)
	}
}

// A gateway that is given ca-key.pem of one that has rotated has nothing prepared.
func TestPreparedRootThatSignsAlready(t *testing.T) {
	o := newOptions(t)
	a := mustOpen(t, o)
	next := mustPrepare(t, a)
	putFile(t, o.Dir, keyFile, mustRead(t, o.Dir, nextKeyFile))
	reload(t, a)
	if !a.Root().Equal(next) || a.Next() != nil {
		t.Error("the root that was brought is not in force alone")
	}
	if got := files(t, o.Dir); !slices.Equal(got, []string{keyFile, certFile}) || !bytes.Equal(mustRead(t, o.Dir, certFile), encodeCertificate(next)) {
		t.Errorf("the directory holds %v", got)
	}
}

// Who brings a root gives up the one that was prepared.
func TestImportGivesUpThePreparedRoot(t *testing.T) {
	o := newOptions(t)
	mustPrepare(t, mustOpen(t, o))
	importOwn(t, o)
	a := mustOpen(t, o)
	if made(a.Root()) || a.Next() != nil || !slices.Equal(files(t, o.Dir), []string{keyFile, certFile}) {
		t.Errorf("%s; the directory holds %v", a.Root().Subject, files(t, o.Dir))
	}
}

// Both keys are sealed anew: without that, the old key of the keyset is still needed.
func TestResealWithAPreparedRoot(t *testing.T) {
	o, ring := newRingOptions(t)
	a := mustOpen(t, o)
	first := mustBeUnder(t, o.Dir)
	second := mustRotate(t, ring)
	mustPrepare(t, a)
	if ids, err := SealedUnder(o.Dir); err != nil || !slices.Equal(ids, []uint32{first, second}) {
		t.Errorf("sealed under %d, %v", ids, err)
	}
	third := mustRotate(t, ring)
	if changed, err := a.Reseal(); !changed || err != nil {
		t.Fatal(changed, err)
	}
	if got := mustBeUnder(t, o.Dir); got != third {
		t.Errorf("sealed under %d, want %d", got, third)
	}
	if err := errors.Join(ring.drop(first), ring.drop(second)); err != nil {
		t.Fatal(err)
	}
	again := serving(t, o)
	if err := again.Rotate(false); err != nil {
		t.Fatal(err)
	}
	if !vouched(t, again, again.RootPEM()) {
		t.Error("the new root does not vouch")
	}
}

// The old root can't vouch for the new one, so that a cross certificate in the chain would
// be of no use: see doc.go.
func TestOldRootCannotVouchForTheNext(t *testing.T) {
	a := serving(t, newOptions(t))
	old, err := a.root.unseal()
	if err != nil {
		t.Fatal(err)
	}
	first := a.Root()
	next := mustPrepare(t, a)
	cross, err := sign(next, first, next.PublicKey, old)
	if err != nil {
		t.Fatal(err)
	}
	if err := a.Rotate(false); err != nil {
		t.Fatal(err)
	}
	leaf := mustLeaf(t, a, "jira.example")
	roots, between := x509.NewCertPool(), x509.NewCertPool()
	roots.AddCert(first)
	between.AddCert(cross)
	between.AppendCertsFromPEM(pem.EncodeToMemory(&pem.Block{Type: blockCertificate, Bytes: leaf.Certificate[1]}))
	_, err = leaf.Leaf.Verify(x509.VerifyOptions{Roots: roots, Intermediates: between, DNSName: "jira.example"})
	if invalid, ok := errors.AsType[x509.CertificateInvalidError](err); !ok || invalid.Reason != x509.TooManyIntermediates {
		t.Errorf("error %v, want that of the path length", err)
	}
}

// Leaves are issued all through preparations and rotations, and none has a chain of two
// roots.
func TestRotationUnderLoad(t *testing.T) {
	a := serving(t, newOptions(t))
	stop, asked, done := make(chan struct{}), make(chan struct{}, 1), make(chan error, 1)
	go func() {
		defer close(done)
		for {
			leaf, err := a.Leaf("jira.example")
			if err == nil {
				err = belongs(leaf)
			}
			if err != nil {
				done <- err
				return
			}
			select {
			case <-stop:
				return
			case asked <- struct{}{}:
			default:
			}
		}
	}()
	for range 20 {
		next := mustPrepare(t, a)
		select {
		case <-asked:
		case err := <-done:
			t.Fatal(err)
		}
		if err := a.Rotate(false); err != nil {
			t.Fatal(err)
		}
		if !vouched(t, a, encodeCertificate(next)) {
			t.Fatal("a leaf of the old root after the rotation")
		}
	}
	close(stop)
	if err := <-done; err != nil {
		t.Error(err)
	}
}

// belongs checks that a leaf is signed by the intermediate beside it.
func belongs(leaf *tls.Certificate) error {
	im, err := x509.ParseCertificate(leaf.Certificate[1])
	if err != nil {
		return err
	}
	return leaf.Leaf.CheckSignatureFrom(im)
}
