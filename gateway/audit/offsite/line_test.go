package offsite

import (
	"bytes"
	"encoding/json"
	"errors"
	"strings"
	"testing"
)

func TestLine(t *testing.T) {
	var out bytes.Buffer
	c := at(t, 12345)
	if err := (&lines{w: &out}).carry(t.Context(), c); err != nil {
		t.Fatal(err)
	}
	text, _ := json.Marshal(string(c.signed))
	want := `{"msg":"audit checkpoint","origin":"jiragate/us","size":12345,"note":` + strings.ReplaceAll(string(text), "—", `\u2014`) + "}\n"
	if out.String() != want {
		t.Errorf("got  %s\nwant %s", out.String(), want)
	}
}

// The line is one line, can't steer a terminal, and gives the note back.
func TestLinesAreInASCII(t *testing.T) {
	for _, history := range []string{"AAAA", "\u007f\u009b31m\u202e\u2028", "<&>\"\\", "𝔘é\ufffd", "\n\nx\n"} {
		var out bytes.Buffer
		c := newCheckpoint(signedBy(t, 7, history, "é\u009b", origin), 7)
		if err := (&lines{w: &out}).carry(t.Context(), c); err != nil {
			t.Fatal(err)
		}
		line, ended := strings.CutSuffix(out.String(), "\n")
		if !ended || strings.ContainsFunc(line, func(r rune) bool { return r < 0x20 || r > 0x7e }) {
			t.Errorf("%q gives %q", history, out.String())
		}
		var got struct{ Note string }
		if err := json.Unmarshal([]byte(line), &got); err != nil || got.Note != string(c.signed) {
			t.Errorf("%q comes back as %q, %v", c.signed, got.Note, err)
		}
	}
}

// short takes a few bytes at most each time.
type short struct {
	out  bytes.Buffer
	most []int
	err  error
}

func (s *short) Write(b []byte) (int, error) {
	n := len(b)
	if len(s.most) > 0 {
		n, s.most = min(n, s.most[0]), s.most[1:]
	}
	s.out.Write(b[:n])
	if n < len(b) {
		return n, s.err
	}
	return n, nil
}

func TestATornLineSpoilsNoOther(t *testing.T) {
	for _, err := range []error{nil, errors.New("broken pipe")} {
		w := &short{most: []int{10, 0, 1}, err: err}
		l := &lines{w: w}
		for i := range 3 {
			if err := l.carry(t.Context(), at(t, 7)); err == nil {
				t.Errorf("attempt %d is said to have succeeded", i)
			}
		}
		for range 2 {
			if err := l.carry(t.Context(), at(t, 7)); err != nil {
				t.Error(err)
			}
		}
		all := strings.Split(strings.TrimSuffix(w.out.String(), "\n"), "\n")
		whole := 0
		for _, line := range all {
			if json.Valid([]byte(line)) {
				whole++
			}
		}
		if whole != 2 || !json.Valid([]byte(all[len(all)-1])) {
			t.Errorf("lines %q", all)
		}
	}
}
