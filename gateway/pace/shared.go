package pace

import (
	"encoding/hex"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Pause is one that Jira has asked for, as gateways tell each other of it.
type Pause struct {
	// Name says what waits, in visible ASCII characters but for the id of the
	// connection, which is its end. It may have slashes. Of an endpoint or a resource
	// it has the SHA-256 only: paths have keys of customers' issues in them.
	//
	//	app                                    all calls of the app
	//	points                                 the same, until Jira tells of points that are left
	//	connection/INCARNATION/CONNECTION      all calls of a connection
	//	endpoint/SHA256/INCARNATION/CONNECTION its calls of an endpoint
	//	resource/SHA256/INCARNATION/CONNECTION its calls of a resource
	Name string
	// Until is when it ends.
	Until time.Time
}

// reachPoints is that of an answer which tells that the app has no points left.
const reachPoints Reach = "points"

// subject is what a pause is about.
type subject struct {
	reach Reach
	identity
	sum sum // of an endpoint or a resource
}

func (s subject) name() string {
	parts := []string{string(s.reach)}
	if s.reach == ReachEndpoint || s.reach == ReachResource {
		parts = append(parts, hex.EncodeToString(s.sum[:]))
	}
	if s.reach != ReachApp && s.reach != reachPoints {
		parts = append(parts, strconv.FormatUint(s.incarnation, 10), s.connection)
	}
	return strings.Join(parts, "/")
}

// parseSubject is the inverse of name. It takes nothing that name doesn't make.
func parseSubject(name string) (subject, error) {
	wrong := fmt.Errorf("%.100q names no pause", name)
	reach, rest, _ := strings.Cut(name, "/")
	s := subject{reach: Reach(reach)}
	switch s.reach {
	case ReachApp, reachPoints:
	case ReachEndpoint, ReachResource:
		var digest string
		digest, rest, _ = strings.Cut(rest, "/")
		if n, err := hex.Decode(s.sum[:], []byte(digest[:min(len(digest), 2*len(s.sum))])); err != nil || n != len(s.sum) {
			return subject{}, wrong
		}
		fallthrough
	case ReachConnection:
		var incarnation string
		var err error
		incarnation, s.connection, _ = strings.Cut(rest, "/")
		if s.incarnation, err = strconv.ParseUint(incarnation, 10, 64); err != nil || s.connection == "" {
			return subject{}, wrong
		}
	default:
		return subject{}, wrong
	}
	if s.name() != name {
		return subject{}, wrong
	}
	return s, nil
}

// Connection returns which connection waits, in which incarnation; ok is false where
// the pause is the app's. The error says that nothing is named.
func (p Pause) Connection() (id string, incarnation uint64, ok bool, err error) {
	s, err := parseSubject(p.Name)
	return s.connection, s.incarnation, s.connection != "", err
}

// Pause keeps a pause that another gateway was asked for, at most for an hour. It is
// not told to Options.Paused. One that is longer stays as it is. The caller has seen
// to it that there is such a connection. The error says that nothing is named.
func (p *Pacer) Pause(shared Pause) error {
	s, err := parseSubject(shared.Name)
	if err != nil {
		return err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	now := time.Now()
	wait := min(shared.Until.Sub(now), maxPause)
	if wait <= 0 {
		return nil
	}
	if s.reach == reachPoints {
		if p.fund != nil {
			p.fund.adopt(0, wait, now)
		}
		return nil
	}
	p.pause(s, now.Add(wait), now)
	return nil
}

// pause keeps a pause. It reports whether that is longer than what was.
func (p *Pacer) pause(s subject, until, now time.Time) bool {
	if s.reach == ReachApp {
		longer := until.After(p.appPaused)
		p.appPaused = later(p.appPaused, until)
		return longer
	}
	known := p.connection(s.identity)
	if known == nil {
		return false // no call of it goes out anyway
	}
	if s.reach != ReachConnection {
		return known.hold(s.sum, until, now)
	}
	longer := until.After(known.paused)
	known.paused = later(known.paused, until)
	return longer
}
