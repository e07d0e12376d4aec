package offsite

import (
	"bytes"
	"errors"
	"strings"
	"testing"
)

// A name has the hash of the key that signed, as the key's makers give it (@).
func TestFileNames(t *testing.T) {
	for _, test := range []struct {
		name  string
		by    []string
		size  uint64
		file  string
		again string // the second of that name
	}{
		{"usual", []string{origin}, 12345, "jiragate_us-@-00000000000000012345.checkpoint", "jiragate_us-@-00000000000000012345-2.checkpoint"},
		{"largest", []string{origin}, 1<<64 - 1, "jiragate_us-@-18446744073709551615.checkpoint", "jiragate_us-@-18446744073709551615-2.checkpoint"},
		{"with a witness before", []string{"witness", origin}, 1, "jiragate_us-@-00000000000000000001.checkpoint", "jiragate_us-@-00000000000000000001-2.checkpoint"},
		{"another's", []string{"somebody.example"}, 1, "somebody.example-@-00000000000000000001.checkpoint", "somebody.example-@-00000000000000000001-2.checkpoint"},
		{"hostile", []string{"../../etc/\x7f\u202eé"}, 1, "_._.._etc____-@-00000000000000000001.checkpoint", "_._.._etc____-@-00000000000000000001-2.checkpoint"},
		{"long", []string{strings.Repeat("é", 100)}, 1, strings.Repeat("_", 50) + "-@-00000000000000000001.checkpoint", strings.Repeat("_", 50) + "-@-00000000000000000001-2.checkpoint"},
	} {
		t.Run(test.name, func(t *testing.T) {
			c := newCheckpoint(signedBy(t, test.size, "AAAA", test.by...), test.size)
			if c.defect != nil || c.origin != origin {
				t.Fatalf("origin %q, %v", c.origin, c.defect)
			}
			hash := strings.TrimPrefix(keyOf(t, test.by[len(test.by)-1]), "+")
			for number, want := range map[int]string{1: test.file, 2: test.again} {
				if got, want := c.fileName(number), strings.Replace(want, "@", hash, 1); got != want {
					t.Errorf("%q, want %q", got, want)
				}
			}
		})
	}
}

func TestRefusesWhatIsNoNote(t *testing.T) {
	good := signed(t, 7)
	for name, bad := range map[string][]byte{
		"nothing":          nil,
		"text":             []byte("jiragate/us\n7\nAAAA\n"),
		"no signature":     []byte("jiragate/us\n7\nAAAA\n\n"),
		"control":          bytes.Replace(good, []byte("AAAA"), []byte("A\x1bA"), 1),
		"not UTF-8":        bytes.Replace(good, []byte("AAAA"), []byte("A\xffA"), 1),
		"zeros at the end": append(bytes.Clone(good[:len(good)-9]), make([]byte, 9)...),
	} {
		if c := newCheckpoint(bad, 7); !errors.Is(c.defect, ErrMalformed) {
			t.Errorf("%s: %v", name, c.defect)
		}
	}
	for n := range good {
		if c := newCheckpoint(good[:n], 7); !errors.Is(c.defect, ErrMalformed) {
			t.Errorf("cut after %d of %d bytes: %v", n, len(good), c.defect)
		}
	}
	large := signedBy(t, 7, strings.Repeat("A", MaxCheckpoint), origin)
	if c := newCheckpoint(large, 7); c.defect == nil || c.signed != nil {
		t.Errorf("%d bytes are taken", len(large))
	}
	if c := newCheckpoint(large[len(large)-MaxCheckpoint:], 7); c.defect != nil {
		t.Errorf("%d bytes: %v", MaxCheckpoint, c.defect)
	}
}

func FuzzCheckpoint(f *testing.F) {
	f.Add(signed(f, 7), uint64(7))
	f.Add(signedBy(f, 7, "é\n\n", "w", "../x"), uint64(1<<63))
	f.Add([]byte("a\n\n— b AAAAAAAA\n"), uint64(0))
	f.Add([]byte("\n\n— .. AAAAAAAA\n"), uint64(0))
	f.Fuzz(func(t *testing.T, b []byte, size uint64) {
		c := newCheckpoint(b, size)
		if c.defect != nil {
			return
		}
		if !bytes.Equal(c.signed, b) {
			t.Errorf("%q became %q", b, c.signed)
		}
		name := c.fileName(1)
		if len(name) > 200 || strings.HasPrefix(name, ".") || strings.ContainsFunc(name, func(r rune) bool { return !isLetterOrDigit(r) && !strings.ContainsRune("-._", r) }) {
			t.Errorf("%q gives the name %q", b, name)
		}
	})
}
