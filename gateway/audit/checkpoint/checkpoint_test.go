package checkpoint

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"math"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// The example of C2SP tlog-checkpoint.
const specified = "example.com/behind-the-sofa\n20852163\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n"

func TestTextOfTheSpecification(t *testing.T) {
	c, err := parse([]byte(specified))
	if err != nil {
		t.Fatal(err)
	}
	if c.Origin != "example.com/behind-the-sofa" || c.Size != 20852163 || hex.EncodeToString(c.Root[:4]) != "0ac5186a" {
		t.Errorf("%+v", c)
	}
	if string(c.Text()) != specified {
		t.Errorf("it is written %q", c.Text())
	}
}

func TestParseRefuses(t *testing.T) {
	const root = "CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n"
	for _, test := range []struct{ name, text, says string }{
		{"nothing", "", "not three lines"},
		{"two lines", "a\n1\n", "not three lines"},
		{"no newline at the end", strings.TrimSuffix(specified, "\n"), "not three lines"},
		{"an extension line", specified + "more\n", "further lines"},
		{"an empty line at the end", specified + "\n", "further lines"},
		{"no name", "\n1\n" + root, "not three lines"},
		{"a name with a space", "a b\n1\n" + root, "first line"},
		{"a name with a plus", "a+b\n1\n" + root, "first line"},
		{"a name with an escape sequence", "a\x1b[1m\n1\n" + root, "first line"},
		{"a name that looks like another", "jiragate/\u0443s\n1\n" + root, "first line"},
		{"a carriage return", "a\r\n1\n" + root, "first line"},
		{"a long name", strings.Repeat("x", maxName+1) + "\n1\n" + root, "256 bytes"},
		{"no number", "a\n\n" + root, "not three lines"},
		{"a leading zero", "a\n01\n" + root, "another spelling"},
		{"a plus before the number", "a\n+1\n" + root, "not three lines"},
		{"a negative number", "a\n-1\n" + root, "not three lines"},
		{"an underscore in the number", "a\n1_0\n" + root, "not three lines"},
		{"a number beyond 64 bits", "a\n18446744073709551616\n" + root, "not three lines"},
		{"a short root", "a\n1\nAAAA\n", "3 bytes long"},
		{"an empty root", "a\n1\n\n", "0 bytes long"},
		{"a root not in base64", "a\n1\n" + strings.Repeat("!", 44) + "\n", "not three lines"},
		{"bits at the end of base64", "a\n1\n" + strings.Replace(root, "2I=", "2J=", 1), "another spelling"},
		{"a carriage return in base64", "a\n1\n" + strings.Replace(root, "=", "=\r", 1), "another spelling"},
		{"a huge text", strings.Repeat("x", maxText+1), "bytes long, more than"},
	} {
		if c, err := parse([]byte(test.text)); err == nil || c != (Checkpoint{}) || !strings.Contains(err.Error(), test.says) {
			t.Errorf("%s: %+v, error %v does not say %q", test.name, c, err, test.says)
		}
	}
}

func TestTextIsReadAgain(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c := Checkpoint{
			Origin: rapid.StringMatching(`[!-*,-~]{1,255}`).Draw(t, "origin"),
			Size:   rapid.OneOf(rapid.Uint64(), rapid.SampledFrom([]uint64{0, 1, math.MaxUint64})).Draw(t, "size"),
		}
		copy(c.Root[:], rapid.SliceOfN(rapid.Byte(), 32, 32).Draw(t, "root"))
		if got, err := parse(c.Text()); err != nil || got != c {
			t.Fatalf("%+v is read as %+v, %v", c, got, err)
		}
	})
	longest := Checkpoint{strings.Repeat("x", maxName), math.MaxUint64, [32]byte{}}
	if _, err := parse(longest.Text()); err != nil || len(longest.Text()) != maxText {
		t.Errorf("the longest one: %d bytes, %v", len(longest.Text()), err)
	}
}

func TestLeaf(t *testing.T) {
	// printf '\0L123456' | sha256sum
	const want = "395aa064aa4c29f7010acfe3f25db9485bbd4b91897b6ad7ad547639252b4d56"
	if got := Leaf([]byte("L123456")); hex.EncodeToString(got[:]) != want {
		t.Errorf("%x, want %s", got, want)
	}
	if got := Leaf(nil); got != sha256.Sum256([]byte{0}) {
		t.Errorf("of nothing: %x", got)
	}
}

// FuzzParse: what is read is written as the same bytes, and its name is safe to
// print.
func FuzzParse(f *testing.F) {
	f.Add([]byte(specified))
	f.Add([]byte(specified + "more\n"))
	f.Add([]byte("a\n01\nAAAA\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		c, err := parse(text)
		if err != nil {
			return
		}
		if !bytes.Equal(c.Text(), text) || checkName(c.Origin) != nil {
			t.Errorf("%q is read as %+v", text, c)
		}
	})
}
