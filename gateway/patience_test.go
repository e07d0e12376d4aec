package gateway

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"
)

// A patience ends as context.WithTimeout does, whether or not somebody waits for it.
func TestPatience(t *testing.T) {
	type key struct{}
	for name, end := range map[string]struct {
		what func(parent context.CancelFunc, done context.CancelFunc)
		want error
	}{
		"time":   {func(_, _ context.CancelFunc) { time.Sleep(time.Minute) }, context.DeadlineExceeded},
		"parent": {func(parent, _ context.CancelFunc) { parent() }, context.Canceled},
		"done":   {func(_, done context.CancelFunc) { done() }, context.Canceled},
	} {
		for _, waits := range []bool{false, true} {
			t.Run(name, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					parent, cancel := context.WithCancel(context.WithValue(t.Context(), key{}, "value"))
					defer cancel()
					p := new(patience)
					p.begin(parent, time.Minute)
					done := p.finish
					defer done()
					var child context.Context
					if waits {
						var stop context.CancelFunc
						child, stop = context.WithCancel(p)
						defer stop()
					}
					if at, ok := p.Deadline(); !ok || time.Until(at) != time.Minute || p.Err() != nil || p.Value(key{}) != "value" {
						t.Errorf("%v, %v, %v", at, p.Err(), p.Value(key{}))
					}
					end.what(cancel, done)
					synctest.Wait()
					if !errors.Is(p.Err(), end.want) {
						t.Errorf("%v", p.Err())
					}
					if waits {
						<-child.Done()
						if !errors.Is(child.Err(), end.want) {
							t.Errorf("child: %v", child.Err())
						}
					}
					<-p.Done()
				})
			})
		}
	}
}
