package records

// checkBelongings finds what belongs to a connection that there is not.
func checkBelongings(tx Reader, f *Findings) error {
	for _, b := range []struct {
		bucket Bucket
		what   string
	}{
		{DataKeys, "data key"},
		{Credentials, "credential"},
		{Rotations, "rotation"},
		{Invitations, "invitation"},
		{Announcements, "announcement"},
	} {
		err := tx.Each(b.bucket, "", func(k, _ []byte) error {
			connection, err := tx.Get(Connections, string(k))
			if err != nil {
				return err
			}
			if connection == nil {
				f.Add("%s of connection %q: there is no such connection", b.what, k)
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
func checkNotes(tx Reader, f *Findings) error {
	err := tx.Each(Rotations, "", func(k, v []byte) error {
		r, err := decodeRotation(k, v)
		if err != nil {
			f.Add("%w", err)
			return nil
		}
		if c, err := readConnection(tx, string(k)); err == nil && c.Generation != r.Generation {
			f.Add("rotation of connection %q: it is of generation %d of the credential, but %d is stored", k, r.Generation, c.Generation)
		}
		return nil
	})
	if err != nil {
		return err
	}
	err = tx.Each(Invitations, "", func(k, v []byte) error {
		i, err := decodeInvitation(k, v)
		if err == nil {
			err = validInvitation(&i)
		}
		if err != nil {
			f.Add("%w", err)
		}
		return nil
	})
	if err != nil {
		return err
	}
	return tx.Each(Announcements, "", func(k, v []byte) error {
		a, err := decodeAnnouncement(k, v)
		if err == nil {
			err = validAnnouncement(&a)
		}
		if err != nil {
			f.Add("%w", err)
		}
		return nil
	})
}
