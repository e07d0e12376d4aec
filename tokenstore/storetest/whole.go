package storetest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"

	"jiragate/tokenstore"
)

func directoryTests() map[string]func(*testing.T, tokenstore.Store) {
	return map[string]func(*testing.T, tokenstore.Store){
		"an empty store has an empty directory": func(t *testing.T, s tokenstore.Store) {
			d := s.Directory()
			if len(d.Connections()) != 0 || len(d.Clients()) != 0 {
				t.Errorf("it has %d connections and %d clients", len(d.Connections()), len(d.Clients()))
			}
		},
		"a directory handed out does not change": func(t *testing.T, s tokenstore.Store) {
			mustDo(t, s.AddConnection(t.Context(), CloudConnection("acme"), OAuth2("1")))
			d := s.Directory()
			mustDo(t,
				s.AddConnection(t.Context(), CloudConnection("other"), OAuth2("1")),
				Remove(t.Context(), s, "acme"))
			if _, ok := d.Connection("acme"); !ok || len(d.Connections()) != 1 {
				t.Error("it changed")
			}
		},
		"no reader sees less than was acknowledged": func(t *testing.T, s tokenstore.Store) {
			// The state's reason counts up; readers note what was acknowledged, then
			// look.
			mustDo(t, s.AddConnection(t.Context(), CloudConnection("acme"), OAuth2("1")))
			var (
				acknowledged atomic.Int64
				done         = make(chan struct{})
				wg           sync.WaitGroup
			)
			for range 4 {
				wg.Go(func() {
					for {
						least := acknowledged.Load()
						c, ok := s.Directory().Connection("acme")
						seen := int64(0)
						if ok && c.StateReason != "" {
							_, _ = fmt.Sscan(c.StateReason, &seen) // stays 0
						}
						if seen < least {
							t.Errorf("a reader sees change %d after change %d was acknowledged", seen, least)
							return
						}
						select {
						case <-done:
							return
						default:
						}
					}
				})
			}
			for i := int64(1); i <= 30; i++ {
				if err := s.SetState(t.Context(), "acme", tokenstore.StateDisabled, fmt.Sprint(i)); err != nil {
					t.Error(err)
					break
				}
				acknowledged.Store(i)
			}
			close(done)
			wg.Wait()
		},
	}
}

func wholeTests() map[string]func(*testing.T, tokenstore.Store) {
	return map[string]func(*testing.T, tokenstore.Store){
		"backup is a copy": func(t *testing.T, s tokenstore.Store) {
			mustDo(t, s.AddConnection(t.Context(), CloudConnection("acme"), OAuth2("1")))
			var b bytes.Buffer
			n, err := s.Backup(t.Context(), &b)
			if err != nil || n != int64(b.Len()) || n == 0 {
				t.Errorf("it says %d bytes and writes %d, %v", n, b.Len(), err)
			}
		},
		"backup reports a writer that fails": func(t *testing.T, s tokenstore.Store) {
			full := errors.New("no space left")
			_, err := s.Backup(t.Context(), failingWriter{full})
			wantErr(t, err, full, "backup")
			ctx, cancel := context.WithCancel(t.Context())
			cancel()
			var b bytes.Buffer
			_, err = s.Backup(ctx, &b)
			wantErr(t, err, context.Canceled, "backup")
			mustDo(t, s.AddConnection(t.Context(), CloudConnection("acme"), OAuth2("1")))
		},
		"many at once": func(t *testing.T, s tokenstore.Store) {
			var wg sync.WaitGroup
			for i := range 6 {
				wg.Go(func() {
					id, client := fmt.Sprint("c-", i), fmt.Sprint("client-", i)
					for _, err := range []error{
						s.AddConnection(t.Context(), CloudConnection(id), OAuth2("1")),
						s.AddClient(t.Context(), tokenstore.Client{Name: client, TokenSHA256: Token(client)}),
						s.Grant(t.Context(), client, id),
						s.RecordIssue(t.Context(), Issue(s, id, "1", "A-1")),
						s.ReplaceCredential(t.Context(), id, FirstGeneration(s, id), OAuth2("2")),
						s.Check(t.Context()),
					} {
						if err != nil {
							t.Error(err)
						}
					}
					if i%2 == 0 {
						if err := Remove(t.Context(), s, id); err != nil {
							t.Error(err)
						}
					}
				})
			}
			wg.Wait()
			if n := len(s.Directory().Connections()); n != 3 {
				t.Errorf("%d connections remain, want 3", n)
			}
		},
	}
}

type failingWriter struct{ err error }

func (w failingWriter) Write([]byte) (int, error) { return 0, w.err }
