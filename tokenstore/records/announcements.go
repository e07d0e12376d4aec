package records

import (
	"context"
	"fmt"
	"time"

	"jiragate/tokenstore"
)

type announcementRecord struct {
	Connection  string           `json:"connection"`
	Incarnation uint64           `json:"incarnation"`
	State       tokenstore.State `json:"state"`
	Since       time.Time        `json:"since"`
}

func decodeAnnouncement(key, value []byte) (tokenstore.Announcement, error) {
	var r announcementRecord
	if err := decode(value, &r); err != nil {
		return tokenstore.Announcement{}, corruptf("announcement of connection %q: %v", key, err)
	}
	if r.Connection != string(key) {
		return tokenstore.Announcement{}, corruptf("announcement of connection %q holds the record of another one", key)
	}
	return tokenstore.Announcement(r), nil
}

// Announced returns what the product was told of last. The keys of a bucket are
// sorted.
func (s *Store) Announced(ctx context.Context) ([]tokenstore.Announcement, error) {
	var announced []tokenstore.Announcement
	err := s.view(ctx, "reading the announcements", func(tx Reader) error {
		announced = nil
		return tx.Each(Announcements, "", func(k, v []byte) error {
			a, err := decodeAnnouncement(k, v)
			if err != nil {
				return err
			}
			announced = append(announced, a)
			return nil
		})
	})
	if err != nil {
		return nil, err
	}
	return announced, nil
}

// SetAnnounced stores an announcement.
func (s *Store) SetAnnounced(ctx context.Context, a tokenstore.Announcement) error {
	if err := validAnnouncement(&a); err != nil {
		return fmt.Errorf("noting an announcement: %w", err)
	}
	return s.update(ctx, "noting an announcement of connection "+a.Connection, func(t *Change) error {
		if there, err := t.Has(Connections, a.Connection); err != nil {
			return err
		} else if !there {
			return ErrUnchanged
		}
		a.Since = utc(a.Since)
		return t.put(Announcements, a.Connection, announcementRecord(a))
	})
}

func validAnnouncement(a *tokenstore.Announcement) error {
	if err := tokenstore.ValidConnectionID(a.Connection); err != nil {
		return err
	}
	switch a.State {
	case tokenstore.StateActive, tokenstore.StateExpiring, tokenstore.StateNeedsReauthorisation, tokenstore.StateDisabled:
		return nil
	}
	return invalidf("announcement of connection %s: its state is unknown", a.Connection)
}
