package cli

import (
	"net"
	"net/http"
	"sync"
	"time"
)

// silentPatience is how long a server that ends waits for connections to say
// something. net/http would wait for 5 seconds, in which nobody is served.
const silentPatience = time.Second

// newcomers are connections to the admin listeners that have not said anything yet, as
// browsers open them ahead.
type newcomers struct {
	mu   sync.Mutex
	open map[net.Conn]struct{}
}

// follow is a server's ConnState.
func (n *newcomers) follow(c net.Conn, state http.ConnState) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if state != http.StateNew {
		delete(n.open, c)
		return
	}
	if n.open == nil {
		n.open = make(map[net.Conn]struct{})
	}
	n.open[c] = struct{}{}
}

func (n *newcomers) close() {
	n.mu.Lock()
	defer n.mu.Unlock()
	for c := range n.open {
		_ = c.Close()
	}
}
