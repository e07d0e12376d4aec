package notify

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"time"

	"jiragate/policy"
	"jiragate/tokenstore"
)

// TypeStateChanged is the type of the one kind of [Message] there is.
const TypeStateChanged = "connection.state_changed"

// Message is the body of a webhook: a JSON object. Times are in UTC.
type Message struct {
	Type string `json:"type"` // TypeStateChanged
	// Timestamp is when the state began. That of the attempt is in the header
	// webhook-timestamp.
	Timestamp time.Time `json:"timestamp"`
	Data      Data      `json:"data"`
}

// Data is a connection as it is now.
type Data struct {
	Connection string         `json:"connection"`
	Edition    policy.Edition `json:"edition"`
	// SiteURL is that of a Cloud connection, left out until a consent has told it;
	// BaseURL that of Data Center and Server.
	SiteURL string            `json:"site_url,omitempty"`
	BaseURL string            `json:"base_url,omitempty"`
	Region  tokenstore.Region `json:"region"`
	State   tokenstore.State  `json:"state"`
	// PreviousState is the one that was acknowledged last: not always that which
	// came right before, and the same as State where it changed there and back. It
	// is empty for a connection of which nothing was acknowledged, or that led
	// elsewhere then.
	PreviousState tokenstore.State `json:"previous_state"`
	// Reason is one line for people, which may be empty.
	Reason string `json:"reason"`
	// Since is the same as the message's Timestamp. Of two messages about a
	// connection the one with the later Since counts.
	Since time.Time `json:"since"`
}

// news is what is to be said of a connection.
type news struct {
	connection *tokenstore.Connection
	previous   tokenstore.State
}

// body returns the message as it is signed and sent.
func (n news) body() ([]byte, error) {
	c := n.connection
	return json.Marshal(Message{
		Type:      TypeStateChanged,
		Timestamp: c.StateSince.UTC(),
		Data: Data{
			Connection:    c.ID,
			Edition:       c.Edition,
			SiteURL:       c.SiteURL,
			BaseURL:       c.BaseURL,
			Region:        c.Region,
			State:         c.State,
			PreviousState: n.previous,
			Reason:        c.StateReason,
			Since:         c.StateSince.UTC(),
		},
	})
}

// announcement is what the store remembers once the news is acknowledged.
func (n news) announcement() tokenstore.Announcement {
	c := n.connection
	return tokenstore.Announcement{Connection: c.ID, Incarnation: c.Incarnation, State: c.State, Since: c.StateSince}
}

// covers reports whether the announcement was of the connection as it is.
func covers(a tokenstore.Announcement, c *tokenstore.Connection) bool {
	return a.Incarnation == c.Incarnation && a.State == c.State && a.Since.Equal(c.StateSince)
}

// messageID returns the webhook-id, which is the same in every attempt and after
// every start: "msg_" and half a SHA-256 in hexadecimal. There is no "." in it,
// which would blur what is signed. None of the parts can contain a line break.
func messageID(a tokenstore.Announcement) string {
	sum := sha256.Sum256(fmt.Appendf(nil, "%s\n%s\n%d\n%s\n%d",
		TypeStateChanged, a.Connection, a.Incarnation, a.State, a.Since.UnixNano()))
	return "msg_" + hex.EncodeToString(sum[:sha256.Size/2])
}
