package audit

import (
	"bytes"
	"sync"
	"testing"

	"golang.org/x/mod/sumdb/note"

	"jiragate/gateway/audit/checkpoint"
)

// testSigner signs with keys made from a seed, so that two processes have the same.
type testSigner struct {
	mu        sync.Mutex
	signers   []note.Signer
	verifiers []string
	notes     [][]byte
	failing   error
}

func newTestSigner(t testing.TB, seed byte) *testSigner {
	t.Helper()
	s := &testSigner{}
	s.add(seed)
	return s
}

func (s *testSigner) add(seed byte) {
	private, public, err := note.GenerateKey(bytes.NewReader(bytes.Repeat([]byte{seed}, 64)), "jiragate/us")
	if err != nil {
		panic(err)
	}
	signer, err := note.NewSigner(private)
	if err != nil {
		panic(err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.signers, s.verifiers = append(s.signers, signer), append(s.verifiers, public)
}

// rotate goes on with another key, which the one before endorses.
func (s *testSigner) rotate(t testing.TB, seed byte) {
	t.Helper()
	before := s.Verifiers()
	s.add(seed)
	last := len(s.signers) - 1
	text := "jiragate audit key succession\n" + before[last-1] + "\n" + s.verifiers[last] + "\n"
	signed, err := note.Sign(&note.Note{Text: text}, s.signers[last-1], s.signers[last])
	if err != nil {
		t.Fatal(err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.notes = append(s.notes, signed)
}

func (s *testSigner) Name() string { return "jiragate/us" }

func (s *testSigner) Sign(text []byte) ([]byte, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.failing != nil {
		return nil, s.failing
	}
	return note.Sign(&note.Note{Text: string(text)}, s.signers[len(s.signers)-1])
}

func (s *testSigner) Verifiers() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]string(nil), s.verifiers...)
}

func (s *testSigner) Successions() [][]byte {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([][]byte(nil), s.notes...)
}

// trust is what somebody believes who was told the first key.
func (s *testSigner) trust(t testing.TB) *checkpoint.Trust {
	t.Helper()
	trust, err := checkpoint.NewTrust(s.Verifiers()[0])
	if err != nil {
		t.Fatal(err)
	}
	return trust
}

// mustProve verifies the log with its checkpoints: all of it must be covered.
func mustProve(t testing.TB, dir string, s *testSigner) Report {
	t.Helper()
	report, err := Verify(dir, VerifyOptions{Trust: s.trust(t)})
	if err != nil {
		t.Fatalf("verify: %v", err)
	}
	if report.Checkpointed != report.Records {
		t.Errorf("of %d records %d are covered by a checkpoint", report.Records, report.Checkpointed)
	}
	return report
}
