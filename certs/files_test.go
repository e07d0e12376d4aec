package certs

import (
	"bytes"
	"crypto/x509"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

func TestFirstStartAndReopen(t *testing.T) {
	o := newOptions(t)
	first := mustOpen(t, o)
	for name, want := range map[string]fs.FileMode{".": fs.ModeDir | 0o700, certFile: 0o644, keyFile: 0o600} {
		info, err := os.Stat(filepath.Join(o.Dir, name))
		if err != nil {
			t.Fatal(err)
		}
		if info.Mode() != want {
			t.Errorf("%s has mode %v, want %v", name, info.Mode(), want)
		}
	}
	if entries, _ := os.ReadDir(o.Dir); len(entries) != 2 {
		t.Errorf("the directory holds %v, want the two files alone", entries)
	}
	onDisk, err := os.ReadFile(filepath.Join(o.Dir, certFile))
	if err != nil || !bytes.Equal(onDisk, first.RootPEM()) {
		t.Errorf("RootPEM is not what %s holds (%v)", certFile, err)
	}
	if shown, next, err := ReadRoots(o.Dir); err != nil || next != nil || !shown.Equal(first.Root()) {
		t.Errorf("ReadRoots = %v, %v, %v", shown, next, err)
	}

	second := mustOpen(t, o)
	if !second.Root().Equal(first.Root()) {
		t.Error("the second start has another root")
	}
	if err := second.SetHosts([]string{"a.example"}); err != nil {
		t.Fatal(err)
	}
	if err := handshake(first, mustLeaf(t, second, "a.example"), "a.example"); err != nil {
		t.Errorf("a client of the first start refuses the second: %v", err)
	}
}

// TestModesDespiteUmask: the public file is readable and the other is not,
// whatever the umask of the process.
func TestModesDespiteUmask(t *testing.T) {
	for _, umask := range []int{0, 0o077} {
		old := syscall.Umask(umask)
		o := newOptions(t)
		_, err := Open(o)
		syscall.Umask(old)
		if err != nil {
			t.Fatal(err)
		}
		for name, want := range map[string]fs.FileMode{certFile: 0o644, keyFile: 0o600} {
			if info, err := os.Stat(filepath.Join(o.Dir, name)); err != nil || info.Mode() != want {
				t.Errorf("umask %03o: %s: %v, %v; want %v", umask, name, info.Mode(), err, want)
			}
		}
	}
}

func TestKeyIsSealedAtRest(t *testing.T) {
	o := newOptions(t)
	a := mustOpen(t, o)
	data, err := os.ReadFile(filepath.Join(o.Dir, keyFile))
	if err != nil {
		t.Fatal(err)
	}
	blocks, err := decodePEM(data, blockCertificate, blockSealedKey)
	if err != nil {
		t.Fatal(err)
	}
	key, err := a.root.unseal()
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	// The last 60 bytes of the encoding are the public half; the 32 of the
	// private scalar stand before it.
	if bytes.Contains(blocks[1], der[36:68]) {
		t.Error("the private key lies open in the file")
	}
	if _, err := x509.ParsePKCS8PrivateKey(blocks[1]); err == nil {
		t.Error("the sealed block is a plain private key")
	}
}

// TestDamagedFiles: each state of the directory that is not right ends in the
// old root, where it is safe, or in an error that says what to do. None ends in
// a new root.
func TestDamagedFiles(t *testing.T) {
	other := newOptions(t)
	mustOpen(t, other)
	foreign := func(t *testing.T, name string) []byte {
		data, err := os.ReadFile(filepath.Join(other.Dir, name))
		if err != nil {
			t.Fatal(err)
		}
		return data
	}
	for _, test := range []struct {
		name   string
		damage func(t *testing.T, o *Options, cert, key string)
		is     error
		want   string // in the error; "" where Open recovers
	}{
		{name: "crash before ca.pem was written", damage: func(t *testing.T, _ *Options, cert, _ string) {
			remove(t, cert)
		}},
		{name: "crash left a temporary file", damage: func(t *testing.T, _ *Options, _, key string) {
			write(t, key+".ABCDEFGH.tmp", []byte("half"), 0o600)
		}},
		{name: "key lost", is: ErrFilesDisagree, want: "from a backup", damage: func(t *testing.T, _ *Options, _, key string) {
			remove(t, key)
		}},
		{name: "other certificate", is: ErrFilesDisagree, want: "remove the former", damage: func(t *testing.T, _ *Options, cert, _ string) {
			write(t, cert, foreign(t, certFile), 0o644)
		}},
		{name: "other root's key file", is: ErrWrongSealer, want: "keyset", damage: func(t *testing.T, _ *Options, _, key string) {
			write(t, key, foreign(t, keyFile), 0o600)
		}},
		{name: "other keyset", is: ErrWrongSealer, want: "keyset", damage: func(t *testing.T, o *Options, _, _ string) {
			o.Sealer = newSealer(t)
		}},
		{name: "key of the same keyset behind another certificate", is: ErrWrongSealer, want: "keyset", damage: func(t *testing.T, _ *Options, cert, key string) {
			mine, err := decodePEM(read(t, key), blockCertificate, blockSealedKey)
			if err != nil {
				t.Fatal(err)
			}
			theirs, err := parseCertificateFile(foreign(t, certFile))
			if err != nil {
				t.Fatal(err)
			}
			write(t, key, (&root{cert: theirs, sealed: mine[1]}).encodeKeyFile(), 0o600)
			remove(t, cert)
		}},
		{name: "key file of the group", want: "chmod 600", damage: func(t *testing.T, _ *Options, _, key string) {
			chmod(t, key, 0o640)
		}},
		{name: "key file of the world", want: "chmod 600", damage: func(t *testing.T, _ *Options, _, key string) {
			chmod(t, key, 0o604)
		}},
		{name: "key file empty", want: keyFile, damage: func(t *testing.T, _ *Options, _, key string) {
			write(t, key, nil, 0o600)
		}},
		{name: "key file cut", want: blockSealedKey, damage: func(t *testing.T, _ *Options, _, key string) {
			data := read(t, key)
			write(t, key, data[:len(data)-40], 0o600)
		}},
		{name: "key file with more in it", want: "more after", damage: func(t *testing.T, _ *Options, _, key string) {
			write(t, key, append(read(t, key), "more"...), 0o600)
		}},
		{name: "key file huge", want: "larger than", damage: func(t *testing.T, _ *Options, _, key string) {
			write(t, key, make([]byte, maxFile+1), 0o600)
		}},
		{name: "ca.pem empty", want: "written again", damage: func(t *testing.T, _ *Options, cert, _ string) {
			write(t, cert, nil, 0o644)
		}},
		{name: "ca.pem holds another's root, too", want: "no root of this directory", damage: func(t *testing.T, _ *Options, cert, _ string) {
			brought := newOptions(t)
			importOwn(t, brought)
			write(t, cert, append(read(t, cert), read(t, filepath.Join(brought.Dir, certFile))...), 0o644)
		}},
		{name: "crash before the old root left ca.pem", damage: func(t *testing.T, _ *Options, cert, _ string) {
			write(t, cert, append(foreign(t, certFile), read(t, cert)...), 0o644)
		}},
		{name: "ca.pem holds a key", want: "written again", damage: func(t *testing.T, _ *Options, cert, key string) {
			write(t, cert, read(t, key), 0o644)
		}},
		{name: "key file is a link", want: "not a regular file", damage: func(t *testing.T, _ *Options, _, key string) {
			if err := errors.Join(os.Rename(key, key+".real"), os.Symlink(keyFile+".real", key)); err != nil {
				t.Fatal(err)
			}
		}},
		{name: "key file is a pipe", want: "not a regular file", damage: func(t *testing.T, _ *Options, _, key string) {
			remove(t, key)
			if err := syscall.Mkfifo(key, 0o600); err != nil {
				t.Fatal(err)
			}
		}},
		{name: "directory is a file", want: "not a directory", damage: func(t *testing.T, o *Options, cert, _ string) {
			o.Dir = cert
		}},
	} {
		t.Run(test.name, func(t *testing.T) {
			o := newOptions(t)
			before := mustOpen(t, o)
			cert, key := filepath.Join(o.Dir, certFile), filepath.Join(o.Dir, keyFile)
			test.damage(t, &o, cert, key)
			after, err := Open(o)
			if test.want == "" {
				if err != nil {
					t.Fatal(err)
				}
				if !after.Root().Equal(before.Root()) || !bytes.Equal(read(t, cert), before.RootPEM()) {
					t.Error("not the same root as before")
				}
				return
			}
			if err == nil || !strings.Contains(err.Error(), test.want) || test.is != nil && !errors.Is(err, test.is) {
				t.Errorf("Open = %v; want %q in it, and errors.Is %v", err, test.want, test.is)
			}
		})
	}
}

func TestOptionsAreChecked(t *testing.T) {
	sealer := newSealer(t)
	for name, o := range map[string]Options{
		"no directory":   {Sealer: sealer},
		"no sealer":      {Dir: t.TempDir()},
		"negative cache": {Dir: t.TempDir(), Sealer: sealer, CacheSize: -1},
	} {
		if _, err := Open(o); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

func read(t *testing.T, path string) []byte {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func write(t *testing.T, path string, data []byte, mode fs.FileMode) {
	t.Helper()
	if err := os.WriteFile(path, data, mode); err != nil {
		t.Fatal(err)
	}
}

func remove(t *testing.T, path string) {
	t.Helper()
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
}

func chmod(t *testing.T, path string, mode fs.FileMode) {
	t.Helper()
	if err := os.Chmod(path, mode); err != nil {
		t.Fatal(err)
	}
}
