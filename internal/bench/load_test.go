package main

import (
	"bytes"
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func TestContentLength(t *testing.T) {
	for head, want := range map[string]int{
		"HTTP/1.1 200 OK\r\nContent-Length: 1024\r\n\r\n":                           1024,
		"HTTP/1.1 200 OK\r\nA: b\r\ncontent-length:0\r\nContent-Lengthy: 7\r\n\r\n": 0,
		"HTTP/1.1 200 OK\r\nX-Content-Length: 7\r\n\r\n":                            -1,
		"HTTP/1.1 200 OK\r\nContent-Length: many\r\n\r\n":                           -1,
	} {
		if got, err := contentLength([]byte(head)); (err != nil) != (want < 0) || err == nil && got != want {
			t.Errorf("%q: %d, %v", head, got, err)
		}
	}
}

func TestProcessorOf(t *testing.T) {
	stat := "77 (a) b (c)) S 1 77 77 0 -1 4194304 100 0 0 0 150 25 3 4 20 0 9 0 1 2 3"
	if got, err := processorOf([]byte(stat)); err != nil || got != 1750*time.Millisecond {
		t.Errorf("%s, %v", got, err)
	}
	for _, bad := range []string{"", "77 (x) S 1", strings.Replace(stat, "150", "?", 1)} {
		if got, err := processorOf([]byte(bad)); err == nil {
			t.Errorf("%q: %s", bad, got)
		}
	}
}

func TestResidentOf(t *testing.T) {
	if got, err := residentOf([]byte("Name:\tx\nVmHWM:\t  99 kB\nVmRSS:\t    64 kB\n")); err != nil || got != 64<<10 {
		t.Errorf("%d, %v", got, err)
	}
	for _, bad := range []string{"", "Name:\tVmRSS: 1 kB\n", "VmRSS:\t64 MB\n", "VmRSS:\tx kB\n"} {
		if got, err := residentOf([]byte(bad)); err == nil {
			t.Errorf("%q: %d", bad, got)
		}
	}
}

func TestPathsOfTheUpstream(t *testing.T) {
	for _, kind := range []string{kindSlow, kindDrip, kindLarge} {
		if got, n := kindOf("/jira-3" + pathOf(kind, 200)); got != kind || n != 200 {
			t.Errorf("%s: %s %d", kind, got, n)
		}
	}
	for _, path := range []string{pathSmall, pathCreate, pathOf(kindSlow, mostOfKind+1), "/rest/api/2/project/SLOW/components", "/rest/api/2/project/SLOW1"} {
		if got, n := kindOf(path); got != "" || n != 0 {
			t.Errorf("%s: %s %d", path, got, n)
		}
	}
}

func TestSchedule(t *testing.T) {
	if got, want := schedule([]kind{{share: 9}, {share: 1}}), []int{0, 0, 0, 0, 0, 0, 0, 0, 0, 1}; !slices.Equal(got, want) {
		t.Errorf("%v", got)
	}
}

func TestAgeOfStamp(t *testing.T) {
	s := stamp()
	if len(s) != stampBytes {
		t.Errorf("%q has %d bytes", s, len(s))
	}
	if age, err := ageOf([]byte(s), time.Now()); err != nil || age < 0 || age > time.Minute {
		t.Errorf("%s, %v", age, err)
	}
	if _, err := ageOf([]byte("{\"code\":…"), time.Now()); err == nil {
		t.Error("no error")
	}
}

// The header of each request is the same, so it may leave nothing in the other side's
// table.
func TestHeaderIsNeverIndexed(t *testing.T) {
	w := newWay(direct, "", "127.0.0.1:1", nil)
	for _, b := range bytes.Split(headerOf(w, pathSmall), []byte("127.0.0.1:1")) {
		if len(b) > 0 && b[0]&0xc0 == 0x40 { // RFC 7541 section 6.2.1
			t.Errorf("%x is indexed", b)
		}
	}
	if !bytes.Contains(headerOf(w, pathSmall), []byte{0x82, 0x87, 0x11}) { // GET, https, never indexed :authority
		t.Errorf("%x", headerOf(w, pathSmall))
	}
}

// working counts until it is stopped.
func working(_ int, t *tally) error {
	for !t.stopped.Load() {
		time.Sleep(time.Millisecond)
		t.done.Add(1)
	}
	return nil
}

func TestMeasure(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, err := measure(t.Context(), nil, 4, time.Second, working)
		if err != nil || r.perSecond < 3900 || r.perSecond > 4100 {
			t.Errorf("%v, %v", r, err)
		}
	})
}

func TestMeasureEndsWithTheFirstFailure(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		broken := errors.New("nginx, calling: answered with 502")
		began := time.Now()
		_, err := measure(t.Context(), nil, 4, time.Hour, func(i int, tl *tally) error {
			if i == 2 {
				return broken
			}
			return working(i, tl)
		})
		if took := time.Since(began); err != broken || took > time.Minute {
			t.Errorf("%v after %s", err, took)
		}
	})
}

func TestMeasureEndsWhenItIsInterrupted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		began := time.Now()
		_, err := measure(ctx, nil, 4, time.Hour, working)
		if took := time.Since(began); !errors.Is(err, context.DeadlineExceeded) || took > time.Minute {
			t.Errorf("%v after %s", err, took)
		}
	})
}
