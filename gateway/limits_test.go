package gateway

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"os"
	"regexp"
	"testing"
	"testing/synctest"
	"time"

	"jiragate/gateway/limit"
)

// The table of limits for operators has the values of the program.
func TestLimitsAreDocumented(t *testing.T) {
	page, err := os.ReadFile("../docs/operators.md")
	if err != nil {
		t.Fatal(err)
	}
	values := map[string]any{
		"maxConnections": maxConnections, "maxStrangers": maxStrangers, "maxAnswers": maxAnswers,
		"maxTunnels": maxTunnels, "maxTunnelsPerClient": maxTunnelsPerClient,
		"connectionLife": connectionLife, "lifeJitter": lifeJitter, "maxConnectionCalls": maxConnectionCalls,
		"maxHandshakes": maxHandshakes, "maxCalls": maxCalls, "maxWaitingCalls": maxWaitingCalls, "callWait": callWait,
		"maxBodyBytes": maxBodyBytes, "maxCallTime": maxCallTime, "minReadRate": minReadRate,
		"pairTries": pairTries, "pairPause": pairPause, "addressTries": addressTries, "addressPause": addressPause,
		"memoryShort": memoryShort, "memoryEnough": memoryEnough, "floodRecords": floodRecords, "floodPause": floodPause,
	}
	for _, row := range regexp.MustCompile("(?m)^\\| [^|]* \\| `(\\w+)` \\| ([^| ]+) \\|").FindAllStringSubmatch(string(page), -1) {
		want, ok := values[row[1]]
		if ok && fmt.Sprint(want) != row[2] {
			t.Errorf("%s is %v; docs/operators.md says %s", row[1], want, row[2])
		}
		delete(values, row[1])
	}
	for name := range values {
		t.Errorf("%s is not in docs/operators.md", name)
	}
}

// So many shake hands at a time, shared by whose they are; who waits too long is
// refused.
func TestHandshakesAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		places := limit.NewPlaces(limit.PlacesOptions{Total: 2, Wait: handshakeWait, Queue: 1})
		ended := make(chan error, 3)
		begin := func(whose string) net.Conn {
			client, server := net.Pipe()
			go func() { ended <- shake(places, limitHandshakes, whose, tls.Server(server, &tls.Config{})) }()
			synctest.Wait()
			return client
		}
		slow := begin("slow")
		defer slow.Close()
		began := time.Now()
		again := begin("slow")
		defer again.Close()
		other := begin("other")
		other.Close()
		if err := <-ended; errors.As(err, new(*refusal)) || time.Since(began) != 0 {
			t.Errorf("another client's handshake had to wait: %v", err)
		}
		refused, ok := errors.AsType[*refusal](<-ended)
		if !ok || refused.code != CodeClientBusy || refused.limit != limitHandshakes || time.Since(began) != handshakeWait {
			t.Errorf("after %s: %v", time.Since(began), refused)
		}
		slow.Close()
		<-ended
		if h, err := places.Take(context.Background(), "slow", 1); err != nil {
			t.Errorf("a place was not given back: %v", err)
		} else {
			h.Release()
		}
	})
}
