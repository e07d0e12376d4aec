package downstream

import (
	"fmt"
	"net/http"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"golang.org/x/net/http2"
)

// As many handlers run as there may be streams, those included whose client has given up
// (CVE-2023-44487) or has made the server reset them (CVE-2025-8671). Who goes on with it
// is told to calm down.
func TestHandlersAreBounded(t *testing.T) {
	for name, giveUp := range map[string]func(*client, uint32){
		"by the client": func(c *client, id uint32) { c.WriteRSTStream(id, http2.ErrCodeCancel) },
		"by the server": func(c *client, id uint32) { c.WriteWindowUpdate(id, 1<<31-1) },
		"by a priority": func(c *client, id uint32) { c.WritePriority(id, http2.PriorityParam{StreamDep: id}) },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var running, most, served atomic.Int64
				release := make(chan struct{})
				c := greeted(t, config(), func(http.ResponseWriter, *http.Request) {
					most.Store(max(most.Load(), running.Add(1)))
					served.Add(1)
					<-release
					running.Add(-1)
				})
				id := uint32(1)
				for range 3 { // handlers end in between, so that it is not too much
					for range 30 {
						c.ask(id, false, post()...)
						giveUp(c, id)
						id += 2
					}
					c.heard()
					c.ask(id, true, get()...) // it waits
					c.hears()
					for range 11 {
						release <- struct{}{}
					}
					c.hears(fmt.Sprintf("HEADERS %d 200 content-length=0 end", id))
					id += 2
				}
				if most.Load() != 10 || served.Load() != 33 {
					t.Errorf("%d handlers ran at a time, %d in all", most.Load(), served.Load())
				}
			})
			synctest.Test(t, func(t *testing.T) {
				release := make(chan struct{})
				defer close(release)
				c := greeted(t, config(), func(http.ResponseWriter, *http.Request) { <-release })
				var sent uint32
				for sent < 1000 && c.WritePing(true, [8]byte{}) == nil {
					c.ask(2*sent+1, false, post()...)
					giveUp(c, 2*sent+1)
					sent++
				}
				said := c.heard()
				if sent > 60 || said[len(said)-2] != "GOAWAY 101 ENHANCE_YOUR_CALM" {
					t.Errorf("%d requests were given up; heard %v", sent, said)
				}
			})
		})
	}
}
