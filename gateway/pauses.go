package gateway

import (
	"time"

	"jiragate/gateway/pace"
)

// Pauses carries what Jira asks one gateway to wait for to the others that have the same
// connections.
type Pauses interface {
	// SharePause tells the others that something waits until then. What that is says the
	// name, in visible ASCII. It returns at once, is safe for concurrent use, and may lose a
	// pause: then the others learn it from Jira.
	SharePause(name string, until time.Time)
	// FollowPauses has learn called with what is shared, now and from now on, with when it
	// ends by the clock of this machine.
	FollowPauses(learn func(name string, until time.Time))
}

// sharePauses has p carry them both ways.
func (g *Gateway) sharePauses(p Pauses) {
	p.FollowPauses(func(name string, until time.Time) {
		pause := pace.Pause{Name: name, Until: until}
		if err := g.keepPause(pause); err != nil {
			// Another release may share what this one doesn't know.
			g.log.Debug("a pause that another gateway has shared is passed over", "error", err.Error())
		}
	})
}

// keepPause keeps what another gateway was asked for, if it is about connections that are
// called from here.
func (g *Gateway) keepPause(p pace.Pause) error {
	id, incarnation, its, err := p.Connection()
	if err != nil {
		return err
	}
	if its {
		c, ok := g.directory().Connection(id)
		if !ok || c.Incarnation != incarnation || c.Region != g.options.Region {
			return nil
		}
	}
	return g.pacer.Pause(p)
}
