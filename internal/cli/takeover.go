package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"strings"
	"time"

	"jiragate/gateway"
	"jiragate/gateway/admin"
	"jiragate/internal/handover"
)

// errWithdrawn ends a successor that was not needed.
var errWithdrawn = errors.New("the gateway that serves goes on")

// takeOver starts a gateway in the place of the process that has started this one,
// once that has ended its work.
func (a *app) takeOver(ctx context.Context, o StartOptions) (*Server, error) {
	line, err := handover.Inherited()
	if err != nil {
		return nil, err
	}
	server, err := a.succeed(ctx, line, o)
	if err != nil {
		// Where the predecessor is gone, there is nobody to be told.
		_ = line.Send(handover.Message{Step: handover.Failed, Error: err.Error()})
		return nil, errors.Join(err, line.Close())
	}
	server.adopted = make(chan struct{})
	server.background.Go(func() {
		defer close(server.adopted)
		done := server.adoptAll(line)
		o.upgraded.Store(&done)
	})
	return server, nil
}

func (a *app) succeed(ctx context.Context, line *handover.Line, o StartOptions) (*Server, error) {
	m, files, err := line.Receive()
	if err != nil {
		return nil, err
	}
	defer handover.CloseAll(files)
	if m.Step != handover.Sockets {
		return nil, fmt.Errorf("the predecessor began with %q", m.Step)
	}
	if o.sockets, err = socketsOf(m.Names, files); err != nil {
		return nil, err
	}
	err = a.config.checkFiles()
	if err == nil {
		err = a.config.checkSurroundings(ctx)
	}
	if err != nil {
		return nil, errors.Join(err, o.sockets.close())
	}
	if err := line.Send(handover.Message{Step: handover.Prepared, Version: programVersion().Version}); err != nil {
		return nil, errors.Join(err, o.sockets.close())
	}
	m, none, err := line.Receive()
	handover.CloseAll(none)
	switch {
	case errors.Is(err, io.EOF):
		err = errors.New("the predecessor ended without handing over")
	case err == nil && m.Step == handover.Withdrawn:
		err = fmt.Errorf("%w: %s", errWithdrawn, m.Error)
	case err == nil && m.Step != handover.Released:
		err = fmt.Errorf("the predecessor said %q in place of %q", m.Step, handover.Released)
	}
	if err != nil {
		return nil, errors.Join(err, o.sockets.close())
	}
	server, err := Start(ctx, a.config, o)
	if err != nil {
		return nil, errors.Join(err, o.sockets.close())
	}
	if err := line.Send(handover.Message{Step: handover.Serving}); err != nil {
		o.Logger.Warn("the predecessor is gone, and idle connections of its clients with it", "error", err, "hint", "nothing: clients open others")
	}
	return server, nil
}

// checkSurroundings refuses a start where something has gone that the predecessor still
// had when it began, and that it would need again, too: the service that opens the keyset,
// etcd, an egress address. It must not give way then.
func (c *Config) checkSurroundings(ctx context.Context) error {
	quiet := slog.New(slog.DiscardHandler) // the start says the same
	var problems []error
	if !strings.HasPrefix(c.keyURI(), "env:") { // a variable can be read once
		if _, err := openKeyset(ctx, *c, false, quiet); err != nil {
			problems = append(problems, fmt.Errorf("JIRAGATE_KEY_URI: %w", err))
		}
	}
	if _, err := c.storeThere(ctx); err != nil {
		problems = append(problems, err)
	}
	addresses, err := openRegister(*c)
	if err == nil {
		_, err = openWayOut(*c, addresses, nil, quiet)
	}
	return errors.Join(append(problems, err)...)
}

// adoptAll takes the connections over that the predecessor's clients have open, and
// returns what came of the handover.
func (s *Server) adoptAll(line *handover.Line) (done admin.Upgrade) {
	defer line.Close()
	defer func() { done.Time, done.PID, done.Version = time.Now(), os.Getpid(), programVersion().Version }()
	_ = line.SetDeadline(time.Now().Add(servePatience))
	n := 0
	for {
		m, files, err := line.Receive()
		if err != nil || m.Step != handover.Connection || len(files) != 1 {
			handover.CloseAll(files)
			if m.Step == handover.Done {
				_ = json.Unmarshal(m.About, &done) // without it, less is told
			} else {
				s.log.Warn("the predecessor handed over no further connections", "error", err, "hint", "nothing: clients open others")
			}
			s.log.Info("took over", "connections", n)
			return done
		}
		n++
		var about gateway.Provenance
		err = json.Unmarshal(m.About, &about)
		var conn net.Conn
		if err == nil {
			conn, err = net.FileConn(files[0])
		}
		handover.CloseAll(files)
		if err != nil {
			s.log.Warn("a connection was not taken over", "error", err, "hint", "nothing: its client opens another")
			continue
		}
		s.adopt(about, conn)
	}
}
