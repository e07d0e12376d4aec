package cli

import (
	"bytes"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"
	"time"
)

// FuzzCgroupMemory: whatever the kernel shows, the limit is one that a file of the group, or
// of one above it, says; otherwise there is none.
func FuzzCgroupMemory(f *testing.F) {
	f.Add("0::/a/b\n", "1000\n")
	f.Add("4:memory:/a\n0::/a\n", "max\n")
	f.Add("0::/../../a", "-1")
	f.Add("memory", "1152921504606846977")
	f.Add("0::/\x00", "1")
	f.Fuzz(func(t *testing.T, group, limit string) {
		file := &fstest.MapFile{Data: []byte(limit)}
		got := cgroupMemory(fstest.MapFS{
			"proc/self/cgroup": &fstest.MapFile{Data: []byte(group)}, "sys/fs/cgroup/a/memory.max": file, "sys/fs/cgroup/memory/a/memory.limit_in_bytes": file,
		})
		if got < 0 || got > 1<<60 || got > 0 && !strings.ContainsAny(limit, "123456789") {
			t.Errorf("in %q, of which the file says %q: %d", group, limit, got)
		}
	})
}

// FuzzLoginName: a name that is found is the first field of a line of the user's.
func FuzzLoginName(f *testing.F) {
	f.Add("root:x:0:0:root:/root:/bin/sh\nada:x:1000:1000::/:\n", "1000")
	f.Add(":x:7:7::/:\nbroken\n", "7")
	f.Add("a:x:1:1:::", "")
	file := filepath.Join(f.TempDir(), "passwd")
	f.Fuzz(func(t *testing.T, passwd, uid string) {
		if err := os.WriteFile(file, []byte(passwd), 0o600); err != nil {
			t.Fatal(err)
		}
		name, ok := loginName(file, uid)
		if ok != (name != "") || ok && !strings.Contains("\n"+passwd, "\n"+name+":") || ok && !strings.Contains(passwd, ":"+uid+":") {
			t.Errorf("%s is %q in %q", uid, name, passwd)
		}
	})
}

// FuzzCertificates: of a file that is taken every PEM block is a certificate, as crypto/x509
// finds them; no error repeats a block of another kind.
func FuzzCertificates(f *testing.F) {
	f.Add([]byte("-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n"))
	f.Add([]byte("-----BEGIN PRIVATE KEY-----\nUzNjcmV0\n-----END PRIVATE KEY-----\n"))
	f.Add([]byte("-----BEGIN \x1b[31m-----\n-----END \x1b[31m-----\n"))
	f.Add([]byte("# our root\n"))
	f.Add(selfSigned(f))
	f.Add(append(bytes.Repeat(selfSigned(f), 2), "-----BEGIN CERTIFICATE"...))
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, content []byte) {
		pool := x509.NewCertPool()
		err := addRootsOf(pool, "ca.pem", content)
		if err != nil {
			if says := err.Error(); len(says) > 1000+len("ca.pem") && !strings.HasPrefix(says, "ca.pem: certificate") || strings.ContainsFunc(says, func(r rune) bool { return r < ' ' }) || !strings.Contains(says, "ca.pem") {
				t.Errorf("error %q", says)
			}
			return
		}
		whole := x509.NewCertPool()
		if !whole.AppendCertsFromPEM(content) || !whole.Equal(pool) {
			t.Errorf("crypto/x509 finds others in %q", content)
		}
		for block, rest := pem.Decode(content); block != nil; block, rest = pem.Decode(rest) {
			if block.Type != "CERTIFICATE" {
				t.Errorf("there is a %q in it", block.Type)
			}
		}
	})
}

// selfSigned is a certificate in PEM.
func selfSigned(f *testing.F) []byte {
	f.Helper()
	public, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		f.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Date(2100, 1, 1, 0, 0, 0, 0, time.UTC)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, public, private)
	if err != nil {
		f.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
}
