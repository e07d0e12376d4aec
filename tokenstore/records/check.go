package records

import (
	"bytes"
	"context"

	"jiragate/tokenstore"
)

// Check reads every record: that each opens and is valid, and that they fit together. What
// is wrong is added to f; the error is that of reading.
func (s *Store) Check(ctx context.Context, tx Reader, f *Findings) error {
	for _, check := range []func(Reader, *Findings) error{
		s.checkConnections, checkBelongings, checkNotes, checkClients, checkIssues,
	} {
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := check(tx, f); err != nil {
			return err
		}
	}
	return nil
}

// checkConnections opens every credential.
func (s *Store) checkConnections(tx Reader, f *Findings) error {
	begun, err := tx.Sequence(Connections)
	if err != nil {
		return err
	}
	return tx.Each(Connections, "", func(k, v []byte) error {
		r, err := decodeConnection(k, v)
		if err != nil {
			f.Add("%w", err)
			return nil
		}
		c := r.connection()
		if err := c.Validate(); err != nil {
			f.Add("%w", err)
		}
		// One that was not begun yet would come twice.
		if c.Incarnation < 1 || c.Incarnation > begun {
			f.Add("connection %q: it is of incarnation %d, and %d were begun", k, c.Incarnation, begun)
		}
		cred, err := readCredential(tx, s.aead, r)
		if err == nil {
			err = cred.Validate()
		}
		if err == nil && c.State.Callable() && !cred.Consented() {
			err = awaitsConsent(c.State)
		}
		if err != nil {
			f.Add("credential of connection %q: %w", k, err)
		}
		return nil
	})
}

func checkClients(tx Reader, f *Findings) error {
	err := tx.Each(Clients, "", func(k, v []byte) error {
		c, err := decodeClient(k, v)
		if err == nil {
			err = c.Validate()
		}
		if err != nil {
			f.Add("%w", err)
			return nil
		}
		if c.TokenSHA256 != noToken {
			name, err := tx.Get(ClientTokens, string(c.TokenSHA256[:]))
			if err != nil {
				return err
			}
			if !bytes.Equal(name, k) {
				f.Add("client %q: its token does not lead to it", k)
			}
		}
		for _, id := range c.Connections {
			granted, err := tx.Get(Connections, id)
			if err != nil {
				return err
			}
			if granted == nil {
				f.Add("client %q: it is granted connection %s, which there is not", k, id)
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	return tx.Each(ClientTokens, "", func(sum, name []byte) error {
		c := tokenstore.Client{}
		v, err := tx.Get(Clients, string(name))
		if err != nil {
			return err
		}
		if v != nil {
			c, _ = decodeClient(name, v) // found above
		}
		if !bytes.Equal(c.TokenSHA256[:], sum) {
			f.Add("a client token leads to client %q, whose it is not", name)
		}
		return nil
	})
}

func checkIssues(tx Reader, f *Findings) error {
	err := tx.Each(Issues, "", func(k, v []byte) error {
		r, err := decodeIssue(k, v)
		if err != nil {
			f.Add("%w", err)
			return nil
		}
		i := tokenstore.PublishedIssue{Connection: r.Connection, ID: r.ID, Key: r.Key, Client: r.Client, Record: r.Record}
		if err := i.Validate(); err != nil {
			f.Add("issue %q: %w", k, err)
		}
		connection, err := tx.Get(Connections, r.Connection)
		if err != nil {
			return err
		}
		if connection == nil {
			f.Add("issue %q: there is no such connection", k)
		}
		if r.Key == "" {
			return nil
		}
		id, err := tx.Get(IssueKeys, issueName(r.Connection, r.Key))
		if err != nil {
			return err
		}
		if string(id) != r.ID {
			f.Add("issue %q: its key does not lead to it", k)
		}
		return nil
	})
	if err != nil {
		return err
	}
	return tx.Each(IssueKeys, "", func(k, id []byte) error {
		connection, key, _ := bytes.Cut(k, []byte("/"))
		name := issueName(string(connection), string(id))
		v, err := tx.Get(Issues, name)
		if err != nil {
			return err
		}
		if v == nil {
			f.Add("issue key %q leads to an issue that there is not", k)
			return nil
		}
		if r, err := decodeIssue([]byte(name), v); err == nil && r.Key != string(key) {
			f.Add("issue key %q leads to the issue of another key", k)
		}
		return nil
	})
}
