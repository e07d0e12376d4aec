package bolt

import (
	"go.etcd.io/bbolt"
)

// checkBelongings finds what belongs to a connection that there is not.
func (s *Store) checkBelongings(tx *bbolt.Tx, f *findings) error {
	connections := tx.Bucket(bucketConnections)
	for _, b := range []struct {
		bucket []byte
		what   string
	}{
		{bucketDataKeys, "data key"},
		{bucketCredentials, "credential"},
		{bucketRotations, "rotation"},
		{bucketInvitations, "invitation"},
		{bucketAnnouncements, "announcement"},
	} {
		err := tx.Bucket(b.bucket).ForEach(func(k, _ []byte) error {
			if connections.Get(k) == nil {
				f.add("%s of connection %q: there is no such connection", b.what, k)
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// checkNotes reads what is noted of connections.
func (s *Store) checkNotes(tx *bbolt.Tx, f *findings) error {
	err := tx.Bucket(bucketRotations).ForEach(func(k, v []byte) error {
		r, err := decodeRotation(k, v)
		if err != nil {
			f.add("%w", err)
			return nil
		}
		if c, err := readConnection(tx, string(k)); err == nil && c.Generation != r.Generation {
			f.add("rotation of connection %q: it is of generation %d of the credential, but %d is stored", k, r.Generation, c.Generation)
		}
		return nil
	})
	if err != nil {
		return err
	}
	err = tx.Bucket(bucketInvitations).ForEach(func(k, v []byte) error {
		i, err := decodeInvitation(k, v)
		if err == nil {
			err = validInvitation(&i)
		}
		if err != nil {
			f.add("%w", err)
		}
		return nil
	})
	if err != nil {
		return err
	}
	return tx.Bucket(bucketAnnouncements).ForEach(func(k, v []byte) error {
		a, err := decodeAnnouncement(k, v)
		if err == nil {
			err = validAnnouncement(&a)
		}
		if err != nil {
			f.add("%w", err)
		}
		return nil
	})
}
