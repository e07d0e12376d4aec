package records_test

import (
	"context"
	"fmt"
	"testing"

	"jiragate/tokenstore/records"
)

// halting is an engine whose first view of anything breaks off in the middle, as one of etcd's
// does of which the revision is compacted meanwhile, and is begun anew.
type halting struct{ records.Engine }

func (halting) View(_ context.Context, _ string, fn func(r records.Reader) error) error {
	if err := fn(one{broken: true}); err == nil {
		return fmt.Errorf("it goes on after an error")
	}
	return fn(one{})
}

// one has the record of one connection in each bucket.
type one struct {
	records.Reader
	broken bool
}

func (r one) Each(b records.Bucket, _ string, fn func(key, value []byte) error) error {
	value := map[records.Bucket]string{
		records.Rotations:     `{"connection":"acme","generation":1,"since":"2026-01-02T03:04:05Z"}`,
		records.Announcements: `{"connection":"acme","incarnation":1,"state":"active","since":"2026-01-02T03:04:05Z"}`,
	}[b]
	if err := fn([]byte("acme"), []byte(value)); err != nil || !r.broken {
		return err
	}
	return fmt.Errorf("it was changed meanwhile")
}

// What a view has found that was begun anew is found once.
func TestViewsBegunAnew(t *testing.T) {
	s := records.New(halting{}, nil)
	if found, err := s.Rotations(t.Context()); err != nil || len(found) != 1 {
		t.Errorf("rotations %v, %v", found, err)
	}
	if found, err := s.Announced(t.Context()); err != nil || len(found) != 1 {
		t.Errorf("announcements %v, %v", found, err)
	}
}
