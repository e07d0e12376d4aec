package offsite

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// The store gets checkpoints as every place does. That it contradicts one is said as an
// error, once, also where the store was away before, and tried again.
func TestStoreThatContradicts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		places, err := ParsePlaces("store")
		if err != nil {
			t.Fatal(err)
		}
		var log logBuffer
		away := errors.New("no quorum")
		var mu sync.Mutex
		answer, got := away, [][]byte(nil)
		say := func(err error) { mu.Lock(); defer mu.Unlock(); answer = err }
		c, err := New(Options{Places: places, Interval: interval, Logger: log.logger(), Publish: func(_ context.Context, from string, signed []byte) error {
			if from != origin {
				t.Errorf("the origin is %q", from)
			}
			mu.Lock()
			defer mu.Unlock()
			got = append(got, signed)
			return answer
		}})
		if err != nil {
			t.Fatal(err)
		}
		defer start(t, c)()
		c.Offer(signed(t, 7), 7)
		time.Sleep(500 * time.Millisecond)
		contradicts := fmt.Errorf("%w: that of 9 records", ErrContradicted)
		say(contradicts)
		time.Sleep(time.Hour)
		if log.count("level=WARN") != 1 || log.count("level=ERROR") != 1 || log.count("contradicts a checkpoint of it that is kept elsewhere") != 1 {
			t.Error(log.String())
		}
		if s := c.Status()[0]; s.Problem != contradicts.Error() || s.FailingSince.IsZero() {
			t.Errorf("%+v", s)
		}
		say(nil)
		c.Offer(signed(t, 12), 12)
		time.Sleep(time.Hour)
		mu.Lock()
		defer mu.Unlock()
		if s := c.Status()[0]; len(got) < 10 || s.Size != 12 || s.Problem != "" || !bytes.Equal(got[len(got)-1], signed(t, 12)) {
			t.Errorf("%+v", s)
		}
	})
}

func TestStoreThatIsNotThere(t *testing.T) {
	places, err := ParsePlaces("stdout,store")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := New(Options{Places: places, Stdout: &bytes.Buffer{}}); err == nil || err.Error() != "place 2 for checkpoints: there is no store that gateways share" {
		t.Error(err)
	}
}
